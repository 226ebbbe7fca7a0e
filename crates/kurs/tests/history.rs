//! What is kept, asked for as a user would: any moment again, over restarts and while the database
//! is away; candles, official rates, gaps, copies and exports.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_core::{Clock, SystemClock, Wall};
use kurs_sim::{Fault, FaultKind, Sim, SimConfig, SimHandle, Venue};
use kurs_testkit::Postgres;
use kurs_testkit::wait::until_async;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{ALL_EXCHANGES, Kurs, PATIENCE};

/// Direct, inverse and cross rates, several of them with ways of equal length.
const PAIRS: [&str; 8] = [
    "BTC/RUB",
    "RUB/BTC",
    "ETH/EUR",
    "ETH/BTC",
    "USDT/RUB",
    "BTC/USDT",
    "EUR/RUB",
    "USDTTRC/USD",
];

async fn sim(seed: u64) -> SimHandle {
    Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

/// An answer as it was served.
struct Served {
    path: String,
    json: Value,
}

/// Asks for this many rates, one after the other.
async fn served(kurs: &Kurs, count: usize) -> Vec<Served> {
    let mut all = Vec::new();
    for n in 0..count {
        let path = format!("/api/v1/rates/{}", PAIRS[n % PAIRS.len()]);
        let reply = kurs.get(&path).await;
        if reply.status == 200 {
            all.push(Served {
                path,
                json: reply.json,
            });
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    assert!(all.len() > count / 2);
    all
}

/// Each answer is told again for the moment at which it was published.
async fn are_told_again(kurs: &Kurs, all: &[Served]) {
    for one in all {
        let at = one.json["published_at"].as_str().unwrap();
        let path = format!("{}?at={at}&seq={}", one.path, one.json["seq"]);
        let told = kurs.get(&path).await;
        assert_eq!(told.status, 200, "{path}: {}", told.json);
        assert_eq!(told.json, one.json, "{path}");
    }
}

async fn warm(kurs: &Kurs) {
    kurs.until("BTC-RUB", |rate| rate["state"] == "fresh").await;
    kurs.until("ETH-EUR", |rate| rate["state"] == "fresh").await;
    kurs.until("USDT-RUB", |rate| rate["state"] == "fresh")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_told_again_for_its_moment_also_after_a_restart() {
    let sim = sim(71).await;
    let kurs = Kurs::start(&sim, &ALL_EXCHANGES, None).await;
    let before = SystemClock::new().now().wall;
    warm(&kurs).await;
    let first = served(&kurs, 80).await;
    are_told_again(&kurs, &first).await;
    // Who names an answer that was none is not given another one.
    let at = first[0].json["published_at"].as_str().unwrap();
    let none = kurs.get(&format!("{}?at={at}&seq=0", first[0].path)).await;
    assert_eq!(none.status, 404, "{}", none.json);
    assert_eq!(none.json["type"], "/docs/problems#no-rate-then");

    // The explanation is that of then.
    let path = "/api/v1/rates/BTC/RUB?explain=true";
    let explained = kurs.get(path).await.json;
    let at = explained["published_at"].as_str().unwrap().to_owned();
    let told = kurs.get(&format!("{path}&at={at}")).await.json;
    for member in ["value", "source", "reason", "since", "legs", "rejections"] {
        assert_eq!(told[member], explained[member], "{member}");
    }
    let sources = |json: &Value| {
        let rows = json["constituents"].as_array().unwrap().clone();
        let names = rows.iter().map(|row| row["source"].to_string());
        names.collect::<HashSet<_>>()
    };
    assert_eq!(sources(&told), sources(&explained));

    let path = format!("/api/v1/rates/BTC/RUB?at={}", Wall(before.0 - 60_000_000));
    let told = kurs.get(&path).await;
    assert_eq!(told.status, 404, "{}", told.json);
    assert_eq!(told.json["type"], "/docs/problems#no-rate-then");
    let tomorrow = before.plus(Duration::from_secs(86_400));
    let told = kurs
        .get(&format!("/api/v1/rates/BTC/RUB?at={tomorrow}"))
        .await;
    assert_eq!(told.status, 400, "{}", told.json);
    assert_eq!(told.json["errors"][0]["parameter"], "at");

    let mut kurs = kurs;
    let id = kurs.process.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.unwrap().success());
    assert!(kurs.process.end(PATIENCE).await.success());
    let folder = kurs.process.kill();
    let kurs = Kurs::start(&sim, &ALL_EXCHANGES, Some(folder)).await;
    are_told_again(&kurs, &first).await;
    // The time between is a gap of what was followed.
    let gap = until_async("the gap of the restart", PATIENCE, || async {
        let told = kurs.get("/api/v1/gaps?pair=BTC-USDT&source=binance").await;
        let gaps = told.json["gaps"].as_array()?.clone();
        gaps.into_iter()
            .find(|gap| gap["why"] == "kurs did not run" && gap["ended"].is_string())
    })
    .await;
    assert!(gap["began"].as_str() < gap["ended"].as_str(), "{gap}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_live_on_without_postgresql_and_nothing_is_lost_or_doubled() {
    let server = Postgres::start();
    let database = server.database();
    let sim = sim(72).await;
    let url = database.url();
    let settings = [
        ("KURS_STORE__URL", url.as_str()),
        ("KURS_STORE__AUTO_MIGRATE", "true"),
    ];
    let kurs = Kurs::start(&sim, &settings, None).await;
    warm(&kurs).await;
    server.kill();
    // Everything about history may be away; rates are not.
    let during = until_async("history on disk", PATIENCE, || async {
        let told = kurs.get("/readyz?verbose").await;
        let checks = told.json["checks"].to_string();
        (told.status == 200 && checks.contains("waits on disk")).then_some(())
    });
    during.await;
    let while_away = served(&kurs, 40).await;
    let away = kurs.get("/api/v1/history/BTC/USDT").await;
    assert_eq!(away.status, 503, "{}", away.json);
    server.restart();
    until_async("history drained", PATIENCE, || async {
        let told = kurs.get("/readyz?verbose").await;
        let history = told.json["checks"].as_array()?.iter().find_map(|check| {
            let is_history = check["name"] == "history";
            is_history.then(|| check["status"].clone())
        })?;
        (history == "ok").then_some(())
    })
    .await;
    are_told_again(&kurs, &while_away).await;
    let mut seen = HashSet::new();
    let mut path = "/api/v1/history/BTC/USDT?limit=1000&source=binance".to_owned();
    loop {
        let page = kurs.get(&path).await.json;
        for point in page["points"].as_array().unwrap() {
            let id = (point["epoch"].as_u64(), point["seq"].as_u64());
            assert!(seen.insert(id), "{point} is there twice");
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/history/BTC/USDT?limit=1000&source=binance&cursor={next}");
    }
    // How many came depends on how long all of this took.
    assert!(seen.len() > 20, "{}", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_a_bank_is_a_further_version_and_outages_are_gaps() {
    let sim = sim(73).await;
    let settings = [("KURS_RECORDER__BOOK_EVERY_SECONDS", "1")];
    let kurs = Kurs::start(&sim, &settings, None).await;
    warm(&kurs).await;
    let official = until_async("an official rate", PATIENCE, || async {
        let told = kurs.get("/api/v1/official/cbr/USD-RUB").await;
        told.json["rates"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(official["version"], 1, "{official}");
    assert_eq!(official["day"].as_str().unwrap().len(), 10);
    for path in ["official/nobody/USD-RUB", "books/nobody/BTC-USDT/snapshots"] {
        let told = kurs.get(&format!("/api/v1/{path}")).await;
        assert_eq!(told.status, 404, "{path}");
        assert_eq!(told.json["type"], "/docs/problems#unknown-source", "{path}");
    }
    until_async("a book of the past", PATIENCE, || async {
        let told = kurs.get("/api/v1/books/binance/BTC-USDT/snapshots").await;
        let books = told.json["books"].as_array()?.clone();
        let level = books.first()?["bids"][0]["price"].as_str()?.to_owned();
        (!level.is_empty()).then_some(())
    })
    .await;
    sim.fault(Venue::Binance, Fault::new(FaultKind::Reset));
    let open = until_async("an open gap", PATIENCE, || async {
        let told = kurs.get("/api/v1/gaps?source=binance").await;
        told.json["gaps"].as_array()?.first().cloned()
    })
    .await;
    assert!(!open["why"].as_str().unwrap().is_empty(), "{open}");
    let empty = kurs.get("/api/v1/gaps?source=binance&pair=NOPE-NADA").await;
    assert!(empty.status == 200 || empty.status == 404, "{}", empty.json);
    let wrong = kurs
        .get("/api/v1/gaps?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z")
        .await;
    assert_eq!(wrong.json["errors"][0]["parameter"], "start");
}

fn command(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = [ended.stdout, ended.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (ended.status.code().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_store_is_copied_exported_and_brought_back() {
    let sim = sim(74).await;
    let kurs = Kurs::start(&sim, &[], None).await;
    warm(&kurs).await;
    let first = served(&kurs, 16).await;
    are_told_again(&kurs, &first).await;
    let folder = kurs.process.folder().to_owned();
    let run = |arguments: &[&str]| command(&folder, arguments);

    let (code, text) = run(&["backup", "copy.db"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = run(&["backup", "copy.db"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("--overwrite"), "{text}");
    let (code, text) = run(&["restore", "copy.db", "--yes"]);
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("is in use: stop kurs first"), "{text}");

    let (code, csv) = run(&["export", "BTC-USDT"]);
    assert_eq!(code, 0, "{csv}");
    let rows = csv.lines().count();
    assert!(
        rows > 10 && csv.starts_with("pair,source,received_at,"),
        "{rows}"
    );
    for (what, format, file) in [
        ("published", "ndjson", "p.ndjson"),
        ("received", "parquet", "r.parquet"),
        ("candles", "parquet", "c.parquet"),
    ] {
        let arguments = ["export", "--what", what, "--format", format, "-o", file];
        let (code, text) = run(&arguments);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(" rows"), "{text}");
        assert!(folder.join(file).metadata().unwrap().len() > 100);
    }
    let (code, text) = run(&["export", "--format", "parquet"]);
    assert_eq!(code, 2, "{text}");

    let folder_of_kurs = kurs.process.kill();
    let (code, text) = command(folder_of_kurs.path(), &["restore", "copy.db", "--no-input"]);
    assert_eq!(code, 2, "{text}");
    let (code, text) = command(folder_of_kurs.path(), &["restore", "copy.db", "--yes"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(".before-"), "{text}");
    let (code, text) = command(folder_of_kurs.path(), &["migrate", "--check"]);
    assert_eq!(code, 0, "{text}");
    let kurs = Kurs::start(&sim, &[], Some(folder_of_kurs)).await;
    are_told_again(&kurs, &first).await;
}

#[test]
fn looking_makes_no_database_and_finding_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let kurs = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
        command.args(arguments).current_dir(folder.path());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let url = ["--store-url", "sqlite:nothere.db"];
    let (code, said) = kurs(&["export", "BTC-USDT", url[0], url[1]]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no database"), "{said}");
    assert_eq!(kurs(&["migrate", "--check", url[0], url[1]]).0, Some(1));
    assert_eq!(kurs(&["migrate", "--dry-run", url[0], url[1]]).0, Some(0));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    assert_eq!(kurs(&["migrate"]).0, Some(0));
    let (code, said) = kurs(&["export", "BTC-USDT"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("the store holds no such rows"), "{said}");
    assert_eq!(kurs(&["backup", "no/folder/copy.db"]).0, Some(2));
}

#[test]
fn the_doctor_tells_a_newer_schema_that_allows_this_program_from_one_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kurs.db");
    let url = format!("store.url=sqlite:{}", file.display());
    let kurs = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
        command.args(arguments).args(["--set", &url]);
        command.current_dir(folder.path()).output().unwrap()
    };
    assert!(kurs(&["migrate"]).status.success());
    let database = rusqlite::Connection::open(&file).unwrap();
    let newest: u32 = database
        .query_row("SELECT max(version) FROM schema_migrations", [], |row| {
            row.get(0)
        })
        .unwrap();
    let insert =
        "INSERT INTO schema_migrations (version, name, checksum, applied_at, compatible_from)
                  VALUES (?1, 'newer.sql', 'x', 'then', ?2)";
    database.execute(insert, [newest + 1, newest]).unwrap();
    let store_line = || {
        let output = kurs(&["doctor", "--plain"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("store.url"));
        line.unwrap().to_owned()
    };
    let allowed = store_line();
    assert!(allowed.contains("which allows this kurs"), "{allowed}");
    let narrow = "UPDATE schema_migrations SET compatible_from = ?1 WHERE version = ?1";
    database.execute(narrow, [newest + 1]).unwrap();
    let refused = store_line();
    assert!(refused.contains("written by a newer kurs"), "{refused}");
}
