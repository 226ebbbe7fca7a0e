//! Settings and the audit log.

use crate::auth::{bearer, key, secret};
use crate::client::Reply as Answer;
use crate::harness::{Harness, START, assert_names, assert_problem};
use kurs_auth::KeyRing;
use kurs_bus::{Actor, ChangeMistake, Command, Reply};
use kurs_store::{AuditEntry, SettingsChange, Store, StoredSetting};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SETTINGS: &str = "/api/v1/admin/settings";
const KEYS: &str = "/api/v1/admin/keys";

/// What the Writer was asked for.
type Asked = Arc<Mutex<Vec<(BTreeMap<String, Option<Value>>, Option<u64>, Actor)>>>;

/// A Writer that refuses `wrong`, and knows the settings as of version 3.
fn writer(harness: &Harness) -> Asked {
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    harness.writer(move |command| {
        let Command::Change {
            changes,
            expected,
            by,
        } = command
        else {
            return Reply::Untracked { existed: false };
        };
        told.lock().push((changes.clone(), expected, *by));
        if expected.is_some_and(|expected| expected != 3) {
            return Reply::Outdated { version: 3 };
        }
        let wrong = changes.keys().filter(|key| key.starts_with("wrong"));
        let mut mistakes: Vec<ChangeMistake> = wrong
            .map(|key| ChangeMistake {
                key: key.as_str().into(),
                what: "there is no such key".into(),
            })
            .collect();
        if !mistakes.is_empty() {
            mistakes.push(ChangeMistake {
                key: "policy.BTC-USD".into(),
                what: "does not go with it".into(),
            });
            return Reply::Refused { mistakes };
        }
        if changes.contains_key("log.level") {
            return Reply::Unavailable {
                why: "the store did not say that it is done".into(),
            };
        }
        Reply::Changed {
            version: 4,
            changed: true,
        }
    });
    asked
}

async fn send(harness: &Harness, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let mut client = harness.client().await;
    let length = body.len();
    client
        .send(format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ))
        .await;
    client.reply(false).await
}

fn entry(subject: &str, at: i64) -> AuditEntry {
    AuditEntry {
        at: kurs_core::Wall(START.0 + at * 1_000_000),
        who: "key:3kTMd92x".into(),
        address: Some("10.0.0.1".into()),
        action: "set_setting".into(),
        subject: subject.into(),
        before: None,
        after: Some("false".into()),
        why: Some("a test".into()),
    }
}

#[tokio::test]
async fn a_change_reaches_the_writer_with_who_wants_it_and_what_for() {
    let harness = Harness::start().await;
    let asked = writer(&harness);
    let target = format!("{SETTINGS}/sources.binance.enabled");
    let body = r#"{"value": false, "why": "quotes lag"}"#;
    let set = send(&harness, "PUT", &target, "", body).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let expect = json!({"version": 4, "changed": true, "taken_over": false});
    assert_eq!(set.json(), expect);
    let many = r#"{"set": {"limits.key.requests": 5, "sources.kraken.priority": null}}"#;
    let patched = send(
        &harness,
        "PATCH",
        SETTINGS,
        "If-Match: W/\"3-0f\"\r\n",
        many,
    )
    .await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let unset = send(&harness, "DELETE", &format!("{target}?why=over"), "", "").await;
    assert_eq!(unset.status, 200, "{}", unset.text());
    let asked = asked.lock();
    let (changes, expected, by) = &asked[0];
    assert_eq!(changes["sources.binance.enabled"], Some(json!(false)));
    assert_eq!((*expected, &*by.who), (None, "loopback"));
    assert_eq!(by.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(by.why.as_deref(), Some("quotes lag"));
    assert_eq!((asked[1].1, asked[1].0.len()), (Some(3), 2));
    assert_eq!(asked[1].0["sources.kraken.priority"], None);
    assert_eq!(asked[2].0["sources.binance.enabled"], None);
    assert_eq!(asked[2].2.why.as_deref(), Some("over"));
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place() {
    let harness = Harness::start().await;
    let asked = writer(&harness);
    let body = r#"{"set": {"wrong.a": 1, "wrong.b": null, "sources.ecb.enabled": true}}"#;
    let refused = send(&harness, "PATCH", SETTINGS, "", body).await;
    assert_problem(&refused, 422, "invalid-setting");
    let errors = refused.json()["errors"].clone();
    let pointers: Vec<&str> = (0..3)
        .map(|at| errors[at]["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/set/wrong.a", "/set/wrong.b", ""]);
    asked.lock().clear();
    for (method, target, body) in [
        ("PUT", "/log.level", r#"{"value": null}"#),
        ("PUT", "/log.level", r#"{"why": "x"}"#),
        ("PUT", "/log.level", r#"{"value": 1, "who": "x"}"#),
        ("PATCH", "", r#"{"set": {}}"#),
        ("PATCH", "", "[]"),
    ] {
        let refused = send(&harness, method, &format!("{SETTINGS}{target}"), "", body).await;
        assert_problem(&refused, 400, "invalid-body");
    }
    let wrong = send(&harness, "DELETE", &format!("{SETTINGS}/a%2Fb"), "", "").await;
    assert_problem(&wrong, 400, "invalid-parameter");
    assert_names(&wrong, &["key"]);
    assert!(asked.lock().is_empty(), "the Writer was asked");
}

#[tokio::test]
async fn whoever_comes_second_is_told_so() {
    let harness = Harness::start().await;
    let asked = writer(&harness);
    let body = r#"{"value": 1}"#;
    let target = format!("{SETTINGS}/limits.key.requests");
    for (tag, status) in [
        ("\"3\"", 200),
        ("\"2\"", 412),
        ("\"nonsense\"", 412),
        ("*", 200),
    ] {
        let reply = send(
            &harness,
            "PUT",
            &target,
            &format!("If-Match: {tag}\r\n"),
            body,
        )
        .await;
        assert_eq!(reply.status, status, "{tag}: {}", reply.text());
        if status == 412 {
            assert_problem(&reply, 412, "precondition-failed");
        }
    }
    assert_eq!(
        asked.lock().len(),
        3,
        "of no version is told without the Writer"
    );
}

#[tokio::test]
async fn where_nothing_can_be_changed_it_is_said() {
    let harness = Harness::start().await;
    let target = format!("{SETTINGS}/log.level");
    let body = r#"{"value": "DEBUG"}"#;
    let asked = writer(&harness);
    let refused = send(&harness, "PUT", &target, "", body).await;
    assert_problem(&refused, 503, "writer-unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(asked.lock().len(), 1);
}

#[tokio::test]
async fn what_is_set_is_listed_with_its_version_as_tag() {
    let harness = Harness::start().await;
    let empty = harness.get(SETTINGS).await;
    assert_eq!(empty.status, 200, "{}", empty.text());
    assert_eq!(empty.header("cache-control"), Some("no-store"));
    let change = SettingsChange {
        set: vec![StoredSetting {
            key: "log.level".into(),
            value: "\"DEBUG\"".into(),
            set_at: START,
            who: "key:3kTMd92x".into(),
            why: None,
        }],
        ..SettingsChange::default()
    };
    harness.store.change_settings(change, None).await.unwrap();
    let listed = harness.get(SETTINGS).await;
    assert!(listed.header("etag").unwrap().starts_with("\"1-"));
    let document = listed.json();
    assert_eq!(document["version"], 1);
    let setting = &document["settings"][0];
    assert_eq!(
        (&setting["key"], &setting["value"]),
        (&json!("log.level"), &json!("DEBUG"))
    );
    assert_eq!(
        setting["is_in_force"], false,
        "this process knows nothing of it: {setting}"
    );
}

#[tokio::test]
async fn the_audit_log_is_paged_newest_first() {
    let harness = Harness::start().await;
    for at in 0..5 {
        let subject = if at % 2 == 0 { "even" } else { "odd" };
        harness.store.note_audit(entry(subject, at)).await.unwrap();
    }
    let pages = harness.pages("/api/v1/admin/audit?limit=2").await;
    let ids: Vec<u64> = pages
        .iter()
        .flat_map(|page| page["entries"].as_array().unwrap())
        .map(|entry| entry["id"].as_u64().unwrap())
        .collect();
    assert_eq!((pages.len(), ids), (3, vec![5, 4, 3, 2, 1]));
    assert_eq!(
        pages[0]["entries"][0],
        json!({"id": 5, "at": "2026-11-21T10:00:04.000Z", "who": "key:3kTMd92x",
            "address": "10.0.0.1", "action": "set_setting", "subject": "even", "after": false,
            "why": "a test"})
    );
    let count = async |query: &str| {
        let reply = harness.get(&format!("/api/v1/admin/audit?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()["entries"].as_array().unwrap().len()
    };
    assert_eq!(count("subject=odd").await, 2);
    assert_eq!(count("who=key:3kTMd92x&subject=even").await, 3);
    assert_eq!(count("who=loopback").await, 0);
    assert_eq!(
        count("start=2026-11-21T10:00:01Z&end=2026-11-21T10:00:03Z").await,
        2
    );
    let wrong = harness.get("/api/v1/admin/audit?cursor=p_1").await;
    assert_problem(&wrong, 400, "invalid-parameter");
}

#[tokio::test]
async fn api5_2023_settings_keys_and_audit_log_are_for_admins_alone() {
    let harness = Harness::start().await;
    let asked = writer(&harness);
    let (reader, admin) = (secret(), secret());
    let keys = [key(&reader, "read history stream"), key(&admin, "admin")];
    harness.doors.set_ring(KeyRing::new(keys));
    let target = format!("{SETTINGS}/sources.binance.enabled");
    for (method, target, body) in [
        ("GET", SETTINGS, ""),
        ("GET", "/api/v1/admin/audit", ""),
        ("GET", KEYS, ""),
        ("POST", KEYS, r#"{"name": "x", "scopes": ["admin"]}"#),
        ("POST", "/api/v1/admin/keys/3kTMd92x/rotate", "{}"),
        ("DELETE", "/api/v1/admin/keys/3kTMd92x", ""),
        ("PUT", &target, r#"{"value": false}"#),
        ("DELETE", &target, ""),
        ("PATCH", SETTINGS, r#"{"set": {"log.level": null}}"#),
    ] {
        // From the first key on, the server's own machine is like any other.
        let nobody = send(&harness, method, target, "", body).await;
        assert_problem(&nobody, 401, "unauthorized");
        let reads = send(&harness, method, target, &bearer(&reader), body).await;
        assert_problem(&reads, 403, "forbidden");
    }
    assert!(asked.lock().is_empty(), "the Writer was asked");
    let set = send(
        &harness,
        "PUT",
        &target,
        &bearer(&admin),
        r#"{"value": false}"#,
    )
    .await;
    assert_eq!(set.status, 200, "{}", set.text());
    let who = asked.lock()[0].2.who.to_string();
    assert_eq!(who, format!("key:{}", admin.id().as_str()));
    assert!(!who.contains(admin.reveal()));
}

#[tokio::test]
async fn every_mistake_about_a_key_is_told_and_none_is_made() {
    let harness = Harness::start().await;
    for (body, places) in [
        (json!({}), vec!["/name"]),
        (json!({"name": "", "scopes": []}), vec!["/name", "/scopes"]),
        (
            json!({"name": "a\nb", "scopes": ["write"]}),
            vec!["/name", "/scopes"],
        ),
        (
            json!({"name": "x", "expires_in_seconds": 0}),
            vec!["/expires_in_seconds"],
        ),
        (
            json!({"name": "x", "expires_in_seconds": 1e30}),
            vec!["/expires_in_seconds"],
        ),
        (json!({"name": secret().reveal()}), vec!["/name"]),
        (json!({"name": "x", "key": "mine"}), vec!["/key"]),
    ] {
        let refused = send(&harness, "POST", KEYS, "", &body.to_string()).await;
        assert_problem(&refused, 400, "invalid-body");
        let errors = refused.json()["errors"].clone();
        let errors = errors.as_array().unwrap().iter();
        let told: Vec<_> = errors
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(told, places, "{body}");
    }
    let wrong = send(&harness, "DELETE", &format!("{KEYS}/../x"), "", "").await;
    assert!(wrong.status >= 400);
    let wrong = send(&harness, "DELETE", &format!("{KEYS}/short"), "", "").await;
    assert_problem(&wrong, 400, "invalid-parameter");
    let unknown = send(
        &harness,
        "POST",
        &format!("{KEYS}/3kTMd92x/rotate"),
        "",
        "{}",
    )
    .await;
    assert_problem(&unknown, 404, "unknown-key");
    let listed = harness.get(KEYS).await;
    assert_eq!(listed.json(), json!({"keys": []}));
    assert_eq!(listed.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn without_any_key_settings_are_for_the_servers_own_machine_alone() {
    let harness = Harness::start().await;
    let asked = writer(&harness);
    let target = format!("{SETTINGS}/sources.binance.enabled");
    // A proxy on that machine hands on what others ask; a page of another origin is others too.
    for from in [
        "Forwarded: for=203.0.113.9\r\n",
        "X-Forwarded-For: 203.0.113.9\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        let refused = send(&harness, "PUT", &target, from, r#"{"value": false}"#).await;
        assert_problem(&refused, 403, "forbidden");
        let refused = send(&harness, "GET", "/api/v1/admin/audit", from, "").await;
        assert_problem(&refused, 403, "forbidden");
    }
    assert!(asked.lock().is_empty(), "the Writer was asked");
}
