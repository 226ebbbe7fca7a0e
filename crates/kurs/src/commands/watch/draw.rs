//! The model as a screen. Nothing is told by colour alone: what is wrong is written in capitals.

mod panels;
mod table;

use super::model::{Link, Model};
use super::view::{Over, View};
use crate::output::age;
use kurs_core::Now;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::Duration;

/// The sources stand beside the table from this width on.
const WIDE: u16 = 140;
/// What the sources take beside the table.
const SIDE: u16 = 60;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Colours.
    pub(super) color: bool,
    /// Nothing beyond ASCII.
    pub(super) is_plain: bool,
}

impl Look {
    /// Something good, bad, noteworthy or unimportant.
    fn style(self, color: Color) -> Style {
        match self.color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.style(Color::Green)
    }

    fn bad(self) -> Style {
        self.style(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn soft(self) -> Style {
        self.style(Color::DarkGray)
    }

    /// What has to be seen at once.
    fn loud(self) -> Style {
        let style = match self.color {
            true => Style::new().fg(Color::Black).bg(Color::Yellow),
            false => Style::new().add_modifier(Modifier::REVERSED),
        };
        style.add_modifier(Modifier::BOLD)
    }

    const fn dot(self) -> &'static str {
        match self.is_plain {
            true => " | ",
            false => " · ",
        }
    }
}

/// What is drawn, and for whom.
pub(super) struct Scene<'a> {
    pub(super) model: &'a Model,
    pub(super) server: &'a str,
    pub(super) look: Look,
    pub(super) now: Now,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, view: &mut View) {
    let area = frame.area();
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    view.is_wide = area.width >= WIDE;
    draw_head(frame, head, scene, view);
    let with_sources = view.sources.unwrap_or(view.is_wide);
    let rows = u16::try_from(scene.model.sources.len()).unwrap_or(u16::MAX);
    let (main, side) = match (with_sources, view.is_wide) {
        (false, _) => (body, None),
        (true, true) => {
            let areas = Layout::horizontal([Constraint::Fill(1), Constraint::Length(SIDE)]);
            let [main, side] = areas.areas(body);
            (main, Some(side))
        }
        (true, false) => {
            // At most half: the rates come first.
            let height = rows.saturating_add(2).min(body.height / 2);
            let areas = Layout::vertical([Constraint::Fill(1), Constraint::Length(height)]);
            let [main, side] = areas.areas(body);
            (main, Some(side))
        }
    };
    table::draw(frame, main, scene, view);
    if let Some(side) = side {
        panels::sources(frame, side, scene);
    }
    draw_foot(frame, foot, scene, view);
    match &view.over {
        Some(Over::Help) => panels::help(frame, body, scene.look),
        Some(Over::Detail {
            pair,
            lines,
            scroll,
        }) => panels::detail(frame, body, scene.look, (pair, lines.as_deref(), *scroll)),
        None => {}
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, view: &View) {
    let [first, second] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = Line::from(vec![
        Span::styled(" kurs watch", bold),
        Span::styled(format!("  {}", scene.server), scene.look.soft()),
    ]);
    frame.render_widget(Paragraph::new(title), first);
    if scene.model.is_simulated() {
        let mark = Span::styled(" SIMULATED PRICES ", scene.look.loud());
        let width = 18.min(first.width);
        let place = Rect {
            x: first.right().saturating_sub(width),
            width,
            ..first
        };
        let mark = Paragraph::new(Line::from(mark)).alignment(Alignment::Right);
        frame.render_widget(mark, place);
    }
    frame.render_widget(Paragraph::new(status(scene, view)), second);
}

/// The connection, the rows, and how they are looked at, in one line.
fn status(scene: &Scene<'_>, view: &View) -> Line<'static> {
    let Scene {
        model, look, now, ..
    } = scene;
    let mut parts: Vec<Span<'static>> = Vec::new();
    let dot = || Span::styled(look.dot(), look.soft());
    parts.push(Span::raw(" "));
    match &model.link {
        Link::Opening => parts.push(Span::raw("connecting")),
        Link::Live { since, degraded } => {
            let lasts = lasting(now.mono.since(*since));
            parts.push(Span::styled(format!("live for {lasts}"), look.good()));
            if !degraded.is_empty() {
                parts.push(dot());
                let text = format!(" MAY BE LATE: {degraded} ");
                parts.push(Span::styled(text, look.loud()));
            }
        }
        Link::Lost { since, why, again } => {
            let lasts = lasting(now.mono.since(*since));
            let again = again.since(now.mono);
            let next = match again.is_zero() {
                true => "trying again".to_owned(),
                false => format!("next attempt in {} s", again.as_secs() + 1),
            };
            let text = format!(" CONNECTION LOST {lasts} ago, {next} ");
            parts.push(Span::styled(text, look.loud()));
            parts.push(Span::raw(format!(" {why}")));
            return Line::from(parts);
        }
    }
    if view.paused.is_some() {
        parts.push(dot());
        parts.push(Span::styled(" PAUSED ", look.loud()));
    }
    parts.push(dot());
    let count = model.rows.len();
    match model.troubled(model.time(*now)) {
        0 => parts.push(Span::raw(format!("{count} pairs"))),
        troubled => {
            let text = format!("{troubled} OF {count} PAIRS NOT FRESH");
            parts.push(Span::styled(text, look.bad()));
        }
    }
    parts.push(dot());
    parts.push(Span::raw(format!("order: {}", view.sort.word())));
    if view.is_searching || !view.search.is_empty() {
        parts.push(dot());
        let end = if view.is_searching { "_" } else { "" };
        let text = format!("search: {}{end}", view.search);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        parts.push(Span::styled(text, bold));
    }
    if model.gaps > 0 {
        parts.push(dot());
        parts.push(Span::raw(format!("{} gaps", model.gaps)));
    }
    parts.push(dot());
    let lasts = lasting(model.lasts(*now));
    parts.push(Span::styled(format!("open for {lasts}"), look.soft()));
    Line::from(parts)
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, view: &View) {
    let keys: &[(&str, &str)] = match (view.is_searching, &view.over) {
        (true, _) => &[("Enter", "keep"), ("Esc", "clear")],
        (_, Some(Over::Help)) => &[("Esc", "back"), ("q", "quit")],
        (_, Some(Over::Detail { .. })) => &[
            ("Esc", "back"),
            ("r", "ask again"),
            ("j k", "scroll"),
            ("q", "quit"),
        ],
        _ => &[
            ("q", "quit"),
            ("j k", "move"),
            ("Enter", "explain"),
            ("/", "search"),
            ("o", "order"),
            ("s", "sources"),
            ("p", "pause"),
            ("?", "help"),
        ],
    };
    let mut parts = vec![Span::raw(" ")];
    for (key, what) in keys {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        parts.push(Span::styled(*key, bold));
        parts.push(Span::styled(format!(" {what}  "), scene.look.soft()));
    }
    frame.render_widget(Paragraph::new(Line::from(parts)), area);
}

/// `12 s`, `3 min`: whole units, so that a line does not jump.
fn lasting(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => age(seconds.saturating_mul(1_000)),
    }
}

#[cfg(test)]
mod tests;
