//! Who may ask what.

use http::HeaderMap;
pub use kurs_auth::Scope;
use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use tonic::Status;

/// Who asks.
#[derive(Default)]
pub struct Who {
    /// Whom a stream of theirs belongs to, for [`kurs_stream::Hub::end_where`]; 0: nobody.
    owner: u64,
    /// Kept as long as the stream is open.
    held: Option<Box<dyn Any + Send + Sync>>,
}

impl Who {
    /// Somebody from whom nothing can be taken back.
    #[must_use]
    pub fn anybody() -> Self {
        Self::default()
    }

    /// Somebody whose stream belongs to this owner, another than 0. `held` is kept as long as the
    /// stream is open.
    #[must_use]
    pub fn owning(owner: u64, held: impl Any + Send + Sync) -> Self {
        Self {
            owner,
            held: Some(Box::new(held)),
        }
    }

    /// Whom a stream of theirs belongs to; 0: nobody.
    #[must_use]
    pub const fn owner(&self) -> u64 {
        self.owner
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Who")
            .field("owner", &self.owner)
            .field("holds", &self.held.is_some())
            .finish()
    }
}

/// Lets calls in, or not. A right that is taken back later ends streams by
/// [`kurs_stream::Hub::end_where`]. Health and reflection are open to everybody. Nothing is waited
/// for: what has to be fetched is fetched elsewhere, before.
pub trait Gate: Send + Sync + 'static {
    /// Asked once for each call, before its message is read. `metadata` may hold secrets.
    ///
    /// # Errors
    /// What the client is answered: `UNAUTHENTICATED`, `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED`
    /// or `UNAVAILABLE`.
    fn admit(&self, metadata: &HeaderMap, peer: IpAddr, scope: Scope) -> Result<Who, Status>;
}

/// Lets everybody in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Everybody;

impl Gate for Everybody {
    fn admit(&self, _: &HeaderMap, _: IpAddr, _: Scope) -> Result<Who, Status> {
        Ok(Who::anybody())
    }
}
