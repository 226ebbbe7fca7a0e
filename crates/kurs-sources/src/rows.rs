//! Rows of a JSON list, read one after the other without being collected.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Reads `text` as a list and hands over its rows in order; nothing may follow the list.
///
/// # Errors
/// When the text is no such list. Rows before the mistake were handed over.
pub(crate) fn each<'de, T: Deserialize<'de>>(
    text: &'de str,
    take: impl FnMut(T),
) -> Result<(), serde_json::Error> {
    all(
        text,
        Each {
            take,
            row: PhantomData,
        },
    )
}

/// Reads the whole of `text` by a seed.
///
/// # Errors
/// When the text is not what the seed reads, or goes on behind it.
pub(crate) fn all<'de, S: DeserializeSeed<'de>>(
    text: &'de str,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

struct Each<T, F> {
    take: F,
    row: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            (self.take)(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (bool, Vec<u32>) {
        let mut rows = Vec::new();
        let done = each(text, |row| rows.push(row)).is_ok();
        (done, rows)
    }

    #[test]
    fn rows_are_handed_over_in_order_and_nothing_may_follow() {
        assert_eq!(read(" [1, 2,3] "), (true, vec![1, 2, 3]));
        assert_eq!(read("[]"), (true, vec![]));
        for text in ["", "{}", "[1", "[1]]", "[1],[2]", "[-1]", "null"] {
            assert!(!read(text).0, "{text}");
        }
    }
}
