//! The connection machine under virtual time.

use kurs_core::Mono;
use kurs_net::{Action, Event, Notice, Overlap, Settings, StreamId, StreamSpec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A machine, its time, and what it asked for.
struct Rig {
    overlap: Overlap,
    now: Mono,
    actions: Vec<Action>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        Self {
            overlap: Overlap::new(settings, 7),
            now: Mono(0),
            actions: Vec::new(),
        }
    }

    fn want(&mut self, streams: impl IntoIterator<Item = u32>) -> Vec<Action> {
        let streams: Vec<StreamSpec> = streams
            .into_iter()
            .map(|id| StreamSpec {
                id: StreamId(id),
                watched: true,
                group: 0,
            })
            .collect();
        self.overlap
            .set_desired(self.now, &streams, &mut self.actions);
        self.taken()
    }

    fn event(&mut self, connection: u64, event: Event) -> Vec<Action> {
        self.overlap
            .handle(self.now, connection, event, &mut self.actions);
        self.taken()
    }

    fn data(&mut self, connection: u64, stream: u32) -> Vec<Action> {
        self.overlap
            .data(self.now, connection, StreamId(stream), &mut self.actions);
        self.taken()
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, duration: Duration) -> Vec<Action> {
        let until = self.now.plus(duration);
        while let Some(deadline) = self
            .overlap
            .next_deadline(self.now)
            .filter(|at| *at <= until)
        {
            assert!(
                deadline >= self.now || self.now == until,
                "a deadline in the past"
            );
            self.now = self.now.max(deadline);
            self.overlap.advance(self.now, &mut self.actions);
            let next = self.overlap.next_deadline(self.now);
            assert!(
                next.is_none_or(|next| next > self.now),
                "the machine would spin"
            );
        }
        self.now = until;
        self.taken()
    }

    fn taken(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// One connection, live on these streams.
    fn live(settings: Settings, streams: &[u32]) -> Self {
        let mut rig = Self::new(settings);
        rig.want(streams.iter().copied());
        rig.event(1, Event::Connected);
        for stream in streams {
            rig.data(1, *stream);
        }
        rig
    }
}

fn subscribed(actions: &[Action], on: u64) -> Vec<u32> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Subscribe {
            connection,
            streams,
            ..
        } = action
            && *connection == on
        {
            found.extend(streams.iter().map(|stream| stream.0));
        }
    }
    found
}

fn unsubscribed(actions: &[Action]) -> Vec<u32> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Unsubscribe { streams, .. } = action {
            found.extend(streams.iter().map(|stream| stream.0));
        }
    }
    found
}

fn notices(actions: &[Action]) -> Vec<Notice> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Notice(notice) = action {
            found.push(notice.clone());
        }
    }
    found
}

fn lost() -> Event {
    Event::Lost {
        why: "reset".to_owned(),
    }
}

#[test]
fn nothing_is_connected_until_something_is_wanted() {
    let mut rig = Rig::new(Settings::default());
    assert_eq!(rig.overlap.next_deadline(rig.now), None);
    assert_eq!(rig.want([]), vec![]);
    assert_eq!(rig.want([0]), vec![Action::Connect { connection: 1 }]);
    assert_eq!(subscribed(&rig.event(1, Event::Connected), 1), [0]);
    assert_eq!(
        rig.data(1, 0),
        vec![
            Action::Notice(Notice::Live { connection: 1 }),
            Action::Notice(Notice::StreamLive(StreamId(0)))
        ]
    );
}

#[test]
fn adding_and_removing_a_stream_leaves_the_others_alone() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    let actions = rig.want([0, 1, 2]);
    assert_eq!(
        (subscribed(&actions, 1), unsubscribed(&actions)),
        (vec![2], vec![])
    );
    let actions = rig.want([0, 2]);
    assert_eq!(
        (subscribed(&actions, 1), unsubscribed(&actions)),
        (vec![], vec![1])
    );
    assert_eq!(rig.overlap.connections(), 1);
}

#[test]
fn all_wanted_streams_are_subscribed_again_after_a_loss_in_batches() {
    let settings = Settings {
        streams_per_command: 4,
        ..Settings::default()
    };
    let streams: Vec<u32> = (0..30).collect();
    let mut rig = Rig::live(settings, &streams);
    rig.pass(Duration::from_millis(2_500));
    let actions = rig.event(1, lost());
    assert!(matches!(
        notices(&actions)[..],
        [Notice::Ended { .. }, Notice::Down { .. }]
    ));
    let actions = rig.pass(Duration::from_secs(1));
    assert!(
        actions.contains(&Action::Connect { connection: 2 }),
        "{actions:?}"
    );
    let mut sent = rig.event(2, Event::Connected);
    assert_eq!(
        subscribed(&sent, 2).len(),
        16,
        "four commands at once, the others wait"
    );
    sent.extend(rig.pass(Duration::from_millis(1_001)));
    assert_eq!(subscribed(&sent, 2), streams);
}

#[test]
fn streams_of_one_command_share_their_group() {
    let mut rig = Rig::new(Settings::default());
    let streams: Vec<StreamSpec> = (0..6)
        .map(|id| StreamSpec {
            id: StreamId(id),
            watched: true,
            group: u8::try_from(id % 2).unwrap(),
        })
        .collect();
    rig.overlap.set_desired(rig.now, &streams, &mut rig.actions);
    let batches = |actions: &[Action]| {
        let named = |action: &Action| match action {
            Action::Subscribe { streams, .. } | Action::Unsubscribe { streams, .. } => {
                Some(streams.iter().map(|stream| stream.0).collect::<Vec<_>>())
            }
            _ => None,
        };
        actions.iter().filter_map(named).collect::<Vec<_>>()
    };
    let actions = rig.event(1, Event::Connected);
    assert_eq!(batches(&actions), [[0, 2, 4], [1, 3, 5]]);
    rig.pass(Duration::from_secs(2));
    rig.overlap
        .set_desired(rig.now, &streams[..2], &mut rig.actions);
    assert_eq!(batches(&rig.taken()), [[2, 4], [3, 5]]);
}

#[test]
fn a_stream_that_must_begin_anew_is_subscribed_again_on_that_connection_only() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    rig.event(1, Event::ShutdownNotice);
    rig.pass(Duration::from_secs(1));
    rig.event(2, Event::Connected);
    rig.pass(Duration::from_secs(1));
    let stream = StreamId(1);
    let actions = rig.event(2, Event::Renew { stream });
    assert!(
        matches!(
            &actions[..],
            [
                Action::Unsubscribe { connection: 2, streams: left, .. },
                Action::Subscribe { connection: 2, streams: joined, .. },
            ] if left == joined && left[..] == [stream]
        ),
        "{actions:?}"
    );
}

#[test]
fn one_refused_stream_is_reported_alone_and_tried_again_when_it_was_left_and_is_wanted_anew() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    rig.want([0, 1]);
    let refused = Event::StreamRefused {
        stream: StreamId(1),
        why: "unknown".to_owned(),
    };
    let actions = rig.event(1, refused.clone());
    assert_eq!(
        notices(&actions),
        [Notice::StreamRefused {
            stream: StreamId(1),
            why: "unknown".to_owned()
        }]
    );
    assert_eq!(rig.event(1, refused), vec![], "told once");
    assert_eq!(subscribed(&rig.want([0, 1, 2]), 1), [2]);
    rig.want([0]);
    rig.pass(Duration::from_secs(2));
    assert_eq!(subscribed(&rig.want([0, 1]), 1), [1]);
}

#[test]
fn every_open_connection_is_given_signs_of_life_within_the_command_limit() {
    let settings = Settings {
        keep_alive: Some(Duration::from_secs(2)),
        commands_per_second: 1,
        linger: Duration::from_secs(5),
        ..Settings::default()
    };
    let mut rig = Rig::live(settings, &[0]);
    let spoken = |actions: &[Action], on: u64| {
        let is_one = |action: &&Action| **action == Action::KeepAlive { connection: on };
        actions.iter().filter(is_one).count()
    };
    let passed = |rig: &mut Rig, seconds: u64| {
        let mut actions = Vec::new();
        for _ in 0..seconds {
            actions.extend(rig.data(1, 0));
            actions.extend(rig.pass(Duration::from_secs(1)));
        }
        actions
    };
    let actions = passed(&mut rig, 20);
    assert!((8..=10).contains(&spoken(&actions, 1)), "{actions:?}");
    // The answers to its pings use up what may be sent.
    rig.event(1, Event::Ponged);
    rig.event(1, Event::ShutdownNotice);
    rig.event(2, Event::Connected);
    rig.data(2, 0);
    let actions = passed(&mut rig, 4);
    assert!(
        spoken(&actions, 1) > 0 && spoken(&actions, 2) > 0,
        "{actions:?}"
    );
}

#[test]
fn a_silent_socket_is_given_up_although_it_answers_pings() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    let mut actions = Vec::new();
    for _ in 0..10 {
        actions.extend(rig.event(1, Event::Ponged));
        actions.extend(rig.pass(Duration::from_secs(1)));
    }
    assert!(
        notices(&actions).contains(&Notice::StreamSilent(StreamId(0))),
        "{actions:?}"
    );
    assert!(actions.contains(&Action::Close { connection: 1 }));
    assert!(
        notices(&actions)
            .iter()
            .any(|notice| matches!(notice, Notice::Down { silent: true, .. }))
    );
}

#[test]
fn a_connection_that_breaks_or_never_opens_is_not_called_silent() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    let mut actions = rig.event(1, lost());
    // The next attempts get no handshake.
    actions.extend(rig.pass(Duration::from_secs(60)));
    let silences: Vec<bool> = notices(&actions)
        .iter()
        .filter_map(|notice| match notice {
            Notice::Down { silent, .. } => Some(*silent),
            _ => None,
        })
        .collect();
    assert!(silences.len() > 2, "{silences:?}");
    assert!(!silences.contains(&true), "{silences:?}");
}

#[test]
fn one_silent_stream_is_reported_and_subscribed_again_while_the_others_go_on() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    let mut actions = Vec::new();
    for _ in 0..400 {
        actions.extend(rig.data(1, 0));
        actions.extend(rig.pass(Duration::from_millis(100)));
    }
    let silent = notices(&actions);
    assert_eq!(silent, [Notice::StreamSilent(StreamId(1))]);
    assert_eq!(
        (unsubscribed(&actions), subscribed(&actions, 1)),
        (vec![1], vec![1])
    );
    assert_eq!(notices(&rig.data(1, 1)), [Notice::StreamLive(StreamId(1))]);
}

#[test]
fn a_stream_that_never_speaks_is_reported_and_harms_nobody() {
    let mut rig = Rig::new(Settings::default());
    rig.want([0, 1]);
    rig.event(1, Event::Connected);
    let mut actions = Vec::new();
    for _ in 0..60 {
        actions.extend(rig.data(1, 0));
        actions.extend(rig.pass(Duration::from_millis(100)));
    }
    assert!(
        notices(&actions).contains(&Notice::StreamNeverCame(StreamId(1))),
        "{actions:?}"
    );
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Close { .. }))
    );
}

#[test]
fn a_refused_batch_is_tried_stream_by_stream_and_only_the_bad_one_is_left_out() {
    let mut rig = Rig::new(Settings::default());
    rig.want([0, 1, 2]);
    let actions = rig.event(1, Event::Connected);
    let Some(Action::Subscribe { command, .. }) = actions.first() else {
        panic!("{actions:?}")
    };
    let refused = |command| Event::Refused {
        command,
        why: "bad name".to_owned(),
    };
    let mut actions = rig.event(1, refused(*command));
    actions.extend(rig.pass(Duration::from_secs(2)));
    let alone: Vec<(u64, Vec<StreamId>)> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Subscribe {
                command, streams, ..
            } => Some((*command, streams.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        alone
            .iter()
            .map(|(_, streams)| streams.len())
            .collect::<Vec<_>>(),
        [1, 1, 1]
    );
    let actions = rig.event(1, refused(alone[1].0));
    let why = "bad name".to_owned();
    assert_eq!(
        notices(&actions),
        [Notice::StreamRefused {
            stream: StreamId(1),
            why
        }]
    );
    assert_eq!(
        subscribed(&rig.pass(Duration::from_secs(2)), 1),
        Vec::<u32>::new()
    );
}

fn renewing() -> Settings {
    Settings {
        renew_after: Duration::from_secs(60),
        renew_jitter: Duration::ZERO,
        ..Settings::default()
    }
}

/// Both streams speak ten times a second over the given connections.
fn talk(rig: &mut Rig, connections: &[u64], tenths: u32) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..tenths {
        for connection in connections {
            for stream in [0, 1] {
                actions.extend(rig.data(*connection, stream));
            }
        }
        actions.extend(rig.pass(Duration::from_millis(100)));
    }
    actions
}

#[test]
fn the_successor_is_subscribed_before_the_old_connection_ends() {
    let mut rig = Rig::live(renewing(), &[0, 1]);
    let actions = talk(&mut rig, &[1], 601);
    assert_eq!(actions, [Action::Connect { connection: 2 }]);
    rig.event(2, Event::Connected);
    assert_eq!(
        notices(&rig.data(2, 0)),
        [],
        "one stream of two has not spoken on the new one"
    );
    talk(&mut rig, &[1], 5);
    assert_eq!(
        notices(&rig.data(2, 1)),
        [Notice::Renewed { from: 1, to: 2 }]
    );
    let actions = talk(&mut rig, &[1, 2], 15);
    assert_eq!(
        actions,
        [
            Action::Close { connection: 1 },
            Action::Notice(Notice::Ended {
                connection: 1,
                oldest_open: 2
            })
        ]
    );
}

#[test]
fn a_shutdown_notice_calls_the_successor_at_once_and_no_loss_is_reported() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    talk(&mut rig, &[1], 200);
    let actions = rig.event(1, Event::ShutdownNotice);
    assert_eq!(actions, [Action::Connect { connection: 2 }]);
    assert_eq!(
        rig.event(1, Event::ShutdownNotice),
        [],
        "a second notice changes nothing"
    );
    rig.event(2, Event::Connected);
    rig.data(2, 0);
    let actions = rig.event(1, lost());
    assert!(
        !notices(&actions)
            .iter()
            .any(|notice| matches!(notice, Notice::Down { .. })),
        "{actions:?}"
    );
}

#[test]
fn a_venue_that_announces_its_shutdown_again_and_again_is_not_hammered() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    let mut connects = 0;
    let mut current = 1;
    for _ in 0..600 {
        rig.event(current, Event::ShutdownNotice);
        for action in talk(&mut rig, &[current], 1) {
            if let Action::Connect { connection } = action {
                connects += 1;
                rig.event(connection, Event::Connected);
                for stream in [0, 1] {
                    rig.data(connection, stream);
                }
                current = connection;
            }
        }
    }
    assert!(connects <= 30, "{connects} connections in a minute");
}

#[test]
fn a_successor_that_cannot_be_had_leaves_the_old_connection_in_service() {
    let mut rig = Rig::live(renewing(), &[0, 1]);
    talk(&mut rig, &[1], 601);
    let failed = Event::ConnectFailed {
        why: "no route".to_owned(),
        retry_after: None,
    };
    let actions = rig.event(2, failed);
    assert_eq!(
        notices(&actions),
        [Notice::SuccessorFailed {
            why: "no route".to_owned()
        }]
    );
    let actions = talk(&mut rig, &[1], 100);
    assert!(
        actions.contains(&Action::Connect { connection: 3 }),
        "{actions:?}"
    );
}

#[test]
fn a_wait_that_the_server_asked_for_is_kept() {
    let mut rig = Rig::new(Settings::default());
    rig.want([0]);
    let retry_after = Some(Duration::from_secs(120));
    rig.event(
        1,
        Event::ConnectFailed {
            why: "limited".to_owned(),
            retry_after,
        },
    );
    assert_eq!(rig.pass(Duration::from_secs(119)), []);
    assert_eq!(
        rig.pass(Duration::from_secs(2)),
        [Action::Connect { connection: 2 }]
    );
}

#[test]
fn when_nothing_is_wanted_any_more_everything_is_closed() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    let actions = rig.want([]);
    assert!(actions.contains(&Action::Close { connection: 1 }));
    assert_eq!(rig.overlap.next_deadline(rig.now), None);
    assert_eq!(rig.want([1]), [Action::Connect { connection: 2 }]);
}

/// Anything that may happen.
#[derive(Debug, Clone)]
enum Step {
    Want(BTreeSet<u32>),
    Happen { connection_back: u64, what: u8 },
    Data { connection_back: u64, stream: u32 },
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => prop::collection::btree_set(0_u32..40, 0..40).prop_map(Step::Want),
        4 => (0_u64..4, 0_u8..7).prop_map(|(connection_back, what)| Step::Happen { connection_back, what }),
        6 => (0_u64..4, 0_u32..45).prop_map(|(connection_back, stream)| Step::Data { connection_back, stream }),
        6 => (0_u64..3_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_machine_keeps_its_limits(steps in prop::collection::vec(step(), 1..120)) {
        let settings = Settings {
            streams_per_command: 7,
            streams_max: 25,
            renew_after: Duration::from_secs(20),
            ..Settings::default()
        };
        let mut rig = Rig::new(settings);
        let mut wanted = BTreeSet::new();
        let mut last_connection = 0;
        let mut open: BTreeSet<u64> = BTreeSet::new();
        let mut carried: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        let mut named: BTreeMap<(u64, u64), Vec<StreamId>> = BTreeMap::new();
        let mut commands: BTreeMap<u64, Vec<Mono>> = BTreeMap::new();
        for step in steps {
            let before = rig.now;
            let actions = match step {
                Step::Want(streams) => {
                    wanted = streams.clone();
                    rig.want(streams)
                }
                Step::Happen { connection_back, what } => {
                    let why = "x".to_owned();
                    let event = match what {
                        0 | 1 => Event::Connected,
                        2 => Event::ConnectFailed { why, retry_after: None },
                        3 => Event::Lost { why },
                        4 => Event::Refused { command: 1, why },
                        5 => Event::ShutdownNotice,
                        _ => Event::Accepted { command: 1 },
                    };
                    let number = last_connection.max(connection_back) - connection_back;
                    if let (Event::Refused { command, .. }, Some(streams)) = (&event, carried.get_mut(&number)) {
                        for stream in named.remove(&(number, *command)).unwrap_or_default() {
                            streams.remove(&stream.0);
                        }
                    }
                    if matches!(event, Event::Accepted { .. }) {
                        named.remove(&(number, 1));
                    }
                    rig.event(number, event)
                }
                Step::Data { connection_back, stream } => {
                    rig.data(last_connection.max(connection_back) - connection_back, stream)
                }
                Step::Pass { ms } => {
                    // In small pieces, so that commands can be dated.
                    let mut actions = rig.pass(Duration::ZERO);
                    if actions.is_empty() {
                        actions = rig.pass(Duration::from_millis(ms.min(50)));
                    }
                    actions
                }
            };
            for action in actions {
                match action {
                    Action::Connect { connection } => {
                        prop_assert!(connection > last_connection);
                        last_connection = connection;
                        open.insert(connection);
                    }
                    Action::Close { connection } => {
                        open.remove(&connection);
                    }
                    Action::Subscribe { connection, command, streams } => {
                        named.insert((connection, command), streams.clone());
                        prop_assert!(streams.len() <= 7 && !streams.is_empty());
                        let carried = carried.entry(connection).or_default();
                        for stream in streams {
                            prop_assert!(wanted.contains(&stream.0));
                            prop_assert!(carried.insert(stream.0), "subscribed twice");
                        }
                        prop_assert!(carried.len() <= 25);
                        commands.entry(connection).or_default().push(before);
                    }
                    Action::Unsubscribe { connection, streams, .. } => {
                        let carried = carried.entry(connection).or_default();
                        for stream in streams {
                            prop_assert!(carried.remove(&stream.0), "unsubscribed what was not");
                        }
                        commands.entry(connection).or_default().push(before);
                    }
                    Action::Notice(_) | Action::KeepAlive { .. } => {}
                }
            }
            prop_assert!(rig.overlap.connections() <= 3);
        }
        for sent in commands.values() {
            for (index, first) in sent.iter().enumerate() {
                // Dated to 50 ms.
                let within = sent[index..].iter().filter(|at| at.since(*first) <= Duration::from_millis(900));
                prop_assert!(within.count() <= 4);
            }
        }
    }
}
