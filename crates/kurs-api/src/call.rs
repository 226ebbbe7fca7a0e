//! A checked request, as handlers see it.

use crate::parameter::Arguments;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;
use http::HeaderMap;
use http::header::{FORWARDED, HOST, ORIGIN};
use hyper::upgrade::OnUpgrade;
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
                PairError::SameAsset => Problem::parameter("quote", error.to_string()),
                _ => Problem::parameter("base", error.to_string()),
            })
    }

    /// Lets changes through from the server's own machine only, until there are keys.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] for everybody else: other addresses, requests that a proxy on this
    /// machine hands on, and pages of other origins in a browser on this machine.
    pub(crate) fn require_local(&self) -> Result<(), Problem> {
        let refuse = |why: &str| Err(Problem::new(Kind::Forbidden, why.to_owned()));
        let address = self.peer.to_canonical();
        if !address.is_loopback() {
            return refuse("changes are accepted from the loopback address only");
        }
        let handed_on = ["x-forwarded-for", "x-real-ip", "x-forwarded-host"];
        if self.headers.contains_key(FORWARDED)
            || handed_on
                .iter()
                .any(|name| self.headers.contains_key(*name))
        {
            return refuse("changes are not accepted through a proxy");
        }
        let local = |text: &str| {
            let host = text.rsplit_once("//").map_or(text, |(_, host)| host);
            let name = match host.strip_prefix('[') {
                Some(v6) => v6.split(']').next().unwrap_or(""),
                None => host.split(':').next().unwrap_or(""),
            };
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.to_canonical().is_loopback())
        };
        for name in [HOST, ORIGIN] {
            let mut values = self.headers.get_all(&name).iter();
            if !values.all(|value| value.to_str().is_ok_and(local)) {
                return refuse("changes are not accepted from pages of other hosts");
            }
        }
        Ok(())
    }
}
