//! Bus over NATS JetStream: [`NatsBus`].
//!
//! | module | what it holds |
//! |---|---|
//! | `address`, `config` | where the servers are, and settings |
//! | `bus` | [`NatsBus`] |
//! | `examine` | [`examine()`]: a look at the servers for whoever sets them up |
//! | `link` | one connection from begin to end, and whoever makes the next one |
//! | `login` | the answer to a server that asks who is there |
//! | `names`, `streams` | subjects and streams: made when they are missing |
//! | `publisher` | updates from the outbox to the server, in order |
//! | `reading` | a stream read in order until something is wrong with it |
//! | `subscription` | a place in the flow that is found again |
//! | `last` | the last values, as of one moment |
//! | `command` | commands and answers |
//!
//! Two streams carry everything. The flow (`KURS_FLOW`) keeps the updates of the last minutes;
//! the last values (`KURS_LAST`) are filled from it by the server and keep one message per
//! subject. Commands are plain requests to `kurs.v1.command`.

mod address;
mod bus;
mod command;
mod config;
mod examine;
mod last;
mod link;
mod login;
mod names;
mod publisher;
mod reader;
mod reading;
mod streams;
mod subscription;

pub use address::{Address, AddressError};
pub use bus::NatsBus;
pub use config::{NatsConfig, NatsOptions, Storage};
pub use examine::examine;

use reader::Reader;
