//! The client commands against a tiny server that says what it is told: exit codes, what goes
//! to which stream, and how data is shown.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

type Requests = Arc<Mutex<Vec<String>>>;

/// Answers every request by the first entry whose beginning fits "METHOD /path?query".
struct FakeServer {
    address: SocketAddr,
    seen: Requests,
}

impl FakeServer {
    fn new(answers: &'static [(&'static str, u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Requests::default();
        let notes = Arc::clone(&seen);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), answers, &notes);
            }
        });
        Self { address, seen }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        kurs(&format!("http://{}", self.address), arguments)
    }
}

fn answer(stream: TcpStream, answers: &[(&str, u16, &str)], notes: &Requests) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = head.split(" HTTP/").next().unwrap().to_owned();
    let (_, status, text) = answers
        .iter()
        .find(|(begin, _, _)| request.starts_with(begin))
        .unwrap_or_else(|| panic!("nothing to say to {request}"));
    notes.lock().unwrap().push(
        format!("{request} {}", String::from_utf8_lossy(&body))
            .trim()
            .to_owned(),
    );
    let kind = if *status < 400 {
        "application/json"
    } else {
        "application/problem+json"
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
}

fn kurs(server: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .env_clear()
        .envs(coverage())
        .env("KURS_SERVER", server)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// More digits than any float holds: they must arrive as they are.
const RATE: &str = r#"{"pair":"BTC-USD","value":"54000.0001230000045678","source":"binance","state":"fresh","path":["BTC-USDT","USDT-USD"],"age_ms":1234,"reason":"first","constituents":[],"rejections":[],"amount":"0.5","result":"27000.00006150000228390","observed_at":"2026-11-21T10:00:00.000Z"}"#;
const FIXED: &str = r#"{"pair":"USD-RUB","value":"80","source":"fixed","state":"fresh","path":["USD-RUB"],"reason":"fixed by treasury until 2026-12-31","legs":[],"constituents":[],"rejections":[],"evidence":{"policy":"fixed","fixed":{"owner":"treasury","until":"2027-01-01T00:00:00.000Z"},"constituents":[{"source":"cbr","pair":"USD-RUB","value":"80","price":"mid","used":true}]}}"#;
const STALE: &str = r#"{"pair":"ETH-USD","value":"3000","source":"binance","state":"stale","path":["ETH-USD"],"age_ms":99000}"#;
const EXPIRED: &str = r#"{"type":"/docs/problems#rate-expired","title":"The rate has expired","status":503,"detail":"BTC-RUB ran out 4 s ago","instance":"abc12345"}"#;
const NO_PAIR: &str = r#"{"type":"/docs/problems#unknown-pair","title":"No such pair","status":404,"detail":"no market of XXX"}"#;
const FORBIDDEN: &str = r#"{"type":"/docs/problems#forbidden","title":"Not allowed","status":403,"detail":"only from the loopback address"}"#;
const BAD: &str = r#"{"type":"/docs/problems#invalid-parameter","title":"A parameter is not valid","status":400,"detail":"see errors","errors":[{"parameter":"start","detail":"is no time"}]}"#;

const SERVER: &[(&str, u16, &str)] = &[
    ("GET /api/v1/rates/BTC/USD", 200, RATE),
    ("GET /api/v1/rates/ETH/USD", 200, STALE),
    ("GET /api/v1/rates/BTC/RUB", 503, EXPIRED),
    ("GET /api/v1/rates/XXX/USD", 404, NO_PAIR),
    ("GET /api/v1/history/BTC/USDT?limit=2&start=soon", 400, BAD),
    ("GET /api/v1/rates/BTC/USDT", 200, RATE),
    ("GET /api/v1/rates/USD/RUB", 200, FIXED),
    (
        "GET /api/v1/history/BTC/USDT?limit=1&cursor=c1",
        200,
        r#"{"points":[{"received_at":"t2","source":"cbr","value":"2"}],"next":null}"#,
    ),
    (
        "GET /api/v1/history/BTC/USDT?limit=2",
        200,
        r#"{"points":[{"received_at":"t1","source":"cbr","value":"1.10"}],"next":"c1"}"#,
    ),
    (
        "GET /api/v1/candles/BTC/USD?interval=1h&limit=1000&start=s&cursor=k1",
        200,
        r#"{"candles":[],"next":"k2"}"#,
    ),
    (
        "GET /api/v1/candles/BTC/USD?interval=1h&limit=1000&start=s&cursor=k2",
        200,
        r#"{"candles":[{"start":"t2","open":"2","high":"4","low":"2","close":"4","count":9,"origin":"backfill","closed":true}]}"#,
    ),
    (
        "GET /api/v1/candles/BTC/USD?interval=1h&limit=1000&start=s",
        200,
        r#"{"path":["BTC-USDT","USDT-USD"],"candles":[{"start":"t1","open":"1.0","high":"3","low":"1","close":"2","count":5,"origin":"live","closed":false}],"next":"k1"}"#,
    ),
    (
        "GET /api/v1/candles/BTC/USD?interval=1m&limit=100&end=soon",
        400,
        BAD,
    ),
    (
        "GET /api/v1/sources",
        200,
        r#"{"sources":[{"source":"binance","state":"live","mode":"websocket","priority":1,"pairs":2,"age_ms":40,"messages":7,"decode_errors":0,"failures":0,"reconnects":0,"why":""}]}"#,
    ),
    (
        "GET /api/v1/pairs",
        200,
        r#"{"directions":["BTC-USD"],"tracked":[{"symbol":"BTCUSDT","pair":"BTC-USDT","added_at":"t"}]}"#,
    ),
    (
        "POST /api/v1/currency",
        201,
        r#"{"symbol":"SOLUSDT","pair":"SOL-USDT","added_at":"t"}"#,
    ),
    ("DELETE /api/v1/currency/SOLUSDT", 204, ""),
    ("DELETE /api/v1/currency/BTCUSDT", 403, FORBIDDEN),
    (
        "GET /readyz",
        503,
        r#"{"status":"failed","checks":[{"name":"reader","status":"failed","detail":"no picture"}]}"#,
    ),
    ("GET /livez", 200, r#"{"status":"ok"}"#),
];

#[test]
fn exit_codes_say_what_happened() {
    let server = FakeServer::new(SERVER);
    for (arguments, expect) in [
        (&["get", "BTC-USD"][..], 0),
        (&["get", "btcusd", "--require", "fresh"], 0),
        (&["get", "ETH-USD"], 0),
        (&["get", "ETH-USD", "--require", "fresh"], 6),
        (&["get", "BTC-RUB"], 5),
        (&["get", "BTC-RUB", "--require", "fresh"], 6),
        (&["get", "XXX-USD"], 3),
        (&["get", "not a pair"], 2),
        (&["get"], 2),
        (&["gte", "BTC-USD"], 2),
        (&["convert", "0.5", "BTC", "USD"], 0),
        (&["convert", "1", "BTC", "RUB", "--require", "fresh"], 6),
        (
            &["history", "BTC-USDT", "--limit", "2", "--start", "soon"],
            2,
        ),
        (&["candles", "BTC-USD", "--end", "soon"], 2),
        (&["candles", "BTC-USD", "--interval", "2h"], 2),
        (&["candles", "BTC-USD", "--csv", "--json"], 2),
        (&["sources"], 0),
        (&["pairs"], 0),
        (&["pairs", "add", "SOLUSDT"], 0),
        (&["pairs", "remove", "SOLUSDT", "--yes"], 0),
        (&["pairs", "remove", "SOLUSDT"], 2),
        (&["pairs", "remove", "../x", "--yes"], 2),
        (&["pairs", "remove", "BTCUSDT", "--yes"], 4),
        (&["health"], 1),
        (&["health", "--live"], 0),
        (&["--server", "no url", "sources"], 2),
        (&["sources", "--server", "ftp://x"], 2),
        (&["config", "check", "--set", "log.level=LOUD"], 2),
        (&["version"], 0),
    ] {
        let output = server.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(expect),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn names_of_coins_are_understood_on_both_sides_of_a_pair() {
    let server = FakeServer::new(SERVER);
    let output = server.run(&["get", "bitcoin-tether"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let seen = server.seen.lock().unwrap().clone();
    assert!(
        seen[0].starts_with("GET /api/v1/rates/BTC/USDT"),
        "{seen:?}"
    );
}

#[test]
fn an_explanation_shows_the_last_day_as_configured_and_names_every_column_of_the_votes() {
    let server = FakeServer::new(SERVER);
    let shown = stdout(&server.run(&["explain", "USD-RUB"]));
    let mut lines = shown.lines();
    let until = lines.find(|line| line.starts_with("until")).unwrap();
    assert_eq!(
        until.split_whitespace().nth(1),
        Some("2026-12-31"),
        "{shown}"
    );
    let votes = lines.find(|line| line.starts_with("constituent")).unwrap();
    let names: Vec<&str> = votes.split_whitespace().collect();
    assert_eq!(names, ["constituent", "of", "value", "by", "used", "why"]);
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = kurs(&format!("http://{free}"), &["get", "BTC-USD"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(
        stderr(&output).contains("is kurs running there"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        kurs(&format!("http://{free}"), &["health"]).status.code(),
        Some(1)
    );
}

#[test]
fn digits_are_shown_as_they_came() {
    let server = FakeServer::new(SERVER);
    let text = stdout(&server.run(&["get", "BTC-USD"]));
    assert!(text.contains("54000.0001230000045678"), "{text}");
    assert!(text.contains("1.2 s"), "{text}");
    let plain = stdout(&server.run(&["get", "BTC-USD", "--plain"]));
    assert_eq!(
        plain,
        "BTC-USD\t54000.0001230000045678\tbinance\tfresh\t1234\tBTC-USDT USDT-USD\n"
    );
    assert_eq!(
        stdout(&server.run(&["get", "BTC-USD", "--json"])),
        format!("{RATE}\n")
    );
    let converted = server.run(&["convert", "0.5", "BTC", "USD"]);
    assert_eq!(
        stdout(&converted),
        "0.5 BTC = 27000.00006150000228390 USD\n"
    );
    let converted = server.run(&["convert", "0.5", "BTC", "USD", "--plain"]);
    assert_eq!(stdout(&converted), "27000.00006150000228390\n");
}

#[test]
fn data_goes_to_standard_output_and_messages_to_standard_error() {
    let server = FakeServer::new(SERVER);
    let output = server.run(&["get", "BTC-USD", "XXX-USD"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stdout(&output).contains("BTC-USD"), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("XXX-USD: No such pair: no market of XXX"),
        "{}",
        stderr(&output)
    );
    let output = server.run(&["pairs", "--quiet"]);
    assert_eq!(stderr(&output), "");
    let output = server.run(&["get", "BTC-RUB"]);
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).contains("BTC-RUB ran out 4 s ago (request abc12345)"),
        "{}",
        stderr(&output)
    );
    let output = server.run(&["history", "BTC-USDT", "--limit", "2", "--start", "soon"]);
    assert!(
        stderr(&output).contains("start: is no time"),
        "{}",
        stderr(&output)
    );
    assert!(
        !stdout(&server.run(&["sources"])).contains('\u{1b}'),
        "colour without a terminal"
    );
}

#[test]
fn history_follows_the_pages_up_to_its_limit() {
    let server = FakeServer::new(SERVER);
    let output = server.run(&["history", "BTC-USDT", "--limit", "2", "--json"]);
    assert_eq!(
        stdout(&output),
        "{\"received_at\":\"t1\",\"source\":\"cbr\",\"value\":\"1.10\"}\n\
         {\"received_at\":\"t2\",\"source\":\"cbr\",\"value\":\"2\"}\n"
    );
}

#[test]
fn candles_follow_all_pages_in_every_form() {
    let server = FakeServer::new(SERVER);
    let run = |form: &[&str]| {
        let asked = ["candles", "BTC-USD", "--interval", "1h", "--start", "s"];
        server.run(&[asked.as_slice(), form].concat())
    };
    let table = run(&[]);
    assert_eq!(
        stdout(&table),
        "start  open  high  low  close  count            chart\n\
         t1     1.0   3     1    2      5      open      ==========o---------\n\
         t2     2     4     2    4      9      backfill            ===================o\n"
    );
    assert!(
        stderr(&table).contains("joined from the candles of BTC-USDT, USDT-USD"),
        "{}",
        stderr(&table)
    );
    assert_eq!(
        stdout(&run(&["--csv"])),
        "start,open,high,low,close,count,origin,closed\n\
         t1,1.0,3,1,2,5,live,false\n\
         t2,2,4,2,4,9,backfill,true\n"
    );
    let plain = run(&["--plain"]);
    assert_eq!(stdout(&plain).lines().count(), 2);
    let json = run(&["--json"]);
    let second = stdout(&json).lines().nth(1).map(str::to_owned);
    assert!(second.is_some_and(|line| line.contains(r#""origin":"backfill""#)));
}

#[test]
fn adding_sends_the_symbol_as_json() {
    let server = FakeServer::new(SERVER);
    server.run(&["pairs", "add", "SOLUSDT"]);
    let seen = server.seen.lock().unwrap().clone();
    assert_eq!(seen, [r#"POST /api/v1/currency {"symbol":"SOLUSDT"}"#]);
}

#[test]
fn everything_wrong_with_the_configuration_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), "[http]\nadr = \"x\"\n").unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kurs"))
            .args(arguments)
            .env_clear()
            .envs(coverage())
            .env("KURS_LOG__LEVEL", "LOUD")
            .env("KURS_SOURCES__COINGECKO__KEY", "canary")
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    for arguments in [
        &["config", "check"][..],
        &["serve"],
        &["--role", "writer"],
        &["doctor"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = stdout(&output) + &stderr(&output);
        assert!(
            said.contains("http.adr: unknown key; did you mean `http.addr`? (kurs.toml:2)"),
            "{said}"
        );
        assert!(
            said.contains("log.level: expected one of CRITICAL"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
    std::fs::write(folder.path().join("kurs.toml"), "").unwrap();
    let output = run(&["config", "print", "--log-level", "DEBUG"]);
    assert_eq!(
        output.status.code(),
        Some(2),
        "the wrong variable is still there"
    );
}

#[test]
fn what_is_allowed_but_hardly_meant_is_a_warning_of_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let policy =
        "[policy]\nUSD-RUB = { value = 80.5, until = \"2020-12-31\", owner = \"treasury\" }\n";
    std::fs::write(folder.path().join("kurs.toml"), policy).unwrap();
    for arguments in [&["config", "check"][..], &["config", "check", "--quiet"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
            .args(arguments)
            .env_clear()
            .envs(coverage())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let warning = "warning: policy.USD-RUB.until: the fixed rate of treasury ended on \
                       2020-12-31; there is no rate\n";
        assert!(said.contains(warning), "{said}");
    }
}

#[test]
fn the_doctor_names_each_problem_with_its_key_and_its_fix() {
    let there = FakeServer::new(&[("GET ", 404, "{}"), ("HEAD ", 404, "{}")]);
    let refusing = FakeServer::new(&[("GET ", 451, "{}")]);
    let bank = FakeServer::new(&[
        ("GET /good?key=canary", 200, r#"{"usd":"80.5"}"#),
        ("GET /half", 200, r#"{"usd":"80.5"}"#),
        ("GET /shut", 403, r#"{"error":"no"}"#),
    ]);
    let nowhere = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(["doctor", "--plain"])
        .args([
            "--set",
            &format!("sources.binance.ws_url=ws://{}", there.address),
        ])
        .args([
            "--set",
            &format!("sources.binance.rest_url=http://{}", refusing.address),
        ])
        .args(["--set", &format!("sources.cbr.rest_url=http://{nowhere}")])
        .args(["--set", "sources.ecb.enabled=false"])
        .args([
            "--set",
            &format!(
                "sources.http.good.url=http://{}/good?key={{key}}",
                bank.address
            ),
        ])
        .args(["--set", "sources.http.good.rates.USD-RUB=/usd"])
        .args([
            "--set",
            &format!("sources.http.half.url=http://{}/half", bank.address),
        ])
        .args(["--set", "sources.http.half.rates.USD-RUB=/usd"])
        .args(["--set", "sources.http.half.rates.EUR-RUB=/eur"])
        .args([
            "--set",
            &format!("sources.http.shut.url=http://{}/shut", bank.address),
        ])
        .args(["--set", "sources.http.shut.rates.USD-RUB=/usd"])
        .args([
            "--set",
            &format!("sources.http.gone.url=http://{nowhere}/gone"),
        ])
        .args(["--set", "sources.http.gone.rates.USD-RUB=/usd"])
        .args([
            "--set",
            &format!("sources.http.off.url=http://{nowhere}/off"),
        ])
        .args(["--set", "sources.http.off.rates.USD-RUB=/usd"])
        .args(["--set", "sources.http.off.enabled=false"])
        .args(["--set", "sources.coingecko.enabled=false"])
        .args(["--set", "store.url=sqlite:missing/kurs.db"])
        .args(["--http-addr", &there.address.to_string()])
        .env_clear()
        .env("KURS_SOURCES__HTTP__GOOD__KEY", "canary")
        .envs(coverage())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "ok\tconfiguration\tvalid",
        "PROBLEM\tstore.url\tmissing: ",
        "make the folder",
        "ok\tsources.binance.ws_url\t",
        "PROBLEM\tsources.binance.rest_url\t",
        "refuses this machine (HTTP 451)",
        "PROBLEM\tsources.cbr.rest_url\t",
        "keeps trying",
        "is taken by another program",
        "ok\tsources.http.good\thttp://",
        "gives its rates (1)",
        "warning\tsources.http.half\t",
        "gives 1 of 2 rates; EUR-RUB: ",
        "PROBLEM\tsources.http.shut\t",
        "PROBLEM\tsources.http.gone\t",
        "kurs sources try gone shows what it is asked and what it says",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    for part in ["sources.ecb", "sources.http.off", "canary"] {
        assert!(!text.contains(part), "{part:?} is in:\n{text}");
    }
}

#[test]
fn documents_are_printed_whole() {
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&kurs("", &["config", "schema"]))).unwrap();
    assert!(schema["properties"]["http"].is_object());
    let openapi: serde_json::Value =
        serde_json::from_str(&stdout(&kurs("", &["openapi"]))).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
    assert!(stdout(&kurs("", &["man"])).contains(".TH kurs"));
    assert!(stdout(&kurs("", &["completions", "bash"])).contains("_kurs"));
    assert!(stdout(&kurs("", &["--help"])).starts_with("Examples:"));
}

/// Where a measured build writes what it ran; nothing otherwise.
fn coverage() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    const FILE: &str = "LLVM_PROFILE_FILE";
    std::env::var_os(FILE).map(|file| (FILE, file)).into_iter()
}
