//! Whether every source can be reached, and gives what it is to give.

use super::{Finding, Verdict, finding};
use crate::config::Loaded;
use crate::config::redact::redact_url;
use kurs_core::Wall;
use kurs_net::http::HttpClient;
use kurs_sources::config::SourcesConfig;
use kurs_sources::probe::{self, From};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long one source may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Clocks that differ by more than this make schedules and ages look wrong.
const SKEW_SECONDS_MAX: u64 = 30;
/// Where CoinGecko is asked when no URL is set.
const COINGECKO: &str = "https://api.coingecko.com/api/v3/ping";
const USER_AGENT: &str = concat!("kurs/", env!("CARGO_PKG_VERSION"));

/// Every source that is switched on, all asked at once.
pub(super) async fn ask_all(loaded: &Loaded) -> Vec<Finding> {
    let (built_in, described) = tokio::join!(built_in(loaded), described(loaded));
    built_in.into_iter().chain(described).collect()
}

/// Every URL of the sources that are built in.
async fn built_in(loaded: &Loaded) -> Vec<Finding> {
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
        .user_agent(USER_AGENT)
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

/// The sources that are described by their configuration. They are asked as a server asks them:
/// whether a key is accepted and a path leads to a rate, nothing else tells.
async fn described(loaded: &Loaded) -> Vec<Finding> {
    let config = Arc::new(loaded.config.sources.clone());
    let enabled = config.http.iter().filter(|(_, source)| source.enabled);
    let names: Vec<String> = enabled.map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let client = match HttpClient::new(USER_AGENT) {
        Ok(client) => Arc::new(client),
        Err(error) => {
            let check = "sources.http";
            return vec![finding(check, Verdict::Problem, error.to_string(), "")];
        }
    };
    let mut asked = tokio::task::JoinSet::new();
    for (at, name) in names.into_iter().enumerate() {
        let (config, client) = (Arc::clone(&config), Arc::clone(&client));
        asked.spawn(async move { (at, try_once(&config, &name, &client).await) });
    }
    let mut found: Vec<(usize, Finding)> = asked.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, finding)| finding).collect()
}

async fn try_once(config: &SourcesConfig, name: &str, client: &HttpClient) -> Finding {
    let check = format!("sources.http.{name}");
    let fix = format!("kurs sources try {name} shows what it is asked and what it says");
    let clock = kurs_core::SystemClock::new();
    let asking = probe::once(config, name, From::Source(client), &clock);
    let attempt = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(error)) => return finding(&check, Verdict::Problem, error.to_string(), &fix),
        Err(_) => return finding(&check, Verdict::Problem, "no answer in time", &fix),
    };
    let url = attempt.asked.first().map_or("", |asked| &asked.url);
    let shown = redact_url(url);
    let all = attempt.rates.len();
    let bad = attempt.rates.iter().find(|rate| rate.quote.is_none());
    match bad {
        _ if !attempt.has_price() => {
            let why = match (attempt.problem.as_str(), bad) {
                ("", Some(rate)) => format!("{}: {}", rate.label, rate.problem),
                ("", None) => "no usable rate".to_owned(),
                (problem, _) => problem.to_owned(),
            };
            finding(&check, Verdict::Problem, format!("{shown}: {why}"), &fix)
        }
        Some(rate) => {
            let used = attempt.rates.iter().filter(|rate| rate.quote.is_some());
            let (used, label, problem) = (used.count(), &rate.label, &rate.problem);
            let what = format!("{shown} gives {used} of {all} rates; {label}: {problem}");
            finding(&check, Verdict::Warning, what, &fix)
        }
        None => {
            let what = format!("{shown} gives its rates ({all})");
            finding(&check, Verdict::Ok, what, "")
        }
    }
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
