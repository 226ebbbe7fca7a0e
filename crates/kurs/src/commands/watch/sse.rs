//! Server-sent events out of bytes, as they come. Pure.

/// Longest event that is taken: a snapshot of 500 rates is far below.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its kind; `message` when it was not named.
    pub(super) kind: String,
    /// Where a later stream goes on; empty when it says nothing of that.
    pub(super) id: String,
    /// Its document.
    pub(super) data: String,
}

/// The event is longer than any of kurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream sends what is no event")]
pub(super) struct TooLong;

/// Cuts a stream into events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    size: usize,
}

impl Parser {
    /// The events that end within these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.size += 1;
                if self.size > EVENT_BYTES_MAX {
                    return Err(TooLong);
                }
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                self.size = 0;
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.has_data) {
                    events.push(event);
                }
                continue;
            }
            self.field(line);
        }
        Ok(events)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => value.clone_into(&mut self.event.id),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // Comments keep proxies awake; `retry` is for browsers.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "retry: 2108\n\nevent: hello\ndata: {\"a\":1}\n\n: still here\n\nid: 0.1-7\r\nevent: rate\r\ndata: {\"b\":\r\ndata: 2}\r\n\r\nid: 9\ndata";

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let mut whole = Parser::default();
        let events = whole.take(TEXT.as_bytes()).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(
            (events[0].kind.as_str(), events[0].id.as_str()),
            ("hello", "")
        );
        assert_eq!(events[1].id, "0.1-7");
        assert_eq!(events[1].data, "{\"b\":\n2}");
        for size in 1..20 {
            let mut parser = Parser::default();
            let mut cut = Vec::new();
            for part in TEXT.as_bytes().chunks(size) {
                cut.extend(parser.take(part).unwrap());
            }
            assert_eq!(cut, events, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1024 * 1024];
        let ends = (0..20).map(|_| parser.take(&piece)).find(Result::is_err);
        assert_eq!(ends, Some(Err(TooLong)));
    }
}
