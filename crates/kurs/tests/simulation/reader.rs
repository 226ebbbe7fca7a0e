//! A Reader, played around the real view: it follows the bus, and asks the store while the bus is
//! silent.

use crate::clock::SimClock;
use kurs_bus::{Order, Place, Update};
use kurs_core::{Pair, RateState, UpdateId};
use kurs_reader::{RateView, ViewConfig};
use kurs_store::CurrentRates;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) struct Reader {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) view: RateView,
    order: Order,
    /// False while the broker cannot reach it.
    pub(crate) is_linked: bool,
    /// It must take the last values: something was lost.
    pub(crate) wants_last_values: bool,
    pub(crate) heard_at: u64,
    /// What it serves of each pair, to see whether that ever goes back.
    served: BTreeMap<Pair, UpdateId>,
}

/// What a Reader serves of a pair.
pub(crate) struct Served {
    pub(crate) id: UpdateId,
    pub(crate) value: String,
    pub(crate) is_fresh: bool,
}

impl Reader {
    pub(crate) fn new(clock: Arc<SimClock>) -> Self {
        let view = RateView::new(Arc::clone(&clock) as _, ViewConfig::default());
        Self {
            clock,
            view,
            order: Order::default(),
            is_linked: true,
            wants_last_values: true,
            heard_at: 0,
            served: BTreeMap::new(),
        }
    }

    /// As a subscription hands it on. True when the view took it.
    pub(crate) fn hear(&mut self, now: u64, update: &Arc<Update>) -> bool {
        self.heard_at = now;
        match self.order.place(update) {
            Place::Again | Place::Outdated => return false,
            Place::After { .. } => self.wants_last_values = true,
            Place::Next => {}
        }
        self.view.apply(update)
    }

    pub(crate) fn take_last_values(&mut self, values: Vec<Arc<Update>>) {
        self.wants_last_values = false;
        for update in &values {
            self.order.known(update.id);
        }
        self.view.take_last_values(values);
    }

    pub(crate) fn take_current(&self, rates: CurrentRates) {
        for current in rates.rates {
            self.view.restore_current(current);
        }
    }

    /// What it serves of a pair, and a complaint when that is older than what it served before.
    pub(crate) fn serve(&mut self, pair: Pair) -> (Option<Served>, Option<String>) {
        let Ok(answer) = self.view.rate(pair, None) else {
            return (None, None);
        };
        let document = &answer.document;
        let id = UpdateId {
            shard: 0,
            epoch: kurs_core::Epoch(document.epoch),
            seq: kurs_core::Seq(document.seq),
        };
        let former = self.served.insert(pair, id);
        let complaint = former
            .filter(|former| *former > id)
            .map(|former| format!("{pair} went back from {former} to {id}"));
        let served = Served {
            id,
            value: document.value.to_string(),
            is_fresh: document.state == RateState::Fresh,
        };
        (Some(served), complaint)
    }
}
