//! Order books while serving: a book that is not in step is never readable, one lost message
//! harms one symbol, and every venue's own way of checking is used.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

mod support;

use kurs_sim::{Fault, FaultKind, SimConfig, Venue};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{ALL_EXCHANGES, PATIENCE, World};

/// What a look at one book found.
enum Seen {
    Readable(Value),
    /// In the venue's hands again; the reason given.
    NotReady(String),
}

async fn look(world: &World, source: &str, symbol: &str) -> Seen {
    let reply = world
        .kurs
        .get(&format!("/api/v1/books/{source}/{symbol}?depth=5"))
        .await;
    match reply.status {
        200 => Seen::Readable(reply.json),
        503 => {
            assert_eq!(
                reply.json["type"], "/docs/problems#book-not-ready",
                "{}",
                reply.json
            );
            Seen::NotReady(reply.json["detail"].to_string())
        }
        // Just started: the venue's listing is still being asked.
        404 if reply.json["type"] == "/docs/problems#unknown-book" => {
            Seen::NotReady("not followed yet".to_owned())
        }
        status => panic!("{status} for {source} {symbol}: {}", reply.json),
    }
}

async fn readable(world: &World, source: &str, symbol: &str) -> Value {
    readable_within(PATIENCE, world, source, symbol).await
}

async fn readable_within(patience: Duration, world: &World, source: &str, symbol: &str) -> Value {
    let end = Instant::now() + patience;
    loop {
        match look(world, source, symbol).await {
            Seen::Readable(book) => return book,
            Seen::NotReady(why) => assert!(
                Instant::now() < end,
                "{source} {symbol} never came in step: {why}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The best levels do not cross, and both sides are in order.
fn assert_in_order(book: &Value) {
    let prices = |side: &str| -> Vec<Decimal> {
        let levels = book[side].as_array().unwrap().iter();
        levels
            .map(|level| level["price"].as_str().unwrap().parse().unwrap())
            .collect()
    };
    let (bids, asks) = (prices("bids"), prices("asks"));
    assert!(!bids.is_empty() && !asks.is_empty(), "{book}");
    assert!(bids[0] < asks[0], "crossed: {book}");
    assert!(bids.is_sorted_by(|left, right| left > right), "{book}");
    assert!(asks.is_sorted(), "{book}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exchange_shows_its_book_in_step_by_its_own_rule() {
    let settings = [
        &ALL_EXCHANGES[..],
        &[("KURS_PAIRS", "BTC-USDT,BTC-USD,ETH-USD")],
    ]
    .concat();
    let world = World::start(SimConfig::seeded(31), &settings).await;
    for (source, symbol, verified_by) in [
        ("binance", "BTCUSDT", "id_range"),
        ("coinbase", "BTC-USD", "unverifiable"),
        ("kraken", "BTC-USD", "checksum"),
        ("bybit", "BTC-USDT", "counter"),
        ("okx", "BTC-USDT", "chain"),
    ] {
        let book = readable(&world, source, symbol).await;
        assert_in_order(&book);
        assert_eq!(book["source"], source);
        assert_eq!(book["verified_by"], verified_by, "{book}");
        let mid: Decimal = book["fair"]["mid"].as_str().unwrap().parse().unwrap();
        let bid: Decimal = book["bids"][0]["price"].as_str().unwrap().parse().unwrap();
        assert!(mid > bid, "{book}");
        let state = world
            .kurs
            .source_until(source, |state| state["books"]["synced"].as_u64() >= Some(1))
            .await;
        assert_eq!(state["state"], "live", "{state}");
    }
    let unknown = world.kurs.get("/api/v1/books/nobody/BTCUSDT").await;
    assert_eq!(unknown.status, 404, "{}", unknown.json);
    let polled = world.kurs.get("/api/v1/books/cbr/USD-RUB").await;
    assert_eq!(polled.json["type"], "/docs/problems#unknown-book");
}

/// The symbols of the simulated Binance that kurs is made to follow, by pair.
fn fifty(world: &kurs_sim::SimHandle) -> Vec<String> {
    let mut names = world.symbols_of(Venue::Binance);
    names.retain(|name| name.ends_with("USDT"));
    names.truncate(50);
    names
}

async fn world_of_fifty(seed: u64) -> (World, Vec<String>) {
    let config = SimConfig {
        extra_symbols: 60,
        ..SimConfig::seeded(seed)
    };
    let sim = kurs_sim::Sim::start(config, ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let symbols = fifty(&sim);
    assert_eq!(symbols.len(), 50);
    let pairs: Vec<String> = symbols
        .iter()
        .map(|symbol| format!("{}-USDT", symbol.strip_suffix("USDT").unwrap()))
        .collect();
    let settings = [("KURS_PAIRS", pairs.join(","))];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let kurs = support::Kurs::start(&sim, &settings, None).await;
    let world = World { sim, kurs };
    for symbol in &symbols {
        readable(&world, "binance", symbol).await;
    }
    (world, symbols)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_loses_messages_is_unreadable_until_resynced_and_the_others_never_notice() {
    let (world, symbols) = world_of_fifty(32).await;
    let (victim, others) = symbols.split_first().unwrap();
    let before = world.kurs.source("binance").await;
    let lost = |source: &Value| {
        let counts = ["gaps", "resyncs"].map(|key| {
            let count = |state: &Value| state["books"][key].as_u64().unwrap();
            count(source) - count(&before)
        });
        (counts[0], counts[1])
    };
    world
        .sim
        .fault(Venue::Binance, Fault::gaps(1).for_symbol(victim));
    let end = Instant::now() + 4 * PATIENCE;
    let mut out_since: Option<Instant> = None;
    let mut longest = Duration::ZERO;
    let mut others = others.iter().cycle();
    let after = loop {
        match look(&world, "binance", victim).await {
            Seen::Readable(book) => {
                assert_in_order(&book);
                if let Some(since) = out_since.take() {
                    longest = longest.max(since.elapsed());
                }
            }
            Seen::NotReady(_) => {
                out_since.get_or_insert_with(Instant::now);
            }
        }
        let other = others.next().unwrap();
        match look(&world, "binance", other).await {
            Seen::Readable(book) => assert_in_order(&book),
            Seen::NotReady(why) => panic!("{other} lost its book too: {why}"),
        }
        let state = world.kurs.source("binance").await;
        let (gaps, resyncs) = lost(&state);
        if gaps >= 3 && resyncs >= gaps {
            break state;
        }
        assert!(Instant::now() < end, "{gaps} gaps, {resyncs} resyncs");
    };
    println!(
        "{:?} gaps and resyncs, longest time out of step {longest:?}",
        lost(&after)
    );
    world.sim.heal(Venue::Binance);
    readable(&world, "binance", victim).await;
    assert_eq!(after["books"]["checksum_failures"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_third_of_all_messages_lost_no_crossed_book_is_ever_readable() {
    let (world, symbols) = world_of_fifty(33).await;
    world.sim.fault(Venue::Binance, Fault::gaps(30));
    let end = Instant::now() + Duration::from_secs(15);
    let mut told = BTreeSet::new();
    let mut readable_books = 0_u32;
    while Instant::now() < end {
        for symbol in &symbols {
            match look(&world, "binance", symbol).await {
                Seen::Readable(book) => {
                    assert_in_order(&book);
                    readable_books += 1;
                }
                Seen::NotReady(why) => {
                    told.insert(why);
                }
            }
        }
    }
    println!("{readable_books} readable looks, reasons {told:?}");
    assert!(!told.is_empty(), "no book was ever lost");
    let source = world.kurs.source("binance").await;
    assert!(source["books"]["gaps"].as_u64() > Some(20), "{source}");
    world.sim.heal(Venue::Binance);
    for symbol in &symbols {
        // The venue allows so many snapshots a minute, and most of them are spent by now.
        readable_within(4 * PATIENCE, &world, "binance", symbol).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_costs_one_symbol_its_book_until_a_new_snapshot() {
    let settings = [&ALL_EXCHANGES[..], &[("KURS_PAIRS", "BTC-USD,ETH-USD")]].concat();
    let world = World::start(SimConfig::seeded(34), &settings).await;
    readable(&world, "kraken", "BTC-USD").await;
    readable(&world, "kraken", "ETH-USD").await;
    world.sim.fault(
        Venue::Kraken,
        Fault::new(FaultKind::Checksum)
            .for_symbol("BTC/USD")
            .times(1),
    );
    let state = world
        .kurs
        .source_until("kraken", |source| {
            source["books"]["checksum_failures"].as_u64() >= Some(1)
                && source["books"]["resyncs"].as_u64() >= Some(1)
        })
        .await;
    assert_eq!(
        state["reconnects"], 0,
        "one symbol took the connection with it"
    );
    let book = readable(&world, "kraken", "BTC-USD").await;
    assert_in_order(&book);
}

#[tokio::test(flavor = "multi_thread")]
async fn crossed_books_and_restarted_numbering_are_never_shown_and_heal() {
    let settings = [&ALL_EXCHANGES[..], &[("KURS_PAIRS", "BTC-USD,BTC-USDT")]].concat();
    let world = World::start(SimConfig::seeded(35), &settings).await;
    let books = [
        (Venue::Binance, "binance", "BTC-USDT", "BTCUSDT"),
        (Venue::Coinbase, "coinbase", "BTC-USD", "BTC-USD"),
        (Venue::Kraken, "kraken", "BTC-USD", "BTC/USD"),
        (Venue::Bybit, "bybit", "BTC-USDT", "BTCUSDT"),
        (Venue::Okx, "okx", "BTC-USDT", "BTC-USDT"),
    ];
    for (_, source, pair, _) in books {
        readable(&world, source, pair).await;
    }
    for (venue, _, _, symbol) in books {
        let crossed = Fault::new(FaultKind::Crossed).for_symbol(symbol).times(1);
        assert!(world.sim.fault(venue, crossed), "{venue:?}");
    }
    for venue in [Venue::Bybit, Venue::Okx] {
        assert!(world.sim.fault(venue, Fault::new(FaultKind::Restart)));
    }
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        for (_, source, pair, _) in books {
            if let Seen::Readable(book) = look(&world, source, pair).await {
                assert_in_order(&book);
            }
        }
    }
    for (venue, source, pair, _) in books {
        world.sim.heal(venue);
        assert_in_order(&readable(&world, source, pair).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_of_a_venue_that_has_stalled_cannot_be_read_until_it_speaks_again() {
    let settings = [&ALL_EXCHANGES[..], &[("KURS_PAIRS", "BTC-USD,BTC-USDT")]].concat();
    let world = World::start(SimConfig::seeded(36), &settings).await;
    let books = [
        (Venue::Binance, "binance", "BTC-USDT"),
        (Venue::Coinbase, "coinbase", "BTC-USD"),
        (Venue::Kraken, "kraken", "BTC-USD"),
        (Venue::Bybit, "bybit", "BTC-USDT"),
        (Venue::Okx, "okx", "BTC-USDT"),
    ];
    for (venue, source, pair) in books {
        readable(&world, source, pair).await;
        // Pings are answered: the connection does not look dead.
        assert!(world.sim.fault(venue, Fault::stall()));
    }
    let mut lifeless = BTreeSet::new();
    let end = Instant::now() + PATIENCE;
    while lifeless.len() < books.len() {
        for (_, source, pair) in books {
            if let Seen::NotReady(why) = look(&world, source, pair).await
                && why.contains("no sign of life for ")
            {
                lifeless.insert(source);
            }
        }
        assert!(
            Instant::now() < end,
            "only {lifeless:?} were found lifeless"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (venue, source, pair) in books {
        world.sim.heal(venue);
        assert_in_order(&readable(&world, source, pair).await);
    }
}
