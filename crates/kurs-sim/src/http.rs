//! The HTTP part all venues share: the accept loop, routing by venue, faults of REST answers.

pub(crate) mod query;
pub(crate) mod registry;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod socket;
