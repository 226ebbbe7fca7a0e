//! Rates that are made of several sources: the policies `median` and `merged`.

use super::Engine;
use super::bench::Seat;
use super::judged::{Judged, published_reading};
use super::publish::Offer;
use super::reasons::phrase;
use super::slots::Makeup;
use crate::config::units::Percent;
use crate::config::{FairMethod, PolicyKind};
use crate::cross::Market;
use crate::decimal::{median, middle};
use crate::effect::{Effect, Failover};
use crate::fair::{depth_weighted, weighted_mid};
use crate::gate::contradiction;
use crate::merged::merge;
use kurs_core::rate::Evidence;
use kurs_core::{
    Choice, Depth, Leg, Level, Mono, Now, Price, RateState, Sizes, Skipped, SourceKind,
};
use rust_decimal::Decimal;
use std::sync::Arc;

/// A number made of several, before it is told.
struct Number {
    value: Price,
    bid: Option<Price>,
    ask: Option<Price>,
}

impl Engine {
    pub(super) fn price_by_median(&mut self, now: Now, index: usize, effects: &mut Vec<Effect>) {
        let judged = self.judge(now, index, |_, candidate| !candidate.rank.indicative);
        let number = judged.verdict.median.and_then(|value| {
            let of = |side: fn(&Market) -> Option<Price>| {
                let prices = judged
                    .kept
                    .iter()
                    .filter_map(|seat| side(&seat.priced.market));
                median(prices.map(Price::value)).and_then(|value| Price::new(value).ok())
            };
            let value = Price::new(value).ok()?.published();
            Some(Number {
                value,
                // Sources without sides have no part in these; they must not turn them around.
                bid: of(|market| market.bid).map(|bid| bid.published().min(value)),
                ask: of(|market| market.ask).map(|ask| ask.published().max(value)),
            })
        });
        let number = number.ok_or_else(|| Arc::from("no source is left"));
        self.publish_judged(now, index, judged, number, Vec::new(), effects);
    }

    pub(super) fn price_by_merged_book(
        &mut self,
        now: Now,
        index: usize,
        effects: &mut Vec<Effect>,
    ) {
        let mut judged = self.judge(now, index, |kind, candidate| {
            kind == SourceKind::Exchange && candidate.conversion.is_none() && !candidate.inverted
        });
        let mut books: Vec<Arc<Depth>> = Vec::new();
        let mut kept = Vec::new();
        for mut seat in std::mem::take(&mut judged.kept) {
            match self.book_of(now.mono, index, &seat) {
                Some((book, is_deep)) => {
                    seat.priced.fair.why = (!is_deep)
                        .then(|| "its best prices only, it gives no depth at present".into());
                    books.push(book);
                    kept.push(seat);
                }
                None => judged
                    .left_out
                    .push((seat, "it gives neither depth nor sizes".into())),
            }
        }
        judged.kept = kept;
        let (number, notes) = match merge(books.iter().map(|book| &**book)) {
            Some(book) => self.price_of_book(index, &book),
            None if books.is_empty() => (Err(Arc::from("no book is live")), Vec::new()),
            None => (
                Err(Arc::from("netting leaves the merged book one-sided")),
                Vec::new(),
            ),
        };
        self.publish_judged(now, index, judged, number, notes, effects);
    }

    /// The levels a venue brings in: its depth, else its best prices with their sizes. True for
    /// depth.
    fn book_of(&self, now: Mono, index: usize, seat: &Seat) -> Option<(Arc<Depth>, bool)> {
        let price = &self.prices[self.pairs[index].candidates[seat.candidate].price];
        if let Some(depth) = price.live_depth(now) {
            return Some((Arc::clone(depth), true));
        }
        let (quote, sizes) = (price.quoted.quote, price.quoted.sizes?);
        let level =
            |price: Price, size: Decimal| -> Box<[Level]> { Box::new([Level { price, size }]) };
        let depth = Depth {
            bids: level(quote.bid()?, sizes.bid),
            asks: level(quote.ask()?, sizes.ask),
        };
        Some((Arc::new(depth), false))
    }

    /// The fair price of the merged book, by the method of the policy as far as it goes.
    fn price_of_book(
        &self,
        index: usize,
        book: &Depth,
    ) -> (Result<Number, Arc<str>>, Vec<Arc<str>>) {
        let slot = &self.pairs[index];
        let (Some(bid), Some(ask)) = (book.bids.first(), book.asks.first()) else {
            return (Err("the merged book is empty".into()), Vec::new());
        };
        let mid = middle(bid.price.value(), ask.price.value());
        let fair = match slot.plan.price {
            FairMethod::Mid => None,
            FairMethod::WeightedMid => {
                let sizes = Sizes {
                    bid: bid.size,
                    ask: ask.size,
                };
                Some(weighted_mid(bid.price, ask.price, &sizes))
            }
            FairMethod::DepthWeighted => {
                let step = self.step(&slot.plan, slot.pair, mid, book);
                Some(depth_weighted(book, &slot.plan.policy.depth(step)))
            }
        };
        let mut notes = Vec::new();
        let value = match fair {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                notes.push(format!("the mid of the merged book, since {error}").into());
                Price::new(mid)
            }
            None => Price::new(mid),
        };
        let number = value
            .map(|value| {
                // Deep volume may weigh it over the best levels; they must not turn around.
                let value = value.published();
                Number {
                    value,
                    bid: Some(bid.price.min(value)),
                    ask: Some(ask.price.max(value)),
                }
            })
            .map_err(|error| error.to_string().into());
        (number, notes)
    }

    fn publish_judged(
        &mut self,
        now: Now,
        index: usize,
        judged: Judged,
        number: Result<Number, Arc<str>>,
        mut notes: Vec<Arc<str>>,
        effects: &mut Vec<Effect>,
    ) {
        let plan = Arc::clone(&self.pairs[index].plan);
        let skipped = judged.skipped();
        let count = judged.kept.len();
        let number = match number {
            _ if judged.verdict.contradicts => {
                if !self.is_over(now, index) {
                    return;
                }
                let names = judged.used();
                let allowed = plan.policy.max_deviation.max(plan.policy.band);
                let (skipped, why) = (
                    judged.contradicting(allowed),
                    contradiction(&names, allowed),
                );
                return self.expire(now, index, Some(&why), skipped, effects);
            }
            Ok(number) if count > 0 && (count >= plan.min_sources || !plan.refuses_few) => number,
            _ if !self.is_over(now, index) => return,
            Ok(_) => {
                let why = format!("{count} of at least {} sources", plan.min_sources);
                return self.expire(now, index, Some(&why), skipped, effects);
            }
            Err(why) => return self.expire(now, index, Some(&why), skipped, effects),
        };
        let mut state = RateState::Fresh;
        if count < plan.min_sources {
            state = RateState::Suspect;
            notes.push(format!("{count} of at least {} sources", plan.min_sources).into());
        } else if judged.verdict.is_dispersed {
            state = RateState::Suspect;
            notes.push("the sources do not agree".into());
        }
        let name = match plan.kind {
            PolicyKind::Merged => self.names.merged,
            _ => self.names.median,
        };
        let name = judged.name(name);
        let valid_until = judged.valid_until(plan.min_sources);
        let market = Market {
            pair: self.pairs[index].pair,
            value: number.value,
            bid: number.bid,
            ask: number.ask,
            confidence: judged.confidence(),
            source: name,
            observed_at: judged.observed_at(now.wall),
            expires_at: now.wall.plus(valid_until.since(now.mono)),
        };
        let makeup = Makeup {
            used: judged.used(),
            left_out: skipped.iter().map(|one| (one.source, one.state)).collect(),
            state,
        };
        let Some(market) = self.news(now, index, market, &makeup) else {
            return;
        };
        let is_own = judged.is_own();
        let carries = is_own
            && (self.config.money.contains(&market.pair.base)
                || judged
                    .kept
                    .iter()
                    .any(|seat| self.info(seat.source).kind == SourceKind::Bank));
        // What was carried on over other markets is no market of the pair itself.
        let legs = (!is_own).then(|| {
            Arc::from([Leg {
                pair: market.pair,
                source: name,
                value: number.value,
                inverted: false,
                observed_at: market.observed_at,
                expires_at: market.expires_at,
            }])
        });
        let evidence = Evidence {
            constituents: judged.constituents(market.pair),
            gate: judged.verdict.reading.map(published_reading),
            notes: notes.clone(),
            ..self.evidence(index)
        };
        let names: Vec<String> = makeup.used.iter().map(ToString::to_string).collect();
        let mut told = format!("of {count} ({})", names.join(", "));
        for note in &notes {
            told.push_str("; ");
            told.push_str(note);
        }
        if !skipped.is_empty() {
            told.push_str("; without ");
            told.push_str(&phrase(&skipped));
        }
        let depegs = judged.depegs();
        let offer = Offer {
            legs,
            depeg: (!depegs.is_empty()).then(|| depegs.into()),
            state,
            candidate: None,
            carries,
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

    /// The market as it is published, or `None` when the same was said a moment ago.
    pub(super) fn news(
        &self,
        now: Now,
        index: usize,
        mut market: Market,
        makeup: &Makeup,
    ) -> Option<Market> {
        self.widen(index, &mut market);
        let is_same = self.pairs[index].makeup.as_ref() == Some(makeup);
        let is_old = is_same && self.is_known(now, index, &market);
        (!is_old).then_some(market)
    }

    /// Publishes what was made of several: of what, without whom, in which words.
    pub(super) fn publish_made(
        &mut self,
        now: Now,
        index: usize,
        (market, offer): (&Market, Offer),
        (makeup, skipped, told): (Makeup, Vec<Skipped>, &str),
        effects: &mut Vec<Effect>,
    ) {
        let slot = &self.pairs[index];
        let since = match &slot.choice {
            Some(choice) if slot.makeup.as_ref() == Some(&makeup) => choice.since,
            _ => now.wall,
        };
        let source = market.source;
        let reason: Arc<str> = format!("{source} since {since}: {told}").into();
        let before = slot.published.as_ref();
        if before.is_none_or(|before| !before.is_usable()) {
            effects.push(Effect::Report(Failover {
                pair: slot.pair,
                from: None,
                to: Some(source),
                recovered: before.is_some(),
                is_best: skipped.is_empty(),
                reason: Arc::clone(&reason),
            }));
        }
        let choice = Arc::new(Choice {
            source,
            since,
            reason,
            skipped,
        });
        let slot = &mut self.pairs[index];
        slot.makeup = Some(makeup);
        slot.choice = Some(Arc::clone(&choice));
        self.put_out(now, index, market, offer, choice, effects);
    }

    /// What is told of every rate of this pair.
    pub(super) fn evidence(&self, index: usize) -> Evidence {
        let plan = &self.pairs[index].plan;
        Evidence {
            policy: plan.kind,
            price: plan.price,
            rule: None,
            evaluated: None,
            constituents: Vec::new(),
            gate: None,
            spread_percent: plan.policy.spread.map(Percent::number),
            fixed: None,
            notes: Vec::new(),
        }
    }
}
