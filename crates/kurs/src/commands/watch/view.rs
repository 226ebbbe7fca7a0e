//! How a person looks at the model: order, search, selection, what is open above the table. Keys
//! in, wishes out; no terminal.

use super::model::{Model, Row};
use kurs_core::Wall;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::cmp::Reverse;

/// Longest text that is searched for.
const SEARCH_MAX: usize = 32;

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// As they were asked for.
    Asked,
    /// By name.
    Name,
    /// What changed most comes first.
    Change,
    /// The oldest comes first.
    Age,
    /// What is not as it should be comes first.
    State,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Asked => Self::Name,
            Self::Name => Self::Change,
            Self::Change => Self::Age,
            Self::Age => Self::State,
            Self::State => Self::Asked,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Asked => "as asked",
            Self::Name => "name",
            Self::Change => "change",
            Self::Age => "age",
            Self::State => "state",
        }
    }
}

/// What stands above the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    Help,
    /// The explanation of a pair, as lines; `None` while it is asked for.
    Detail {
        pair: String,
        lines: Option<Vec<String>>,
        scroll: usize,
    },
}

/// What a key asks of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    /// Ctrl-C.
    Interrupt,
    /// The explanation of this pair.
    Explain(String),
    /// The whole screen anew.
    Redraw,
}

/// How the model is looked at.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) search: String,
    /// Keys are letters of the search.
    pub(super) is_searching: bool,
    /// The pair that is selected.
    pub(super) selected: Option<String>,
    /// Shown by wish; `None`: where there is room.
    pub(super) sources: Option<bool>,
    pub(super) over: Option<Over>,
    /// The rows as they were when the view was paused.
    pub(super) paused: Option<Vec<Row>>,
    /// Rows that fit on the screen, for page keys.
    pub(super) page: usize,
    /// The screen has room for the sources beside the table.
    pub(super) is_wide: bool,
}

impl Default for View {
    fn default() -> Self {
        Self {
            sort: Sort::Asked,
            search: String::new(),
            is_searching: false,
            selected: None,
            sources: None,
            over: None,
            paused: None,
            page: 10,
            is_wide: false,
        }
    }
}

impl View {
    /// The rows to be shown, in order.
    pub(super) fn rows<'a>(&'a self, model: &'a Model, now: Wall) -> Vec<&'a Row> {
        let all = self.paused.as_ref().unwrap_or(&model.rows);
        let wanted = self.search.to_ascii_uppercase();
        let is_wanted = |row: &&Row| {
            wanted.is_empty()
                || row.pair.contains(&wanted)
                || row.source.to_ascii_uppercase().contains(&wanted)
        };
        let mut rows: Vec<&Row> = all.iter().filter(is_wanted).collect();
        match self.sort {
            Sort::Asked => {}
            Sort::Name => rows.sort_by(|a, b| a.pair.cmp(&b.pair)),
            Sort::Change => {
                rows.sort_by_key(|row| Reverse(row.changes(now)[0].map(|change| change.abs())));
            }
            Sort::Age => rows.sort_by_key(|row| Reverse(row.age_ms(now))),
            Sort::State => rows.sort_by_key(|row| match row.state_at(now) {
                "no rate" => 0,
                "stale" => 1,
                "halted" => 2,
                "suspect" => 3,
                "" => 4,
                _ => 5,
            }),
        }
        rows
    }

    /// Place of the selected row among those shown.
    pub(super) fn place(&self, rows: &[&Row]) -> usize {
        let named = self.selected.as_deref();
        rows.iter()
            .position(|row| Some(row.pair.as_str()) == named)
            .unwrap_or(0)
    }

    fn move_to(&mut self, model: &Model, now: Wall, place: impl Fn(usize, usize) -> usize) {
        let rows = self.rows(model, now);
        let Some(last) = rows.len().checked_sub(1) else {
            return;
        };
        let place = place(self.place(&rows), last).min(last);
        let pair = rows.get(place).map(|row| row.pair.clone());
        self.selected = pair;
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent, model: &Model, now: Wall) -> Wish {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if with_control => return Wish::Interrupt,
            KeyCode::Char('l') if with_control => return Wish::Redraw,
            KeyCode::Char(_) if with_control => return Wish::Nothing,
            _ => {}
        }
        if self.is_searching {
            self.search_key(key.code);
            return Wish::Nothing;
        }
        if self.over.is_some() {
            return self.over_key(key.code);
        }
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Esc if self.search.is_empty() => return Wish::Quit,
            KeyCode::Esc => self.search.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.move_to(model, now, |at, _| at + 1),
            KeyCode::Up | KeyCode::Char('k') => {
                self.move_to(model, now, |at, _| at.saturating_sub(1));
            }
            KeyCode::PageDown => {
                let page = self.page;
                self.move_to(model, now, |at, _| at + page);
            }
            KeyCode::PageUp => {
                let page = self.page;
                self.move_to(model, now, |at, _| at.saturating_sub(page));
            }
            KeyCode::Home | KeyCode::Char('g') => self.move_to(model, now, |_, _| 0),
            KeyCode::End | KeyCode::Char('G') => self.move_to(model, now, |_, last| last),
            KeyCode::Enter => {
                let rows = self.rows(model, now);
                let pair = rows.get(self.place(&rows)).map(|row| row.pair.clone());
                if let Some(pair) = pair {
                    self.over = Some(Over::Detail {
                        pair: pair.clone(),
                        lines: None,
                        scroll: 0,
                    });
                    return Wish::Explain(pair);
                }
            }
            KeyCode::Char('/') => {
                self.search.clear();
                self.is_searching = true;
            }
            KeyCode::Char('o') => self.sort = self.sort.next(),
            KeyCode::Char('s') => self.sources = Some(!self.sources.unwrap_or(self.is_wide)),
            KeyCode::Char('p') => {
                self.paused = match self.paused {
                    Some(_) => None,
                    None => Some(model.rows.clone()),
                };
            }
            KeyCode::Char('?') => self.over = Some(Over::Help),
            _ => {}
        }
        Wish::Nothing
    }

    fn search_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_searching = false,
            KeyCode::Esc => {
                self.is_searching = false;
                self.search.clear();
            }
            KeyCode::Backspace => {
                self.search.pop();
            }
            KeyCode::Char(c) if !c.is_control() && self.search.len() < SEARCH_MAX => {
                self.search.push(c);
            }
            _ => {}
        }
    }

    fn over_key(&mut self, code: KeyCode) -> Wish {
        let Some(over) = &mut self.over else {
            return Wish::Nothing;
        };
        if let Over::Detail {
            pair,
            lines,
            scroll,
        } = over
        {
            let last = lines
                .as_ref()
                .map_or(0, |lines| lines.len().saturating_sub(1));
            match code {
                KeyCode::Down | KeyCode::Char('j') => *scroll = (*scroll + 1).min(last),
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown => *scroll = (*scroll + 10).min(last),
                KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                KeyCode::Char('r') => return Wish::Explain(pair.clone()),
                _ => {}
            }
        }
        match (code, &self.over) {
            (KeyCode::Char('q'), _) => Wish::Quit,
            (KeyCode::Esc | KeyCode::Enter, _) | (KeyCode::Char('?'), Some(Over::Help)) => {
                self.over = None;
                Wish::Nothing
            }
            _ => Wish::Nothing,
        }
    }

    /// The explanation of a pair has come.
    pub(super) fn explained(&mut self, of: &str, text: Vec<String>) {
        if let Some(Over::Detail { pair, lines, .. }) = &mut self.over
            && pair == of
        {
            *lines = Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::watch::model::tests::{at, model, rate, wall};

    fn press(view: &mut View, model: &Model, keys: &str) -> Wish {
        let mut wish = Wish::Nothing;
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                key => KeyCode::Char(key),
            };
            wish = view.key(KeyEvent::new(code, KeyModifiers::NONE), model, wall(0));
        }
        wish
    }

    fn three() -> Model {
        let mut model = model(&["ETH-USD", "BTC-USD", "BTC-RUB"]);
        for (pair, value, at_ms) in [("BTC-USD", "100", 0), ("ETH-USD", "10", 1_000)] {
            model.event("rate", &rate(pair, value, at_ms), at(at_ms));
        }
        model.event("rate", &rate("ETH-USD", "11", 1_500), at(1_500));
        model
    }

    fn names(view: &View, model: &Model) -> String {
        let rows = view.rows(model, wall(1_500));
        let names: Vec<&str> = rows.iter().map(|row| row.pair.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn the_selection_stays_with_its_pair_whatever_the_order() {
        let (model, mut view) = (three(), View::default());
        press(&mut view, &model, "j");
        assert_eq!(view.selected.as_deref(), Some("BTC-USD"));
        press(&mut view, &model, "o");
        assert_eq!(names(&view, &model), "BTC-RUB BTC-USD ETH-USD");
        assert_eq!(view.place(&view.rows(&model, wall(0))), 1);
        press(&mut view, &model, "jjjj");
        assert_eq!(view.selected.as_deref(), Some("ETH-USD"));
        press(&mut view, &model, "g");
        assert_eq!(view.selected.as_deref(), Some("BTC-RUB"));
    }

    #[test]
    fn orders_bring_what_matters_to_the_top() {
        let (model, mut view) = (three(), View::default());
        press(&mut view, &model, "oo");
        assert_eq!(view.sort, Sort::Change);
        assert!(names(&view, &model).starts_with("ETH-USD"));
        press(&mut view, &model, "o");
        assert!(names(&view, &model).starts_with("BTC-USD"), "the oldest");
        press(&mut view, &model, "o");
        assert!(
            names(&view, &model).starts_with("BTC-RUB"),
            "nothing known yet"
        );
        press(&mut view, &model, "o");
        assert_eq!(view.sort, Sort::Asked);
    }

    #[test]
    fn a_search_narrows_and_escape_widens_before_it_quits() {
        let (model, mut view) = (three(), View::default());
        press(&mut view, &model, "/btcx\u{8}\n");
        assert_eq!(names(&view, &model), "BTC-USD BTC-RUB");
        assert_eq!(press(&mut view, &model, "\u{1b}"), Wish::Nothing);
        assert_eq!(names(&view, &model).len(), 23);
        assert_eq!(press(&mut view, &model, "\u{1b}"), Wish::Quit);
        assert_eq!(
            press(&mut view, &model, "/q"),
            Wish::Nothing,
            "a letter of the search"
        );
    }

    #[test]
    fn enter_asks_for_the_explanation_and_shows_it_until_it_is_closed() {
        let (model, mut view) = (three(), View::default());
        assert_eq!(
            press(&mut view, &model, "j\n"),
            Wish::Explain("BTC-USD".to_owned())
        );
        view.explained("ETH-USD", vec!["of another".to_owned()]);
        view.explained("BTC-USD", vec!["because".to_owned(), "of that".to_owned()]);
        press(&mut view, &model, "jj");
        let Some(Over::Detail { lines, scroll, .. }) = &view.over else {
            panic!("it is shown");
        };
        assert_eq!((lines.as_ref().unwrap().len(), *scroll), (2, 1));
        assert_eq!(press(&mut view, &model, "\u{1b}"), Wish::Nothing);
        assert_eq!(view.over, None);
    }

    #[test]
    fn a_paused_view_shows_what_it_showed() {
        let (mut model, mut view) = (three(), View::default());
        press(&mut view, &model, "p");
        model.event("rate", &rate("BTC-USD", "200", 2_000), at(2_000));
        assert_eq!(view.rows(&model, wall(0))[1].text, "100");
        press(&mut view, &model, "p");
        assert_eq!(view.rows(&model, wall(0))[1].text, "200");
    }

    #[test]
    fn control_c_interrupts_everywhere() {
        let (model, mut view) = (three(), View::default());
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for before in ["", "/", "?", "\n"] {
            press(&mut view, &model, before);
            assert_eq!(view.key(key, &model, wall(0)), Wish::Interrupt);
        }
    }
}
