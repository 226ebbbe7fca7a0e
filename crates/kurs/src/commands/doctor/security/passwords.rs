//! Passwords in addresses that anybody would try first.

use super::super::{Finding, Verdict, finding};
use crate::config::Loaded;
use crate::config::redact::redact_url;
use crate::config::tree::show_path;
use serde_json::Value;

/// What is tried first, by people and by worms.
const KNOWN: [&str; 16] = [
    "", "123456", "admin", "changeme", "default", "guest", "influxdb", "kurs", "nats", "passw0rd",
    "password", "postgres", "rabbitmq", "redis", "root", "secret",
];

/// Every address in the configuration with such a password.
pub(super) fn look(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, value, _) in loaded.tree.leaves() {
        let Value::String(url) = value else { continue };
        let Some(why) = weakness(url) else { continue };
        let verdict = if is_local(url) {
            Verdict::Warning
        } else {
            Verdict::Problem
        };
        let found = format!("{}: {why}", redact_url(url));
        let fix = "set another password there and here, by a file or the environment";
        findings.push(finding(&show_path(&path), verdict, found, fix));
    }
    findings
}

/// Who the address says to be: the name, and the password if it has one.
fn user_of(url: &str) -> Option<(&str, Option<&str>)> {
    let user = authority(url)?.rsplit_once('@')?.0;
    Some(match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    })
}

fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

fn weakness(url: &str) -> Option<&'static str> {
    let scheme = url.split_once("://")?.0;
    match user_of(url) {
        Some((name, Some(password))) => {
            let small = password.to_ascii_lowercase();
            if password == name {
                Some("the password is the name of the user")
            } else if KNOWN.contains(&small.as_str()) {
                Some("the password is one that is tried first")
            } else {
                None
            }
        }
        None if matches!(scheme, "amqp" | "amqps") => {
            Some("without a user it is guest with the password guest")
        }
        _ => None,
    }
}

fn is_local(url: &str) -> bool {
    let Some(authority) = authority(url) else {
        return false;
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let address = name.parse::<std::net::IpAddr>();
    // Without a host it is a socket of this machine.
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_tried_first_are_found() {
        for (url, is_weak) in [
            ("amqp://guest:guest@broker:5672", true),
            ("amqp://broker", true),
            ("amqp://kurs:Vn3x-9qpL@broker", false),
            ("postgres://kurs:kurs@db/kurs", true),
            ("postgres://anna:anna@db/kurs", true),
            ("postgres://anna:Password@db/kurs", true),
            ("postgres://anna@db/kurs", false),
            ("redis://:redis@host", true),
            ("nats://host:4222", false),
            ("https://bank.example/x@y:z", false),
            ("sqlite:kurs.db", false),
        ] {
            assert_eq!(weakness(url).is_some(), is_weak, "{url}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_known() {
        for (url, local) in [
            ("amqp://guest:guest@127.0.0.1:5672", true),
            ("amqp://guest:guest@[::1]:5672", true),
            ("postgres://a:b@localhost/kurs", true),
            ("postgres://a:b@/kurs", true),
            ("postgres://a:b@db/kurs", false),
            ("postgres://a:localhost@db/kurs", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }
}
