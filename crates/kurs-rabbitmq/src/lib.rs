//! Bus over RabbitMQ 3.10 and later: a topic exchange, a stream behind it, snapshots of the last
//! values, and commands.
//!
//! | module | what it holds |
//! |---|---|
//! | `address`, `config` | where the server is, and settings |
//! | `bus` | [`RabbitBus`] |
//! | `examine` | [`examine()`]: a look at the server for whoever sets it up |
//! | `names` | what everything on the server is called, and how it is made |
//! | `link` | a connection that is made again whenever it is lost |
//! | `flow` | reading a stream: from a place on, and where it ends |
//! | `fold` | the last values, and their text |
//! | `values` | reading and writing snapshots |
//! | `publisher` | the task that empties the outbox |
//! | `subscription` | a subscriber |
//! | `commands` | both ends of a command |
//!
//! # What is on the server
//! With the prefix `kurs`:
//!
//! | name | type | what |
//! |---|---|---|
//! | `kurs.v1` | topic exchange | every update: routing key its subject, `type` its kind, `message_id` its id |
//! | `kurs.v1.flow` | stream | all of it, and markers (`type` `marker`) that only say where it ends |
//! | `kurs.v1.last` | stream | snapshots: zstd, a header line, then a line for each last value |
//! | `kurs.v1.commands` | queue | commands that wait, each for as long as it is waited for |
//!
//! Others bind queues of their own to the exchange. Such a queue must not refuse messages when
//! it is full (`x-overflow`): the server would refuse them to the Writer, who tries again.
//!
//! A snapshot is what the flow left up to a place that it names, whoever published it: any
//! publisher may write it, an old Writer does no harm by it, and a reader starts with any.

mod address;
mod bus;
mod commands;
mod config;
mod examine;
mod flow;
mod fold;
mod link;
mod names;
mod publisher;
mod subscription;
mod values;

pub use address::{Address, AddressError};
pub use bus::RabbitBus;
pub use config::{RabbitConfig, RabbitOptions, Tuning};
pub use examine::examine;
