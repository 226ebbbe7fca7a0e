//! Limits that hold whatever happens.

use super::rig::Rig;
use kurs_core::Mono;
use kurs_net::{Action, Event, Settings, StreamId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
        let mut attempted_at: Option<Mono> = None;
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
                        4 => Event::Refused { command: Some(1), why },
                        5 => Event::ShutdownNotice,
                        _ => Event::Accepted { command: Some(1) },
                    };
                    let number = last_connection.max(connection_back) - connection_back;
                    if let (Event::Refused { command: Some(command), .. }, Some(streams)) = (&event, carried.get_mut(&number)) {
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
                        // Dated to 50 ms.
                        let least = Duration::from_millis(350);
                        prop_assert!(attempted_at.is_none_or(|last| rig.now.since(last) >= least));
                        attempted_at = Some(rig.now);
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

#[test]
fn no_second_sees_more_than_three_attempts_whatever_becomes_of_them() {
    for loss in [
        Event::Lost {
            why: "cut".to_owned(),
        },
        Event::ConnectFailed {
            why: "refused".to_owned(),
            retry_after: None,
        },
    ] {
        let mut rig = Rig::new(Settings::default());
        let mut attempts: Vec<Mono> = Vec::new();
        let mut actions = rig.want([0]);
        while attempts.len() < 20 {
            for action in actions {
                if let Action::Connect { connection } = action {
                    attempts.push(rig.now);
                    rig.event(connection, Event::Connected);
                    rig.event(connection, loss.clone());
                }
            }
            actions = rig.pass(Duration::from_millis(10));
        }
        for (index, first) in attempts.iter().enumerate() {
            let within = attempts[index..].iter();
            let within = within.filter(|at| at.since(*first) <= Duration::from_secs(1));
            assert!(within.count() <= 3, "{attempts:?}");
        }
    }
}
