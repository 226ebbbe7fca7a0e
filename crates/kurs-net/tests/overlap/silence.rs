//! What silence means, of a stream and of a connection.

use super::rig::{Rig, lost, notices, subscribed, unsubscribed};
use kurs_net::{Action, Event, Notice, Settings, StreamId};
use std::time::Duration;

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

/// Lets seconds pass; at the beginning of each something happens.
fn pass_seconds(
    rig: &mut Rig,
    seconds: u32,
    mut each: impl FnMut(&mut Rig, u32) -> Vec<Action>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for second in 0..seconds {
        actions.extend(each(rig, second));
        actions.extend(rig.pass(Duration::from_secs(1)));
    }
    actions
}

fn closed(actions: &[Action]) -> bool {
    actions.contains(&Action::Close { connection: 1 })
}

#[test]
fn a_connection_without_any_sign_of_life_is_given_up_at_once_when_its_time_is_over() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    let actions = rig.pass(Duration::from_millis(8_999));
    assert!(!closed(&actions), "{actions:?}");
    let questions = actions
        .iter()
        .filter(|action| **action == Action::KeepAlive { connection: 1 });
    assert_eq!(questions.count(), 2, "it is asked before it is given up");
    let actions = rig.pass(Duration::from_millis(1));
    assert!(closed(&actions), "{actions:?}");
    let is_silent = |notice: &Notice| matches!(notice, Notice::Down { silent: true, .. });
    assert!(notices(&actions).iter().any(is_silent));
}

#[test]
fn a_quiet_market_on_a_connection_that_lives_is_no_reason_to_reconnect() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    // Once a minute the market moves; heartbeats, pings and answers to ours come meanwhile.
    let actions = pass_seconds(&mut rig, 300, |rig, second| match second % 20 {
        0 => rig.data(1, 0),
        5 | 10 | 15 => rig.event(1, Event::Ponged),
        _ => rig.alive(1, None),
    });
    assert!(!closed(&actions), "{actions:?}");
    let silences = notices(&actions)
        .into_iter()
        .filter(|notice| *notice == Notice::StreamSilent(StreamId(0)));
    assert_eq!(silences.count(), 15, "the pair itself is silent as before");
}

#[test]
fn the_answer_to_a_question_keeps_a_quiet_connection() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    let mut actions = Vec::new();
    for _ in 0..200 {
        let now = rig.pass(Duration::from_millis(100));
        if now.contains(&Action::KeepAlive { connection: 1 }) {
            actions.extend(rig.alive(1, None));
        }
        actions.extend(now);
    }
    assert!(!closed(&actions), "{actions:?}");
}

#[test]
fn a_connection_that_only_beats_is_subscribed_anew_once_and_then_given_up() {
    let settings = Settings {
        data_silence: Duration::from_secs(20),
        ..Settings::default()
    };
    // Stream 1 speaks by heartbeats only, as a dead book whose symbol still beats.
    let mut rig = Rig::live(settings, &[0, 1]);
    let beat = |rig: &mut Rig, _: u32| {
        let mut actions = rig.alive(1, Some(1));
        actions.extend(rig.event(1, Event::Ponged));
        actions
    };
    let actions = pass_seconds(&mut rig, 10, beat);
    assert_eq!(unsubscribed(&actions), [0, 1]);
    assert_eq!(subscribed(&actions, 1), [0, 1]);
    assert!(!closed(&actions), "{actions:?}");
    let actions = pass_seconds(&mut rig, 9, beat);
    assert_eq!(subscribed(&actions, 1), Vec::<u32>::new());
    assert!(!closed(&actions), "{actions:?}");
    let actions = pass_seconds(&mut rig, 1, beat);
    assert!(closed(&actions), "{actions:?}");
    let is_down = |notice: &Notice| matches!(notice, Notice::Down { why, silent: true, .. } if why.contains("signs of life"));
    assert!(notices(&actions).iter().any(is_down), "{actions:?}");
}

#[test]
fn what_answers_the_new_subscription_keeps_a_connection_of_quiet_markets() {
    let mut rig = Rig::live(Settings::default(), &[0]);
    let mut actions = Vec::new();
    for _ in 0..300 {
        actions.extend(rig.alive(1, None));
        let now = rig.pass(Duration::from_secs(1));
        if !subscribed(&now, 1).is_empty() {
            actions.extend(rig.data(1, 0));
        }
        actions.extend(now);
    }
    assert!(!closed(&actions), "{actions:?}");
    assert_eq!(subscribed(&actions, 1).len(), 20, "every 15 s, and no more");
}

#[test]
fn a_connection_that_never_brings_data_is_given_up_although_it_lives() {
    let mut rig = Rig::new(Settings::default());
    rig.want([0]);
    rig.event(1, Event::Connected);
    let beat = |rig: &mut Rig, _: u32| rig.alive(1, Some(0));
    let actions = pass_seconds(&mut rig, 29, beat);
    assert!(!closed(&actions), "{actions:?}");
    let is_live = |notice: &Notice| matches!(notice, Notice::Live { .. });
    assert!(!notices(&actions).iter().any(is_live), "it gives nothing");
    assert!(closed(&pass_seconds(&mut rig, 1, beat)));
}

#[test]
fn a_stream_that_speaks_by_heartbeats_is_neither_silent_nor_a_hindrance_to_a_successor() {
    let mut rig = Rig::live(Settings::default(), &[0, 1]);
    let both = |rig: &mut Rig, _: u32| {
        let mut actions = rig.data(1, 0);
        actions.extend(rig.alive(1, Some(1)));
        actions
    };
    let actions = pass_seconds(&mut rig, 20, both);
    assert_eq!(notices(&actions), []);
    rig.event(1, Event::ShutdownNotice);
    rig.pass(Duration::from_secs(2));
    rig.event(2, Event::Connected);
    both(&mut rig, 0);
    assert_eq!(
        notices(&rig.data(2, 0)),
        [],
        "it waits for the other stream"
    );
    let renewed = Notice::Renewed { from: 1, to: 2 };
    assert!(notices(&rig.alive(2, Some(1))).contains(&renewed));
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
