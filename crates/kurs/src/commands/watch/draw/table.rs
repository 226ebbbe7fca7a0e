//! The table of rates. Columns come with the width; the line of the past takes what is left.

use super::super::model::Row as Pair;
use super::super::view::View;
use super::{Look, Scene};
use crate::output::age;
use kurs_core::Wall;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// Digits of a price in the table; all of them stand in the explanation.
const DIGITS: u32 = 10;
const DIGITS_WIDE: u32 = 15;
/// The narrowest line of the past.
const TREND_MIN: u16 = 8;
const TREND_MAX: u16 = 40;

/// Columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Pair,
    Value,
    Bid,
    Ask,
    Start,
    Hour,
    Age,
    State,
    Source,
    Trend,
}

impl Column {
    const fn heading(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Value => "value",
            Self::Bid => "bid",
            Self::Ask => "ask",
            Self::Start => "change",
            Self::Hour => "1 h",
            Self::Age => "age",
            Self::State => "state",
            Self::Source => "source",
            Self::Trend => "",
        }
    }

    const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Value | Self::Bid | Self::Ask | Self::Start | Self::Hour | Self::Age
        )
    }
}

/// Draws the rows that fit, the selected one among them.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, view: &mut View) {
    let now = scene.model.time(scene.now);
    let rows = view.rows(scene.model, now);
    if rows.is_empty() {
        let text = match view.search.is_empty() {
            true => "no pairs",
            false => "no pair or source is called so; Esc shows all again",
        };
        let text = Paragraph::new(text).alignment(Alignment::Center);
        frame.render_widget(text, area);
        return;
    }
    let selected = view.place(&rows);
    let (columns, widths) = columns(area.width, &rows);
    let begin = scene.model.trend_begin(now);
    let digits = digits(area.width);
    let values = aligned(&rows, |row| (&row.text, row.value), digits);
    let bids = aligned(&rows, |row| (&row.bid, row.bid.parse().ok()), digits);
    let asks = aligned(&rows, |row| (&row.ask, row.ask.parse().ok()), digits);
    let texts = values.iter().zip(&bids).zip(&asks);
    let lines: Vec<Row<'_>> = rows
        .iter()
        .zip(texts)
        .map(|(row, ((value, bid), ask))| {
            let context = Context {
                row,
                look: scene.look,
                now,
                begin,
            };
            let cells = columns.iter().zip(&widths).map(|(column, width)| {
                let line = match column {
                    Column::Value => context.value(value),
                    Column::Bid => Line::from(bid.clone()),
                    Column::Ask => Line::from(ask.clone()),
                    other => context.line(*other, *width),
                };
                let is_number = column.is_number();
                Cell::from(if is_number {
                    line.right_aligned()
                } else {
                    line
                })
            });
            Row::new(cells.collect::<Vec<Cell<'_>>>())
        })
        .collect();
    let minutes = (now.unix_seconds() - begin + 59) / 60;
    let headings = columns.iter().map(|column| {
        let text = match column {
            Column::Trend => format!("last {} min", minutes.max(1)),
            other => other.heading().to_owned(),
        };
        let line = Line::from(text);
        Cell::from(if column.is_number() {
            line.right_aligned()
        } else {
            line
        })
    });
    let headings = Row::new(headings.collect::<Vec<Cell<'_>>>())
        .style(scene.look.soft().add_modifier(Modifier::UNDERLINED));
    let mark = if scene.look.is_plain { "> " } else { "▸ " };
    let table = Table::new(lines, widths.iter().map(|width| Constraint::Length(*width)))
        .header(headings)
        .column_spacing(1)
        .highlight_symbol(mark)
        .row_highlight_style(Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED));
    let mut state = TableState::default().with_selected(Some(selected));
    frame.render_stateful_widget(table, area, &mut state);
    view.page = usize::from(area.height.saturating_sub(1)).max(1);
}

const fn digits(width: u16) -> u32 {
    if width >= 110 { DIGITS_WIDE } else { DIGITS }
}

/// The columns for this width, and the width of each.
fn columns(width: u16, rows: &[&Pair]) -> (Vec<Column>, Vec<u16>) {
    let longest = |text: fn(&Pair) -> &str, least: usize, most: usize| {
        let lengths = rows.iter().map(|row| text(row).chars().count());
        let length = lengths.max().unwrap_or(0).clamp(least, most);
        u16::try_from(length).unwrap_or(0)
    };
    let digits = digits(width);
    let price = |cell: fn(&Pair) -> (&String, Option<Decimal>)| {
        let cells = aligned(rows, cell, digits);
        let length = cells.iter().map(|cell| cell.chars().count()).max();
        u16::try_from(length.unwrap_or(0).clamp(5, 24)).unwrap_or(24)
    };
    // Two more for the mark of the last move.
    let value = price(|row| (&row.text, row.value)) + 2;
    let mut all = vec![
        (Column::Pair, longest(|row| &row.pair, 7, 17)),
        (Column::Value, value),
        (Column::Bid, price(|row| (&row.bid, row.bid.parse().ok()))),
        (Column::Ask, price(|row| (&row.ask, row.ask.parse().ok()))),
        (Column::Start, 9),
        (Column::Hour, 9),
        (Column::Age, 6),
        (Column::State, 8),
        (Column::Source, longest(|row| &row.source, 6, 21)),
        (Column::Trend, TREND_MIN),
    ];
    // What is least needed goes first. The mark of the selection takes two.
    let needed = |all: &[(Column, u16)]| {
        let widths: u16 = all.iter().map(|(_, width)| width + 1).sum();
        widths + 2
    };
    for spare in [
        Column::Bid,
        Column::Ask,
        Column::Hour,
        Column::Trend,
        Column::Source,
        Column::Start,
        Column::Age,
    ] {
        if needed(&all) <= width + 1 {
            break;
        }
        // Bid and ask come and go together.
        all.retain(|(column, _)| {
            *column != spare && !(spare == Column::Bid && *column == Column::Ask)
        });
    }
    let left = (width + 1).saturating_sub(needed(&all));
    if let Some((_, trend)) = all.iter_mut().find(|(column, _)| *column == Column::Trend) {
        *trend = (*trend + left).min(TREND_MAX);
    }
    all.into_iter().unzip()
}

/// Prices with at most this many digits, their points below each other.
fn aligned(
    rows: &[&Pair],
    cell: impl Fn(&Pair) -> (&String, Option<Decimal>),
    digits: u32,
) -> Vec<String> {
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            let (text, value) = cell(row);
            let long = text.bytes().filter(u8::is_ascii_digit).count();
            let rounded = value
                .filter(|_| long > usize::try_from(digits).unwrap_or(usize::MAX))
                .and_then(|value| value.round_sf(digits));
            rounded.map_or_else(|| text.clone(), |value| value.normalize().to_string())
        })
        .collect();
    let fraction = |text: &str| text.split_once('.').map_or(0, |(_, part)| part.len() + 1);
    let longest = texts.iter().map(|text| fraction(text)).max().unwrap_or(0);
    texts
        .into_iter()
        .map(|text| {
            let missing = longest - fraction(&text);
            text + &" ".repeat(missing)
        })
        .collect()
}

/// What the cells of a row are made from.
struct Context<'a> {
    row: &'a Pair,
    look: Look,
    now: Wall,
    begin: i64,
}

impl Context<'_> {
    /// The value, and which way it went.
    fn value(&self, text: &str) -> Line<'static> {
        let (mark, style) = match (self.row.moved, self.look.is_plain) {
            (Ordering::Greater, false) => (" ▲", self.look.good()),
            (Ordering::Less, false) => (" ▼", self.look.bad()),
            (Ordering::Greater, true) => (" +", self.look.good()),
            (Ordering::Less, true) => (" -", self.look.bad()),
            (Ordering::Equal, _) => ("  ", Style::new()),
        };
        Line::from(vec![Span::raw(text.to_owned()), Span::styled(mark, style)])
    }

    fn line(&self, column: Column, width: u16) -> Line<'static> {
        let row = self.row;
        match column {
            Column::Pair => Line::from(row.pair.clone()),
            Column::Start => self.change(row.changes(self.now)[0]),
            Column::Hour => self.change(row.changes(self.now)[1]),
            Column::Age => Line::from(row.age_ms(self.now).map(short_age).unwrap_or_default()),
            Column::State => self.state(),
            Column::Source => match row.why.is_empty() {
                true => Line::from(row.source.clone()),
                false => Line::styled(row.why.clone(), self.look.bad()),
            },
            Column::Trend => {
                let now = self.now.unix_seconds();
                let width = usize::from(width);
                let line = row.trend.line(self.begin, now, width, self.look.is_plain);
                Line::styled(line, self.look.style(ratatui::style::Color::Cyan))
            }
            Column::Value | Column::Bid | Column::Ask => Line::default(),
        }
    }

    fn change(&self, percent: Option<Decimal>) -> Line<'static> {
        let Some(percent) = percent else {
            return Line::default();
        };
        let (sign, style) = match percent.cmp(&Decimal::ZERO) {
            Ordering::Greater => ("+", self.look.good()),
            Ordering::Less => ("-", self.look.bad()),
            Ordering::Equal => ("", Style::new()),
        };
        Line::styled(format!("{sign}{:.2} %", percent.abs()), style)
    }

    /// Only what is fresh is written small.
    fn state(&self) -> Line<'static> {
        match self.row.state_at(self.now) {
            "fresh" => Line::styled("fresh", self.look.good()),
            "" => Line::styled("-", self.look.soft()),
            state => Line::styled(format!("{}!", state.to_uppercase()), self.look.loud()),
        }
    }
}

/// An age in at most six characters that does not flicker: tenths of seconds only when old.
fn short_age(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => "<1 s".to_owned(),
        1_000..60_000 => format!("{} s", milliseconds / 1_000),
        _ => age(milliseconds),
    }
}
