//! Polled sources run: in virtual time with a scripted server, and against a real one.

mod rig;

use super::*;
use crate::cbr;
use crate::coingecko::{self, CoinGecko};
use crate::ecb;
use crate::http_source::HttpSource;
use kurs_core::SourceState;
use parking_lot::Mutex;
use rig::*;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn prices_hold_until_the_next_moment_and_ten_seconds() {
    let bench = run(one_coin(), "1m", START, QUICK, vec![coin("1"), coin("2")]);
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_eq!(bench.asked_at_ms(), [0, 50_000]);
    let stats = bench.source.stats();
    assert_eq!(
        stats.next_poll_at(),
        Some("2026-04-24T12:02:00Z".parse().unwrap())
    );
    assert_eq!(stats.condition().state, SourceState::Live);
    assert_eq!(stats.pairs.load(Ordering::Relaxed), 1);
    assert_eq!(
        bench.end().await,
        ["BTC-USD 1 for 59s", "live", "BTC-USD 2 for 69s"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_retried_soon_and_takes_no_price_away() {
    let down = || Err(FetchError::ServerError { status: 500 });
    let answers = vec![coin("1"), down(), down(), down(), coin("1")];
    let bench = run(one_coin(), "1h", "2026-04-24T12:59:00Z", QUICK, answers);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let asked = bench.asked_at_ms();
    assert_eq!((asked.len(), asked[0], asked[1]), (5, 0, 60_000));
    assert!(asked[4] < 60_000 + 8_000, "{asked:?}");
    let stats = bench.source.stats();
    assert_eq!(stats.failures.load(Ordering::Relaxed), 3);
    assert_eq!(stats.reconnects.load(Ordering::Relaxed), 3);
    let events = bench.end().await;
    assert_eq!(events[..3], ["BTC-USD 1 for 69s", "live", "down"]);
    assert!(events[3].starts_with("BTC-USD 1 for 36"), "{events:?}");
    assert_eq!(events[4..], ["live"]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_honoured_though_the_timetable_says_every_second() {
    let answers = vec![coin("1"), limited(Some(37)), limited(None), coin("2")];
    let bench = run(one_coin(), "1s", START, Duration::ZERO, answers);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let until = bench.source.stats().limited_until().unwrap();
    assert_eq!(until.to_string(), "2026-04-24T12:00:48.000Z");
    tokio::time::sleep(Duration::from_secs(90)).await;
    let asked = bench.asked_at_ms();
    assert_eq!(asked[..4], [0, 1_000, 38_000, 98_000]);
    assert_eq!(bench.source.stats().limited_until(), None);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_counted_and_backed_off_from() {
    let bench = run(
        one_coin(),
        "24h",
        START,
        QUICK,
        vec![body("<html>busy</html>")],
    );
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let asked = bench.asked_at_ms();
    let polls = asked.len();
    // Full jitter up to 30 s: every 15 s on average.
    assert!((150..400).contains(&polls), "{polls}");
    let gaps = asked.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.max().unwrap() <= 30_100, "{asked:?}");
    let stats = bench.source.stats();
    assert_eq!(
        stats.decode_errors.load(Ordering::Relaxed),
        u64::try_from(polls).unwrap()
    );
    assert_eq!(stats.condition().state, SourceState::Down);
    assert_eq!(bench.end().await, ["down"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_price_is_marked_once_and_lifted_when_it_comes() {
    let answers = vec![body("{}"), body("{}"), coin("5")];
    let bench = run(one_coin(), "1m", START, QUICK, answers);
    tokio::time::sleep(Duration::from_secs(180)).await;
    let events = bench.end().await;
    assert_eq!(events[..2], ["BTC-USD stale", "stale"]);
    assert!(events[2].starts_with("BTC-USD 5"), "{events:?}");
    assert_eq!(events[3..5], ["BTC-USD live", "live"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forbids_is_left_alone_and_told_of_once() {
    for (status, wait) in [(401, 3_600), (403, 300), (451, 300)] {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let refused = Err(FetchError::Refused {
            status,
            body: "<html>no</html>".into(),
        });
        let bench = run(one_coin(), "1m", START, Duration::ZERO, vec![refused]);
        tokio::time::sleep(Duration::from_secs(3 * wait + 1)).await;
        let expected: Vec<u128> = (0..4)
            .map(|count| u128::from(count * wait) * 1_000)
            .collect();
        assert_eq!(bench.asked_at_ms(), expected, "HTTP {status}");
        assert_eq!(bench.end().await, ["down"]);
        assert_eq!(log.lines(tracing::Level::ERROR).len(), 1, "HTTP {status}");
        assert_eq!(log.lines(tracing::Level::WARN), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn many_missing_prices_are_told_in_one_line() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let protocol = CoinGecko::new(coingecko::Config::default());
    let bench = run(protocol, "1m", START, QUICK, vec![body("{}")]);
    tokio::time::sleep(Duration::from_secs(180)).await;
    let marks = bench.end().await.len() - 1;
    assert!(marks > 10, "every pair is marked all the same");
    let lines = log.lines(tracing::Level::WARN);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert!(line.contains(&format!("count={marks} ")), "{line}");
    assert!(line.contains("not in the answer"), "{line}");
    assert_eq!(
        line.matches("-USD").count(),
        1,
        "only the first few: {line}"
    );
}

fn cbr_table(date: &str, dollar: &str) -> Result<Fetched, FetchError> {
    body(&format!(
        "<?xml version=\"1.0\"?><ValCurs Date=\"{date}\"><Valute><CharCode>USD</CharCode>\
         <Nominal>1</Nominal><Value>{dollar}</Value></Valute></ValCurs>"
    ))
}

#[tokio::test(start_paused = true)]
async fn cbr_switches_at_midnight_even_while_a_slow_poll_is_under_way() {
    // Polls every 30 minutes; the one at 21:00 UTC, midnight in Moscow, hangs for 19 s.
    let answers = vec![
        cbr_table("25.04.2026", "75,5"),
        cbr_table("24.04.2026", "75,1"),
        cbr_table("25.04.2026", "75,5"),
    ];
    let source = cbr::Cbr::new(cbr::Config::default());
    let bench = run(
        source,
        "30m",
        "2026-04-24T20:30:01Z",
        Duration::from_secs(19),
        answers,
    );
    tokio::time::sleep(Duration::from_secs(1_800 + 5)).await;
    {
        let events = bench.events.0.lock();
        let last = events.last().unwrap();
        assert!(shorten(last).starts_with("USD-RUB 75.5 "), "{events:?}");
        assert_eq!(last.received.wall.to_string(), "2026-04-24T21:00:00.000Z");
    }
    let urls: Vec<String> = bench
        .script
        .asked
        .lock()
        .iter()
        .map(|(_, url)| url.clone())
        .collect();
    assert!(urls[1].ends_with("?date_req=24/04/2026"), "{urls:?}");
    let events = bench.end().await;
    assert!(events[0].starts_with("USD-RUB 75.1 "), "{events:?}");
    assert_eq!(events.len(), 3, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_bank_table_is_not_handed_over_again() {
    let text = "<g:Envelope xmlns:g='u'><Cube><Cube time='2026-04-23'><Cube currency='USD' rate='1.1'/></Cube></Cube></g:Envelope>";
    let source = ecb::Ecb::new(ecb::Config::default());
    let answers = vec![body(text), Ok(Fetched::NotModified)];
    let bench = run(source, "1h", START, QUICK, answers);
    tokio::time::sleep(Duration::from_secs(4 * 3_600)).await;
    assert_eq!(bench.asked_at_ms().len(), 5);
    // Valid until Friday 16:00 in Frankfurt and six hours.
    assert_eq!(bench.end().await, ["EUR-USD 1.1 for 28789s", "live"]);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_long_out_of_date_is_never_fresh() {
    let text = "<g:Envelope xmlns:g='u'><Cube><Cube time='2015-01-07'><Cube currency='USD' rate='1.1831'/></Cube></Cube></g:Envelope>";
    let source = ecb::Ecb::new(ecb::Config::default());
    let bench = run(source, "1h", START, QUICK, vec![body(text)]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.end().await, ["EUR-USD 1.1831 for 0s", "stale"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_a_run_at_once_and_it_can_be_run_again() {
    let bench = run(
        one_coin(),
        "1m",
        START,
        Duration::from_secs(3_600),
        vec![coin("1")],
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    bench.stop.send(true).unwrap();
    bench.task.await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(1));
    assert_eq!(bench.script.asked.lock().len(), 1);
}

#[tokio::test]
async fn over_a_real_connection_no_request_comes_before_retry_after_ends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let (arrivals, mut arrived) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        for count in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..length])
                .lines()
                .next()
                .unwrap()
                .to_owned();
            arrivals
                .send((std::time::Instant::now(), line))
                .await
                .unwrap();
            let answer = if count == 0 {
                "HTTP/1.1 429 Slow Down\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
            } else {
                let text = r#"{"bitcoin":{"usd":67187.3358936566}}"#;
                format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                    text.len()
                )
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let json =
        serde_json::json!({"ids": {"bitcoin": "BTC"}, "vs_currencies": ["USD"], "rest_url": root});
    let protocol = CoinGecko::new(serde_json::from_value(json).unwrap());
    let clock = Arc::new(kurs_core::SystemClock::new());
    let script = Arc::new(Script {
        answers: Mutex::default(),
        asked: Mutex::default(),
        start: Instant::now(),
        takes: Duration::ZERO,
    });
    let transport = Arc::new(HttpClient::new("kurs-test").unwrap());
    let bench = launch(protocol, "1s", clock, transport, script);
    let (first, line) = arrived.recv().await.unwrap();
    assert_eq!(
        line,
        "GET /api/v3/simple/price?ids=bitcoin&vs_currencies=usd&include_last_updated_at=true&precision=full HTTP/1.1"
    );
    let (second, _) = arrived.recv().await.unwrap();
    assert!(second.duration_since(first) >= Duration::from_secs(2));
    let _ = arrived.recv().await.unwrap();
    let events = bench.end().await;
    assert_eq!(events[0], "down");
    assert!(
        events[1].starts_with("BTC-USD 67187.3358936566"),
        "{events:?}"
    );
    assert_eq!(events[2], "live");
}

fn source_with_a_key_in_its_path() -> HttpSource {
    let config = serde_json::json!({
        "url": "https://bank.example/v6/{key}/latest?x=1", "key": "canary/1",
        "rates": {"USD-RUB": "/usd"},
    });
    HttpSource::new(&serde_json::from_value(config).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_in_the_path_of_a_url_goes_to_the_server_and_nowhere_else() {
    let answers = vec![
        Err(FetchError::Unreachable("no route".to_owned())),
        body(r#"{"usd": 90}"#),
    ];
    let bench = run(source_with_a_key_in_its_path(), "1h", START, QUICK, answers);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = bench.script.asked.lock()[0].1.clone();
    assert_eq!(asked, "https://bank.example/v6/canary%2F1/latest?x=1");
    let seen = format!("{:?}", bench.seen.0.lock());
    assert!(
        seen.contains("https://bank.example/v6/***/latest"),
        "{seen}"
    );
    assert!(!seen.contains("canary"), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_long_document_is_read_apart_from_the_tasks_of_the_runtime() {
    let long = format!(r#"{{"usd": 90, "x": "{}"}}"#, "x".repeat(100_000));
    let answers = vec![body(r#"{"usd": 80}"#), body(&long), body("[")];
    let bench = run(source_with_a_key_in_its_path(), "1m", START, QUICK, answers);
    tokio::time::sleep(Duration::from_secs(125)).await;
    let here = std::thread::current().id();
    let replies: Vec<bool> = bench
        .seen
        .0
        .lock()
        .iter()
        .filter(|(input, _)| input.starts_with("https"))
        .map(|(_, thread)| *thread == here)
        .collect();
    assert_eq!(replies[..3], [true, false, true]);
    let told = bench.end().await;
    let rates = told.iter().filter(|event| event.starts_with("USD-RUB "));
    assert_eq!(rates.count(), 2, "{told:?}");
}
