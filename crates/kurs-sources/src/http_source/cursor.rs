//! Reads the text of a path letter by letter and says where it is wrong.

use super::limits::MAX_PATH;
use thiserror::Error;

/// A path that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// At a letter, counted from 1.
    #[error("at letter {at}: expected {expected}")]
    At {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: String,
    },
    /// Nothing is written.
    #[error("is empty")]
    Empty,
    /// Longer than any path need be.
    #[error("is longer than {MAX_PATH} letters")]
    TooLong,
}

/// A place in the text of a path.
#[derive(Debug)]
pub struct Cursor<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    /// At the first letter.
    ///
    /// # Errors
    /// [`PathError`] for a text that is empty or too long.
    pub fn new(text: &'t str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        Ok(Self { text, rest: text })
    }

    /// What is wrong here.
    #[must_use]
    pub fn expected(&self, what: &str) -> PathError {
        let before = self.text.len() - self.rest.len();
        let letters = self.text.get(..before).unwrap_or_default().chars().count();
        PathError::At {
            at: letters + 1,
            expected: what.to_owned(),
        }
    }

    /// True when nothing is left.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// True when this letter is next.
    #[must_use]
    pub fn at(&self, letter: char) -> bool {
        self.rest.starts_with(letter)
    }

    /// Steps over this letter if it is next.
    pub fn take(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Steps over these letters if they are next.
    pub fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The next letter, unless it is this one.
    pub fn next_unless(&mut self, stop: char) -> Option<char> {
        let letter = self.rest.chars().next().filter(|letter| *letter != stop)?;
        self.rest = self.rest.get(letter.len_utf8()..).unwrap_or_default();
        Some(letter)
    }

    /// Steps over blanks.
    pub fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> String {
        let rest = self.rest.trim_start_matches(accepts);
        let taken = self.rest.get(..self.rest.len() - rest.len());
        let taken = taken.unwrap_or_default().to_owned();
        self.rest = rest;
        taken
    }

    /// A name without quotes: everything up to a letter that has a meaning of its own.
    ///
    /// # Errors
    /// When there is none.
    pub fn word(&mut self, expected: &str) -> Result<String, PathError> {
        let word = self.take_while(|letter| {
            !letter.is_whitespace() && !"./[]()'\",:;?@$&|=<>!*".contains(letter)
        });
        if word.is_empty() {
            return Err(self.expected(expected));
        }
        Ok(word)
    }

    /// A name of an element: as [`word`](Self::word), dots and colons included.
    ///
    /// # Errors
    /// When there is none.
    pub fn element_name(&mut self, expected: &str) -> Result<String, PathError> {
        let word = self.take_while(|letter| {
            !letter.is_whitespace() && !"/[]()'\",;?@$&|=<>!*".contains(letter)
        });
        if word.is_empty() {
            return Err(self.expected(expected));
        }
        Ok(word)
    }

    /// A text in single or double quotes; a backslash makes the next letter plain. `None` when
    /// no quote is next.
    ///
    /// # Errors
    /// When the quotes are not closed.
    pub fn quoted(&mut self) -> Result<Option<String>, PathError> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Ok(None);
        };
        self.take(quote);
        let mut text = String::new();
        while let Some(letter) = self.next_unless(quote) {
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let Some(plain) = self.rest.chars().next() else {
                break;
            };
            self.take(plain);
            text.push(plain);
        }
        if self.take(quote) {
            Ok(Some(text))
        } else {
            Err(self.expected(&format!("a closing {quote}")))
        }
    }

    /// A whole number. `None` when neither digit nor minus is next.
    ///
    /// # Errors
    /// When it is out of all proportion.
    pub fn integer(&mut self) -> Result<Option<i64>, PathError> {
        let digits = self.take_while(|letter| letter.is_ascii_digit() || letter == '-');
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse::<i64>() {
            // No list is longer, and sums of such numbers stay in range.
            Ok(number) if number.unsigned_abs() < 1 << 32 => Ok(Some(number)),
            _ => Err(self.expected("a smaller whole number before")),
        }
    }

    /// The letters of a number, whatever they make.
    pub fn number(&mut self) -> String {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    }
}
