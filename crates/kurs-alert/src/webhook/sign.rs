//! Secrets and signatures.

use ring::hmac;
use std::fmt::Write as _;

/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// What a secret begins with, so that it is known where it is found.
const PREFIX: &str = "kurs_whsec_";

/// A secret from random bytes.
#[must_use]
pub fn secret(random: [u8; SECRET_BYTES]) -> String {
    format!("{PREFIX}{}", hex(&random))
}

/// HMAC-SHA256 of `<at>.<body>` in hexadecimal digits, by the secret as it is written.
#[must_use]
pub fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{at}.").as_bytes());
    context.update(body);
    hex(context.sign().as_ref())
}

/// The header: `t=<unix seconds>,v1=<signature>`.
#[must_use]
pub fn header(secret: &str, at: i64, body: &[u8]) -> String {
    format!("t={at},v1={}", signature(secret, at, body))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by Python: `hmac.new(b"kurs_whsec_00", b"1700000000.{}", "sha256").hexdigest()`.
    #[test]
    fn a_signature_is_that_of_other_programs() {
        assert_eq!(
            header("kurs_whsec_00", 1_700_000_000, b"{}"),
            "t=1700000000,v1=dfed595eb645c9bfa34646471d1bbbd03087574172ac0abe774d9c7de53f57f3"
        );
    }

    #[test]
    fn a_signature_holds_for_its_time_body_and_secret_only() {
        let right = signature("s", 1, b"body");
        for other in [
            signature("t", 1, b"body"),
            signature("s", 2, b"body"),
            signature("s", 1, b"bodz"),
        ] {
            assert_ne!(right, other);
        }
    }

    #[test]
    fn a_secret_says_what_it_is() {
        let secret = secret([0xab; SECRET_BYTES]);
        assert!(secret.starts_with("kurs_whsec_abab"), "{secret}");
        assert_eq!(secret.len(), 11 + 64);
    }
}
