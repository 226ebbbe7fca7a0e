//! `kurs doctor`: checks everything kurs needs, and explains what is wrong and how to mend it.

use super::settings::SettingsArgs;
use crate::config::redact::redact_url;
use crate::config::{Config, Loaded};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_core::Wall;
use kurs_store::config::StoreUrl;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kurs doctor
  kurs doctor --offline      without asking the sources
  kurs doctor --json
";

/// How long one source may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Clocks that differ by more than this make schedules and ages look wrong.
const SKEW_SECONDS_MAX: u64 = 30;
/// A clock before this moment (2025-01-01) was never set.
const CLOCK_UNSET_BEFORE: Wall = Wall::from_unix_seconds(1_735_689_600);
/// Where CoinGecko is asked when no URL is set.
const COINGECKO: &str = "https://api.coingecko.com/api/v3/ping";

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Do not ask the sources
    #[arg(long)]
    offline: bool,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    /// What was checked; a key of the configuration where there is one.
    check: String,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// How to mend it; empty when nothing is wrong.
    fix: String,
}

fn finding(check: &str, verdict: Verdict, found: impl Into<String>, fix: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        verdict,
        found: found.into(),
        fix: fix.to_owned(),
    }
}

pub(super) async fn run(arguments: DoctorArgs, output: Output) -> Result<Exit, Failure> {
    let loaded = match arguments.settings.inputs(None)?.load() {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let findings: Vec<Finding> = mistakes
                .0
                .iter()
                .map(|mistake| {
                    let fix = "correct it where it was set; kurs config example shows every key";
                    finding("configuration", Verdict::Problem, mistake.to_string(), fix)
                })
                .collect();
            show(&findings, output)?;
            return Err(Failure::silent(Exit::Usage));
        }
    };
    let mut findings = vec![finding("configuration", Verdict::Ok, "valid", "")];
    findings.push(clock(
        kurs_core::Clock::now(&kurs_core::SystemClock::new()).wall,
    ));
    findings.push(store(&loaded.config).await);
    findings.push(address(&loaded.config).await);
    if !arguments.offline {
        findings.extend(sources(&loaded).await);
    }
    show(&findings, output)?;
    let problems = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Problem)
        .count();
    if problems == 0 {
        output.say("no problem found");
        return Ok(Exit::Ok);
    }
    Err(Failure::new(
        Exit::Failure,
        format!("problems found: {problems}"),
    ))
}

fn show(findings: &[Finding], output: Output) -> Result<(), Failure> {
    if output.form == Form::Json {
        let document = serde_json::to_string(findings)
            .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
        output.data(&document)?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
            };
            vec![
                verdict.to_owned(),
                finding.check.clone(),
                finding.found.clone(),
                finding.fix.clone(),
            ]
        })
        .collect();
    output.table(&["", "check", "found", "fix"], &rows)?;
    Ok(())
}

fn clock(now: Wall) -> Finding {
    if now < CLOCK_UNSET_BEFORE {
        let fix = "set the machine's clock (NTP); banks' rates depend on the date";
        return finding("clock", Verdict::Problem, format!("it says {now}"), fix);
    }
    finding("clock", Verdict::Ok, now.to_string(), "")
}

async fn store(config: &Config) -> Finding {
    let check = "store.url";
    let shown = redact_url(&config.store.url);
    let path = match config.store.url.parse::<StoreUrl>() {
        Ok(StoreUrl::SqliteFile(path)) => path,
        Ok(StoreUrl::SqliteMemory) => {
            let fix = "set sqlite:PATH to keep history over a restart";
            return finding(check, Verdict::Warning, "in memory: nothing is kept", fix);
        }
        Err(error) => {
            return finding(
                check,
                Verdict::Problem,
                error.to_string(),
                "use sqlite:PATH",
            );
        }
    };
    if !path.exists() {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Written for a moment: rights on paper and rights in fact differ.
        return match tempfile::Builder::new()
            .prefix(".kurs-doctor")
            .tempfile_in(folder)
        {
            Ok(_) => finding(
                check,
                Verdict::Ok,
                format!("{shown} will be made at the first start"),
                "",
            ),
            Err(error) => finding(
                check,
                Verdict::Problem,
                format!("{}: {error}", folder.display()),
                "make the folder and let kurs write there, or set store.url",
            ),
        };
    }
    let opened = match kurs_store::config::open(&config.store) {
        Ok(opened) => opened,
        Err(error) => {
            let fix = "is it a kurs database, and may kurs read and write it?";
            return finding(check, Verdict::Problem, format!("{shown}: {error}"), fix);
        }
    };
    match opened.schema().await {
        Ok(state) if state.found == state.needed => finding(
            check,
            Verdict::Ok,
            format!("{shown}, schema version {}", state.found),
            "",
        ),
        Ok(state) if state.found > state.needed => finding(
            check,
            Verdict::Problem,
            format!(
                "{shown} was written by a newer kurs (schema {})",
                state.found
            ),
            "use that version of kurs, or another file",
        ),
        Ok(state) => finding(
            check,
            if config.store.migrates_itself() {
                Verdict::Ok
            } else {
                Verdict::Problem
            },
            format!(
                "{shown}, schema version {} of {}",
                state.found, state.needed
            ),
            "kurs migrate",
        ),
        Err(error) => finding(
            check,
            Verdict::Problem,
            format!("{shown}: {error}"),
            "kurs migrate",
        ),
    }
}

async fn address(config: &Config) -> Finding {
    let addr = config.http.addr;
    match tokio::net::TcpListener::bind(addr).await {
        Ok(_) => finding("http.addr", Verdict::Ok, format!("{addr} is free"), ""),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let client = crate::client::Client::new(&format!("http://{addr}"));
            let is_kurs = match client {
                Ok(client) => client.get("/livez", &[]).await.is_ok(),
                Err(_) => false,
            };
            if is_kurs {
                return finding(
                    "http.addr",
                    Verdict::Ok,
                    format!("a kurs answers on {addr}"),
                    "",
                );
            }
            let fix = "end the other program, or set http.addr";
            finding(
                "http.addr",
                Verdict::Problem,
                format!("{addr} is taken by another program"),
                fix,
            )
        }
        Err(error) => finding(
            "http.addr",
            Verdict::Problem,
            format!("{addr}: {error}"),
            "set http.addr",
        ),
    }
}

/// Every URL of every source that is switched on, all asked at once.
async fn sources(loaded: &Loaded) -> Vec<Finding> {
    let tree = loaded.tree.to_json();
    let mut targets: Vec<(String, String)> = Vec::new();
    for (name, settings) in tree
        .get("sources")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if settings.get("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        if name == "openexchangerates" && settings.get("key").is_none_or(Value::is_null) {
            continue;
        }
        for key in ["ws_url", "rest_url"] {
            let url = match settings.get(key) {
                Some(Value::String(url)) => url.clone(),
                Some(Value::Null) if name == "coingecko" => COINGECKO.to_owned(),
                _ => continue,
            };
            targets.push((format!("sources.{name}.{key}"), url));
        }
    }
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .user_agent(concat!("kurs/", env!("CARGO_PKG_VERSION")))
        .build();
    let Ok(http) = http else {
        return vec![finding(
            "sources",
            Verdict::Problem,
            "TLS cannot be set up",
            "",
        )];
    };
    let mut asked = tokio::task::JoinSet::new();
    for (at, (key, url)) in targets.into_iter().enumerate() {
        let http = http.clone();
        asked.spawn(async move { (at, ask(&http, &key, &url).await) });
    }
    let mut found: Vec<(usize, Finding)> = asked.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, finding)| finding).collect()
}

async fn ask(http: &reqwest::Client, key: &str, url: &str) -> Finding {
    let shown = redact_url(url);
    // A WebSocket server answers plain HTTP too, if only with a refusal: it is there.
    let plain = match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    };
    let response = match http.get(&plain).send().await {
        Ok(response) => response,
        Err(error) => {
            let why = if error.is_timeout() {
                "no answer in time".to_owned()
            } else {
                cause(&error)
            };
            let fix = "check network, DNS, firewall and proxy (HTTPS_PROXY), or set another URL; \
                       kurs runs without it and keeps trying";
            return finding(key, Verdict::Problem, format!("{shown}: {why}"), fix);
        }
    };
    let status = response.status().as_u16();
    match status {
        403 | 451 => finding(
            key,
            Verdict::Problem,
            format!("{shown} refuses this machine (HTTP {status})"),
            "the venue does not serve this place; set another host",
        ),
        418 | 429 => finding(
            key,
            Verdict::Warning,
            format!("{shown} limits this machine (HTTP {status})"),
            "wait; poll less often, or use a key",
        ),
        _ => match skew_seconds(&response) {
            Some(skew) if skew > SKEW_SECONDS_MAX => finding(
                key,
                Verdict::Warning,
                format!("{shown} answers, but its clock differs by {skew} s"),
                "set the machine's clock (NTP)",
            ),
            _ => finding(key, Verdict::Ok, format!("{shown} answers"), ""),
        },
    }
}

/// How far this clock is from the server's.
fn skew_seconds(response: &reqwest::Response) -> Option<u64> {
    let date = response.headers().get("date")?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()?;
    let theirs = Wall::from_unix_seconds(theirs.as_second());
    let ours = kurs_core::Clock::now(&kurs_core::SystemClock::new()).wall;
    Some(ours.since(theirs).max(theirs.since(ours)).as_secs())
}

fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
