//! A hot standby's picture of one shard: what the active Writer has published, and what this
//! Writer would have published since. Pure.
//!
//! Both Writers hear the same words of the same sources, at different moments and over different
//! connections. An update names the word that led to it ([`Cause`]), so the standby knows which of
//! its own would-be updates were published already: all up to the last one with such a word. On
//! take-over it publishes the rest, pair by pair in order; and what its own sources are late to
//! say, but the former Writer had heard, it does not publish a second time.

use kurs_bus::{Body, Cause, NoRate, Update};
use kurs_core::{Mono, Now, Pair, Rate, SourceId, UpdateId};
use kurs_store::{HistoryRow, StoredRate};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How far back a standby remembers.
pub const REMEMBERED: Duration = Duration::from_secs(30);
/// Would-be updates, heard updates and rows that are remembered, at most, of each kind.
pub const REMEMBERED_MAX: usize = 200_000;

/// The words of sources that a pair's published rates were made from: the greatest id of each
/// market.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(HashMap<(SourceId, Pair), u64>);

impl Marks {
    fn note(&mut self, cause: Cause) {
        let id = self.0.entry((cause.source, cause.pair)).or_default();
        *id = (*id).max(cause.event_id);
    }

    /// True when this word, or a later one of the same market, led to an update already.
    #[must_use]
    pub fn cover(&self, cause: Option<Cause>) -> bool {
        cause.is_some_and(|cause| {
            let id = self.0.get(&(cause.source, cause.pair));
            id.is_some_and(|id| cause.event_id <= *id)
        })
    }
}

/// Something that this Writer would have published.
#[derive(Debug, Clone)]
struct Own {
    at: Mono,
    /// Place among all of them.
    number: u64,
    body: Body,
    cause: Option<Cause>,
}

/// What is known of one pair.
#[derive(Debug, Default)]
struct PairView {
    /// The last rate, reason for none, or withdrawal that was heard.
    heard: Option<Arc<Update>>,
    /// The last rate that was heard and not withdrawn since.
    standing: Option<Arc<Update>>,
    marks: Marks,
    /// What this Writer would have published since.
    own: VecDeque<Own>,
    /// What it would say now.
    present: Option<Own>,
}

/// The picture.
#[derive(Debug, Default)]
pub struct Standby {
    pairs: HashMap<Pair, PairView>,
    /// Would-be updates in all pairs.
    own_count: usize,
    /// Would-be updates so far.
    numbered: u64,
    prices: HashMap<(SourceId, Pair), Own>,
    /// What was heard lately of rates.
    log: VecDeque<(Mono, Arc<Update>)>,
    /// What was received lately.
    rows: VecDeque<(Mono, HistoryRow)>,
    last: Option<UpdateId>,
}

/// What a standby does first as the active Writer.
#[derive(Debug, Default)]
pub struct TakeOver {
    /// The last update that was heard.
    pub follows: Option<UpdateId>,
    /// What is published at once, in order.
    pub publish: Vec<(Body, Option<Cause>)>,
    /// What was published already of each pair: words of sources that are late here.
    pub floors: HashMap<Pair, Marks>,
    /// The rates that stand.
    pub standing: Vec<StoredRate>,
    /// What was heard lately, which the former Writer may not have stored.
    pub heard: Vec<Arc<Update>>,
    /// What was received lately, which the former Writer may not have stored. Without ids of any
    /// use.
    pub rows: Vec<HistoryRow>,
}

impl Standby {
    /// True once anything was heard of an active Writer.
    #[must_use]
    pub const fn is_hot(&self) -> bool {
        self.last.is_some()
    }

    /// An update that the active Writer published.
    pub fn heard(&mut self, now: Mono, update: &Arc<Update>) {
        self.last = self.last.max(Some(update.id));
        let pair = match &update.body {
            Body::Rate(rate) => rate.pair,
            Body::NoRate(NoRate { pair, .. }) | Body::Withdrawn(pair) => *pair,
            Body::SourcePrice(_)
            | Body::SourceStatus(_)
            | Body::Tracked(_)
            | Body::Heartbeat(_)
            | Body::Unknown(_) => {
                return;
            }
        };
        let is_known = |view: &PairView| {
            let heard = view.heard.as_ref();
            heard.is_some_and(|heard| update.id <= heard.id)
        };
        if self.pairs.get(&pair).is_some_and(is_known) {
            return;
        }
        self.log.push_back((now, Arc::clone(update)));
        while self.log.len() > REMEMBERED_MAX
            || self
                .log
                .front()
                .is_some_and(|(at, _)| now.since(*at) > REMEMBERED)
        {
            self.log.pop_front();
        }
        let view = self.pairs.entry(pair).or_default();
        match &update.body {
            Body::Rate(_) => view.standing = Some(Arc::clone(update)),
            Body::NoRate(NoRate {
                withdraws: false, ..
            }) => {}
            _ => view.standing = None,
        }
        if let Some(cause) = update.cause {
            view.marks.note(cause);
        }
        let covered = view.own.iter().rposition(|own| {
            if own.cause.is_some() && update.cause.is_some() {
                view.marks.cover(own.cause)
            } else {
                is_same(&own.body, &update.body)
            }
        });
        if let Some(covered) = covered {
            view.own.drain(..=covered);
            self.own_count -= covered + 1;
        }
        view.heard = Some(Arc::clone(update));
    }

    /// This Writer would have published this.
    pub fn would_publish(&mut self, now: Mono, body: Body, cause: Option<Cause>) {
        self.numbered += 1;
        let number = self.numbered;
        let pair = match &body {
            Body::Rate(rate) => rate.pair,
            Body::NoRate(NoRate { pair, .. }) | Body::Withdrawn(pair) => *pair,
            Body::SourcePrice(price) => {
                let key = (price.source, price.pair);
                let own = Own {
                    at: now,
                    number,
                    body,
                    cause,
                };
                self.prices.insert(key, own);
                return;
            }
            Body::SourceStatus(_) | Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => {
                return;
            }
        };
        let view = self.pairs.entry(pair).or_default();
        view.present = Some(Own {
            at: now,
            number,
            body: body.clone(),
            cause: None,
        });
        if view.marks.cover(cause) {
            return;
        }
        while let Some(first) = view.own.front()
            && now.since(first.at) > REMEMBERED
        {
            view.own.pop_front();
            self.own_count -= 1;
        }
        view.own.push_back(Own {
            at: now,
            number,
            body,
            cause,
        });
        self.own_count += 1;
        if self.own_count > REMEMBERED_MAX {
            self.forget_half();
        }
    }

    /// A price that is to be kept in the history.
    pub fn received(&mut self, now: Mono, row: HistoryRow) {
        self.rows.push_back((now, row));
        while self.rows.len() > REMEMBERED_MAX
            || self
                .rows
                .front()
                .is_some_and(|(at, _)| now.since(*at) > REMEMBERED)
        {
            self.rows.pop_front();
        }
    }

    /// More waits than is ever used: of each pair the older half goes.
    fn forget_half(&mut self) {
        for view in self.pairs.values_mut() {
            let half = view.own.len() / 2;
            view.own.drain(..half);
            self.own_count -= half;
        }
    }

    /// Takes over: everything is handed out, and the picture begins anew.
    pub fn take_over(&mut self, now: Now) -> TakeOver {
        let mut taken = std::mem::take(self);
        let is_hot = taken.is_hot();
        let mut publish: Vec<Own> = Vec::new();
        let mut over = TakeOver {
            follows: taken.last,
            ..TakeOver::default()
        };
        for (pair, view) in taken.pairs {
            let heard = view.heard.as_ref().map(|heard| &heard.body);
            let nothing_left = view.own.is_empty();
            publish.extend(view.own);
            match view.present {
                // What stands on the bus is not what this Writer would say, though nothing came
                // since: it had another source, or this one had none.
                Some(own) if nothing_left && is_hot && differs_in_kind(heard, &own.body) => {
                    publish.push(own);
                }
                _ => {}
            }
            if let Some(standing) = view.standing
                && let Body::Rate(rate) = &standing.body
            {
                over.standing.push(StoredRate {
                    id: standing.id,
                    rate: rate.clone(),
                });
            }
            if view.marks != Marks::default() {
                over.floors.insert(pair, view.marks);
            }
        }
        let prices = taken.prices.drain().map(|(_, own)| own);
        let mut prices: Vec<Own> = prices.collect();
        prices.sort_by_key(|own| own.number);
        publish.sort_by_key(|own| own.number);
        over.standing.sort_by_key(|stored| stored.id);
        let aged = |own: Own| (aged(own.body, own.at, now), own.cause);
        over.publish = prices.into_iter().chain(publish).map(aged).collect();
        over.heard = taken.log.into_iter().map(|(_, update)| update).collect();
        over.rows = taken.rows.into_iter().map(|(_, row)| row).collect();
        over
    }
}

/// True when both say the same of a pair, whatever the moment.
fn is_same(one: &Body, other: &Body) -> bool {
    match (one, other) {
        (Body::Rate(one), Body::Rate(other)) => {
            let parts = |rate: &Rate| (rate.source, rate.value, rate.bid, rate.ask, rate.state);
            parts(one) == parts(other)
        }
        (Body::NoRate(one), Body::NoRate(other)) => one.why == other.why,
        (Body::Withdrawn(_), Body::Withdrawn(_)) => true,
        _ => false,
    }
}

/// True when a reader of the one would do something else than a reader of the other: another
/// source, another state, or none at all.
fn differs_in_kind(heard: Option<&Body>, present: &Body) -> bool {
    match (heard, present) {
        (Some(Body::Rate(heard)), Body::Rate(present)) => {
            (heard.source, heard.state) != (present.source, present.state)
        }
        (Some(heard), present) => !is_same(heard, present),
        (None, _) => true,
    }
}

/// The same, published now: what is left of its validity.
fn aged(body: Body, at: Mono, now: Now) -> Body {
    let age = now.mono.since(at);
    match body {
        Body::Rate(mut rate) => {
            rate.valid_for = rate.valid_for.saturating_sub(age);
            rate.published_at = now.wall;
            Body::Rate(rate.in_milliseconds())
        }
        Body::SourcePrice(mut price) => {
            price.valid_for = price.valid_for.saturating_sub(age);
            price.published_at = now.wall;
            Body::SourcePrice(price)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
