//! Which pairs the venue trades, remembered for a few minutes.

use super::rest::{ListedSymbol, Rest, RestError};
use super::subscribe::symbol_of;
use kurs_core::{Clock, Mono, Pair};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long an answer holds.
pub(super) const ANSWER_HOLDS: Duration = Duration::from_secs(300);
/// Requests at the same time, and the number of symbols up to which each is asked alone.
const ALONE_MAX: usize = 12;
/// Symbols in one request.
const TOGETHER_MAX: usize = 96;
/// Pairs that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The venue's listing, as far as it was asked.
#[derive(Debug)]
pub(super) struct Listing {
    rest: Arc<Rest>,
    clock: Arc<dyn Clock>,
    answers: Mutex<HashMap<Pair, (bool, Mono)>>,
}

impl Listing {
    pub(super) fn new(rest: Arc<Rest>, clock: Arc<dyn Clock>) -> Self {
        Self {
            rest,
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
    async fn ask(&self, pairs: Vec<Pair>) -> (Vec<(Pair, bool)>, Option<RestError>) {
        let mut batches = split(&pairs);
        let mut answered = Vec::new();
        let mut last_error = None;
        while !batches.is_empty() {
            let round: Vec<_> = batches.drain(..batches.len().min(ALONE_MAX)).collect();
            let mut requests = JoinSet::new();
            for batch in round {
                let rest = self.rest.clone();
                requests.spawn(async move {
                    let symbols: Vec<String> = batch.iter().map(|pair| symbol_of(*pair)).collect();
                    let result = rest.symbols(&symbols).await;
                    (batch, result)
                });
            }
            while let Some(done) = requests.join_next().await {
                let Ok((batch, result)) = done else { continue };
                match result {
                    Ok(rows) => {
                        answered.extend(batch.iter().map(|pair| (*pair, is_traded(*pair, &rows))));
                    }
                    Err(RestError::BadSymbol) => match batch.as_slice() {
                        [one] => answered.push((*one, false)),
                        many => batches.extend(halves(many)),
                    },
                    Err(error) => last_error = Some(error),
                }
            }
            if last_error.is_some() {
                break;
            }
        }
        (answered, last_error)
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

fn split(pairs: &[Pair]) -> Vec<Vec<Pair>> {
    let size = if pairs.len() <= ALONE_MAX {
        1
    } else {
        TOGETHER_MAX
    };
    pairs.chunks(size).map(<[Pair]>::to_vec).collect()
}

fn halves(pairs: &[Pair]) -> Vec<Vec<Pair>> {
    let size = if pairs.len() <= ALONE_MAX {
        1
    } else {
        pairs.len().div_ceil(2)
    };
    pairs.chunks(size).map(<[Pair]>::to_vec).collect()
}

/// `BTCUSDT` must mean BTC for USDT, and be open for trading.
fn is_traded(pair: Pair, rows: &[ListedSymbol]) -> bool {
    let symbol = symbol_of(pair);
    rows.iter().any(|row| {
        row.symbol == symbol
            && row.status == "TRADING"
            && row.base == pair.base.as_str()
            && row.quote == pair.quote.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(symbol: &str, status: &str, base: &str, quote: &str) -> ListedSymbol {
        let [symbol, status, base, quote] = [symbol, status, base, quote].map(str::to_owned);
        ListedSymbol {
            symbol,
            status,
            base,
            quote,
        }
    }

    #[test]
    fn a_symbol_counts_only_while_it_trades_and_means_the_pair() {
        let pair = Pair::parse("BTC-USDT").unwrap();
        assert!(is_traded(pair, &[row("BTCUSDT", "TRADING", "BTC", "USDT")]));
        assert!(!is_traded(pair, &[row("BTCUSDT", "BREAK", "BTC", "USDT")]));
        assert!(!is_traded(
            pair,
            &[row("BTCUSDT", "TRADING", "BTCU", "SDT")]
        ));
        assert!(!is_traded(pair, &[]));
    }
}
