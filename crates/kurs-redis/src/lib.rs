//! Bus over Redis 7: [`RedisBus`]. A stream, the last values beside it, and commands.
//!
//! | module | what it holds |
//! |---|---|
//! | `address`, `config` | where the server is, and settings |
//! | `bus` | [`RedisBus`] |
//! | `examine` | [`examine()`]: a look at the server for whoever sets it up |
//! | `keys` | the names of everything kept on the server |
//! | `link` | connections and their time limits |
//! | `batch` | updates on their way to the server, and what it must have before them |
//! | `publisher` | the task that empties the outbox |
//! | `position` | how far a subscriber has read, and whether something was lost |
//! | `subscription` | the task that follows the flow |
//! | `ask`, `listen` | both ends of a command |
//! | `value` | answers of the server taken apart |
//!
//! # What is on the server
//! With the prefix `kurs`, under one hash tag so that a cluster keeps it in one place:
//!
//! | key | type | what |
//! |---|---|---|
//! | `{kurs}.v1.flow` | stream | every update: `s` its subject, `d` its text |
//! | `{kurs}.v1.last` | hash | subject to text: the last value of every key |
//! | `{kurs}.v1.order` | hash | shard to the last `EPOCH-SEQ` taken, 20 digits each; `flow` to the first entry of the stream |
//! | `{kurs}.v1.sources` | hash | pair to the subjects of its sources' prices |
//! | `{kurs}.v1.commands` | stream | commands that wait: `c` the text, `t` until when (the server's clock, ms) |
//! | `{kurs}.v1.reply.ID` | list | the answer to a command; empty when the Writer went away |
//!
//! A script takes each batch of updates in at once: it passes over what is not newer than the
//! last one of its shard, so that an old Writer is refused by the server already and what is sent
//! a second time does no harm; and it says so when the server does not have what it said it had,
//! upon which everything is put there again, in one piece too.
//!
//! Commands wait in a stream since waking up for an entry takes nothing away: a listener that
//! stops waiting loses none.

mod address;
mod ask;
mod batch;
mod bus;
mod config;
mod examine;
mod keys;
mod link;
mod listen;
mod position;
mod publisher;
mod subscription;
mod value;

pub use address::{Address, AddressError};
pub use bus::RedisBus;
pub use config::{RedisConfig, RedisOptions};
pub use examine::examine;
