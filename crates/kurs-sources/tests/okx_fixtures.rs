//! Recorded frames of OKX, decoded without sockets. The checksums and ids in them are the
//! oracle.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test and say what was left out"
)]

#[path = "capture/mod.rs"]
mod capture;

use capture::{Depths, Names, check_frame, corpus};
use kurs_book::{BookUpdate, Counters, Ids, Kind, Scheme, SyncedBook, Verdict};
use kurs_core::{Level, Mono, Now, Pair, SourceEvent, SourceId, Wall};
use kurs_sources::okx::Okx;
use kurs_sources::venue::codec::{Channel, Codec, Heap, Said};
use kurs_sources::venue::{Config, Desk, DeskParts, sites};
use kurs_sources::{EventSink, Input, Machine, SourceStats, Wishes};
use kurs_testkit::fixtures::{self, Direction};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const RECENT: &str = "okx/recent_frames_20260812.jsonl";
const BOOKS_2026: &str = "okx/books_btcusdt_20260824.jsonl";
const FIRST_2021: &str = "okx/books_tbt_10inst_20210722_conn1.jsonl.gz";
const SECOND_2021: &str = "okx/books_tbt_10inst_20210722_conn2.jsonl.gz";
const BOOKS_2022: &str = "okx/books_tbt_10inst_20220227.jsonl.gz";
const DEPTH: usize = 400;

/// Prices and sizes as text.
type Levels = Vec<(String, String)>;

/// Received frames with their times in nanoseconds; `None` without fixtures.
fn frames(file: &str) -> Option<Vec<(u64, String)>> {
    let Some(path) = fixtures::file(file) else {
        println!("KURS_FIXTURES is not set: {file} is not tested");
        return None;
    };
    let received = fixtures::lines(&path).filter(|line| line.dir == Direction::Rx);
    let frames = received.map(|line| (line.t_ns.unwrap_or_default(), line.text().to_owned()));
    Some(frames.collect())
}

fn read(text: &str, names: &Names) -> Heap {
    let mut heap = Heap::default();
    Okx::new().read(text, names, &mut heap);
    heap
}

#[test]
fn every_recorded_frame_is_read() {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for file in [RECENT, BOOKS_2026, FIRST_2021, SECOND_2021, BOOKS_2022] {
        let Some(frames) = frames(file) else { return };
        assert!(!frames.is_empty());
        let names = Names::learning();
        for (_, text) in frames {
            let kind = match &read(&text, &names).said[..] {
                [Said::Other] => "other",
                [Said::Book { .. }] => "book",
                [Said::Trade { .. }] => "trade",
                other => panic!("{file}: {text}: {other:?}"),
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    println!("{counts:?}");
    assert_eq!(counts["book"], 7 + 1_504 + 1_446 + 3_679);
    assert_eq!(counts["trade"], 2 + 36 + 36 + 19);
}

/// (file, checksums in it, chained ids in it)
const BOOKS: [(&str, u32, u32); 4] = [
    (BOOKS_2026, 0, 7),
    (FIRST_2021, 1_504, 0),
    (SECOND_2021, 1_446, 0),
    (BOOKS_2022, 3_679, 0),
];

#[test]
fn every_recorded_checksum_matches_and_every_chain_is_whole() {
    for (file, checksums, chained) in BOOKS {
        let Some(frames) = frames(file) else { return };
        let names = Names::learning();
        let mut books: BTreeMap<u32, (Depths, Option<u64>)> = BTreeMap::new();
        let (mut matched, mut followed) = (0, 0);
        for (_, text) in frames {
            let heap = read(&text, &names);
            for said in &heap.said {
                let Said::Book {
                    symbol,
                    kind,
                    ids,
                    checksum,
                    changes,
                    ..
                } = said
                else {
                    continue;
                };
                let (book, last) = books.entry(*symbol).or_default();
                book.apply(*kind, &heap.changes[changes.clone()], DEPTH);
                if let Some(checksum) = checksum {
                    assert_eq!(book.okx_checksum(), *checksum, "{file}: {text}");
                    matched += 1;
                }
                if let Ids::Chain { previous, id } = ids {
                    assert_eq!(previous.is_none(), *kind == Kind::Snapshot);
                    assert_eq!(previous, last, "{file}: {text}");
                    *last = Some(*id);
                    followed += 1;
                }
                assert!(!book.is_crossed(), "{file}: {text}");
            }
        }
        println!("{file}: {matched} checksums match, {followed} chained messages follow");
        assert_eq!((matched, followed), (checksums, chained));
    }
}

fn synced() -> SyncedBook {
    SyncedBook::new(Scheme::ChainWithChecksum, Some(DEPTH))
}

/// True when the message went into the book.
fn took(book: &mut SyncedBook, said: &Said, heap: &Heap) -> bool {
    let Said::Book {
        kind,
        ids,
        checksum,
        changes,
        ..
    } = said
    else {
        panic!("{said:?}")
    };
    let update = BookUpdate {
        kind: *kind,
        ids: *ids,
        checksum: *checksum,
        changes: &heap.changes[changes.clone()],
    };
    let verdict = book.take(Mono::default(), update);
    assert!(book.is_synced(), "{verdict:?}: {said:?}");
    match verdict {
        Verdict::Applied | Verdict::Synced => true,
        Verdict::Duplicate => false,
        other => panic!("{other:?}: {said:?}"),
    }
}

#[test]
fn synced_books_hold_through_every_recording() {
    for (file, checksums, chained) in BOOKS {
        let Some(frames) = frames(file) else { return };
        let names = Names::learning();
        let mut books: BTreeMap<u32, SyncedBook> = BTreeMap::new();
        let mut taken = 0;
        for (_, text) in frames {
            let heap = read(&text, &names);
            for said in &heap.said {
                if let Said::Book { symbol, .. } = said {
                    let book = books.entry(*symbol).or_insert_with(synced);
                    taken += u32::from(took(book, said, &heap));
                }
            }
        }
        assert_eq!(taken, checksums + chained, "{file}");
        for book in books.values() {
            let counters = book.counters();
            assert_eq!(
                (counters.checksum_failures, counters.gaps, counters.crossed),
                (0, 0, 0)
            );
        }
    }
}

/// A book message of 2021 as the venue writes it since ids chain its messages.
struct Numbered {
    received: u64,
    connection: u64,
    text: String,
    is_snapshot: bool,
    /// It came before, over the other connection.
    is_known: bool,
}

/// The instruments of a recording under names of spot pairs; some are options and swaps.
#[derive(Default)]
struct Pairs(Vec<String>);

impl Pairs {
    fn pair_of(&mut self, instrument: &str) -> Pair {
        let known = self.0.iter().position(|name| name == instrument);
        let index = known.unwrap_or_else(|| {
            self.0.push(instrument.to_owned());
            self.0.len() - 1
        });
        let letter = char::from(b'A' + u8::try_from(index).unwrap());
        Pair::parse(&format!("{letter}{letter}{letter}-USDT")).unwrap()
    }
}

/// The messages of both connections in the order they were received, each with the id of its
/// update: the same on both, as the venue sends them since. Recordings of 2021 have none; there
/// an update is known by when the venue sent it and by its checksum.
fn numbered(connections: [Vec<(u64, String)>; 2], pairs: &mut Pairs) -> Vec<Numbered> {
    let mut both: Vec<(u64, u64, String)> = (1..)
        .zip(connections)
        .flat_map(|(number, frames)| {
            frames
                .into_iter()
                .map(move |(received, text)| (received, number, text))
        })
        .collect();
    both.sort_by_key(|(received, ..)| *received);
    let names = Names::learning();
    let mut ids: BTreeMap<(u32, Wall, Option<u32>), u64> = BTreeMap::new();
    let mut last: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    let mut numbered = Vec::new();
    for (received, connection, text) in both {
        let [
            Said::Book {
                symbol,
                kind,
                checksum,
                at,
                ..
            },
        ] = read(&text, &names).said[..]
        else {
            continue;
        };
        let next = 1_000 + u64::try_from(ids.len()).unwrap();
        let update = (symbol, at.unwrap(), checksum);
        let is_known = ids.contains_key(&update);
        let id = *ids.entry(update).or_insert(next);
        let before = last.insert((symbol, connection), id);
        let is_snapshot = kind == Kind::Snapshot;
        assert_eq!(is_snapshot, before.is_none());
        let before = before.map_or_else(|| "-1".to_owned(), |before| before.to_string());
        let name = names.name(symbol);
        let text = text
            .replacen(
                r#""data":[{"#,
                &format!(r#""data":[{{"seqId":{id},"prevSeqId":{before},"#),
                1,
            )
            .replace(&name, &pairs.pair_of(&name).to_string());
        numbered.push(Numbered {
            received,
            connection,
            text,
            is_snapshot,
            is_known,
        });
    }
    numbered
}

#[derive(Default)]
struct Nobody;

impl EventSink for Nobody {
    fn deliver(&self, _: SourceEvent) {}
}

/// The code that runs live, without its sockets.
fn desk(pairs: &[Pair]) -> Desk {
    let codec = Okx::new();
    // Live, REST tells that a quiet book holds; a capture of the stream alone does not.
    let mut waits = Config::<sites::Okx>::default().waits(&codec.facts());
    waits.silence = Duration::from_secs(3_600);
    waits.max_age = Duration::from_secs(3_600);
    let mut desk = Desk::new(DeskParts {
        source: SourceId::parse("okx").unwrap(),
        waits,
        codec: Arc::new(codec),
        depth: Arc::from([]),
        events: Arc::new(Nobody),
        stats: Arc::new(SourceStats::new("websocket", Wall(0))),
    });
    let mut wishes = Wishes::new();
    desk.take(Now::default(), Input::Wanted { pairs }, &mut wishes);
    for pair in pairs {
        let (pair, listed) = (*pair, Some(true));
        let input = Input::Listed { pair, listed };
        desk.take(Now::default(), input, &mut wishes);
    }
    desk
}

#[test]
fn two_parallel_connections_merged_give_each_update_once() {
    let (Some(first), Some(second)) = (frames(FIRST_2021), frames(SECOND_2021)) else {
        return;
    };
    let alone = final_books(&first);
    let mut names = Pairs::default();
    let messages = numbered([first, second], &mut names);
    let count = |is_snapshot, is_known| {
        let is_one = |one: &&Numbered| one.is_snapshot == is_snapshot && one.is_known == is_known;
        messages.iter().filter(is_one).count()
    };
    let counts = [(false, false), (false, true), (true, false), (true, true)]
        .map(|(is_snapshot, is_known)| count(is_snapshot, is_known));
    assert_eq!(counts, [1_494, 1_436, 10, 10]);

    let instruments = names.0.clone();
    let pairs: Vec<Pair> = instruments.iter().map(|name| names.pair_of(name)).collect();
    let mut desk = desk(&pairs);
    let mut wishes = Wishes::new();
    let begin = messages[0].received;
    let (mut now, mut applied) = (Now::default(), 0);
    for message in &messages {
        let at = Now::default().plus(Duration::from_nanos(message.received - begin));
        while now.mono.plus(Duration::from_millis(100)) < at.mono {
            now = now.plus(Duration::from_millis(100));
            desk.take(now, Input::Time, &mut wishes);
        }
        let (connection, text) = (message.connection, &*message.text);
        desk.take(at, Input::Frame { connection, text }, &mut wishes);
        applied += u64::from(!message.is_known);
        let taken: u64 = counters(&desk, &pairs).map(|one| one.applied).sum();
        assert_eq!(taken, applied, "each once, when it first comes: {text}");
    }
    let known = counters(&desk, &pairs)
        .map(|one| one.duplicates)
        .sum::<u64>();
    assert_eq!(known, 1_436, "the second snapshots are left out besides");
    for one in counters(&desk, &pairs) {
        let lost = (one.gaps, one.resyncs, one.checksum_failures, one.crossed);
        assert_eq!(lost, (0, 0, 0, 0));
    }
    for (pair, name) in pairs.iter().zip(&instruments) {
        let depth = desk.book(*pair, DEPTH).unwrap().depth.unwrap();
        let texts = |levels: &[Level]| -> Levels {
            let text = |level: &Level| (level.price.to_string(), level.size.to_string());
            levels.iter().map(text).collect()
        };
        let book = (texts(&depth.bids), texts(&depth.asks));
        assert!(book == alone[name], "{name} differs at the end");
    }
}

fn counters<'a>(desk: &'a Desk, pairs: &'a [Pair]) -> impl Iterator<Item = Counters> + 'a {
    let books = pairs.iter().filter_map(|pair| desk.book(*pair, 0));
    books.map(|book| book.counters)
}

/// Both sides of books at the end of a recording, by symbol.
fn final_books(frames: &[(u64, String)]) -> BTreeMap<String, (Levels, Levels)> {
    let names = Names::learning();
    let mut books: BTreeMap<u32, Depths> = BTreeMap::new();
    for (_, text) in frames {
        let heap = read(text, &names);
        for said in &heap.said {
            if let Said::Book {
                symbol,
                kind,
                changes,
                ..
            } = said
            {
                let book = books.entry(*symbol).or_default();
                book.apply(*kind, &heap.changes[changes.clone()], DEPTH);
            }
        }
    }
    books
        .iter()
        .map(|(symbol, book)| (names.name(*symbol), book.levels()))
        .collect()
}

#[test]
fn chained_messages_of_two_connections_go_into_one_book_once() {
    let Some(frames) = frames(BOOKS_2026) else {
        return;
    };
    let names = Names::learning();
    let mut book = synced();
    let mut taken = 0;
    for (_, text) in &frames {
        for connection in 0..2 {
            let heap = read(text, &names);
            for said in &heap.said {
                match said {
                    // The runtime drops the snapshot of the second connection.
                    Said::Book { kind, .. } if *kind == Kind::Snapshot && connection == 1 => {}
                    Said::Book { .. } => taken += u32::from(took(&mut book, said, &heap)),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(taken, 7);
}

fn levels() -> impl Strategy<Value = Levels> {
    prop::collection::vec(
        (
            r"[1-9][0-9]{0,6}(\.[0-9]{1,8})?",
            r"(0|[1-9][0-9]{0,6})(\.[0-9]{1,8})?",
        ),
        0..8,
    )
}

fn written(levels: &Levels, rest: &str) -> String {
    let level = |(price, size): &(String, String)| format!(r#"["{price}","{size}"{rest}]"#);
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_codec_panic(text in any::<String>()) {
        check_frame(&Okx::new(), &text);
    }

    #[test]
    fn no_damaged_frame_makes_the_codec_panic_or_grow(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..12,
        put in capture::DAMAGE,
    ) {
        let seeds = corpus("okx_frame");
        let frame = &seeds[which.index(seeds.len())].1;
        check_frame(&Okx::new(), &capture::damaged(frame, at, cut, &put));
    }

    #[test]
    fn books_read_the_same_in_any_order_of_keys(
        bids in levels(), asks in levels(), checksum in any::<i32>(), id in 0_i64.., previous in 0_i64..,
    ) {
        let usual = format!(
            r#"{{"arg":{{"channel":"books","instId":"AAA-USDT"}},"action":"update","data":[{{"asks":[{}],"bids":[{}],"ts":"1767323045678","checksum":{checksum},"seqId":{id},"prevSeqId":{previous}}}]}}"#,
            written(&asks, r#","0","1""#), written(&bids, r#","0","1""#)
        );
        let unusual = format!(
            r#"{{"data":[{{"prevSeqId":{previous},"x":[],"asks":[{}], "seqId":{id},"bids":[{}],"checksum":{checksum},"ts":"1767323045678"}}],"action":"update","arg":{{"instId":"AAA\u002dUSDT","channel":"books"}}}}"#,
            written(&asks, ""), written(&bids, "")
        );
        let names = Names::of(&["AAA-USDT"]);
        let (one, other) = (read(&usual, &names), read(&unusual, &names));
        prop_assert_eq!(&one.said, &other.said);
        prop_assert_eq!(&one.changes, &other.changes);
        let texts: Levels = one
            .changes
            .iter()
            .map(|change| (change.price.to_string(), change.size.to_string()))
            .collect();
        prop_assert_eq!(texts, [asks, bids].concat());
    }
}

#[test]
fn seeds_of_the_fuzz_target_are_frames() {
    for (name, text) in corpus("okx_frame") {
        let said = read(&text, &Names::of(&["AAA-USDT"])).said;
        assert!(!said.contains(&Said::Unreadable), "{name}: {said:?}");
        let is_bad = name.starts_with("bad_");
        let is_impossible = said.contains(&Said::Impossible {
            symbol: 0,
            channel: Channel::Book,
        });
        assert_eq!(is_impossible, is_bad, "{name}: {said:?}");
    }
}
