//! Rates that nobody publishes: cross rates over the published markets, and rates pinned to one
//! source. Kept as long as the ids of their legs do not change.

mod ways;

use crate::document::RateDocument;
use crate::rendered::{Rendered, etag_of, json_of};
use crate::slot::{Held, HeldPrice, Slot};
use crate::view::{Answer, Missing, RateView};
use kurs_core::{Asset, Leg, Mono, Now, Pair, RateState, SourceId, UpdateId, Wall};
use kurs_pricing::cross::multiply;
use kurs_pricing::depeg;
use kurs_pricing::{CrossRate, Graph, Market};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use ways::Ways;

/// The graph of markets that lists and pinned answers are made from is made anew at least this
/// often: among equally long ways the youngest wins, and prices change every moment.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// The graph of published markets at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    topology: u64,
    made: Mono,
    pub(crate) graph: Graph,
    /// Slot of each node of the graph.
    pub(crate) slots: Vec<Arc<Slot>>,
}

/// Among what an answer was chosen.
#[derive(Debug)]
enum Basis {
    /// A cross rate: among these ways.
    Ways(Arc<Ways>),
    /// All else: over the markets of this snapshot.
    Snapshot(Arc<Snapshot>),
}

/// A derived answer with what it was made of.
#[derive(Debug)]
pub(crate) struct Derived {
    basis: Basis,
    start: Option<Arc<HeldPrice>>,
    legs: Vec<(Arc<Slot>, UpdateId)>,
    answer: Answer,
}

/// Nodes of the graph from base to quote; true = taken from its quote to its base.
pub(crate) type Steps = Vec<(usize, bool)>;

/// A cross rate found for a quote asset, with its id and its end.
pub(crate) struct Reached {
    pub(crate) quote: Asset,
    pub(crate) cross: CrossRate,
    pub(crate) id: UpdateId,
    pub(crate) valid_until: Mono,
    pub(crate) published_at: Wall,
    pub(crate) state: RateState,
    /// Who serves, where it is not who gives the first leg.
    pub(crate) source: Option<SourceId>,
}

/// One leg taken from the view.
pub(crate) struct Taken {
    pub(crate) market: Market,
    pub(crate) inverted: bool,
    pub(crate) id: UpdateId,
    pub(crate) valid_until: Mono,
    pub(crate) published_at: Wall,
    /// Contradicted by other evidence.
    pub(crate) suspect: bool,
}

impl RateView {
    /// A rate that is not published: pinned to a source, or a cross rate.
    pub(crate) fn derive(
        &self,
        asked: Pair,
        pin: Option<SourceId>,
        now: Now,
    ) -> Result<Answer, Missing> {
        let key = (asked, pin);
        let kept = self.derived.lock().get(&key).cloned();
        if let Some(kept) = &kept
            && let Basis::Ways(ways) = &kept.basis
            && ways.topology == self.topology.load(Ordering::Relaxed)
            && let Some(way) = ways.best(now.mono)
        {
            if kept.is_of(way) && now.mono < kept.answer.rendered.valid_until {
                return Ok(kept.answer.clone());
            }
            return self.along(asked, way, ways, now);
        }
        let snapshot = self.snapshot(now);
        if let Some(kept) = kept
            && self.still_holds(&kept, &snapshot, now.mono)
        {
            return Ok(kept.answer.clone());
        }
        if pin.is_none()
            && let Some(slot) = self.slot(asked.canonical().inverse())
            && slot.is_settled()
        {
            let answer = self.inverse_of(asked, &slot, now)?;
            let legs = slot.load().map(|held| (slot, held.id()));
            let derived = Derived {
                basis: Basis::Snapshot(snapshot),
                start: None,
                legs: legs.into_iter().collect(),
                answer: answer.clone(),
            };
            self.keep_derived(key, Arc::new(derived));
            return Ok(answer);
        }
        let Some(source) = pin else {
            let ways = Arc::new(self.ways(asked, now)?);
            let way = ways.best(now.mono).ok_or(Missing::NoRateYet(asked))?;
            return self.along(asked, way, &ways, now);
        };
        let Some((price, steps)) = self.pinned_way(asked, source, &snapshot, now.mono) else {
            return self.pinned_legs(asked, source, &snapshot, now);
        };
        let mut taken = vec![take_price(&price, false)];
        let mut legs = Vec::with_capacity(steps.len());
        for (node, inverted) in steps {
            let slot = Arc::clone(&snapshot.slots[node]);
            let held = slot.load().ok_or(Missing::NoRateYet(asked))?;
            let leg = take_leg(&held, inverted).ok_or(Missing::NoPath(asked))?;
            legs.push((slot, leg.id));
            taken.push(leg);
        }
        let answer = answer_of(asked, &taken, RateState::Fresh).ok_or(Missing::NoPath(asked))?;
        let answer = unless_expired(answer, now.mono)?;
        let derived = Derived {
            basis: Basis::Snapshot(snapshot),
            start: Some(price),
            legs,
            answer: answer.clone(),
        };
        self.keep_derived(key, Arc::new(derived));
        Ok(answer)
    }

    /// The inverse of what is published of the pair the other way round, and of nothing else: the
    /// two must never disagree, and neither may pass over a policy.
    fn inverse_of(&self, asked: Pair, slot: &Slot, now: Now) -> Result<Answer, Missing> {
        let Some(held) = slot.load() else {
            let why = slot.unpriced().map(|none| Arc::clone(&none.why));
            return Err(why.map_or(Missing::NoRateYet(asked), |why| Missing::NoRate(asked, why)));
        };
        let reached = inverse(asked.quote, &held).ok_or(Missing::NoRateYet(asked))?;
        let is_usable = held.is_usable(now.mono);
        let state = if is_usable {
            reached.state
        } else {
            RateState::Stale
        };
        let document = reached.document(asked, state);
        if !is_usable {
            return Err(Missing::Expired(Box::new(document)));
        }
        let rendered = Rendered::new(
            json_of(&document),
            etag_of((asked, [(reached.id, true)])),
            reached.valid_until,
            state,
        );
        let answer = Answer {
            document: Arc::new(document),
            rendered: Arc::new(rendered),
        };
        unless_expired(answer, now.mono)
    }

    fn still_holds(&self, kept: &Derived, snapshot: &Arc<Snapshot>, now: Mono) -> bool {
        let start_holds = kept.start.as_ref().is_none_or(|start| {
            self.source_price(start.price.source, start.price.pair)
                .is_some_and(|price| price.id == start.id)
        });
        now < kept.answer.rendered.valid_until
            && matches!(&kept.basis, Basis::Snapshot(basis) if Arc::ptr_eq(basis, snapshot))
            && start_holds
            && kept
                .legs
                .iter()
                .all(|(slot, id)| slot.load().is_some_and(|held| held.id() == *id))
    }

    /// The graph of fresh markets; made anew when a market came or went, or after a second.
    pub(crate) fn snapshot(&self, now: Now) -> Arc<Snapshot> {
        let topology = self.topology.load(Ordering::Relaxed);
        let mut kept = self.graph.lock();
        if let Some(snapshot) = kept.as_ref()
            && snapshot.topology == topology
            && now.mono.since(snapshot.made) < SEARCH_EVERY
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(self.make_snapshot(topology, now, |held| held.is_usable(now.mono)));
        *kept = Some(Arc::clone(&snapshot));
        snapshot
    }

    pub(crate) fn make_snapshot(
        &self,
        topology: u64,
        now: Now,
        usable: impl Fn(&Held) -> bool,
    ) -> Snapshot {
        let mut slots = Vec::new();
        let mut markets = Vec::new();
        for slot in self.slots() {
            if let Some(held) = slot.load()
                && usable(&held)
                && let Some(market) = held.market()
            {
                slots.push(slot);
                markets.push(market);
            }
        }
        Snapshot {
            topology,
            made: now.mono,
            graph: Graph::new(markets),
            slots,
        }
    }

    /// Every asset that can be reached from `base`, with its rate.
    pub(crate) fn derive_all(&self, base: Asset, snapshot: &Snapshot) -> Vec<Reached> {
        let paths: HashMap<_, _> = snapshot.graph.paths_from(base);
        let mut found = Vec::with_capacity(paths.len());
        for (quote, path) in paths {
            let taken: Option<Vec<Taken>> = path
                .steps
                .iter()
                .map(|(node, inverted)| take_leg(&*snapshot.slots[*node].load()?, *inverted))
                .collect();
            found.extend(taken.and_then(|taken| reached(quote, &taken)));
        }
        self.settle_inverses(base, &mut found);
        found.sort_unstable_by_key(|reached| reached.quote);
        found
    }

    /// What is published of a pair the other way round goes before any way found.
    fn settle_inverses(&self, base: Asset, found: &mut Vec<Reached>) {
        let slots = self.slots();
        let inverses = slots
            .iter()
            .filter(|slot| slot.pair.quote == base && slot.is_settled());
        for slot in inverses {
            let quote = slot.pair.base;
            found.retain(|reached| reached.quote != quote);
            let Some(held) = slot.load() else { continue };
            found.extend(inverse(quote, &held));
        }
    }
}

/// A quote asset by these legs.
fn reached(quote: Asset, taken: &[Taken]) -> Option<Reached> {
    let cross = multiply(taken.iter().map(|leg| (&leg.market, leg.inverted))).ok()?;
    Some(Reached {
        quote,
        state: doubted(RateState::Fresh, taken),
        cross,
        id: taken.iter().map(|leg| leg.id).max()?,
        valid_until: taken.iter().map(|leg| leg.valid_until).min()?,
        published_at: taken.iter().map(|leg| leg.published_at).max()?,
        source: None,
    })
}

/// The inverse of what is published: its number is that of the whole, so that the two agree; its
/// legs are those of the rate the other way round.
fn inverse(quote: Asset, held: &Held) -> Option<Reached> {
    let rate = held.rate()?;
    let mut reached = reached(quote, &[take_as_one(held)?])?;
    if let Some(legs) = &rate.legs {
        let turned = legs.iter().rev().map(|leg| Leg {
            inverted: !leg.inverted,
            ..*leg
        });
        reached.cross.legs = turned.collect();
    }
    reached.source = Some(rate.source);
    Some(reached)
}

impl Reached {
    pub(crate) fn document(&self, asked: Pair, state: RateState) -> RateDocument {
        let mut document = document_of(asked, &self.cross, self.id, self.published_at, state);
        document.source = self.source.unwrap_or(document.source);
        document
    }
}

/// The answer, or that it has run out.
pub(crate) fn unless_expired(answer: Answer, now: Mono) -> Result<Answer, Missing> {
    if now < answer.rendered.valid_until {
        return Ok(answer);
    }
    let mut document = RateDocument::clone(&answer.document);
    document.state = RateState::Stale;
    Err(Missing::Expired(Box::new(document)))
}

pub(crate) fn take_leg(held: &Held, inverted: bool) -> Option<Taken> {
    Some(Taken {
        market: held.market()?,
        inverted,
        id: held.id(),
        valid_until: held.valid_until,
        published_at: held.rate()?.published_at,
        suspect: held.state() == RateState::Suspect,
    })
}

/// A published rate taken the other way round, as one step.
pub(crate) fn take_as_one(held: &Held) -> Option<Taken> {
    Some(Taken {
        market: held.as_market()?,
        inverted: true,
        id: held.id(),
        valid_until: held.valid_until,
        published_at: held.rate()?.published_at,
        suspect: held.state() == RateState::Suspect,
    })
}

/// A source's own price as a leg.
pub(crate) fn take_price(price: &HeldPrice, inverted: bool) -> Taken {
    Taken {
        market: price.market(),
        inverted,
        id: price.id,
        valid_until: price.valid_until,
        published_at: price.price.published_at,
        suspect: false,
    }
}

pub(crate) fn answer_of(asked: Pair, taken: &[Taken], state: RateState) -> Option<Answer> {
    let cross = multiply(taken.iter().map(|leg| (&leg.market, leg.inverted))).ok()?;
    let id = taken.iter().map(|leg| leg.id).max()?;
    let valid_until = taken.iter().map(|leg| leg.valid_until).min()?;
    let published_at = taken.iter().map(|leg| leg.published_at).max()?;
    let state = doubted(state, taken);
    let document = document_of(asked, &cross, id, published_at, state);
    let ids: Vec<(UpdateId, bool)> = taken.iter().map(|leg| (leg.id, leg.inverted)).collect();
    let etag = etag_of((asked, ids));
    let rendered = Arc::new(Rendered::new(json_of(&document), etag, valid_until, state));
    Some(Answer {
        document: Arc::new(document),
        rendered,
    })
}

/// A fresh rate with a suspect leg is suspect.
pub(crate) fn doubted(state: RateState, taken: &[Taken]) -> RateState {
    if state == RateState::Fresh && taken.iter().any(|leg| leg.suspect) {
        RateState::Suspect
    } else {
        state
    }
}

/// The document of a cross rate: `seq` is the greatest of its legs.
pub(crate) fn document_of(
    asked: Pair,
    cross: &CrossRate,
    id: UpdateId,
    published_at: Wall,
    state: RateState,
) -> RateDocument {
    let is_direct = matches!(cross.legs.as_slice(), [leg] if !leg.inverted);
    RateDocument {
        pair: asked,
        value: cross.value,
        bid: cross.bid,
        ask: cross.ask,
        confidence: cross.confidence,
        source: cross
            .legs
            .first()
            .map_or_else(unknown_source, |leg| leg.source),
        state,
        path: cross.legs.iter().map(|leg| leg.pair).collect(),
        depeg: cross
            .legs
            .iter()
            .filter_map(|leg| depeg::mark(leg.pair, leg.value))
            .collect(),
        legs: if is_direct {
            Vec::new()
        } else {
            cross.legs.iter().map(Into::into).collect()
        },
        observed_at: cross.observed_at,
        published_at,
        expires_at: cross.expires_at,
        epoch: id.epoch.0,
        seq: id.seq.0,
    }
}

/// A cross rate always has legs; this keeps the type total.
#[expect(
    clippy::expect_used,
    reason = "a constant that parses, see the test of SourceId"
)]
fn unknown_source() -> SourceId {
    SourceId::parse("unknown").expect("a valid source name")
}
