//! Logs: events of `tracing` to stderr, one line each.
//!
//! Every line has `ts, level, target, msg`, and `request_id, source, pair` where the event or a
//! span around it has them. Events of other crates are written from INFO on, whatever the level:
//! their DEBUG is about wires, not about rates. Clients of brokers are not written at all.

mod line;
mod record;
mod repeat;

pub use line::Style;

use crate::config::{LogConfig, LogFormat};
use crate::level::Level;
use parking_lot::Mutex;
use record::{Fields, Record};
use repeat::Repeats;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record as SpanValues};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Where lines go and what the terminal can do.
pub struct Output {
    /// Takes whole lines.
    pub writer: Box<dyn Write + Send>,
    /// True when a person watches: `auto` is text then.
    pub is_terminal: bool,
    /// True when colours are wanted (a terminal, no `NO_COLOR`, no `TERM=dumb`).
    pub color: bool,
}

impl Output {
    /// Standard error with what it is.
    #[must_use]
    pub fn stderr(color: bool) -> Self {
        let stderr = std::io::stderr();
        let is_terminal = std::io::IsTerminal::is_terminal(&stderr);
        Self {
            writer: Box::new(stderr),
            is_terminal,
            color: color && is_terminal,
        }
    }
}

/// The running log. Changes take effect at once.
#[derive(Clone)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

struct Shared {
    level: AtomicU8,
    style: Style,
    sink: Mutex<Sink>,
}

struct Sink {
    writer: Box<dyn Write + Send>,
    repeats: Repeats,
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogHandle")
            .field("level", &self.level())
            .finish()
    }
}

impl LogHandle {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> Level {
        self.shared.level()
    }

    /// Writes events of this level and graver from now on.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level.to_index(), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes the counts of repetitions that were left out. Call it before the program ends.
    pub fn flush(&self) {
        let mut sink = self.shared.sink.lock();
        let lines = sink.repeats.finish(&timestamp());
        self.shared.write(&mut sink, &lines);
        let _ = sink.writer.flush();
    }
}

/// Makes kurs' log the program's log. The first call wins; a later one returns a handle that
/// has no effect, so that tests in one process do not disturb each other.
pub fn install(config: &LogConfig, output: Output) -> LogHandle {
    let (layer, handle) = layer(config, output);
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
    handle
}

/// The layer alone, for tests and for programs that compose their own subscriber.
pub fn layer(config: &LogConfig, output: Output) -> (LineLayer, LogHandle) {
    let style = match config.format {
        LogFormat::Json => Style::Json,
        LogFormat::Auto if !output.is_terminal => Style::Json,
        LogFormat::Auto | LogFormat::Text => Style::Text {
            color: output.color,
        },
    };
    let window = Duration::from_secs(u64::from(config.repeat_seconds));
    let shared = Arc::new(Shared {
        level: AtomicU8::new(config.level.to_index()),
        style,
        sink: Mutex::new(Sink {
            writer: output.writer,
            repeats: Repeats::new(window),
        }),
    });
    (
        LineLayer {
            shared: shared.clone(),
        },
        LogHandle { shared },
    )
}

/// Turns events into lines.
pub struct LineLayer {
    shared: Arc<Shared>,
}

impl Shared {
    fn level(&self) -> Level {
        Level::from_index(self.level.load(Ordering::Relaxed))
    }

    fn write(&self, sink: &mut Sink, records: &[Record]) {
        for record in records {
            // A log that cannot be written has no place to complain.
            let _ = sink
                .writer
                .write_all(line::render(record, self.style).as_bytes());
        }
    }
}

fn timestamp() -> String {
    jiff::Timestamp::try_from(SystemTime::now()).map_or_else(
        |_| "1970-01-01T00:00:00.000Z".to_owned(),
        |now| format!("{now:.3}"),
    )
}

fn is_ours(target: &str) -> bool {
    target.starts_with("kurs")
}

/// Clients of brokers report every connection that ends as an error, though kurs makes the next
/// one and tells its own state.
fn is_told_by_us(target: &str) -> bool {
    ["async_nats", "lapin"]
        .iter()
        .any(|name| target.starts_with(name))
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for LineLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if metadata.is_span() {
            // Spans carry request ids for graver events inside them.
            return is_ours(metadata.target()) && *metadata.level() <= tracing::Level::INFO;
        }
        if is_told_by_us(metadata.target()) {
            return false;
        }
        let limit = self.shared.level().carrier();
        *metadata.level() <= limit
            && (is_ours(metadata.target()) || *metadata.level() <= tracing::Level::INFO)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans need INFO to pass even when only graver events are written.
        Some(LevelFilter::from_level(
            self.shared.level().carrier().max(tracing::Level::INFO),
        ))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &SpanValues<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR if fields.critical => Level::Critical,
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        if level > self.shared.level() {
            return;
        }
        if let Some(scope) = context.event_scope(event) {
            for span in scope {
                if let Some(inherited) = span.extensions().get::<Fields>() {
                    fields.inherit(inherited);
                }
            }
        }
        let ts = timestamp();
        let target = event.metadata().target().to_owned();
        let record = Record {
            ts,
            level,
            target,
            fields,
            left_out: 0,
        };
        let mut sink = self.shared.sink.lock();
        let now = Instant::now();
        let lines = if level <= Level::Warning {
            sink.repeats.take(record, now)
        } else {
            let mut lines = sink.repeats.expire(&record.ts, now);
            lines.push(record);
            lines
        };
        self.shared.write(&mut sink, &lines);
    }
}

#[cfg(test)]
mod tests;
