//! Secrets inside values that are otherwise shown: passwords and keys in URLs.

use kurs_telemetry::secret::REDACTED;

/// Query parameters of URLs that carry keys.
const SECRET_PARAMETERS: [&str; 9] = [
    "app_id",
    "apikey",
    "api_key",
    "key",
    "token",
    "access_key",
    "access_token",
    "secret",
    "password",
];

/// The text with the password of a URL and the values of its key-like parameters replaced.
/// Anything but a URL comes back as it is.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    // The last @ separates: a password may hold one itself.
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{REDACTED}@{host}"),
            None => format!("{user}@{host}"),
        },
        None => authority.to_owned(),
    };
    let mut shown = format!("{scheme}://{authority}{path}");
    if let Some(query) = query {
        let parameters: Vec<String> = query
            .split('&')
            .map(|parameter| match parameter.split_once('=') {
                Some((name, _))
                    if SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) =>
                {
                    format!("{name}={REDACTED}")
                }
                _ => parameter.to_owned(),
            })
            .collect();
        shown.push('?');
        shown.push_str(&parameters.join("&"));
    }
    shown
}

/// True when [`redact_url`] would replace something. The place of a key, `{key}`, is none.
#[must_use]
pub fn carries_secret(text: &str) -> bool {
    let text = text.replace("{key}", REDACTED);
    redact_url(&text) != text
}

#[cfg(test)]
mod tests {
    use super::{carries_secret, redact_url};

    #[test]
    fn passwords_and_keys_in_urls_are_not_shown() {
        for (text, expect) in [
            (
                "postgres://kurs:can@ary@db:5432/kurs",
                "postgres://kurs:***@db:5432/kurs",
            ),
            (
                "https://api.example/x?app_id=canary&base=USD",
                "https://api.example/x?app_id=***&base=USD",
            ),
            ("nats://host:4222", "nats://host:4222"),
            ("sqlite:kurs.db", "sqlite:kurs.db"),
            ("redis://:canary@host", "redis://:***@host"),
        ] {
            assert_eq!(redact_url(text), expect);
            assert_eq!(carries_secret(text), text != expect, "{text}");
        }
    }
}
