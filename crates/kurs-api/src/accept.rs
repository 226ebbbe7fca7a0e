//! Content negotiation (RFC 9110 section 12): the media type and the coding a client wants.

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderValue};

/// A weight in thousandths, so that no float is needed: `q=0.25` is 250.
type Weight = u16;
const FULL: Weight = 1_000;

/// Elements of all list-valued fields of one name, with their parameters still on them.
fn elements<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a str> {
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .take(64)
}

/// Splits `gzip;q=0.5` into the value and its weight. A weight that cannot be read counts as 0.
fn weighted(element: &str) -> (&str, Weight) {
    let mut parts = element.split(';').map(str::trim);
    let value = parts.next().unwrap_or("");
    let weight = parts.find_map(|part| {
        let (name, number) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("q")
            .then(|| weight(number.trim()).unwrap_or(0))
    });
    (value, weight.unwrap_or(FULL))
}

fn weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL),
        _ => None,
    }
}

/// The best of the offered media types, the earlier one when the client does not care. `None`
/// when `Accept` excludes all of them.
pub(crate) fn media_type(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    if !headers.contains_key(ACCEPT) {
        return offered.first().copied();
    }
    let wanted: Vec<_> = elements(headers.get_all(ACCEPT).iter())
        .map(weighted)
        .collect();
    if wanted.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(&'static str, Weight)> = None;
    for media in offered {
        let weight = media_weight(media, &wanted);
        if weight > 0 && best.is_none_or(|(_, so_far)| weight > so_far) {
            best = Some((media, weight));
        }
    }
    best.map(|(media, _)| media)
}

/// The weight of the most specific range that covers the type.
fn media_weight(media: &str, wanted: &[(&str, Weight)]) -> Weight {
    let plain = media.split(';').next().unwrap_or(media);
    let main = plain.split('/').next().unwrap_or(plain);
    let mut found = (0_u8, 0);
    for (range, weight) in wanted {
        let specific = if range.eq_ignore_ascii_case(plain) {
            3
        } else if range
            .strip_suffix("/*")
            .is_some_and(|range| range.eq_ignore_ascii_case(main))
        {
            2
        } else if *range == "*/*" {
            1
        } else {
            continue;
        };
        if specific > found.0 {
            found = (specific, *weight);
        }
    }
    found.1
}

/// Ways to compress a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Zstandard.
    Zstd,
    /// Brotli.
    Brotli,
    /// Gzip.
    Gzip,
}

impl Coding {
    /// In order of preference when the client has none.
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The name in `Content-Encoding`.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The coding the client likes best; `None` for the body as it is.
pub(crate) fn coding(headers: &HeaderMap) -> Option<Coding> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return None;
    }
    let wanted: Vec<_> = elements(headers.get_all(ACCEPT_ENCODING).iter())
        .map(weighted)
        .collect();
    let weight_of = |names: &[&str], absent: Weight| {
        let named = wanted
            .iter()
            .find(|(name, _)| names.iter().any(|own| name.eq_ignore_ascii_case(own)));
        let any = wanted.iter().find(|(name, _)| *name == "*");
        named.or(any).map_or(absent, |(_, weight)| *weight)
    };
    // Identity is acceptable unless excluded, but a coding that is named is preferred to it.
    let identity = wanted
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("identity"))
        .map_or(0, |(_, weight)| *weight);
    let mut best: Option<(Coding, Weight)> = None;
    for coding in Coding::ALL {
        let names: &[&str] = if coding == Coding::Gzip {
            &["gzip", "x-gzip"]
        } else {
            &[coding.name()]
        };
        let weight = weight_of(names, 0);
        if weight > 0 && weight >= identity && best.is_none_or(|(_, so_far)| weight > so_far) {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 3] = [
        "application/json",
        "application/x-ndjson",
        "text/csv; charset=utf-8",
    ];

    fn media(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        media_type(&headers, &OFFERED).map(|media| media.split(';').next().unwrap())
    }

    #[test]
    fn the_media_type_follows_weight_and_specificity() {
        for (accept, expect) in [
            ("*/*", Some("application/json")),
            ("", Some("application/json")),
            ("text/csv", Some("text/csv")),
            ("TEXT/CSV", Some("text/csv")),
            ("text/*", Some("text/csv")),
            ("application/*;q=0.5, text/csv;q=0.9", Some("text/csv")),
            ("application/json;q=0, */*", Some("application/x-ndjson")),
            ("text/html, application/xhtml+xml", None),
            ("*/*;q=0", None),
            ("application/json;q=nonsense", None),
            ("application/json; charset=utf-8", Some("application/json")),
        ] {
            assert_eq!(media(accept), expect, "{accept}");
        }
        assert_eq!(
            media_type(&HeaderMap::new(), &OFFERED),
            Some("application/json")
        );
    }

    #[test]
    fn the_coding_follows_weight() {
        for (accept, expect) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("br;q=0, gzip;q=0.001", Some(Coding::Gzip)),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("*", Some(Coding::Zstd)),
            ("*;q=0", None),
            ("deflate", None),
            ("x-gzip", Some(Coding::Gzip)),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
            assert_eq!(coding(&headers), expect, "{accept}");
        }
        assert_eq!(coding(&HeaderMap::new()), None);
    }
}
