//! Paths from their text.

use super::{Condition, Step, Target, TreePath};
use crate::http_source::cursor::{Cursor, PathError};

impl TreePath {
    /// Reads `/a/b` and `//b` (from the document), `b`, `a/b`, `.//b`, `@c` (from the row), with
    /// conditions in brackets. A name with odd letters stands in quotes.
    ///
    /// # Errors
    /// [`PathError`] with the place of the mistake.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut cursor = Cursor::new(text)?;
        let from_document = cursor.at('/');
        let mut everywhere = cursor.take_word("//");
        if !everywhere {
            cursor.take('/');
        }
        let mut steps = Vec::new();
        loop {
            let target = target(&mut cursor)?;
            let is_last = matches!(target, Target::Attribute(_));
            steps.push(Step { everywhere, target });
            if cursor.is_at_end() {
                return Ok(Self {
                    from_document,
                    steps,
                });
            }
            if is_last {
                return Err(cursor.expected("the end after an attribute"));
            }
            everywhere = cursor.take_word("//");
            if !everywhere && !cursor.take('/') {
                return Err(cursor.expected("/ or [ or the end"));
            }
        }
    }
}

fn target(cursor: &mut Cursor<'_>) -> Result<Target, PathError> {
    if cursor.take('@') {
        let name = name(cursor, "the name of an attribute")?;
        return Ok(Target::Attribute(name));
    }
    let name = if cursor.take('*') || cursor.at('[') {
        None
    } else {
        match name(cursor, "a name, *, @ or [")? {
            dot if dot == "." => return Ok(Target::Itself),
            name => Some(name),
        }
    };
    let mut conditions = Vec::new();
    while cursor.take('[') {
        cursor.skip_blanks();
        conditions.push(condition(cursor)?);
        cursor.skip_blanks();
        if !cursor.take(']') {
            return Err(cursor.expected("]"));
        }
    }
    Ok(Target::Children { name, conditions })
}

fn name(cursor: &mut Cursor<'_>, expected: &str) -> Result<String, PathError> {
    match cursor.quoted()? {
        Some(name) => Ok(name),
        None => cursor.element_name(expected),
    }
}

fn condition(cursor: &mut Cursor<'_>) -> Result<Condition, PathError> {
    let expected = "a number, last(), name='text', @name='text' or .='text'";
    if cursor.take_word("last()") {
        return Ok(Condition::Last);
    }
    if cursor.take('@') {
        let name = name(cursor, "the name of an attribute")?;
        return Ok(Condition::Attribute(name, maybe_equal_to(cursor)?));
    }
    let name = name(cursor, expected)?;
    if name == "." {
        return Ok(Condition::Text(equal_to(cursor)?));
    }
    cursor.skip_blanks();
    // A column may be called 1: only a lone number is a position.
    match name.parse::<usize>() {
        Ok(0) if !cursor.at('=') => Err(cursor.expected("a number from 1 before")),
        Ok(position) if !cursor.at('=') => Ok(Condition::Position(position)),
        _ => Ok(Condition::Child(name, maybe_equal_to(cursor)?)),
    }
}

/// What it must be, if the condition says so; without, it must only be there.
fn maybe_equal_to(cursor: &mut Cursor<'_>) -> Result<Option<String>, PathError> {
    cursor.skip_blanks();
    if cursor.at(']') {
        return Ok(None);
    }
    equal_to(cursor).map(Some)
}

fn equal_to(cursor: &mut Cursor<'_>) -> Result<String, PathError> {
    cursor.skip_blanks();
    if !cursor.take('=') {
        return Err(cursor.expected("="));
    }
    cursor.skip_blanks();
    let text = cursor.quoted()?;
    text.ok_or_else(|| cursor.expected("a text in quotes"))
}
