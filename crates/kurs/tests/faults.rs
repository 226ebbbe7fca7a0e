//! The fault table: each way a venue can fail, and what users see of it.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Channel, Fault, FaultKind, SimConfig, Venue};
use std::time::{Duration, Instant};
use support::{PATIENCE, World};

/// Prices that only an event can take away within a test, not their age.
const LASTING: [(&str, &str); 3] = [
    ("KURS_SOURCES__BINANCE__MAX_AGE_MS", "60000"),
    ("KURS_SOURCES__BINANCE__SILENCE_MS", "30000"),
    ("KURS_SOURCES__COINGECKO__PERIOD", "2s"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reset_moves_the_rate_to_the_next_source_without_waiting_for_its_age() {
    let world = World::start(SimConfig::seeded(1), &LASTING).await;
    world.served_by("BTC-USD", "binance").await;
    world.served_by("USDT-USD", "coingecko").await;
    let failed_at = Instant::now();
    world
        .sim
        .fault(Venue::Binance, Fault::new(FaultKind::Reset));
    let rate = world.served_by("BTC-USD", "coingecko").await;
    println!("reset to next source: {:?}", failed_at.elapsed());
    assert_eq!(rate["path"], serde_json::json!(["BTC-USD"]));
    let explained = world
        .kurs
        .get("/api/v1/rates/BTC/USD?explain=true")
        .await
        .json;
    let reason = explained["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("coingecko since ") && reason.contains("binance down"),
        "{reason}"
    );
    assert_eq!(explained["rejections"][0]["source"], "binance");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_venue_gives_way_before_its_last_price_runs_out() {
    let settings = [("KURS_SOURCES__COINGECKO__PERIOD", "2s")];
    let world = World::start(SimConfig::seeded(2), &settings).await;
    world.served_by("BTC-USD", "binance").await;
    world.served_by("USDT-USD", "coingecko").await;
    let silent_at = Instant::now();
    world.sim.fault(Venue::Binance, Fault::stall());
    let end = Instant::now() + PATIENCE;
    loop {
        let reply = world.kurs.rate("BTC-USD").await;
        assert_eq!(
            reply.status, 200,
            "a request went unanswered: {}",
            reply.json
        );
        if reply.json["source"] == "coingecko" {
            break;
        }
        assert!(
            Instant::now() < end,
            "still served by {}",
            reply.json["source"]
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("silence to next source: {:?}", silent_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_alone_is_bridged_by_the_venues_own_rest() {
    let world = World::start(SimConfig::seeded(3), &[]).await;
    world.served_by("BTC-USD", "binance").await;
    world
        .sim
        .fault(Venue::Binance, Fault::stall().on(Channel::Ws));
    let end = Instant::now() + Duration::from_secs(9);
    while Instant::now() < end {
        let reply = world.kurs.rate("BTC-USDT").await;
        assert_eq!(
            (reply.status, &reply.json["source"]),
            (200, &"binance".into()),
            "{}",
            reply.json
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let state = world.sim.state();
    assert!(
        state.venues[&Venue::Binance]
            .routes
            .contains_key("/api/v3/ticker/bookTicker")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_made_before_the_time_a_venue_named() {
    let settings = [("KURS_SOURCES__COINGECKO__PERIOD", "1s")];
    let world = World::start(SimConfig::seeded(4), &settings).await;
    world.served_by("USDT-USD", "coingecko").await;
    world
        .sim
        .fault(Venue::Coingecko, Fault::status(429, Some(3)).times(2));
    let price_requests = || {
        let state = world.sim.state();
        state.venues[&Venue::Coingecko].routes["/api/v3/simple/price"]
            .last
            .clone()
    };
    let seen = kurs_testkit::until(
        "two refusals and a good answer after them",
        PATIENCE,
        || {
            let seen = price_requests();
            let refused = seen.iter().rposition(|request| request.status == 429)?;
            let refusals = seen.iter().filter(|request| request.status == 429).count();
            (refusals == 2 && seen.len() > refused + 1).then_some(seen)
        },
    )
    .await;
    for (refused, next) in seen.iter().zip(seen.iter().skip(1)) {
        if refused.status == 429 {
            let waited = next.at_ms - refused.at_ms;
            assert!(waited >= 3_000, "asked again after {waited} ms");
        }
    }
    world
        .kurs
        .source_until("coingecko", |source| source["state"] == "live")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_address_leaves_the_venues_rest_alone_and_uses_its_socket() {
    let world = World::start(SimConfig::seeded(5), &[]).await;
    world.served_by("BTC-USDT", "binance").await;
    world.sim.fault(
        Venue::Binance,
        Fault::status(418, Some(20)).on(Channel::Rest),
    );
    // Asking for a symbol needs REST: it is refused once, and then not asked for again.
    let refused = world
        .kurs
        .send(
            "POST",
            "/api/v1/currency",
            Some(serde_json::json!({"symbol": "SOLUSDT"})),
        )
        .await;
    assert_eq!(refused.status, 503, "{}", refused.json);
    let requests = || world.sim.state().venues[&Venue::Binance].rest_requests_total();
    let after_refusal = requests();
    for _ in 0..3 {
        let again = world
            .kurs
            .send(
                "POST",
                "/api/v1/currency",
                Some(serde_json::json!({"symbol": "SOLUSDT"})),
            )
            .await;
        assert_eq!(again.status, 503);
    }
    assert_eq!(requests(), after_refusal, "the ban was not honoured");
    assert_eq!(world.kurs.rate("BTC-USDT").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_counted_its_source_judged_and_no_other_harmed() {
    let world = World::start(SimConfig::seeded(6), &LASTING).await;
    world.served_by("BTC-USD", "binance").await;
    world.sim.fault(
        Venue::Binance,
        Fault::new(FaultKind::Malformed { percent: 100 }),
    );
    world.served_by("BTC-USD", "coingecko").await;
    let binance = world
        .kurs
        .source_until("binance", |source| {
            source["decode_errors"].as_u64() > Some(0)
        })
        .await;
    assert_ne!(binance["state"], "live");
    for other in ["coingecko", "ecb", "cbr", "openexchangerates"] {
        // How a source is, is told once a second.
        let is_live = |source: &serde_json::Value| source["state"] == "live";
        let source = world.kurs.source_until(other, is_live).await;
        assert_eq!(source["decode_errors"], 0, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_numbers_that_are_no_price_never_reach_a_user() {
    for text in ["NaN", "1e308", "-1", "0"] {
        let world = World::start(SimConfig::seeded(7), &LASTING).await;
        world.served_by("BTC-USD", "binance").await;
        world.sim.fault(Venue::Binance, Fault::wrong_text(text));
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let reply = world.kurs.rate("BTC-USD").await;
            let value: f64 = reply.json["value"].as_str().unwrap().parse().unwrap();
            assert!(
                value > 10_000.0 && value < 1_000_000.0,
                "{text} gave {value}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let source = world.kurs.source("binance").await;
        assert!(
            source["decode_errors"].as_u64() > Some(0),
            "{text} was not counted: {source}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_sources_dead_the_answer_is_an_expired_problem_with_the_last_value() {
    let settings = [("KURS_SOURCES__COINGECKO__PERIOD", "1s")];
    let world = World::start(SimConfig::seeded(8), &settings).await;
    world.served_by("BTC-USD", "binance").await;
    for venue in [
        Venue::Binance,
        Venue::Coingecko,
        Venue::OpenExchangeRates,
        Venue::Ecb,
        Venue::Cbr,
    ] {
        world.sim.fault(venue, Fault::new(FaultKind::Reset));
    }
    let end = Instant::now() + PATIENCE;
    let mut last = serde_json::Value::Null;
    let problem = loop {
        let reply = world.kurs.rate("BTC-USD").await;
        if reply.status == 503 {
            break reply;
        }
        assert_eq!((reply.status, &reply.json["state"]), (200, &"fresh".into()));
        let seconds: u64 = reply.headers["cache-control"]
            .to_str()
            .unwrap()
            .trim_start_matches("max-age=")
            .parse()
            .unwrap();
        assert!(seconds <= 60);
        last = reply.json;
        assert!(
            Instant::now() < end,
            "an old rate is still served as fresh: {last}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(problem.headers["content-type"], "application/problem+json");
    assert!(problem.headers.contains_key("retry-after"));
    assert!(
        problem.json["type"]
            .as_str()
            .unwrap()
            .contains("rate-expired"),
        "{}",
        problem.json
    );
    assert_eq!(problem.json["rate"]["value"], last["value"]);
    assert_eq!(problem.json["rate"]["state"], "stale");
    let allowed = world
        .kurs
        .get("/api/v1/rates/BTC/USD?allow_stale=true")
        .await;
    assert_eq!(
        (allowed.status, &allowed.json["state"]),
        (200, &"stale".into())
    );
    assert_eq!(allowed.headers["cache-control"], "no-store");
    let courses = world.kurs.get("/api/v1/courses?direction=BTC-USD").await;
    assert_eq!(courses.status, 503, "{}", courses.json);
    // Official fiat rates are valid for days, and are still answered.
    assert_eq!(world.kurs.rate("USD-RUB").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_better_source_is_used_again_after_its_hold_time() {
    let mut settings = LASTING.to_vec();
    settings.push(("KURS_SOURCES__BINANCE__HOLD_MS", "3000"));
    let world = World::start(SimConfig::seeded(9), &settings).await;
    world.served_by("BTC-USD", "binance").await;
    world
        .sim
        .fault(Venue::Binance, Fault::new(FaultKind::Reset));
    world.served_by("BTC-USD", "coingecko").await;
    let healed_at = Instant::now();
    world.sim.heal(Venue::Binance);
    world
        .kurs
        .source_until("binance", |source| source["state"] == "live")
        .await;
    world.served_by("BTC-USD", "binance").await;
    assert!(
        healed_at.elapsed() >= Duration::from_secs(3),
        "used again after {:?}",
        healed_at.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_flaps_each_second_causes_at_most_two_switches_a_minute() {
    let world = World::start(SimConfig::seeded(10), &LASTING).await;
    world.served_by("BTC-USD", "binance").await;
    let period = Duration::from_secs(1);
    world
        .sim
        .fault(Venue::Binance, Fault::new(FaultKind::Flap { period }));
    let mut source = "binance".to_owned();
    let mut switches = 0;
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        let reply = world.kurs.rate("BTC-USD").await;
        assert_eq!(reply.status, 200);
        let now = reply.json["source"].as_str().unwrap().to_owned();
        switches += u32::from(now != source);
        source = now;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        switches <= 2,
        "{switches} switches in a quarter of a minute"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planned_cut_is_bridged_by_a_second_connection() {
    let mut sim = SimConfig::seeded(11);
    sim.binance.max_connection_age_ms = 6_000;
    let settings = [
        ("KURS_SOURCES__BINANCE__RENEW_AFTER_MS", "2000"),
        LASTING[0],
        LASTING[1],
        LASTING[2],
    ];
    let world = World::start(sim, &settings).await;
    world.served_by("BTC-USD", "binance").await;
    let end = Instant::now() + Duration::from_secs(12);
    while Instant::now() < end {
        let reply = world.kurs.rate("BTC-USD").await;
        assert_eq!(
            (reply.status, &reply.json["source"]),
            (200, &"binance".into()),
            "{}",
            reply.json
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let binance = &world.sim.state().venues[&Venue::Binance];
    assert!(
        binance.ws_connections_total >= 3,
        "{} connections",
        binance.ws_connections_total
    );
    let source = world.kurs.source("binance").await;
    assert_eq!(
        source["reconnects"], 0,
        "a planned renewal is no failure: {source}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_notice_is_answered_with_a_second_connection() {
    let world = World::start(SimConfig::seeded(12), &LASTING).await;
    world.served_by("BTC-USD", "binance").await;
    assert!(world.sim.shutdown_notice() > 0);
    kurs_testkit::until("a second connection", PATIENCE, || {
        (world.sim.state().venues[&Venue::Binance].ws_connections_total >= 2).then_some(())
    })
    .await;
    world.served_by("BTC-USD", "binance").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_venue_reachable_it_starts_says_so_and_invents_nothing() {
    let mut sim = SimConfig::seeded(13);
    for venue in [
        "binance:reset",
        "coingecko:reset",
        "openexchangerates:reset",
        "ecb:reset",
        "cbr:reset",
    ] {
        sim.faults.push(venue.parse().unwrap());
    }
    let world = World::start(sim, &[]).await;
    for name in ["binance", "coingecko", "openexchangerates", "ecb", "cbr"] {
        let source = world
            .kurs
            .source_until(name, |source| source["state"] == "down")
            .await;
        assert_ne!(source["why"], "", "{name} does not say why");
    }
    for pair in ["BTC-USD", "USDTTRC-RUB", "ETH-RUB"] {
        let reply = world.kurs.rate(pair).await;
        assert_eq!(reply.status, 503, "{pair}: {}", reply.json);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
    assert_eq!(world.kurs.get("/livez").await.status, 200);
    world.sim.heal_all();
    world.served_by("BTC-RUB", "binance").await;
}
