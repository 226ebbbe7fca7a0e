use crate::client::{GUARD, Socket, get, start};
use futures_util::SinkExt;
use kurs_sim::{BinanceLimits, SimConfig, SimHandle, Venue, VenueState};
use tokio_tungstenite::tungstenite::Message;

async fn start_with(binance: BinanceLimits) -> SimHandle {
    start(SimConfig {
        binance,
        ..SimConfig::default()
    })
    .await
}

fn state(sim: &SimHandle) -> VenueState {
    sim.state().venues[&Venue::Binance].clone()
}

#[tokio::test]
async fn more_than_five_messages_in_a_second_end_the_connection() {
    let sim = start(SimConfig::default()).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    for id in 0..6 {
        let text = format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{id}}}"#);
        // The connection may be gone before the last one.
        let _ = socket.0.send(Message::text(text)).await;
    }
    assert_eq!(
        socket.until_end().await.as_deref(),
        Some("Too many requests")
    );
    let state = state(&sim);
    assert_eq!(state.violations.too_many_messages, 1);
    assert_eq!(state.ws_messages_per_second_max, 6);
}

#[tokio::test]
async fn pings_count_as_messages_and_are_answered() {
    let sim = start(SimConfig::default()).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket.0.send(Message::Ping("hello".into())).await.unwrap();
    assert_eq!(socket.message().await, Some(Message::Pong("hello".into())));
    assert_eq!(state(&sim).ws_messages_received, 1);
}

#[tokio::test]
async fn a_pong_with_the_payload_keeps_a_connection_and_silence_ends_it() {
    let sim = start_with(BinanceLimits {
        ping_every_ms: 50,
        pong_within_ms: 2_000,
        messages_per_second: 100,
        ..BinanceLimits::default()
    })
    .await;
    // This client answers by itself while it reads.
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    while state(&sim).ws_pongs_matched < 12 {
        assert!(matches!(socket.message().await, Some(Message::Ping(_))));
    }
    assert_eq!(state(&sim).violations.missed_pongs, 0);
    // Now nobody reads, so nobody answers.
    let missed = || (state(&sim).violations.missed_pongs == 1).then_some(());
    kurs_testkit::until("the missed pong", GUARD, missed).await;
}

#[tokio::test]
async fn streams_of_a_connection_are_limited() {
    let limits = BinanceLimits {
        streams_per_connection: 2,
        ..BinanceLimits::default()
    };
    let sim = start_with(limits).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket.subscribe(&["a@trade", "b@trade"]).await;
    socket
        .send(r#"{"method":"SUBSCRIBE","params":["c@trade"],"id":1}"#)
        .await;
    let refused = socket.json().await;
    assert_eq!((&refused["code"], &refused["id"]), (&2.into(), &1.into()));
    assert_eq!(state(&sim).violations.too_many_streams, 1);
    assert_eq!(state(&sim).ws_streams.len(), 2);
}

#[tokio::test]
async fn connection_attempts_are_limited() {
    let limits = BinanceLimits {
        attempts_per_five_minutes: 2,
        ..BinanceLimits::default()
    };
    let sim = start_with(limits).await;
    let url = sim.urls().binance_ws;
    let (_first, _second) = (Socket::open(&url).await, Socket::open(&url).await);
    assert!(Socket::try_open(&url).await.is_err());
    assert_eq!(state(&sim).violations.too_many_attempts, 1);
}

#[tokio::test]
async fn a_connection_ends_at_its_age() {
    let limits = BinanceLimits {
        max_connection_age_ms: 100,
        ..BinanceLimits::default()
    };
    let sim = start_with(limits).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    assert_eq!(socket.until_end().await.as_deref(), Some(""));
    let none = || (state(&sim).ws_connections_now == 0).then_some(());
    kurs_testkit::until("the connection to be gone", GUARD, none).await;
}

#[tokio::test]
async fn too_much_weight_gets_429_and_going_on_gets_418() {
    let limits = BinanceLimits {
        weight_per_minute: 300,
        refusals_before_ban: 1,
        ..BinanceLimits::default()
    };
    let sim = start_with(limits).await;
    let url = format!(
        "{}/api/v3/depth?symbol=BTCUSDT&limit=5000",
        sim.urls().binance_rest
    );
    let good = get(&url).await;
    assert_eq!(
        (good.status, good.header("x-mbx-used-weight-1m")),
        (200, Some("250"))
    );
    let refused = get(&url).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_i64()),
        (429, Some(-1003))
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let banned = get(&url).await;
    assert_eq!(
        (banned.status, banned.header("retry-after")),
        (418, Some("120"))
    );
    let state = state(&sim);
    assert_eq!(
        (
            state.violations.too_much_weight,
            state.violations.while_banned
        ),
        (1, 1)
    );
    let statuses: Vec<_> = state.routes["/api/v3/depth"]
        .last
        .iter()
        .map(|seen| seen.status)
        .collect();
    assert_eq!(statuses, [200, 429, 418]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_the_others_go_on() {
    let binance = BinanceLimits {
        queued_frames_max: 64,
        ..BinanceLimits::default()
    };
    let config = SimConfig {
        binance,
        activity_percent: 20_000,
        extra_symbols: 20,
        ..SimConfig::default()
    };
    let sim = start(config).await;
    let names: Vec<_> = (1..=20)
        .map(|n| format!("s{n:04}usdt@depth@100ms"))
        .collect();
    let url = format!(
        "{}?streams={}/btcusdt@depth@100ms",
        sim.urls().binance_ws,
        names.join("/")
    );
    let lazy = Socket::open(&url).await;
    let slow = || (state(&sim).violations.slow_readers > 0).then_some(());
    kurs_testkit::until("the slow reader to be noticed", GUARD, slow).await;
    drop(lazy);
    let mut other = Socket::open(&sim.urls().binance_ws).await;
    other.subscribe(&["trxbtc@bookTicker"]).await;
    assert_eq!(other.json().await["stream"], "trxbtc@bookTicker");
}
