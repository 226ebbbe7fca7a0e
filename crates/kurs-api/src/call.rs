//! A checked request, as handlers see it.

use crate::parameter::Arguments;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::v1::missing::pair_problem;
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use kurs_auth::Caller;
use kurs_core::{Pair, PairError};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// A request whose parameters and body were checked against the declaration of its route.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) api: Arc<ApiState>,
    pub(crate) arguments: Arguments,
    /// The path with its query as sent, for links to further pages.
    pub(crate) path: String,
    /// The media type that `Accept` chose.
    pub(crate) media: &'static str,
    pub(crate) peer: IpAddr,
    /// Who asks.
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    /// The body, if the route takes one.
    pub(crate) body: Option<serde_json::Value>,
    /// It was asked for the head only.
    pub(crate) is_head: bool,
    /// The way to another protocol, if the client asks for one.
    pub(crate) upgrade: Mutex<Option<OnUpgrade>>,
}

impl Call {
    /// The pair that the path names by `base` and `quote`.
    ///
    /// # Errors
    /// A problem when both are the same asset.
    pub(crate) fn path_pair(&self) -> Result<Pair, Problem> {
        let (base, quote) = (
            self.arguments.text("base").unwrap_or(""),
            self.arguments.text("quote").unwrap_or(""),
        );
        self.api
            .view
            .parse_pair(&format!("{base}-{quote}"))
            .map_err(|error| match error {
                PairError::SameAsset => pair_problem("quote", &error),
                _ => Problem::parameter("base", error.to_string()),
            })
    }
}
