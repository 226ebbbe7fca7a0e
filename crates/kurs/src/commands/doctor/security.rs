//! `kurs doctor --security`: what is open, to whom, and how to close it. Nothing outside this
//! machine is asked but the store.

mod files;
mod passwords;

use super::{Finding, Verdict, finding};
use crate::config::{Config, Loaded};
use kurs_api::Tls;
use kurs_auth::Network;
use kurs_core::{Clock, SystemClock, Wall};
use kurs_store::StoredKey;
use kurs_store::config::StoreUrl;
use std::time::Duration;

/// A certificate that ends sooner is told of.
const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Every finding, in the order of the way in: the address, who may ask, what lies around.
pub(super) async fn look(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let now = SystemClock::new().now().wall;
    let mut findings = vec![address(config)];
    findings.extend(tls(config, now));
    findings.extend(grpc(config));
    findings.push(proxies(config));
    findings.push(metrics(config));
    findings.push(origins(config));
    findings.push(anonymous(config));
    findings.push(limits(config));
    findings.push(admin(config, now).await);
    findings.extend(passwords::look(loaded));
    findings.extend(files::look(loaded));
    findings
}

fn is_public(config: &Config) -> bool {
    !config.http.addr.ip().to_canonical().is_loopback()
}

fn address(config: &Config) -> Finding {
    let http = &config.http;
    let (verdict, found, fix) = if http.tls.is_on() {
        (Verdict::Ok, format!("{} speaks TLS", http.addr), "")
    } else if !is_public(config) {
        let found = format!("{} is reached from this machine only", http.addr);
        (Verdict::Ok, found, "")
    } else if http.trusted_proxies.is_empty() {
        (
            Verdict::Problem,
            format!(
                "{} is reached from other machines, and speaks in the clear: keys can be read on the way",
                http.addr
            ),
            "set http.tls.cert_file and key_file; or bind 127.0.0.1 behind a proxy that speaks TLS",
        )
    } else {
        (
            Verdict::Ok,
            format!(
                "{} speaks in the clear, for the proxies in http.trusted_proxies; nobody else \
                 should reach it",
                http.addr
            ),
            "",
        )
    };
    finding("http.addr", verdict, found, fix)
}

fn tls(config: &Config, now: Wall) -> Vec<Finding> {
    let check = "http.tls.cert_file";
    let tls = match Tls::load(&config.http.tls) {
        Ok(None) => return Vec::new(),
        Ok(Some(tls)) => tls,
        Err(error) => {
            let fix = "both are PEM files: the certificate with its chain, and its private key";
            return vec![finding(check, Verdict::Problem, error.to_string(), fix)];
        }
    };
    let fix = "renew it: kurs takes new files over while it runs";
    let mut findings = vec![match tls.ends_at() {
        None => finding(
            check,
            Verdict::Warning,
            "it does not say until when it is good",
            fix,
        ),
        Some(end) if end <= now => {
            finding(check, Verdict::Problem, format!("it ended at {end}"), fix)
        }
        Some(end) if end <= now.plus(CERTIFICATE_ENDS_SOON) => {
            finding(check, Verdict::Warning, format!("it ends at {end}"), fix)
        }
        Some(end) => finding(check, Verdict::Ok, format!("good until {end}"), ""),
    }];
    if let Some(key) = &config.http.tls.key_file {
        findings.push(files::of_secret("http.tls.key_file", key, Verdict::Warning));
    }
    if config.http.tls.hsts_seconds == 0 {
        findings.push(finding(
            "http.tls.hsts_seconds",
            Verdict::Warning,
            "browsers are not told to come back by TLS only",
            "leave it at a year, unless the same name serves something without TLS",
        ));
    }
    findings
}

/// gRPC has an address of its own, and the certificate of HTTP.
fn grpc(config: &Config) -> Option<Finding> {
    let addr = config.grpc.addr?;
    let check = "grpc.addr";
    if addr.ip().to_canonical().is_loopback() {
        let found = format!("{addr} is reached from this machine only");
        return Some(finding(check, Verdict::Ok, found, ""));
    }
    if config.http.tls.cert_file.is_some() && !config.grpc.plaintext {
        let found = format!("{addr} is reached from other machines, by TLS");
        return Some(finding(check, Verdict::Ok, found, ""));
    }
    let found = format!("{addr} is reached from other machines, and speaks in the clear");
    let fix = "name a certificate in http.tls.cert_file, or bind 127.0.0.1, behind a proxy that speaks TLS";
    Some(finding(check, Verdict::Problem, found, fix))
}

fn proxies(config: &Config) -> Finding {
    let check = "http.trusted_proxies";
    let named = &config.http.trusted_proxies;
    let everybody = named.iter().find(|text| {
        text.parse::<Network>()
            .is_ok_and(|network| network.is_everybody())
    });
    if let Some(everybody) = everybody {
        let found = format!("{everybody}: anybody can say to be anybody");
        let fix = "name the addresses of your proxies";
        return finding(check, Verdict::Problem, found, fix);
    }
    let found = if named.is_empty() {
        "nobody is believed about another's address".to_owned()
    } else {
        format!("{} are believed", named.join(", "))
    };
    finding(check, Verdict::Ok, found, "")
}

fn metrics(config: &Config) -> Finding {
    let check = "http.ops_addr";
    match config.http.ops_addr {
        Some(addr) if addr.ip().to_canonical().is_loopback() => {
            let found = format!("probes and metrics on {addr}, for this machine only");
            finding(check, Verdict::Ok, found, "")
        }
        Some(addr) => finding(
            check,
            Verdict::Warning,
            format!("probes and metrics on {addr}, in the clear and without a key"),
            "let nobody but your monitoring reach it",
        ),
        None if is_public(config) => finding(
            check,
            Verdict::Warning,
            format!(
                "{} answers probes and metrics to everybody",
                config.http.addr
            ),
            "set http.ops_addr, such as 127.0.0.1:9090",
        ),
        None => {
            let found = "probes and metrics are reached from this machine only";
            finding(check, Verdict::Ok, found, "")
        }
    }
}

fn origins(config: &Config) -> Finding {
    let check = "http.cors_origins";
    let origins = &config.http.cors_origins;
    let is_open = |origin: &&String| {
        let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
        origin.starts_with("http://") && !local.iter().any(|begin| origin.starts_with(begin))
    };
    // A wildcard is no valid configuration.
    if let Some(open) = origins.iter().find(is_open) {
        let found = format!("{open} is without TLS: whoever is on its way may read as its pages");
        return finding(check, Verdict::Warning, found, "use https:// there");
    }
    let found = match origins.len() {
        0 => "no page of another origin may read".to_owned(),
        _ => format!("pages of {} may read", origins.join(", ")),
    };
    finding(check, Verdict::Ok, found, "")
}

fn anonymous(config: &Config) -> Finding {
    let check = "auth.anonymous";
    let open = config.auth.anonymous().to_string();
    if open.is_empty() {
        return finding(check, Verdict::Ok, "nothing without a key", "");
    }
    let found = format!("anybody may {}", open.replace(' ', ", "));
    let (verdict, fix) = if is_public(config) {
        let fix = "if that is not meant: auth.anonymous = [], and kurs keys create";
        (Verdict::Warning, fix)
    } else {
        (Verdict::Ok, "")
    };
    finding(check, verdict, found, fix)
}

fn limits(config: &Config) -> Finding {
    let limits = &config.limits;
    let all = [
        ("limits.anonymous", limits.anonymous.quota().is_none()),
        ("limits.key", limits.key.quota().is_none()),
        ("limits.failures", limits.failures.quota().is_none()),
    ];
    match all.into_iter().find(|(_, is_off)| *is_off) {
        Some((key, _)) => finding(
            key,
            Verdict::Warning,
            "any number of requests",
            "set requests and window_seconds; the defaults are sane",
        ),
        None => finding("limits", Verdict::Ok, "all callers have a limit", ""),
    }
}

/// Who may change what the server does.
async fn admin(config: &Config, now: Wall) -> Finding {
    let check = "admin";
    let fix = "kurs keys create --name ops --scope admin";
    let tokens = config.auth.issuers.values();
    let by_token = tokens
        .flat_map(|issuer| issuer.roles.values().flatten())
        .any(|scope| *scope == kurs_auth::Scope::Admin);
    let keys = match keys(config).await {
        Ok(keys) => keys,
        Err(why) => {
            let found = format!("it is not known whether there are keys: {why}");
            return finding(
                check,
                Verdict::Warning,
                found,
                "kurs doctor, without --security",
            );
        }
    };
    if keys.is_empty() {
        let found = "there is no key: every program on this machine may change what kurs does, and \
                     whoever comes through a proxy here that sends no X-Forwarded-For";
        return finding(check, Verdict::Warning, found, fix);
    }
    let is_good = |key: &&StoredKey| {
        key.revoked_at.is_none()
            && key.expires_at.is_none_or(|end| end > now)
            && key.scopes.split(' ').any(|scope| scope == "admin")
    };
    let admins: Vec<&StoredKey> = keys.iter().filter(is_good).collect();
    if admins.is_empty() && !by_token {
        let found = "no key with the scope admin is good: nobody may change anything";
        return finding(check, Verdict::Warning, found, fix);
    }
    if let Some(key) = admins.iter().find(|key| key.expires_at.is_none()) {
        let found = format!(
            "the key {} ({:?}) may change everything, for ever",
            key.id, &*key.name
        );
        let fix = "give keys an end: kurs keys rotate, or create with --expires 90d";
        return finding(check, Verdict::Warning, found, fix);
    }
    let found = format!(
        "changes need a key or a token; keys that may: {}",
        admins.len()
    );
    finding(check, Verdict::Ok, found, "")
}

/// All keys of the store; none when there is no store yet, which is not made here.
async fn keys(config: &Config) -> Result<Vec<StoredKey>, String> {
    match config.store.url.parse::<StoreUrl>() {
        Ok(StoreUrl::SqliteFile(path)) if !path.exists() => return Ok(Vec::new()),
        Ok(StoreUrl::SqliteMemory) => return Ok(Vec::new()),
        _ => {}
    }
    let store = kurs_store::config::open(&config.store).map_err(|error| error.to_string())?;
    let asked = tokio::time::timeout(Duration::from_secs(8), store.keys());
    match asked.await {
        Ok(Ok(stored)) => Ok(stored.keys),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    }
}
