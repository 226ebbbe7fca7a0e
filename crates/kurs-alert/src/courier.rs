//! The way to a kind of target.

use crate::message::AlertMessage;
use crate::target::Target;
use async_trait::async_trait;
use kurs_core::Wall;
use kurs_store::DueDelivery;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something to be told, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The idempotency key.
    pub id: Arc<str>,
    /// The alert.
    pub alert: Arc<str>,
    /// Who is told.
    pub target: Target,
    /// What it is signed with, where it is signed.
    pub secret: Option<Arc<str>>,
    /// What is told.
    pub message: AlertMessage,
    /// The same as it is sent to programs.
    pub body: Arc<str>,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it came up.
    pub created_at: Wall,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("id", &self.id)
            .field("target", &self.target)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The target has it.
    Done,
    /// Not yet: to be tried again, not before this time where one is said.
    Again {
        /// What the target asked for.
        after: Option<Duration>,
        /// What went wrong, for people.
        why: String,
    },
    /// The target will never take it.
    Never {
        /// Why, for people.
        why: String,
    },
}

/// Brings deliveries to one kind of target.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Whether it can reach this target.
    fn takes(&self, target: &Target) -> bool;

    /// Tries once. Bounds its own time.
    async fn deliver(&self, delivery: &Delivery) -> Delivered;
}

impl Delivery {
    /// What is stored.
    ///
    /// # Errors
    /// When it cannot be understood, why.
    pub fn read(due: &DueDelivery) -> Result<Self, String> {
        let stored = &due.delivery;
        Ok(Self {
            id: Arc::clone(&stored.id),
            alert: Arc::clone(&stored.alert),
            target: Target::parse(&stored.target).map_err(|error| error.to_string())?,
            secret: due.secret.clone(),
            message: serde_json::from_str(&stored.body).map_err(|error| error.to_string())?,
            body: Arc::clone(&stored.body),
            attempts: stored.standing.attempts,
            created_at: stored.created_at,
        })
    }
}
