//! The poller under a hand-moved clock.

use super::*;
use crate::period::{Period, TimeOfDay};
use proptest::prelude::*;

const CAP: Duration = Duration::from_secs(300);

fn poller(period: &str) -> Poller {
    let period: Period = period.parse().unwrap();
    let timetable = Timetable::new(TimeOfDay::default(), period, None).unwrap();
    Poller::new(Arc::new(timetable), CAP, 7)
}

fn noon() -> Now {
    Now {
        mono: Mono(1_000_000_000),
        wall: "2026-08-01T12:00:10Z".parse().unwrap(),
    }
}

/// Waits as told and returns the time of the next poll.
fn until_poll(poller: &mut Poller, mut now: Now) -> Now {
    for _ in 0..10 {
        match poller.step(now) {
            Step::Poll => return now,
            Step::Wait(wait) => now = now.plus(wait),
            Step::Busy => panic!("busy"),
        }
    }
    panic!("never polled");
}

#[test]
fn the_first_poll_is_at_once_and_the_next_at_the_timetable() {
    let mut poller = poller("1h");
    let now = until_poll(&mut poller, noon());
    assert_eq!(now, noon());
    assert_eq!(poller.step(now), Step::Busy);
    poller.succeeded(now.plus(Duration::from_secs(2)));
    assert_eq!(
        poller.next_poll_at(now),
        Some("2026-08-01T13:00:00Z".parse().unwrap())
    );
    let now = until_poll(&mut poller, now);
    assert_eq!(now.wall.to_string(), "2026-08-01T13:00:00.000Z");
}

#[test]
fn errors_are_tried_again_by_back_off_whatever_the_timetable_says() {
    let mut poller = poller("24h");
    let mut now = until_poll(&mut poller, noon());
    let start = now;
    for _ in 0..5 {
        poller.failed(now, &PollFailure::Passing);
        now = until_poll(&mut poller, now);
    }
    assert!(now.mono.since(start.mono) <= Duration::from_secs(31));
    poller.succeeded(now);
    assert_eq!(
        poller.next_poll_at(now),
        Some("2026-08-02T00:00:00Z".parse().unwrap())
    );
    assert_eq!(poller.failures_in_row(), 0);
}

#[test]
fn no_moment_of_the_timetable_is_slept_through_after_passing_failures() {
    for (period, cap) in [("1s", 30), ("1m", 1_800), ("1h", 1_800)] {
        let timetable = Timetable::new(TimeOfDay::default(), period.parse().unwrap(), None);
        let cap = Duration::from_secs(cap);
        let mut poller = Poller::new(Arc::new(timetable.unwrap()), cap, 7);
        let mut now = until_poll(&mut poller, noon());
        for _ in 0..100 {
            let moment = poller.next_slot_after(now.wall);
            poller.failed(now, &PollFailure::Passing);
            assert!(poller.next_poll_at(now).unwrap() <= moment, "{period}");
            now = until_poll(&mut poller, now);
            assert!(now.wall <= moment, "{period}: {now:?} is after {moment}");
        }
    }
}

#[test]
fn a_clock_set_back_after_a_failure_does_not_serve_a_moment_twice_nor_delay_the_retry() {
    let mut poller = poller("1h");
    let now = until_poll(&mut poller, noon());
    poller.succeeded(now);
    let one = until_poll(&mut poller, now);
    let back = Now {
        mono: one.mono.plus(Duration::from_secs(1)),
        wall: "2026-08-01T12:59:59.999Z".parse().unwrap(),
    };
    for _ in 0..20 {
        poller.failed(back, &PollFailure::Passing);
        let wait = match poller.step(back) {
            Step::Wait(wait) => wait,
            other => panic!("{other:?}"),
        };
        assert!(wait >= SHORTEST_RETRY, "13:00 was served: {wait:?}");
        until_poll(&mut poller, back);
    }
}

#[test]
fn a_named_limit_is_kept_to_the_second_though_the_timetable_is_faster() {
    let mut poller = poller("1s");
    let now = until_poll(&mut poller, noon());
    poller.failed(now, &PollFailure::Limited(Some(Duration::from_secs(17))));
    assert_eq!(
        poller.limited_until(now),
        Some(now.wall.plus(Duration::from_secs(17)))
    );
    let almost = now.plus(Duration::from_millis(16_999));
    assert_eq!(poller.step(almost), Step::Wait(Duration::from_millis(1)));
    assert_eq!(poller.step(now.plus(Duration::from_secs(17))), Step::Poll);
    assert_eq!(poller.limited_until(now), None);
}

#[test]
fn limits_without_a_time_wait_a_minute_and_double_up_to_an_hour() {
    let mut poller = poller("1s");
    let mut now = until_poll(&mut poller, noon());
    let mut waits = Vec::new();
    for _ in 0..8 {
        poller.failed(now, &PollFailure::Limited(None));
        let next = until_poll(&mut poller, now);
        waits.push(next.mono.since(now.mono).as_secs());
        now = next;
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
}

#[test]
fn absurd_waits_are_bounded_both_ways() {
    let mut poller = poller("1s");
    let now = until_poll(&mut poller, noon());
    poller.failed(now, &PollFailure::Limited(Some(Duration::MAX)));
    assert_eq!(poller.step(now), Step::Wait(LONGEST_WAIT));
    let now = until_poll(&mut poller, now);
    poller.failed(now, &PollFailure::Limited(Some(Duration::ZERO)));
    assert_eq!(poller.step(now), Step::Wait(Duration::from_secs(1)));
}

#[test]
fn a_clock_set_back_a_little_does_not_poll_a_moment_twice() {
    let mut poller = poller("1h");
    let now = until_poll(&mut poller, noon());
    poller.succeeded(now);
    let one = until_poll(&mut poller, now);
    let back = Now {
        mono: one.mono.plus(Duration::from_secs(1)),
        wall: "2026-08-01T12:58:00Z".parse().unwrap(),
    };
    poller.succeeded(back);
    let next = until_poll(&mut poller, back);
    assert_eq!(next.wall.to_string(), "2026-08-01T14:00:00.000Z");
}

#[test]
fn a_clock_set_back_by_days_does_not_silence_the_source() {
    let mut poller = poller("1h");
    let now = until_poll(&mut poller, noon());
    poller.succeeded(now);
    let back = Now {
        mono: now.mono,
        wall: "2026-07-20T00:10:00Z".parse().unwrap(),
    };
    assert_eq!(poller.step(back), Step::Wait(Duration::from_secs(50 * 60)));
}

#[test]
fn a_clock_set_forward_over_many_moments_polls_once() {
    let mut poller = poller("1h");
    let now = until_poll(&mut poller, noon());
    poller.succeeded(now);
    let ahead = Now {
        mono: now.mono,
        wall: "2026-08-05T00:10:00Z".parse().unwrap(),
    };
    assert_eq!(poller.step(ahead), Step::Poll);
    poller.succeeded(ahead);
    assert_eq!(poller.step(ahead), Step::Wait(Duration::from_secs(50 * 60)));
}

proptest! {
    #[test]
    fn quota_is_never_burned_in_a_loop(
        seed in any::<u64>(), period in 1_u64..90_000, outcomes in prop::collection::vec(0_u8..4, 1..60),
    ) {
        let period = Period::seconds(period.min(86_400));
        let timetable = Timetable::new(TimeOfDay::default(), period, None).unwrap();
        let mut poller = Poller::new(Arc::new(timetable), CAP, seed);
        let mut now = until_poll(&mut poller, noon());
        for outcome in outcomes {
            let shortest = match outcome {
                0 => { poller.succeeded(now); Duration::from_nanos(1) }
                1 => {
                    // The timetable may be faster than any retry.
                    let moment = poller.next_slot_after(now.wall).since(now.wall);
                    poller.failed(now, &PollFailure::Passing);
                    SHORTEST_RETRY.min(moment)
                }
                2 => { poller.failed(now, &PollFailure::Limited(Some(Duration::from_secs(9)))); Duration::from_secs(9) }
                _ => { poller.failed(now, &PollFailure::Lasting(Duration::from_secs(3_600))); Duration::from_secs(3_600) }
            };
            let next = until_poll(&mut poller, now);
            let waited = next.mono.since(now.mono);
            prop_assert!(waited >= shortest, "{waited:?} after {outcome}");
            prop_assert!(waited <= CAP.max(period.0).max(Duration::from_secs(3_600)));
            now = next;
        }
    }
}
