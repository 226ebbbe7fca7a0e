//! What is subscribed, refused and subscribed again.

use super::rig::{Rig, lost, notices, subscribed, unsubscribed};
use kurs_net::{Action, Event, Notice, Settings, StreamId, StreamSpec};
use std::time::Duration;

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
fn a_refused_batch_is_tried_stream_by_stream_and_only_the_bad_one_is_left_out() {
    let mut rig = Rig::new(Settings::default());
    rig.want([0, 1, 2]);
    let actions = rig.event(1, Event::Connected);
    let Some(Action::Subscribe { command, .. }) = actions.first() else {
        panic!("{actions:?}")
    };
    let refused = |command| Event::Refused {
        command: Some(command),
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

#[test]
fn answers_without_a_number_belong_to_the_commands_in_their_order() {
    let settings = Settings {
        streams_per_command: 2,
        ..Settings::default()
    };
    let mut rig = Rig::new(settings);
    rig.want([0, 1, 2, 3]);
    rig.event(1, Event::Connected);
    // The first command is accepted, the second refused.
    rig.event(1, Event::Accepted { command: None });
    let why = "one of them is unknown".to_owned();
    let refused = Event::Refused { command: None, why };
    let mut actions = rig.event(1, refused.clone());
    actions.extend(rig.pass(Duration::from_secs(2)));
    assert_eq!(subscribed(&actions, 1), [2, 3], "and not the others");
    let commands = actions
        .iter()
        .filter(|action| matches!(action, Action::Subscribe { .. }));
    assert_eq!(commands.count(), 2, "each alone");
    // An unsubscription is answered in its turn, too.
    rig.event(1, Event::Accepted { command: None });
    rig.want([0, 2, 3]);
    let actions = rig.event(1, refused.clone());
    let why = "one of them is unknown".to_owned();
    let stream = StreamId(3);
    assert_eq!(notices(&actions), [Notice::StreamRefused { stream, why }]);
    rig.event(1, Event::Accepted { command: None });
    let actions = rig.event(1, refused);
    assert_eq!(notices(&actions), [], "nothing awaits an answer");
    let later = rig.pass(Duration::from_secs(2));
    assert_eq!(subscribed(&later, 1), Vec::<u32>::new());
}
