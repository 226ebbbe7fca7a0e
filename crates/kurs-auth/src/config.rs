//! Settings: who may ask, and how often.

use crate::key::is_environment;
use crate::limit::Quota;
use crate::scope::{Scope, Scopes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most trusted issuers.
const ISSUERS_MAX: usize = 32;

/// The section `auth` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// What may be done without a key: `read`, `history`, `stream`; empty: nothing. `admin` is
    /// never among them: as long as there is no key, changes are accepted from the server's own
    /// machine; from the first key on by key or token alone.
    pub anonymous: Vec<Scope>,
    /// The word in new keys that tells where they belong, such as `live` or `test`.
    pub environment: String,
    /// Whose tokens (JWT) are trusted, by a name of your own: [auth.issuers.NAME].
    pub issuers: BTreeMap<String, IssuerConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            anonymous: vec![Scope::Read, Scope::History, Scope::Stream],
            environment: "live".to_owned(),
            issuers: BTreeMap::new(),
        }
    }
}

/// A trusted issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerConfig {
    /// The claim `iss` of its tokens, letter by letter.
    pub issuer: String,
    /// What the claim `aud` of its tokens must name.
    pub audience: String,
    /// Its public keys, a JSON Web Key Set: an `https://` URL (`http://` on this machine only) or
    /// the path of a file.
    pub jwks: String,
    /// How often the keys are read again, seconds.
    pub refresh_seconds: u32,
    /// The claim that names the roles of a caller: a list of words, or words with spaces between
    /// them. A dot leads into a table, such as `realm_access.roles`.
    pub roles_claim: String,
    /// What each role may do, such as `viewer = ["read", "stream"]`. A role that is not named here
    /// may do nothing.
    pub roles: BTreeMap<String, Vec<Scope>>,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            jwks: String::new(),
            refresh_seconds: 600,
            roles_claim: "scope".to_owned(),
            roles: BTreeMap::new(),
        }
    }
}

impl AuthConfig {
    /// What may be done without a key.
    #[must_use]
    pub fn anonymous(&self) -> Scopes {
        let scopes = self.anonymous.iter().copied();
        scopes.filter(|scope| *scope != Scope::Admin).collect()
    }

    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.anonymous.contains(&Scope::Admin) {
            mistakes.push("auth.anonymous: admin needs a key or a token".to_owned());
        }
        if !is_environment(&self.environment) {
            mistakes.push(format!(
                "auth.environment: {:?} is not 1 to 12 small letters and digits",
                self.environment
            ));
        }
        if self.issuers.len() > ISSUERS_MAX {
            mistakes.push(format!("auth.issuers: more than {ISSUERS_MAX}"));
        }
        for (name, issuer) in &self.issuers {
            issuer.validate(&format!("auth.issuers.{name}"), mistakes);
            let same = |(other, config): &(&String, &IssuerConfig)| {
                *other < name && config.issuer == issuer.issuer && !issuer.issuer.is_empty()
            };
            if let Some((other, _)) = self.issuers.iter().find(same) {
                mistakes.push(format!(
                    "auth.issuers.{name}.issuer: the same as that of auth.issuers.{other}"
                ));
            }
        }
    }
}

impl IssuerConfig {
    /// True when the keys come over the network.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.jwks.contains("://")
    }

    fn validate(&self, path: &str, mistakes: &mut Vec<String>) {
        let needed = [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("jwks", &self.jwks),
            ("roles_claim", &self.roles_claim),
        ];
        for (key, value) in needed {
            if value.is_empty() {
                mistakes.push(format!("{path}.{key}: is needed"));
            }
        }
        if self.is_remote() && !is_safe_url(&self.jwks) {
            mistakes.push(format!(
                "{path}.jwks: only https:// can be trusted (http:// on this machine)"
            ));
        }
        if !(10..=86_400).contains(&self.refresh_seconds) {
            mistakes.push(format!(
                "{path}.refresh_seconds: {} is not within 10..86400",
                self.refresh_seconds
            ));
        }
        if self.roles.is_empty() {
            mistakes.push(format!(
                "{path}.roles: without any, its tokens may do nothing; such as viewer = [\"read\"]"
            ));
        }
    }
}

/// Nobody between here and there can put keys of their own in.
fn is_safe_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return url.starts_with("https://");
    };
    let host = rest.split('/').next().unwrap_or("");
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The section `limits` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Of each IPv4 address or IPv6 /64 network that names no key.
    pub anonymous: QuotaConfig,
    /// Of each key, and of each subject of a token.
    pub key: QuotaConfig,
    /// Wrong keys and tokens of each address or network.
    pub failures: QuotaConfig,
    /// Whether the server's own machine is counted as well. Set it where a proxy runs there that
    /// is not among `http.trusted_proxies`.
    pub loopback: bool,
    /// Callers that are remembered at a time.
    pub remembered: usize,
}

/// So many requests in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Requests; 0: any number.
    pub requests: u32,
    /// In so many seconds.
    pub window_seconds: u32,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            requests: 600,
            window_seconds: 60,
        }
    }
}

impl QuotaConfig {
    /// The quota; `None` when there is no limit.
    #[must_use]
    pub const fn quota(self) -> Option<Quota> {
        if self.requests == 0 {
            return None;
        }
        Some(Quota {
            requests: self.requests,
            window_seconds: self.window_seconds,
        })
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            anonymous: QuotaConfig::default(),
            key: QuotaConfig {
                requests: 6_000,
                window_seconds: 60,
            },
            failures: QuotaConfig {
                requests: 60,
                window_seconds: 60,
            },
            loopback: false,
            remembered: 100_000,
        }
    }
}

impl LimitsConfig {
    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let quotas = [
            ("anonymous", self.anonymous),
            ("key", self.key),
            ("failures", self.failures),
        ];
        for (name, quota) in quotas {
            if quota.requests > 1_000_000_000 {
                mistakes.push(format!(
                    "limits.{name}.requests: {} is more than 1000000000",
                    quota.requests
                ));
            }
            if !(1..=86_400).contains(&quota.window_seconds) {
                mistakes.push(format!(
                    "limits.{name}.window_seconds: {} is not within 1..86400",
                    quota.window_seconds
                ));
            }
        }
        if !(100..=10_000_000).contains(&self.remembered) {
            mistakes.push(format!(
                "limits.remembered: {} is not within 100..10000000",
                self.remembered
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_let_everybody_read() {
        let mut mistakes = Vec::new();
        AuthConfig::default().validate(&mut mistakes);
        LimitsConfig::default().validate(&mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        let anonymous = AuthConfig::default().anonymous();
        assert_eq!(anonymous.to_string(), "read history stream");
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let config: AuthConfig = serde_json::from_value(serde_json::json!({
            "anonymous": ["read", "admin"],
            "environment": "Live!",
            "issuers": {
                "a": {"issuer": "x", "audience": "kurs", "jwks": "http://keys.example/jwks",
                      "roles": {"r": ["read"]}, "refresh_seconds": 1},
                "b": {"issuer": "x", "jwks": "keys.json"},
            },
        }))
        .unwrap();
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        let keys: Vec<&str> = mistakes
            .iter()
            .filter_map(|text| text.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "auth.anonymous",
                "auth.environment",
                "auth.issuers.a.jwks",
                "auth.issuers.a.refresh_seconds",
                "auth.issuers.b.audience",
                "auth.issuers.b.roles",
                "auth.issuers.b.issuer",
            ]
        );
        assert!(!config.anonymous().has(Scope::Admin));
        let limits = LimitsConfig {
            key: QuotaConfig {
                requests: u32::MAX,
                window_seconds: 0,
            },
            remembered: 1,
            ..LimitsConfig::default()
        };
        let mut mistakes = Vec::new();
        limits.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }

    #[test]
    fn keys_of_issuers_come_over_safe_ways_only() {
        for url in [
            "https://keys.example/x",
            "http://127.0.0.1:8/x",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(is_safe_url(url), "{url}");
        }
        for url in [
            "http://keys.example",
            "ftp://keys.example",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
        ] {
            assert!(!is_safe_url(url), "{url}");
        }
    }
}
