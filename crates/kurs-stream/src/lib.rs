//! Streams: what changes in a Reader's view, told to everybody who wants to hear it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`topic`] | [`Topic`]: what can be listened to |
//! | [`position`] | [`Position`]: how far somebody has heard; good on every Reader |
//! | [`document`] | [`Document`]: what an event tells |
//! | [`event`] | [`Event`]: one thing that is told, rendered once and shared by all who hear it |
//! | [`ring`] | [`Ring`]: what was told lately, for those who come back |
//! | [`mailbox`] | [`Mailbox`]: what waits for one listener; bounded, newest first when it is full |
//! | [`pump`] | the short way: one task writes for many clients that take everything at once |
//! | [`places`] | how many streams one address has, whatever it speaks |
//! | [`hub`] | [`Hub`]: from the updates of the view to the mailboxes |
//! | [`listener`] | [`Listener`]: one client: its topics, its beginning, its end |
//! | [`command`] | what WebSocket clients ask, and what they are answered |
//! | [`config`] | [`StreamConfig`] |
//!
//! The hub never waits for a listener: what a mailbox cannot hold is replaced by something newer,
//! and its owner is told how much was left out.

pub mod command;
pub mod config;
pub mod document;
pub mod event;
pub mod hub;
pub mod listener;
pub mod mailbox;
pub mod places;
pub mod position;
pub mod pump;
pub mod ring;
pub mod topic;

pub use config::StreamConfig;
pub use document::Document;
pub use event::{Event, EventKind};
pub use hub::Hub;
pub use listener::{Listener, Refused};
pub use mailbox::{Ended, Item, Mailbox};
pub use places::Place;
pub use position::Position;
pub use pump::Outlet;
pub use ring::Ring;
pub use topic::Topic;
