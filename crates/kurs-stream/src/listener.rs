//! One client: its topics, its beginning, its end.

use crate::hub::Hub;
use crate::mailbox::{Item, Mailbox};
use crate::topic::Topic;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use thiserror::Error;

/// Why nobody more may listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// As many listen as may.
    #[error("as many streams are open as may be")]
    Full,
    /// This Reader ends.
    #[error("this instance is ending")]
    Draining,
    /// More topics than one stream may have.
    #[error("one stream has at most {0} topics")]
    TooManyTopics(usize),
}

/// One client. It listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    hub: Arc<Hub>,
    number: u64,
    mailbox: Arc<Mailbox>,
    topics: BTreeSet<Topic>,
}

impl Listener {
    pub(crate) fn new(hub: Arc<Hub>, number: u64, mailbox: Arc<Mailbox>, topics: &[Topic]) -> Self {
        Self {
            hub,
            number,
            mailbox,
            topics: topics.iter().copied().collect(),
        }
    }

    /// What comes next.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Item> {
        self.mailbox.poll_next(context)
    }

    /// What comes next, if anything waits.
    #[must_use]
    pub fn next(&self) -> Option<Item> {
        self.mailbox.next()
    }

    /// Waits for what comes next. May be dropped while it waits.
    pub async fn wait(&self) -> Item {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Where what is told waits for this client.
    #[must_use]
    pub const fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// What is listened to, in order.
    #[must_use]
    pub const fn topics(&self) -> &BTreeSet<Topic> {
        &self.topics
    }

    /// Names who answers for it, as a number other than 0: see [`Hub::end_where`].
    pub fn belongs_to(&self, owner: u64) {
        self.mailbox.belongs_to(owner);
    }

    /// Listens to these as well; how they stand is told first. What is listened to already is told
    /// again.
    ///
    /// # Errors
    /// [`Refused::TooManyTopics`].
    pub fn subscribe(&mut self, topics: &[Topic]) -> Result<(), Refused> {
        let new: BTreeSet<Topic> = topics.iter().copied().collect();
        let most = self.hub.config.topics;
        if self.topics.union(&new).count() > most {
            return Err(Refused::TooManyTopics(most));
        }
        let list: Vec<Topic> = new.iter().copied().collect();
        self.hub.join(self.number, &self.mailbox, &list);
        self.topics.extend(new);
        Ok(())
    }

    /// Does not listen to these any more.
    pub fn unsubscribe(&mut self, topics: &[Topic]) {
        let left = topics.iter().filter(|topic| self.topics.remove(*topic));
        let left: Vec<Topic> = left.copied().collect();
        self.hub.leave(self.number, left.into_iter());
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hub.gone(self.number, self.topics.iter().copied());
    }
}
