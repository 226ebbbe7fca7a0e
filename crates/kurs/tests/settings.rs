//! What is set while kurs runs, with the real binary.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Sim, SimConfig, SimHandle};
use kurs_testkit::wait::until_async;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use support::{ALL_EXCHANGES, Kurs, PATIENCE, Reply, World, venues};

const SETTINGS: &str = "/api/v1/admin/settings";

async fn set(kurs: &Kurs, key: &str, value: Value) -> Reply {
    let body = json!({ "value": value, "why": "a test" });
    kurs.send("PUT", &format!("{SETTINGS}/{key}"), Some(body))
        .await
}

async fn unset(kurs: &Kurs, key: &str) -> Reply {
    kurs.send("DELETE", &format!("{SETTINGS}/{key}"), None)
        .await
}

#[track_caller]
fn assert_set(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.json);
    assert_eq!(reply.json["taken_over"], true, "{}", reply.json);
}

async fn log(kurs: &Kurs) -> Vec<Value> {
    let page = kurs.get("/api/v1/admin/audit?limit=1000").await;
    assert_eq!(page.status, 200, "{}", page.json);
    page.json["entries"].as_array().unwrap().clone()
}

async fn sim(seed: u64) -> SimHandle {
    Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

/// `kurs settings` and `kurs keys` against a server, and on its store.
fn kurs(server: &Kurs, arguments: &[&str]) -> Output {
    let folder = server.process.folder();
    Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .env_clear()
        .env("USER", "ops")
        .env("KURS_SERVER", server.url(""))
        .env("KURS_STORE__URL", store_url(folder))
        .current_dir(folder)
        .output()
        .unwrap()
}

fn store_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("kurs.db").display())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_switched_off_gives_no_more_rate_until_it_is_taken_back() {
    let world = World::start(SimConfig::seeded(71), &ALL_EXCHANGES).await;
    let kurs = &world.kurs;
    world.served_by("BTC-USDT", "binance").await;
    let reply = set(kurs, "sources.binance.enabled", json!(false)).await;
    assert_set(&reply);
    let next = kurs
        .until("BTC-USDT", |rate| {
            rate["source"] != "binance" && rate["state"] == "fresh"
        })
        .await;
    assert_ne!(next["source"], "binance");
    until_async("the source is gone", PATIENCE, || async {
        kurs.source("binance").await.is_null().then_some(())
    })
    .await;
    let again = set(kurs, "sources.binance.enabled", json!(false)).await;
    assert_eq!(again.json["changed"], false, "{}", again.json);
    assert_set(&unset(kurs, "sources.binance.enabled").await);
    world.served_by("BTC-USDT", "binance").await;
    let log = log(kurs).await;
    let told: Vec<String> = log
        .iter()
        .map(|entry| format!("{} {} {}", entry["who"], entry["action"], entry["subject"]))
        .collect();
    assert_eq!(
        told,
        [
            r#""loopback" "unset_setting" "sources.binance.enabled""#,
            r#""loopback" "set_setting" "sources.binance.enabled""#
        ],
        "what was so before is not noted"
    );
    assert_eq!(
        (&log[0]["before"], &log[1]["after"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&log[1]["why"], &log[1]["address"]),
        (&json!("a test"), &json!("127.0.0.1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_rate_is_served_with_who_stands_for_it_and_ends() {
    let world = World::start(SimConfig::seeded(72), &[]).await;
    let kurs = &world.kurs;
    world.served_by("BTC-USDT", "binance").await;
    let fixed = |until: &str| json!({"value": "97.50", "owner": "treasury", "until": until});
    assert_set(&set(kurs, "policy.USDT-RUB", fixed("2999-12-31")).await);
    let rate = kurs
        .until("USDT-RUB", |rate| rate["source"] == "fixed")
        .await;
    assert_eq!(rate["value"], "97.5");
    let told = kurs
        .get("/api/v1/rates/USDT/RUB?explain=true")
        .await
        .json
        .to_string();
    assert!(
        told.contains("treasury") && told.contains("2999-12-31"),
        "{told}"
    );
    assert_set(&set(kurs, "policy.USDT-RUB", fixed("2001-01-01")).await);
    until_async("the fixed rate has ended", PATIENCE, || async {
        let reply = kurs.rate("USDT-RUB").await;
        (reply.status == 503 && reply.json.to_string().contains("ended")).then_some(())
    })
    .await;
    assert_set(&unset(kurs, "policy.USDT-RUB").await);
    kurs.until("USDT-RUB", |rate| rate["source"] != "fixed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_refused_with_all_mistakes_and_change_nothing() {
    let world = World::start(SimConfig::seeded(73), &[]).await;
    let kurs = &world.kurs;
    let wrong = json!({"set": {
        "sources.binance.priority": 0,
        "sources.binance.ws_url": "ws://127.0.0.1:1",
        "http.addr": "0.0.0.0:80",
        "directions": ["BTC-"],
        "log.level": "DEBUG",
    }});
    let refused = kurs.send("PATCH", SETTINGS, Some(wrong)).await;
    assert_eq!(refused.status, 422, "{}", refused.json);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(
        refused.json["errors"].as_array().unwrap().len(),
        4,
        "{}",
        refused.json
    );
    let list = kurs.get(SETTINGS).await.json;
    assert_eq!(
        (&list["version"], &list["settings"]),
        (&json!(0), &json!([]))
    );
    assert!(log(kurs).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_holds_after_a_kill_from_the_first_rate_on_and_may_be_ignored() {
    let sim = sim(74).await;
    let kurs = Kurs::start(&sim, &ALL_EXCHANGES, None).await;
    kurs.until("BTC-USDT", |rate| rate["source"] == "binance")
        .await;
    assert_set(&set(&kurs, "sources.binance.enabled", json!(false)).await);
    let folder = kurs.process.kill();

    let kurs = Kurs::start(&sim, &ALL_EXCHANGES, Some(folder)).await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    assert!(kurs.source("binance").await.is_null(), "it was started");
    let list = kurs.get(SETTINGS).await.json;
    assert_eq!(list["settings"][0]["is_in_force"], true, "{list}");
    let configured = &list["settings"][0]["configured"];
    assert_eq!(configured["value"], true);
    let folder = kurs.process.kill();

    let mut environment = venues(&sim);
    environment.push(("KURS_LOG__FORMAT".to_owned(), "text".to_owned()));
    let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
    let arguments = ["serve", "--ignore-settings"];
    let process = kurs_testkit::PrivateProcess::start_in(folder, program, arguments, environment);
    let line = process.line("kurs is ready: ", PATIENCE).await;
    let at = line.find("http://").unwrap();
    let base = line[at..].split([' ', '"']).next().unwrap().to_owned();
    let get = async |path: &str| {
        let reply = reqwest::get(format!("{base}{path}")).await.unwrap();
        serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap()
    };
    until_async("the source is back", PATIENCE, || async {
        let sources = get("/api/v1/sources").await.to_string();
        sources.contains("\"binance\"").then_some(())
    })
    .await;
    let why = get(SETTINGS).await["settings"][0]["why_not"].clone();
    assert!(why.as_str().unwrap().contains("--ignore-settings"), "{why}");
    assert!(
        get("/health")
            .await
            .to_string()
            .contains("--ignore-settings")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_setting_that_is_wrong_does_not_keep_kurs_from_starting() {
    let sim = sim(75).await;
    let kurs = Kurs::start(&sim, &[], None).await;
    assert_set(&set(&kurs, "sources.kraken.priority", json!(7)).await);
    let folder = kurs.process.kill();
    // As a newer program, or another file, may leave it.
    let store = rusqlite::Connection::open(folder.path().join("kurs.db")).unwrap();
    store
        .execute_batch(
            "INSERT INTO settings VALUES ('of.tomorrow', '1', 0, 'x', NULL),
                 ('log.level', '\"LOUD\"', 0, 'x', NULL),
                 ('policy.BTC-EUR', '{\"sources\":[\"nobody\"]}', 0, 'x', NULL);
             UPDATE setting_version SET version = version + 1",
        )
        .unwrap();
    drop(store);
    let kurs = Kurs::start(&sim, &[], Some(folder)).await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    let list = kurs.get(SETTINGS).await.json["settings"].clone();
    let stands: Vec<(&str, bool)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["key"].as_str().unwrap(), one["is_in_force"] == true))
        .collect();
    assert_eq!(
        stands,
        [
            ("log.level", false),
            ("of.tomorrow", false),
            ("policy.BTC-EUR", false),
            ("sources.kraken.priority", true)
        ]
    );
    let health = kurs.get("/health").await;
    assert_eq!(health.status, 200, "degraded, and in service");
    assert!(
        health.json.to_string().contains("3 not in force"),
        "{}",
        health.json
    );
    // What nobody knows can still be taken away.
    for key in ["of.tomorrow", "log.level", "policy.BTC-EUR"] {
        assert_set(&unset(&kurs, key).await);
    }
    let health = kurs.get("/health").await.json;
    assert_eq!(health["status"], "ok", "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_running() {
    let world = World::start(SimConfig::seeded(76), &[]).await;
    let kurs = &world.kurs;
    let body = json!({"set": {
        "limits.loopback": true, "limits.anonymous.requests": 3,
        "limits.anonymous.window_seconds": 3_600,
    }});
    let reply = kurs.send("PATCH", SETTINGS, Some(body)).await;
    assert_set(&reply);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(kurs.get("/api/v1/pairs").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_of_one_version_the_second_is_refused() {
    let world = World::start(SimConfig::seeded(77), &[]).await;
    let kurs = &world.kurs;
    let list = kurs.get(SETTINGS).await;
    let etag = list.headers["etag"].to_str().unwrap().to_owned();
    let client = reqwest::Client::new();
    let put = async |value: u32| {
        let request = client
            .put(kurs.url(&format!("{SETTINGS}/sources.kraken.priority")))
            .header("if-match", &etag)
            .header("content-type", "application/json")
            .body(json!({ "value": value }).to_string());
        request.send().await.unwrap().status().as_u16()
    };
    let (one, other) = tokio::join!(put(7), put(8));
    let mut both = [one, other];
    both.sort_unstable();
    assert_eq!(both, [200, 412]);
    assert_eq!(log(kurs).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_whoever_changed_what_and_holds_no_secret() {
    let world = World::start(SimConfig::seeded(78), &[]).await;
    let server = &world.kurs;
    world.served_by("BTC-USDT", "binance").await;
    let symbol = json!({"symbol": "SOLUSDT"});
    let added = server.send("POST", "/api/v1/currency", Some(symbol)).await;
    assert_eq!(added.status, 201, "{}", added.json);
    let gone = server
        .send("DELETE", "/api/v1/currency/SOLUSDT", None)
        .await;
    assert_eq!(gone.status, 204);
    let set = kurs(
        server,
        &["settings", "set", "log.level", "DEBUG", "--why", "a look"],
    );
    assert!(set.status.success(), "{}", text(&set.stderr));
    let over = ["settings", "unset", "log.level", "--why", "it is over"];
    let unset = kurs(server, &over);
    assert!(unset.status.success(), "{}", text(&unset.stderr));
    let made = kurs(
        server,
        &["keys", "create", "--name", "ops", "--scope", "admin"],
    );
    let secret = text(&made.stdout).trim().to_owned();
    let id = secret.split('_').nth(2).unwrap().to_owned();
    until_async("a key is wanted from now on", PATIENCE, || async {
        (server.get("/api/v1/admin/audit").await.status == 401).then_some(())
    })
    .await;
    let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(["settings", "audit", "--json"])
        .env_clear()
        .env("KURS_SERVER", server.url(""))
        .env("KURS_API_KEY", &secret)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let page: Value = serde_json::from_str(&shown).unwrap();
    let told: Vec<String> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap_or("").to_owned();
            format!("{} {} {}", word("who"), word("action"), word("subject"))
        })
        .collect();
    assert_eq!(
        told,
        [
            format!("cli:ops create_key {id}"),
            "loopback unset_setting log.level".to_owned(),
            "loopback set_setting log.level".to_owned(),
            "loopback untrack_symbol SOLUSDT".to_owned(),
            "loopback track_symbol SOLUSDT".to_owned(),
        ]
    );
    assert_eq!(page["entries"][1]["why"], "it is over");
    let last = secret.rsplit('_').nth(1).unwrap();
    assert!(!shown.contains(last), "a secret is in the log");
    // Without a key nothing can be changed any more.
    let refused = server
        .send("DELETE", &format!("{SETTINGS}/log.level"), None)
        .await;
    assert_eq!(refused.status, 401, "{}", refused.json);
}
