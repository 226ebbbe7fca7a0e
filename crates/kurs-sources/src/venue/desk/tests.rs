//! The state of a source, told by a codec of the plainest kind.

mod life;
mod words;

use super::*;
use crate::venue::codec::Request;
use kurs_core::{Quote, Tick, Wall};
use kurs_net::Heard;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use words::Words;

#[derive(Default)]
struct Events(Mutex<Vec<SourceEvent>>);

impl EventSink for Events {
    fn deliver(&self, event: SourceEvent) {
        self.0.lock().push(event);
    }
}

struct Rig {
    desk: Desk,
    events: Arc<Events>,
    wishes: Wishes,
    now: Now,
}

fn pair(name: &str) -> Pair {
    Pair::parse(&format!("{name}-USD")).unwrap()
}

impl Rig {
    /// Follows A-USD and B-USD; the levels of A-USD are looked into.
    fn new(words: Words) -> Self {
        let events = Arc::new(Events::default());
        let mut rig = Self {
            desk: Desk::new(DeskParts {
                source: SourceId::parse("words").unwrap(),
                codec: Arc::new(words),
                waits: Waits {
                    silence: Duration::from_secs(3),
                    confirm: Duration::from_millis(1_500),
                    max_age: Duration::from_secs(5),
                    rest_silence: Duration::from_secs(4),
                    trades: true,
                    books: true,
                },
                depth: Arc::from([pair("A")]),
                events: events.clone(),
                stats: Arc::new(SourceStats::new("websocket", Wall(0))),
            }),
            events,
            wishes: Wishes::new(),
            now: Now::default(),
        };
        let pairs = [pair("A"), pair("B")];
        rig.take(Input::Wanted { pairs: &pairs });
        for pair in pairs {
            let listed = Some(true);
            rig.take(Input::Listed { pair, listed });
        }
        rig
    }

    fn take(&mut self, input: Input<'_>) -> Vec<String> {
        self.desk.take(self.now, input, &mut self.wishes);
        self.events.0.lock().drain(..).map(shown).collect()
    }

    fn say(&mut self, connection: u64, text: &str) -> Vec<String> {
        self.take(Input::Frame { connection, text })
    }

    /// Lets time pass, and gives what was said meanwhile.
    fn pass(&mut self, milliseconds: u64) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..milliseconds / 100 {
            self.now = self.now.plus(Duration::from_millis(100));
            said.extend(self.take(Input::Time));
        }
        said
    }

    fn rest(&mut self, text: &str) -> Vec<String> {
        let request = Request {
            path: "/tops".to_owned(),
            weight: 1,
        };
        self.take(Input::Tops {
            request: &request,
            sent_at: self.now.mono,
            status: 200,
            body: text.as_bytes(),
        })
    }

    /// Streams to be renewed since the last time, as connection and name.
    fn renewals(&mut self) -> Vec<(u64, Pair)> {
        let heard = std::mem::take(&mut self.wishes.heard);
        let renewed = heard.into_iter().filter_map(|(connection, heard)| {
            let Heard::Renew { stream } = heard else {
                return None;
            };
            let (pair, channel) = self.desk.meaning(stream)?;
            assert_eq!(channel, Channel::Book);
            Some((connection, pair))
        });
        renewed.collect()
    }
}

/// One event in short.
fn shown(event: SourceEvent) -> String {
    match event.kind {
        EventKind::Tick(Tick {
            pair,
            quote: Quote::Sides { bid, ask },
            ..
        }) => format!("{}: {bid}/{ask}", pair.base),
        EventKind::PairState { pair, state, why } => {
            format!("{} {}: {why}", pair.base, state.as_str())
        }
        EventKind::State { state, why } => format!("{}: {why}", state.as_str()),
        EventKind::Depth { pair, depth, .. } => match depth {
            Some(depth) => format!("{} depth {}", pair.base, depth.bids[0].price),
            None => format!("{} no depth", pair.base),
        },
        other => format!("{other:?}"),
    }
}

#[test]
fn where_prices_come_from_the_book_they_change_with_its_top_and_end_with_its_sync() {
    let mut rig = Rig::new(Words::top_from_book());
    assert_eq!(
        rig.say(1, "snap A 5 100 110"),
        ["live: ", "A live: ", "A: 100/110", "A depth 100"]
    );
    rig.pass(100);
    assert_eq!(
        rig.say(1, "diff A 5 6 90"),
        ["A depth 100"],
        "below the top"
    );
    assert_eq!(
        rig.say(1, "diff A 6 7 101"),
        ["A: 101/110"],
        "100 ms are not over"
    );
    assert_eq!(rig.pass(100), ["A depth 101"]);
    assert_eq!(
        rig.say(1, "diff A 8 9 102"),
        [
            "A syncing: order book out of step: a message is missing",
            "A no depth"
        ]
    );
    assert_eq!(rig.say(1, "diff A 9 10 103"), Vec::<String>::new());
    let view = rig.desk.book(pair("A"), 10).unwrap();
    assert!(view.depth.is_none());
    assert_eq!(&*view.why, "order book out of step: a message is missing");
    rig.pass(100);
    assert_eq!(rig.renewals(), [(1, pair("A"))]);
    assert_eq!(
        rig.say(1, "snap A 12 104 110"),
        ["A live: ", "A: 104/110", "A depth 104"]
    );
    let view = rig.desk.book(pair("A"), 10).unwrap();
    assert_eq!((view.last_id, view.levels), (Some(12), (1, 1)));
    let books = &rig.desk.stats().books;
    assert_eq!(books.gaps.load(Ordering::Relaxed), 1);
    assert_eq!(books.resyncs.load(Ordering::Relaxed), 1);
    assert_eq!(books.synced.load(Ordering::Relaxed), 1);
}

#[test]
fn the_gap_of_one_book_is_nobody_elses() {
    let mut rig = Rig::new(Words::top_from_book());
    rig.say(1, "snap A 5 100 110; snap B 5 200 210");
    rig.say(1, "diff A 8 9 102");
    assert_eq!(rig.say(1, "diff B 5 6 201"), ["B: 201/210"]);
    rig.pass(500);
    assert_eq!(rig.renewals(), [(1, pair("A"))], "once, and only that");
    assert_eq!(rig.say(1, "diff B 6 7 202"), ["B: 202/210"]);
}

#[test]
fn a_sign_of_life_keeps_a_price_fresh_and_its_absence_does_not() {
    let mut rig = Rig::new(Words::top_from_book());
    rig.say(1, "snap B 5 200 210");
    for _ in 0..5 {
        rig.pass(1_000);
        rig.say(1, "alive A");
        let again = rig.say(1, "alive B");
        rig.pass(600);
        let later = rig.say(1, "alive B");
        let told: Vec<_> = again.into_iter().chain(later).collect();
        assert_eq!(told, ["B: 200/210"], "again before it is too old");
    }
    let silent = rig.pass(3_000);
    assert!(silent.contains(&"B stale: silent".to_owned()), "{silent:?}");
}

#[test]
fn what_rest_contradicts_is_not_confirmed_by_a_sign_of_life() {
    let mut rig = Rig::new(Words::top_from_book());
    rig.say(1, "snap B 5 200 210");
    rig.pass(2_000);
    assert_eq!(rig.rest("B 205 215"), ["B: 205/215"]);
    rig.pass(2_000);
    assert_eq!(rig.say(1, "alive B"), Vec::<String>::new());
    assert_eq!(rig.say(1, "diff B 5 6 206"), ["B: 206/210"]);
}

#[test]
fn a_crossed_top_is_counted_and_not_passed_on() {
    let mut rig = Rig::new(Words::with_tops());
    assert_eq!(
        rig.say(1, "top A 100 110 1"),
        ["live: ", "A live: ", "A: 100/110"]
    );
    for crossed in ["top A 110 100 2", "top A 100 100 3"] {
        assert_eq!(rig.say(1, crossed), Vec::<String>::new());
    }
    assert_eq!(rig.desk.stats().decode_errors.load(Ordering::Relaxed), 2);
    assert_eq!(rig.say(1, "top A 101 110 4"), ["A: 101/110"]);
}

#[test]
fn a_book_does_not_touch_prices_that_have_a_channel_of_their_own() {
    let mut rig = Rig::new(Words::with_tops());
    rig.say(1, "top A 100 110 1; snap A 5 99 111");
    assert_eq!(rig.say(1, "diff A 7 8 99"), ["A no depth"]);
    assert_eq!(rig.say(1, "top A 101 110 2"), ["A: 101/110"]);
}

#[test]
fn a_venue_that_takes_no_orders_has_no_prices_until_another_connection_brings_some() {
    let mut rig = Rig::new(Words::with_tops());
    rig.say(1, "top A 100 110 1");
    assert_eq!(rig.say(1, "halt maintenance"), ["down: maintenance"]);
    let heard = std::mem::take(&mut rig.wishes.heard);
    assert!(
        heard
            .iter()
            .any(|(connection, heard)| *connection == 1 && matches!(heard, Heard::Unfit { .. }))
    );
    let (connection, oldest_open) = (1, 2);
    rig.take(Input::Ended {
        connection,
        oldest_open,
    });
    let (why, silent) = ("maintenance", false);
    rig.take(Input::Down { why, silent });
    rig.pass(1_000);
    assert_eq!(rig.desk.poll_due(rig.now.mono), Vec::<String>::new());
    assert_eq!(rig.rest("A 100 110"), Vec::<String>::new());
    assert_eq!(rig.say(2, "top A 90 95 1"), ["live: ", "A: 90/95"]);
}

#[test]
fn garbage_condemns_the_connection_that_sends_it_and_no_other() {
    let mut rig = Rig::new(Words::with_tops());
    for id in 1..100 {
        rig.say(1, &format!("top A 100 110 {id}"));
        rig.say(2, "junk");
    }
    let condemned: Vec<u64> = rig
        .wishes
        .heard
        .iter()
        .filter(|(_, heard)| matches!(heard, Heard::Unfit { .. }))
        .map(|(connection, _)| *connection)
        .collect();
    assert!(!condemned.is_empty() && condemned.iter().all(|one| *one == 2));
}

#[test]
fn streams_of_one_command_carry_one_channel_unless_the_venue_mixes_them() {
    let groups = |words| {
        let streams = Rig::new(words).desk.streams();
        let mut groups: Vec<u8> = streams.iter().map(|stream| stream.group).collect();
        groups.sort_unstable();
        groups.dedup();
        (streams.len(), groups.len())
    };
    assert_eq!(groups(Words::with_tops()), (4, 1));
    assert_eq!(groups(Words::top_from_book()), (4, 2));
}

#[test]
fn where_a_connection_cannot_carry_all_best_prices_come_before_books() {
    let mut words = Words::with_tops();
    words.streams_max = 3;
    let rig = Rig::new(words);
    let carried: Vec<_> = rig
        .desk
        .streams()
        .iter()
        .filter_map(|stream| rig.desk.meaning(stream.id))
        .collect();
    assert_eq!(
        carried,
        [
            (pair("A"), Channel::Top),
            (pair("A"), Channel::Book),
            (pair("B"), Channel::Top)
        ]
    );
}

#[test]
fn a_refused_symbol_is_told_as_such_for_its_pair_unless_another_connection_carries_it() {
    let mut rig = Rig::new(Words::top_from_book());
    rig.say(1, "snap B 5 200 210");
    assert_eq!(rig.say(1, "refuse A"), ["A down: unknown symbol"]);
    let heard = std::mem::take(&mut rig.wishes.heard);
    let is_refusal = |heard: &(u64, Heard)| matches!(heard.1, Heard::StreamRefused { .. });
    assert!(heard.iter().any(is_refusal), "{heard:?}");
    assert_eq!(rig.say(2, "refuse B"), Vec::<String>::new());
    let later = rig.pass(5_000);
    assert!(
        !later.iter().any(|told| told.starts_with("A ")),
        "{later:?}"
    );
    let back = rig.say(1, "snap A 5 100 110");
    assert!(back.contains(&"A live: ".to_owned()), "{back:?}");
}

#[test]
fn a_heartbeat_of_the_connection_is_heard_there_and_keeps_no_pair_from_being_stale() {
    let mut rig = Rig::new(Words::top_from_book());
    rig.say(1, "snap B 5 200 210");
    rig.wishes.heard.clear();
    let mut told = Vec::new();
    for _ in 0..4 {
        assert_eq!(rig.say(1, "beat"), Vec::<String>::new());
        told.extend(rig.pass(1_000));
    }
    let alive = (1, Heard::Alive { stream: None });
    assert_eq!(rig.wishes.heard, vec![alive; 4]);
    assert!(told.contains(&"B stale: silent".to_owned()), "{told:?}");
}

fn statement() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("A"), Just("B"), Just("C")];
    prop_oneof![
        (name.clone(), 90_u32..120, 90_u32..120, 0_u64..50)
            .prop_map(|(name, bid, ask, id)| format!("top {name} {bid} {ask} {id}")),
        (name.clone(), 0_u64..50, 90_u32..110, 100_u32..120)
            .prop_map(|(name, id, bid, ask)| format!("snap {name} {id} {bid} {ask}")),
        (name.clone(), 0_u64..50, 0_u64..3, 90_u32..120)
            .prop_map(|(name, id, step, bid)| format!("diff {name} {id} {} {bid}", id + step)),
        name.clone().prop_map(|name| format!("alive {name}")),
        name.prop_map(|name| format!("bad {name}")),
        Just("junk".to_owned()),
        Just("halt closed".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Whatever a venue says over three connections: the same inputs give the same events, no
    /// crossed price and no crossed levels are ever told.
    #[test]
    fn the_same_inputs_give_the_same_events_and_none_is_crossed(
        script in prop::collection::vec((1_u64..4, statement(), 0_u64..4), 1..300),
        from_book in any::<bool>(),
    ) {
        let run = || {
            let words = if from_book { Words::top_from_book() } else { Words::with_tops() };
            let mut rig = Rig::new(words);
            for (connection, text, hundreds) in &script {
                let connection = *connection;
                rig.desk.take(rig.now, Input::Frame { connection, text }, &mut rig.wishes);
                for _ in 0..*hundreds {
                    rig.now = rig.now.plus(Duration::from_millis(100));
                    rig.desk.take(rig.now, Input::Time, &mut rig.wishes);
                }
                if text == "junk" {
                    let (connection, oldest_open) = (1, 2);
                    rig.desk.take(rig.now, Input::Ended { connection, oldest_open }, &mut rig.wishes);
                }
            }
            let events = std::mem::take(&mut *rig.events.0.lock());
            for event in &events {
                if let EventKind::Depth { depth: Some(depth), .. } = &event.kind {
                    assert!(depth.bids[0].price < depth.asks[0].price);
                }
            }
            (format!("{events:?}"), format!("{:?}", rig.wishes.heard))
        };
        prop_assert_eq!(run(), run());
    }
}
