use crate::client::{GUARD, Socket, get, request, start};
use futures_util::StreamExt;
use kurs_sim::{Channel, Fault, FaultKind, SimConfig, SimHandle, Venue};
use serde_json::Value;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{Error, Message};

async fn subscribed(sim: &SimHandle) -> Socket {
    let url = format!("{}?streams=btcusdt@bookTicker", sim.urls().binance_ws);
    let mut socket = Socket::open(&url).await;
    assert_eq!(socket.json().await["stream"], "btcusdt@bookTicker");
    socket
}

/// The error or end a client sees.
async fn ending(socket: &mut Socket) -> Option<Error> {
    loop {
        match tokio::time::timeout(GUARD, socket.0.next()).await.unwrap() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Some(error),
            None => return None,
        }
    }
}

fn is_reset(error: &Option<Error>) -> bool {
    matches!(error, Some(Error::Io(error)) if error.kind() == ErrorKind::ConnectionReset)
}

fn ping(sim: &SimHandle) -> String {
    format!("{}/api/v3/ping", sim.urls().binance_rest)
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_cut_is_an_end_without_goodbye() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    assert_eq!(sim.reset(Venue::Binance, Some(Channel::Ws)), 1);
    let end = ending(&mut socket).await;
    assert!(is_reset(&end), "{end:?}");
    let mut socket = subscribed(&sim).await;
    assert_eq!(sim.cut(Venue::Binance, None), 1);
    let end = ending(&mut socket).await;
    assert!(end.is_some() && !is_reset(&end), "{end:?}");
}

#[tokio::test]
async fn a_venue_that_is_down_ends_everything_until_healed_and_the_others_live() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    assert!(sim.fault(Venue::Binance, Fault::new(FaultKind::Reset)));
    assert!(is_reset(&ending(&mut socket).await));
    assert!(Socket::try_open(&sim.urls().binance_ws).await.is_err());
    assert!(request("GET", &ping(&sim), &[], "").await.is_err());
    assert_eq!(
        get(&format!("{}/ping", sim.urls().coingecko_rest))
            .await
            .status,
        200
    );
    sim.heal(Venue::Binance);
    assert_eq!(get(&ping(&sim)).await.status, 200);
    subscribed(&sim).await;
}

#[tokio::test]
async fn refusing_leaves_living_connections_alone() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Refuse).on(Channel::Ws),
    );
    assert!(Socket::try_open(&sim.urls().binance_ws).await.is_err());
    assert_eq!(socket.json().await["stream"], "btcusdt@bookTicker");
    assert_eq!(get(&ping(&sim)).await.status, 200);
}

#[tokio::test]
async fn a_stalled_socket_is_open_and_silent_and_still_answers_pings() {
    use futures_util::SinkExt;
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    sim.fault(Venue::Binance, Fault::stall());
    // What was on its way when the fault began.
    while !socket.is_silent(Duration::from_millis(300)).await {}
    socket.0.send(Message::Ping("there?".into())).await.unwrap();
    assert_eq!(socket.message().await, Some(Message::Pong("there?".into())));
    sim.heal(Venue::Binance);
    assert_eq!(socket.json().await["stream"], "btcusdt@bookTicker");
}

#[tokio::test]
async fn a_frozen_socket_does_not_even_answer_pings() {
    use futures_util::SinkExt;
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Stall { pongs: false }),
    );
    while !socket.is_silent(Duration::from_millis(300)).await {}
    socket.0.send(Message::Ping("there?".into())).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), socket.0.next()).await;
    assert!(answer.is_err(), "{answer:?}");
    sim.heal(Venue::Binance);
    while socket.message().await != Some(Message::Pong("there?".into())) {}
}

#[tokio::test]
async fn one_symbol_can_fall_silent_alone() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    sim.fault(Venue::Binance, Fault::stall().for_symbol("BTCUSDT"));
    while !socket.is_silent(Duration::from_millis(300)).await {}
    socket.subscribe(&["ethusdt@bookTicker"]).await;
    for _ in 0..10 {
        assert_eq!(socket.json().await["stream"], "ethusdt@bookTicker");
    }
}

#[tokio::test]
async fn a_stalled_request_is_answered_only_when_healed() {
    let sim = start(SimConfig::default()).await;
    sim.fault(Venue::Ecb, Fault::stall());
    let url = sim.urls().ecb_rest;
    let asked = tokio::spawn(async move { get(&url).await.status });
    let arrived = || (sim.state().venues[&Venue::Ecb].rest_requests_total() == 1).then_some(());
    kurs_testkit::until("the request", GUARD, arrived).await;
    assert!(!asked.is_finished());
    sim.heal(Venue::Ecb);
    assert_eq!(asked.await.unwrap(), 200);
}

#[tokio::test]
async fn statuses_come_in_the_words_of_the_venue() {
    let sim = start(SimConfig::default()).await;
    for (status, code) in [
        (429, -1003),
        (418, -1003),
        (451, 0),
        (500, -1000),
        (503, -1000),
    ] {
        sim.fault(Venue::Binance, Fault::status(status, Some(7)));
        let answer = get(&ping(&sim)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_i64()),
            (status, Some(code))
        );
        assert_eq!(answer.header("retry-after"), Some("7"));
        let refused = Socket::try_open(&sim.urls().binance_ws).await.err();
        let Some(Error::Http(response)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(response.status().as_u16(), status);
        sim.heal(Venue::Binance);
    }
    sim.fault(Venue::Coingecko, Fault::status(429, None));
    let answer = get(&format!("{}/ping", sim.urls().coingecko_rest)).await;
    assert_eq!(answer.json()["status"]["error_code"], 429);
    assert_eq!(answer.header("retry-after"), None);
    sim.fault(Venue::OpenExchangeRates, Fault::status(403, None).times(1));
    let url = format!("{}/latest.json?app_id=k", sim.urls().openexchangerates_rest);
    assert_eq!(get(&url).await.json()["status"], 403);
    assert_eq!(get(&url).await.status, 200);
    sim.fault(Venue::Cbr, Fault::status(403, None));
    assert!(get(&sim.urls().cbr_rest).await.text().starts_with("<html>"));
}

#[tokio::test]
async fn frames_are_broken_lost_doubled_and_delayed_as_asked() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Malformed { percent: 100 }).times(3),
    );
    let mut broken = 0;
    while broken < 3 {
        broken += usize::from(serde_json::from_str::<Value>(&socket.text().await).is_err());
    }
    // Healed by itself: whole frames again.
    for _ in 0..5 {
        socket.json().await;
    }
    sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Duplicate { percent: 100 }),
    );
    let mut last = socket.text().await;
    loop {
        let next = socket.text().await;
        if next == last {
            break;
        }
        last = next;
    }
    sim.heal(Venue::Binance);
    sim.fault(Venue::Binance, Fault::new(FaultKind::Drop { percent: 100 }));
    while !socket.is_silent(Duration::from_millis(300)).await {}
    assert!(request("GET", &ping(&sim), &[], "").await.is_err());
    sim.heal(Venue::Binance);
    sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Delay(Duration::from_millis(200))).on(Channel::Rest),
    );
    let asked = Instant::now();
    assert_eq!(get(&ping(&sim)).await.status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(200));
    let delay = Fault::new(FaultKind::Delay(Duration::from_millis(300))).on(Channel::Ws);
    sim.fault(Venue::Binance, delay.for_symbol("ETHUSDT"));
    socket.subscribe(&["ethusdt@bookTicker"]).await;
    while socket.json().await["stream"] != "ethusdt@bookTicker" {}
}

#[tokio::test]
async fn broken_answers_keep_their_status_and_parse_nowhere() {
    let sim = start(SimConfig::default()).await;
    for venue in [Venue::Coingecko, Venue::OpenExchangeRates] {
        sim.fault(venue, Fault::new(FaultKind::Malformed { percent: 100 }));
    }
    for url in [
        format!("{}/ping", sim.urls().coingecko_rest),
        format!("{}/latest.json?app_id=k", sim.urls().openexchangerates_rest),
    ] {
        let answer = get(&url).await;
        assert_eq!(answer.status, 200);
        assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    }
}

#[tokio::test]
async fn wrong_prices_are_wrong_in_the_way_asked() {
    let sim = start(SimConfig::default()).await;
    let mut socket = subscribed(&sim).await;
    for text in ["NaN", "1e308", "-1", "0"] {
        sim.heal_all();
        sim.fault(
            Venue::Binance,
            Fault::wrong_text(text).for_symbol("BTCUSDT"),
        );
        while socket.json().await["data"]["b"] != text {}
    }
    sim.heal_all();
    sim.fault(
        Venue::Cbr,
        Fault::wrong_factor("10".parse().unwrap()).for_symbol("USD"),
    );
    let spoiled = get(&sim.urls().cbr_rest).await;
    sim.heal_all();
    let right = get(&sim.urls().cbr_rest).await;
    let usd = |body: &[u8]| {
        let text = String::from_utf8_lossy(body).into_owned();
        let valute = text
            .split("<CharCode>USD</CharCode>")
            .nth(1)
            .unwrap()
            .to_owned();
        let value = valute
            .split("<Value>")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap()
            .to_owned();
        value.replace(',', "").parse::<u64>().unwrap()
    };
    assert_eq!(usd(&spoiled.body), usd(&right.body) * 10);
    sim.fault(Venue::Coingecko, Fault::wrong_text("NaN"));
    let url = format!(
        "{}/simple/price?ids=bitcoin&vs_currencies=usd",
        sim.urls().coingecko_rest
    );
    assert_eq!(get(&url).await.text(), r#"{"bitcoin":{"usd":NaN}}"#);
}

#[tokio::test]
async fn a_flapping_venue_falls_again_and_again() {
    let sim = start(SimConfig::default()).await;
    let period = Duration::from_millis(400);
    sim.fault(Venue::Binance, Fault::new(FaultKind::Flap { period }));
    let mut falls = 0;
    let end = Instant::now() + GUARD;
    while falls < 2 {
        assert!(Instant::now() < end, "it does not flap");
        if let Ok(mut socket) = Socket::try_open(&sim.urls().binance_ws).await {
            assert!(is_reset(&ending(&mut socket).await));
            falls += 1;
        }
    }
}

#[tokio::test]
async fn faults_are_set_listed_and_healed_over_http() {
    let sim = start(SimConfig::default()).await;
    let control = sim.urls().control;
    let post = async |path: &str, body: &str| {
        request("POST", &format!("{control}/{path}"), &[], body)
            .await
            .unwrap()
    };
    let body = r#"{"venue":"binance","fault":"status","status":429,"retry_after":3}"#;
    assert_eq!(post("faults", body).await.status, 200);
    assert_eq!(get(&ping(&sim)).await.status, 429);
    let listed = get(&format!("{control}/faults")).await.json();
    assert_eq!(listed[0]["retry_after"], 3);
    let healed = request(
        "DELETE",
        &format!("{control}/faults?venue=binance"),
        &[],
        "",
    )
    .await;
    assert_eq!(healed.unwrap().status, 200);
    assert_eq!(get(&ping(&sim)).await.status, 200);
    let mut socket = subscribed(&sim).await;
    let price = post(
        "price",
        r#"{"symbol":"BTCUSDT","bid":"50000","ask":"50000.02"}"#,
    )
    .await;
    assert_eq!(price.status, 200, "{}", price.text());
    while socket.json().await["data"]["b"] != "50000.00000000" {}
    assert_eq!(post("price", r#"{"symbol":"BTCUSDT"}"#).await.status, 200);
    assert_eq!(
        post("price", r#"{"symbol":"NOPE","price":"1"}"#)
            .await
            .status,
        400
    );
    assert_eq!(post("list", r#"{"symbol":"FOOUSDT"}"#).await.status, 200);
    assert_eq!(post("shutdown-notice", "").await.json()["told"], 1);
    assert_eq!(
        post("cut", r#"{"venue":"binance","channel":"ws"}"#)
            .await
            .json()["closed"],
        1
    );
    assert!(ending(&mut socket).await.is_some());
    let state = get(&format!("{control}/state")).await.json();
    let routes = &state["venues"]["binance"]["routes"]["/api/v3/ping"];
    assert_eq!(
        (&routes["count"], &routes["last"][0]["status"]),
        (&2.into(), &429.into())
    );
    assert_eq!(
        state["venues"]["binance"]["violations"]["too_many_messages"],
        0
    );
    assert_eq!(post("step", r#"{"frames":1}"#).await.status, 400);
}

#[tokio::test]
async fn faults_given_as_words_hold_from_the_start() {
    let faults = vec![
        "ecb:503".parse().unwrap(),
        "binance:refuse:channel=ws".parse().unwrap(),
    ];
    let sim = start(SimConfig {
        faults,
        ..SimConfig::default()
    })
    .await;
    assert_eq!(get(&sim.urls().ecb_rest).await.status, 503);
    assert!(Socket::try_open(&sim.urls().binance_ws).await.is_err());
}
