//! Captures of the real venue, played by the simulated one to the real program.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{CaptureConfig, SimConfig, Speed, Venue};
use kurs_testkit::fixtures;
use kurs_testkit::wait::until_async;
use serde_json::Value;
use std::path::Path;
use support::{PATIENCE, World};

async fn play(file: &Path, speed: Speed, pairs: &str) -> World {
    let capture = CaptureConfig {
        all: true,
        ..CaptureConfig::new(file, speed)
    };
    let streams = 2 * pairs.split(',').count();
    let capture = capture.starting_at(streams);
    let sim = SimConfig {
        capture: Some(capture),
        ..SimConfig::seeded(1)
    };
    let settings = [
        ("KURS_PAIRS", pairs),
        ("KURS_DIRECTIONS", "BTC-USDT"),
        ("KURS_SOURCES__BINANCE__MAX_AGE_MS", "600000"),
        ("KURS_SOURCES__BINANCE__SILENCE_MS", "300000"),
    ];
    World::start(sim, &settings).await
}

/// True when the answer has the exact digits of this bookTicker frame.
fn same_digits(rate: &Value, frame: &str) -> bool {
    let frame: Value = serde_json::from_str(frame).unwrap();
    rate["bid"] == frame["b"] && rate["ask"] == frame["a"]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_has_the_exact_digits_of_the_latest_book_ticker_at_every_step() {
    let Some(file) = fixtures::file("binance/spot_btcusdt_20240808.jsonl.gz") else {
        return;
    };
    let world = play(&file, Speed::Step, "BTC-USDT").await;
    let player = world.sim.player().unwrap();
    // Steps of changing length, so that no rhythm of the capture is favoured.
    let mut compared = 0;
    for step in 0..250_u32 {
        player.step(1 + step * 7 % 61).await;
        let Some(frame) = player.state().last.get("btcusdt@bookTicker").cloned() else {
            continue;
        };
        until_async(&format!("the digits of {frame}"), PATIENCE, || async {
            let reply = world.kurs.rate("BTC-USDT").await;
            (reply.status == 200 && same_digits(&reply.json, &frame)).then_some(())
        })
        .await;
        compared += 1;
    }
    assert!(compared > 200, "only {compared} comparisons");
    assert_eq!(world.kurs.source("binance").await["decode_errors"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_the_captures_is_decoded() {
    let ten =
        "SWRV-BUSD,VET-ETH,GTO-BTC,BUSD-TRY,QSP-BTC,ADA-RUB,PERL-BNB,AAVEUP-USDT,ONT-TRY,STEEM-ETH";
    for (name, pairs) in [
        ("binance/spot_btcusdt_20240808.jsonl.gz", "BTC-USDT"),
        ("binance/spot_10pairs_20210417.jsonl.gz", ten),
    ] {
        let Some(file) = fixtures::file(name) else {
            return;
        };
        let world = play(&file, Speed::AsFastAsRead, pairs).await;
        let player = world.sim.player().unwrap();
        player.finished().await;
        let played = player.state();
        assert_eq!(
            (played.frames_played, played.frames_skipped),
            (played.frames_total, 0),
            "{name}"
        );
        // Control answers and REST replies are messages as well, so there are more of them.
        let source = world
            .kurs
            .source_until("binance", |source| {
                source["messages"].as_u64() >= Some(played.frames_total)
            })
            .await;
        assert_eq!(
            source["decode_errors"],
            0,
            "{name}: {:#?}",
            world.kurs.process.output().lines()
        );
        for pair in pairs.split(',') {
            let stream = format!("{}@bookTicker", pair.replace('-', "").to_lowercase());
            let Some(frame) = played.last.get(&stream) else {
                continue;
            };
            world
                .kurs
                .until(pair, |rate| same_digits(rate, frame))
                .await;
        }
        assert_eq!(
            world.sim.state().venues[&Venue::Binance].ws_connections_total,
            1,
            "{name}"
        );
    }
}
