//! Keeps the followed pairs equal to the wanted ones that the venue trades.

use super::door::Door;
use super::listing::{ANSWER_HOLDS, Listing};
use crate::input::Input;
use kurs_core::{Clock, Pair};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often doubtful pairs are looked up again.
const DOUBT_EVERY: Duration = Duration::from_secs(30);
/// How old an answer may be once something contradicts it.
const CONTRADICTED_MAX_AGE: Duration = Duration::from_millis(500);
/// How old an answer may be for a pair in doubt.
const DOUBT_MAX_AGE: Duration = Duration::from_secs(60);

/// Follows the wanted pairs.
pub(super) struct Follower {
    pub(super) door: Arc<Door>,
    pub(super) listing: Arc<Listing>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pairs: watch::Receiver<Arc<[Pair]>>,
}

impl Follower {
    /// Follows for ever.
    pub(super) async fn run(mut self) {
        self.pairs.mark_changed();
        loop {
            tokio::select! {
                Ok(()) = self.pairs.changed() => self.wanted_changed().await,
                () = self.door.check_now.notified() => {
                    // Something contradicts the listing as it is remembered.
                    let pairs = self.door.look(super::desk::Desk::followed);
                    self.check(&pairs, CONTRADICTED_MAX_AGE).await;
                }
                () = tokio::time::sleep(DOUBT_EVERY) => {
                    let now = self.clock.now().mono;
                    let pairs = self.door.look(|desk| desk.doubtful(now));
                    self.check(&pairs, DOUBT_MAX_AGE).await;
                }
            }
        }
    }

    async fn wanted_changed(&mut self) {
        let pairs = self.pairs.borrow_and_update().clone();
        self.door
            .tell(self.clock.now(), Input::Wanted { pairs: &pairs });
        let asked = self.door.look(super::desk::Desk::asked);
        let (answers, error) = self.listing.look_up(&asked, ANSWER_HOLDS).await;
        let now = self.clock.now();
        for pair in asked {
            let answer = answers.iter().find(|(answered, _)| *answered == pair);
            let listed = answer.map(|(_, listed)| *listed);
            self.door.tell(now, Input::Listed { pair, listed });
        }
        if let Some(error) = error {
            tracing::debug!(%error, "the listing cannot be asked, streams are tried unchecked");
        }
    }

    async fn check(&self, pairs: &[Pair], max_age: Duration) {
        if pairs.is_empty() {
            return;
        }
        let (answers, _) = self.listing.look_up(pairs, max_age).await;
        let now = self.clock.now();
        for (pair, listed) in answers {
            let listed = Some(listed);
            self.door.tell(now, Input::Listed { pair, listed });
        }
    }
}
