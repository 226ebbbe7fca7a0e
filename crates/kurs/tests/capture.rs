//! Record and replay with the real program: what was served comes out again, twice the same,
//! whatever happened to the recorder and whatever stands in the file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

mod support;

use kurs_core::Mono;
use kurs_sim::{Pin, SimConfig, Venue};
use kurs_testkit::wait::until_async;
use kurs_testkit::{PrivateProcess, fixtures};
use kurs_writer::capture::files::readable;
use kurs_writer::capture::line::{Direction, Line};
use kurs_writer::capture::read::{End, Lines, Next};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{ALL_EXCHANGES, PATIENCE, World};

/// Longest line of a capture.
const LINE_BYTES_MAX: usize = 32 << 20;

fn kurs(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn replay(path: &Path, more: &[&str]) -> (Value, String) {
    let mut arguments = vec!["replay", path.to_str().unwrap(), "--output", "json"];
    arguments.extend(more);
    let output = kurs(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

/// Value and source of every rate, by pair.
fn rates(document: &Value) -> BTreeMap<String, (String, String)> {
    let text = |rate: &Value, name: &str| rate[name].as_str().unwrap_or_default().to_owned();
    document["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| {
            let value = (text(rate, "value"), text(rate, "source"));
            (text(rate, "pair"), value)
        })
        .collect()
}

/// Every line of a folder of captures, with how the last file ended.
fn lines(folder: &Path, mut each: impl FnMut(&Line<'_>)) -> End {
    let mut last = End::Whole;
    for path in readable(folder).unwrap() {
        let mut lines = Lines::open(&path, &Arc::default()).unwrap();
        loop {
            match lines.next_line() {
                Next::Line(bytes) => each(&Line::parse(bytes).unwrap()),
                Next::TooLong => panic!("too long"),
                Next::End(end) => {
                    last = end;
                    break;
                }
            }
        }
    }
    last
}

fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_with_the_rates_that_were_served_live_and_twice_the_same() {
    let captures = tempfile::tempdir().unwrap();
    let folder = captures.path().to_str().unwrap().to_owned();
    let mut settings = vec![
        ("KURS_CAPTURE__ENABLED", "true"),
        ("KURS_CAPTURE__DIR", &folder),
        ("KURS_PAIRS", "BTC-USDT,ETH-USDT,SOL-USD"),
    ];
    settings.extend(ALL_EXCHANGES);
    let mut world = World::start(SimConfig::seeded(11), &settings).await;
    world.served_by("BTC-USDT", "binance").await;
    world.served_by("USDT-USD", "coingecko").await;
    for name in ["binance", "coinbase", "kraken", "bybit", "okx"] {
        let speaks = |source: &Value| {
            source["state"] == "live" && source["messages"].as_u64().is_some_and(|count| count > 10)
        };
        world.kurs.source_until(name, speaks).await;
    }
    // From here on nothing moves, so that the last moments are not in question.
    for (venue, symbol, price) in [
        (Venue::Binance, "BTCUSDT", "54321.5"),
        (Venue::Bybit, "BTCUSDT", "54321.5"),
        (Venue::Okx, "BTC-USDT", "54321.5"),
        (Venue::Binance, "ETHUSDT", "3210.5"),
        (Venue::Bybit, "ETHUSDT", "3210.5"),
        (Venue::Okx, "ETH-USDT", "3210.5"),
        (Venue::Coinbase, "SOL-USD", "150.5"),
        (Venue::Kraken, "SOL/USD", "150.5"),
    ] {
        let pin = Pin::Price(price.parse().unwrap());
        assert!(world.sim.pin(venue, symbol, pin), "{venue:?} {symbol}");
    }
    for (pair, value) in [
        ("BTC-USDT", "54321.5"),
        ("ETH-USDT", "3210.5"),
        ("SOL-USD", "150.5"),
    ] {
        world.kurs.until(pair, |rate| rate["value"] == value).await;
    }
    let mut live = BTreeMap::new();
    for pair in [
        "BTC-USDT",
        "ETH-USDT",
        "SOL-USD",
        "BTC-USD",
        "ETH-USD",
        "BTC-RUB",
        "ETH-RUB",
        "USDT-USD",
        "USD-RUB",
        "EUR-USD",
        "USDTTRC-RUB",
    ] {
        let rate = world
            .kurs
            .until(pair, |rate| rate["state"] == "fresh")
            .await;
        let text = |name: &str| rate[name].as_str().unwrap().to_owned();
        live.insert(pair.to_owned(), (text("value"), text("source")));
    }
    let id = world.kurs.process.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    world.kurs.process.end(PATIENCE).await;

    let pairs: Vec<&str> = live.keys().map(String::as_str).collect();
    let pairs = pairs.join(",");
    let (first, _) = replay(captures.path(), &["--pair", &pairs]);
    assert_eq!(rates(&first), live);
    assert_eq!(first["summary"]["broken_lines"], 0, "{first}");
    assert_eq!(first["summary"]["unknown_sources"], serde_json::json!({}));
    assert!(first["summary"]["updates"].as_u64().unwrap() > 100);
    assert_eq!(live["SOL-USD"].1, "coinbase");
    for name in ["binance", "coinbase", "kraken", "bybit", "okx"] {
        let source = &first["summary"]["sources"][name];
        assert!(source["frames"].as_u64().unwrap() > 10, "{name}: {source}");
        assert_eq!(source["decode_errors"], 0, "{name}: {source}");
        assert_eq!(source["checksum_failures"], 0, "{name}: {source}");
    }
    let (second, _) = replay(captures.path(), &["--pair", &pairs]);
    assert_eq!(first, second, "two replays differ");

    // The API serves the same under names that nobody takes for live ones.
    let process = PrivateProcess::start(
        Path::new(env!("CARGO_BIN_EXE_kurs")),
        ["replay", &folder, "--serve", "--speed", "max"],
        [("KURS_HTTP__ADDR", "127.0.0.1:0")],
    );
    let line = process.line("kurs is ready: ", PATIENCE).await;
    let at = line.find("http://").unwrap();
    let base = line[at..].split([' ', '"']).next().unwrap().to_owned();
    let marked = format!("replay:{}", live["BTC-USDT"].1);
    let served = until_async("a replayed rate", PATIENCE, || async {
        let reply = reqwest::get(format!("{base}/api/v1/rates/BTC/USDT?allow_stale=true"))
            .await
            .ok()?;
        let rate: Value = serde_json::from_str(&reply.text().await.ok()?).ok()?;
        // While it still runs, another source may serve for a moment, as it did live.
        (rate["value"] == "54321.5" && rate["source"] == marked).then_some(rate)
    })
    .await;
    assert_eq!(served["pair"], "BTC-USDT", "{served}");
    let sources = reqwest::get(format!("{base}/api/v1/sources"))
        .await
        .unwrap();
    let sources: Value = serde_json::from_str(&sources.text().await.unwrap()).unwrap();
    for source in sources["sources"].as_array().unwrap() {
        let name = source["source"].as_str().unwrap();
        assert!(name.starts_with("replay:"), "{name}");
    }

    // The rates that are printed run out when those that are served do.
    let printed = first["rates"].as_array().unwrap();
    for pair in ["USD-RUB", "EUR-USD", "USDT-USD", "BTC-USDT", "BTC-USD"] {
        let printed = printed.iter().find(|rate| rate["pair"] == pair).unwrap();
        let path = format!("{base}/api/v1/rates/{}", pair.replace('-', "/"));
        until_async(&format!("the end of {printed}"), PATIENCE, || async {
            let reply = reqwest::get(format!("{path}?allow_stale=true"))
                .await
                .ok()?;
            let served: Value = serde_json::from_str(&reply.text().await.ok()?).ok()?;
            (served["expires_at"] == printed["expires_at"]).then_some(())
        })
        .await;
    }

    // There is no Writer to ask for the rest.
    for (path, kind) in [
        ("books/binance/BTC-USDT", "unknown-book"),
        ("books/replay:binance/BTC-USDT", "unknown-book"),
        ("books/nobody/BTC-USDT", "unknown-source"),
    ] {
        let reply = reqwest::get(format!("{base}/api/v1/{path}")).await.unwrap();
        let problem: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        assert_eq!(problem["type"], format!("/docs/problems#{kind}"), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("replay"));
    }
    let track = reqwest::Client::new()
        .post(format!("{base}/api/v1/currency"))
        .header("content-type", "application/json")
        .body(r#"{"symbol":"BTCUSDC"}"#);
    let refused = track.send().await.unwrap().text().await.unwrap();
    assert!(refused.contains("nothing can be tracked"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn either_signal_ends_a_recording_in_order_with_code_0() {
    for signal in ["-INT", "-TERM"] {
        let captures = tempfile::tempdir().unwrap();
        let folder = captures.path().to_str().unwrap();
        let mut process = PrivateProcess::start(
            Path::new(env!("CARGO_BIN_EXE_kurs")),
            ["record", "--sim", "--out", folder],
            [("KURS_LOG__LEVEL", "INFO")],
        );
        process.line("Ctrl-C ends it", PATIENCE).await;
        let id = process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        let status = process.end(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        process.line("last file: ", PATIENCE).await;
        assert_eq!(lines(captures.path(), |_| ()), End::Whole, "{signal}");
    }
}

#[test]
fn a_recording_that_cannot_be_written_says_so_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    // As little as a full disk takes, by the limit of the process on the size of a file.
    let script = r#"trap "" XFSZ; ulimit -f 16; exec "$0" record --sim --for 60s --out "$1""#;
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_kurs")])
        .arg(folder.path().join("small"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("NOT WHOLE: it could not be written"),
        "{said}"
    );
    assert!(said.contains("kurs: cannot write the capture "), "{said}");
    assert!(!said.contains("too slow"), "{said}");
}

#[tokio::test]
async fn a_recorder_that_fails_is_told_once_and_rates_go_on() {
    let captures = tempfile::tempdir().unwrap();
    let folder = captures.path().join("lost");
    let world = World::start(
        SimConfig::default(),
        &[
            ("KURS_CAPTURE__ENABLED", "true"),
            ("KURS_CAPTURE__DIR", folder.to_str().unwrap()),
            ("KURS_CAPTURE__ROTATE", "1s"),
        ],
    )
    .await;
    world.served_by("BTC-USDT", "binance").await;
    let capture = |document: &Value| {
        let checks = document["checks"].as_array().cloned().unwrap_or_default();
        checks.into_iter().find(|check| check["name"] == "capture")
    };
    let before = world.kurs.get("/readyz?verbose=true").await.json;
    assert_eq!(capture(&before).unwrap()["status"], "ok", "{before}");
    // No second file can be made.
    std::fs::remove_dir_all(&folder).unwrap();
    let degraded = until_async("a degraded recorder", PATIENCE, || async {
        let reply = world.kurs.get("/readyz?verbose=true").await;
        assert_eq!(reply.status, 200, "{}", reply.json);
        (reply.json["status"] == "degraded").then_some(reply.json)
    })
    .await;
    let check = capture(&degraded).unwrap();
    let detail = check["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("nothing is recorded: cannot write the capture "),
        "{detail}"
    );
    let metrics = reqwest::get(world.kurs.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("\nkurs_capture_failed 1\n"), "{metrics}");
    world.served_by("BTC-USDT", "binance").await;
    let once = "the capture ends here";
    world.kurs.process.line(once, PATIENCE).await;
    let lines = world.kurs.process.output().lines();
    let told = lines.iter().filter(|line| line.contains(once));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[test]
fn real_captures_replay_to_the_same_hash_in_every_process() {
    for (path, source) in [
        ("binance/spot_btcusdt_20240808.jsonl.gz", "binance"),
        ("binance/spot_10pairs_20210417.jsonl.gz", "binance"),
        ("okx/books_tbt_10inst_20220227.jsonl.gz", "okx"),
        (
            "coinbase/exchange_level2_ticker_matches_6products_20210417.jsonl.gz",
            "coinbase",
        ),
    ] {
        let Some(path) = fixtures::file(path) else {
            println!("KURS_FIXTURES is not set: nothing is tested here");
            return;
        };
        let (first, said) = replay(&path, &[]);
        let (second, _) = replay(&path, &[]);
        assert_eq!(first, second, "{}", path.display());
        let summary = &first["summary"];
        assert_eq!(summary["broken_lines"], 0, "{said}");
        assert_eq!(summary["unknown_sources"], serde_json::json!({}), "{said}");
        assert_eq!(summary["sources"][source]["decode_errors"], 0);
        assert_eq!(summary["sources"][source]["checksum_failures"], 0);
        assert!(summary["sources"][source]["frames"].as_u64().unwrap() > 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_recorder_leaves_all_but_the_last_second() {
    let captures = tempfile::tempdir().unwrap();
    let folder = captures.path().to_str().unwrap();
    let process = PrivateProcess::start(
        Path::new(env!("CARGO_BIN_EXE_kurs")),
        ["record", "--sim", "--activity", "400", "--out", folder],
        [("KURS_LOG__LEVEL", "INFO")],
    );
    until_async("two seconds of frames", PATIENCE, || async {
        let (mut first, mut last, mut frames) = (None, None, 0);
        if readable(captures.path()).ok()?.is_empty() {
            return None;
        }
        lines(captures.path(), |line| {
            first = first.or(line.mono_ns);
            last = line.mono_ns.or(last);
            frames += u64::from(line.direction == Direction::Rx);
        });
        let span = Mono(last?).since(Mono(first?));
        (span > Duration::from_secs(2) && frames > 100).then_some(())
    })
    .await;
    let killed_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let _folder = process.kill();
    let mut last = 0;
    let end = lines(captures.path(), |line| last = line.t_ns.unwrap_or(last));
    println!("the file ended {end:?}");
    let missing = killed_at.saturating_sub(Duration::from_nanos(u64::try_from(last).unwrap()));
    // One second by promise; the rest is for a machine that is busy with other things.
    assert!(missing < Duration::from_secs(5), "{missing:?} are missing");
    let (document, _) = replay(captures.path(), &[]);
    assert!(document["summary"]["frames"].as_u64().unwrap() > 100);
    assert_eq!(document["summary"]["broken_lines"], 0);
    let rates = rates(&document);
    assert!(rates["BTC-USDT"].1.starts_with("sim:"), "{rates:?}");
}

#[test]
fn broken_lines_are_counted_with_their_place_and_harm_nothing_else() {
    const URL: &str = r#""url":"wss://stream.binance.com/ws","#;
    let frame = |id: u32, bid: &str| {
        format!(
            r#"{{"t_ns":null,"dir":"rx",{URL}"frame":{{"u":{id},"s":"BTCUSDT","b":"{bid}","B":"1","a":"200.0","A":"1"}}}}"#
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let deep = format!(
        r#"{{"t_ns":null,"dir":"rx",{URL}"frame":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_meta = format!(
        r#"{{"dir":"meta","frame":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let huge = format!(r#"{{"dir":"rx","text":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
    let text = [
        frame(1, "100.0"),
        r#"["not a line"]"#.to_owned(),
        frame(2, "101.0"),
        r#"{"dir":"rx","source":"nosuch","frame":{}}"#.to_owned(),
        deep,
        deep_meta,
        huge,
        r#"{"dir":"rx","hex":"zz"}"#.to_owned(),
        frame(3, "102.0"),
        r#"{"t_ns":null,"dir":"rx","#.to_owned(),
    ]
    .join("\n");
    let path = file(folder.path(), "a.jsonl", text.as_bytes());
    let (document, said) = replay(&path, &["--pair", "BTC-USDT"]);
    let summary = &document["summary"];
    let places: Vec<u64> = summary["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|broken| broken["line"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [2, 6, 7, 8], "{said}");
    assert_eq!(summary["unknown_sources"]["nosuch"], 1);
    assert_eq!(summary["truncated"].as_array().unwrap().len(), 1);
    assert_eq!(document["rates"][0]["value"], "151", "{document}");
    assert!(said.contains("a.jsonl:2: "), "{said}");
    assert!(
        said.contains("1 line of nosuch, which is not on here"),
        "{said}"
    );
    assert!(
        said.contains("not a JSON object") && !said.contains("struct"),
        "{said}"
    );
    assert!(said.contains("ends in the middle"), "{said}");
    assert!(
        !said.contains(['\r', '\u{1b}']),
        "progress without a terminal"
    );
    let plain =
        String::from_utf8(kurs(&["replay", path.to_str().unwrap(), "--print", "none"]).stdout);
    assert!(plain.unwrap().contains("hash     "));

    let mut changes = kurs(&[
        "replay",
        path.to_str().unwrap(),
        "--print",
        "changes",
        "--output",
        "ndjson",
        "--pair",
        "BTC-USDT",
    ])
    .stdout;
    changes.flush().unwrap();
    let changes = String::from_utf8(changes).unwrap();
    let values: Vec<Value> = changes
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["value"].clone())
        .collect();
    assert_eq!(
        values[..3],
        ["150", "150.5", "151"].map(Value::from),
        "{changes}"
    );
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(kurs(&["replay", "/no/such/file"]).status.code(), Some(3));
    assert_eq!(
        kurs(&["replay", path]).status.code(),
        Some(3),
        "an empty folder"
    );
    assert_eq!(kurs(&["replay"]).status.code(), Some(2));
    let broken = file(folder.path(), "a.jsonl.gz", b"\x1f\x8b\x08 this is no gzip");
    let output = kurs(&["replay", broken.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let newer =
        br#"{"dir":"meta","frame":{"what":"head","format":2,"started":"2026-11-21T00:00:00Z"}}"#;
    let newer = file(folder.path(), "b.jsonl", newer);
    let output = kurs(&["replay", newer.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("newer kurs")
    );
    // A format that is not known may say nothing that is.
    let far = br#"{"dir":"meta","frame":{"what":"head","format":99}}"#;
    let far = file(folder.path(), "c.jsonl", far);
    let ours = br#"{"dir":"meta","frame":{"what":"asked"}}"#;
    let ours = file(folder.path(), "d.jsonl", ours);
    for paths in [vec![&far], vec![&ours, &far]] {
        let mut arguments = vec!["replay"];
        arguments.extend(paths.into_iter().map(|path| path.to_str().unwrap()));
        let output = kurs(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("format 99 is of a newer kurs"), "{said}");
    }
    let output = kurs(&["replay", "/dev/zero"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/dev/zero: this is no file"), "{said}");
    for print in ["last", "changes"] {
        let path = ours.to_str().unwrap();
        let output = kurs(&["replay", path, "--pair", "BTC-XXX", "--print", print]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{print}: {said}");
        assert!(said.contains("BTC-XXX: the replay gave no rate"), "{said}");
    }
    let output = kurs(&["replay", newer.to_str().unwrap(), "--source", "nosuch"]);
    assert_ne!(output.status.code(), Some(0));
    let output = kurs(&["record", "--sim", "--source", "nosuch", "--out", path]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_recorder_ends_by_itself_and_sums_up_in_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let arguments = [
        "record", "--sim", "--for", "2s", "--json", "--source", "binance", "--out",
    ];
    let mut arguments = arguments.to_vec();
    arguments.push(out.to_str().unwrap());
    let output = kurs(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        !said.contains(['\r', '\u{1b}']),
        "progress without a terminal: {said}"
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["files"], 1);
    assert_eq!(document["lost"], 0);
    let sources: Vec<&String> = document["sources"].as_object().unwrap().keys().collect();
    assert_eq!(sources, ["sim:binance"]);
    let mut heads = 0;
    let end = lines(&out, |line| {
        let text = line
            .bytes
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        heads += u32::from(text.contains(r#""what":"head""#));
        assert!(!text.contains("simulated-key"));
    });
    assert_eq!((heads, end), (1, End::Whole));
}
