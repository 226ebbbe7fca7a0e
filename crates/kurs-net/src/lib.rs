//! WebSocket and HTTP clients that know no venue.
//!
//! | module | what it holds |
//! |---|---|
//! | [`http`] | [`http::HttpClient`]: one GET with deadline, size limit, validators, Retry-After |
//! | [`stream`] | [`StreamId`], [`StreamSpec`]: what a connection is asked to carry |
//! | [`settings`] | [`Settings`]: every limit and wait of a connection |
//! | [`backoff`] | [`Backoff`]: full-jitter delays between attempts |
//! | [`command_rate`] | [`CommandRate`]: how many messages a connection may send a second |
//! | [`connection`] | [`Connection`]: one connection as a state machine, time passed in |
//! | [`stream_watch`] | [`StreamWatch`]: which streams speak, fell silent, or never spoke |
//! | [`overlap`] | [`Overlap`]: connections that follow one another without a gap |
//! | [`proxy`] | [`Proxies`]: the proxy settings of the environment as a value |
//! | [`websocket`] | [`WebSocket`], [`Dialect`]: the async shell that carries bytes |
//!
//! The state machines do no I/O and read no clock: events and the time go in, actions come
//! out. Only [`http`] and [`websocket`] touch the network.

pub mod backoff;
pub mod command_rate;
pub mod connection;
pub mod http;
pub mod overlap;
pub mod proxy;
pub mod settings;
pub mod stream;
pub mod stream_watch;
pub mod websocket;

pub use backoff::Backoff;
pub use command_rate::CommandRate;
pub use connection::Connection;
pub use overlap::{Action, Event, Notice, Overlap};
pub use proxy::Proxies;
pub use settings::Settings;
pub use stream::{StreamId, StreamSpec};
pub use stream_watch::StreamWatch;
pub use websocket::{Dialect, Frame, Heard, WebSocket};
