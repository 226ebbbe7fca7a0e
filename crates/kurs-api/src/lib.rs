//! HTTP API of kurs: sees the view of all rates, the history, and the way to the Writer; nothing
//! below.
//!
//! | module | what it holds |
//! |---|---|
//! | `router` | the whole HTTP surface on one page |
//! | `v1/`, `ops`, `docs`, `page` | what each route answers |
//! | [`server`] | [`serve`]: the accept loop with caps, deadlines and drain |
//! | `open` | the open connections, counted and capped |
//! | `connection`, `io` | which wait is running on a connection, noted by a wrapper of its socket |
//! | [`tls`], `handshake`, `multiplex` | TLS and its certificate; HTTP/2, which only TLS brings |
//! | `service`, `hot` | from a request to an answer; the short way for one rate |
//! | `route`, `table`, `parameter`, `pattern` | declarations of routes, and how requests are checked by them |
//! | `host` | the `Host` field of requests |
//! | `auth` | who asks, what they may do, and how often |
//! | [`admin`], [`key`] | what is set while kurs runs, API keys, and the log of changes |
//! | `call`, `incoming` | a checked request; its JSON body |
//! | `answer`, `accept`, `compress`, `conditional`, `cors` | forms, codings, validators and headers of answers |
//! | [`problem`] | [`Problem`]: the body of every 4xx and 5xx |
//! | `openapi`, `asyncapi` | `/openapi.json` from the same table; `/asyncapi.json` from what is written to brokers and clients |
//! | `exposition` | the two text forms of metrics |
//! | [`config`] | [`ApiConfig`] and [`Limits`] |
//! | `stream/` | streams of rates: server-sent events and WebSocket |
//! | [`state`] | [`ApiState`]: what all requests share |

mod accept;
pub mod admin;
mod answer;
mod asyncapi;
mod auth;
mod body;
mod call;
mod compress;
mod conditional;
pub mod config;
mod connection;
mod cors;
mod docs;
mod exposition;
mod handshake;
mod host;
mod hot;
mod incoming;
mod io;
pub mod key;
mod multiplex;
mod open;
mod openapi;
mod ops;
mod page;
mod parameter;
mod pattern;
pub mod problem;
mod request_id;
mod route;
mod router;
pub mod server;
mod service;
pub mod state;
mod stream;
mod table;
pub mod tls;
mod v1;

pub use admin::{SettingStanding, SettingsInForce};
pub use config::{ApiConfig, Limits, TlsConfig};
pub use problem::Problem;
pub use server::{serve, serve_surface, serve_tls};
pub use service::Surface;
pub use state::{ApiParts, ApiState, MetricsText, RouteConflict};
pub use tls::Tls;

/// The AsyncAPI 3.0 document of this version, for `kurs asyncapi`: brokers and streams.
#[must_use]
pub fn asyncapi(version: &str) -> serde_json::Value {
    asyncapi::document(version)
}

/// The OpenAPI 3.1 document of this version, for `kurs openapi`.
#[must_use]
pub fn openapi(version: &str) -> serde_json::Value {
    let routes: Vec<_> = router::routes()
        .into_iter()
        .map(std::sync::Arc::new)
        .collect();
    openapi::document(&routes, version)
}
