//! From effects to numbered updates.

use super::{Audience, Player, Replay};
use crate::outcome::Outcome;
use kurs_bus::{Body, Update, wire};
use kurs_core::{Now, Pair, SourceId, TrackedSymbol};
use sha2::Digest;
use std::sync::Arc;

impl Replay {
    /// The name under which a source is published.
    pub(super) fn name(&self, source: SourceId) -> SourceId {
        if self.published.is_empty() {
            return source;
        }
        self.published.get(&source).copied().unwrap_or(source)
    }

    /// Tells what is followed when that has changed.
    pub(super) fn tell_tracked(&mut self, now: Now, audience: &mut dyn Audience) {
        let is_news = self.players.iter_mut().any(Player::has_news);
        if !is_news {
            return;
        }
        let mut pairs: Vec<Pair> = self
            .players
            .iter()
            .flat_map(|player| player.followed().iter().copied())
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        if pairs == self.tracked {
            return;
        }
        let symbols: Arc<[TrackedSymbol]> = pairs
            .iter()
            .map(|pair| TrackedSymbol {
                symbol: format!("{}{}", pair.base, pair.quote).into(),
                pair: *pair,
                added_at: now.wall,
            })
            .collect();
        self.tracked = pairs;
        self.publish(now, Body::Tracked(symbols), audience);
    }

    pub(super) fn carry_out(&mut self, now: Now, audience: &mut dyn Audience) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            if let Outcome::Update(update) = self.numbering.outcome(effect, now) {
                self.hand_out(now, update, audience);
            }
        }
        self.effects = effects;
    }

    pub(super) fn publish(&mut self, now: Now, body: Body, audience: &mut dyn Audience) {
        let update = self.numbering.update(body, None, None);
        self.hand_out(now, update, audience);
    }

    fn hand_out(&mut self, now: Now, update: Update, audience: &mut dyn Audience) {
        self.hash.update(wire::encode(&update));
        self.hash.update(b"\n");
        if matches!(update.body, Body::Rate(_)) {
            self.tally.rates += 1;
        }
        audience.update(now, update);
    }
}
