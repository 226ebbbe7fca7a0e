//! A source with a scripted server, in virtual time.

use super::super::*;
use crate::coingecko::{self, CoinGecko};
use crate::input::{Input, Tap};
use crate::period::{Period, TimeOfDay};
use crate::source::EventSink;
use crate::timetable::Timetable;
use kurs_core::{Clock, EventKind, Mono, Now, SourceEvent};
use kurs_net::http::Validators;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::watch;
use tokio::time::Instant;

/// The clock of the test's tokio runtime, which may be paused.
#[derive(Debug)]
pub(super) struct TokioClock {
    pub(super) start: Instant,
    pub(super) wall: Wall,
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let elapsed = self.start.elapsed();
        Now {
            mono: Mono(1).plus(elapsed),
            wall: self.wall.plus(elapsed),
        }
    }
}

#[derive(Default)]
pub(super) struct Events(pub(super) Mutex<Vec<SourceEvent>>);

impl EventSink for Events {
    fn deliver(&self, event: SourceEvent) {
        self.0.lock().push(event);
    }
}

/// Answers from a list, the last one for ever; notes when it was asked for what.
pub(super) struct Script {
    pub(super) answers: Mutex<VecDeque<Result<Fetched, FetchError>>>,
    pub(super) asked: Mutex<Vec<(Duration, String)>>,
    pub(super) start: Instant,
    pub(super) takes: Duration,
}

#[async_trait]
impl Transport for Script {
    async fn get(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        self.asked.lock().push((self.start.elapsed(), fetch.url));
        tokio::time::sleep(self.takes).await;
        let mut answers = self.answers.lock();
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        next.unwrap_or(Err(FetchError::Unreachable("nobody there".into())))
    }
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<(tracing::Level, String)>>>);

impl Log {
    pub(super) fn lines(&self, level: tracing::Level) -> Vec<String> {
        let lines = self.0.lock();
        let of_level = lines.iter().filter(|(found, _)| *found == level);
        of_level.map(|(_, line)| line.clone()).collect()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                use std::fmt::Write;
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }
        if !event.metadata().target().starts_with("kurs_sources") {
            return;
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Sees what goes into the source, and on which thread.
#[derive(Default)]
pub(super) struct Seen(pub(super) Mutex<Vec<(String, std::thread::ThreadId)>>);

impl Tap for Seen {
    fn record(&self, _: SourceId, _: Now, input: &Input<'_>) {
        let shown = match input {
            Input::Reply {
                url,
                answer: Err(error),
            } => format!("{url}: {error}"),
            Input::Reply { url, .. } => (*url).to_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().push((shown, std::thread::current().id()));
    }
}

pub(super) struct Bench {
    pub(super) seen: Arc<Seen>,
    pub(super) script: Arc<Script>,
    pub(super) events: Arc<Events>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: tokio::task::JoinHandle<()>,
    pub(super) source: Arc<dyn Source>,
    _pairs: watch::Sender<Arc<[Pair]>>,
}

pub(super) const START: &str = "2026-04-24T12:00:10Z";

pub(super) fn run<P: Protocol>(
    protocol: P,
    period: &str,
    wall: &str,
    takes: Duration,
    answers: Vec<Result<Fetched, FetchError>>,
) -> Bench {
    let start = Instant::now();
    let clock = Arc::new(TokioClock {
        start,
        wall: wall.parse().unwrap(),
    });
    let script = Arc::new(Script {
        answers: Mutex::new(answers.into()),
        asked: Mutex::default(),
        start,
        takes,
    });
    launch(protocol, period, clock, script.clone(), script)
}

pub(super) fn launch<P: Protocol>(
    protocol: P,
    period: &str,
    clock: Arc<dyn Clock>,
    transport: Arc<dyn Transport>,
    script: Arc<Script>,
) -> Bench {
    let period: Period = period.parse().unwrap();
    let parts = Parts {
        id: SourceId::parse("coingecko").unwrap(),
        kind: SourceKind::Aggregator,
        priority: 6,
        schedule: Arc::new(Timetable::new(TimeOfDay::default(), period, None).unwrap()),
        backoff_cap: Duration::from_secs(30),
        max_age: None,
        protocol,
    };
    let source = Arc::new(Polled::new(parts, transport, clock.now().wall));
    let events = Arc::new(Events::default());
    let seen = Arc::new(Seen::default());
    let (stop, shutdown) = watch::channel(false);
    let (sender, pairs) = watch::channel(Arc::from([]));
    let context = Context {
        clock,
        events: events.clone(),
        pairs,
        depth: Arc::from([]),
        tap: Some(seen.clone()),
        seed: 3,
        polls: tokio::sync::watch::channel(true).1,
        shutdown,
    };
    let task = tokio::spawn(source.clone().run(context));
    Bench {
        seen,
        script,
        events,
        stop,
        task,
        source,
        _pairs: sender,
    }
}

impl Bench {
    /// Ends the run and returns all events, shortened.
    pub(super) async fn end(self) -> Vec<String> {
        self.stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .unwrap()
            .unwrap();
        let events = self.events.0.lock();
        events.iter().map(shorten).collect()
    }

    pub(super) fn asked_at_ms(&self) -> Vec<u128> {
        self.script
            .asked
            .lock()
            .iter()
            .map(|(at, _)| at.as_millis())
            .collect()
    }
}

pub(super) fn shorten(event: &SourceEvent) -> String {
    match &event.kind {
        EventKind::Table(ticks) => {
            let first = ticks.first().unwrap();
            format!(
                "{} {} for {}s",
                first.pair,
                first.quote.value().unwrap(),
                first.valid_for.as_secs()
            )
        }
        EventKind::State { state, .. } => state.as_str().to_owned(),
        EventKind::PairState { pair, state, .. } => format!("{pair} {}", state.as_str()),
        other => format!("{other:?}"),
    }
}

pub(super) fn body(text: &str) -> Result<Fetched, FetchError> {
    Ok(Fetched::Body {
        bytes: text.to_owned().into(),
        validators: Validators::default(),
        content_type: None,
        headers: Vec::new(),
    })
}

pub(super) fn limited(seconds: Option<u64>) -> Result<Fetched, FetchError> {
    let retry_after = seconds.map(Duration::from_secs);
    Err(FetchError::Limited {
        status: 429,
        retry_after,
        body: Default::default(),
    })
}

pub(super) fn one_coin() -> CoinGecko {
    let json = r#"{"ids":{"bitcoin":"BTC"},"vs_currencies":["USD"]}"#;
    CoinGecko::new(serde_json::from_str::<coingecko::Config>(json).unwrap())
}

pub(super) fn coin(price: &str) -> Result<Fetched, FetchError> {
    body(&format!(r#"{{"bitcoin":{{"usd":{price}}}}}"#))
}

pub(super) const QUICK: Duration = Duration::from_millis(100);
