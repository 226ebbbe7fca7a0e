use super::*;
use crate::capture::queue::Record;
use crate::capture::words::record_of;
use bytes::Bytes;
use kurs_core::{EventKind, Price, Quote, SourceKind, SourceState, Tick, Wall};
use kurs_net::http::{FetchError, Fetched, Validators};
use kurs_sources::venue::codec::Request;
use kurs_sources::{Input, SourceStats, Wishes};

/// Writes down what it is told, and makes a price of every frame.
struct Notebook {
    source: SourceId,
    stats: SourceStats,
    events: Arc<Collector>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Machine for Notebook {
    fn source(&self) -> SourceId {
        self.source
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn take(&mut self, now: Now, input: Input<'_>, _: &mut Wishes) {
        if matches!(input, Input::Time) {
            return;
        }
        self.notes.lock().push(format!("{} {input:?}", now.mono.0));
        let kind = match input {
            Input::Frame { text, .. } => EventKind::Tick(Tick {
                pair: Pair::parse("BTC-USDT").unwrap(),
                quote: Quote::Single(Price::parse(text).unwrap_or(Price::parse("1").unwrap())),
                sizes: None,
                observed_at: None,
                valid_for: Duration::from_millis(100),
                event_id: None,
            }),
            Input::Down { why, .. } => EventKind::State {
                state: SourceState::Down,
                why: why.into(),
            },
            _ => return,
        };
        self.events.deliver(SourceEvent {
            source: self.source,
            received: now,
            kind,
        });
    }
}

/// Counts updates, and stops after so many moments.
#[derive(Default)]
struct Count {
    updates: Vec<Update>,
    moments: u32,
    moments_max: Option<u32>,
}

impl Audience for Count {
    fn time(&mut self, _: Now) -> bool {
        self.moments += 1;
        self.moments_max.is_none_or(|most| self.moments <= most)
    }

    fn update(&mut self, _: Now, update: Update) {
        self.updates.push(update);
    }
}

fn replay(kind: SourceKind, marked: bool) -> (Replay, Arc<Mutex<Vec<String>>>) {
    let source = SourceId::parse("binance").unwrap();
    let events = Arc::new(Collector::default());
    let notes = Arc::<Mutex<Vec<String>>>::default();
    let machine = Notebook {
        source,
        stats: SourceStats::new("websocket", Wall(0)),
        events: Arc::clone(&events),
        notes: Arc::clone(&notes),
    };
    let info = SourceInfo {
        id: source,
        kind,
        priority: 1,
        hold: Duration::ZERO,
    };
    let name = if marked { source.replayed() } else { source };
    let parts = Parts {
        machines: vec![Box::new(machine)],
        infos: vec![info],
        events,
        engine: EngineConfig::new(vec![SourceInfo { id: name, ..info }], Vec::new()),
        published: HashMap::from([(source, name)]),
        default_source: None,
        pairs: None,
    };
    (Replay::new(parts), notes)
}

fn text(record: &Record) -> Vec<u8> {
    let mut buffer = Vec::new();
    crate::capture::write::keeper::encode(&mut buffer, record);
    buffer.pop();
    buffer
}

fn at(ms: u64) -> Now {
    Now::default().plus(Duration::from_millis(ms))
}

#[test]
fn every_input_reaches_the_machine_as_it_reached_the_live_one() {
    let source = SourceId::parse("binance").unwrap();
    let pair = Pair::parse("BTC-USDT").unwrap();
    let request = Request {
        path: "/api/v3/ticker/bookTicker?symbols=x".to_owned(),
        weight: 4,
    };
    let venue = [
        Input::Wanted { pairs: &[pair] },
        Input::Listed {
            pair,
            listed: Some(true),
        },
        Input::Listed { pair, listed: None },
        Input::Frame {
            connection: 1,
            text: " {\"a\": 1.10}\n",
        },
        Input::Live { connection: 1 },
        Input::Renewed { from: 1, to: 2 },
        Input::Ended {
            connection: 1,
            oldest_open: 2,
        },
        Input::Tops {
            request: &request,
            sent_at: Mono(1_000),
            status: 429,
            body: b"\xff<html>",
        },
        Input::TopsFailed {
            why: "shut",
            shut: true,
        },
        Input::Book {
            symbol: "BTCUSDT",
            status: 200,
            body: br#"{"lastUpdateId":1}"#,
        },
        Input::BookFailed {
            symbol: "BTCUSDT",
            why: "no answer",
        },
        Input::Down {
            why: "cut",
            silent: true,
        },
    ];
    check(SourceKind::Exchange, source, &venue);

    let body: Result<Fetched, FetchError> = Ok(Fetched::Body {
        bytes: Bytes::from_static(b"<xml>\xd0</xml>\n"),
        validators: Validators {
            etag: Some("\"x\"".to_owned()),
            last_modified: None,
        },
        content_type: Some("application/xml; charset=windows-1251".to_owned()),
        headers: Vec::new(),
    });
    let mut answers = vec![body, Ok(Fetched::NotModified)];
    answers.extend(
        [
            FetchError::Unreachable("no route".to_owned()),
            FetchError::TimedOut(Duration::from_millis(1_500)),
            FetchError::Limited {
                status: 429,
                retry_after: Some(Duration::from_secs(7)),
                body: Bytes::from_static(b"slow down"),
            },
            FetchError::Refused {
                status: 403,
                body: Bytes::new(),
            },
            FetchError::ServerError { status: 502 },
            FetchError::TooLarge(5),
            FetchError::Broken("half".to_owned()),
        ]
        .map(Err),
    );
    let url = "https://example.org";
    let mut polled = vec![Input::Asked];
    polled.extend(answers.iter().map(|answer| Input::Reply { url, answer }));
    check(SourceKind::Bank, source, &polled);
}

fn check(kind: SourceKind, source: SourceId, inputs: &[Input<'_>]) {
    let (mut replay, notes) = replay(kind, false);
    let mut expect = Vec::new();
    for (ms, input) in (1_u64..).zip(inputs) {
        let record = record_of(source, at(ms), input).unwrap();
        expect.push(format!("{} {input:?}", at(ms).mono.0));
        assert_eq!(
            replay.feed(&text(&record), &mut Count::default()),
            Fed::Taken
        );
    }
    assert_eq!(*notes.lock(), expect);
}

#[test]
fn prices_run_out_between_lines_and_two_replays_have_one_hash() {
    let run = |marked| {
        let (mut replay, _) = replay(SourceKind::Exchange, marked);
        let mut count = Count::default();
        let source = SourceId::parse("binance").unwrap();
        for (ms, text_of_frame) in [(0, "100.5"), (40, "100.7"), (1_000, "100.9")] {
            let input = Input::Frame {
                connection: 1,
                text: text_of_frame,
            };
            let record = record_of(source, at(ms), &input).unwrap();
            assert_eq!(replay.feed(&text(&record), &mut count), Fed::Taken);
        }
        let lost = Words::Gap { lost: 7 }.record(at(1_001), None);
        assert_eq!(replay.feed(&text(&lost), &mut count), Fed::Taken);
        let outcomes = replay.finish(&mut count);
        (outcomes, count.updates)
    };
    let (first, updates) = run(false);
    assert_eq!(first, run(false).0);
    assert_eq!((first.tally.lost, first.tally.frames), (7, 3));
    let stale = updates.iter().any(|update| {
        matches!(&update.body, Body::SourcePrice(price) if price.state == SourceState::Stale)
    });
    assert!(stale, "100 ms have passed: {updates:#?}");
    let ids: Vec<u64> = updates.iter().map(|update| update.id.seq.0).collect();
    assert!(ids.iter().copied().eq(1..=first.tally.updates), "{ids:?}");

    let (marked, updates) = run(true);
    assert_ne!(marked.hash, first.hash);
    let rate = updates.iter().find_map(|update| match &update.body {
        Body::Rate(rate) => Some(rate),
        _ => None,
    });
    assert_eq!(rate.unwrap().source.as_str(), "replay:binance");
}

#[test]
fn an_audience_that_has_seen_enough_ends_the_replay() {
    let (mut replay, _) = replay(SourceKind::Exchange, false);
    let mut count = Count {
        moments_max: Some(3),
        ..Count::default()
    };
    let line = |ms: u64| {
        let ns = ms * 1_000_000;
        format!(r#"{{"t_ns":{ns},"mono_ns":{ns},"dir":"rx","source":"binance","frame":1}}"#)
    };
    assert_eq!(replay.feed(line(0).as_bytes(), &mut count), Fed::Taken);
    assert_eq!(replay.feed(line(500).as_bytes(), &mut count), Fed::Ended);
}
