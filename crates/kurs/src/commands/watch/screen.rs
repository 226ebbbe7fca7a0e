//! The terminal: taken over at the start, given back at every end, that by a panic included.

use super::draw::{self, Look, Scene};
use super::feed::{self, Told};
use super::model::Model;
use super::view::{View, Wish};
use crate::client::{Client, Method};
use crate::commands::{explain, get};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, color_wanted};
use kurs_core::{Clock, Price, SystemClock, Wall};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use rust_decimal::Decimal;
use serde_json::Value;
use std::io::Stdout;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The screen is drawn at most this often.
const FRAME: Duration = Duration::from_millis(80);
/// And at least this often, so that ages count on.
const FRAMES_QUIET: u32 = 4;
/// Looks at whether the program ends, between keys.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// Of so many pairs the last hour is asked for.
const PAST_PAIRS_MAX: usize = 100;

/// True while the terminal is ours.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal while it is ours.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn take() -> std::io::Result<Self> {
        heed_panics();
        IS_TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(std::io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(std::io::stdout()))?;
        Ok(Self { terminal })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// What a panic says belongs on the usual screen.
fn heed_panics() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(std::io::stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// What comes from elsewhere than the stream.
enum Answer {
    /// Closes of past minutes of a pair.
    Past(String, Vec<(i64, Decimal)>),
    /// The explanation of a pair, as lines.
    Explained(String, Vec<String>),
}

/// Shows the pairs until the user has seen enough.
pub(super) async fn show(client: Client, pairs: Vec<String>) -> Result<Exit, Failure> {
    let clock = SystemClock::new();
    let mut signals = [
        (SignalKind::interrupt(), Exit::Interrupted),
        // Being asked to end is no failure; a terminal that is closed asks too.
        (SignalKind::terminate(), Exit::Ok),
        (SignalKind::hangup(), Exit::Ok),
    ]
    .map(|(kind, exit)| (signal(kind), exit));
    let (told, mut stream) = mpsc::channel(feed::WAITING_MAX);
    let (answered, mut answers) = mpsc::channel(16);
    let (pressed, mut keys) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    let topics = "sources".to_owned();
    tasks.spawn(feed::run(client.clone(), pairs.join(","), topics, told));
    tasks.spawn(past(client.clone(), pairs.clone(), answered.clone()));

    let mut model = Model::new(&pairs, clock.now());
    let mut view = View::default();
    let look = Look {
        color: color_wanted(),
        is_plain: !is_utf8(),
    };
    let mut screen = Screen::take()?;
    std::thread::spawn(move || read_keys(&pressed));
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut quiet = FRAMES_QUIET;
    let mut is_changed = true;
    let mut are_keys_read = true;
    loop {
        let [interrupt, terminate, hang_up] = &mut signals;
        tokio::select! {
            () = one(interrupt) => return Err(Failure::silent(interrupt.1)),
            () = one(terminate) => return Ok(terminate.1),
            () = one(hang_up) => return Ok(hang_up.1),
            event = keys.recv(), if are_keys_read => {
                let Some(event) = event else {
                    are_keys_read = false;
                    continue;
                };
                let now = clock.now();
                let wish = match event {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        view.key(key, &model, model.time(now))
                    }
                    Event::Resize(..) => Wish::Redraw,
                    _ => Wish::Nothing,
                };
                match wish {
                    Wish::Nothing => {}
                    Wish::Quit => return Ok(Exit::Ok),
                    Wish::Interrupt => return Err(Failure::silent(Exit::Interrupted)),
                    Wish::Redraw => screen.terminal.clear()?,
                    Wish::Explain(pair) => {
                        tasks.spawn(explained(client.clone(), pair, answered.clone()));
                    }
                }
                is_changed = true;
                // Keys are answered at once.
                frames.reset_immediately();
            }
            told = stream.recv() => {
                let Some(told) = told else {
                    return Err(Failure::new(Exit::Failure, "the stream is not read any more"));
                };
                take(&mut model, told, &clock)?;
                is_changed = true;
            }
            answer = answers.recv() => {
                match answer {
                    Some(Answer::Past(pair, closes)) => model.candles(&pair, &closes),
                    Some(Answer::Explained(pair, lines)) => view.explained(&pair, lines),
                    None => {}
                }
                is_changed = true;
            }
            _ = frames.tick() => {
                quiet += 1;
                if is_changed || quiet >= FRAMES_QUIET {
                    let scene = Scene {
                        model: &model,
                        server: client.server(),
                        look,
                        now: clock.now(),
                    };
                    screen.terminal.draw(|frame| draw::draw(frame, &scene, &mut view))?;
                    (quiet, is_changed) = (0, false);
                }
            }
        }
    }
}

/// What the feed tells goes into the model.
fn take(model: &mut Model, told: Told, clock: &SystemClock) -> Result<(), Failure> {
    let now = clock.now();
    match told {
        Told::Opened(time) => model.opened(time, now),
        Told::Event(event, data) => model.event(&event.kind, &data, now),
        Told::Lost { why, wait } => model.lost(&why, wait, now),
        Told::Ended(failure) => return Err(failure),
    }
    Ok(())
}

/// Waits for a signal; for ever where it cannot be listened to.
async fn one((signal, _): &mut (std::io::Result<tokio::signal::unix::Signal>, Exit)) {
    match signal {
        Ok(signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// Reads keys for as long as somebody listens.
fn read_keys(pressed: &mpsc::Sender<Event>) {
    while !pressed.is_closed() {
        match event::poll(KEY_WAIT) {
            Ok(false) => {}
            Ok(true) => {
                let Ok(event) = event::read() else {
                    return;
                };
                if pressed.blocking_send(event).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// True when the terminal is said to show more than ASCII.
fn is_utf8() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let named = named.unwrap_or_default().to_ascii_lowercase();
    named.contains("utf-8") || named.contains("utf8")
}

/// Asks for the last hour of each pair, one after the other. What cannot be had is not shown.
async fn past(client: Client, pairs: Vec<String>, answered: mpsc::Sender<Answer>) {
    for pair in pairs.into_iter().take(PAST_PAIRS_MAX) {
        let path = format!("/api/v1/candles/{}", pair.replace('-', "/"));
        let parameters = [("interval", "1m"), ("limit", "62")];
        let Ok(answer) = client.get(&path, &parameters).await else {
            continue;
        };
        let Ok(document) = answer.json() else {
            continue;
        };
        let closes = closes(&document);
        if answered.send(Answer::Past(pair, closes)).await.is_err() {
            return;
        }
    }
}

/// When each closed minute ended, and its last value.
fn closes(document: &Value) -> Vec<(i64, Decimal)> {
    let candles = document.get("candles").and_then(Value::as_array);
    let closed = candles
        .into_iter()
        .flatten()
        .filter(|candle| candle.get("closed") == Some(&Value::Bool(true)));
    closed
        .filter_map(|candle| {
            let start: Wall = candle.get("start")?.as_str()?.parse().ok()?;
            let close = Price::parse(candle.get("close")?.as_str()?).ok()?;
            Some((start.unix_seconds() + 59, close.value()))
        })
        .collect()
}

/// Asks why a rate is what it is.
async fn explained(client: Client, pair: String, answered: mpsc::Sender<Answer>) {
    let output = Output {
        form: Form::Text,
        quiet: true,
        color: false,
    };
    let asked = async {
        let parameters = [("explain", "true"), ("allow_stale", "true")];
        let path = get::rate_path(&pair)?;
        let answer = client.send(Method::Get, &path, &parameters, None).await?;
        Ok::<String, Failure>(explain::text(&answer.accepted()?.json()?, output))
    };
    let text = asked.await.unwrap_or_else(|failure| failure.to_string());
    let lines = text.lines().map(crate::output::clean).collect();
    // Nobody is left to be told when the program ends.
    let _ = answered.send(Answer::Explained(pair, lines)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_anything() {
        heed_panics();
        IS_TAKEN.store(true, Ordering::SeqCst);
        let ended = std::thread::spawn(|| panic!("asked for by a test")).join();
        assert!(ended.is_err() && !IS_TAKEN.load(Ordering::SeqCst));
    }

    #[test]
    fn only_closed_minutes_stand_for_the_past() {
        let document = json!({"candles": [
            {"start": "2026-11-22T10:00:00.000Z", "close": "1.50", "closed": true},
            {"start": "2026-11-22T10:01:00.000Z", "close": "x", "closed": true},
            {"start": "2026-11-22T10:02:00.000Z", "close": "2", "closed": false},
        ]});
        let end = "2026-11-22T10:00:59Z"
            .parse::<Wall>()
            .unwrap()
            .unix_seconds();
        assert_eq!(closes(&document), [(end, Decimal::new(150, 2))]);
    }
}
