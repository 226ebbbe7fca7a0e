//! Query strings.

/// The decoded parameters of a query, in order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// A longer query has its rest ignored.
const PARAMETERS_MAX: usize = 64;

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let parts = text
            .split('&')
            .filter(|part| !part.is_empty())
            .take(PARAMETERS_MAX);
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        };
        Self(parts.map(pair).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A comma list, empty parts left out.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        self.get(key)
            .unwrap_or("")
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .collect()
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }
}

/// Percent-decodes; `+` is a space; what cannot be decoded stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let hex = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("symbols=%5B%22A%22%2C%22B%22%5D&x=a+b&empty&bad=%zz");
        assert_eq!(query.get("symbols"), Some(r#"["A","B"]"#));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.get("empty"), Some(""));
        assert_eq!(query.get("bad"), Some("%zz"));
    }

    proptest! {
        #[test]
        fn no_query_panics(text in any::<String>()) {
            let _ = Query::parse(&text).list("ids");
        }
    }
}
