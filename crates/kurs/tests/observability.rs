//! The dashboard of Grafana and the alerts of Prometheus in `deploy/`: with the real Prometheus, on
//! `kurs demo`.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

use kurs_testkit::PrivateProcess;
use kurs_testkit::process::free_port;
use kurs_testkit::wait::until_async;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longest time anything here may take; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of `deploy/`.
fn deployed(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    root.join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(deployed(name)).unwrap()
}

/// What `promtool` says of the rules and their tests.
fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(deployed("prometheus"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// The words after `key:` of each line that has it.
fn named<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.collect()
}

#[test]
fn every_alert_has_a_test_that_it_passes() {
    let (rules, tests) = (
        text("prometheus/alerts.yml"),
        text("prometheus/alerts.test.yml"),
    );
    let (alerts, tested) = (named(&rules, "alert"), named(&tests, "alertname"));
    assert!(alerts.len() >= 10, "{alerts:?}");
    assert_eq!(alerts, tested);
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "alerts.test.yml"]);
}

#[test]
fn alerts_and_panels_ask_for_metrics_that_kurs_has() {
    let documented = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md"),
    );
    let mut documented = documented.unwrap();
    let streams = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/streams.md");
    documented.push_str(&std::fs::read_to_string(streams).unwrap());
    for file in ["prometheus/alerts.yml", "grafana/kurs.json"] {
        let text = text(file);
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        let words = text.split(|c: char| !is_part(c));
        for word in words.filter(|word| word.starts_with("kurs_")) {
            let word = word.trim_end_matches("_bucket");
            assert!(documented.contains(word), "{file}: {word}");
        }
    }
}

/// The expression of every panel, with the variable of the dashboard as Grafana fills it.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text("grafana/kurs.json")).unwrap();
    assert_eq!(dashboard["uid"], "kurs-overview");
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let asked = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| {
            let expression = target["expr"].as_str().unwrap();
            (title.clone(), expression.replace("$job", ".+"))
        })
    });
    asked.collect()
}

async fn query(client: &reqwest::Client, prometheus: &str, expression: &str) -> Option<Value> {
    let url = reqwest::Url::parse_with_params(
        &format!("{prometheus}/api/v1/query"),
        [("query", expression)],
    );
    let answer = client.get(url.unwrap()).send().await.ok()?;
    let answer: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    assert_ne!(answer["errorType"], "bad_data", "{expression}: {answer}");
    let result = answer["data"]["result"].as_array()?.clone();
    // Not a number is no data either.
    let has_value = result.iter().any(|series| series["value"][1] != "NaN");
    has_value.then_some(Value::Array(result))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_has_data_soon_after_the_start_and_no_alert_fires() {
    // Another test of this process may have done it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (kurs, port) = (free_port(), free_port());
    let address = format!("127.0.0.1:{kurs}");
    let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
    let demo = PrivateProcess::start(program, ["demo"], [("KURS_HTTP__ADDR", address.as_str())]);
    demo.line("kurs is ready: ", PATIENCE).await;
    let folder = tempfile::tempdir().unwrap();
    let config = text("prometheus/prometheus.yml")
        .replace("127.0.0.1:8080", &address)
        .replace("5s", "1s");
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    std::fs::write(
        folder.path().join("alerts.yml"),
        text("prometheus/alerts.yml"),
    )
    .unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let arguments = [
        format!("--config.file={}", at("prometheus.yml")),
        format!("--storage.tsdb.path={}", at("data")),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let _prometheus =
        PrivateProcess::start(Path::new("prometheus"), arguments, [("GOMAXPROCS", "1")]);
    let (client, url) = (reqwest::Client::new(), format!("http://127.0.0.1:{port}"));
    // Something is asked and something listens, as on any server.
    let _stream = client
        .get(format!("http://{address}/api/v1/stream"))
        .send()
        .await;
    let panels = panels();
    assert!(panels.len() > 25, "{}", panels.len());
    for (title, expression) in panels {
        until_async(&format!("{title}: {expression}"), PATIENCE, || async {
            let _ = client
                .get(format!("http://{address}/api/v1/rates/BTC/USD"))
                .send()
                .await;
            query(&client, &url, &expression).await
        })
        .await;
    }
    let firing = query(&client, &url, r#"ALERTS{alertstate="firing"}"#).await;
    assert_eq!(firing, None);
}
