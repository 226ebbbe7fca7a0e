//! The doors of all of kurs: the keys, tokens and quotas that hold over HTTP hold here.

use crate::gate::{Gate, Scope, Who};
use crate::refusal::Refusal;
use http::HeaderMap;
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
    let texts = |name: &str| {
        metadata
            .get_all(name)
            .iter()
            .map(|value| value.to_str().ok())
    };
    Credential::read(texts("authorization"), texts("x-api-key"), None)
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
