//! `kurs doctor`: checks everything kurs needs, and explains what is wrong and how to mend it.

mod broker;
mod security;
mod sources;

use super::settings::SettingsArgs;
use crate::config::redact::redact_url;
use crate::config::{Config, Loaded};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_core::Wall;
use kurs_store::StoreError;
use kurs_store::config::StoreUrl;
use serde::Serialize;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  kurs doctor
  kurs doctor --offline      without asking the sources
  kurs doctor --security     what is open, to whom, and how to close it
  kurs doctor --json
";

/// A clock before this moment (2025-01-01) was never set.
const CLOCK_UNSET_BEFORE: Wall = Wall::from_unix_seconds(1_735_689_600);

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Do not ask the sources
    #[arg(long)]
    offline: bool,
    /// Only what is open: addresses, keys, passwords, rights of files
    #[arg(long)]
    security: bool,
}

/// How long a server on this machine may take to say that it lives.
const LIVE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

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
    let findings = if arguments.security {
        security::look(&loaded).await
    } else {
        needs(&loaded, arguments.offline).await
    };
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

/// What kurs needs to run.
async fn needs(loaded: &Loaded, is_offline: bool) -> Vec<Finding> {
    let mut findings = vec![finding("configuration", Verdict::Ok, "valid", "")];
    findings.push(clock(
        kurs_core::Clock::now(&kurs_core::SystemClock::new()).wall,
    ));
    findings.push(store(&loaded.config).await);
    findings.extend(broker::ask(&loaded.config).await);
    findings.push(address(&loaded.config).await);
    if !is_offline {
        findings.extend(sources::ask_all(loaded).await);
    }
    findings
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
        Ok(StoreUrl::Postgres(_)) => return opened(config, &shown).await,
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
    opened(config, &shown).await
}

/// How a store is that should be there.
async fn opened(config: &Config, shown: &str) -> Finding {
    let check = "store.url";
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
        // A newer schema may allow this program; every ordinary call looks.
        Ok(state) if state.found > state.needed => match opened.recorded_until().await {
            Ok(_) => finding(
                check,
                Verdict::Ok,
                format!(
                    "{shown}, schema version {}, which allows this kurs (made for {})",
                    state.found, state.needed
                ),
                "",
            ),
            Err(_) => finding(
                check,
                Verdict::Problem,
                format!(
                    "{shown} was written by a newer kurs (schema {})",
                    state.found
                ),
                "use that version of kurs, or another file",
            ),
        },
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
        Err(error) => {
            let fix = match error {
                StoreError::Unavailable(_) => "does the server run, and is its address right?",
                _ => "kurs migrate",
            };
            finding(check, Verdict::Problem, format!("{shown}: {error}"), fix)
        }
    }
}

async fn address(config: &Config) -> Finding {
    let addr = config.http.addr;
    match tokio::net::TcpListener::bind(addr).await {
        Ok(_) => finding("http.addr", Verdict::Ok, format!("{addr} is free"), ""),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            if is_kurs(config).await {
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

/// Whether a kurs answers on the address of the API.
async fn is_kurs(config: &Config) -> bool {
    let is_tls = config.http.tls.is_on();
    let scheme = if is_tls { "https" } else { "http" };
    // The certificate is for another name than an address, and nothing is told to who answers.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIVE_PATIENCE)
        .tls_danger_accept_invalid_certs(is_tls)
        .build();
    let Ok(client) = client else { return false };
    let url = format!("{scheme}://{}/livez", config.http.addr);
    let answer = client.get(url).send().await;
    // Probes may have an address of their own; the refusal is a kurs' too.
    answer.is_ok_and(|answer| answer.headers().contains_key("api-supported-versions"))
}
