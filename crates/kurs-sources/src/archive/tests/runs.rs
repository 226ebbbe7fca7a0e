//! The runner: limits, failures, ends.

use super::super::binance::BinanceArchive;
use super::super::coinbase::CoinbaseArchive;
use super::super::{CandleCodec, Ended, Errand, VenueErrands};
use super::rig::{Memory, Script, body, runner, source, walk, wall};
use bytes::Bytes;
use kurs_net::http::{FetchError, Fetched};
use kurs_store::Interval;
use std::sync::Arc;
use std::time::Duration;

/// Four pages of a day each second day is enough: 2,000 minutes.
const SPAN: [&str; 2] = ["2026-11-20T00:00:00Z", "2026-11-21T09:20:00Z"];

fn page(from: &str, minutes: i64) -> Result<Fetched, FetchError> {
    let begin = wall(from).unix_ms();
    let row = |number: i64| {
        let at = begin + number * 60_000;
        format!(r#"[{at},"2","3","1","2.5","1",0,"1",2]"#)
    };
    let rows: Vec<String> = (0..minutes).map(row).collect();
    body(&format!("[{}]", rows.join(",")))
}

fn limited(status: u16, retry_after_s: Option<u64>) -> Result<Fetched, FetchError> {
    Err(FetchError::Limited {
        status,
        retry_after: retry_after_s.map(Duration::from_secs),
        body: Bytes::new(),
    })
}

fn refused(status: u16, words: &'static str) -> Result<Fetched, FetchError> {
    Err(FetchError::Refused {
        status,
        body: Bytes::from_static(words.as_bytes()),
    })
}

fn binance(count: usize) -> Vec<VenueErrands> {
    let errand =
        |_| -> Box<dyn Errand> { Box::new(walk(BinanceArchive, Interval::Minute, &[], SPAN)) };
    vec![VenueErrands {
        source: source("binance"),
        limits: BinanceArchive.limits(),
        errands: (0..count).map(errand).collect(),
    }]
}

fn both_pages() -> Vec<Result<Fetched, FetchError>> {
    vec![page(SPAN[0], 1_000), page("2026-11-20T16:40:00Z", 1_000)]
}

#[tokio::test(start_paused = true)]
async fn a_named_wait_is_kept_to_the_second() {
    let mut answers = both_pages();
    answers.insert(1, limited(429, Some(7)));
    answers.insert(2, limited(418, Some(130)));
    let script = Script::new(answers);
    let (runner, sink) = runner(script.clone(), None);
    let (outcomes, progress) = runner.run(binance(1), sink.clone()).await.unwrap();
    assert_eq!(
        (&outcomes[0].ended, outcomes[0].requests),
        (&Ended::Done, 4)
    );
    assert_eq!((outcomes[0].candles, sink.candles()), (2_000, 2_000));
    let times = script.times_ms();
    assert!((7_000..8_000).contains(&(times[2] - times[1])), "{times:?}");
    assert!(
        (130_000..131_000).contains(&(times[3] - times[2])),
        "{times:?}"
    );
    assert_eq!(sink.waits.lock().len(), 2);
    assert_eq!(sink.progress.lock().last(), Some(&(4, 0)));
    assert_eq!(progress.through(&outcomes[0].series), Some(wall(SPAN[1])));
}

#[tokio::test(start_paused = true)]
async fn requests_keep_below_the_limit_of_the_venue() {
    let script = Script::new(both_pages());
    let (runner, sink) = runner(script.clone(), None);
    runner.run(binance(1), sink).await.unwrap();
    let times = script.times_ms();
    // Weight 2 of 1,200 a minute.
    assert!((100..110).contains(&(times[1] - times[0])), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_passing_is_asked_again_and_nothing_is_lost_or_doubled() {
    let mut answers = both_pages();
    answers.insert(0, Err(FetchError::ServerError { status: 502 }));
    answers.insert(2, body("[[1,2"));
    answers.insert(3, page("2020-01-01T00:00:00Z", 5));
    answers.insert(4, Err(FetchError::TimedOut(Duration::from_secs(1))));
    let script = Script::new(answers);
    let (runner, sink) = runner(script.clone(), None);
    let (outcomes, _) = runner.run(binance(1), sink.clone()).await.unwrap();
    assert_eq!((&outcomes[0].ended, sink.candles()), (&Ended::Done, 2_000));
    let asked = script.asked.lock();
    let distinct: std::collections::BTreeSet<&String> = asked.iter().map(|(_, url)| url).collect();
    assert_eq!((asked.len(), distinct.len()), (6, 2));
}

#[tokio::test(start_paused = true)]
async fn an_errand_that_never_succeeds_is_given_up_and_the_next_one_tried() {
    let mut answers: Vec<_> = (0..6).map(|_| body("nonsense")).collect();
    answers.extend(both_pages());
    let script = Script::new(answers);
    let (runner, sink) = runner(script.clone(), None);
    let (outcomes, _) = runner.run(binance(2), sink).await.unwrap();
    assert!(matches!(&outcomes[0].ended, Ended::Failed(why) if why.contains("cannot be read")));
    assert_eq!(
        (&outcomes[1].ended, outcomes[1].candles),
        (&Ended::Done, 2_000)
    );
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_a_venue_does_not_have_is_asked_for_once() {
    let words = r#"{"code":-1121,"msg":"Invalid symbol."}"#;
    let script = Script::new(vec![refused(400, words)]);
    let (runner, sink) = runner(script.clone(), None);
    let (outcomes, _) = runner.run(binance(3), sink).await.unwrap();
    assert!(outcomes.iter().all(|one| one.ended == Ended::NotListed));
    assert_eq!(script.times_ms().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_ban_ends_the_source_at_once_and_no_other() {
    let script = Script::new(vec![limited(418, Some(86_400))]);
    let (runner, sink) = runner(script.clone(), None);
    let mut venues = binance(2);
    venues.push(VenueErrands {
        source: source("coinbase"),
        limits: CoinbaseArchive.limits(),
        errands: Vec::new(),
    });
    let (outcomes, _) = runner.run(venues, sink).await.unwrap();
    assert_eq!(script.times_ms().len(), 1);
    assert!(
        outcomes
            .iter()
            .all(|one| matches!(&one.ended, Ended::Failed(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_goes_on_where_it_stood() {
    let script = Script::new(both_pages());
    let (first, sink) = runner(script.clone(), Some(1));
    let (outcomes, progress) = first.run(binance(1), sink.clone()).await.unwrap();
    assert_eq!(outcomes[0].ended, Ended::Stopped);
    assert_eq!(sink.candles(), 1_000);
    let series = outcomes[0].series;
    let left = progress
        .left_of(&series, wall(SPAN[0])..wall(SPAN[1]))
        .unwrap();
    let span = [left.start.to_string(), left.end.to_string()];
    let rest = walk(BinanceArchive, Interval::Minute, &[], [&span[0], &span[1]]);
    let venues = vec![VenueErrands {
        source: source("binance"),
        limits: BinanceArchive.limits(),
        errands: vec![Box::new(rest)],
    }];
    let (second, sink) = runner(script.clone(), None);
    let (outcomes, _) = second.run(venues, sink.clone()).await.unwrap();
    assert_eq!((&outcomes[0].ended, sink.candles()), (&Ended::Done, 1_000));
    assert_eq!(script.times_ms().len(), 2, "nothing was asked for twice");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_cannot_keep_ends_everything() {
    let (runner, sink) = runner(Script::new(both_pages()), None);
    let mut sink = Arc::into_inner(sink).unwrap();
    sink.fails = true;
    let sink: Arc<Memory> = Arc::new(sink);
    let error = runner.run(binance(1), sink).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is full");
}
