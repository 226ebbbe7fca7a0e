use super::*;
use crate::alert::{Alert, id_of};
use crate::condition::{Condition, Terms};
use crate::message::AlertMessage;
use crate::target::Target;
use kurs_core::Pair;

fn delivery(attempts: u32, created_at: Wall) -> Delivery {
    let condition = Condition::Freeze {
        pair: Pair::parse("BTC-USD").unwrap(),
        after: Duration::from_secs(5),
    };
    let target = Target::Telegram { chat: 1 };
    let terms = Terms::usual(condition);
    let alert = Alert::new(id_of([7; 12]), target.clone(), terms, "cli".into(), Wall(0));
    Delivery {
        id: "a-1".into(),
        alert: Arc::clone(&alert.id),
        target,
        secret: None,
        message: AlertMessage::test("a-1".into(), &alert, None, created_at),
        body: "{}".into(),
        attempts,
        created_at,
    }
}

fn again(after: Option<u64>) -> Delivered {
    Delivered::Again {
        after: after.map(Duration::from_secs),
        why: "answered 503".to_owned(),
    }
}

fn judged(attempts: u32, delivered: Delivered, now: Wall) -> (&'static str, DeliveryStanding) {
    let mut random = fastrand::Rng::with_seed(7);
    let config = AlertConfig::default();
    judge(
        &delivery(attempts, Wall(0)),
        delivered,
        &config,
        now,
        &mut random,
    )
}

const NOW: Wall = Wall(1_000_000);

#[test]
fn pauses_grow_with_full_jitter_to_their_bound() {
    let mut random = fastrand::Rng::with_seed(7);
    for attempts in 1..40 {
        let bound = Duration::from_secs(
            1_u64
                .checked_shl(attempts - 1)
                .unwrap_or(u64::MAX)
                .min(3_600),
        );
        let pauses: Vec<Duration> = (0..200).map(|_| pause(attempts, &mut random)).collect();
        assert!(pauses.iter().all(|pause| *pause <= bound), "{attempts}");
        assert!(pauses.iter().any(|pause| *pause < bound / 2), "{attempts}");
        assert!(pauses.iter().any(|pause| *pause > bound / 2), "{attempts}");
        assert!(
            pauses.iter().all(|pause| pause.as_millis() >= 100),
            "{attempts}"
        );
    }
}

#[test]
fn what_the_target_asks_for_is_waited_for() {
    let (outcome, standing) = judged(0, again(Some(120)), NOW);
    assert_eq!(outcome, "retry");
    assert_eq!(standing.due_at, NOW.plus(Duration::from_secs(120)));
    assert_eq!(standing.attempts, 1);
    assert_eq!(standing.error.as_deref(), Some("answered 503"));
    assert_eq!(standing.done_at, None);
}

#[test]
fn a_delivery_is_given_up_after_its_attempts_or_a_day() {
    assert_eq!(judged(28, again(None), NOW).0, "retry");
    assert_eq!(judged(29, again(None), NOW).0, "gave_up");
    let day = Wall(86_400_000_000);
    let (outcome, standing) = judged(1, again(None), day);
    assert_eq!(outcome, "gave_up");
    assert_eq!(standing.done_at, Some(day));
    assert_eq!(standing.outcome.as_deref(), Some("gave_up"));
    assert_eq!(judged(0, again(Some(86_400)), NOW).0, "gave_up");
}

#[test]
fn what_is_done_or_will_never_be_is_not_tried_again() {
    let (outcome, standing) = judged(0, Delivered::Done, NOW);
    assert_eq!((outcome, standing.done_at), ("delivered", Some(NOW)));
    let why = "answered 410 Gone".to_owned();
    let (outcome, standing) = judged(0, Delivered::Never { why }, NOW);
    assert_eq!((outcome, standing.done_at), ("refused", Some(NOW)));
    assert_eq!(standing.error.as_deref(), Some("answered 410 Gone"));
}

#[test]
fn a_long_reason_is_cut_between_two_letters() {
    let cut = cut(&"\u{436}".repeat(1_000));
    assert_eq!(cut.len(), ERROR_MAX);
    let odd = super::cut(&format!("x{}", "\u{436}".repeat(1_000)));
    assert_eq!(odd.len(), ERROR_MAX - 1);
}
