//! [`AlertStore`]: what the role `bot` keeps.

use crate::{
    AlertAdded, AlertStep, AuditEntry, Delivery, DeliveryStanding, DueDelivery, Fence, NewAlert,
    StoreError, StoredAlert, StoredAlerts, StoredChat,
};
use async_trait::async_trait;
use kurs_core::Wall;
use std::sync::Arc;
use std::time::Duration;

/// Alerts, deliveries and chats. Whoever watches and tells holds the lease of
/// [`crate::ALERT_SHARD`], and its writes carry the fence.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Makes a lease last for `ttl` from now on the store's clock; false when its epoch is not
    /// the present one any more, or was given back. Unlike [`crate::Store::renew`], its holder
    /// does not count as a Writer by it.
    async fn extend(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError>;

    /// A number that grows with every change of the alerts by people, so that whoever holds a copy
    /// can ask often whether it is right still. What [`Self::step_alerts`] does is no such change.
    async fn alert_version(&self) -> Result<u64, StoreError>;

    /// All alerts.
    async fn alerts(&self) -> Result<StoredAlerts, StoreError>;

    /// One alert.
    async fn alert(&self, id: &str) -> Result<Option<StoredAlert>, StoreError>;

    /// The alerts of a target, oldest first.
    async fn alerts_of(&self, target: &str) -> Result<Vec<StoredAlert>, StoreError>;

    /// What bodies for an alert's target are signed with.
    async fn alert_secret(&self, id: &str) -> Result<Option<Arc<str>>, StoreError>;

    /// Adds an alert; with it the audit log gets this entry, if it was added.
    async fn add_alert(
        &self,
        new: NewAlert,
        entry: Option<AuditEntry>,
    ) -> Result<AlertAdded, StoreError>;

    /// Replaces name, target, condition, pause and state of an alert, whose revision grows by one;
    /// with it the audit log gets this entry. False, and nothing was changed, when there is none,
    /// or its revision is not that of `alert` any more.
    async fn change_alert(
        &self,
        alert: StoredAlert,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError>;

    /// Removes an alert with all of its deliveries; with it the audit log gets this entry. False
    /// when there was none.
    async fn remove_alert(&self, id: &str, entry: Option<AuditEntry>) -> Result<bool, StoreError>;

    /// Stores what machines came to, and what is to be told because of it: all of it, or nothing.
    /// A step of an alert that people have changed meanwhile is passed over. Returns how many were
    /// stored.
    async fn step_alerts(&self, steps: Vec<AlertStep>, fence: Fence) -> Result<u64, StoreError>;

    /// Adds a delivery that no machine asked for. False when there is no such alert.
    async fn add_delivery(&self, delivery: Delivery) -> Result<bool, StoreError>;

    /// Deliveries that are not done and due at `now`, the longest due first; none to a target of
    /// `busy`, however much waits for it.
    async fn due_deliveries(
        &self,
        now: Wall,
        busy: Vec<Arc<str>>,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError>;

    /// Notes how a delivery stands, unless it is done with. False when it is, or there is none.
    async fn settle_delivery(
        &self,
        id: &str,
        standing: DeliveryStanding,
        fence: Fence,
    ) -> Result<bool, StoreError>;

    /// Deliveries of an alert, newest first.
    async fn deliveries(&self, alert: &str, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// How many deliveries are not done.
    async fn pending_deliveries(&self) -> Result<u64, StoreError>;

    /// Removes some deliveries that were done before this; returns how many.
    async fn prune_deliveries(&self, before: Wall, fence: Fence) -> Result<u64, StoreError>;

    /// A chat.
    async fn chat(&self, chat: i64) -> Result<Option<StoredChat>, StoreError>;

    /// Adds or replaces a chat.
    async fn save_chat(&self, chat: StoredChat, fence: Fence) -> Result<(), StoreError>;

    /// The next update that a bot asks for; `None` before the first.
    async fn bot_offset(&self, bot: &str) -> Result<Option<i64>, StoreError>;

    /// Notes the next update that a bot asks for; it never goes back.
    async fn save_bot_offset(&self, bot: &str, next: i64, fence: Fence) -> Result<(), StoreError>;
}
