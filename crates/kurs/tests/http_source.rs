//! Sources that are described by configuration alone: tried, served, reloaded, kept out of a demo.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Sim, SimConfig};
use kurs_testkit::PrivateProcess;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{Kurs, PATIENCE};

const RATES: &str =
    r#"{"rates": {"KGS": {"buy": "85,10", "sell": "89,90"}, "KZT": 0.1631723, "TJS": null}}"#;

/// A bank that answers every request with these rates; ends with the test's process.
fn bank() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let length = RATES.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{RATES}");
            reader.into_inner().write_all(answer.as_bytes()).unwrap();
        }
    });
    root
}

fn three_lines(root: &str) -> String {
    format!(
        "[sources.http.mybank]\nurl = \"{root}/rates?token=canary\"\nrates = {{ \"KZT-RUB\" = \"/rates/KZT\" }}\n"
    )
}

fn kurs(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("KURS_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_source_is_tried_without_a_server_and_each_pair_shows_its_price_or_its_problem() {
    let folder = tempfile::tempdir().unwrap();
    let sides = "[sources.http.mybank.rates]\nKZT-RUB = \"/rates/KZT\"\nTJS-RUB = \"/rates/TJS\"\n\
                 KGS-RUB = { bid = \"/rates/KGS/buy\", ask = \"/rates/KGS/sell\", unit = 100 }\n";
    let root = bank();
    let source = format!(
        "[sources.http.mybank]\nurl = \"{root}/rates?token=canary\"\ndecimal = \",\"\n{sides}"
    );
    std::fs::write(folder.path().join("kurs.toml"), source).unwrap();

    let tried = kurs(folder.path(), &["sources", "try", "mybank"], "");
    let (shown, said) = texts(&tried);
    let lines: Vec<String> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "pair value bid ask text problem",
            "KGS-RUB 0.875 0.8510 0.8990 85,10 / 89,90",
            "KZT-RUB 0.1631723 0.1631723",
            "TJS-RUB null at /rates/TJS",
        ]
    );
    for part in [
        "GET http://127.0.0.1:",
        "/rates?token=***",
        "HTTP 200",
        "read as json",
        "1 of 3",
    ] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    assert!(tried.status.success() && !said.contains("canary"), "{said}");

    let tried = kurs(folder.path(), &["sources", "try", "mybank", "--json"], "");
    let (shown, _) = texts(&tried);
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(json["rates"][0]["ask"], "0.8990");
    assert_eq!(json["rates"][2]["problem"], "null at /rates/TJS");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_document_from_a_file_or_a_pipe_is_read_and_nothing_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = three_lines("http://127.0.0.1:1");
    std::fs::write(folder.path().join("kurs.toml"), nowhere).unwrap();
    std::fs::write(folder.path().join("saved.json"), RATES).unwrap();
    let try_file = |file: &str, input: &str| {
        kurs(
            folder.path(),
            &["sources", "try", "mybank", "--plain", "--file", file],
            input,
        )
    };
    for (file, input) in [("saved.json", ""), ("-", RATES)] {
        let tried = try_file(file, input);
        let (shown, said) = texts(&tried);
        assert_eq!(shown, "KZT-RUB\t0.1631723\t\t\t\t0.1631723\t\n", "{said}");
        assert_eq!(tried.status.code(), Some(0));
    }
    for (name, file, code, expect) in [
        ("mybank", "missing.json", 2, "missing.json cannot be read"),
        (
            "mybank",
            "kurs.toml",
            1,
            "mybank: not the expected format: no JSON",
        ),
        (
            "mybnak",
            "saved.json",
            3,
            "there is no source mybnak; there are mybank, cbr",
        ),
        ("binance", "saved.json", 2, "followed over a stream"),
    ] {
        let tried = kurs(folder.path(), &["sources", "try", name, "--file", file], "");
        let (_, said) = texts(&tried);
        assert_eq!(tried.status.code(), Some(code), "{said}");
        assert!(said.contains(expect), "{expect:?} is missing in: {said}");
    }
    let tried = kurs(folder.path(), &["sources", "try", "mybank"], "");
    assert_eq!(tried.status.code(), Some(5), "{:?}", texts(&tried));
}

#[test]
fn mistakes_are_told_with_key_and_line_and_secrets_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("kurs.toml"), text).unwrap();
    write(
        "[sources.http.mybank]\nurl = \"ftp://x\"\nperiodd = \"1h\"\nkey = \"canary\"\n\
         rates = { USD-RUB = \"$.a[\", EUR-RUB = { vlue = \"x\" } }\n\
         [sources.http.ecb]\nurl = \"https://x/\"\ntable = { rowz = \"//a\" }\n",
    );
    let (_, said) = texts(&kurs(folder.path(), &["config", "check"], ""));
    for part in [
        "sources.http.mybank.periodd: unknown key; did you mean `sources.http.mybank.period`? (kurs.toml:3)",
        "sources.http.mybank.url: must start with https://, http:// (kurs.toml:2)",
        "sources.http.mybank.key: is used nowhere",
        "sources.http.mybank.rates.USD-RUB: value: \"$.a[\" means nothing",
        "(kurs.toml:5)",
        "sources.http.mybank.rates.EUR-RUB.vlue: unknown key; did you mean",
        "sources.http.ecb.table.rowz: unknown key; did you mean",
        "sources.http.ecb: this is the name of a built-in source",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    assert!(!said.contains("canary"), "{said}");

    std::fs::write(folder.path().join("secret"), "canary\n").unwrap();
    write(
        "policy.USD-RUB.sources = [\"mybank\"]\n[sources.http.mybank]\nurl = \"https://x/?k={key}\"\nkey_file = \"secret\"\n\
         headers = { X-Auth = \"canary {key}\" }\nrates = { USD-RUB = \"/a\" }\n",
    );
    let printed = kurs(folder.path(), &["config", "print"], "");
    let (shown, said) = texts(&printed);
    assert!(
        shown.contains("sources.http.mybank.key = \"***\""),
        "{shown} {said}"
    );
    assert!(
        !shown.contains("canary") && !said.contains("canary"),
        "{shown} {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_lines_serve_a_rate_and_a_changed_path_is_taken_over_while_running() {
    let sim = Sim::start(SimConfig::seeded(41), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let root = bank();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), three_lines(&root)).unwrap();
    let kurs = Kurs::start(&sim, &[], Some(folder)).await;
    let rate = kurs
        .until("KZT-RUB", |rate| {
            rate["source"] == "mybank" || rate["source"] == "cbr"
        })
        .await;
    assert_eq!(rate["state"], "fresh");
    let source = kurs
        .source_until("mybank", |source| source["state"] == "live")
        .await;
    assert_eq!(
        (source["mode"].as_str(), source["pairs"].as_u64()),
        (Some("poll"), Some(1))
    );
    let courses = kurs
        .get("/api/v1/courses?exchanger=mybank&direction=KZT-RUB")
        .await;
    assert_eq!(
        courses.json["courses"][0]["value"].to_string(),
        "0.1631723",
        "{}",
        courses.json
    );

    let changed = three_lines(&root)
        .replace("KZT-RUB", "KGS-RUB")
        .replace("/rates/KZT", "/rates/KGS/sell");
    let changed = format!("{changed}decimal = \",\"\npriority = 1\n");
    std::fs::write(kurs.process.folder().join("kurs.toml"), changed).unwrap();
    kurs.until("KGS-RUB", |rate| {
        rate["source"] == "mybank" && rate["value"] == "89.90"
    })
    .await;
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_uses_banks_of_this_machine_alone_and_marks_their_prices() {
    let folder = tempfile::tempdir().unwrap();
    let outside = "[sources.http.outside]\nurl = \"https://bank.example/\"\nrates = { \"KZT-RUB\" = \"/x\" }\n";
    let text = three_lines(&bank()) + outside;
    std::fs::write(folder.path().join("kurs.toml"), text).unwrap();
    let arguments = ["demo", "--http-addr", "127.0.0.1:0"];
    let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
    let process =
        PrivateProcess::start_in(folder, program, arguments, Vec::<(String, String)>::new());
    let left_out = process
        .line("not used: its prices are real", PATIENCE)
        .await;
    assert!(left_out.contains("outside"), "{left_out}");
    let ready = process.line("kurs is ready: ", PATIENCE).await;
    let base = ready[ready.find("http://").unwrap()..]
        .split([' ', '"'])
        .next()
        .unwrap()
        .to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{base}/api/v1/courses?exchanger=sim:mybank&direction=KZT-RUB");
    let body = kurs_testkit::wait::until_async("a marked rate", PATIENCE, || async {
        let reply = reqwest::get(&url).await.unwrap();
        let is_there = reply.status() == 200;
        let text = reply.text().await.unwrap();
        is_there.then_some(text)
    })
    .await;
    assert!(
        body.contains("sim:mybank") && body.contains("0.1631723"),
        "{body}"
    );
}
