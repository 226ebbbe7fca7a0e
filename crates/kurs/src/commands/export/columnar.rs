//! Parquet. Decimal numbers are DECIMAL(38, 24): exact for up to 14 digits before and 24 behind
//! the point; a number that does not fit ends the export, it is never rounded.

use super::Sheet;
use super::tables::{Cell, Column, Kind};
use crate::exit::{Exit, Failure};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rust_decimal::Decimal;
use std::fs::File;
use std::sync::Arc;

/// Digits behind the point.
const SCALE: u32 = 24;
/// Rows that are compressed together; what is held in memory.
const GROUP_ROWS: usize = 65_536;
const ZSTD_LEVEL: i32 = 3;

/// One column of the rows that wait.
enum Values {
    Texts(Vec<ByteArray>),
    Wholes(Vec<i64>),
    Numbers(Vec<FixedLenByteArray>),
}

struct Waiting {
    optional: bool,
    values: Values,
    /// 1 for a row that has a value, 0 for one that has none.
    present: Vec<i16>,
}

/// A Parquet file that is being written.
pub(super) struct Columnar {
    writer: SerializedFileWriter<File>,
    columns: Vec<Waiting>,
    names: Vec<&'static str>,
    rows: usize,
}

impl Columnar {
    pub(super) fn new(file: File, columns: &[Column]) -> Result<Self, Failure> {
        let fields: Vec<String> = columns.iter().map(field).collect();
        let schema = format!("message kurs {{ {} }}", fields.join(" "));
        let schema = parse_message_type(&schema).map_err(failure)?;
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failure)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("kurs {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            writer: writer.map_err(failure)?,
            columns: columns.iter().map(waiting).collect(),
            names: columns.iter().map(|column| column.name).collect(),
            rows: 0,
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut columns = self.columns.iter_mut();
        while let (Some(mut writer), Some(column)) = (group.next_column()?, columns.next()) {
            let present = column.optional.then_some(column.present.as_slice());
            match &mut column.values {
                Values::Texts(texts) => {
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(texts, present, None)?;
                    texts.clear();
                }
                Values::Wholes(wholes) => {
                    writer
                        .typed::<Int64Type>()
                        .write_batch(wholes, present, None)?;
                    wholes.clear();
                }
                Values::Numbers(numbers) => {
                    let numbers_writer = writer.typed::<FixedLenByteArrayType>();
                    numbers_writer.write_batch(numbers, present, None)?;
                    numbers.clear();
                }
            }
            column.present.clear();
            writer.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Sheet for Columnar {
    fn row(&mut self, cells: &[Cell]) -> Result<(), Failure> {
        for ((column, name), cell) in self.columns.iter_mut().zip(&self.names).zip(cells) {
            let is_there = *cell != Cell::Nothing;
            column.present.push(i16::from(is_there));
            match (&mut column.values, cell) {
                (_, Cell::Nothing) => {}
                (Values::Texts(texts), Cell::Text(text)) => {
                    texts.push(ByteArray::from(text.as_str()));
                }
                (Values::Wholes(wholes), Cell::Whole(number)) => wholes.push(*number),
                (Values::Wholes(wholes), Cell::Time(time)) => wholes.push(time.0),
                (Values::Numbers(numbers), Cell::Number(number)) => {
                    let bytes = fixed(*number).ok_or_else(|| does_not_fit(name, *number))?;
                    numbers.push(FixedLenByteArray::from(bytes.to_vec()));
                }
                _ => return Err(failure(format!("{name} holds something else"))),
            }
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group().map_err(failure)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        self.write_group().map_err(failure)?;
        self.writer.finish().map_err(failure)?;
        Ok(())
    }
}

fn failure(error: impl ToString) -> Failure {
    Failure::new(Exit::Failure, error.to_string())
}

fn does_not_fit(name: &str, number: Decimal) -> Failure {
    let why = format!("{name} {number} does not fit DECIMAL(38, {SCALE}): use csv or ndjson");
    Failure::new(Exit::Failure, why)
}

fn field(column: &Column) -> String {
    let repetition = if column.optional {
        "OPTIONAL"
    } else {
        "REQUIRED"
    };
    let name = column.name;
    match column.kind {
        Kind::Text => format!("{repetition} BYTE_ARRAY {name} (STRING);"),
        Kind::Time => format!("{repetition} INT64 {name} (TIMESTAMP(MICROS,true));"),
        Kind::Whole => format!("{repetition} INT64 {name};"),
        Kind::Number => {
            format!("{repetition} FIXED_LEN_BYTE_ARRAY(16) {name} (DECIMAL(38,{SCALE}));")
        }
    }
}

fn waiting(column: &Column) -> Waiting {
    Waiting {
        optional: column.optional,
        values: match column.kind {
            Kind::Text => Values::Texts(Vec::new()),
            Kind::Time | Kind::Whole => Values::Wholes(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
        },
        present: Vec::new(),
    }
}

/// The number in units of the last digit, as sixteen bytes, most significant first.
fn fixed(number: Decimal) -> Option<[u8; 16]> {
    const MOST: i128 = 10_i128.pow(38) - 1;
    let number = number.normalize();
    let zeros = SCALE.checked_sub(number.scale())?;
    let units = number.mantissa().checked_mul(10_i128.checked_pow(zeros)?)?;
    (-MOST..=MOST).contains(&units).then(|| units.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::Wall;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    #[test]
    fn numbers_are_exact_or_refused() {
        let units = |text: &str| fixed(text.parse().unwrap()).map(i128::from_be_bytes);
        assert_eq!(units("1.50"), Some(15 * 10_i128.pow(23)));
        assert_eq!(units("0.000000000000000000000001"), Some(1));
        assert_eq!(units("0.0000000000000000000000001"), None);
        assert_eq!(
            units("99999999999999.9"),
            Some(999_999_999_999_999 * 10_i128.pow(23))
        );
        assert_eq!(units("100000000000000"), None);
    }

    #[test]
    fn a_file_of_several_groups_is_read_back_as_it_was_written() {
        const COLUMNS: &[Column] = &[
            Column {
                name: "pair",
                kind: Kind::Text,
                optional: false,
            },
            Column {
                name: "at",
                kind: Kind::Time,
                optional: false,
            },
            Column {
                name: "bid",
                kind: Kind::Number,
                optional: true,
            },
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut sheet = Box::new(Columnar::new(File::create(&path).unwrap(), COLUMNS).unwrap());
        let rows = i64::try_from(GROUP_ROWS).unwrap() + 10;
        for n in 0..rows {
            let bid = match n % 3 {
                0 => Cell::Nothing,
                _ => Cell::Number(Decimal::new(n, 2)),
            };
            sheet
                .row(&[Cell::Text("BTC-USD".to_owned()), Cell::Time(Wall(n)), bid])
                .unwrap();
        }
        sheet.finish().unwrap();
        let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(file.num_row_groups(), 2);
        let mut count = 0;
        for (n, row) in (0..).zip(file.get_row_iter(None).unwrap()) {
            let row = row.unwrap().to_string();
            let bid = match n % 3 {
                0 => "null".to_owned(),
                _ => format!("{}", Decimal::new(n, 2)),
            };
            if n < 5 || n > rows - 5 {
                assert!(row.contains("BTC-USD"), "{row}");
                assert!(row.contains(&format!("bid: {bid}")), "{n}: {row}");
            }
            count += 1;
        }
        assert_eq!(count, rows);
    }
}
