//! Alerts with the real binary: what fires is told, once, whatever happens to the process.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

#[path = "support/receiver.rs"]
mod receiver;
mod support;

use kurs_sim::{Sim, SimConfig, SimHandle};
use kurs_testkit::wait::until_async;
use receiver::{Manner, Receiver};
use serde_json::{Value, json};
use std::process::{Command, Output};
use support::{Kurs, PATIENCE, Reply, World};

const ALERTS: &str = "/api/v1/alerts";
/// Webhooks of these tests are on this machine.
const INSECURE: (&str, &str) = ("KURS_ALERTS__INSECURE_WEBHOOKS", "true");

async fn sim(seed: u64) -> SimHandle {
    Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

/// An alert that fires at once, and then never again.
fn at_once(url: &str) -> Value {
    json!({
        "target": {"kind": "webhook", "url": url},
        "condition": {"kind": "threshold", "pair": "BTC-USDT", "side": "above", "value": "1"},
    })
}

async fn add(kurs: &Kurs, body: Value) -> Value {
    let reply = kurs.send("POST", ALERTS, Some(body)).await;
    assert_eq!(reply.status, 201, "{}", reply.json);
    reply.json
}

async fn deliveries(kurs: &Kurs, id: &str) -> Vec<Value> {
    let reply = kurs.get(&format!("{ALERTS}/{id}/deliveries")).await;
    assert_eq!(reply.status, 200, "{}", reply.json);
    reply.json["deliveries"].as_array().unwrap().clone()
}

/// Waits until all that an alert has to tell is done with, and gives it.
async fn all_done(kurs: &Kurs, id: &str, count: usize) -> Vec<Value> {
    until_async("all is told", PATIENCE, || async {
        let told = deliveries(kurs, id).await;
        let is_done = told.iter().all(|told| told["state"] != "pending");
        (told.len() == count && is_done).then_some(told)
    })
    .await
}

fn id(alert: &Value) -> String {
    alert["id"].as_str().unwrap().to_owned()
}

/// Tells something on the same way: what comes before it has come when it arrives.
async fn mark(kurs: &Kurs, alert: &str, receiver: &Receiver) {
    let reply = kurs
        .send("POST", &format!("{ALERTS}/{alert}/test"), None)
        .await;
    assert_eq!(reply.status, 202, "{}", reply.json);
    let key = reply.json["id"].as_str().unwrap().to_owned();
    receiver
        .until_told(|told| told.iter().any(|told| told.key == key && told.is_taken))
        .await;
}

fn firings(receiver: &Receiver) -> Vec<String> {
    let told = receiver.taken().into_iter();
    let fired = told.filter(|told| told.json()["is_test"] == false);
    fired.map(|told| told.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_told_once_although_the_process_is_killed_before_and_after() {
    let sim = sim(801).await;
    let receiver = Receiver::start(Manner::Silent).await;
    let kurs = Kurs::start(&sim, &[INSECURE], None).await;
    let alert = add(&kurs, at_once(&receiver.url("/hook"))).await;
    let (id, secret) = (id(&alert), alert["secret"].as_str().unwrap().to_owned());
    // It has fired, and is on its way.
    let first = receiver.until_told(|told| !told.is_empty()).await;
    let folder = kurs.process.kill();
    receiver.set(Manner::Busy);
    let mut kurs = Kurs::start(&sim, &[INSECURE], Some(folder)).await;
    receiver.until_told(|told| told.len() > first.len()).await;
    receiver.set(Manner::Takes);
    let told = all_done(&kurs, &id, 1).await;
    assert_eq!(told[0]["state"], "delivered", "{}", told[0]);
    // Another start, an orderly one: it is still above the value, and was told.
    let process = kurs.process.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &process]).status();
    assert!(asked.unwrap().success());
    assert!(kurs.process.end(PATIENCE).await.success());
    let folder = kurs.process.kill();
    let kurs = Kurs::start(&sim, &[INSECURE], Some(folder)).await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    mark(&kurs, &id, &receiver).await;
    assert_eq!(firings(&receiver), [format!("{id}-1")]);
    let keys = receiver.told().into_iter().map(|told| told.key);
    let others: Vec<String> = keys.filter(|key| !key.contains("test")).collect();
    assert!(others.iter().all(|key| *key == first[0].key), "{others:?}");
    for told in receiver.told() {
        assert!(told.is_signed_with(&secret), "{told:?}");
        assert!(!told.is_signed_with("other"));
    }
    let message = first[0].json();
    assert_eq!(message["condition"]["kind"], "threshold");
    assert_eq!(message["state"], "fresh");
    assert_eq!(message["source"], "binance");
    assert_eq!(message["rate"]["pair"], "BTC-USDT");
    assert_eq!(message["number"], 1);
    let shown = kurs.get(&format!("{ALERTS}/{id}")).await.json;
    assert_eq!(
        (&shown["fired"], &shown["is_armed"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(shown["secret"], Value::Null, "it is not shown again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_source_and_a_frozen_pair_are_told() {
    // Nobody else gives the pair.
    let settings = [
        INSECURE,
        ("KURS_SOURCES__COINGECKO__ENABLED", "false"),
        ("KURS_SOURCES__OPENEXCHANGERATES__ENABLED", "false"),
    ];
    let world = World::start(SimConfig::seeded(802), &settings).await;
    let receiver = Receiver::start(Manner::Takes).await;
    world.served_by("BTC-USDT", "binance").await;
    let target = json!({"kind": "webhook", "url": receiver.url("/x")});
    for condition in [
        json!({"kind": "source_loss", "source": "binance", "after_seconds": 1}),
        json!({"kind": "freeze", "pair": "BTC-USDT", "after_seconds": 1}),
        json!({"kind": "percent", "pair": "BTC-USDT", "percent": "900"}),
    ] {
        add(
            &world.kurs,
            json!({"target": target, "condition": condition}),
        )
        .await;
    }
    world.sim.stop().await;
    let told = receiver.until_told(|told| told.len() >= 2).await;
    let mut kinds: Vec<Value> = told
        .iter()
        .map(|told| told.json()["condition"]["kind"].clone())
        .collect();
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["freeze", "source_loss"]);
    for told in told {
        let message = told.json();
        assert!(message["since"].is_string(), "{message}");
        assert_ne!(message["state"], "fresh", "{message}");
    }
    let metrics = reqwest::get(world.kurs.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "kurs_alerts_fired_total{kind=\"freeze\"} 1",
        "kurs_alerts_fired_total{kind=\"percent\"} 0",
        "kurs_alert_lease_held 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_made_changed_and_removed_and_the_log_tells_it() {
    let world = World::start(SimConfig::seeded(803), &[]).await;
    let kurs = &world.kurs;
    let hook = |path: &str| format!("https://hooks.example.org/{path}");
    let made = add(kurs, at_once(&hook("a"))).await;
    let id = id(&made);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("kurs_whsec_"), "{secret}");
    assert_eq!(made["created_by"], "loopback");
    let path = format!("{ALERTS}/{id}");
    let change = json!({"is_paused": true, "name": "above", "condition":
        {"kind": "percent", "pair": "btc/usd", "percent": "2", "window_seconds": 600}});
    let changed = kurs.send("PATCH", &path, Some(change)).await;
    assert_eq!(changed.status, 200, "{}", changed.json);
    assert_eq!(changed.json["condition"]["pair"], "BTC-USD");
    assert_eq!(changed.json["revision"], 2);
    let list = kurs.get(ALERTS).await;
    assert_eq!(list.json["alerts"][0]["name"], "above");
    assert!(!list.json.to_string().contains("whsec"));
    let listed = list.headers["etag"].to_str().unwrap();
    assert!(listed.starts_with("\"2-"), "{listed}");
    // Only of the revision that is not there any more.
    let url = kurs.url(&path);
    let late = reqwest::Client::new()
        .patch(url)
        .header("if-match", "\"1\"")
        .header("content-type", "application/json")
        .body("{\"is_paused\":false}")
        .send();
    assert_eq!(late.await.unwrap().status(), 412);
    let kind = |reply: &Reply| {
        let kind = reply.json["type"].as_str().unwrap();
        kind.rsplit('#').next().unwrap().to_owned()
    };
    let wrong = kurs
        .send(
            "PATCH",
            &path,
            Some(json!({"condition": {"kind": "freeze"}})),
        )
        .await;
    assert_eq!((wrong.status, &*kind(&wrong)), (422, "invalid-alert"));
    assert_eq!(wrong.json["errors"][0]["pointer"], "/condition/pair");
    let inside = kurs
        .send("POST", ALERTS, Some(at_once("https://10.0.0.1/")))
        .await;
    assert_eq!((inside.status, &*kind(&inside)), (422, "invalid-alert"));
    assert_eq!(inside.json["errors"][0]["pointer"], "/target/url");
    for method in ["DELETE", "GET", "PATCH"] {
        let body = (method == "PATCH").then(|| json!({}));
        let unknown = kurs.send(method, &format!("{ALERTS}/nowhere"), body).await;
        assert_eq!((unknown.status, &*kind(&unknown)), (404, "unknown-alert"));
    }
    let gone = kurs.send("DELETE", &path, None).await;
    assert_eq!(gone.status, 204);
    let log = kurs.get("/api/v1/admin/audit?limit=100").await.json;
    let told: Vec<&str> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(told, ["remove_alert", "change_alert", "create_alert"]);
    assert!(!log.to_string().contains("whsec"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_alert_and_the_limit_holds() {
    let settings = [("KURS_ALERTS__MAX_PER_TARGET", "2")];
    let world = World::start(SimConfig::seeded(804), &settings).await;
    let client = reqwest::Client::new();
    let url = world.kurs.url(ALERTS);
    let ask = async |key: &str, body: Value| {
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body.to_string());
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        (status, body)
    };
    let body = at_once("https://hooks.example.org/a");
    let (status, first) = ask("one", body.clone()).await;
    assert_eq!(status, 201, "{first}");
    let (status, again) = ask("one", body.clone()).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(
        (&again["id"], &again["secret"]),
        (&first["id"], &first["secret"])
    );
    let (status, other) = ask("one", at_once("https://hooks.example.org/b")).await;
    assert_eq!(status, 422, "{other}");
    assert_eq!(ask("two", body.clone()).await.0, 201);
    let (status, full) = ask("three", body).await;
    assert_eq!(status, 409, "{full}");
    let list = world.kurs.get(ALERTS).await.json;
    assert_eq!(list["alerts"].as_array().unwrap().len(), 2);
}

/// `kurs alerts` against a server.
fn kurs(server: &Kurs, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .env_clear()
        .env("KURS_SERVER", server.url(""))
        .current_dir(server.process.folder())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_what_the_api_does() {
    let world = World::start(SimConfig::seeded(805), &[INSECURE]).await;
    let receiver = Receiver::start(Manner::Takes).await;
    let run = |arguments: &[&str]| {
        let output = kurs(&world.kurs, arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let url = receiver.url("/cli");
    let (code, id, said) = run(&[
        "alerts",
        "add",
        "depeg",
        "USDT",
        "900",
        "--webhook",
        &url,
        "--name",
        "peg",
    ]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("kurs_whsec_"), "{said}");
    let id = id.trim();
    assert_eq!(run(&["alerts", "test", id]).0, Some(0));
    let told = receiver.until_told(|told| !told.is_empty()).await;
    assert_eq!(told[0].json()["is_test"], true);
    assert_eq!(run(&["alerts", "pause", id]).0, Some(0));
    let (_, table, _) = run(&["alerts"]);
    for word in [id, "peg", "depeg USDT 900", "paused", &url] {
        assert!(table.contains(word), "{word} is missing in\n{table}");
    }
    assert_eq!(run(&["alerts", "resume", id]).0, Some(0));
    let (_, table, _) = run(&["alerts", "told", id]);
    assert!(table.contains("test of the alert"), "{table}");
    assert_eq!(
        run(&["alerts", "remove", id]).0,
        Some(2),
        "nobody can be asked"
    );
    assert_eq!(run(&["alerts", "remove", id, "--yes"]).0, Some(0));
    assert_eq!(run(&["alerts", "remove", id, "--yes"]).0, Some(3));
}
