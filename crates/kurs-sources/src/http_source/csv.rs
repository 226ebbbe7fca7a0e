//! CSV (RFC 4180) into elements: a `row` for every line, in it an element for every cell, named
//! as the heading of its column.

use super::limits::MAX_NODES;
use super::tree::Element;
use crate::decode::DecodeError;

/// How a CSV document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvStyle {
    /// Between cells; `None`: what the first line has most of.
    pub delimiter: Option<char>,
    /// True when the first line names the columns.
    pub header: bool,
}

/// Delimiters that are looked for, the likelier ones first.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Name of a cell's element where no heading names it.
const CELL: &str = "cell";

/// Reads a document. The element that is returned has no name and holds the rows.
///
/// # Errors
/// [`DecodeError::Format`] when quotes are not closed, and for more cells than any rate service
/// sends.
pub fn read(text: &str, style: CsvStyle) -> Result<Element, DecodeError> {
    let delimiter = style.delimiter.unwrap_or_else(|| most_frequent(text));
    let mut lines = Lines {
        rest: text,
        delimiter,
        nodes_left: MAX_NODES,
    };
    let mut names: Vec<String> = Vec::new();
    if style.header {
        let headings = lines.next()?.unwrap_or_default();
        names.extend(headings.iter().map(|text| text.trim().to_owned()));
    }
    let mut document = Element::default();
    while let Some(cells) = lines.next()? {
        // A blank line is no row.
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let children = cells.into_iter().enumerate().map(|(column, text)| Element {
            name: names.get(column).map_or(CELL, String::as_str).to_owned(),
            text,
            ..Element::default()
        });
        document.children.push(Element {
            name: "row".to_owned(),
            children: children.collect(),
            ..Element::default()
        });
    }
    Ok(document)
}

fn most_frequent(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: &char| first.matches(*delimiter).count();
    // Of equals the last one wins: reversed, that is the likeliest.
    let best = DELIMITERS
        .iter()
        .rev()
        .max_by_key(|delimiter| count(delimiter));
    best.copied().unwrap_or(',')
}

struct Lines<'t> {
    rest: &'t str,
    delimiter: char,
    nodes_left: usize,
}

impl Lines<'_> {
    /// The cells of the next line; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<String>>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut cells = Vec::new();
        loop {
            self.nodes_left = self
                .nodes_left
                .checked_sub(1)
                .ok_or_else(|| DecodeError::Format(format!("more than {MAX_NODES} cells")))?;
            cells.push(self.cell()?);
            if let Some(rest) = self.rest.strip_prefix(self.delimiter) {
                self.rest = rest;
                continue;
            }
            let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            return Ok(Some(cells));
        }
    }

    fn cell(&mut self) -> Result<String, DecodeError> {
        let mut cell = String::new();
        if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            loop {
                let (inside, rest) = self
                    .rest
                    .split_once('"')
                    .ok_or_else(|| DecodeError::Format("no CSV: a quote is not closed".into()))?;
                cell.push_str(inside);
                self.rest = rest;
                // Two quotes stand for one.
                let Some(rest) = self.rest.strip_prefix('"') else {
                    break;
                };
                cell.push('"');
                self.rest = rest;
            }
        }
        let ends = [self.delimiter, '\n', '\r'];
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (plain, rest) = self.rest.split_at(end);
        cell.push_str(plain);
        self.rest = rest;
        Ok(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WITH_HEADER: CsvStyle = CsvStyle {
        delimiter: None,
        header: true,
    };

    fn shown(text: &str, style: CsvStyle) -> Vec<String> {
        let document = read(text, style).unwrap();
        let row = |row: &Element| {
            let cells: Vec<String> = row
                .children
                .iter()
                .map(|cell| format!("{}={}", cell.name, cell.text))
                .collect();
            cells.join(" ")
        };
        document.children.iter().map(row).collect()
    }

    #[test]
    fn columns_have_their_headings_and_any_usual_delimiter() {
        let expect = ["code=USD sell=93.5", "code=EUR sell=101"];
        for delimiter in [",", ";", "\t", "|"] {
            let text = "code,sell\r\nUSD,93.5\r\n\r\nEUR,101".replace(',', delimiter);
            assert_eq!(shown(&text, WITH_HEADER), expect, "{delimiter:?}");
        }
    }

    #[test]
    fn quotes_hold_delimiters_lines_and_quotes() {
        let text = "code;\"the \"\"rate\"\"\"\n\"U\nS;D\";\"93,5\"\n";
        assert_eq!(shown(text, WITH_HEADER), ["code=U\nS;D the \"rate\"=93,5"]);
        assert!(read("a,\"b", WITH_HEADER).is_err());
    }

    #[test]
    fn without_headings_and_beyond_them_cells_are_called_cell() {
        let bare = CsvStyle {
            delimiter: Some(' '),
            header: false,
        };
        assert_eq!(shown("USD 93,5", bare), ["cell=USD cell=93,5"]);
        assert_eq!(shown("a\n1,2", WITH_HEADER), ["a=1 cell=2"]);
        assert_eq!(shown("a,\n1,2,3", WITH_HEADER), ["a=1 =2 cell=3"]);
    }

    #[test]
    fn huge_documents_are_refused() {
        let text = ",".repeat(MAX_NODES + 1);
        assert!(read(&text, WITH_HEADER).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c,;\"\r\n\t ]{0,60}", header in any::<bool>()) {
            let style = CsvStyle { delimiter: None, header };
            let _ = read(&text, style);
        }
    }
}
