//! A rate with everything behind it.

use crate::document::{ConstituentDocument, ExplainDocument, LegDocument, RateDocument};
use crate::view::{Missing, RateView};
use kurs_core::{Choice, Mono, Pair, Price, SourceId, Wall};
use std::sync::Arc;

impl RateView {
    /// The rate of a pair with its legs, what every source says about each of them, why this
    /// source serves, and what was passed over.
    ///
    /// # Errors
    /// [`Missing`] as [`Self::rate`], except that an expired rate is explained when
    /// `allow_stale` says so.
    pub fn explain(
        &self,
        asked: Pair,
        pin: Option<SourceId>,
        allow_stale: bool,
    ) -> Result<ExplainDocument, Missing> {
        let now = self.now();
        let rate = match self.rate(asked, pin) {
            Ok(answer) => RateDocument::clone(&answer.document),
            Err(Missing::Expired(document)) if allow_stale => *document,
            Err(missing) => return Err(missing),
        };
        Ok(self.explain_document(rate, pin, now.mono, now.wall))
    }

    /// Explains a rate that was answered already.
    fn explain_document(
        &self,
        mut rate: RateDocument,
        pin: Option<SourceId>,
        now: Mono,
        wall: Wall,
    ) -> ExplainDocument {
        let choice = self.choice(&rate, pin);
        let evidence = match pin {
            Some(_) => None,
            None => self
                .held(rate.pair.canonical())
                .and_then(|held| held.rate().and_then(|rate| rate.evidence.clone())),
        };
        let takes_part = |source: SourceId, pair: Pair| {
            let parts = evidence.iter().flat_map(|evidence| &evidence.constituents);
            parts
                .filter(|part| part.used)
                .any(|part| part.source == source && part.pair == pair)
        };
        if rate.legs.is_empty() {
            rate.legs.push(LegDocument {
                pair: rate.path.first().copied().unwrap_or(rate.pair),
                source: rate.source,
                value: rate.value,
                inverted: false,
                observed_at: rate.observed_at,
                expires_at: rate.expires_at,
            });
        }
        let mut constituents: Vec<ConstituentDocument> = Vec::new();
        for leg in &rate.legs {
            for held in self.source_prices(|_, pair| pair == leg.pair) {
                let price = &held.price;
                if constituents
                    .iter()
                    .any(|seen| (seen.source, seen.pair) == (price.source, price.pair))
                {
                    continue;
                }
                let mut constituent = ConstituentDocument {
                    source: price.source,
                    pair: price.pair,
                    value: price.value,
                    bid: price.bid,
                    ask: price.ask,
                    state: held.state_at(now),
                    why: Arc::clone(&price.why),
                    used: price.source == leg.source || takes_part(price.source, price.pair),
                    observed_at: price.observed_at,
                    age_ms: held.age_ms(now),
                };
                // Sources' own prices come conflated, rates do not: of the price in use the leg
                // knows better.
                if price.source == leg.source && leg.observed_at > constituent.observed_at {
                    let newer_by = leg.observed_at.since(constituent.observed_at).as_millis();
                    let newer_by = u64::try_from(newer_by).unwrap_or(u64::MAX);
                    constituent.age_ms = constituent.age_ms.saturating_sub(newer_by);
                    constituent.observed_at = leg.observed_at;
                    if constituent.value != leg.value {
                        constituent.value = leg.value;
                        (constituent.bid, constituent.ask) = self.sides(leg);
                    }
                }
                constituents.push(constituent);
            }
        }
        // The age of what is used, by monotonic clocks where the price is at hand.
        let age_ms = constituents
            .iter()
            .filter(|constituent| constituent.used)
            .map(|constituent| constituent.age_ms)
            .max()
            .unwrap_or_else(|| {
                u64::try_from(wall.since(rate.observed_at).as_millis()).unwrap_or(u64::MAX)
            });
        ExplainDocument {
            age_ms,
            since: choice.since,
            reason: Arc::clone(&choice.reason),
            evidence: evidence.clone(),
            rejections: choice.skipped.iter().map(Into::into).collect(),
            constituents,
            rate,
        }
    }

    /// Bid and ask of a leg, if the rate held of its market is the one it was made from.
    fn sides(&self, leg: &LegDocument) -> (Option<Price>, Option<Price>) {
        let held = self.held(leg.pair);
        match held.as_ref().and_then(|held| held.rate()) {
            Some(rate) if rate.value == leg.value => (rate.bid, rate.ask),
            _ => (None, None),
        }
    }

    fn choice(&self, rate: &RateDocument, pin: Option<SourceId>) -> Arc<Choice> {
        if let Some(source) = pin {
            let reason = format!("{source}: asked for by the caller").into();
            return Arc::new(Choice {
                source,
                since: rate.published_at,
                reason,
                skipped: Vec::new(),
            });
        }
        let own = self.held(rate.pair.canonical());
        let first_leg = rate.path.first().and_then(|pair| self.held(*pair));
        let own_choice = own
            .as_ref()
            .and_then(|held| held.rate().map(|rate| Arc::clone(&rate.choice)));
        if let Some(choice) = own_choice {
            return choice;
        }
        match first_leg.as_ref().and_then(|held| held.rate()) {
            Some(leg) => Arc::new(Choice {
                reason: format!(
                    "cross rate over {}; {}",
                    markets(rate.path.len()),
                    leg.choice.reason
                )
                .into(),
                ..Choice::clone(&leg.choice)
            }),
            None => Arc::new(Choice {
                source: rate.source,
                since: rate.published_at,
                reason: "cross rate".into(),
                skipped: Vec::new(),
            }),
        }
    }
}

fn markets(count: usize) -> String {
    if count == 1 {
        "one market".to_owned()
    } else {
        format!("{count} markets")
    }
}
