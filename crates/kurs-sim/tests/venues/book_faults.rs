//! Faults of order books: each is visible to a client that follows the venue's rules, and only
//! where it was set.

use crate::book::{Book, decimal};
use crate::client::{Socket, get, request, start};
use crate::kraken::{TextBook, entry};
use crate::{bybit, kraken, okx};
use kurs_sim::market::Trading;
use kurs_sim::{Fault, FaultKind, OkxHabits, SimConfig, SimHandle, Venue};
use serde_json::json;
use std::collections::BTreeMap;

fn crossed() -> Fault {
    Fault::new(FaultKind::Crossed).times(1)
}

pub(crate) async fn coinbase(sim: &SimHandle, product: &str) -> Socket {
    let mut socket = Socket::open(&sim.urls().coinbase_ws).await;
    let text = json!({"type": "subscribe", "product_ids": [product], "channels": ["level2_batch"]});
    socket.send(&text.to_string()).await;
    assert_eq!(socket.json().await["type"], "subscriptions");
    socket
}

pub(crate) async fn kraken_book(sim: &SimHandle, symbol: &str) -> Socket {
    let mut socket = kraken::open(sim).await;
    let params = json!({"channel": "book", "symbol": [symbol], "depth": 10});
    socket.send(&kraken::subscription(&params)).await;
    assert_eq!(socket.json().await["success"], true);
    socket
}

/// `u` or `seqId` of the last frame of each symbol, and how many frames did not follow.
#[derive(Default)]
struct Chains {
    last: BTreeMap<String, i64>,
    breaks: BTreeMap<String, usize>,
    links: usize,
}

impl Chains {
    fn link(&mut self, symbol: &str, previous: i64, this: i64) {
        if let Some(last) = self.last.insert(symbol.to_owned(), this) {
            self.links += 1;
            *self.breaks.entry(symbol.to_owned()).or_default() += usize::from(last != previous);
        }
    }

    fn breaks(&self, symbol: &str) -> usize {
        self.breaks.get(symbol).copied().unwrap_or(0)
    }
}

/// Follows `u` of Bybit, `seqId` of OKX or `U` and `u` of Binance.
async fn follow(socket: &mut Socket, chains: &mut Chains, links: usize) {
    let end = chains.links + links;
    while chains.links < end {
        let frame = socket.json().await;
        let data = &frame["data"];
        if frame["topic"].is_string() {
            let this = data["u"].as_i64().unwrap();
            chains.link(data["s"].as_str().unwrap(), this - 1, this);
        } else if let Some(row) = data.get(0).filter(|_| frame["action"].is_string()) {
            let number = |key: &str| row[key].as_i64().unwrap();
            let symbol = frame["arg"]["instId"].as_str().unwrap();
            chains.link(symbol, number("prevSeqId"), number("seqId"));
        } else if data["e"] == "depthUpdate" {
            let number = |key: &str| data[key].as_i64().unwrap();
            chains.link(data["s"].as_str().unwrap(), number("U") - 1, number("u"));
        }
    }
}

#[tokio::test]
async fn one_gap_breaks_one_chain_once_and_only_that_of_its_symbol() {
    let sim = start(SimConfig::seeded(4)).await;
    for (venue, one, other) in [
        (Venue::Bybit, "BTCUSDT", "ETHUSDT"),
        (Venue::Okx, "BTC-USDT", "ETH-USDT"),
        (Venue::Binance, "BTCUSDT", "ETHUSDT"),
    ] {
        let mut socket = Socket::open(sim.urls().ws(venue).unwrap()).await;
        let subscribe = match venue {
            Venue::Bybit => bybit::subscription(&["orderbook.50.BTCUSDT", "orderbook.50.ETHUSDT"]),
            Venue::Okx => okx::subscription(&[("books", one), ("books", other)]),
            _ => {
                let streams = ["btcusdt@depth@100ms", "ethusdt@depth@100ms"];
                json!({"method": "SUBSCRIBE", "params": streams, "id": 1}).to_string()
            }
        };
        socket.send(&subscribe).await;
        let mut chains = Chains::default();
        follow(&mut socket, &mut chains, 12).await;
        assert_eq!(
            (chains.breaks(one), chains.breaks(other)),
            (0, 0),
            "{venue}"
        );
        assert!(sim.fault(venue, Fault::gap().for_symbol(one)));
        follow(&mut socket, &mut chains, 24).await;
        assert_eq!(
            (chains.breaks(one), chains.breaks(other)),
            (1, 0),
            "{venue}"
        );
        let faults = sim.state().faults;
        assert!(faults.is_empty(), "it heals by itself: {faults:?}");
    }
}

#[tokio::test]
async fn a_share_of_the_diffs_is_lost_until_healed() {
    let faults = vec!["bybit:gap:percent=30:symbol=BTCUSDT".parse().unwrap()];
    let sim = start(SimConfig {
        faults,
        activity_percent: 300,
        ..SimConfig::seeded(4)
    })
    .await;
    let mut socket = bybit::open(&sim).await;
    let args = ["orderbook.50.BTCUSDT", "orderbook.50.ETHUSDT"];
    socket.send(&bybit::subscription(&args)).await;
    let mut chains = Chains::default();
    follow(&mut socket, &mut chains, 150).await;
    assert!(chains.breaks("BTCUSDT") > 8, "{}", chains.breaks("BTCUSDT"));
    assert_eq!(chains.breaks("ETHUSDT"), 0);
    sim.heal(Venue::Bybit);
    follow(&mut socket, &mut chains, 10).await;
    let before = chains.breaks("BTCUSDT");
    follow(&mut socket, &mut chains, 60).await;
    assert_eq!(chains.breaks("BTCUSDT"), before);
}

#[tokio::test]
async fn a_gap_shows_at_kraken_by_the_checksum_and_at_coinbase_only_in_the_book() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = kraken_book(&sim, "BTC/USD").await;
    let mut book = TextBook::default();
    let (mut updates, mut wrong) = (0, false);
    while !wrong {
        let text = kraken::next(&mut socket).await;
        let entry = entry(&text);
        book.apply(&entry, 10);
        wrong = book.checksum() != entry.checksum;
        updates += 1;
        assert!(!wrong || updates > 20, "wrong before the gap");
        if updates == 20 {
            assert!(sim.fault(Venue::Kraken, Fault::gaps(50)));
        }
        assert!(updates < 500, "the gap is never seen");
    }
    let mut socket = coinbase(&sim, "BTC-USD").await;
    let snapshot = socket.json().await;
    let mut book = Book::new(&snapshot["bids"], &snapshot["asks"]);
    assert!(sim.fault(Venue::Coinbase, Fault::gaps(50)));
    while book.orphans == 0 && !book.is_crossed() {
        for change in socket.json().await["changes"].as_array().unwrap() {
            book.set(change[0] == "buy", decimal(&change[1]), decimal(&change[2]));
        }
    }
}

#[tokio::test]
async fn wrong_checksums_come_as_often_as_asked_and_the_book_is_right() {
    let sim = start(SimConfig {
        okx: OkxHabits {
            checksum: true,
            ..OkxHabits::default()
        },
        ..SimConfig::seeded(4)
    })
    .await;
    let control = format!("{}/faults", sim.urls().control);
    let body = r#"{"venue":"kraken","fault":"checksum","times":3,"symbol":"BTC/USD"}"#;
    let answer = request("POST", &control, &[], body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut socket = kraken_book(&sim, "BTC/USD").await;
    let mut book = TextBook::default();
    let mut wrong = Vec::new();
    for _ in 0..20 {
        let text = kraken::next(&mut socket).await;
        let entry = entry(&text);
        book.apply(&entry, 10);
        wrong.push(book.checksum() != entry.checksum);
    }
    // The snapshot's is the first.
    assert!(wrong[..3].iter().all(|wrong| *wrong), "{wrong:?}");
    assert!(!wrong[3..].iter().any(|wrong| *wrong), "{wrong:?}");
    // OKX sends checksums only where that is switched on; there the same fault spoils them.
    let sums = async |fault: bool| {
        let mut socket = okx::open(&sim).await;
        if fault {
            sim.fault(Venue::Okx, Fault::new(FaultKind::Checksum));
        }
        socket
            .send(&okx::subscription(&[("books", "BTC-USDT")]))
            .await;
        socket.json().await;
        socket.json().await["data"][0]["checksum"].as_i64().unwrap()
    };
    sim.set_trading_on(Venue::Okx, "BTC-USDT", Trading::Halt);
    let (right, spoiled) = (sums(false).await, sums(true).await);
    assert_ne!(right, spoiled);
    assert!(right != 0 && spoiled != 0);
    assert!(
        !sim.fault(Venue::Bybit, Fault::new(FaultKind::Checksum)),
        "it has none"
    );
}

#[tokio::test]
async fn a_crossing_diff_crosses_the_book_of_every_venue_once() {
    let sim = start(SimConfig::seeded(4)).await;
    // Binance, by the documented way of joining.
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket.subscribe(&["btcusdt@depth@100ms"]).await;
    socket.json().await;
    let url = format!(
        "{}/api/v3/depth?symbol=BTCUSDT&limit=5000",
        sim.urls().binance_rest
    );
    let snapshot = get(&url).await.json();
    let mut book = Book::new(&snapshot["bids"], &snapshot["asks"]);
    assert!(sim.fault(Venue::Binance, crossed()));
    while !book.is_crossed() {
        let data = socket.json().await["data"].clone();
        if data["u"].as_u64() > snapshot["lastUpdateId"].as_u64() {
            book.apply(&data["b"], &data["a"]);
        }
    }
    // Coinbase.
    let mut socket = coinbase(&sim, "BTC-USD").await;
    let snapshot = socket.json().await;
    let mut book = Book::new(&snapshot["bids"], &snapshot["asks"]);
    assert!(sim.fault(Venue::Coinbase, crossed()));
    while !book.is_crossed() {
        for change in socket.json().await["changes"].as_array().unwrap() {
            book.set(change[0] == "buy", decimal(&change[1]), decimal(&change[2]));
        }
    }
    // Bybit and OKX.
    let mut bybit = bybit::open(&sim).await;
    bybit
        .send(&bybit::subscription(&["orderbook.50.BTCUSDT"]))
        .await;
    let mut okx = okx::open(&sim).await;
    okx.send(&okx::subscription(&[("books", "BTC-USDT")])).await;
    for (venue, mut socket) in [(Venue::Bybit, bybit), (Venue::Okx, okx)] {
        let mut book: Option<Book> = None;
        loop {
            let frame = socket.json().await;
            let data = match venue {
                Venue::Bybit => &frame["data"],
                _ => &frame["data"][0],
            };
            let (bids, asks) = match venue {
                Venue::Bybit => (&data["b"], &data["a"]),
                _ => (&data["bids"], &data["asks"]),
            };
            match &mut book {
                _ if data.is_null() => {}
                None => {
                    book = Some(Book::new(bids, asks));
                    assert!(sim.fault(venue, crossed()));
                }
                Some(book) => {
                    book.apply(bids, asks);
                    if book.is_crossed() {
                        break;
                    }
                }
            }
        }
    }
    assert!(sim.state().faults.is_empty());
}

#[tokio::test]
async fn the_checksum_of_a_crossing_diff_is_that_of_the_crossed_book() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = kraken_book(&sim, "BTC/USD").await;
    let mut book = TextBook::default();
    for number in 0.. {
        let text = kraken::next(&mut socket).await;
        let entry = entry(&text);
        book.apply(&entry, 10);
        assert_eq!(book.checksum(), entry.checksum, "{text}");
        if book.is_crossed() {
            break;
        }
        if number == 5 {
            assert!(sim.fault(Venue::Kraken, crossed()));
        }
    }
    // Nothing takes the phantom back: who does not resynchronise is told by the checksum.
    loop {
        let text = kraken::next(&mut socket).await;
        let entry = entry(&text);
        book.apply(&entry, 10);
        if book.checksum() != entry.checksum {
            break;
        }
    }
}

#[tokio::test]
async fn stale_snapshots_are_older_than_any_diff_as_often_as_asked() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket.subscribe(&["btcusdt@depth@100ms"]).await;
    let first = socket.json().await["data"]["U"].as_u64().unwrap();
    let fault = Fault::new(FaultKind::StaleSnapshot).times(2);
    assert!(sim.fault(Venue::Binance, fault.for_symbol("BTCUSDT")));
    let last_id = async |symbol: &str| {
        let root = sim.urls().binance_rest;
        let url = format!("{root}/api/v3/depth?symbol={symbol}&limit=100");
        get(&url).await.json()["lastUpdateId"].as_u64().unwrap()
    };
    last_id("ETHUSDT").await;
    let stale = [last_id("BTCUSDT").await, last_id("BTCUSDT").await];
    assert!(stale.iter().all(|id| *id < first), "{stale:?} {first}");
    assert!(last_id("BTCUSDT").await >= first);
}

#[tokio::test]
async fn a_restart_begins_the_numbering_anew() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = bybit::open(&sim).await;
    let topics = [
        "orderbook.1.BTCUSDT",
        "orderbook.50.BTCUSDT",
        "orderbook.50.ETHUSDT",
    ];
    socket.send(&bybit::subscription(&topics)).await;
    let mut seen: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    let mut anew: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..200 {
        let frame = socket.json().await;
        if let Some(topic) = frame["topic"].as_str() {
            let count = frame["data"]["u"].as_u64().unwrap();
            let (last, restarts) = seen.entry(topic.to_owned()).or_insert((count - 1, 0));
            if count == 1 {
                assert_eq!(frame["type"], "snapshot", "{frame}");
                *restarts += 1;
                *anew.entry(topic.to_owned()).or_default() += 1;
            } else {
                assert_eq!(count, *last + 1, "{frame}");
            }
            *last = count;
        }
        if number == 20 {
            let fault = Fault::new(FaultKind::Restart).for_symbol("BTCUSDT");
            assert!(sim.fault(Venue::Bybit, fault));
            assert!(sim.state().faults.is_empty(), "it happens once, at once");
        }
    }
    let expect = BTreeMap::from([(topics[0].to_owned(), 1), (topics[1].to_owned(), 1)]);
    assert_eq!(anew, expect);

    let mut socket = okx::open(&sim).await;
    socket
        .send(&okx::subscription(&[("books", "BTC-USDT")]))
        .await;
    let (mut last, mut resets) = (None, 0);
    for number in 0..30 {
        let frame = socket.json().await;
        let data = &frame["data"][0];
        if let Some(sequence) = data["seqId"].as_i64() {
            let previous = data["prevSeqId"].as_i64().unwrap();
            assert!(last.is_none_or(|last| previous == last), "{frame}");
            resets += usize::from(sequence < previous);
            last = Some(sequence);
        }
        if number == 8 {
            assert!(sim.fault(Venue::Okx, Fault::new(FaultKind::Restart)));
        }
    }
    assert_eq!(resets, 1);
    assert!(last.unwrap() < 1_000_000, "a small number again");
    assert!(
        !sim.fault(Venue::Kraken, Fault::new(FaultKind::Restart)),
        "nothing is numbered"
    );
}
