use super::*;
use kurs_core::Seq;
use kurs_store::{Lease, LivingWriter};

fn ms(milliseconds: u64) -> Mono {
    Mono(milliseconds * 1_000_000)
}

fn living(writers: &[(&str, bool)]) -> Vec<LivingWriter> {
    let writer = |(name, is_ready): &(&str, bool)| LivingWriter {
        name: Arc::from(*name),
        is_ready: *is_ready,
    };
    writers.iter().map(writer).collect()
}

fn lease(shard: u16, epoch: u64, writer: &str, left_ms: u64) -> Lease {
    Lease {
        shard,
        epoch: Epoch(epoch),
        writer: writer.into(),
        is_released: false,
        heir: None,
        left: Duration::from_millis(left_ms),
    }
}

fn keeper(name: &str, shards: u16) -> Keeper {
    let mut keeper = Keeper::new(name.into(), shards, Times::default(), false);
    keeper.set_ready(true);
    keeper
}

/// Asks at a moment, with this answer of the store; tells the turns.
fn renew(keeper: &mut Keeper, at: u64, answer: Option<Leases>) -> Vec<Turn> {
    match keeper.ask(ms(at)) {
        Some(Ask::Renew(_)) => keeper.renewed(ms(at), ms(at), answer),
        other => panic!("{other:?} at {at} ms"),
    }
}

fn claim(keeper: &mut Keeper, at: u64, epoch: Option<u64>) -> Option<Turn> {
    match keeper.ask(ms(at)) {
        Some(Ask::Claim(claim)) => keeper.claimed(&claim, ms(at), ms(at), epoch.map(Epoch)),
        other => panic!("{other:?} at {at} ms"),
    }
}

fn fence(shard: u16, epoch: u64) -> Fence {
    Fence {
        shard,
        epoch: Epoch(epoch),
    }
}

fn of(shards: Vec<Lease>) -> Option<Leases> {
    Some(Leases {
        shards,
        writers: living(&[("a", true), ("b", true)]),
    })
}

/// A Writer that holds shard 0 under epoch 1 since moment 0.
fn holder() -> Keeper {
    let mut keeper = keeper("a", 1);
    renew(&mut keeper, 0, of(vec![]));
    assert_eq!(
        claim(&mut keeper, 0, Some(1)),
        Some(Turn::Lead(fence(0, 1)))
    );
    keeper
}

#[test]
fn a_lease_that_nobody_holds_is_taken_and_then_renewed_every_second() {
    let mut keeper = holder();
    assert_eq!(keeper.ask(ms(100)), None);
    renew(&mut keeper, 200, of(vec![lease(0, 1, "a", 3_000)]));
    assert_eq!(keeper.next_deadline(), ms(1_200));
    assert_eq!(keeper.ask(ms(1_100)), None);
    let Some(Ask::Renew(beat)) = keeper.ask(ms(1_200)) else {
        panic!("it is time to renew")
    };
    assert_eq!(beat.held, [fence(0, 1)]);
}

#[test]
fn a_lease_of_another_writer_is_left_alone_until_the_store_says_that_it_has_run_out() {
    let mut keeper = keeper("b", 1);
    for at in [0, 200, 400] {
        let left = 3_000 - at;
        assert_eq!(renew(&mut keeper, at, of(vec![lease(0, 4, "a", left)])), []);
        assert_eq!(keeper.ask(ms(at + 10)), None);
    }
    // Whoever stands by comes before a holder that has let it run out.
    renew(&mut keeper, 600, of(vec![lease(0, 4, "a", 0)]));
    assert_eq!(
        claim(&mut keeper, 600, Some(5)),
        Some(Turn::Lead(fence(0, 5)))
    );
}

#[test]
fn after_the_store_was_away_the_holder_has_a_whole_lease_time_to_renew() {
    let mut keeper = keeper("b", 1);
    let run_out = || {
        Some(Leases {
            shards: vec![lease(0, 4, "a", 0)],
            writers: living(&[("b", true)]),
        })
    };
    renew(&mut keeper, 0, of(vec![lease(0, 4, "a", 2_000)]));
    renew(&mut keeper, 200, None);
    renew(&mut keeper, 9_000, run_out());
    assert_eq!(keeper.ask(ms(9_100)), None, "it was away a moment ago");
    renew(&mut keeper, 11_900, run_out());
    assert_eq!(keeper.ask(ms(11_950)), None);
    renew(&mut keeper, 12_100, run_out());
    assert_eq!(
        claim(&mut keeper, 12_100, Some(5)),
        Some(Turn::Lead(fence(0, 5)))
    );
    // A lease that was given back is free whatever happened to the store.
    let mut keeper = self::keeper("b", 1);
    renew(&mut keeper, 0, of(vec![lease(0, 4, "a", 2_000)]));
    renew(&mut keeper, 200, None);
    let mut given = lease(0, 4, "a", 0);
    given.is_released = true;
    renew(&mut keeper, 9_000, of(vec![given]));
    assert!(matches!(
        keeper.ask(ms(9_500)),
        Some(Ask::Renew(_) | Ask::Claim(_))
    ));
}

#[test]
fn a_holder_that_cannot_renew_publishes_on_but_stops_storing_before_the_end() {
    let mut keeper = holder();
    assert!(keeper.may_store(0, ms(2_400)));
    assert_eq!(renew(&mut keeper, 1_000, None), []);
    assert!(!keeper.may_store(0, ms(2_500)));
    assert_eq!(keeper.epoch(0), Some(Epoch(1)), "it goes on");
    renew(&mut keeper, 2_600, of(vec![lease(0, 1, "a", 3_000)]));
    assert!(keeper.may_store(0, ms(2_600)));
}

#[test]
fn a_higher_epoch_deposes_wherever_it_is_seen() {
    let newer = UpdateId {
        shard: 0,
        epoch: Epoch(2),
        seq: Seq(1),
    };
    let deposed = Turn::Deposed(fence(0, 1));
    assert_eq!(holder().heard(ms(5), newer, false), Some(deposed.clone()));
    assert_eq!(holder().refused(fence(0, 1)), Some(deposed.clone()));
    let turns = renew(&mut holder(), 1_000, of(vec![lease(0, 2, "b", 3_000)]));
    assert_eq!(turns, [deposed]);
    let mut keeper = holder();
    let own = UpdateId {
        epoch: Epoch(1),
        ..newer
    };
    assert_eq!(keeper.heard(ms(5), own, false), None);
    assert_eq!(keeper.refused(fence(0, 7)), None);
    assert_eq!(keeper.epoch(0), Some(Epoch(1)));
}

#[test]
fn an_heir_that_has_not_heard_the_end_waits_for_the_last_words_a_moment() {
    let mut given = lease(0, 4, "a", 2_900);
    given.is_released = true;
    given.heir = Some("b".into());
    let given = || of(vec![given.clone()]);
    let end = |epoch| UpdateId {
        shard: 0,
        epoch: Epoch(epoch),
        seq: Seq(77),
    };
    let mut heir = keeper("b", 1);
    heir.heard(ms(0), end(3), true);
    renew(&mut heir, 0, given());
    assert_eq!(heir.ask(ms(10)), None, "its bus is behind the store");
    // Heard at last: no more waiting.
    heir.heard(ms(15), end(4), true);
    assert!(matches!(heir.ask(ms(15)), Some(Ask::Claim(_))));

    // Never heard: the shard is not left alone for it.
    let mut heir = keeper("b", 1);
    renew(&mut heir, 0, given());
    assert_eq!(heir.ask(ms(199)), None);
    renew(&mut heir, 200, given());
    renew(&mut heir, 400, given());
    assert_eq!(heir.ask(ms(499)), None);
    assert!(matches!(heir.ask(ms(500)), Some(Ask::Claim(_))));

    // Whoever is not ready has nothing to say twice.
    let mut cold = Keeper::new("b".into(), 1, Times::default(), false);
    renew(&mut cold, 0, given());
    assert!(matches!(cold.ask(ms(0)), Some(Ask::Claim(_))));
}

#[test]
fn an_heir_that_hears_of_the_end_asks_at_once_and_takes_it() {
    let mut heir = keeper("b", 1);
    renew(&mut heir, 0, of(vec![lease(0, 4, "a", 3_000)]));
    let end = UpdateId {
        shard: 0,
        epoch: Epoch(4),
        seq: Seq(77),
    };
    heir.heard(ms(50), end, true);
    // Not given back yet: asked again soon.
    renew(&mut heir, 50, of(vec![lease(0, 4, "a", 3_000)]));
    assert_eq!(heir.next_deadline(), ms(70));
    let mut given = lease(0, 4, "a", 2_900);
    given.is_released = true;
    given.heir = Some("b".into());
    renew(&mut heir, 70, of(vec![given.clone()]));
    let Some(Ask::Claim(claim)) = heir.ask(ms(70)) else {
        panic!("it is the heir")
    };
    assert_eq!(claim.heard, Some(end));
    // Nobody else may have it meanwhile.
    let mut other = keeper("c", 1);
    renew(&mut other, 0, of(vec![given]));
    assert_eq!(other.ask(ms(100)), None);
}

#[test]
fn a_writer_with_two_more_shards_than_another_hands_one_over() {
    let mut a = keeper("a", 4);
    renew(&mut a, 0, Some(Leases::default()));
    for shard in 0..4 {
        let turn = claim(&mut a, 0, Some(1));
        assert_eq!(turn, Some(Turn::Lead(fence(shard, 1))));
    }
    let mine = |shards: &[u16]| {
        shards
            .iter()
            .map(|shard| lease(*shard, 1, "a", 3_000))
            .collect()
    };
    let all = || of(mine(&[0, 1, 2, 3]));
    assert_eq!(renew(&mut a, 1_000, all()), [], "b has just come");
    let turns = renew(&mut a, 3_000, all());
    assert_eq!(turns, [Turn::HandOver(fence(3, 1), Some("b".into()))]);
    assert_eq!(renew(&mut a, 4_000, all()), [], "one at a time");
    a.gave_back(fence(3, 1));
    let mut leases: Vec<Lease> = mine(&[0, 1, 2]);
    leases.push(lease(3, 2, "b", 3_000));
    let turns = renew(&mut a, 6_000, of(leases));
    assert_eq!(turns, [Turn::HandOver(fence(2, 1), Some("b".into()))]);
}

#[test]
fn whoever_leaves_gives_everything_to_those_who_are_ready_and_takes_nothing_more() {
    let mut a = holder();
    renew(&mut a, 1_000, of(vec![lease(0, 1, "a", 3_000)]));
    assert_eq!(a.leave(), [Turn::HandOver(fence(0, 1), Some("b".into()))]);
    a.gave_back(fence(0, 1));
    let Some(Ask::Renew(beat)) = a.ask(ms(2_000)) else {
        panic!("it still beats")
    };
    assert!(!beat.is_ready);
    let mut given = lease(0, 1, "a", 0);
    given.is_released = true;
    a.renewed(ms(2_000), ms(2_000), of(vec![given]));
    assert_eq!(a.ask(ms(2_100)), None);
}

#[test]
fn alone_it_takes_what_it_needs_at_once() {
    let mut keeper = Keeper::new("a".into(), 2, Times::default(), true);
    renew(&mut keeper, 0, of(vec![lease(0, 9, "z", 3_000)]));
    assert_eq!(
        claim(&mut keeper, 0, Some(10)),
        Some(Turn::Lead(fence(0, 10)))
    );
    assert_eq!(
        claim(&mut keeper, 0, Some(1)),
        Some(Turn::Lead(fence(1, 1)))
    );
    assert!(keeper.may_store(0, ms(1_000_000)));
}

/// What a Writer sees of six shards, two held by each of three Writers.
fn three(name: &str) -> Keeper {
    let held = |shard: u16| ["a", "b", "c"][usize::from(shard) / 2];
    let mut keeper = keeper(name, 6);
    let table = || Leases {
        shards: (0..6)
            .map(|shard| lease(shard, 1, held(shard), 3_000))
            .collect(),
        writers: living(&[("a", true), ("b", true), ("c", true)]),
    };
    for shard in (0..6).filter(|shard| held(*shard) == name) {
        keeper.claimed(&claim_of(shard, name), ms(0), ms(0), Some(Epoch(1)));
    }
    for at in [0, 2_500, 5_500, 8_500] {
        while keeper.ask(ms(at)).is_none() {}
        keeper.renewed(ms(at), ms(at), Some(table()));
    }
    keeper
}

fn claim_of(shard: u16, writer: &str) -> Claim {
    Claim {
        shard,
        writer: writer.into(),
        ttl: Duration::from_secs(3),
        heard: None,
        is_alone: false,
    }
}

#[test]
fn each_shard_is_followed_by_its_holder_and_one_standby_on_which_all_agree() {
    let keepers = ["a", "b", "c"].map(three);
    let scopes = keepers.each_ref().map(|keeper| keeper.scope());
    let follows = |scope: &Option<std::collections::BTreeSet<u16>>, shard| {
        scope.as_ref().is_none_or(|part| part.contains(&shard))
    };
    for shard in 0..6 {
        let followers = scopes.iter().filter(|scope| follows(scope, shard));
        assert_eq!(followers.count(), 2, "shard {shard}: {scopes:?}");
        assert!(follows(&scopes[usize::from(shard) / 2], shard));
    }
}

#[test]
fn two_writers_follow_everything_and_so_does_one_that_knows_nothing_yet() {
    assert_eq!(keeper("a", 4).scope(), None);
    let mut keeper = keeper("b", 4);
    renew(&mut keeper, 0, of(vec![lease(0, 1, "a", 3_000)]));
    assert_eq!(keeper.scope(), None);
}

#[test]
fn a_writer_that_leaves_gives_each_shard_to_whoever_stands_by_for_it() {
    let mut keepers = ["a", "b", "c"].map(three);
    let turns = keepers[0].leave();
    assert_eq!(turns.len(), 2);
    for turn in turns {
        let Turn::HandOver(fence, Some(heir)) = turn else {
            panic!("{turn:?}")
        };
        let scope = match &*heir {
            "b" => keepers[1].scope(),
            "c" => keepers[2].scope(),
            other => panic!("{other}"),
        };
        assert!(scope.unwrap().contains(&fence.shard), "{heir} {fence:?}");
    }
}
