//! Screens.

use super::*;
use crate::commands::watch::model::tests::{at, model, rate, wall};
use crate::commands::watch::view::View;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rust_decimal::Decimal;
use serde_json::json;

const COLOR: Look = Look {
    color: true,
    is_plain: false,
};

/// The lines of a screen of this size.
fn screen(
    model: &Model,
    view: &mut View,
    look: Look,
    milliseconds: u64,
    size: (u16, u16),
) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let scene = Scene {
        model,
        server: "http://127.0.0.1:8080",
        look,
        now: at(milliseconds),
    };
    terminal.draw(|frame| draw(frame, &scene, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    let lines = cells.chunks(usize::from(size.0));
    lines
        .map(|line| line.concat().trim_end().to_owned())
        .collect()
}

fn press(view: &mut View, model: &Model, key: KeyCode) {
    view.key(KeyEvent::new(key, KeyModifiers::NONE), model, wall(0));
}

/// Two pairs with rates, one without, and a source in trouble.
fn world() -> Model {
    let mut model = model(&["BTC-USD", "ETH-RUB", "XXX-USD"]);
    let error = json!({"topic": "rate:XXX-USD", "detail": "no market leads there"});
    for (pair, value) in [("BTC-USD", "64384.0549505"), ("ETH-RUB", "281000.5")] {
        model.event("rate", &rate(pair, value, 0), at(0));
    }
    model.event("rate", &rate("BTC-USD", "64385.123456", 1_000), at(1_000));
    model.event("error", &error, at(1_000));
    for (name, state, why) in [
        ("binance", "live", ""),
        ("okx", "down", "the socket is closed"),
    ] {
        let status = json!({"source": name, "priority": 1, "state": state, "mode": "websocket", "why": why, "last_message_at": wall(500)});
        model.event(
            "source",
            &json!({"topic": "sources", "status": status}),
            at(1_000),
        );
    }
    model
}

fn line_of<'a>(lines: &'a [String], text: &str) -> &'a str {
    lines
        .iter()
        .find(|line| line.contains(text))
        .map_or("", String::as_str)
}

#[test]
fn at_80_by_24_every_pair_has_value_change_age_state_and_source() {
    let model = world();
    let lines = screen(&model, &mut View::default(), COLOR, 2_500, (80, 24));
    let btc = line_of(&lines, "BTC-USD");
    for part in [
        "▸ BTC-USD",
        "64385.12346 ▲",
        " 0.00 %",
        "1 s",
        "fresh",
        "binance",
    ] {
        assert!(btc.contains(part), "{part} is missing in {btc:?}");
    }
    let eth = line_of(&lines, "ETH-RUB");
    assert!(eth.contains("281000.5") && eth.contains("2 s"), "{eth:?}");
    // The points of all values stand below each other.
    let point = |line: &str| line.chars().position(|c| c == '.');
    assert_eq!(point(btc), point(eth));
    assert!(line_of(&lines, "XXX-USD").contains("NO RATE!"));
    assert!(
        lines[1].contains("live for 2 s") && lines[1].contains("1 OF 3 PAIRS NOT FRESH"),
        "{}",
        lines[1]
    );
    assert!(lines[23].contains("q quit"), "{}", lines[23]);
    assert!(
        line_of(&lines, "okx").is_empty(),
        "sources are shown by wish"
    );
}

#[test]
fn at_200_by_50_bid_ask_the_hour_and_the_sources_are_there_too() {
    let mut model = world();
    let hour_ago = wall(0).unix_seconds() - 3_600;
    model.candles("BTC-USD", &[(hour_ago, Decimal::from(32_000))]);
    let lines = screen(&model, &mut View::default(), COLOR, 2_500, (200, 50));
    let btc = line_of(&lines, "BTC-USD");
    for part in ["64385.123456", "1.5", "2.5", "+101.20 %", "▁"] {
        assert!(btc.contains(part), "{part} is missing in {btc:?}");
    }
    let okx = line_of(&lines, "okx");
    assert!(
        okx.contains("DOWN!") && okx.contains("the socket is"),
        "{okx:?}"
    );
    assert!(line_of(&lines, "last 60 min").contains("bid"), "{lines:#?}");
}

#[test]
fn what_is_stale_is_written_in_capitals() {
    let lines = screen(&world(), &mut View::default(), COLOR, 60_000, (80, 24));
    assert!(line_of(&lines, "BTC-USD").contains("STALE!"), "{lines:#?}");
    assert!(lines[1].contains("3 OF 3 PAIRS NOT FRESH"));
}

#[test]
fn a_lost_connection_is_told_with_its_age_and_the_next_attempt() {
    let mut model = world();
    model.lost("refused", Duration::from_secs(5), at(3_000));
    let lines = screen(&model, &mut View::default(), COLOR, 4_500, (80, 24));
    let expected = " CONNECTION LOST 1 s ago, next attempt in 4 s  refused";
    assert_eq!(lines[1].trim(), expected.trim());
}

#[test]
fn simulated_prices_are_marked_wherever_they_are_shown() {
    let mut model = world();
    let mut invented = rate("BTC-USD", "1", 2_000);
    invented["rate"]["source"] = json!("sim:binance");
    model.event("rate", &invented, at(2_000));
    for size in [(80, 24), (200, 50), (40, 10), (18, 5)] {
        let lines = screen(&model, &mut View::default(), COLOR, 2_500, size);
        assert!(
            lines[0].contains("SIMULATED PRICES"),
            "{size:?}: {}",
            lines[0]
        );
    }
}

#[test]
fn no_size_is_too_small_and_the_selected_pair_stays_on_the_screen() {
    let pairs: Vec<String> = (0..100).map(|number| format!("A{number:02}-USD")).collect();
    let names: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let mut model = model(&names);
    for name in &names {
        model.event("rate", &rate(name, "1.25", 0), at(0));
    }
    let mut view = View::default();
    press(&mut view, &model, KeyCode::End);
    for width in 1..100 {
        for height in [1, 2, 3, 4, 10] {
            let lines = screen(&model, &mut view, COLOR, 0, (width, height));
            let is_there = lines.iter().any(|line| line.contains("A99-USD"));
            assert!(
                is_there || width < 30 || height < 5,
                "{width} x {height}: {lines:#?}"
            );
        }
    }
    for key in ['s', '?'] {
        press(&mut view, &model, KeyCode::Char(key));
        for width in 1..30 {
            for height in 1..8 {
                let _ = screen(&model, &mut view, COLOR, 0, (width, height));
            }
        }
    }
}

#[test]
fn without_utf8_nothing_but_ascii_is_drawn() {
    let look = Look {
        color: false,
        is_plain: true,
    };
    let model = world();
    for keys in ["", "s", "?", "p"] {
        let mut view = View::default();
        for key in keys.chars() {
            press(&mut view, &model, KeyCode::Char(key));
        }
        let lines = screen(&model, &mut view, look, 2_500, (200, 50));
        assert!(lines.concat().is_ascii(), "{lines:#?}");
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let look = Look {
        color: false,
        is_plain: false,
    };
    let mut terminal = Terminal::new(TestBackend::new(200, 50)).unwrap();
    let model = world();
    let scene = Scene {
        model: &model,
        server: "http://127.0.0.1:8080",
        look,
        now: at(60_000),
    };
    let mut view = View::default();
    terminal
        .draw(|frame| draw(frame, &scene, &mut view))
        .unwrap();
    let cells = terminal.backend().buffer().content();
    assert!(
        cells
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
}

#[test]
fn the_explanation_and_the_help_stand_above_the_table() {
    let model = world();
    let mut view = View::default();
    press(&mut view, &model, KeyCode::Enter);
    let lines = screen(&model, &mut view, COLOR, 0, (80, 24));
    assert!(!line_of(&lines, "asking the server").is_empty());
    view.explained("BTC-USD", vec!["because binance is best".to_owned()]);
    let lines = screen(&model, &mut view, COLOR, 0, (80, 24));
    assert!(!line_of(&lines, "because binance is best").is_empty());
    press(&mut view, &model, KeyCode::Esc);
    press(&mut view, &model, KeyCode::Char('?'));
    let lines = screen(&model, &mut view, COLOR, 0, (80, 24));
    assert!(!line_of(&lines, "explain the pair").is_empty());
}

#[test]
fn a_search_without_a_hit_says_how_to_leave_it() {
    let model = world();
    let mut view = View::default();
    for key in "/nothing".chars() {
        press(&mut view, &model, KeyCode::Char(key));
    }
    let lines = screen(&model, &mut view, COLOR, 0, (80, 24));
    assert!(
        line_of(&lines, "Esc shows all").contains("no pair"),
        "{lines:#?}"
    );
    assert!(lines[1].contains("search: nothing_"));
}
