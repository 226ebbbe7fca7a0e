//! Alerts as they are stored, what is to be told because of them, and the chats of the bot.

use kurs_core::Wall;
use std::sync::Arc;

/// The shard whose lease makes a process the one that tells people. No Writer writes it.
pub const ALERT_SHARD: u16 = u16::MAX;
/// Longest target, in bytes.
pub const ALERT_TARGET_MAX: usize = 2_048;
/// Longest name of an alert, in bytes.
pub const ALERT_NAME_MAX: usize = 512;
/// Longest body of a delivery, in bytes.
pub const DELIVERY_BODY_MAX: usize = 65_536;
/// Most deliveries that one question gives.
pub const DELIVERY_PAGE_MAX: u32 = 1_000;

/// An alert. What its texts mean is the matter of whoever wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlert {
    /// Its id, 1 to 64 bytes.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Option<Arc<str>>,
    /// Who made it.
    pub owner: Arc<str>,
    /// Who is told, at most [`ALERT_TARGET_MAX`] bytes.
    pub target: Arc<str>,
    /// When, as JSON.
    pub condition: Arc<str>,
    /// Nothing is looked at meanwhile.
    pub is_paused: bool,
    /// When it was made.
    pub created_at: Wall,
    /// Grows with every change by people, see [`super::super::AlertStore::change_alert`].
    pub revision: u64,
    /// What its machine remembers, as JSON.
    pub state: Arc<str>,
    /// How often it has fired.
    pub fired: u64,
    /// When it fired last.
    pub fired_at: Option<Wall>,
}

/// All alerts at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredAlerts {
    /// Grows with every change of them by people.
    pub version: u64,
    /// The alerts, oldest first.
    pub alerts: Vec<StoredAlert>,
}

/// An alert that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlert {
    /// The alert.
    pub alert: StoredAlert,
    /// What bodies for its target are signed with.
    pub secret: Option<Arc<str>>,
    /// Who asks, and with which Idempotency-Key. Good for a day.
    pub request: Option<Arc<str>>,
    /// Most alerts that there may be.
    pub alerts_max: u32,
    /// Most alerts of one target.
    pub target_max: u32,
}

/// For how long a repeated request is known, microseconds.
pub(crate) const REQUEST_KEPT: i64 = 86_400_000_000;

/// What became of an alert that was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertAdded {
    /// It is stored.
    New,
    /// The same request came before, and this is what it made. Nothing was changed.
    Before(StoredAlert),
    /// There are too many alerts, or too many of this target. Nothing was changed.
    TooMany,
}

/// What an alert's machine came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertStep {
    /// The alert.
    pub id: Arc<str>,
    /// The revision that was looked at: when it is not the present one, nothing is stored.
    pub revision: u64,
    /// What the machine remembers.
    pub state: Arc<str>,
    /// How often it has fired by now. A step whose fate is unknown may be stored again.
    pub number: u64,
    /// It fired: this is to be told.
    pub fired: Option<Delivery>,
}

/// Something that is to be told, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The idempotency key.
    pub id: Arc<str>,
    /// The alert.
    pub alert: Arc<str>,
    /// Who is told.
    pub target: Arc<str>,
    /// What, as JSON.
    pub body: Arc<str>,
    /// When it came up.
    pub created_at: Wall,
    /// How it stands.
    pub standing: DeliveryStanding,
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryStanding {
    /// When it is tried next.
    pub due_at: Wall,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was done with, for better or worse.
    pub done_at: Option<Wall>,
    /// How it ended.
    pub outcome: Option<Arc<str>>,
    /// What went wrong last, at most 1,024 bytes.
    pub error: Option<Arc<str>>,
}

impl DeliveryStanding {
    /// Not tried yet.
    #[must_use]
    pub const fn due(at: Wall) -> Self {
        Self {
            due_at: at,
            attempts: 0,
            done_at: None,
            outcome: None,
            error: None,
        }
    }
}

/// A delivery with what it is signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// The secret of its alert.
    pub secret: Option<Arc<str>>,
}

impl std::fmt::Debug for DueDelivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DueDelivery")
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

/// A chat that has spoken to the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChat {
    /// Its number.
    pub chat: i64,
    /// The language of its answers.
    pub language: Arc<str>,
    /// The bot may not write there.
    pub is_blocked: bool,
    /// When this was noted.
    pub updated_at: Wall,
}
