use super::*;
use kurs_core::{Epoch, Price, Seq, UpdateId};
use kurs_store::{Interval, Origin, PublishedEvent};

fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

fn pair() -> Pair {
    Pair::parse("BTC-USDT").unwrap()
}

fn row(seq: u64) -> HistoryRow {
    HistoryRow {
        pair: pair(),
        source: SourceId::parse("binance").unwrap(),
        id: id(seq),
        value: Price::parse("1").unwrap(),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: Wall(0),
    }
}

fn event(seq: u64, at_ms: i64) -> Published {
    Published {
        id: id(seq),
        pair: pair(),
        published_at: Wall::from_unix_ms(at_ms),
        event: PublishedEvent::Withdrawn,
    }
}

fn candle(start: i64, close: &str) -> Candle {
    let price = |text| Price::parse(text).unwrap();
    Candle {
        pair: pair(),
        source: None,
        interval: Interval::Second,
        start: Wall(start),
        open: price("1"),
        high: price("9"),
        low: price("1"),
        close: price(close),
        count: 1,
        origin: Origin::Live,
    }
}

fn seqs(rows: &[HistoryRow]) -> Vec<u64> {
    rows.iter().map(|row| row.id.seq.0).collect()
}

/// Puts what came into the batch.
fn gather(queue: &mut Queue, most: usize) -> Batch {
    let fresh = queue.fresh(most);
    queue.write(fresh);
    queue.writing().clone()
}

#[test]
fn a_full_queue_sheds_its_oldest_row_but_never_one_that_is_being_written() {
    let mut queue = Queue::new(4, 4);
    (0..4).for_each(|seq| queue.push_row(row(seq)));
    assert_eq!(queue.dropped().rows, 0);
    assert_eq!(seqs(&gather(&mut queue, 2).rows), [0, 1]);
    queue.push_row(row(4));
    queue.push_row(row(5));
    assert_eq!((queue.rows(), queue.dropped().rows), (4, 2));
    assert_eq!(
        seqs(&gather(&mut queue, 2).rows),
        [0, 1],
        "until it is done, its rows stay the same"
    );
    queue.done(Batch::default());
    assert_eq!(seqs(&gather(&mut queue, 9).rows), [4, 5]);
}

#[test]
fn rows_that_wait_do_not_stop_events() {
    let mut queue = Queue::new(10, 10);
    (0..10).for_each(|seq| queue.push_row(row(seq)));
    let batch = gather(&mut queue, 5);
    // The spool took everything but the rows.
    queue.done(Batch::of_rows(batch.rows));
    queue.push_published(event(1, 5));
    let batch = gather(&mut queue, 5);
    assert_eq!((batch.rows.len(), batch.published.len()), (5, 1));
}

#[test]
fn a_batch_says_how_far_it_goes_and_not_further() {
    let mut queue = Queue::new(10, 10);
    assert_eq!(gather(&mut queue, 2).recorded_until, None);
    for seq in 1..=4 {
        queue.push_published(event(seq, i64::try_from(seq).unwrap() * 10));
    }
    queue.until(Recorded {
        shard: 0,
        until: Wall::from_unix_ms(99),
    });
    let until = |batch: Batch| batch.recorded_until.unwrap().until.unix_ms();
    assert_eq!(until(gather(&mut queue, 2)), 30, "the third is not in it");
    queue.done(Batch::default());
    assert_eq!(until(gather(&mut queue, 2)), 99);
    assert!(!queue.is_empty());
    queue.done(Batch::default());
    assert!(queue.is_empty());
}

#[test]
fn what_is_on_its_way_into_the_batch_still_waits() {
    let mut queue = Queue::new(10, 10);
    queue.push_row(row(1));
    queue.push_published(event(1, 5));
    let fresh = queue.fresh(9);
    assert_eq!((queue.rows(), queue.events(), queue.len()), (1, 1, 2));
    assert!(!queue.is_empty());
    queue.write(fresh);
    assert_eq!((queue.rows(), queue.events(), queue.len()), (1, 1, 2));
    queue.done(Batch::default());
    assert!(queue.is_empty());
}

#[test]
fn lost_events_become_a_gap_with_begin_and_end() {
    let mut queue = Queue::new(10, 3);
    for seq in 1..=5 {
        queue.push_published(event(seq, i64::try_from(seq).unwrap()));
    }
    assert_eq!(queue.dropped().published, 2);
    let batch = gather(&mut queue, 10);
    assert_eq!(batch.published.len(), 3);
    let [gap] = &batch.gaps[..] else {
        panic!("{:?}", batch.gaps);
    };
    assert_eq!(gap.source.to_string(), "kurs");
    assert_eq!(gap.began.unix_ms(), 1);
    assert_eq!(gap.ended.map(Wall::unix_ms), Some(3));
    queue.done(Batch::default());
    assert!(gather(&mut queue, 10).gaps.is_empty(), "said once");
}

#[test]
fn of_a_candle_that_waits_only_the_last_version_stays() {
    let mut queue = Queue::new(10, 10);
    for close in ["1", "2", "3"] {
        queue.write(Batch {
            candles: vec![candle(0, close), candle(1_000_000, close)],
            ..Batch::default()
        });
    }
    assert_eq!(
        queue.writing().candles,
        [candle(0, "3"), candle(1_000_000, "3")]
    );
}
