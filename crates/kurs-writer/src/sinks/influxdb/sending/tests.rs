use super::*;
use kurs_core::{Clock, ManualClock, Now};
use proptest::prelude::*;

/// The machine with its clock and its dice.
struct Bench {
    sending: Sending,
    clock: ManualClock,
    random: fastrand::Rng,
}

impl Bench {
    fn new(change: impl FnOnce(&mut InfluxConfig)) -> Self {
        let mut config = InfluxConfig {
            batch_rows: 4,
            queue_rows: 10,
            linger_ms: 1_000,
            retry_max_ms: 8_000,
            ..InfluxConfig::default()
        };
        change(&mut config);
        Self {
            sending: Sending::new(&config),
            clock: ManualClock::new(Now::default()),
            random: fastrand::Rng::with_seed(7),
        }
    }

    fn push(&mut self, names: &str) -> usize {
        let now = self.clock.mono();
        let lines = names
            .chars()
            .map(|name| format!("{name}\n").into_boxed_str());
        lines.map(|line| self.sending.push(line, now).dropped).sum()
    }

    fn step(&mut self) -> Step {
        self.sending.next(self.clock.mono())
    }

    /// What is sent, each line by its letter.
    fn sent(&mut self) -> String {
        match self.step() {
            Step::Send(body) => body.replace('\n', ""),
            Step::Wait(time) => panic!("waits {time:?}"),
        }
    }

    fn answer(&mut self, outcome: &Outcome) -> Settled {
        let now = self.clock.mono();
        self.sending.answered(outcome, now, &mut self.random)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
    }
}

fn failed(smaller: bool, retry_after_ms: Option<u64>) -> Outcome {
    Outcome::Failed {
        smaller,
        retry_after: retry_after_ms.map(Duration::from_millis),
        why: String::new(),
    }
}

fn refused(lines: Option<usize>) -> Outcome {
    Outcome::Refused {
        lines,
        why: String::new(),
    }
}

const fn wait(milliseconds: u64) -> Step {
    Step::Wait(Some(Duration::from_millis(milliseconds)))
}

#[test]
fn lines_wait_for_others_until_the_oldest_lingered_or_a_batch_is_full() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.step(), Step::Wait(None));
    bench.push("a");
    bench.pass(300);
    bench.push("b");
    assert_eq!(bench.step(), wait(700));
    bench.pass(700);
    assert_eq!(bench.sent(), "ab");
    assert_eq!(bench.step(), Step::Wait(None), "one request at a time");
    bench.push("cdefg");
    let written = bench.answer(&Outcome::Written);
    assert_eq!((written.written, written.refused), (2, 0));
    assert_eq!(bench.sent(), "cdef");
    bench.answer(&Outcome::Written);
    assert_eq!(bench.step(), wait(1_000));
    bench.sending.finish();
    assert_eq!(bench.sent(), "g");
}

#[test]
fn a_batch_is_bounded_in_bytes_and_a_long_line_goes_alone() {
    let mut bench = Bench::new(|config| config.batch_bytes = 7);
    bench.push("abcd");
    assert_eq!(bench.sent(), "abc");
    bench.answer(&Outcome::Written);
    bench.pass(1_000);
    assert_eq!(bench.sent(), "d");
    bench.answer(&Outcome::Written);
    let now = bench.clock.mono();
    bench.sending.push("longer than all\n".into(), now);
    assert_eq!(bench.sent(), "longer than all");
}

#[test]
fn a_full_queue_drops_the_oldest_that_is_not_on_its_way() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.push("abcdefghij"), 0);
    assert_eq!(bench.push("k"), 1, "a goes");
    assert_eq!(bench.sent(), "bcde");
    assert_eq!(bench.push("lm"), 2, "f and g go");
    assert_eq!(bench.sending.rows(), 10);
    bench.answer(&failed(false, None));
    assert_eq!(bench.push("n"), 1, "b is not on its way any more");
    bench.pass(8_000);
    assert_eq!(bench.sent(), "cdeh");

    let mut narrow = Bench::new(|config| config.queue_bytes = 6);
    assert_eq!(narrow.push("abcd"), 1);
    assert_eq!(narrow.sending.bytes(), 6);
}

#[test]
fn what_failed_is_sent_again_in_order_after_a_delay() {
    let mut bench = Bench::new(|_| {});
    bench.push("abcde");
    assert_eq!(bench.sent(), "abcd");
    bench.answer(&failed(false, None));
    let Step::Wait(Some(delay)) = bench.step() else {
        panic!("no delay");
    };
    assert!(delay <= RETRY_BASE, "{delay:?}");
    bench.clock.advance(delay);
    assert_eq!(bench.sent(), "abcd");
    assert_eq!(bench.answer(&Outcome::Written).written, 4);
}

#[test]
fn a_server_that_says_when_to_come_back_is_believed_within_reason() {
    let check = |said_ms: u64, expected_ms: u64| {
        let mut bench = Bench::new(|_| {});
        bench.push("abcd");
        bench.sent();
        bench.answer(&failed(false, Some(said_ms)));
        assert_eq!(bench.step(), wait(expected_ms));
    };
    check(20_000, 20_000);
    check(86_400_000, 300_000);
}

#[test]
fn a_refused_batch_is_gone_and_those_the_server_took_are_counted() {
    let mut bench = Bench::new(|_| {});
    bench.push("abcdefgh");
    bench.sent();
    let settled = bench.answer(&refused(None));
    assert_eq!((settled.written, settled.refused), (0, 4));
    assert_eq!(bench.sent(), "efgh", "at once, and never again abcd");
    let settled = bench.answer(&refused(Some(1)));
    assert_eq!((settled.written, settled.refused), (3, 1));
    assert_eq!((bench.sending.rows(), bench.sending.bytes()), (0, 0));
}

#[test]
fn the_one_line_that_a_server_fails_on_is_found_and_given_up() {
    let mut bench = Bench::new(|config| {
        config.batch_rows = 8;
        config.linger_ms = 0;
    });
    bench.push("abcdeXfg");
    let (mut written, mut given_up) = (String::new(), 0);
    for _ in 0..40 {
        bench.pass(8_000);
        let Step::Send(body) = bench.step() else {
            break;
        };
        let outcome = if body.contains('X') {
            failed(true, None)
        } else {
            written += &body.replace('\n', "");
            Outcome::Written
        };
        given_up += bench.answer(&outcome).refused;
    }
    assert_eq!((written.as_str(), given_up), ("abcdefg", 1));
}

#[test]
fn a_server_that_is_only_ill_costs_nothing_but_time() {
    let mut bench = Bench::new(|_| {});
    bench.push("abcdefgh");
    for _ in 0..100 {
        bench.pass(8_000);
        bench.sent();
        let settled = bench.answer(&failed(false, None));
        assert_eq!(settled, Settled::default());
    }
    assert_eq!(bench.sending.rows(), 8);
}

#[derive(Debug, Clone)]
enum Act {
    Push(usize),
    Pass(u64),
    Answer(Outcome),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Written),
        1 => proptest::option::of(0_usize..6).prop_map(refused),
        2 => any::<bool>().prop_map(|smaller| failed(smaller, None)),
    ];
    let act = prop_oneof![
        (1_usize..20).prop_map(Act::Push),
        (0_u64..5_000).prop_map(Act::Pass),
        outcome.prop_map(Act::Answer),
    ];
    proptest::collection::vec(act, 1..200)
}

proptest! {
    #[test]
    fn bounds_hold_and_every_line_ends_in_one_way(acts in acts()) {
        let mut bench = Bench::new(|config| config.queue_bytes = 60);
        let (mut pushed, mut ended, mut under_way) = (0, 0, false);
        for act in acts {
            match act {
                Act::Push(count) => {
                    pushed += count;
                    ended += bench.push(&"x".repeat(count));
                }
                Act::Pass(milliseconds) => bench.pass(milliseconds),
                Act::Answer(outcome) if under_way => {
                    let settled = bench.answer(&outcome);
                    ended += settled.written + settled.refused + settled.dropped;
                    under_way = false;
                }
                Act::Answer(_) => {}
            }
            prop_assert!(bench.sending.rows() <= 10 && bench.sending.bytes() <= 60);
            prop_assert_eq!(bench.sending.bytes(), bench.sending.rows() * 2);
            prop_assert_eq!(pushed, ended + bench.sending.rows());
            if let Step::Send(body) = bench.step() {
                prop_assert!(!under_way);
                prop_assert!((1..=4).contains(&body.lines().count()));
                under_way = true;
            }
        }
    }
}
