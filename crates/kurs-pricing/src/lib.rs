//! Pricing: what sources say goes in with the time, rates come out. Nothing here reads a clock,
//! waits or allocates a channel, so that live running, replay and tests are the same code.
//!
//! | module | what it holds |
//! |---|---|
//! | [`engine`] | [`Engine`]: events, commands and time in, [`Effect`]s out |
//! | [`effect`] | [`Effect`]: publish, record, report |
//! | [`candidate`] | the ways a pair can be priced, and their order of preference |
//! | [`failover`] | the `priority` policy: down at once, up again after the hold time |
//! | [`cross`] | the graph of markets: paths and cross rates |
//! | [`quoted`] | one source's last price for one market, with its freshness |
//! | [`config`] | policies as configured |

pub mod candidate;
pub mod config;
pub mod cross;
pub mod effect;
pub mod engine;
pub mod failover;
pub mod quoted;

pub use config::{EngineConfig, Policy, PolicyKind, SourceInfo};
pub use cross::{CrossRate, Graph, Market, Path};
pub use effect::{Effect, Failover as FailoverReport, SourceRate};
pub use engine::Engine;
