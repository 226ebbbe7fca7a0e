//! Alerts: what is watched, when it is told, to whom, and that it is told once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`condition`] | [`Condition`]: what is watched, and [`ConditionDocument`], as people write it |
//! | [`target`] | [`Target`]: who is told |
//! | [`alert`] | [`Alert`]: a stored alert, understood |
//! | [`machine`] | [`machine::step`]: when an alert fires; pure |
//! | [`message`] | [`AlertMessage`]: what is told |
//! | [`courier`] | [`Courier`]: the way to a kind of target, and [`Delivery`] |
//! | [`webhook`] | [`webhook::WebhookCourier`]: signed requests to addresses that may be reached |
//! | [`office`] | the lease: one process watches and tells; [`Seat`], who else acts under it |
//! | [`watcher`] | looks at the rates, steps the machines, stores what fired |
//! | [`dispatch`] | brings what is due to its targets |
//! | [`config`] | [`AlertConfig`] |
//!
//! A fired alert is stored together with what is to be told (the outbox), under the lease of
//! [`kurs_store::ALERT_SHARD`]. Couriers try until it is done; the id of a delivery is its
//! idempotency key.

pub mod alert;
pub mod condition;
pub mod config;
pub mod courier;
pub mod dispatch;
pub mod machine;
pub mod message;
pub mod office;
pub mod target;
pub mod watcher;
pub mod webhook;

pub use alert::{Alert, AlertId};
pub use condition::{Condition, ConditionDocument, Mistake, Side, Terms};
pub use config::AlertConfig;
pub use courier::{Courier, Delivered, Delivery};
pub use machine::{AlertState, Fired, Observation, SeenRate, SeenSource};
pub use message::AlertMessage;
pub use office::Seat;
pub use target::Target;
