//! A rate with everything behind it.

use crate::document::{ConstituentDocument, ExplainDocument, LegDocument, RateDocument};
use crate::slot::{Held, milliseconds};
use crate::view::{Missing, RateView};
use kurs_core::rate::{Constituent, Evidence, PolicyKind};
use kurs_core::{Choice, Mono, Now, Pair, Price, Skipped, SourceId, SourceState, Wall};
use std::sync::Arc;
use std::time::Duration;

/// What a rate or one of its legs was made of.
struct Made {
    evidence: Arc<Evidence>,
    /// It is of the very rate that is explained, not of a later one: its numbers hold.
    is_exact: bool,
}

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
        // The rate and what is told of it come from one reading: the next may be about to replace
        // it.
        let own = match pin {
            Some(_) => None,
            None => self.held(asked.canonical()),
        };
        let rate = match &own {
            Some(held) => {
                let missing = || Missing::NoRateYet(asked);
                let document = held.document(asked, now.mono).ok_or_else(missing)?;
                if !allow_stale && !held.is_usable(now.mono) {
                    return Err(Missing::Expired(Box::new(document)));
                }
                document
            }
            None => match self.rate(asked, pin) {
                Ok(answer) => RateDocument::clone(&answer.document),
                Err(Missing::Expired(document)) if allow_stale => *document,
                Err(missing) => return Err(missing),
            },
        };
        Ok(self.explain_document(rate, own.as_deref(), pin, now))
    }

    /// Explains a rate that was answered already; `own` is what is held of the pair itself.
    fn explain_document(
        &self,
        mut rate: RateDocument,
        own: Option<&Held>,
        pin: Option<SourceId>,
        now: Now,
    ) -> ExplainDocument {
        let choice = self.choice(&rate, own, pin, now.mono);
        let evidence = own.and_then(|held| held.rate()?.evidence.clone());
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
        let made = match pin {
            Some(_) => Vec::new(),
            None => self.made(&rate, evidence.as_ref()),
        };
        let constituents = self.constituents(&rate, &made, now.mono);
        let used = constituents.iter().filter(|row| row.used);
        let of_legs = rate.legs.iter().map(|leg| self.leg_age(leg, now));
        let of_all = own.map(|held| held.since(rate.observed_at, now.mono));
        // One leg may have waited longer on its way to us than another; what was published of them
        // together was that old already.
        let of_answer = rate.published_at.since(rate.observed_at);
        let ages = of_legs.chain(of_all).chain([of_answer]).map(milliseconds);
        let age_ms = ages.chain(used.map(|row| row.age_ms)).max().unwrap_or(0);
        ExplainDocument {
            age_ms,
            since: choice.since,
            reason: Arc::clone(&choice.reason),
            evidence,
            rejections: choice.skipped.iter().map(Into::into).collect(),
            constituents,
            rate,
        }
    }

    /// What the rate was made of, and each of its legs.
    fn made(&self, rate: &RateDocument, own: Option<&Arc<Evidence>>) -> Vec<Made> {
        let mut made: Vec<Made> = own
            .map(|evidence| Made {
                evidence: Arc::clone(evidence),
                is_exact: true,
            })
            .into_iter()
            .collect();
        for leg in &rate.legs {
            if leg.pair == rate.pair.canonical() {
                continue;
            }
            let held = self.held(leg.pair);
            let Some(of_leg) = held.as_ref().and_then(|held| held.rate()) else {
                continue;
            };
            if let (Some(evidence), true) = (&of_leg.evidence, of_leg.source == leg.source) {
                made.push(Made {
                    evidence: Arc::clone(evidence),
                    is_exact: (of_leg.value, of_leg.observed_at) == (leg.value, leg.observed_at),
                });
            }
        }
        made
    }

    /// What every source says about every leg, used or not.
    fn constituents(
        &self,
        rate: &RateDocument,
        made: &[Made],
        now: Mono,
    ) -> Vec<ConstituentDocument> {
        let mut rows: Vec<ConstituentDocument> = Vec::new();
        for leg in &rate.legs {
            for held in self.source_prices(|_, pair| pair == leg.pair) {
                let price = &held.price;
                let is_row = |row: &ConstituentDocument| {
                    (row.source, row.pair) == (price.source, price.pair)
                };
                if rows.iter().any(is_row) {
                    continue;
                }
                let mut row = ConstituentDocument {
                    source: price.source,
                    pair: price.pair,
                    value: price.value,
                    bid: price.bid,
                    ask: price.ask,
                    state: held.state_at(now),
                    why: Arc::clone(&price.why),
                    used: false,
                    observed_at: price.observed_at,
                    age_ms: held.age_ms(now),
                };
                // Sources' own prices come conflated, rates do not: of a price in use the leg,
                // or what is told of the rate, knows better.
                if price.source == leg.source {
                    let sides = self.sides(leg);
                    take_over(&mut row, leg.value, sides, Some(leg.observed_at));
                    row.used = true;
                } else if let Some((part, is_exact)) = part_of(made, price.source, price.pair) {
                    if let (Some(value), true) = (part.value, is_exact) {
                        take_over(&mut row, value, (part.bid, part.ask), part.observed_at);
                    }
                    row.used = true;
                }
                rows.push(row);
            }
        }
        rows
    }

    /// Bid and ask of a leg, if the rate held of its market is the one it was made from.
    fn sides(&self, leg: &LegDocument) -> (Option<Price>, Option<Price>) {
        let held = self.held(leg.pair);
        match held.as_ref().and_then(|held| held.rate()) {
            Some(rate) if rate.value == leg.value => (rate.bid, rate.ask),
            _ => (None, None),
        }
    }

    /// How long ago the price of a leg was observed, by the clock of whoever published it.
    fn leg_age(&self, leg: &LegDocument, now: Now) -> Duration {
        let observed_at = leg.observed_at;
        if let Some(held) = self.held(leg.pair) {
            return held.since(observed_at, now.mono);
        }
        match self.source_price(leg.source, leg.pair) {
            Some(price) => price.since(observed_at, now.mono),
            None => now.wall.since(observed_at),
        }
    }

    fn choice(
        &self,
        rate: &RateDocument,
        own: Option<&Held>,
        pin: Option<SourceId>,
        now: Mono,
    ) -> Arc<Choice> {
        if let Some(source) = pin {
            let reason = format!("{source}: asked for by the caller").into();
            return Arc::new(Choice {
                source,
                since: rate.published_at,
                reason,
                skipped: Vec::new(),
            });
        }
        if let Some(choice) = own.and_then(|held| self.choice_of(held, now)) {
            return choice;
        }
        // Of a cross rate that ran out, what ran out tells why; else where it starts.
        let mut legs = rate.path.iter().filter_map(|pair| self.held(*pair));
        let is_over = |held: &Arc<Held>| !held.is_usable(now);
        let first = rate.path.first().and_then(|pair| self.held(*pair));
        let leg = legs.find(is_over).or(first);
        match leg.and_then(|held| self.choice_of(&held, now)) {
            Some(leg) => Arc::new(Choice {
                reason: format!(
                    "cross rate over {}; {}",
                    markets(rate.path.len()),
                    leg.reason
                )
                .into(),
                ..Choice::clone(&leg)
            }),
            None => Arc::new(Choice {
                source: rate.source,
                since: rate.published_at,
                reason: "cross rate".into(),
                skipped: Vec::new(),
            }),
        }
    }

    /// Why a rate is what it is: the Writer's word, or that it ran out without one.
    fn choice_of(&self, held: &Held, now: Mono) -> Option<Arc<Choice>> {
        let rate = held.rate()?;
        let Some(end) = held.ran_out(now) else {
            return Some(Arc::clone(&rate.choice));
        };
        let mut makers: Vec<SourceId> = rate.legs().iter().map(|leg| leg.source).collect();
        let parts = rate.evidence.iter().flat_map(|made| &made.constituents);
        makers.extend(parts.filter(|part| part.used).map(|part| part.source));
        makers.retain(|source| !is_policy(*source));
        makers.dedup();
        let skipped = self.not_live(&makers, rate.pair, now);
        let told: Vec<String> = skipped.iter().map(told_of).collect();
        let told = if told.is_empty() {
            "every source that is known is live, but none gives it".to_owned()
        } else {
            told.join(", ")
        };
        let source = rate.source;
        Some(Arc::new(Choice {
            source,
            since: end,
            reason: format!("the rate of {source} ran out at {end}, and no newer one came: {told}")
                .into(),
            skipped,
        }))
    }

    /// The sources that do not give anything at present: all that are not live, by preference,
    /// and of the makers of a rate those whose price of the pair is not.
    fn not_live(&self, makers: &[SourceId], pair: Pair, now: Mono) -> Vec<Skipped> {
        let mut statuses = self.sources();
        statuses.sort_by_key(|status| (status.priority, status.source));
        let mut found: Vec<Skipped> = Vec::new();
        for status in &statuses {
            let (mut state, mut why) = (status.state, Arc::clone(&status.why));
            if state == SourceState::Live
                && makers.contains(&status.source)
                && let Some(price) = self.source_price(status.source, pair)
            {
                (state, why) = (price.state_at(now), Arc::clone(&price.price.why));
            }
            if state != SourceState::Live {
                found.push(Skipped {
                    source: status.source,
                    state,
                    why,
                });
            }
        }
        for source in makers {
            let is_known = statuses.iter().any(|status| status.source == *source);
            if !is_known && found.iter().all(|one| one.source != *source) {
                found.push(Skipped {
                    source: *source,
                    state: SourceState::Syncing,
                    why: UNHEARD.into(),
                });
            }
        }
        found
    }
}

/// What is said of a source that has not said anything since the start.
const UNHEARD: &str = "it has not been heard of yet";

fn told_of(skipped: &Skipped) -> String {
    let Skipped { source, state, why } = skipped;
    match &**why {
        "" => format!("{source} {}", state.as_str()),
        why => format!("{source} {} ({why})", state.as_str()),
    }
}

/// True for the names of rates that are made of several sources.
fn is_policy(source: SourceId) -> bool {
    [
        PolicyKind::Priority,
        PolicyKind::Median,
        PolicyKind::Merged,
        PolicyKind::Rule,
        PolicyKind::Fixed,
    ]
    .iter()
    .any(|kind| kind.as_str() == source.plain())
}

/// What a source gave for a rate, if it was used, and whether its numbers hold.
fn part_of(made: &[Made], source: SourceId, pair: Pair) -> Option<(&Constituent, bool)> {
    made.iter().find_map(|made| {
        let is = |part: &&Constituent| {
            part.used && part.path.is_empty() && (part.source, part.pair) == (source, pair)
        };
        let part = made.evidence.constituents.iter().find(is)?;
        Some((part, made.is_exact))
    })
}

/// Puts the price that was used in the place of the source's latest.
fn take_over(
    row: &mut ConstituentDocument,
    value: Price,
    (bid, ask): (Option<Price>, Option<Price>),
    observed_at: Option<Wall>,
) {
    if let Some(at) = observed_at {
        let (newer, older) = (at.since(row.observed_at), row.observed_at.since(at));
        let age_ms = row.age_ms.saturating_sub(milliseconds(newer));
        row.age_ms = age_ms.saturating_add(milliseconds(older));
        row.observed_at = at;
    }
    if row.value != value {
        (row.value, row.bid, row.ask) = (value, bid, ask);
    }
}

fn markets(count: usize) -> String {
    if count == 1 {
        "one market".to_owned()
    } else {
        format!("{count} markets")
    }
}
