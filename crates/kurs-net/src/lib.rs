//! WebSocket and HTTP clients that know no venue.
//!
//! | module | what it holds |
//! |---|---|
//! | [`http`] | [`http::HttpClient`]: one GET with deadline, size limit, validators, Retry-After |

pub mod http;
