//! Which pairs the venue trades, remembered for a few minutes.

use super::codec::{Codec, Listed, Request};
use super::rest::{Rest, RestError};
use kurs_core::{Clock, Mono, Pair};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long an answer holds.
pub(super) const ANSWER_HOLDS: Duration = Duration::from_secs(300);
/// Requests at the same time, and the number of symbols up to which each is asked alone once
/// one of them has spoilt their answer.
const ALONE_MAX: usize = 12;
/// Symbols in one request.
const TOGETHER_MAX: usize = 96;
/// Pairs that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The venue's listing, as far as it was asked.
pub(super) struct Listing {
    rest: Arc<Rest>,
    codec: Arc<dyn Codec>,
    clock: Arc<dyn Clock>,
    answers: Mutex<HashMap<Pair, (bool, Mono)>>,
}

type Answers = BTreeMap<String, Result<Vec<Listed>, RestError>>;

impl Listing {
    pub(super) fn new(rest: Arc<Rest>, codec: Arc<dyn Codec>, clock: Arc<dyn Clock>) -> Self {
        Self {
            rest,
            codec,
            clock,
            answers: Mutex::new(HashMap::new()),
        }
    }

    /// Looks pairs up; an answer not older than `max_age` holds. What is missing in the result
    /// could not be asked, for the reason that comes with it.
    pub(super) async fn look_up(
        &self,
        pairs: &[Pair],
        max_age: Duration,
    ) -> (Vec<(Pair, bool)>, Option<RestError>) {
        let now = self.clock.now().mono;
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        {
            let answers = self.answers.lock();
            for pair in pairs {
                match answers.get(pair) {
                    Some((listed, at)) if now.since(*at) <= max_age => known.push((*pair, *listed)),
                    _ => unknown.push(*pair),
                }
            }
        }
        let (answered, error) = self.ask(unknown).await;
        self.remember(&answered);
        known.extend(answered);
        (known, error)
    }

    /// Asks in rounds: a batch that one unknown symbol has spoilt is split and asked again.
    /// Batches that need the same answer share it, as where a venue lists everything at once.
    async fn ask(&self, pairs: Vec<Pair>) -> (Vec<(Pair, bool)>, Option<RestError>) {
        let mut batches: Vec<Vec<Pair>> =
            pairs.chunks(TOGETHER_MAX).map(<[Pair]>::to_vec).collect();
        let mut answered = Vec::new();
        let mut last_error = None;
        let mut heard = Answers::new();
        while !batches.is_empty() && last_error.is_none() {
            let round: Vec<_> = batches.drain(..batches.len().min(ALONE_MAX)).collect();
            let mut asked = Vec::with_capacity(round.len());
            for batch in round {
                let symbols: Vec<String> =
                    batch.iter().map(|pair| self.codec.symbol(*pair)).collect();
                asked.push((batch, self.codec.ask_listing(&symbols)));
            }
            let requests = asked.iter().flat_map(|(_, requests)| requests);
            self.fetch(requests, &mut heard).await;
            for (batch, requests) in asked {
                match rows_of(&requests, &heard) {
                    Ok(rows) => {
                        let is_traded = |pair: &Pair| self.is_traded(*pair, &rows);
                        answered.extend(batch.iter().map(|pair| (*pair, is_traded(pair))));
                    }
                    Err(RestError::BadSymbol) => match batch.as_slice() {
                        [one] => answered.push((*one, false)),
                        many => batches.extend(halves(many)),
                    },
                    Err(error) => last_error = Some(error),
                }
            }
        }
        (answered, last_error)
    }

    /// Sends those requests that have no answer yet.
    async fn fetch<'a>(&self, requests: impl Iterator<Item = &'a Request>, heard: &mut Answers) {
        let mut under_way = JoinSet::new();
        let mut begun: Vec<&str> = Vec::new();
        for request in requests {
            if heard.contains_key(&request.path) || begun.contains(&&*request.path) {
                continue;
            }
            begun.push(&request.path);
            let (rest, codec, request) = (self.rest.clone(), self.codec.clone(), request.clone());
            under_way.spawn(async move {
                let answer = rest.get(&request).await;
                let rows = answer.and_then(|answer| {
                    codec
                        .read_listing(answer.status, &answer.body)
                        .map_err(|error| rest.refused(error))
                });
                (request.path, rows)
            });
        }
        while let Some(done) = under_way.join_next().await {
            if let Ok((path, rows)) = done {
                heard.insert(path, rows);
            }
        }
    }

    /// `BTCUSDT` must mean BTC for USDT, and be open for trading.
    fn is_traded(&self, pair: Pair, rows: &[&Listed]) -> bool {
        let symbol = self.codec.symbol(pair);
        let means_it = |row: &Listed| row.pair.is_none_or(|meant| meant == pair);
        rows.iter()
            .any(|row| row.symbol == symbol && row.trades && means_it(row))
    }

    fn remember(&self, answered: &[(Pair, bool)]) {
        let now = self.clock.now().mono;
        let mut answers = self.answers.lock();
        if answers.len() + answered.len() > REMEMBERED_MAX {
            answers.clear();
        }
        for (pair, listed) in answered {
            answers.insert(*pair, (*listed, now));
        }
    }
}

/// What the answers to these requests list together.
fn rows_of<'a>(requests: &[Request], heard: &'a Answers) -> Result<Vec<&'a Listed>, RestError> {
    let mut rows = Vec::new();
    for request in requests {
        match heard.get(&request.path) {
            Some(Ok(listed)) => rows.extend(listed),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(RestError::Failed("no answer".to_owned())),
        }
    }
    Ok(rows)
}

fn halves(pairs: &[Pair]) -> Vec<Vec<Pair>> {
    let size = if pairs.len() <= ALONE_MAX {
        1
    } else {
        pairs.len().div_ceil(2)
    };
    pairs.chunks(size).map(<[Pair]>::to_vec).collect()
}
