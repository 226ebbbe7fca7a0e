//! The doors of all of kurs: the keys, tokens and quotas that hold over HTTP hold here.

use crate::gate::{Gate, Scope, Who};
use crate::refusal::Refusal;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use kurs_auth::{Credential, Doors, Refused};
use kurs_core::Clock;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};

/// Asks the doors.
#[derive(Debug, Clone)]
pub struct AtTheDoors {
    doors: Arc<Doors>,
    clock: Arc<dyn Clock>,
}

impl AtTheDoors {
    /// Asks these doors, at the time of this clock.
    #[must_use]
    pub fn new(doors: Arc<Doors>, clock: Arc<dyn Clock>) -> Self {
        Self { doors, clock }
    }
}

impl Gate for AtTheDoors {
    fn admit(&self, metadata: &HeaderMap, peer: IpAddr, scope: Scope) -> Result<Who, Status> {
        let passage = self
            .doors
            .admit(shown(metadata), scope, peer, self.clock.now())
            .map_err(|refused| Status::from(refusal(refused)))?;
        if scope != Scope::Stream {
            return Ok(Who::anybody());
        }
        let grant = self.doors.open(&passage.caller);
        Ok(grant.map_or_else(Who::anybody, |grant| Who::owning(grant.number(), grant)))
    }
}

/// What the metadata shows: `authorization: Bearer ...` or `x-api-key: ...`, once.
fn shown(metadata: &HeaderMap) -> Credential<'_> {
    let bearers = metadata.get_all(AUTHORIZATION).iter().filter_map(bearer);
    let keys = metadata.get_all("x-api-key").iter().map(key);
    let mut all = bearers.chain(keys);
    match (all.next(), all.next()) {
        (None, _) => Credential::None,
        (Some(one), None) => one,
        (Some(_), Some(_)) => Credential::Unreadable,
    }
}

/// A key or a token; `None` for other ways of saying who one is, which are meant for somebody in
/// front of kurs.
fn bearer(value: &HeaderValue) -> Option<Credential<'_>> {
    let Ok(text) = value.to_str() else {
        return Some(Credential::Unreadable);
    };
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let token = rest.trim();
    Some(if token.is_empty() || token.contains([' ', ',']) {
        Credential::Unreadable
    } else {
        Credential::Bearer(token)
    })
}

fn key(value: &HeaderValue) -> Credential<'_> {
    match value.to_str().map(str::trim) {
        Ok(key) if !key.is_empty() => Credential::Key(key),
        _ => Credential::Unreadable,
    }
}

fn refusal(refused: Refused) -> Refusal {
    let (code, reason) = match refused {
        Refused::Unknown(_)
        | Refused::Unreadable
        | Refused::Key(_)
        | Refused::Token(_)
        | Refused::Ticket => (Code::Unauthenticated, "UNAUTHORIZED"),
        Refused::Scope(_) => (Code::PermissionDenied, "FORBIDDEN"),
        Refused::TooOften { .. } => (Code::ResourceExhausted, "QUOTA_EXCEEDED"),
        Refused::TooManyFailures { .. } => (Code::ResourceExhausted, "ABNORMAL_USAGE_DETECTED"),
        Refused::NotReady => (Code::Unavailable, "KEYS_UNAVAILABLE"),
    };
    let told = Refusal::new(code, reason, refused.to_string());
    match refused {
        Refused::TooOften { retry_seconds, .. } | Refused::TooManyFailures { retry_seconds } => {
            told.retry_after(Duration::from_secs(retry_seconds.into()))
        }
        Refused::NotReady => told.retry_after(Duration::from_secs(1)),
        _ => told,
    }
}
