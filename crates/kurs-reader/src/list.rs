//! The list of every rate of one asset: one element, made whole, at most twenty times a second.

use crate::derive::Snapshot;
use crate::document::{ListDocument, RateDocument};
use crate::rendered::{Rendered, etag_of, json_of};
use crate::view::{Missing, RateView};
use kurs_core::{Asset, Mono, Now, Pair, RateState};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A list is made again at most this often.
const RENDER_EVERY: Duration = Duration::from_millis(50);
/// Lists kept ready; beyond it the cache starts anew.
const LISTS_MAX: usize = 1_024;

/// A rendered list with the moment it was made.
#[derive(Debug)]
pub(crate) struct ListEntry {
    made: Mono,
    revision: u64,
    rendered: Arc<Rendered>,
}

impl RateView {
    /// Every fresh rate of `base`, under the name it was asked for.
    ///
    /// # Errors
    /// [`Missing`] when the asset is unknown or nothing of it is fresh.
    pub fn list(&self, base: Asset) -> Result<Arc<Rendered>, Missing> {
        let now = self.clock.now();
        let revision = self.revision();
        let kept = self.lists.lock().get(&base).cloned();
        if let Some(kept) = kept {
            let young = now.mono.since(kept.made) < RENDER_EVERY;
            if (young || kept.revision == revision) && now.mono < kept.rendered.valid_until {
                return Ok(Arc::clone(&kept.rendered));
            }
        }
        let rendered = Arc::new(self.make_list(base, now)?);
        let entry = ListEntry {
            made: now.mono,
            revision,
            rendered: Arc::clone(&rendered),
        };
        let mut lists = self.lists.lock();
        if lists.len() >= LISTS_MAX {
            lists.clear();
        }
        lists.insert(base, Arc::new(entry));
        Ok(rendered)
    }

    /// The same with what has run out, each rate with its state. Not kept ready: nobody should
    /// live on it.
    ///
    /// # Errors
    /// [`Missing`] when the asset is unknown or never had a rate.
    pub fn list_stale(&self, base: Asset) -> Result<Arc<Rendered>, Missing> {
        let now = self.clock.now();
        let all = self.make_snapshot(0, now, |_| true);
        self.render_list(base, now, &all, true).map(Arc::new)
    }

    fn make_list(&self, base: Asset, now: Now) -> Result<Rendered, Missing> {
        let snapshot = self.snapshot(now);
        self.render_list(base, now, &snapshot, false)
    }

    /// The rates of the same list, of one moment, before they are made JSON; with what has run
    /// out if that is wanted.
    ///
    /// # Errors
    /// [`Missing`] when the asset is unknown or there is nothing to list.
    pub fn list_documents(
        &self,
        base: Asset,
        with_stale: bool,
    ) -> Result<Vec<RateDocument>, Missing> {
        let now = self.clock.now();
        let listed = if with_stale {
            let all = self.make_snapshot(0, now, |_| true);
            self.gather(base, now, &all, true)?
        } else {
            self.gather(base, now, &self.snapshot(now), false)?
        };
        Ok(listed.into_values().map(|(rate, _)| rate).collect())
    }

    /// By the asset it is priced in: the rate, and until when it may be used.
    fn gather(
        &self,
        base: Asset,
        now: Now,
        snapshot: &Snapshot,
        with_stale: bool,
    ) -> Result<BTreeMap<Asset, (RateDocument, Mono)>, Missing> {
        let canonical = base.canonical();
        let mut rates: BTreeMap<Asset, (RateDocument, Mono)> = BTreeMap::new();
        let moment = self.moment.read();
        for reached in self.derive_all(canonical, snapshot) {
            let is_fresh = now.mono < reached.valid_until;
            if !is_fresh && !with_stale {
                continue;
            }
            let state = if is_fresh {
                reached.state
            } else {
                RateState::Stale
            };
            let asked = Pair::new(base, reached.quote);
            let document = reached.document(asked, state);
            rates.insert(reached.quote, (document, reached.valid_until));
        }
        // What the Writer publishes for the pair itself goes before any way found here, and a
        // pair that has run out there is left out here.
        for slot in self
            .slots()
            .iter()
            .filter(|slot| slot.pair.base == canonical)
        {
            let quote = slot.pair.quote;
            let Some(held) = slot.load() else {
                if slot.unpriced().is_some() {
                    rates.remove(&quote);
                }
                continue;
            };
            match held.document(Pair::new(base, quote), now.mono) {
                Some(document) if with_stale || held.is_usable(now.mono) => {
                    rates.insert(quote, (document, held.valid_until));
                }
                _ => {
                    rates.remove(&quote);
                }
            }
        }
        drop(moment);
        if rates.is_empty() {
            return Err(self.why_no_list(base, now));
        }
        Ok(rates)
    }

    fn render_list(
        &self,
        base: Asset,
        now: Now,
        snapshot: &Snapshot,
        with_stale: bool,
    ) -> Result<Rendered, Missing> {
        let rates = self.gather(base, now, snapshot, with_stale)?;
        let ids: Vec<(Asset, u64, u64, RateState)> = rates
            .iter()
            .map(|(quote, (rate, _))| (*quote, rate.epoch, rate.seq, rate.state))
            .collect();
        let etag = etag_of((base, ids));
        let until = rates.values().map(|(_, until)| *until).min();
        let all_fresh = rates
            .values()
            .all(|(rate, _)| rate.state == RateState::Fresh);
        let rates = rates.into_values().map(|(rate, _)| rate).collect();
        let document = ListDocument {
            base: base.to_string(),
            rates,
        };
        let state = if all_fresh {
            RateState::Fresh
        } else {
            RateState::Stale
        };
        Ok(Rendered::new(
            json_of(&document),
            etag,
            until.unwrap_or(now.mono),
            state,
        ))
    }

    fn why_no_list(&self, base: Asset, now: Now) -> Missing {
        if !self.is_known(base) {
            return Missing::UnknownAsset(base);
        }
        let canonical = base.canonical();
        for slot in self.slots() {
            if slot.pair.base == canonical
                && let Some(held) = slot.load()
            {
                return self.expired(Pair::new(base, slot.pair.quote), &held, now);
            }
        }
        let directions = self.directions();
        let expected = directions
            .iter()
            .find(|pair| pair.base.canonical() == canonical);
        match expected {
            Some(pair) => Missing::NoRateYet(*pair),
            None => Missing::UnknownAsset(base),
        }
    }
}
