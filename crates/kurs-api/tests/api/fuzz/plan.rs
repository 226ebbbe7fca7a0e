//! Requests made from the document, and then spoilt.

use fastrand::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;

/// What the document says, ready for drawing from.
pub(super) struct Plan {
    /// Path, method, operation.
    pub(super) operations: Vec<(String, String, Value)>,
    /// Texts that match a pattern.
    samples: HashMap<String, Vec<String>>,
}

pub(super) struct Asked {
    pub(super) bytes: String,
    pub(super) is_head: bool,
    /// The operation, if method and path were left alone.
    pub(super) operation: Option<usize>,
}

impl Plan {
    pub(super) fn new(document: &Value, seed: u64) -> Self {
        let mut operations = Vec::new();
        let mut samples = HashMap::new();
        let seed_bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                for parameter in operation["parameters"].as_array().unwrap() {
                    let schema = &parameter["schema"];
                    let pattern = schema["pattern"]
                        .as_str()
                        .or(schema["items"]["pattern"].as_str());
                    let Some(pattern) = pattern else { continue };
                    samples.entry(pattern.to_owned()).or_insert_with(|| {
                        let strategy =
                            proptest::string::string_regex(pattern.trim_matches(['^', '$']))
                                .unwrap();
                        (0..60)
                            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
                            .collect()
                    });
                }
                operations.push((path.clone(), method.to_uppercase(), operation.clone()));
            }
        }
        Self {
            operations,
            samples,
        }
    }

    pub(super) fn request(&self, rng: &mut Rng) -> Asked {
        let mut chosen = rng.usize(..self.operations.len());
        // The document and the metrics are long; asked for less often, they leave time for others.
        if matches!(&*self.operations[chosen].0, "/openapi.json" | "/metrics") && rng.u8(..) > 20 {
            chosen = rng.usize(..self.operations.len());
        }
        let (path, method, operation) = &self.operations[chosen];
        let mut known = true;
        let mut target = path.clone();
        let mut query = String::new();
        for parameter in operation["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let value = encoded(&self.value(parameter, rng), rng);
            if parameter["in"] == "path" {
                // An empty part or one with a slash would be another path.
                known &= !value.is_empty() && !value.contains(['/', '?', '#']);
                target = target.replace(&format!("{{{name}}}"), &value);
            } else if parameter["required"] == true && rng.u8(..) > 20 || rng.u8(..) < 100 {
                let _ = write!(
                    query,
                    "{}{name}={value}",
                    if query.is_empty() { "?" } else { "&" }
                );
            }
        }
        if rng.u8(..) < 15 {
            let _ = write!(
                query,
                "{}{}={}",
                if query.is_empty() { "?" } else { "&" },
                junk(rng),
                junk(rng)
            );
        }
        if rng.u8(..) < 10 {
            let _ = write!(target, "/{}", junk(rng));
            known = false;
        }
        let mut method = method.clone();
        if method == "GET" && rng.u8(..) < 20 {
            method = "HEAD".into();
        } else if rng.u8(..) < 10 {
            method = rng
                .choice([
                    "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW",
                ])
                .unwrap()
                .into();
            known = false;
        }
        let mut bytes = format!("{method} {target}{query} HTTP/1.1\r\nHost: localhost\r\n");
        self.headers(&mut bytes, rng);
        let body = if method == "POST" || rng.u8(..) < 5 {
            body(rng)
        } else {
            String::new()
        };
        if !body.is_empty() {
            let media = rng
                .choice([
                    "application/json",
                    "application/json",
                    "application/json",
                    "text/plain",
                ])
                .unwrap();
            let _ = write!(
                bytes,
                "Content-Type: {media}\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        let _ = write!(bytes, "\r\n{body}");
        Asked {
            bytes,
            is_head: method == "HEAD",
            operation: known.then_some(chosen),
        }
    }

    fn value(&self, parameter: &Value, rng: &mut Rng) -> String {
        let schema = &parameter["schema"];
        if rng.u8(..) < 25 {
            return junk(rng);
        }
        let real = match parameter["name"].as_str().unwrap() {
            "base" => ["BTC", "USDT", "btc", "bitcoin"].as_slice(),
            "quote" => &["USD", "RUB", "USDT", "usdttrc"],
            "pairs" | "direction" | "directions" | "currency_pair" => {
                &["BTC-USD", "usdt/rub", "BTCUSDT", "bitcoin-usd", "BTC-EUR"]
            }
            "symbol" => &["BTCUSDT", "btc-usdt"],
            "exchanger" | "source" => &["binance", "coingeko", "kraken"],
            "start" => &["2026-11-21T09:00:00Z", "2026-11-20T00:00:00+03:00"],
            _ => &[],
        };
        if let Some(value) = rng.choice(real)
            && rng.u8(..) < 180
        {
            return (*value).to_owned();
        }
        let pattern = schema["pattern"]
            .as_str()
            .or(schema["items"]["pattern"].as_str());
        match (pattern, schema["type"].as_str()) {
            (Some(pattern), _) => rng.choice(&self.samples[pattern]).unwrap().clone(),
            (None, Some("integer")) => rng.u32(..1_200).to_string(),
            _ => (*rng.choice(["true", "false", "", "1", "TRUE"]).unwrap()).to_owned(),
        }
    }

    fn headers(&self, bytes: &mut String, rng: &mut Rng) {
        if rng.u8(..) < 40 {
            let media = rng
                .choice([
                    "*/*",
                    "application/json",
                    "text/csv",
                    "text/*;q=0.5",
                    "image/png",
                    ";;,q=",
                    "application/x-ndjson, */*;q=0.1",
                ])
                .unwrap();
            let _ = write!(bytes, "Accept: {media}\r\n");
        }
        if rng.u8(..) < 30 {
            let coding = rng
                .choice([
                    "gzip",
                    "br;q=0.9, zstd;q=1.0",
                    "*",
                    "identity;q=0, *;q=0",
                    "q=;;",
                ])
                .unwrap();
            let _ = write!(bytes, "Accept-Encoding: {coding}\r\n");
        }
        if rng.u8(..) < 30 {
            let tags = rng
                .choice(["*", "\"0.1-3\"", "W/\"0.1-3\", \"x\"", "\"", "W/"])
                .unwrap();
            let _ = write!(bytes, "If-None-Match: {tags}\r\n");
        }
        if rng.u8(..) < 20 {
            let _ = write!(bytes, "X-Request-Id: {}\r\n", junk(rng));
        }
        if rng.u8(..12) == 0 {
            let wrong = [
                "Bearer",
                "Bearer x",
                "Bearer a.b.c",
                "Basic x",
                "kurs_live_x",
                "",
            ];
            let name = ["Authorization", "X-Api-Key"][rng.usize(..2)];
            let _ = write!(bytes, "{name}: {}\r\n", wrong[rng.usize(..wrong.len())]);
        }
        if rng.u8(..) < 10 {
            let _ = write!(
                bytes,
                "Origin: {}\r\n",
                rng.choice(["null", "http://localhost", "https://x.example"])
                    .unwrap()
            );
        }
    }
}

/// Visible ASCII that may stand anywhere in a target or a header, and is seldom what is wanted.
fn junk(rng: &mut Rng) -> String {
    const PIECES: [&str; 22] = [
        "%",
        "%00",
        "%FF",
        "%2F",
        "%0d%0a",
        "..",
        "+",
        "-",
        "_",
        ":",
        ";",
        "'",
        "\"",
        "<b>",
        "{}",
        "[0]",
        "~",
        "$",
        "9999999999999999999999999",
        "1e400",
        "%F0%9F%92%B0",
        "BTC",
    ];
    let mut text = String::new();
    for _ in 0..rng.usize(..4) {
        text.push_str(rng.choice(PIECES).unwrap());
    }
    if rng.u16(..) < 60 {
        text.push_str(&"A".repeat(rng.usize(..9_500)));
    }
    text
}

/// As it may stand in a target: percent-encoded where it must be, and sometimes where not.
fn encoded(text: &str, rng: &mut Rng) -> String {
    let all = rng.u8(..) < 10;
    let mut target = String::new();
    for byte in text.bytes() {
        if all || byte <= b' ' || byte >= 127 || matches!(byte, b'#' | b'&' | b'?') {
            let _ = write!(target, "%{byte:02X}");
        } else {
            target.push(char::from(byte));
        }
    }
    target
}

fn body(rng: &mut Rng) -> String {
    match rng.u8(..8) {
        0 => r#"{"symbol":"ETHUSDT"}"#.into(),
        1 => r#"{"symbol":"QQQWWW"}"#.into(),
        2 => format!(r#"{{"symbol":{}}}"#, rng.i64(..)),
        3 => format!(r#"{{"symbol":"{}","x":[]}}"#, rng.u64(..)),
        4 => "[".repeat(rng.usize(1..200)),
        5 => (0..rng.usize(1..60))
            .map(|_| rng.char('\u{1}'..'\u{2000}'))
            .collect(),
        6 => "null".into(),
        _ => format!("{{\"symbol\":\"{}\"}}", "é".repeat(rng.usize(..20))),
    }
}
