//! Data to standard output, messages to standard error.

use std::io::{IsTerminal, Write};

/// How a command shows what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Aligned, for people.
    Text,
    /// One record per line, values separated by tabs, no headings: for scripts.
    Plain,
    /// JSON as the server gave it.
    Json,
}

/// Where a command writes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// How data is shown.
    pub form: Form,
    /// No messages but errors.
    pub quiet: bool,
    /// Colour on standard output.
    pub color: bool,
}

/// Whether colours are wanted at all: no `NO_COLOR`, and a terminal that knows them.
#[must_use]
pub fn color_wanted() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no_color && !dumb
}

impl Output {
    /// Output of this process.
    #[must_use]
    pub fn new(form: Form, quiet: bool) -> Self {
        Self {
            form,
            quiet,
            color: color_wanted() && std::io::stdout().is_terminal(),
        }
    }

    /// Writes data.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn data(&self, text: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }

    /// Says something that is not data, unless `--quiet`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Rows under headings: aligned as text, tab-separated and without headings when plain.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
        self.data(&self.table_text(headings, rows))
    }

    /// What [`Output::table`] writes.
    #[must_use]
    pub fn table_text(&self, headings: &[&str], rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| clean(cell)).collect())
            .collect();
        match self.form {
            Form::Plain => rows
                .iter()
                .map(|row| row.join("\t") + "\n")
                .collect::<String>(),
            _ => aligned(headings, &rows),
        }
    }

    /// `text` with a colour that says how good a state is.
    #[must_use]
    pub fn state(&self, word: &str) -> String {
        let word = clean(word);
        if !self.color {
            return word;
        }
        let color = match word.as_str() {
            "fresh" | "live" | "ok" => "32",
            "stale" | "suspect" | "syncing" | "degraded" => "33",
            _ => "31",
        };
        format!("\x1b[{color}m{word}\x1b[0m")
    }
}

/// Says something on standard error, whatever the settings.
pub fn complain(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The text without characters that could drive a terminal: it came from a server.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn aligned(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let missing = width.saturating_sub(cell.chars().count());
                format!("{cell}{}", " ".repeat(missing))
            })
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// `1.2 s`, `3 min`: an age for people. Whole numbers only; exactness is in the JSON.
#[must_use]
pub fn age(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", milliseconds / 60_000),
        3_600_000..172_800_000 => format!("{} h", milliseconds / 3_600_000),
        _ => format!("{} days", milliseconds / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let rows = [
            vec!["binance".to_owned(), "live".to_owned()],
            vec!["cbr".into(), "".into()],
        ];
        assert_eq!(
            aligned(&["source", "state"], &rows),
            "source   state\nbinance  live\ncbr\n"
        );
    }

    #[test]
    fn ages_are_short() {
        for (milliseconds, expect) in [
            (0, "0 ms"),
            (1_250, "1.2 s"),
            (61_000, "1 min"),
            (7_200_000, "2 h"),
            (200_000_000, "2 days"),
        ] {
            assert_eq!(age(milliseconds), expect);
        }
    }

    #[test]
    fn what_a_server_says_cannot_drive_the_terminal() {
        assert!(!clean("a\u{1b}[31mb\u{9b}c\r").chars().any(char::is_control));
    }
}
