//! What is answered to a server that asks who is there.

use crate::Address;
use async_nats::{Auth, AuthError};
use std::path::PathBuf;

pub(crate) struct Login {
    user: Option<String>,
    password: Option<String>,
    credentials: Option<PathBuf>,
}

impl Login {
    pub(crate) fn new(address: &Address, credentials: Option<PathBuf>) -> Self {
        Self {
            user: address.user.clone(),
            password: address.password.clone(),
            credentials,
        }
    }

    /// The answer to a server's challenge. The file is read each time, so that it may be
    /// renewed.
    pub(crate) fn answer(&self, challenge: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match (&self.credentials, &self.user, &self.password) {
            (Some(file), _, _) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    AuthError::new(format!("the credentials file {}: {error}", file.display()))
                })?;
                let (token, signature) = signed(&text, challenge).ok_or_else(|| {
                    AuthError::new(format!(
                        "the credentials file {} holds no JWT and seed",
                        file.display()
                    ))
                })?;
                (auth.jwt, auth.signature) = (Some(token), Some(signature));
            }
            // One word alone is a token.
            (None, Some(token), None) => auth.token = Some(token.clone()),
            (None, user, password) => {
                (auth.username, auth.password) = (user.clone(), password.clone());
            }
        }
        Ok(auth)
    }
}

/// The JWT of a credentials file, and the challenge signed with its seed.
fn signed(text: &str, challenge: &[u8]) -> Option<(String, Vec<u8>)> {
    let token = between(text, "NATS USER JWT")?;
    let pair = nkeys::KeyPair::from_seed(between(text, "USER NKEY SEED")?).ok()?;
    Some((token.to_owned(), pair.sign(challenge).ok()?))
}

/// The line after `-----BEGIN what-----`.
fn between<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let begin = format!("BEGIN {what}");
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains(&begin))?;
    lines.next().filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_signs_the_challenge() {
        let pair = nkeys::KeyPair::new_user();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\nabc.def\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            pair.seed().unwrap()
        );
        let (token, signature) = signed(&text, b"challenge").unwrap();
        assert_eq!(token, "abc.def");
        pair.verify(b"challenge", &signature).unwrap();
        assert!(signed("nothing", b"challenge").is_none());
    }
}
