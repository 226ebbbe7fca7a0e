//! Paths from their text.

use super::{Comparison, Condition, JsonPath, Literal, Segment, Selector};
use crate::http_source::cursor::{Cursor, PathError};

impl JsonPath {
    /// Reads `/a/0` (JSON Pointer, from the document), `$.a[0]` (JSONPath, from the document),
    /// `@.a` or `a.b` (JSONPath, from the row).
    ///
    /// # Errors
    /// [`PathError`] with the place of the mistake.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut cursor = Cursor::new(text)?;
        if text.starts_with('/') {
            return pointer(&mut cursor);
        }
        let from_document = cursor.take('$');
        let mut path = Self {
            from_document,
            segments: Vec::new(),
        };
        if !from_document && !cursor.take('@') {
            if text == "." {
                return Ok(path);
            }
            // `a.b` is `@.a.b`.
            if !cursor.at('[') {
                let first = cursor.word("a name, such as rate")?;
                path.segments.push(Segment::child(Selector::Name(first)));
            }
        }
        segments(&mut cursor, &mut path, true)?;
        if cursor.is_at_end() {
            Ok(path)
        } else {
            Err(cursor.expected(". or [ or the end"))
        }
    }
}

impl Segment {
    fn child(selector: Selector) -> Self {
        Self {
            everywhere: false,
            selectors: vec![selector],
        }
    }
}

fn pointer(cursor: &mut Cursor<'_>) -> Result<JsonPath, PathError> {
    let mut segments = Vec::new();
    // RFC 6901 would have it be a member without a name; who writes it means XML.
    if cursor.take_word("//") {
        return Err(cursor.expected("$.. in place of // in JSON"));
    }
    while cursor.take('/') {
        let mut token = String::new();
        while let Some(letter) = cursor.next_unless('/') {
            token.push(match letter {
                '~' if cursor.take('0') => '~',
                '~' if cursor.take('1') => '/',
                '~' => return Err(cursor.expected("0 or 1 after ~, as in ~1 for /")),
                other => other,
            });
        }
        segments.push(Segment::child(Selector::Token(token)));
    }
    Ok(JsonPath {
        from_document: true,
        segments,
    })
}

/// As many segments as there are. Filters have paths of their own, which have none.
fn segments(cursor: &mut Cursor<'_>, path: &mut JsonPath, filters: bool) -> Result<(), PathError> {
    loop {
        let everywhere = cursor.take_word("..");
        let selectors = if !everywhere && cursor.take('.') || everywhere && !cursor.at('[') {
            if cursor.take('*') {
                vec![Selector::All]
            } else {
                vec![Selector::Name(cursor.word("a name or *")?)]
            }
        } else if cursor.take('[') {
            let mut selectors = Vec::new();
            loop {
                cursor.skip_blanks();
                selectors.push(selector(cursor, filters)?);
                cursor.skip_blanks();
                if cursor.take(']') {
                    break;
                }
                if !cursor.take(',') {
                    return Err(cursor.expected(", or ]"));
                }
            }
            selectors
        } else {
            return Ok(());
        };
        path.segments.push(Segment {
            everywhere,
            selectors,
        });
    }
}

fn selector(cursor: &mut Cursor<'_>, filters: bool) -> Result<Selector, PathError> {
    if cursor.take('*') {
        return Ok(Selector::All);
    }
    if let Some(name) = cursor.quoted()? {
        return Ok(Selector::Name(name));
    }
    if cursor.at('?') {
        if !filters {
            return Err(cursor.expected("no filter within a filter"));
        }
        cursor.take('?');
        return filter(cursor);
    }
    let start = cursor.integer()?;
    cursor.skip_blanks();
    if !cursor.take(':') {
        let index = start.ok_or_else(|| cursor.expected("a name in quotes, a number, * or ?"))?;
        return Ok(Selector::Index(index));
    }
    cursor.skip_blanks();
    let end = cursor.integer()?;
    cursor.skip_blanks();
    let step = if cursor.take(':') {
        cursor.skip_blanks();
        cursor.integer()?.unwrap_or(1)
    } else {
        1
    };
    Ok(Selector::Slice { start, end, step })
}

fn filter(cursor: &mut Cursor<'_>) -> Result<Selector, PathError> {
    let mut conditions = Vec::new();
    loop {
        cursor.skip_blanks();
        if !cursor.take('@') {
            return Err(cursor.expected("@, as in ?@.code == 'USD'"));
        }
        let mut path = JsonPath {
            from_document: false,
            segments: Vec::new(),
        };
        segments(cursor, &mut path, false)?;
        cursor.skip_blanks();
        let test = match comparison(cursor) {
            Some(comparison) => {
                cursor.skip_blanks();
                Some((comparison, literal(cursor)?))
            }
            None => None,
        };
        conditions.push(Condition { path, test });
        cursor.skip_blanks();
        if !cursor.take_word("&&") {
            return Ok(Selector::Filter(conditions));
        }
    }
}

fn comparison(cursor: &mut Cursor<'_>) -> Option<Comparison> {
    // Longer ones first.
    let words = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Different),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    words
        .into_iter()
        .find(|(word, _)| cursor.take_word(word))
        .map(|(_, comparison)| comparison)
}

fn literal(cursor: &mut Cursor<'_>) -> Result<Literal, PathError> {
    if let Some(text) = cursor.quoted()? {
        return Ok(Literal::Text(text));
    }
    for (word, literal) in [
        ("null", Literal::Null),
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
    ] {
        if cursor.take_word(word) {
            return Ok(literal);
        }
    }
    let number = cursor.number();
    if kurs_core::price::parse_decimal(&number).is_err() {
        return Err(cursor.expected("a text in quotes, a number, true, false or null"));
    }
    Ok(Literal::Number(number))
}
