//! The sources' own prices, published conflated.

use super::Engine;
use crate::effect::{Effect, SourceRate};
use kurs_core::Now;

impl Engine {
    pub(super) fn source_rate(&self, now: Now, price: usize) -> SourceRate {
        let slot = &self.prices[price];
        slot.quoted.to_source_rate(
            self.info(slot.source).id,
            now.mono,
            slot.state,
            self.why(price),
        )
    }

    /// Publishes a source's own price, at most once per conflation time.
    pub(super) fn publish_source(
        &mut self,
        now: Now,
        price: usize,
        changed: bool,
        effects: &mut Vec<Effect>,
    ) {
        let (conflate, refresh) = (self.config.conflate, self.config.refresh);
        let slot = &mut self.prices[price];
        let since = slot.published_at.map(|at| now.mono.since(at));
        let due = if changed { conflate } else { refresh };
        if since.is_none_or(|since| since >= due) {
            slot.published_at = Some(now.mono);
            let rate = self.source_rate(now, price);
            effects.push(Effect::PublishSource(rate));
        } else if changed && !slot.waiting {
            slot.waiting = true;
            self.unpublished.push(price);
            let due_at = now.mono.plus(conflate);
            self.next_scan = self.next_scan.min(due_at);
        }
    }

    pub(super) fn flush_source_prices(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let waiting = std::mem::take(&mut self.unpublished);
        for price in waiting {
            self.prices[price].waiting = false;
            self.publish_source(now, price, true, effects);
        }
    }
}
