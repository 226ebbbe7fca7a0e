//! Promises of the recorder with a spool, on a store and a disk that can be told to fail.

use super::*;
use kurs_store::spool::memory::{Fault, MemoryDisk};
use kurs_store::spool::{Spool, SpoolError, SpoolOptions};
use kurs_store::{Gap, GapQuery, Store};

fn on(disk: &MemoryDisk, bytes_max: u64) -> Extras {
    let disk = disk.clone();
    let options = SpoolOptions {
        bytes_max,
        segment_bytes: bytes_max / 16,
    };
    Extras {
        spool: Some(Box::new(move || {
            Spool::open_on(Box::new(disk.clone()), options)
        })),
        ..Extras::default()
    }
}

fn impatient() -> RecorderConfig {
    RecorderConfig {
        store_wait_ms: 100,
        ..quick()
    }
}

fn is_spooling(recorder: &RecorderHandle) -> bool {
    matches!(recorder.health(), RecorderHealth::Spooling { .. })
}

const NONE: [u64; 0] = [];

/// Which of the first `count` are not there exactly once.
fn missing(seqs: &[u64], count: u64) -> Vec<u64> {
    let mut times = vec![0; usize::try_from(count).unwrap()];
    for seq in seqs {
        times[usize::try_from(*seq).unwrap()] += 1;
    }
    let wrong = times.iter().zip(0..).filter(|(times, _)| **times != 1);
    wrong.map(|(_, seq)| seq).collect()
}

async fn drained(recorder: &RecorderHandle) {
    until("everything is stored", || recorder.is_all_stored()).await;
    until("all is well", || {
        recorder.health() == RecorderHealth::Writing
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_history_waits_on_disk_and_is_stored_in_order() {
    let store = MoodyStore::new().await;
    let disk = MemoryDisk::default();
    let recorder = start_with(&store, impatient(), on(&disk, 1 << 20));
    let mut next = 0;
    for mood in [Mood::Away, Mood::Hangs, Mood::LosesAnswers] {
        store.set(mood);
        let first = next;
        next += 3_000;
        for seq in first..next {
            recorder.record(row(seq));
            if seq % 10 == 0 {
                recorder.published(event(seq));
            }
        }
        until("all of it is durable", || {
            recorder.acknowledged() == Some(id(next - 1))
                && recorder.acknowledged_event() == Some(id(next - 10))
        })
        .await;
        assert_eq!((recorder.waiting(), recorder.waiting_events()), (0, 0));
        until("it is told", || is_spooling(&recorder)).await;
        assert!(!recorder.is_all_stored());
        store.set(Mood::Well);
        drained(&recorder).await;
    }
    assert_eq!(missing(&store.seqs().await, next), NONE);
    assert!(store.order.lock().is_sorted(), "rows in order");
    assert!(store.events.lock().is_sorted(), "events in order");
    let events: Vec<u64> = (0..next).step_by(10).collect();
    assert_eq!(store.published_seqs().await, events);
    assert_eq!(count(&recorder.counters().rows_written), next);
    assert_eq!(recorder.dropped(), Default::default());
    assert!(disk.bytes() < 20, "nothing but the mark is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_ends() {
    let store = MoodyStore::new().await;
    let mut random = fastrand::Rng::with_seed(11);
    let disk = MemoryDisk::default();
    let (mut next, mut acknowledged) = (0, 0);
    for life in 0..40 {
        println!("life {life}");
        let config = RecorderConfig {
            finish_ms: 0,
            batch_rows: random.usize(10..200),
            ..impatient()
        };
        let recorder = start_with(&store, config, on(&disk, 1 << 30));
        for _ in 0..random.usize(1..6) {
            store.set(match random.u8(..5) {
                0 => Mood::Hangs,
                1 => Mood::Away,
                2 => Mood::LosesAnswers,
                _ => Mood::Well,
            });
            if random.u8(..4) == 0 {
                disk.plan([Fault::Sync, Fault::Write(20), Fault::Create][random.usize(..3)]);
            }
            for _ in 0..random.usize(1..400) {
                recorder.record(row(next));
                recorder.published(event(next));
                next += 1;
            }
            tokio::time::sleep(Duration::from_millis(random.u64(..30))).await;
        }
        // As good as killed: nothing is waited for.
        recorder.finish().await;
        let first_after = |acknowledged: Option<UpdateId>, before: u64| {
            acknowledged.map_or(before, |id| id.seq.0 + 1)
        };
        let row = first_after(recorder.acknowledged(), acknowledged);
        let event = first_after(recorder.acknowledged_event(), acknowledged);
        drop(recorder);
        until("nobody uses the disk", || disk.users() == 1).await;
        disk.mend();
        if random.bool() {
            disk.lose_power(|most| random.usize(..=most));
        }
        store.set(Mood::Well);
        let recorder = start_with(&store, impatient(), on(&disk, 1 << 30));
        // What was not acknowledged may be gone: its source gives it again.
        (row..next).for_each(|seq| recorder.record(super::row(seq)));
        (event..next).for_each(|seq| recorder.published(super::event(seq)));
        until("all is acknowledged", || {
            recorder.waiting() + recorder.waiting_events() == 0
        })
        .await;
        drained(&recorder).await;
        recorder.finish().await;
        drop(recorder);
        until("nobody uses the disk", || disk.users() == 1).await;
        acknowledged = next;
    }
    assert_eq!(missing(&store.seqs().await, next), NONE);
    assert_eq!(missing(&store.published_seqs().await, next), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_sheds_rows_and_no_published_event() {
    let store = MoodyStore::new().await;
    let disk = MemoryDisk::default();
    let recorder = start_with(&store, impatient(), on(&disk, 60_000));
    store.set(Mood::Away);
    let mut next = 0;
    while recorder.spool().shed.rows < 5_000 {
        for _ in 0..1_000 {
            recorder.record(row(next));
            if next % 100 == 0 {
                recorder.published(event(next));
            }
            next += 1;
        }
        until("it is on disk", || {
            recorder.waiting() == 0 && recorder.waiting_events() == 0
        })
        .await;
        assert!(disk.bytes() <= 60_000 + 12);
    }
    store.set(Mood::Well);
    drained(&recorder).await;
    let events: Vec<u64> = (0..next).step_by(100).collect();
    assert_eq!(store.published_seqs().await, events);
    let rows = store.seqs().await;
    let dropped = recorder.dropped();
    assert_eq!(rows.len() as u64 + dropped.rows, next);
    assert_eq!((dropped.published, rows.last()), (0, Some(&(next - 1))));
    // What was being drained at the time is stored, the oldest behind it went.
    let holes = rows.windows(2).filter(|two| two[1] != two[0] + 1).count();
    assert!(holes <= 1, "{holes} holes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_nothing_and_needs_no_restart() {
    let store = MoodyStore::new().await;
    let disk = MemoryDisk::default();
    let recorder = start_with(&store, impatient(), on(&disk, 1 << 20));
    store.set(Mood::Away);
    for seq in 0..1_000 {
        recorder.record(row(seq));
    }
    until("it is on disk", || recorder.waiting() == 0).await;
    disk.room(Some(disk.bytes()));
    for seq in 1_000..3_000 {
        recorder.record(row(seq));
        recorder.published(event(seq));
    }
    until("it is told", || match recorder.health() {
        RecorderHealth::Waiting { why, .. } => why.contains("full"),
        _ => false,
    })
    .await;
    assert_eq!(recorder.acknowledged(), Some(id(999)));
    disk.room(None);
    until("the disk takes it again", || {
        recorder.acknowledged() == Some(id(2_999)) && is_spooling(&recorder)
    })
    .await;
    // Full again, and it is the store that comes back.
    disk.room(Some(disk.bytes()));
    for seq in 3_000..4_000 {
        recorder.record(row(seq));
    }
    store.set(Mood::Well);
    drained(&recorder).await;
    until("the rest too", || recorder.waiting() == 0).await;
    let rows = store.seqs().await;
    assert_eq!(rows.len() as u64 + recorder.dropped().rows, 4_000);
    assert_eq!(
        store.published_seqs().await,
        (1_000..3_000).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_find_no_place_anywhere_are_told_in_the_ledger() {
    let store = MoodyStore::new().await;
    let disk = MemoryDisk::default();
    disk.room(Some(0));
    let config = RecorderConfig {
        queue_events: 1_000,
        batch_rows: 10,
        ..impatient()
    };
    let recorder = start_with(&store, config, on(&disk, 1 << 20));
    store.set(Mood::Away);
    for seq in 0..3_000 {
        recorder.published(event(seq));
    }
    until("it is told", || {
        matches!(recorder.health(), RecorderHealth::Waiting { .. })
    })
    .await;
    let lost = recorder.dropped().published;
    assert!((1_990..=2_000).contains(&lost), "{lost}");
    store.set(Mood::Well);
    until("all is stored", || recorder.is_all_stored()).await;
    assert_eq!(store.published_seqs().await.len() as u64 + lost, 3_000);
    let gaps = store.gaps(GapQuery {
        pair: None,
        source: Some(SourceId::parse("kurs").unwrap()),
        start: Wall::MIN,
        end: Wall::MAX,
        limit: 10,
    });
    let gaps = gaps.await.unwrap();
    // One hole, told in pieces where some of it was told before the rest was lost.
    let kept = store.published_seqs().await;
    let is_told = |seq: u64| {
        let at = event(seq).published_at;
        let covers = |gap: &Gap| gap.began <= at && gap.ended.is_some_and(|ended| at < ended);
        gaps.iter().any(covers)
    };
    let untold: Vec<u64> = (0..3_000)
        .filter(|seq| is_told(*seq) == kept.contains(seq))
        .collect();
    assert_eq!(untold, NONE, "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_spool_history_goes_to_the_store_alone_and_that_is_told() {
    let store = MoodyStore::new().await;
    let extras = Extras {
        spool: Some(Box::new(|| Err(SpoolError::Taken))),
        ..Extras::default()
    };
    let recorder = start_with(&store, impatient(), extras);
    for seq in 0..100 {
        recorder.record(row(seq));
    }
    until("it is stored", || recorder.acknowledged() == Some(id(99))).await;
    until("it is told", || {
        matches!(recorder.health(), RecorderHealth::Unguarded { .. })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_leaves_in_the_spool_what_the_store_did_not_take() {
    for mood in [Mood::Away, Mood::Hangs] {
        let store = MoodyStore::new().await;
        let disk = MemoryDisk::default();
        let recorder = start_with(&store, impatient(), on(&disk, 1 << 20));
        store.set(mood);
        for seq in 0..2_500 {
            recorder.record(row(seq));
            recorder.published(event(seq));
        }
        recorder.current(rate("BTC-USDT", 2_499));
        let left = recorder.finish().await;
        assert_eq!((left.rows, left.events), (0, 0), "{mood:?}");
        store.set(Mood::Well);
        let recorder = start_with(&store, impatient(), on(&disk, 1 << 20));
        until("it is stored", || store.order.lock().len() == 2_500).await;
        drained(&recorder).await;
        assert_eq!(store.published_seqs().await.len(), 2_500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_written_while_the_spool_is_drained() {
    let store = MoodyStore::new().await;
    let disk = MemoryDisk::default();
    let recorder = start_with(&store, impatient(), on(&disk, 1 << 20));
    store.set(Mood::Away);
    recorder.record(row(1));
    recorder.current(rate("BTC-USDT", 1));
    until("it is on disk", || is_spooling(&recorder)).await;
    store.set(Mood::Well);
    drained(&recorder).await;
    until("the rate is written", || {
        count(&recorder.counters().rates_written) == 1
    })
    .await;
    assert_eq!(store.load_current().await.unwrap().len(), 1);
}
