//! CSV and NDJSON.

use super::Sheet;
use super::tables::{Cell, Column};
use crate::exit::Failure;
use kurs_core::Wall;
use std::io::Write;

/// RFC 4180 with a line of headings.
pub(super) struct Csv<W> {
    to: W,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(mut to: W, columns: &[Column]) -> Result<Self, Failure> {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        write!(to, "{}\r\n", names.join(","))?;
        Ok(Self { to })
    }
}

impl<W: Write> Sheet for Csv<W> {
    fn row(&mut self, cells: &[Cell]) -> Result<(), Failure> {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.to.write_all(b",")?;
            }
            match cell {
                Cell::Nothing => {}
                Cell::Text(text) if text.contains([',', '"', '\r', '\n']) => {
                    write!(self.to, "\"{}\"", text.replace('"', "\"\""))?;
                }
                Cell::Text(text) => self.to.write_all(text.as_bytes())?,
                Cell::Time(time) => self.to.write_all(in_microseconds(*time).as_bytes())?,
                Cell::Number(number) => write!(self.to, "{number}")?,
                Cell::Whole(number) => write!(self.to, "{number}")?,
            }
        }
        self.to.write_all(b"\r\n")?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }
}

/// A JSON document per line; decimal numbers as texts, as everywhere in kurs.
pub(super) struct Ndjson<W> {
    to: W,
    columns: &'static [Column],
}

impl<W: Write> Ndjson<W> {
    pub(super) fn new(to: W, columns: &'static [Column]) -> Self {
        Self { to, columns }
    }
}

impl<W: Write> Sheet for Ndjson<W> {
    fn row(&mut self, cells: &[Cell]) -> Result<(), Failure> {
        let mut is_first = true;
        for (column, cell) in self.columns.iter().zip(cells) {
            let begin = if is_first { '{' } else { ',' };
            match cell {
                Cell::Nothing => continue,
                Cell::Text(text) => {
                    write!(self.to, "{begin}\"{}\":", column.name)?;
                    serde_json::to_writer(&mut self.to, text).map_err(std::io::Error::from)?;
                }
                Cell::Time(time) => {
                    let time = in_microseconds(*time);
                    write!(self.to, "{begin}\"{}\":\"{time}\"", column.name)?;
                }
                Cell::Number(number) => {
                    write!(self.to, "{begin}\"{}\":\"{number}\"", column.name)?;
                }
                Cell::Whole(number) => write!(self.to, "{begin}\"{}\":{number}", column.name)?,
            }
            is_first = false;
        }
        self.to.write_all(if is_first { b"{}\n" } else { b"}\n" })?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }
}

/// RFC 3339 in UTC, to the microsecond.
fn in_microseconds(time: Wall) -> String {
    let text = time.to_string();
    let below = time.0.rem_euclid(1_000);
    match text.strip_suffix('Z') {
        Some(milliseconds) => format!("{milliseconds}{below:03}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::Kind;
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    const COLUMNS: &[Column] = &[
        Column {
            name: "what",
            kind: Kind::Text,
            optional: true,
        },
        Column {
            name: "at",
            kind: Kind::Time,
            optional: false,
        },
        Column {
            name: "value",
            kind: Kind::Number,
            optional: false,
        },
    ];

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn rows() -> [Vec<Cell>; 2] {
        let at = Cell::Time(Wall(1_723_161_255_208_123));
        let value = || Cell::Number("0.10".parse().unwrap());
        [
            vec![Cell::Text("a \"b\", c".to_owned()), at.clone(), value()],
            vec![Cell::Nothing, at, value()],
        ]
    }

    fn written(sheet: impl FnOnce(Paper) -> Box<dyn Sheet>) -> String {
        let paper = Paper::default();
        let mut sheet = sheet(paper.clone());
        for row in rows() {
            sheet.row(&row).unwrap();
        }
        sheet.finish().unwrap();
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn csv_quotes_what_must_be_quoted_and_keeps_all_digits() {
        assert_eq!(
            written(|paper| Box::new(Csv::new(paper, COLUMNS).unwrap())),
            "what,at,value\r\n\"a \"\"b\"\", c\",2024-08-08T23:54:15.208123Z,0.10\r\n\
             ,2024-08-08T23:54:15.208123Z,0.10\r\n"
        );
    }

    #[test]
    fn each_line_of_ndjson_is_a_document_of_what_is_there() {
        let text = written(|paper| Box::new(Ndjson::new(paper, COLUMNS)));
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["what"], "a \"b\", c");
        assert_eq!(lines[1].get("what"), None);
        assert_eq!(lines[1]["value"], "0.10");
    }
}
