use super::*;
use crate::critical;

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `act` with a log at `level` and returns what was written.
fn written(level: Level, act: impl FnOnce(&LogHandle)) -> Vec<serde_json::Value> {
    let shelf = Shelf::default();
    let output = Output {
        writer: Box::new(shelf.clone()),
        is_terminal: false,
        color: false,
    };
    let (layer, handle) = layer(
        &LogConfig {
            level,
            ..LogConfig::default()
        },
        output,
    );
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        act(&handle);
        handle.flush();
    });
    let bytes = shelf.0.lock().clone();
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn all_levels(_: &LogHandle) {
    critical!("cannot serve");
    tracing::error!("error");
    tracing::warn!("warning");
    tracing::info!("info");
    tracing::debug!("debug");
}

#[test]
fn each_named_level_lets_through_itself_and_what_is_graver() {
    for (count, level) in Level::ALL.into_iter().enumerate() {
        let lines = written(level, all_levels);
        let levels: Vec<&str> = lines
            .iter()
            .map(|line| line["level"].as_str().unwrap())
            .collect();
        let expect: Vec<&str> = Level::ALL[..=count]
            .iter()
            .map(|level| level.as_str())
            .collect();
        assert_eq!(levels, expect);
    }
}

#[test]
fn a_changed_level_takes_effect_at_once() {
    let lines = written(Level::Warning, |handle| {
        tracing::debug!("unseen");
        handle.set_level(Level::Debug);
        tracing::debug!("seen");
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["msg"], "seen");
}

#[test]
fn the_request_id_of_the_span_is_on_every_line_inside_it() {
    let lines = written(Level::Info, |_| {
        let span = tracing::info_span!("request", request_id = "abc-123");
        let _entered = span.enter();
        tracing::warn!(source = "binance", pair = %"BTC-USD", "late");
    });
    assert_eq!(lines[0]["request_id"], "abc-123");
    assert_eq!(lines[0]["source"], "binance");
    assert_eq!(lines[0]["pair"], "BTC-USD");
    assert!(lines[0]["ts"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_repeated_error_is_counted_instead_of_written() {
    let lines = written(Level::Info, |_| {
        for attempt in 0..50 {
            tracing::error!(source = "cbr", attempt, "cannot be reached");
        }
    });
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["repeated"], 49);
}
