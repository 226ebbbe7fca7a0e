//! What is set while kurs runs, and who changed what: the routes under `/api/v1/admin`.

pub(crate) mod audit;
mod body;
pub(crate) mod keys;
pub(crate) mod settings;

use crate::call::Call;
use kurs_auth::{Caller, Who};
use kurs_bus::Actor;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest body of a change, in bytes.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;

/// How a stored setting stands in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingStanding {
    /// Why it is not in force; `None`: it is.
    pub why_not: Option<String>,
    /// What the configuration says without it, and where; `None`: nothing.
    pub configured: Option<(Value, String)>,
}

/// What this process knows of the settings beyond the store.
pub trait SettingsInForce: Send + Sync {
    /// The version that was taken over last; `None` before the first, or where none is ever.
    fn version(&self) -> Option<u64>;

    /// How each setting stands, by its key.
    fn standings(&self) -> BTreeMap<Arc<str>, SettingStanding>;

    /// What may be set: keys, with a star for one part of any name.
    fn may_be_set(&self) -> &'static [&'static str];

    /// Asks for a look at the store, without waiting for it.
    fn look(&self);
}

/// Who asks, for the audit log.
pub(crate) fn actor(call: &Call, why: Option<&str>) -> Actor {
    Actor {
        who: who(&call.caller),
        address: Some(call.peer.to_canonical().to_string().into()),
        why: why.map(Arc::from),
    }
}

/// A caller as the audit log names them. Only whoever is on the server's own machine is let in
/// without saying who they are.
fn who(caller: &Caller) -> Arc<str> {
    match &caller.who {
        Who::Anonymous => "loopback".into(),
        Who::Key(id) => format!("key:{}", id.as_str()).into(),
        Who::Token { issuer, subject } => format!("token:{issuer}/{subject}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_auth::Scopes;

    #[test]
    fn whoever_asks_has_a_name_for_the_log() {
        let named = |asks: Who| {
            let caller = Caller {
                who: asks,
                scopes: Scopes::NONE,
                expires_at: None,
            };
            who(&caller).to_string()
        };
        assert_eq!(named(Who::Anonymous), "loopback");
        assert_eq!(named(Who::Key("3kTMd92x".parse().unwrap())), "key:3kTMd92x");
        let token = Who::Token {
            issuer: "https://id.example".into(),
            subject: "ops".into(),
        };
        assert_eq!(named(token), "token:https://id.example/ops");
    }
}
