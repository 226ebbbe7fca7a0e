//! The policies `rule` and `fixed`: where an expression gets its prices from, and what becomes
//! of its number.

use super::Engine;
use super::publish::Offer;
use super::slots::Makeup;
use crate::config::{FairMethod, PolicyKind};
use crate::cross::Market;
use crate::depeg;
use crate::effect::Effect;
use crate::marks::Marks;
use crate::rule::evaluate::NUMBER_HOLDS;
use crate::rule::{Evaluated, Evaluation, Figure, Prices, Rule};
use kurs_core::price::round_published;
use kurs_core::rate::{Evidence, FixedTerms};
use kurs_core::{
    Leg, Mono, Now, Pair, Price, RateState, Skipped, SourceId, SourceKind, SourceState,
};
use std::sync::Arc;
use std::time::Duration;

/// A rate without prices in it is published again after this long, so that Readers see that
/// it is still meant; the date of its end is looked at by then.
const NUMBER_REFRESH: Duration = Duration::from_secs(60);

/// The engine's prices as a rule sees them.
struct Sight<'e> {
    engine: &'e Engine,
    now: Now,
    /// The pair whose rule it is.
    index: usize,
}

impl Prices for Sight<'_> {
    fn pair(&mut self, pair: Pair) -> Result<Figure, Skipped> {
        let index = self.engine.pair_index.get(&pair);
        let slot = index.and_then(|at| self.engine.pairs[*at].published.as_ref());
        let usable =
            slot.filter(|published| published.is_usable() && self.now.mono < published.valid_until);
        let published = usable.ok_or_else(|| self.engine.unpriced(pair))?;
        let market = &published.market;
        let legs = published.legs.iter().flat_map(|legs| legs.iter());
        let marks = legs.fold(Marks::of(market.source), |marks, leg| {
            marks.and(Marks::of(leg.source))
        });
        Ok(Figure {
            doubt: (published.state == RateState::Suspect)
                .then(|| format!("{pair} is suspect").into()),
            depegs: published
                .depeg
                .iter()
                .flat_map(|marks| marks.iter().copied())
                .collect(),
            marks,
            ..figure_of(market, pair, published.valid_until)
        })
    }

    fn source(&mut self, source: SourceId, pair: Pair) -> Result<(Figure, FairMethod), Skipped> {
        let engine = self.engine;
        let none = || engine.silent(source);
        let index = engine.source_named(source).ok_or_else(none)?;
        let direct = engine.price_index.get(&(index, pair));
        let inverse = || engine.price_index.get(&(index, pair.inverse()));
        let (price, is_inverse) = match direct {
            Some(price) => (*price, false),
            None => (*inverse().ok_or_else(none)?, true),
        };
        let slot = &engine.prices[price];
        let quoted = &slot.quoted;
        if slot.state != SourceState::Live || self.now.mono >= quoted.valid_until {
            return Err(engine.unusable(price));
        }
        let fair = engine.fair(self.now.mono, price, &engine.pairs[self.index].plan);
        let (bid, ask) = fair.within(quoted.quote.bid(), quoted.quote.ask());
        let market = Market {
            pair: quoted.pair,
            value: fair.value,
            bid,
            ask,
            confidence: super::priority::half_spread(bid, ask),
            source: engine.info(index).id,
            observed_at: quoted.as_of(),
            expires_at: quoted.expires_at(),
        };
        let mut figure = figure_of(&market, quoted.pair, quoted.valid_until);
        figure.depegs.extend(depeg::mark(market.pair, market.value));
        if is_inverse {
            figure = figure.inverse().ok_or_else(|| Skipped {
                source: market.source,
                state: SourceState::Live,
                why: format!("1 / {} cannot be held", market.pair).into(),
            })?;
        }
        Ok((figure, fair.method))
    }
}

fn figure_of(market: &Market, pair: Pair, valid_until: Mono) -> Figure {
    Figure {
        sides: market
            .bid
            .zip(market.ask)
            .map(|(bid, ask)| (bid.value(), ask.value())),
        confidence: market.confidence,
        valid_until,
        expires_at: market.expires_at,
        observed_at: Some(market.observed_at),
        legs: vec![Leg {
            pair,
            source: market.source,
            value: market.value,
            inverted: false,
            observed_at: market.observed_at,
            expires_at: market.expires_at,
        }],
        marks: Marks::of(market.source),
        ..Figure::number(market.value.value())
    }
}

impl Engine {
    /// The source of this name, simulated or not.
    pub(super) fn source_named(&self, name: SourceId) -> Option<usize> {
        self.source_index.get(&name).copied().or_else(|| {
            let is = |info: &crate::config::SourceInfo| info.id.plain() == name.plain();
            self.config.sources.iter().position(is)
        })
    }

    /// True when the rule of a pair asks this source for this market.
    pub(super) fn asks_for(&self, index: usize, source: usize, market: Pair) -> bool {
        let Some(Ok(rule)) = &self.pairs[index].plan.rule else {
            return false;
        };
        rule.sources().iter().any(|(name, pair)| {
            self.source_named(*name) == Some(source)
                && (*pair == market || *pair == market.inverse())
        })
    }

    pub(super) fn price_by_rule(&mut self, now: Now, index: usize, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.pairs[index].plan);
        let rule = match &plan.rule {
            Some(Ok(rule)) => rule,
            Some(Err(why)) => return self.expire(now, index, Some(why), Vec::new(), effects),
            None => return,
        };
        let mut gates = std::mem::take(&mut self.pairs[index].rule_gates);
        let evaluation = Evaluation {
            now,
            gate: plan.gate,
            min_sources: plan.min_sources,
            refuses_few: plan.refuses_few,
            combined: self.names.median,
            gates: &mut gates,
        };
        let mut sight = Sight {
            engine: self,
            now,
            index,
        };
        let evaluated = evaluation.run(rule, &mut sight);
        let slot = &mut self.pairs[index];
        slot.rule_gates = gates;
        slot.next_change = evaluated.next_change;
        match &evaluated.outcome {
            Ok(figure) => {
                let figure = figure.clone();
                self.publish_rule(now, index, (rule, evaluated), figure, effects);
            }
            Err(why) => {
                let why = Arc::clone(why);
                // Nothing may tell it when the prices come; a number's end is looked at again.
                let skipped = evaluated.skipped();
                self.expire(now, index, Some(&why), skipped, effects);
            }
        }
        if let Some(at) = self.pairs[index].next_change {
            self.next_scan = self.next_scan.min(at);
        }
    }

    fn publish_rule(
        &mut self,
        now: Now,
        index: usize,
        (rule, evaluated): (&Rule, Evaluated),
        figure: Figure,
        effects: &mut Vec<Effect>,
    ) {
        let plan = Arc::clone(&self.pairs[index].plan);
        let name = match plan.kind {
            PolicyKind::Fixed => self.names.fixed,
            _ => self.names.rule,
        };
        let pair = self.pairs[index].pair;
        let skipped = evaluated.skipped();
        let Some(value) = figure.price().map(Price::published) else {
            return self.expire(
                now,
                index,
                Some("the rule gives no price"),
                skipped,
                effects,
            );
        };
        // Nothing but numbers: no price will call for it again.
        let is_number = figure.observed_at.is_none();
        if is_number {
            let again = now.mono.plus(NUMBER_REFRESH);
            let slot = &mut self.pairs[index];
            slot.next_change = Some(slot.next_change.map_or(again, |at| at.min(again)));
        }
        let valid_until = figure.valid_until.min(now.mono.plus(NUMBER_HOLDS));
        let side = |price: Option<rust_decimal::Decimal>| {
            price
                .and_then(|price| Price::new(price).ok())
                .map(Price::published)
        };
        let sides = if is_number && rule_has_no_spread(rule) {
            None
        } else {
            figure.sides
        };
        let market = Market {
            pair,
            value,
            bid: side(sides.map(|(bid, _)| bid)),
            ask: side(sides.map(|(_, ask)| ask)),
            confidence: figure.confidence.map(round_published),
            source: figure.marks.put_on(name),
            observed_at: figure.observed_at.unwrap_or(now.wall),
            expires_at: figure
                .expires_at
                .min(now.wall.plus(valid_until.since(now.mono))),
        };
        let used = evaluated
            .constituents
            .iter()
            .filter(|constituent| constituent.used);
        let makeup = Makeup {
            used: used.map(|constituent| constituent.source).collect(),
            left_out: skipped.iter().map(|one| (one.source, one.state)).collect(),
            state: if figure.doubt.is_some() {
                RateState::Suspect
            } else {
                RateState::Fresh
            },
        };
        let Some(market) = self.news(now, index, market, &makeup) else {
            return;
        };
        let is_own = rule.is_about_only(pair);
        let banks_alone = rule.sources().iter().all(|(source, _)| {
            self.source_named(*source)
                .is_some_and(|at| self.info(at).kind == SourceKind::Bank)
        });
        let evidence = Evidence {
            rule: (plan.kind == PolicyKind::Rule).then(|| Arc::clone(&rule.text)),
            evaluated: Some(evaluated.text.as_str().into()),
            constituents: evaluated.constituents.clone(),
            fixed: (plan.kind == PolicyKind::Fixed).then(|| FixedTerms {
                owner: plan.policy.owner.as_deref().map(Arc::from),
                until: plan.policy.until.map(crate::config::units::Day::end),
            }),
            notes: figure.doubt.iter().cloned().collect(),
            ..self.evidence(index)
        };
        let mut told = evaluated.told(&plan.policy);
        if let Some(doubt) = &figure.doubt {
            told.push_str("; ");
            told.push_str(doubt);
        }
        let offer = Offer {
            legs: (!is_own && !figure.legs.is_empty()).then(|| figure.legs.into()),
            depeg: (!figure.depegs.is_empty()).then(|| figure.depegs.into()),
            state: makeup.state,
            candidate: None,
            carries: is_own && (banks_alone || self.config.money.contains(&pair.base)),
            valid_until,
            evidence: Some(Arc::new(evidence)),
        };
        self.publish_made(
            now,
            index,
            (&market, offer),
            (makeup, skipped, &told),
            effects,
        );
    }
}

/// A plain number has no bid and ask of its own.
fn rule_has_no_spread(rule: &Rule) -> bool {
    let mut has_none = true;
    rule.root.walk(&mut |node| {
        if matches!(node.kind, crate::rule::NodeKind::Spread { .. }) {
            has_none = false;
        }
    });
    has_none
}

impl Evaluated {
    /// What was looked at and not used.
    fn skipped(&self) -> Vec<Skipped> {
        let mut skipped: Vec<Skipped> = Vec::new();
        for (at, constituent) in self.constituents.iter().enumerate() {
            let is_there = skipped.iter().any(|one| one.source == constituent.source);
            if constituent.used || constituent.why.is_empty() || is_there {
                continue;
            }
            skipped.push(match self.missing.get(&at) {
                Some(missing) => missing.clone(),
                // It has a price, which the rule left out.
                None => Skipped {
                    source: constituent.source,
                    state: SourceState::Live,
                    why: Arc::clone(&constituent.why),
                },
            });
        }
        skipped
    }

    /// The sentence behind "rule since ...".
    fn told(&self, policy: &crate::config::Policy) -> String {
        match (&policy.value, &policy.owner, policy.until) {
            (None, _, _) => self.text.clone(),
            (Some(value), owner, until) => {
                let owner = owner
                    .as_deref()
                    .map(|owner| format!(" by {owner}"))
                    .unwrap_or_default();
                let until = until
                    .map(|day| format!(", until {day}"))
                    .unwrap_or_default();
                format!("fixed at {value}{owner}{until}")
            }
        }
    }
}
