//! Who asks, what they may do, and how often. Pure: time and randomness are passed in, nothing is
//! read or sent; [`Entropy`] alone asks the operating system.
//!
//! | module | what it holds |
//! |---|---|
//! | [`scope`] | [`Scope`], [`Scopes`]: what may be done |
//! | [`caller`] | [`Caller`]: who asks, and what they may do |
//! | [`key`] | [`SecretKey`], [`KeyId`], [`KeyHash`]: the form of an API key |
//! | [`key_ring`] | [`KeyRing`]: all keys, looked up by id |
//! | [`jwks`] | [`KeySet`]: the public keys of an issuer |
//! | [`token`] | [`Tokens`]: JWTs of trusted issuers |
//! | [`limit`] | [`Limiter`]: how often; bounded |
//! | [`proxy`] | [`TrustedProxies`]: whose word about a client's address is believed |
//! | [`ticket`] | [`Tickets`]: one use each, for browsers |
//! | [`doors`] | [`Doors`]: all of it together: who is let in, and why not |
//! | [`entropy`] | random bytes of the operating system |
//! | [`config`] | [`AuthConfig`] and [`LimitsConfig`] |
//! | `base62`, `verify` | letters and digits from random bytes; signatures |

mod base62;
pub mod caller;
pub mod config;
pub mod doors;
pub mod entropy;
pub mod jwks;
pub mod key;
pub mod key_ring;
pub mod limit;
pub mod proxy;
pub mod scope;
pub mod ticket;
pub mod token;
mod verify;

#[cfg(test)]
mod forged;
#[cfg(test)]
mod mutated;
#[cfg(test)]
mod signer;

pub use caller::{Caller, Who};
pub use config::{AuthConfig, IssuerConfig, LimitsConfig, QuotaConfig};
pub use doors::{Credential, Doors, Grant, Passage, Refused};
pub use entropy::Entropy;
pub use jwks::{JwksError, KeySet};
pub use key::{KeyHash, KeyId, KeyTextError, SecretKey};
pub use key_ring::{Key, KeyRefused, KeyRing};
pub use limit::{Exhausted, Left, Limiter, Quota};
pub use proxy::{Network, ProxyHeader, TrustedProxies};
pub use scope::{Scope, ScopeError, Scopes};
pub use ticket::{TicketText, Tickets};
pub use token::{TokenRefused, Tokens};
