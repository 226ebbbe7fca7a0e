//! Invented updates: what a Writer publishes of some exchange's pairs.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use kurs_bus::{Body, Cause, SourcePrice, Update, wire};
use kurs_core::{
    Asset, Choice, Clock as _, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SourceState,
    SystemClock, UpdateId,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any run.
const VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Numbers in the texts of the bare clients begin here, so that they have as many digits as those
/// of kurs in the middle of a run.
const FIRST: u64 = 100_000;

/// Pairs in USDT, each with a rate and the source's own price, which come in turns.
pub(super) struct Market {
    clock: SystemClock,
    bodies: Vec<Body>,
}

impl Market {
    pub(super) fn new(pairs: usize) -> Result<Self> {
        let clock = SystemClock::new();
        let now = clock.now().wall;
        let source = SourceId::parse("binance")?;
        let choice = Arc::new(Choice {
            source,
            since: now,
            reason: "binance: first in order of preference".into(),
            skipped: Vec::new(),
        });
        let mut bodies = Vec::with_capacity(2 * pairs);
        for number in 0..pairs {
            let base = Asset::parse(&format!("S{number:05}"))?;
            let pair = Pair::new(base, Asset::parse("USDT")?);
            let price = |cents: usize| Price::parse(&format!("{}.{cents:02}", 60_000 + number));
            let (value, bid, ask) = (price(34)?, Some(price(33)?), Some(price(35)?));
            bodies.push(Body::Rate(Rate {
                pair,
                value,
                bid,
                ask,
                confidence: None,
                source,
                state: RateState::Fresh,
                legs: None,
                observed_at: now,
                published_at: now,
                valid_for: VALID_FOR,
                evidence: None,
                depeg: None,
                choice: Arc::clone(&choice),
            }));
            bodies.push(Body::SourcePrice(SourcePrice {
                source,
                pair,
                value,
                bid,
                ask,
                state: SourceState::Live,
                why: "".into(),
                observed_at: now,
                received_at: now,
                published_at: now,
                valid_for: VALID_FOR,
            }));
        }
        Ok(Self { clock, bodies })
    }

    /// Values that a bus keeps of it.
    pub(super) fn values(&self) -> usize {
        self.bodies.len()
    }

    /// All rates.
    pub(super) fn rates(&self) -> impl Iterator<Item = &Rate> {
        self.bodies.iter().filter_map(|body| match body {
            Body::Rate(rate) => Some(rate),
            _ => None,
        })
    }

    /// An update with this number, published now.
    pub(super) fn update(&self, seq: u64) -> Arc<Update> {
        let body = &self.bodies[self.place(seq)];
        let cause = match body {
            Body::Rate(Rate { source, pair, .. })
            | Body::SourcePrice(SourcePrice { source, pair, .. }) => Some(Cause {
                source: *source,
                pair: *pair,
                event_id: seq,
            }),
            _ => None,
        };
        Arc::new(Update {
            id: id(seq),
            body: body.clone(),
            cause,
            at: Some(self.clock.mono()),
        })
    }

    fn place(&self, seq: u64) -> usize {
        usize::try_from(seq).unwrap_or_default() % self.bodies.len()
    }
}

/// Of the first shard in its first epoch.
pub(super) const fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

/// What a bare client publishes: the same texts under the same subjects.
pub(super) struct Texts {
    market: Arc<Market>,
    /// Subject and text of each value.
    made: Vec<(String, Bytes)>,
    /// Texts are made and read as kurs does, instead of lying there.
    is_live: bool,
}

impl Texts {
    /// `prefix` stands in place of the first word of every subject.
    pub(super) fn new(market: &Arc<Market>, prefix: &str, is_live: bool) -> Self {
        let values = market.values();
        // Each lies at its own place.
        let first = FIRST.next_multiple_of(u64::try_from(values).unwrap_or(1).max(1));
        let made = (first..).take(values).map(|seq| {
            let update = market.update(seq);
            let subject = wire::subject(&update);
            let rest = subject.split_once('.').map_or("", |(_, rest)| rest);
            let text = Bytes::from(wire::encode(&update));
            (format!("{prefix}.{rest}"), text)
        });
        Self {
            made: made.collect(),
            market: Arc::clone(market),
            is_live,
        }
    }

    /// Subject and text of an update.
    pub(super) fn of(&self, seq: u64) -> (&str, Bytes) {
        let (subject, text) = &self.made[self.market.place(seq)];
        let text = if self.is_live {
            Bytes::from(wire::encode(&self.market.update(seq)))
        } else {
            text.clone()
        };
        (subject, text)
    }

    /// Takes a text in as its subscriber does.
    pub(super) fn read(&self, text: &[u8]) -> Result<()> {
        if self.is_live {
            black_box(wire::decode(text).context("a text that cannot be read")?);
        } else {
            black_box(text);
        }
        Ok(())
    }

    /// Bytes of a text, on average.
    pub(super) fn bytes(&self) -> f64 {
        let all: usize = self.made.iter().map(|(_, text)| text.len()).sum();
        all as f64 / self.made.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_clients_publish_what_kurs_publishes() {
        let market = Arc::new(Market::new(3).unwrap());
        let lying = Texts::new(&market, "bare", false);
        let live = Texts::new(&market, "bare", true);
        for seq in FIRST..FIRST + 12 {
            let (subject, text) = lying.of(seq);
            let (same, made) = live.of(seq);
            assert_eq!(subject, same);
            assert_eq!(
                subject.strip_prefix("bare"),
                wire::subject(&market.update(seq)).strip_prefix("kurs")
            );
            let (read, of) = (wire::decode(&text).unwrap(), wire::decode(&made).unwrap());
            assert_eq!(read.body, of.body);
            assert_eq!(text.len(), made.len());
        }
        assert_eq!(market.rates().count(), 3);
    }
}
