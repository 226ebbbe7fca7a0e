//! All of it together: who is let in, and why not.

use crate::caller::{Caller, Who};
use crate::config::{AuthConfig, LimitsConfig};
use crate::key::{self, KeyId};
use crate::key_ring::{KeyRefused, KeyRing};
use crate::limit::{Left, Limiter, Quota};
use crate::scope::{Scope, Scopes};
use crate::ticket::{TicketText, Tickets};
use crate::token::{TokenRefused, Tokens};
use arc_swap::{ArcSwap, ArcSwapOption};
use kurs_core::{Now, Wall};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tickets that wait at a time.
const TICKETS_MAX: usize = 10_000;

/// What a request shows of who sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// A key or a token.
    Bearer(&'a str),
    /// A key.
    Key(&'a str),
    /// A ticket; for streams only.
    Ticket(&'a str),
    /// More than one thing, or nothing that can be read.
    Unreadable,
}

impl<'a> Credential<'a> {
    /// What all values of the fields `Authorization` and `X-Api-Key` show together, and a ticket;
    /// `None` stands for a value that is no text. More than one thing is nothing that can be read:
    /// whoever checks one of them and whoever uses another would not mean the same.
    pub fn read(
        authorization: impl Iterator<Item = Option<&'a str>>,
        keys: impl Iterator<Item = Option<&'a str>>,
        ticket: Option<&'a str>,
    ) -> Self {
        let mut all = authorization
            .filter_map(Self::authorization)
            .chain(keys.map(Self::api_key))
            .chain(ticket.map(Self::Ticket));
        match (all.next(), all.next()) {
            (None, _) => Self::None,
            (Some(one), None) => one,
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    /// A key or a token; `None` for other ways of saying who one is, which are meant for somebody
    /// in front of kurs.
    #[must_use]
    pub fn authorization(value: Option<&'a str>) -> Option<Self> {
        let Some(text) = value else {
            return Some(Self::Unreadable);
        };
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = rest.trim();
        Some(if token.is_empty() || token.contains([' ', ',']) {
            Self::Unreadable
        } else {
            Self::Bearer(token)
        })
    }

    /// A key of a field of its own.
    #[must_use]
    pub fn api_key(value: Option<&'a str>) -> Self {
        match value.map(str::trim) {
            Some(key) if !key.is_empty() => Self::Key(key),
            _ => Self::Unreadable,
        }
    }
}

/// Why somebody is not let in. Never holds anything of what they showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// They have to say who they are.
    #[error("this needs a key or a token with the scope {0}")]
    Unknown(Scope),
    /// They showed more than one thing, or what cannot be read.
    #[error("send one key or token: `Authorization: Bearer ...` or `X-Api-Key: ...`")]
    Unreadable,
    /// Their key is not good.
    #[error("{0}")]
    Key(KeyRefused),
    /// Their token is not good.
    #[error("{0}")]
    Token(TokenRefused),
    /// Their ticket is not good.
    #[error("the ticket was used, has expired, or was given by another instance")]
    Ticket,
    /// They may do other things.
    #[error("this needs the scope {0}")]
    Scope(Scope),
    /// They have asked too often.
    #[error("the quota of {} requests in {} s is used up", .quota.requests, .quota.window_seconds)]
    TooOften {
        /// What they may ask.
        quota: Quota,
        /// Seconds until one request is allowed.
        retry_seconds: u32,
    },
    /// They have shown too many wrong keys.
    #[error("too many wrong keys and tokens from this address")]
    TooManyFailures {
        /// Seconds until another attempt is looked at.
        retry_seconds: u32,
    },
    /// The keys were not read yet.
    #[error("the keys were not read from the store yet")]
    NotReady,
}

/// Somebody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Who.
    pub caller: Caller,
    /// Their quota and what is left of it; `None`: they are not counted.
    pub left: Option<(Quota, Left)>,
    /// They are let in only if they are on the server's own machine: there is no key yet. Whoever
    /// knows where the request came from looks.
    pub must_be_local: bool,
}

/// Counts of who is let in.
#[derive(Debug)]
struct Limits {
    anonymous: Option<Limiter<IpAddr>>,
    callers: Option<Limiter<Who>>,
    failures: Option<Limiter<IpAddr>>,
    counts_loopback: bool,
}

impl Limits {
    fn new(config: &LimitsConfig) -> Self {
        Self {
            anonymous: (config.anonymous.quota())
                .map(|quota| Limiter::new(quota, config.remembered)),
            callers: (config.key.quota()).map(|quota| Limiter::new(quota, config.remembered)),
            failures: (config.failures.quota()).map(|quota| Limiter::new(quota, config.remembered)),
            counts_loopback: config.loopback,
        }
    }

    fn counts(&self, address: IpAddr) -> bool {
        self.counts_loopback || !address.to_canonical().is_loopback()
    }
}

/// Decides who is let in. Shared by everything that answers.
#[derive(Debug)]
pub struct Doors {
    anonymous: Scopes,
    environment: Box<str>,
    /// `None` before the keys were read.
    ring: ArcSwapOption<KeyRing>,
    tokens: Tokens,
    limits: ArcSwap<Limits>,
    tickets: Tickets,
    /// Who holds something open, such as a stream.
    grants: Arc<Mutex<HashMap<u64, Caller>>>,
    numbers: AtomicU64,
}

/// Something stays open for a caller, as long as this is kept and the caller may.
#[derive(Debug)]
pub struct Grant {
    number: u64,
    grants: Arc<Mutex<HashMap<u64, Caller>>>,
}

impl Grant {
    /// Its number, never 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.grants.lock().remove(&self.number);
    }
}

impl Default for Doors {
    fn default() -> Self {
        Self::new(&AuthConfig::default(), &LimitsConfig::default())
    }
}

impl Doors {
    /// Doors as they are configured. The keys are not there yet: see [`Doors::set_ring`].
    #[must_use]
    pub fn new(auth: &AuthConfig, limits: &LimitsConfig) -> Self {
        Self {
            anonymous: auth.anonymous(),
            environment: auth.environment.as_str().into(),
            ring: ArcSwapOption::empty(),
            tokens: Tokens::new(&auth.issuers),
            limits: ArcSwap::from_pointee(Limits::new(limits)),
            tickets: Tickets::new(TICKETS_MAX),
            grants: Arc::default(),
            numbers: AtomicU64::new(1),
        }
    }

    /// The keys as they stand now. Returns those that stood before, if they were read before.
    pub fn set_ring(&self, ring: KeyRing) -> Option<Arc<KeyRing>> {
        self.ring.swap(Some(Arc::new(ring)))
    }

    /// The keys; `None` before they were read.
    #[must_use]
    pub fn ring(&self) -> Option<Arc<KeyRing>> {
        self.ring.load_full()
    }

    /// The word in new keys that tells where they belong.
    #[must_use]
    pub const fn environment(&self) -> &str {
        &self.environment
    }

    /// The trusted issuers.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Other limits from now on; everybody begins with a whole quota.
    pub fn set_limits(&self, limits: &LimitsConfig) {
        self.limits.store(Arc::new(Limits::new(limits)));
    }

    /// Lets a request in that needs this scope, from this address.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn admit(
        &self,
        shown: Credential<'_>,
        scope: Scope,
        address: IpAddr,
        now: Now,
    ) -> Result<Passage, Refused> {
        let limits = self.limits.load();
        let (caller, must_be_local) = match shown {
            Credential::None => self.nobody(scope)?,
            shown => (self.identify(shown, scope, address, now, &limits)?, false),
        };
        Self::count(&limits, caller, scope, address, now, must_be_local)
    }

    /// The same for a short way that leads to [`Doors::admit`] whoever is not let in: of them
    /// nothing is noted, and no signature is checked.
    ///
    /// # Errors
    /// [`Refused`].
    #[inline]
    pub fn admit_known(
        &self,
        shown: Credential<'_>,
        scope: Scope,
        address: IpAddr,
        now: Now,
    ) -> Result<Passage, Refused> {
        let caller = match shown {
            Credential::None => {
                let caller = Caller::anonymous(self.anonymous);
                if !caller.may(scope) {
                    return Err(Refused::Unknown(scope));
                }
                caller
            }
            Credential::Bearer(text) | Credential::Key(text) if key::looks_like_key(text) => {
                let ring = self.ring.load();
                let ring = ring.as_ref().ok_or(Refused::NotReady)?;
                ring.check(text, now.wall).map_err(Refused::Key)?
            }
            Credential::Bearer(text) => (self.tokens.remembered(text, now.wall))
                .ok_or(Refused::Token(TokenRefused::Form))?,
            Credential::Key(_) | Credential::Ticket(_) | Credential::Unreadable => {
                return Err(Refused::Unreadable);
            }
        };
        Self::count(&self.limits.load(), caller, scope, address, now, false)
    }

    /// Counts the request of somebody known, and looks whether they may.
    fn count(
        limits: &Limits,
        caller: Caller,
        scope: Scope,
        address: IpAddr,
        now: Now,
        must_be_local: bool,
    ) -> Result<Passage, Refused> {
        let left = match (&limits.anonymous, &limits.callers) {
            (Some(anonymous), _) if caller.is_anonymous() => {
                if limits.counts(address) {
                    Some((
                        anonymous.quota(),
                        anonymous.take(&network_of(address), now.mono),
                    ))
                } else {
                    None
                }
            }
            (_, Some(callers)) if !caller.is_anonymous() => {
                Some((callers.quota(), callers.take(&caller.who, now.mono)))
            }
            _ => None,
        };
        let left = match left {
            None => None,
            Some((quota, Ok(left))) => Some((quota, left)),
            Some((quota, Err(exhausted))) => {
                return Err(Refused::TooOften {
                    quota,
                    retry_seconds: exhausted.retry_seconds,
                });
            }
        };
        if !must_be_local && !caller.may(scope) {
            return Err(Refused::Scope(scope));
        }
        Ok(Passage {
            caller,
            left,
            must_be_local,
        })
    }

    /// What somebody may do who shows nothing.
    fn nobody(&self, scope: Scope) -> Result<(Caller, bool), Refused> {
        let caller = Caller::anonymous(self.anonymous);
        if caller.may(scope) {
            return Ok((caller, false));
        }
        if scope != Scope::Admin {
            return Err(Refused::Unknown(scope));
        }
        match &*self.ring.load() {
            None => Err(Refused::NotReady),
            Some(ring) if ring.is_empty() => Ok((caller, true)),
            Some(_) => Err(Refused::Unknown(scope)),
        }
    }

    fn identify(
        &self,
        shown: Credential<'_>,
        scope: Scope,
        address: IpAddr,
        now: Now,
        limits: &Limits,
    ) -> Result<Caller, Refused> {
        let counted = (limits.failures.as_ref()).filter(|_| limits.counts(address));
        let failed = |refused: Refused| match counted {
            Some(failures) => match failures.take(&network_of(address), now.mono) {
                Ok(_) => refused,
                Err(exhausted) => Refused::TooManyFailures {
                    retry_seconds: exhausted.retry_seconds,
                },
            },
            None => refused,
        };
        match shown {
            Credential::Bearer(text) | Credential::Key(text) if key::looks_like_key(text) => {
                let ring = self.ring.load();
                let ring = ring.as_ref().ok_or(Refused::NotReady)?;
                ring.check(text, now.wall)
                    .map_err(|refused| failed(Refused::Key(refused)))
            }
            Credential::Bearer(text) => {
                if let Some(caller) = self.tokens.remembered(text, now.wall) {
                    return Ok(caller);
                }
                // A signature costs a thousand times more to check than to invent.
                if let Some(failures) = counted
                    && let Err(exhausted) = failures.look(&network_of(address), now.mono)
                {
                    return Err(Refused::TooManyFailures {
                        retry_seconds: exhausted.retry_seconds,
                    });
                }
                (self.tokens.check(text, now.wall))
                    .map_err(|refused| failed(Refused::Token(refused)))
            }
            Credential::Key(_) => {
                let refused = KeyRefused::NoKey(key::KeyTextError::Form);
                Err(failed(Refused::Key(refused)))
            }
            Credential::Ticket(text) if scope == Scope::Stream => {
                let caller = self.tickets.take(text, now.mono);
                let caller = caller.ok_or_else(|| failed(Refused::Ticket))?;
                self.standing(&caller, now.wall)?;
                Ok(caller)
            }
            Credential::Ticket(_) => Err(failed(Refused::Ticket)),
            Credential::Unreadable | Credential::None => Err(failed(Refused::Unreadable)),
        }
    }

    /// Whether a caller who was let in before still may come in.
    ///
    /// # Errors
    /// [`Refused::Key`] or [`Refused::Token`].
    pub fn standing(&self, caller: &Caller, now: Wall) -> Result<(), Refused> {
        match &caller.who {
            Who::Anonymous => Ok(()),
            Who::Key(id) => self.key_standing(*id, now).map_err(Refused::Key),
            Who::Token { .. } if caller.is_expired(now) => {
                Err(Refused::Token(TokenRefused::Expired))
            }
            Who::Token { .. } => Ok(()),
        }
    }

    fn key_standing(&self, id: KeyId, now: Wall) -> Result<(), KeyRefused> {
        match &*self.ring.load() {
            Some(ring) => ring.standing(id, now).map(|_| ()),
            None => Err(KeyRefused::Unknown),
        }
    }

    /// A ticket with which this caller can open a stream, once; `None` when too many wait. `fill`
    /// gives random bytes.
    pub fn ticket(
        &self,
        caller: Caller,
        now: Now,
        fill: impl FnMut(&mut [u8]),
    ) -> Option<TicketText> {
        self.tickets.give(caller, now.mono, fill)
    }

    /// Something is opened for this caller. `None` for somebody unknown, from whom nothing can be
    /// taken back.
    #[must_use]
    pub fn open(&self, caller: &Caller) -> Option<Grant> {
        if caller.is_anonymous() {
            return None;
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.grants.lock().insert(number, caller.clone());
        Some(Grant {
            number,
            grants: Arc::clone(&self.grants),
        })
    }

    /// Whether something that was opened may stay open.
    #[must_use]
    pub fn may_stay(&self, grant: u64, now: Wall) -> bool {
        let caller = self.grants.lock().get(&grant).cloned();
        caller.is_none_or(|caller| self.standing(&caller, now).is_ok())
    }

    /// The numbers of what was opened for callers who may not come in any more.
    #[must_use]
    pub fn over(&self, now: Wall) -> Vec<u64> {
        let grants = self.grants.lock();
        let over = grants
            .iter()
            .filter(|(_, caller)| self.standing(caller, now).is_err());
        over.map(|(number, _)| *number).collect()
    }
}

/// What counts as one address: an IPv4 address, or the /64 network that one IPv6 host has for
/// itself.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
