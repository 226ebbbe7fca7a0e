//! Pricing: what sources say goes in with the time, rates come out. Nothing here reads a clock,
//! waits or allocates a channel, so that live running, replay and tests are the same code.
//!
//! | module | what it holds |
//! |---|---|
//! | [`engine`] | [`Engine`]: events, commands and time in, [`Effect`]s out |
//! | [`effect`] | [`Effect`]: publish, record, report |
//! | [`candidate`] | the ways a pair can be priced, and their order of preference |
//! | [`failover`] | the `priority` policy: down at once, up again after the hold time |
//! | [`gate`] | the outlier gate of medians, and of `priority` as a guard |
//! | [`votes`] | confidence of a median |
//! | [`fair`], [`merged`] | the fair price of a book; many venues' books as one |
//! | [`marks`] | simulated and replayed prices keep their mark in what is made of them |
//! | [`depeg`] | stablecoins that are not worth their dollar |
//! | [`cross`] | the graph of markets: paths and cross rates |
//! | [`quoted`] | one source's last price for one market, with its freshness |
//! | [`rule`] | rule expressions: reading, checking, evaluating |
//! | [`config`] | policies as configured |
//! | [`decimal`] | medians, roots and exponentials of exact decimals |

pub mod candidate;
pub mod config;
pub mod cross;
pub mod decimal;
pub mod depeg;
pub mod effect;
pub mod engine;
pub mod failover;
pub mod fair;
pub mod gate;
pub mod marks;
pub mod merged;
pub mod quoted;
pub mod rule;
pub mod votes;

pub use config::{EngineConfig, FairMethod, Policy, PolicyKind, SourceInfo, WrittenPolicy};
pub use cross::{CrossRate, Graph, Market, Path};
pub use effect::{Effect, Failover as FailoverReport, SourceRate};
pub use engine::Engine;
