//! Recorded frames of the venue, through the real codec and the runtime, without sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test and say what was left out"
)]

use kurs_core::{EventKind, Mono, Now, Pair, SourceEvent, SourceId, Tick, Wall};
use kurs_sources::binance::{Binance, Config};
use kurs_sources::venue::codec::Codec;
use kurs_sources::venue::{Desk, DeskParts};
use kurs_sources::{EventSink, Input, Machine, SourceStats, Wishes};
use kurs_testkit::fixtures::{self, Direction, Line};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Events(Mutex<Vec<SourceEvent>>);

impl EventSink for Events {
    fn deliver(&self, event: SourceEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// A desk that follows some symbols.
struct Rig {
    desk: Desk,
    events: Arc<Events>,
    wishes: Wishes,
}

impl Rig {
    fn following<'a>(symbols: impl Iterator<Item = &'a str>) -> Self {
        let events = Arc::new(Events::default());
        let mut rig = Self {
            desk: Desk::new(DeskParts {
                source: SourceId::parse("binance").unwrap(),
                codec: Arc::new(Binance::new()),
                waits: Config::default().waits(&Binance::new().facts()),
                depth: Arc::from([]),
                events: events.clone(),
                stats: Arc::new(SourceStats::new("websocket", Wall(0))),
            }),
            events,
            wishes: Wishes::new(),
        };
        let pairs: Vec<Pair> = symbols.map(pair_of).collect();
        rig.take(Now::default(), Input::Wanted { pairs: &pairs });
        for pair in pairs {
            let listed = Some(true);
            rig.take(Now::default(), Input::Listed { pair, listed });
        }
        rig
    }

    fn take(&mut self, now: Now, input: Input<'_>) -> Vec<EventKind> {
        self.desk.take(now, input, &mut self.wishes);
        let mut events = self.events.0.lock().unwrap();
        events.drain(..).map(|event| event.kind).collect()
    }

    fn frame(&mut self, now: Now, text: &str) -> Vec<EventKind> {
        let connection = 1;
        self.take(now, Input::Frame { connection, text })
    }

    fn decode_errors(&self) -> u64 {
        self.desk.stats().decode_errors.load(Ordering::Relaxed)
    }
}

/// The captures; `None` where the machine is told of none.
fn captures() -> Option<Vec<PathBuf>> {
    let Some(root) = fixtures::dir() else {
        println!("KURS_FIXTURES is not set: captures are not tested");
        return None;
    };
    let folder = root.join("binance");
    let entries = folder.read_dir().expect("the folder of captures");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(".jsonl"));
    files.sort();
    assert!(!files.is_empty(), "no captures in {}", folder.display());
    Some(files)
}

fn lines(path: &Path) -> Vec<Line> {
    fixtures::lines(path).collect()
}

/// What a frame is, found without the code under test.
struct Plain {
    kind: String,
    symbol: Option<String>,
    data: serde_json::Value,
}

impl Plain {
    fn of(frame: &str) -> Self {
        let mut tree: serde_json::Value = serde_json::from_str(frame).unwrap();
        let data = match tree.get_mut("data") {
            Some(data) => data.take(),
            None => tree,
        };
        let text = |key: &str| data.get(key).and_then(|value| value.as_str());
        let kind = match text("e") {
            Some(kind) => kind,
            None if data.get("u").is_some() => "bookTicker",
            None => "other",
        };
        Self {
            kind: kind.to_owned(),
            symbol: text("s").map(str::to_owned),
            data,
        }
    }

    fn text(&self, key: &str) -> &str {
        self.data[key].as_str().unwrap()
    }
}

/// A pair that is written as the symbol; which one does not matter to decoding.
fn pair_of(symbol: &str) -> Pair {
    let (base, quote) = symbol.split_at(symbol.len() - 3);
    Pair::parse(&format!("{base}-{quote}")).unwrap()
}

fn received(line: &Line) -> Now {
    let t_ns = line.t_ns.unwrap_or(0);
    Now {
        mono: Mono(t_ns),
        wall: Wall(i64::try_from(t_ns / 1_000).unwrap()),
    }
}

fn symbols_of(lines: &[Line]) -> BTreeSet<String> {
    let frames = lines.iter().filter(|line| line.dir == Direction::Rx);
    frames
        .filter_map(|line| Plain::of(line.text()).symbol)
        .collect()
}

/// Bid, its size, ask, its size.
type Top = [String; 4];

fn check_tick(tick: &Tick, plain: &Plain) {
    let sizes = tick.sizes.expect("sizes");
    let told = [
        tick.quote.bid().unwrap().to_string(),
        sizes.bid.to_string(),
        tick.quote.ask().unwrap().to_string(),
        sizes.ask.to_string(),
    ];
    assert_eq!(told, ["b", "B", "a", "A"].map(|key| plain.text(key)));
    assert_eq!(tick.event_id, plain.data["u"].as_u64());
}

#[test]
fn every_captured_frame_is_decoded_and_every_price_keeps_its_digits() {
    let Some(files) = captures() else { return };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for path in files {
        let lines = lines(&path);
        let symbols = symbols_of(&lines);
        let mut rig = Rig::following(symbols.iter().map(String::as_str));
        for line in lines.iter().filter(|line| line.dir == Direction::Rx) {
            let plain = Plain::of(line.text());
            let events = rig.frame(received(line), line.text());
            let ticks = events.iter().filter_map(|event| match event {
                EventKind::Tick(tick) => Some(tick),
                _ => None,
            });
            let ticks: Vec<_> = ticks.collect();
            let trade = events.iter().find_map(|event| match event {
                EventKind::Trade {
                    price, traded_at, ..
                } => Some((price.to_string(), traded_at.0)),
                _ => None,
            });
            match &*plain.kind {
                "bookTicker" => {
                    assert_eq!(ticks.len(), 1, "{}: {}", path.display(), line.text());
                    check_tick(ticks[0], &plain);
                }
                "trade" => {
                    let (price, traded_at) = trade.expect("a trade");
                    assert_eq!(price, plain.text("p"));
                    let told = plain.data["T"].as_i64().unwrap();
                    assert!(traded_at == told || traded_at == told * 1_000);
                }
                _ => assert!(ticks.is_empty() && trade.is_none(), "{}", line.text()),
            }
            *counts.entry(plain.kind).or_default() += 1;
        }
        assert_eq!(rig.decode_errors(), 0, "{}", path.display());
    }
    println!("{counts:?}");
    assert!(
        counts["bookTicker"] > 10_000 && counts["trade"] > 1_000 && counts["depthUpdate"] > 5_000,
        "{counts:?}"
    );
}

/// The oracle of the book: after the same update id its best levels are those of bookTicker.
#[test]
fn the_top_of_a_synced_book_is_the_book_ticker_with_the_same_id() {
    let Some(files) = captures() else { return };
    let (mut compared, mut synced) = (0_u64, BTreeSet::new());
    for path in files {
        let lines = lines(&path);
        let symbols = symbols_of(&lines);
        let mut rig = Rig::following(symbols.iter().map(String::as_str));
        let mut tickers: BTreeMap<(String, u64), Top> = BTreeMap::new();
        for line in &lines {
            let now = received(line);
            let url = line.url.as_deref().unwrap_or_default();
            let asked = url
                .split_once("symbol=")
                .map(|(_, rest)| rest.split('&').next().unwrap_or_default());
            let symbol = match (line.dir, asked) {
                (Direction::Rest, Some(symbol)) if url.contains("/depth?") => {
                    let input = Input::Book {
                        symbol,
                        status: 200,
                        body: line.text().as_bytes(),
                    };
                    rig.take(now, input);
                    symbol.to_owned()
                }
                (Direction::Rx, _) => {
                    rig.frame(now, line.text());
                    let plain = Plain::of(line.text());
                    let Some(symbol) = plain.symbol.clone() else {
                        continue;
                    };
                    if plain.kind == "bookTicker" {
                        let top = ["b", "B", "a", "A"].map(|key| plain.text(key).to_owned());
                        let id = plain.data["u"].as_u64().unwrap();
                        tickers.insert((symbol.clone(), id), top);
                    }
                    symbol
                }
                _ => continue,
            };
            if !symbols.contains(&symbol) {
                continue;
            }
            let view = rig.desk.book(pair_of(&symbol), 1).expect("a book");
            let Some((depth, id)) = view.depth.zip(view.last_id) else {
                continue;
            };
            synced.insert((path.clone(), symbol.clone()));
            let (bid, ask) = (depth.bids[0], depth.asks[0]);
            assert!(bid.price < ask.price, "crossed");
            // Each is compared once, whichever of the two came first.
            if let Some(top) = tickers.remove(&(symbol, id)) {
                let levels = [bid.price.value(), bid.size, ask.price.value(), ask.size];
                assert_eq!(levels.map(|level| level.to_string()), top, "id {id}");
                compared += 1;
            }
        }
        let stats = &rig.desk.stats().books;
        // One capture has no snapshot to join its diffs to.
        if stats.snapshots.load(Ordering::Relaxed) > 0 {
            let gaps = stats.gaps.load(Ordering::Relaxed);
            assert_eq!(gaps, 0, "{}", path.display());
        }
    }
    println!("{compared} tops compared over {} books", synced.len());
    assert!(compared >= 564 + 277, "{compared} compared");
    assert_eq!(synced.len(), 16, "{synced:?}");
}

fn rig() -> Rig {
    Rig::following(std::iter::once("BTCUSDT"))
}

const FRAMES: [&str; 8] = [
    r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}}"#,
    r#"{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"2","T":3,"m":false,"M":true}}"#,
    r#"{"e":"trade","E":1,"s":"BTCUSDT","t":9,"p":"1","q":"2","T":3,"m":false,"M":true}"#,
    r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1","2"],["0.9","0"]],"a":[["1.1","3"]]}"#,
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[["1","2"]],"a":[]}}"#,
    r#"{"error":{"code":2,"msg":"Invalid request"},"id":2}"#,
    r#"{"e":"serverShutdown","E":1770123456789}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_source_panic(text in any::<String>()) {
        rig().frame(Now::default(), &text);
    }

    #[test]
    fn no_damaged_frame_makes_the_source_panic(
        which in 0..FRAMES.len(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..12,
        put in r#"[\x00-\x7f]{0,6}|"[^"]{0,4}"|-?[0-9]{1,25}(\.[0-9]{1,20})?(e-?[0-9]{1,4})?|null|\[|\{"#,
    ) {
        let frame = FRAMES[which];
        let from = at.index(frame.len());
        let until = (from + cut).min(frame.len());
        let text = format!("{}{put}{}", &frame[..from], &frame[until..]);
        rig().frame(Now::default(), &text);
    }

    #[test]
    fn prices_that_cannot_be_are_never_passed_on(
        bid in r"-?[0-9]{1,4}(\.[0-9]{1,3})?|NaN|Infinity|0\.000|1e308|",
        ask in r"-?[0-9]{1,4}(\.[0-9]{1,3})?|NaN|",
    ) {
        let text = format!(r#"{{"u":5,"s":"BTCUSDT","b":"{bid}","B":"2","a":"{ask}","A":"3"}}"#);
        for event in rig().frame(Now::default(), &text) {
            let EventKind::Tick(tick) = event else { continue };
            let (bid, ask) = (tick.quote.bid().unwrap().value(), tick.quote.ask().unwrap().value());
            prop_assert!(bid < ask && bid.is_sign_positive() && !bid.is_zero());
        }
    }
}
