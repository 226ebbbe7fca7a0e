//! Recorded frames of the venue, decoded without sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test and say what was left out"
)]

use kurs_core::{Mono, Now, Pair, Wall};
use kurs_net::Frame;
use kurs_sources::binance::{Decoded, Decoder};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One line of a capture.
#[derive(Deserialize)]
struct Line {
    dir: String,
    t_ns: Option<i64>,
    frame: Box<RawValue>,
}

/// The captures; `None` where the machine is told of none.
fn captures() -> Option<Vec<PathBuf>> {
    let Ok(root) = std::env::var("KURS_FIXTURES") else {
        println!("KURS_FIXTURES is not set: captures are not tested");
        return None;
    };
    let folder = Path::new(&root).join("binance");
    let entries = folder.read_dir().expect("the folder of captures");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(".jsonl"));
    files.sort();
    assert!(!files.is_empty(), "no captures in {}", folder.display());
    Some(files)
}

fn lines(path: &Path) -> Vec<Line> {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::GzDecoder::new(&*bytes)
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a frame is, found without the code under test.
fn kind_and_symbol(frame: &str) -> (String, Option<String>) {
    let tree: serde_json::Value = serde_json::from_str(frame).unwrap();
    let data = tree.get("data").unwrap_or(&tree);
    let symbol = data
        .get("s")
        .and_then(|symbol| symbol.as_str())
        .map(str::to_owned);
    let kind = match data.get("e").and_then(|kind| kind.as_str()) {
        Some(kind) => kind,
        None if data.get("u").is_some() => "bookTicker",
        None => "other",
    };
    (kind.to_owned(), symbol)
}

/// A pair that is written as the symbol; which one does not matter to decoding.
fn pair_of(symbol: &str) -> Pair {
    let (base, quote) = symbol.split_at(symbol.len() - 3);
    Pair::parse(&format!("{base}-{quote}")).unwrap()
}

fn received(t_ns: Option<i64>) -> Now {
    let wall = Wall(t_ns.unwrap_or(0) / 1_000);
    Now {
        mono: Mono(u64::try_from(t_ns.unwrap_or(0)).unwrap()),
        wall,
    }
}

/// Checks one decoded frame against the frame itself.
fn check(kind: &str, text: &str, decoded: &Decoded) -> bool {
    let tree: serde_json::Value = serde_json::from_str(text).unwrap();
    let data = tree.get("data").unwrap_or(&tree);
    match (kind, decoded) {
        ("bookTicker", Decoded::Tick { tick, .. }) => {
            tick.quote.bid().unwrap().to_string() == data["b"].as_str().unwrap()
                && tick.quote.ask().unwrap().to_string() == data["a"].as_str().unwrap()
                && tick.event_id == data["u"].as_u64()
        }
        (
            "trade",
            Decoded::Trade {
                price, traded_at, ..
            },
        ) => {
            price.to_string() == data["p"].as_str().unwrap()
                && Some(traded_at.unix_ms()) == data["T"].as_i64()
        }
        ("bookTicker" | "trade", _) => false,
        (_, Decoded::Other | Decoded::Accepted { .. }) => true,
        _ => false,
    }
}

#[test]
fn every_captured_frame_is_decoded_and_every_book_ticker_gives_its_exact_digits() {
    let Some(files) = captures() else { return };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for path in files {
        let lines = lines(&path);
        let received_lines = || lines.iter().filter(|line| line.dir == "rx");
        let mut decoder = Decoder::new(Duration::from_secs(5));
        for line in received_lines() {
            if let (_, Some(symbol)) = kind_and_symbol(line.frame.get()) {
                decoder.follow(pair_of(&symbol)).unwrap();
            }
        }
        for line in received_lines() {
            let text = line.frame.get();
            let (kind, _) = kind_and_symbol(text);
            let frame = Frame {
                connection: 1,
                received: received(line.t_ns),
                text,
            };
            let decoded = decoder.decode(frame);
            assert!(
                check(&kind, text, &decoded),
                "{}: {text}: {decoded:?}",
                path.display()
            );
            *counts.entry(kind).or_default() += 1;
        }
    }
    println!("{counts:?}");
    assert!(
        counts["bookTicker"] > 10_000 && counts["trade"] > 1_000,
        "{counts:?}"
    );
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(Duration::from_secs(5));
    decoder.follow(Pair::parse("BTC-USDT").unwrap()).unwrap();
    decoder
}

fn decode(decoder: &mut Decoder, text: &str) -> Decoded {
    decoder.decode(Frame {
        connection: 1,
        received: Now::default(),
        text,
    })
}

const FRAMES: [&str; 6] = [
    r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}}"#,
    r#"{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"2","T":3,"m":false,"M":true}}"#,
    r#"{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"2","T":3,"m":false,"M":true}"#,
    r#"{"error":{"code":2,"msg":"Invalid request"},"id":2}"#,
    r#"{"e":"serverShutdown","E":1770123456789}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_decoder_panic(text in any::<String>()) {
        decode(&mut decoder(), &text);
    }

    #[test]
    fn no_damaged_frame_makes_the_decoder_panic(
        which in 0..FRAMES.len(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..12,
        put in r#"[\x00-\x7f]{0,6}|"[^"]{0,4}"|-?[0-9]{1,25}(\.[0-9]{1,20})?(e-?[0-9]{1,4})?|null|\[|\{"#,
    ) {
        let frame = FRAMES[which];
        let from = at.index(frame.len());
        let until = (from + cut).min(frame.len());
        let text = format!("{}{put}{}", &frame[..from], &frame[until..]);
        decode(&mut decoder(), &text);
    }

    #[test]
    fn prices_that_cannot_be_are_never_passed_on(
        bid in r"-?[0-9]{1,4}(\.[0-9]{1,3})?|NaN|Infinity|0\.000|",
        ask in r"-?[0-9]{1,4}(\.[0-9]{1,3})?|NaN|",
    ) {
        let text = format!(r#"{{"u":5,"s":"BTCUSDT","b":"{bid}","B":"2","a":"{ask}","A":"3"}}"#);
        if let Decoded::Tick { tick, .. } = decode(&mut decoder(), &text) {
            let (bid, ask) = (tick.quote.bid().unwrap().value(), tick.quote.ask().unwrap().value());
            prop_assert!(bid < ask && bid.is_sign_positive() && !bid.is_zero());
        }
    }
}
