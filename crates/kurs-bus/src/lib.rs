//! The bus carries Updates from the Writer to every Reader, and commands the other way.
//!
//! | module | what it holds |
//! |---|---|
//! | [`update`] | [`Update`] and everything that can travel in one |
//! | [`wire`] | updates, commands and replies as text, and the subjects they travel under |
//! | [`asyncapi`] | the document that describes all of it for others |
//! | [`order`] | [`Order`]: every id once, and no gap unnoticed |
//! | [`outbox`] | [`Outbox`]: the bounded way to a broker |
//! | [`backoff`] | [`Backoff`]: pauses between attempts to reach it |
//! | [`monitor`], [`counters`] | [`Monitor`]: how a broker is, and what went over it |
//! | [`examination`] | [`Examination`]: what a look at a broker shows to whoever sets one up |
//! | [`options`], [`settings`] | [`Options`]: what a bus over a broker is made of; what is wrong with settings |
//! | [`book`] | [`BookState`]: an order book as the Writer shows it |
//! | [`command`] | [`Command`] and [`Reply`]: what Readers ask of the Writer |
//! | [`memory`] | [`memory::MemoryBus`], the default: everything in one process |
//! | `conformance` | what every [`Bus`] must do, as a suite (feature `conformance`) |
//!
//! The bus is a hint, the store is the truth: a Reader applies an update only if its
//! [`kurs_core::UpdateId`] is greater than the last one of that pair, and takes the last values
//! again after a gap. A Reader subscribes first and takes the last values then: every update is
//! in one of the two. A pair that is absent from the last values was withdrawn.

pub mod asyncapi;
pub mod backoff;
pub mod book;
pub mod command;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod counters;
pub mod examination;
pub mod memory;
pub mod monitor;
pub mod options;
pub mod order;
pub mod outbox;
pub mod settings;
pub mod update;
pub mod wire;

pub use backoff::Backoff;
pub use book::BookState;
pub use command::{Actor, ChangeMistake, Command, Reply};
pub use counters::BusCounters;
pub use examination::Examination;
pub use monitor::{BusState, Monitor, StateTeller};
pub use options::Options;
pub use order::{Order, Place};
pub use outbox::Outbox;
pub use update::{Body, BookCounts, Cause, Heartbeat, NoRate, SourcePrice, SourceStatus, Update};

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What can go wrong on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BusError {
    /// The bus is closed or out of reach.
    #[error("the bus is not available")]
    Unavailable,
    /// Nobody answered a command in time.
    #[error("no Writer answered within {0:?}")]
    NoAnswer(Duration),
}

/// What a subscriber receives.
#[derive(Debug, Clone)]
pub enum BusEvent {
    /// The next update, in order per shard.
    Update(Arc<Update>),
    /// The subscriber was too slow and this many updates are gone: take the last values.
    Gap {
        /// How many were lost.
        lost: u64,
    },
}

/// A place in the flow of updates. Every id comes once, rising within its shard; updates of an
/// epoch that has ended do not come. A broker that is away is waited for: then the flow goes on
/// where it was, or tells a gap.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next event. May be dropped while it waits: nothing is lost by that.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus has ended.
    async fn next(&mut self) -> Result<BusEvent, BusError>;
}

/// Listens for commands, until it is dropped.
#[async_trait]
pub trait Requests: Send {
    /// Waits for the next command, `None` when the bus has ended. Each command goes to one
    /// listener; one that stops waiting takes none with it.
    async fn next(&mut self) -> Option<Request>;
}

/// A command waiting for its answer.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Where the answer goes. Dropped without one, whoever asked is told that the Writer went
    /// away.
    pub reply: tokio::sync::oneshot::Sender<Reply>,
}

/// Carries updates and commands. One suite of conformance tests holds for every implementation.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Hands an update to all subscribers and keeps it as the last value of its key. A
    /// withdrawal is handed on, and takes the last values of its pair away. Never waits, neither
    /// for a subscriber nor for a broker: while a broker is away updates wait in an [`Outbox`].
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus has ended.
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError>;

    /// What can be seen of the broker; `None` when there is none.
    fn broker(&self) -> Option<&Monitor> {
        None
    }

    /// False while a broker is away: what is published waits, and nothing is heard.
    fn is_reached(&self) -> bool {
        self.broker().is_none_or(Monitor::is_connected)
    }

    /// Waits until everything published before is where subscribers find it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus has ended.
    async fn flush(&self) -> Result<(), BusError>;

    /// Joins the flow: every update published from now on.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the broker is away.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError>;

    /// The last update of every key, in no order, as of one moment: whatever was published before
    /// a subscription that exists already is in it, or comes over that subscription. May hold
    /// withdrawals.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the broker is away.
    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError>;

    /// Asks the active Writer. A command that no Writer took within `patience` is never carried
    /// out; one that a Writer is still working on when patience ends may be.
    ///
    /// # Errors
    /// [`BusError::NoAnswer`] when no Writer answers within `patience`,
    /// [`BusError::Unavailable`] when the broker is away, or the Writer that took it went away.
    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError>;

    /// Listens for commands from now on: the active Writer, and nobody else.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the broker is away.
    async fn requests(&self) -> Result<Box<dyn Requests>, BusError>;
}
