//! Scripted answers, a clock that goes with tokio's, and a sink that remembers.

use super::super::walk::CandleWalkParts;
use super::super::{CandleCodec, CandleWalk, Haul, Runner, Series, Sink, SinkError};
use crate::polled::Transport;
use async_trait::async_trait;
use bytes::Bytes;
use kurs_core::{Clock, Mono, Now, Pair, SourceId, Wall};
use kurs_net::http::{Fetch, FetchError, Fetched, Validators};
use kurs_store::Interval;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub(super) fn wall(text: &str) -> Wall {
    text.parse().unwrap()
}

pub(super) fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

pub(super) fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

pub(super) fn body(text: &str) -> Result<Fetched, FetchError> {
    Ok(Fetched::Body {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        validators: Validators::default(),
        content_type: None,
        headers: Vec::new(),
    })
}

/// A walk over BTC-USDT.
pub(super) fn walk(
    codec: impl CandleCodec,
    interval: Interval,
    compose: &[Interval],
    span: [&str; 2],
) -> CandleWalk {
    CandleWalk::new(CandleWalkParts {
        source: source(codec.name()),
        codec: Arc::new(codec),
        base: "http://venue".to_owned(),
        pair: pair("BTC-USDT"),
        interval,
        compose: compose.to_vec(),
        span: wall(span[0])..wall(span[1]),
    })
}

/// Gives its answers in order, and remembers when it was asked for what.
pub(super) struct Script {
    start: Instant,
    answers: Mutex<VecDeque<Result<Fetched, FetchError>>>,
    pub(super) asked: Mutex<Vec<(u64, String)>>,
}

impl Script {
    pub(super) fn new(answers: Vec<Result<Fetched, FetchError>>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            answers: Mutex::new(answers.into()),
            asked: Mutex::default(),
        })
    }

    pub(super) fn times_ms(&self) -> Vec<u64> {
        self.asked.lock().iter().map(|(at, _)| *at).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn get(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        let at = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        self.asked.lock().push((at, fetch.url));
        let answer = self.answers.lock().pop_front();
        match answer {
            Some(answer) => answer,
            // Whoever asks for more than was scripted waits for ever.
            None => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let passed = self.0.elapsed();
        Now {
            mono: Mono(1_000_000_000).plus(passed),
            wall: wall("2026-11-22T00:00:00Z").plus(passed),
        }
    }
}

/// Remembers what it is given; says stop after so many hauls.
pub(super) struct Memory {
    pub(super) hauls: Mutex<Vec<(Series, Haul)>>,
    pub(super) waits: Mutex<Vec<(Duration, String)>>,
    pub(super) progress: Mutex<Vec<(u64, u64)>>,
    stop: watch::Sender<bool>,
    stop_after: Option<usize>,
    pub(super) fails: bool,
}

impl Memory {
    pub(super) fn candles(&self) -> usize {
        let hauls = self.hauls.lock();
        hauls.iter().map(|(_, haul)| haul.candles.len()).sum()
    }
}

#[async_trait]
impl Sink for Memory {
    async fn keep(&self, series: Series, haul: Haul) -> Result<(), SinkError> {
        if self.fails {
            return Err(SinkError("the store is full".to_owned()));
        }
        let mut hauls = self.hauls.lock();
        hauls.push((series, haul));
        if Some(hauls.len()) == self.stop_after {
            self.stop.send_replace(true);
        }
        Ok(())
    }

    fn progress(&self, _: SourceId, done: u64, left: u64) {
        self.progress.lock().push((done, left));
    }

    fn waits(&self, _: SourceId, wait: Duration, why: &str) {
        self.waits.lock().push((wait, why.to_owned()));
    }
}

/// A runner on a script, with its sink.
pub(super) fn runner(
    transport: Arc<dyn Transport>,
    stop_after: Option<usize>,
) -> (Runner, Arc<Memory>) {
    let (stop, stopped) = watch::channel(false);
    let memory = Memory {
        hauls: Mutex::default(),
        waits: Mutex::default(),
        progress: Mutex::default(),
        stop,
        stop_after,
        fails: false,
    };
    let runner = Runner {
        transport,
        clock: Arc::new(TokioClock(Instant::now())),
        seed: 1,
        stop: stopped,
    };
    (runner, Arc::new(memory))
}
