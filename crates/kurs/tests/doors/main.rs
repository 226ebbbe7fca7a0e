//! The real binary against those who mean it no good: clients that hold connections, questions
//! that try to make it ask elsewhere, and others whose answers are hostile; and that none of its
//! secrets ever comes out.
//!
//! `SLOW_CLIENTS=5000` opens as many connections.

#![expect(clippy::unwrap_used, reason = "these files are only tests")]

mod canaries;
mod everything;
mod hostile;
mod owasp;
mod slow_clients;
#[path = "../support/mod.rs"]
mod support;
