//! The connection machine under virtual time.

mod handover;
mod limits;
mod rig;
mod silence;
mod subscriptions;
