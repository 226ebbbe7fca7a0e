//! The sources, the help, the explanation of a pair.

use super::{Look, Scene};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table};

const HELP: [(&str, &str); 11] = [
    ("q, Esc", "quit; Esc closes or clears first what is open"),
    ("j k, arrows", "move; PgUp PgDn by pages, g G to the ends"),
    ("Enter", "explain the pair: path, legs, every source"),
    ("/", "search pairs and sources"),
    ("o", "order: as asked, name, change, age, state"),
    ("s", "sources"),
    ("p", "pause the rows; ages go on"),
    ("Ctrl-L", "draw everything anew"),
    ("change", "since this view began; 1 h: since an hour ago"),
    ("age", "since the oldest price of it was true"),
    (
        "STALE!",
        "too old: not to be used; anything in capitals is wrong",
    ),
];

pub(super) fn sources(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>) {
    let now = scene.model.time(scene.now);
    let look = scene.look;
    let rows = scene.model.sources.iter().map(|source| {
        let style = match source.state.as_str() {
            "live" => look.good(),
            _ => look.loud(),
        };
        let state = match source.state.as_str() {
            "live" => "live".to_owned(),
            other => format!("{}!", other.to_uppercase()),
        };
        let age = source.last_message_at.map(|at| {
            let age = now.since(at).as_millis();
            super::lasting(std::time::Duration::from_millis(
                u64::try_from(age).unwrap_or(u64::MAX),
            ))
        });
        Row::new([
            Cell::from(source.name.clone()),
            Cell::from(Line::styled(state, style)),
            Cell::from(source.mode.clone()),
            Cell::from(Line::from(age.unwrap_or_default()).right_aligned()),
            Cell::from(source.why.clone()),
        ])
    });
    let names = scene.model.sources.iter().map(|source| source.name.len());
    let longest = u16::try_from(names.max().unwrap_or(0).clamp(6, 21)).unwrap_or(21);
    let widths = [
        Constraint::Length(longest),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    let headings = ["source", "state", "by", "age", "why"];
    let headings =
        Row::new(headings.map(Cell::from)).style(look.soft().add_modifier(Modifier::UNDERLINED));
    let block = Block::new().borders(match area.width < frame.area().width {
        true => Borders::LEFT,
        false => Borders::TOP,
    });
    let block = match look.is_plain {
        true => block.border_set(PLAIN),
        false => block,
    };
    let table = Table::new(rows, widths)
        .header(headings)
        .column_spacing(1)
        .block(block.border_style(look.soft()));
    frame.render_widget(table, area);
}

/// Borders of ASCII.
const PLAIN: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

pub(super) fn help(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let lines = HELP.iter().map(|(key, what)| {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Line::from(vec![
            Span::styled(format!(" {key:<13}"), bold),
            Span::raw((*what).to_owned()),
        ])
    });
    boxed(frame, area, look, " keys ", lines.collect(), 0);
}

pub(super) fn detail(
    frame: &mut Frame<'_>,
    area: Rect,
    look: Look,
    (pair, lines, scroll): (&str, Option<&[String]>, usize),
) {
    let lines = match lines {
        None => vec![Line::from(" asking the server")],
        Some(lines) => {
            let lines = lines.iter().map(|line| Line::from(format!(" {line}")));
            lines.collect()
        }
    };
    boxed(frame, area, look, &format!(" {pair} "), lines, scroll);
}

/// Lines in a box over the middle of an area.
fn boxed(
    frame: &mut Frame<'_>,
    area: Rect,
    look: Look,
    title: &str,
    lines: Vec<Line<'_>>,
    scroll: usize,
) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let size = |count: usize, most: u16| u16::try_from(count).unwrap_or(u16::MAX).min(most);
    let width = size(widest.max(title.len() + 2) + 3, area.width);
    let height = size(lines.len() + 2, area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::new().borders(Borders::ALL).title(title.to_owned());
    let block = match look.is_plain {
        true => block.border_set(PLAIN),
        false => block,
    };
    let text = Paragraph::new(lines)
        .block(block)
        .scroll((u16::try_from(scroll).unwrap_or(u16::MAX), 0));
    frame.render_widget(Clear, place);
    frame.render_widget(text, place);
}
