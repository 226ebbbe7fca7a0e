use crate::client::{GUARD, Socket, get, start};
use kurs_sim::{CaptureConfig, SimConfig, SimHandle, Speed};
use std::io::Write as _;
use tempfile::TempDir;

fn ticker(symbol: &str, id: u64, bid: &str) -> String {
    format!(
        r#"{{"u":{id},"s":"{symbol}","b":"{bid}","B":"1.50000000","a":"99999.00000000","A":"2"}}"#
    )
}

/// Four streams, one REST snapshot in the middle, an answer to a command, odd spacing.
fn little_capture() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("little.jsonl")).unwrap();
    let mut frames = Vec::new();
    let mut line = |dir: &str, t_ns: u64, url: &str, frame: &str| {
        writeln!(
            file,
            r#"{{"t_ns":{t_ns},"dir":"{dir}","url":"{url}","frame":{frame}}}"#
        )
        .unwrap();
        if dir == "rx" {
            frames.push(frame.to_owned());
        }
    };
    let wrap = |stream: &str, data: &str| format!(r#"{{"stream":"{stream}", "data":{data}}}"#);
    line("open", 1, "wss://x/stream", "null");
    let body = r#"{"lastUpdateId":7,"bids":[["1.10","2"]],"asks":[["1.20","3"]]}"#;
    for number in 0..300_u64 {
        let at = 1_000_000 * number;
        if number == 100 {
            line(
                "rest",
                at,
                "GET /api/v3/depth?symbol=BTCUSDT&limit=1000 (inferred)",
                body,
            );
        }
        let (symbol, lower) = if number % 3 == 0 {
            ("ETHUSDT", "ethusdt")
        } else {
            ("BTCUSDT", "btcusdt")
        };
        let data = if number % 5 == 0 {
            format!(
                r#"{{"e":"depthUpdate","E":1,"s":"{symbol}","U":{number},"u":{number},"b":[],"a":[]}}"#
            )
        } else {
            ticker(symbol, number, &format!("{number}.10000000"))
        };
        let stream = if number % 5 == 0 {
            "depth@100ms"
        } else {
            "bookTicker"
        };
        line(
            "rx",
            at,
            "wss://x/stream",
            &wrap(&format!("{lower}@{stream}"), &data),
        );
    }
    (folder, frames)
}

const STREAMS: [&str; 4] = [
    "btcusdt@bookTicker",
    "btcusdt@depth@100ms",
    "ethusdt@bookTicker",
    "ethusdt@depth@100ms",
];

async fn playing(folder: &TempDir, speed: Speed, streams: usize) -> SimHandle {
    let capture =
        CaptureConfig::new(folder.path().join("little.jsonl"), speed).starting_at(streams);
    start(SimConfig {
        capture: Some(capture),
        ..SimConfig::default()
    })
    .await
}

#[tokio::test]
async fn every_frame_comes_untouched_and_in_order() {
    for speed in [Speed::AsFastAsRead, Speed::Times(20), Speed::RealTime] {
        let (folder, frames) = little_capture();
        let sim = playing(&folder, speed, STREAMS.len()).await;
        let mut socket = Socket::open(&sim.urls().binance_ws).await;
        // In two messages: nothing may be played before the second.
        socket.subscribe(&STREAMS[..2]).await;
        socket.subscribe(&STREAMS[2..]).await;
        for expected in &frames {
            assert_eq!(socket.text().await, *expected, "{speed:?}");
        }
        tokio::time::timeout(GUARD, sim.player().unwrap().finished())
            .await
            .unwrap();
        let state = sim.state().capture.unwrap();
        assert_eq!(
            (
                state.frames_total,
                state.frames_played,
                state.frames_skipped
            ),
            (300, 300, 0)
        );
        assert!(state.finished);
        assert_eq!(
            state.last["btcusdt@bookTicker"],
            ticker("BTCUSDT", 299, "299.10000000")
        );
    }
}

#[tokio::test]
async fn stepping_plays_exactly_so_many_and_a_raw_connection_gets_bare_payloads() {
    let (folder, _) = little_capture();
    let sim = playing(&folder, Speed::Step, 1).await;
    let url = sim
        .urls()
        .binance_ws
        .replace("/stream", "/ws/ethusdt@bookTicker");
    let mut socket = Socket::open(&url).await;
    let player = sim.player().unwrap();
    // Frame 0 is a diff of ETHUSDT; its tickers are 3, 6, 9, 12, 18, ...
    let mut played = 0;
    for (steps, ids) in [(1, vec![3]), (3, vec![6, 9, 12]), (1, vec![18])] {
        played += u64::from(steps);
        let step = tokio::time::timeout(GUARD, player.step(steps));
        assert_eq!(step.await.unwrap(), played);
        for id in ids {
            assert_eq!(
                socket.text().await,
                ticker("ETHUSDT", id, &format!("{id}.10000000"))
            );
        }
    }
    let state = sim.state().capture.unwrap();
    assert_eq!(state.frames_played, 5);
    assert_eq!(
        state.last["ethusdt@bookTicker"],
        ticker("ETHUSDT", 18, "18.10000000")
    );
    assert!(!state.finished);
    let root = format!("{}/api/v3", sim.urls().binance_rest);
    let top = get(&format!("{root}/ticker/bookTicker?symbol=ETHUSDT"))
        .await
        .json();
    assert_eq!(top["bidPrice"], "18.10000000");
}

#[tokio::test]
async fn rest_answers_fit_the_capture() {
    let (folder, _) = little_capture();
    let sim = playing(&folder, Speed::Step, 1).await;
    let root = format!("{}/api/v3", sim.urls().binance_rest);
    let depth = get(&format!("{root}/depth?symbol=BTCUSDT&limit=1000")).await;
    assert_eq!(
        depth.text(),
        r#"{"lastUpdateId":7,"bids":[["1.10","2"]],"asks":[["1.20","3"]]}"#
    );
    let info = get(&format!("{root}/exchangeInfo")).await.json();
    assert_eq!(info["symbols"].as_array().unwrap().len(), 2);
    assert_eq!(info["symbols"][0]["quoteAsset"], "USDT");
    assert_eq!(
        get(&format!("{root}/depth?symbol=SOLUSDT")).await.json()["code"],
        -1121
    );
    let unheard = get(&format!("{root}/ticker/bookTicker?symbol=BTCUSDT"))
        .await
        .json();
    assert_eq!(unheard["bidPrice"], "0.00000000");
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_recorded_time_waits_for_a_lost_one() {
    let (folder, frames) = little_capture();
    let sim = playing(&folder, Speed::Step, STREAMS.len()).await;
    let url = format!("{}?streams={}", sim.urls().binance_ws, STREAMS.join("/"));
    let player = sim.player().unwrap();
    let first = {
        let mut socket = Socket::open(&url).await;
        tokio::time::timeout(GUARD, player.step(10)).await.unwrap();
        for expected in &frames[..10] {
            assert_eq!(socket.text().await, *expected);
        }
        socket
    };
    drop(first);
    let gone = || {
        sim.state().venues[&kurs_sim::Venue::Binance]
            .ws_streams
            .is_empty()
            .then_some(())
    };
    kurs_testkit::until("the connection to be gone", GUARD, gone).await;
    let mut socket = Socket::open(&url).await;
    let rest = u32::try_from(frames.len() - 10).unwrap();
    tokio::time::timeout(GUARD, player.step(rest))
        .await
        .unwrap();
    for expected in &frames[10..] {
        assert_eq!(socket.text().await, *expected);
    }
}

#[tokio::test]
async fn the_fixtures_are_played_whole() {
    let Some(path) = kurs_testkit::fixtures::file("binance/spot_10pairs_20210417.jsonl.gz") else {
        return;
    };
    let capture = CaptureConfig::new(&path, Speed::AsFastAsRead);
    let sim = start(SimConfig {
        capture: Some(capture.starting_at(40)),
        ..SimConfig::default()
    })
    .await;
    let streams = sim.player().unwrap().streams();
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    let names: Vec<_> = streams.iter().map(String::as_str).collect();
    socket.subscribe(&names).await;
    let mut played = 0;
    for line in kurs_testkit::fixtures::lines(&path) {
        if line.dir == kurs_testkit::fixtures::Direction::Rx {
            assert_eq!(socket.text().await, line.text());
            played += 1;
        }
    }
    assert_eq!(played, 1_228);
}

#[tokio::test]
async fn tcp_holds_the_player_back_for_a_client_that_pauses() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("little.jsonl")).unwrap();
    let total = 60_000_u64;
    for id in 0..total {
        let data = ticker("BTCUSDT", id, "1.00000000");
        let stream = r#""stream":"btcusdt@bookTicker""#;
        writeln!(
            file,
            r#"{{"t_ns":{id},"dir":"rx","url":"","frame":{{{stream},"data":{data}}}}}"#
        )
        .unwrap();
    }
    drop(file);
    let sim = playing(&folder, Speed::AsFastAsRead, 1).await;
    let url = format!("{}?streams=btcusdt@bookTicker", sim.urls().binance_ws);
    let mut socket = Socket::open(&url).await;
    socket.text().await;
    // Nobody reads: the player must come to a stand before its end.
    let played = || sim.state().capture.unwrap().frames_played;
    let mut before = 0;
    kurs_testkit::until("the player to stand", GUARD, || {
        let now = played();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let stands = now == before && now > 0;
        before = now;
        stands.then_some(())
    })
    .await;
    assert!(before < total, "everything went out unread");
    for id in 1..total {
        assert!(socket.text().await.contains(&format!(r#""u":{id},"#)));
    }
    assert_eq!(
        sim.state().venues[&kurs_sim::Venue::Binance]
            .violations
            .total(),
        0
    );
}
