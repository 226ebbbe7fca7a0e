//! How one connection follows another.

use super::rig::{Rig, lost, notices};
use kurs_net::{Action, Event, Notice, Settings};
use std::time::Duration;

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
    // The first attempt was a moment ago.
    assert_eq!(rig.want([1]), []);
    let every = Settings::default().connect_every;
    assert_eq!(rig.pass(every), [Action::Connect { connection: 2 }]);
}
