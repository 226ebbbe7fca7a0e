//! The whole source against a small venue: what it tells the engine, and what it asks the venue.

mod binance_venue;

use binance_venue::{Order, Peer, Rig, book_ticker, diff, pair, soon};
use kurs_core::{EventKind, Pair, SourceState, Tick};
use kurs_sources::Source;
use kurs_sources::binance::Config;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn tick(event: &EventKind) -> Option<Tick> {
    match event {
        EventKind::Tick(tick) => Some(*tick),
        _ => None,
    }
}

fn state(event: &EventKind) -> Option<(SourceState, String)> {
    match event {
        EventKind::State { state, why } => Some((*state, why.to_string())),
        _ => None,
    }
}

fn pair_state(event: &EventKind) -> Option<(Pair, SourceState)> {
    match event {
        EventKind::PairState { pair, state, .. } => Some((*pair, *state)),
        _ => None,
    }
}

/// A live stream on BTC-USDT; its first tick has update id 1.
async fn live(config: Config) -> (Rig, Peer) {
    let mut rig = Rig::start(config, &["BTC-USDT"]).await;
    let mut peer = rig.peer().await;
    peer.command(&["SUBSCRIBE", "btcusdt@bookTicker"]).await;
    peer.say(book_ticker("BTCUSDT", 1, "100.00", "100.10"));
    rig.find(|event| tick(event).filter(|tick| tick.event_id == Some(1)))
        .await;
    (rig, peer)
}

/// REST is not asked for anything but the listing.
fn no_polls() -> Config {
    Config {
        silence_ms: 60_000,
        ..Config::default()
    }
}

#[tokio::test]
async fn listed_pairs_are_streamed_and_unlisted_ones_are_said_to_be_so() {
    let mut rig = Rig::start(no_polls(), &["BTC-USDT", "USD-RUB"]).await;
    let unlisted = rig.find(pair_state).await;
    assert_eq!(unlisted, (pair("USD-RUB"), SourceState::Down));
    let mut peer = rig.peer().await;
    let command = peer
        .command(&["SUBSCRIBE", "btcusdt@bookTicker", "btcusdt@trade"])
        .await;
    assert!(!command.contains("usdrub"), "{command}");
    peer.say(r#"{"result":null,"id":1}"#);
    peer.say(book_ticker(
        "BTCUSDT",
        7,
        "61837.63000000",
        "61837.64000000",
    ));
    assert_eq!(rig.find(state).await, (SourceState::Live, String::new()));
    let first = rig.find(tick).await;
    assert_eq!(first.quote.bid().unwrap().to_string(), "61837.63000000");
    assert_eq!((first.pair, first.event_id), (pair("BTC-USDT"), Some(7)));
    let trade = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255208,"s":"BTCUSDT","t":5,"p":"61837.64","q":"1","T":1723161255207,"m":true,"M":true}}"#;
    peer.say(trade);
    let traded = rig.find(|event| match event {
        EventKind::Trade {
            price, traded_at, ..
        } => Some((price.to_string(), traded_at.unix_ms())),
        _ => None,
    });
    assert_eq!(traded.await, ("61837.64".to_owned(), 1_723_161_255_207));
    assert!(rig.source.stats().lag_ms().is_some());
    assert_eq!(rig.source.stats().pairs.load(Ordering::Relaxed), 1);
    assert!(rig.source.lists(pair("ETH-USDT")).await.unwrap());
    assert!(!rig.source.lists(pair("ETH-RUB")).await.unwrap());
    rig.stop.send(true).unwrap();
    soon(rig.task).await.unwrap();
}

#[tokio::test]
async fn a_pair_is_added_and_removed_over_the_same_connection() {
    let (mut rig, mut peer) = live(no_polls()).await;
    rig.want(&["BTC-USDT", "ETH-USDT"]);
    let command = peer.command(&["SUBSCRIBE", "ethusdt@bookTicker"]).await;
    assert!(!command.contains("btcusdt"), "{command}");
    peer.say(book_ticker("ETHUSDT", 3, "10", "11"));
    rig.find(|event| tick(event).filter(|tick| tick.pair == pair("ETH-USDT")))
        .await;
    rig.want(&["ETH-USDT"]);
    peer.command(&["UNSUBSCRIBE", "btcusdt@bookTicker"]).await;
    let gone = rig.find(|event| match event {
        EventKind::Untracked(pair) => Some(*pair),
        _ => None,
    });
    assert_eq!(gone.await, pair("BTC-USDT"));
    assert!(rig.peers.try_recv().is_err(), "it connected again");
}

#[tokio::test]
async fn a_lost_socket_is_said_at_once_and_rest_stands_in_until_it_is_back() {
    let (mut rig, peer) = live(no_polls()).await;
    let _ = peer.orders.send(Order::Cut);
    assert_eq!(rig.find(state).await.0, SourceState::Down);
    // The socket comes back within the backoff, but says nothing until REST has spoken.
    let polled = rig
        .find(|event| tick(event).filter(|tick| tick.event_id.is_none()))
        .await;
    assert_eq!(polled.quote.bid().unwrap().to_string(), "200.00");
    assert_eq!(&*rig.source.stats().condition().mode, "rest");
    let mut peer = rig.peer().await;
    peer.command(&["SUBSCRIBE", "btcusdt@bookTicker"]).await;
    // Lower than before: after a gap the first word holds.
    peer.say(book_ticker("BTCUSDT", 1, "90", "91"));
    let back = rig
        .find(|event| tick(event).filter(|tick| tick.event_id.is_some()))
        .await;
    assert_eq!(back.quote.bid().unwrap().to_string(), "90");
    assert_eq!(&*rig.source.stats().condition().mode, "websocket");
    assert_eq!(rig.source.stats().condition().state, SourceState::Live);
}

/// Short silences; REST is asked ten times a second.
fn impatient() -> Config {
    Config {
        silence_ms: 300,
        poll_ms: 100,
        ..Config::default()
    }
}

async fn wait_for_mode(rig: &Rig, mode: &str) {
    soon(async {
        while &*rig.source.stats().condition().mode != mode {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_silent_socket_is_bridged_by_rest_without_a_word_and_said_when_rest_ends_too() {
    let (mut rig, silent) = live(impatient()).await;
    let _ = silent.orders.send(Order::Hang);
    wait_for_mode(&rig, "rest").await;
    // The next connections are as silent as the first.
    let mut also_silent = Vec::new();
    for _ in 0..2 {
        let peer = rig.peer().await;
        let _ = peer.orders.send(Order::Hang);
        also_silent.push(peer);
    }
    assert_eq!(rig.source.stats().condition().state, SourceState::Live);
    let mut polled = 0;
    while let Ok(event) = rig.events.try_recv() {
        assert_eq!(state(&event.kind), None, "{event:?}");
        polled += usize::from(tick(&event.kind).is_some());
    }
    assert!(polled > 0, "REST bridges");
    rig.rest.lock().unwrap().refuse = Some((500, None));
    assert_eq!(rig.find(state).await.0, SourceState::Down);
    rig.rest.lock().unwrap().refuse = None;
    assert_eq!(rig.find(state).await.0, SourceState::Live);
    drop((silent, also_silent));
}

#[tokio::test]
async fn a_silent_socket_is_said_to_be_down_when_rest_is_silent_too() {
    let (mut rig, silent) = live(impatient()).await;
    let _ = silent.orders.send(Order::Hang);
    rig.rest.lock().unwrap().refuse = Some((500, None));
    assert_eq!(rig.find(state).await.0, SourceState::Down);
}

#[tokio::test]
async fn a_quiet_socket_that_is_reset_is_said_at_once_although_rest_answers() {
    let config = Config {
        silence_ms: 3_000,
        ..impatient()
    };
    let (mut rig, peer) = live(config).await;
    // The pair is quiet and confirmed by REST.
    rig.find(|event| tick(event).filter(|tick| tick.event_id.is_none()))
        .await;
    let _ = peer.orders.send(Order::Cut);
    assert_eq!(rig.find(state).await.0, SourceState::Down);
    assert_eq!(rig.find(state).await.0, SourceState::Live);
    assert_eq!(&*rig.source.stats().condition().mode, "rest");
}

#[tokio::test]
async fn a_source_that_lists_none_of_the_pairs_says_so() {
    let mut rig = Rig::start(no_polls(), &["USD-RUB", "EUR-RUB"]).await;
    let why = "none of the tracked pairs is listed";
    assert_eq!(
        rig.find(state).await,
        (SourceState::Syncing, why.to_owned())
    );
    let condition = rig.source.stats().condition();
    assert_eq!(
        (condition.state, &*condition.why),
        (SourceState::Syncing, why)
    );
    rig.want(&["USD-RUB", "EUR-RUB", "BTC-USDT"]);
    let mut peer = rig.peer().await;
    peer.command(&["SUBSCRIBE", "btcusdt@bookTicker"]).await;
    assert_eq!(&*rig.source.stats().condition().why, "starting");
    peer.say(book_ticker("BTCUSDT", 1, "100.00", "100.10"));
    assert_eq!(rig.find(state).await.0, SourceState::Live);
    rig.want(&["USD-RUB"]);
    assert_eq!(rig.find(state).await.0, SourceState::Syncing);
    rig.want(&["BTC-USDT"]);
    let mut peer = rig.peer().await;
    peer.command(&["SUBSCRIBE", "btcusdt@bookTicker"]).await;
    peer.say(book_ticker("BTCUSDT", 1, "100.00", "100.10"));
    let next = rig.find(|event| {
        state(event)
            .map(|told| told.0)
            .or_else(|| tick(event).map(|_| SourceState::Down))
    });
    assert_eq!(next.await, SourceState::Live, "before its first price");
}

#[tokio::test]
async fn update_ids_that_begin_anew_on_the_first_connection_are_believed() {
    let (mut rig, peer) = live(no_polls()).await;
    peer.say(book_ticker("BTCUSDT", 1_009, "100.00", "100.10"));
    let feeder = tokio::spawn(async move {
        for update_id in 1..1_000 {
            peer.say(book_ticker("BTCUSDT", update_id, "90.00", "90.10"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    rig.find(|event| tick(event).filter(|tick| tick.quote.bid().unwrap().to_string() == "90.00"))
        .await;
    feeder.abort();
}

#[tokio::test]
async fn a_limit_of_the_venue_is_kept_to_the_second() {
    for status in [429, 418] {
        let (mut rig, peer) = live(Config {
            poll_ms: 100,
            ..no_polls()
        })
        .await;
        rig.rest.lock().unwrap().refuse = Some((status, Some(2)));
        let _ = peer.orders.send(Order::Cut);
        assert_eq!(rig.find(state).await.0, SourceState::Down);
        let asked = |rig: &Rig| {
            let side = rig.rest.lock().unwrap();
            let polls = side
                .log
                .iter()
                .filter(|(_, path)| path.contains("bookTicker"));
            polls.map(|(at, _)| *at).collect::<Vec<_>>()
        };
        let wait_for = async |rig: &Rig, count: usize| {
            soon(async {
                while asked(rig).len() < count {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
        };
        wait_for(&rig, 1).await;
        soon(async {
            while rig.source.stats().limited_until().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert!(
            rig.source.lists(pair("ETH-USDT")).await.is_err(),
            "no request passes the gate"
        );
        rig.rest.lock().unwrap().refuse = None;
        wait_for(&rig, 2).await;
        let asked = asked(&rig);
        assert!(
            asked[1] - asked[0] >= Duration::from_secs(2),
            "asked again too soon"
        );
        rig.find(tick).await;
        assert_eq!(rig.source.stats().limited_until(), None);
    }
}

#[tokio::test]
async fn garbage_is_counted_and_the_connection_that_sends_it_is_given_up() {
    let (mut rig, peer) = live(no_polls()).await;
    peer.say(r#"{"u":2,"s":"BTCUSDT","b":"#);
    peer.say(book_ticker("BTCUSDT", 3, "100.20", "100.10"));
    peer.say(book_ticker("BTCUSDT", 4, "0.00", "100.10"));
    peer.say(book_ticker("BTCUSDT", 5, "100.00", "100.20"));
    let next = rig.find(tick).await;
    assert_eq!(
        next.event_id,
        Some(5),
        "crossed and zero prices are not passed on"
    );
    assert_eq!(rig.source.stats().decode_errors.load(Ordering::Relaxed), 3);
    for _ in 0..20 {
        peer.say("<html>gateway</html>");
    }
    let down = rig.find(state).await;
    assert_eq!(
        down,
        (SourceState::Down, "sends what cannot be read".to_owned())
    );
    rig.peer().await;
}

#[tokio::test]
async fn every_update_id_passes_once_and_in_order_while_the_connection_is_renewed() {
    let config = Config {
        renew_after_ms: 1_000,
        ..no_polls()
    };
    let (mut rig, old) = live(config).await;
    let mut connections = vec![old];
    let mut update_id = 1;
    let mut renewals = 0;
    while renewals < 3 {
        update_id += 1;
        // The older connection is served last, so that the newer one is ahead.
        for peer in connections.iter().rev() {
            peer.say(book_ticker("BTCUSDT", update_id, "100.00", "100.10"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        while let Ok(mut peer) = rig.peers.try_recv() {
            // Frames of the others go on while this one subscribes.
            while peer.received.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                update_id += 1;
                for peer in &connections {
                    peer.say(book_ticker("BTCUSDT", update_id, "100.00", "100.10"));
                }
            }
            connections.push(peer);
            renewals += 1;
        }
    }
    let mut expected = 2;
    while expected <= update_id {
        let kind = rig.event().await;
        assert!(state(&kind).is_none(), "{kind:?}");
        if let Some(tick) = tick(&kind) {
            assert_eq!(tick.event_id, Some(expected));
            expected += 1;
        }
    }
}

#[tokio::test]
async fn a_quiet_pair_is_confirmed_by_rest_and_stale_only_when_that_fails_too() {
    let config = Config {
        silence_ms: 800,
        poll_ms: 200,
        ..Config::default()
    };
    let (mut rig, busy) = live(config).await;
    // Data of another pair keeps the connection alive.
    rig.want(&["BTC-USDT", "ETH-USDT"]);
    let keep_alive = tokio::spawn(async move {
        for update_id in 1.. {
            busy.say(book_ticker("ETHUSDT", update_id, "10", "11"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let bitcoin = pair("BTC-USDT");
    for _ in 0..5 {
        let stale = rig.find(|event| match event {
            EventKind::PairState {
                pair,
                state: SourceState::Stale,
                ..
            } if *pair == bitcoin => Some(true),
            EventKind::Tick(tick) if tick.pair == bitcoin && tick.event_id.is_none() => Some(false),
            _ => None,
        });
        assert!(!stale.await, "stale although REST confirms it");
    }
    assert_eq!(&*rig.source.stats().condition().mode, "websocket");
    rig.rest.lock().unwrap().refuse = Some((500, None));
    let gone = (bitcoin, SourceState::Stale);
    rig.find(|event| pair_state(event).filter(|found| *found == gone))
        .await;
    rig.rest.lock().unwrap().refuse = None;
    let back = (bitcoin, SourceState::Live);
    rig.find(|event| pair_state(event).filter(|found| *found == back))
        .await;
    keep_alive.abort();
}

#[tokio::test]
async fn a_symbol_that_is_no_longer_traded_is_left_out_of_the_poll() {
    let mut rig = Rig::start(Config::default(), &["BTC-USDT", "ETH-USDT"]).await;
    let mut peer = rig.peer().await;
    peer.command(&["SUBSCRIBE", "ethusdt@bookTicker"]).await;
    rig.rest
        .lock()
        .unwrap()
        .traded
        .retain(|(symbol, ..)| *symbol == "BTCUSDT");
    let down = (pair("ETH-USDT"), SourceState::Down);
    rig.find(|event| pair_state(event).filter(|found| *found == down))
        .await;
    peer.command(&["UNSUBSCRIBE", "ethusdt@bookTicker"]).await;
    rig.find(|event| tick(event).filter(|tick| tick.pair == pair("BTC-USDT")))
        .await;
}

/// Waits for a book of BTC-USDT whose best bid has this size.
async fn book_with(rig: &Rig, size: &str) -> u64 {
    soon(async {
        loop {
            let view = rig.source.book(pair("BTC-USDT"), 5);
            let depth = view.as_ref().and_then(|view| view.depth.as_deref());
            let found = depth.filter(|depth| depth.bids[0].size.to_string() == size);
            if let Some(id) = found.and(view.as_ref()).and_then(|view| view.last_id) {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_book_is_joined_to_its_snapshot_and_joined_again_after_a_gap() {
    let (mut rig, mut peer) = live(no_polls()).await;
    let books = |rig: &Rig| {
        let books = &rig.source.stats().books;
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        (of(&books.gaps), of(&books.resyncs))
    };
    assert!(
        rig.source.book(pair("ETH-USDT"), 5).is_none(),
        "not followed"
    );
    rig.rest.lock().unwrap().snapshot_id = 10;
    peer.say(diff("BTCUSDT", 9, 11, "2"));
    assert_eq!(book_with(&rig, "2").await, 11);
    peer.say(diff("BTCUSDT", 12, 12, "3"));
    assert_eq!(book_with(&rig, "3").await, 12);
    assert_eq!(books(&rig), (0, 0));
    // 13 is missing; the first snapshot is too old, a later one is not.
    peer.say(diff("BTCUSDT", 14, 15, "4"));
    soon(async {
        while rig
            .source
            .book(pair("BTC-USDT"), 5)
            .unwrap()
            .depth
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let view = rig.source.book(pair("BTC-USDT"), 5).unwrap();
    assert_eq!(&*view.why, "order book out of step: a message is missing");
    rig.rest.lock().unwrap().snapshot_id = 14;
    assert_eq!(book_with(&rig, "4").await, 15);
    assert_eq!(books(&rig), (1, 1));
    // Prices went on all the while.
    peer.say(book_ticker("BTCUSDT", 20, "100.20", "100.30"));
    rig.find(|event| tick(event).filter(|tick| tick.event_id == Some(20)))
        .await;
    assert!(
        peer.received.try_recv().is_err(),
        "nothing was subscribed anew"
    );
}

#[tokio::test]
async fn a_venue_that_refuses_the_address_is_said_to_be_blocked() {
    let (mut rig, peer) = live(no_polls()).await;
    rig.rest.lock().unwrap().refuse = Some((451, None));
    let _ = peer.orders.send(Order::Cut);
    assert_eq!(rig.find(state).await.0, SourceState::Down);
    soon(async {
        while &*rig.source.stats().condition().why != "blocked here (HTTP 451)" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
