//! What is wrong with a rule, and where.

use super::syntax::Span;
use std::fmt::Write as _;

/// Of a longer rule only the part around the mistake is shown, in characters.
const SHOWN_MAX: usize = 120;
/// So much of that stands before the mistake.
const SHOWN_BEFORE: usize = 40;
/// Longest word that is repeated in a sentence, in characters.
const WORD_MAX: usize = 40;
/// Stands for what is left out.
const CUT: &str = "...";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMistake {
    /// Where in the text.
    pub span: Span,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl RuleMistake {
    /// A mistake at this place.
    #[must_use]
    pub fn at(span: Span, what: impl Into<String>) -> Self {
        Self {
            span,
            what: what.into(),
        }
    }

    /// The column of the first wrong character, from 1, counted in characters.
    #[must_use]
    pub fn column(&self, text: &str) -> usize {
        characters(text, 0, self.span.start) + 1
    }

    /// `column 8: there is no source krakn`, then the rule, or of a long one the part around the
    /// place, and a line that points at the place.
    #[must_use]
    pub fn show(&self, text: &str) -> String {
        let column = self.column(text);
        let length = characters(text, self.span.start, self.span.end).max(1);
        let mut shown = format!("column {column}: {}", self.what);
        let count = text.chars().count();
        let start = if count > SHOWN_MAX {
            (column - 1)
                .saturating_sub(SHOWN_BEFORE)
                .min(count - SHOWN_MAX)
        } else {
            0
        };
        let end = count.min(start + SHOWN_MAX);
        // What is no plain character would break the line, or not be one column wide.
        let plain: String = text
            .chars()
            .skip(start)
            .take(end - start)
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let before = if start > 0 { CUT } else { "" };
        let behind = if end < count { CUT } else { "" };
        let room = end.saturating_sub(column - 1).max(1);
        let _ = write!(
            shown,
            "\n      {before}{plain}{behind}\n      {}{}",
            " ".repeat(before.len() + column - 1 - start),
            "^".repeat(length.min(room))
        );
        shown
    }
}

/// Characters between two byte positions, wherever these are.
fn characters(text: &str, from: usize, to: usize) -> usize {
    text.char_indices()
        .filter(|(at, _)| (from..to).contains(at))
        .count()
}

/// A word as far as it can be repeated in a sentence.
pub(super) fn short(word: &str) -> String {
    match word.char_indices().nth(WORD_MAX) {
        Some((end, _)) => format!("{}{CUT}", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    }
}

/// `; did you mean kraken?` for a name that is nearly one of these.
pub(super) fn nearest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let best = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(written, name), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match best {
        Some((likeness, name)) if likeness > 0.8 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}
