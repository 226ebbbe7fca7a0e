//! The queue against the rules of the real one, time passed in.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(milliseconds: u64) -> Mono {
    Mono(0).plus(Duration::from_millis(milliseconds))
}

/// Sends everything that waits, each answered after `trip`; gives when each left.
fn drain(limiter: &mut Limiter<u32>, trip: Duration) -> Vec<(i64, u32, Mono)> {
    let mut now = at(0);
    let mut sent = Vec::new();
    let mut flying: VecDeque<(Mono, i64)> = VecDeque::new();
    loop {
        while let Some((done, chat)) = flying.front().copied().filter(|(done, _)| *done <= now) {
            flying.pop_front();
            limiter.finished(chat, done);
        }
        let landing = flying.front().map(|(done, _)| *done);
        now = match limiter.next(now) {
            Next::Send(chat, item) => {
                sent.push((chat, item, now));
                flying.push_back((now.plus(trip), chat));
                continue;
            }
            Next::Wait(until) => landing.map_or(until, |landing| landing.min(until)),
            Next::Idle => match landing {
                Some(landing) => landing,
                None => return sent,
            },
        };
    }
}

/// The most that lies in any window of this length.
fn most_in(window: Duration, times: &[Mono]) -> usize {
    let within = |first: &Mono| {
        times
            .iter()
            .filter(|time| **time >= *first && time.since(*first) < window)
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_limit_is_ever_broken_and_nothing_is_lost(
        chats in proptest::collection::vec(-4_i64..12, 1..200),
        trip_ms in 0_u64..700,
    ) {
        let mut limiter = Limiter::new(Limits::default(), at(0));
        let mut pushed = 0;
        for (item, chat) in (0_u32..).zip(&chats) {
            if limiter.push(*chat, None, item, at(0)).is_ok() {
                pushed += 1;
            }
        }
        let sent = drain(&mut limiter, Duration::from_millis(trip_ms));
        prop_assert_eq!(sent.len(), pushed);
        let all: Vec<Mono> = sent.iter().map(|(.., time)| *time).collect();
        prop_assert!(most_in(SECOND, &all) <= 25);
        for chat in -4..12 {
            let of = sent.iter().filter(|(to, ..)| *to == chat);
            let times: Vec<Mono> = of.clone().map(|(.., time)| *time).collect();
            prop_assert!(most_in(SECOND, &times) <= 1);
            if chat < 0 {
                prop_assert!(most_in(SECOND * 60, &times) <= 20);
            }
            let items: Vec<u32> = of.map(|(_, item, _)| *item).collect();
            prop_assert!(items.is_sorted(), "in order within a chat");
        }
    }
}

#[test]
fn a_group_gets_no_more_than_twenty_a_minute_across_a_restart() {
    let run = |messages: u32| {
        let mut limiter = Limiter::new(Limits::default(), at(0));
        for item in 0..messages {
            limiter.push(-1, None, item, at(0)).unwrap();
        }
        let sent = drain(&mut limiter, Duration::ZERO);
        sent.iter().map(|(.., time)| *time).collect::<Vec<_>>()
    };
    let before = run(20);
    let end = before.last().copied().unwrap();
    let after = run(20).into_iter().map(|time| end.plus(time.since(at(0))));
    let both: Vec<Mono> = before.iter().copied().chain(after).collect();
    assert!(most_in(SECOND * 60, &both) <= 20);
}

#[test]
fn a_flood_in_a_private_chat_pauses_the_whole_bot_for_exactly_that_long() {
    let mut limiter = Limiter::new(Limits::default(), at(0));
    limiter.push(1, None, 1, at(0)).unwrap();
    limiter.push(2, None, 2, at(0)).unwrap();
    assert_eq!(limiter.next(at(1_000)), Next::Send(1, 1));
    limiter.flooded(1, 1, SECOND * 7, at(1_100));
    assert_eq!(limiter.next(at(1_100)), Next::Wait(at(8_100)));
    assert_eq!(limiter.next(at(8_099)), Next::Wait(at(8_100)));
    assert_eq!(limiter.next(at(8_100)), Next::Send(2, 2));
    assert_eq!(limiter.next(at(8_140)), Next::Send(1, 1));
}

#[test]
fn a_flood_in_a_group_pauses_it_alone_and_a_second_one_all() {
    let mut limiter = Limiter::new(Limits::default(), at(0));
    for chat in [-1, -2, 3] {
        limiter.push(chat, None, 0, at(0)).unwrap();
    }
    let _ = limiter.next(at(10_000));
    let Next::Send(first, _) = limiter.next(at(10_040)) else {
        panic!("the groups' burst is there");
    };
    limiter.flooded(first, 0, SECOND * 30, at(10_050));
    assert!(
        matches!(limiter.next(at(10_080)), Next::Send(..)),
        "others go on"
    );
    limiter.flooded(-9, 0, SECOND * 5, at(11_000));
    limiter.push(4, None, 0, at(11_000)).unwrap();
    assert_eq!(limiter.next(at(11_000)), Next::Wait(at(16_000)));
}

#[test]
fn a_newer_message_of_the_same_key_takes_the_place_of_the_waiting_one() {
    let mut limiter = Limiter::new(Limits::default(), at(0));
    assert_eq!(limiter.push(1, Some("BTC-USD"), 1, at(0)), Ok(None));
    assert_eq!(limiter.push(1, None, 2, at(0)), Ok(None));
    assert_eq!(limiter.push(1, Some("BTC-USD"), 3, at(0)), Ok(Some(1)));
    assert_eq!(limiter.push(1, None, 4, at(0)), Ok(None));
    let sent = drain(&mut limiter, Duration::ZERO);
    let items: Vec<u32> = sent.iter().map(|(_, item, _)| *item).collect();
    assert_eq!(
        items,
        [3, 2, 4],
        "alerts, which have no key, are never dropped"
    );
}

#[test]
fn what_waits_is_bounded() {
    let limits = Limits {
        waiting_max: 3,
        chat_waiting_max: 2,
        ..Limits::default()
    };
    let mut limiter = Limiter::new(limits, at(0));
    assert!(limiter.push(1, None, 1, at(0)).is_ok());
    assert!(limiter.push(1, None, 2, at(0)).is_ok());
    assert_eq!(limiter.push(1, None, 3, at(0)), Err(Full(3)));
    assert!(limiter.push(2, None, 4, at(0)).is_ok());
    assert_eq!(limiter.push(3, None, 5, at(0)), Err(Full(5)));
}
