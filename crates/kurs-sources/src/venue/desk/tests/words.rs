//! A codec of the plainest kind: statements of a few words, parted by `; `.

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Said, Symbols,
};
use kurs_book::{Change, Ids, Kind, Scheme, Side};
use kurs_core::{Pair, Price};
use rust_decimal::Decimal;
use std::time::Duration;

/// `top NAME BID ASK ID`, `snap NAME ID BID ASK`, `diff NAME PREVIOUS ID BID`, `alive NAME`,
/// `bad NAME`, `refuse NAME`, `halt WHY`, `beat`, `junk`.
pub(super) struct Words {
    from_book: bool,
    pub(super) streams_max: usize,
}

impl Words {
    pub(super) const fn top_from_book() -> Self {
        Self {
            from_book: true,
            streams_max: 100,
        }
    }

    pub(super) const fn with_tops() -> Self {
        Self {
            from_book: false,
            streams_max: 100,
        }
    }
}

fn level(side: Side, price: &str) -> Change {
    Change {
        side,
        price: Price::parse(price).unwrap(),
        size: Decimal::ONE,
    }
}

fn price(text: &str) -> (Price, Option<Decimal>) {
    (Price::parse(text).unwrap(), Some(Decimal::ONE))
}

fn read(text: &str, symbols: &dyn Symbols, heap: &mut Heap) -> Said {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let Some(symbol) = words.get(1).and_then(|name| symbols.find(name)) else {
        return match words[..] {
            ["halt", why] => Said::Halted {
                why: why.to_owned(),
            },
            ["beat"] => Said::Heartbeat,
            ["junk"] => Said::Unreadable,
            _ => Said::Other,
        };
    };
    let from = heap.changes.len();
    let (kind, ids) = match words[..] {
        ["top", _, bid, ask, id] => {
            return Said::Top {
                symbol,
                bid: price(bid),
                ask: price(ask),
                id: Some(number(id)),
                at: None,
            };
        }
        ["alive", _] => {
            let channel = Channel::Heartbeat;
            return Said::Alive { symbol, channel };
        }
        ["refuse", _] => {
            return Said::StreamRefused {
                symbol,
                channel: Channel::Book,
                why: "unknown symbol".to_owned(),
            };
        }
        ["bad", _] => {
            let channel = Channel::Book;
            return Said::Impossible { symbol, channel };
        }
        ["snap", _, id, bid, ask] => {
            heap.changes.push(level(Side::Bid, bid));
            heap.changes.push(level(Side::Ask, ask));
            let (previous, id) = (None, number(id));
            (Kind::Snapshot, Ids::Chain { previous, id })
        }
        ["diff", _, previous, id, bid] => {
            heap.changes.push(level(Side::Bid, bid));
            let (previous, id) = (Some(number(previous)), number(id));
            (Kind::Diff, Ids::Chain { previous, id })
        }
        _ => return Said::Unreadable,
    };
    Said::Book {
        symbol,
        kind,
        ids,
        checksum: None,
        changes: from..heap.changes.len(),
        at: None,
    }
}

impl Codec for Words {
    fn symbol(&self, pair: Pair) -> String {
        pair.base.to_string()
    }

    fn channels(&self) -> Vec<(Channel, bool)> {
        let first = if self.from_book {
            Channel::Heartbeat
        } else {
            Channel::Top
        };
        vec![(first, true), (Channel::Book, false)]
    }

    fn subscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        format!("SUB {command} {streams:?}")
    }

    fn unsubscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        format!("UNSUB {command} {streams:?}")
    }

    fn keep_alive(&self) -> Option<String> {
        None
    }

    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
        for text in text.split("; ") {
            let said = read(text, symbols, heap);
            heap.said.push(said);
        }
    }

    fn ask_listing(&self, _: &[String]) -> Vec<Request> {
        Vec::new()
    }

    fn read_listing(&self, _: u16, _: &[u8]) -> Result<Vec<Listed>, AnswerError> {
        Err(AnswerError::Unreadable)
    }

    fn ask_tops(&self, _: &[String]) -> Vec<Request> {
        Vec::new()
    }

    /// One price: `NAME BID ASK`.
    fn read_tops(&self, _: &Request, _: u16, body: &[u8]) -> Result<Vec<PolledTop>, AnswerError> {
        let text = std::str::from_utf8(body).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        Ok(vec![PolledTop {
            symbol: words[0].to_owned(),
            sides: Some((price(words[1]), price(words[2]))),
        }])
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "words",
            scheme: Scheme::Chain,
            book_depth: Some(10),
            shares_book_ids: false,
            mixes_channels: !self.from_book,
            keep_alive: None,
            repeats_after: None,
            top_from_book: self.from_book,
            streams_per_command: 10,
            commands_per_second: 4,
            streams_max: self.streams_max,
            connection_life: None,
            resubscribe_pause: Duration::from_secs(1),
            refresh_book: None,
            weight_per_minute: 60,
        }
    }
}
