//! What every [`Bus`] must do. One suite for all implementations: hand [`run`] a function that
//! opens an empty bus from two places.
//!
//! A check panics with the promise that does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a conformance check fails by panicking, as any test does"
)]

mod samples;

pub use samples::{SCENE_GAP, SCENE_LINES, every_kind, full_rate, scene};

use crate::{
    Body, Bus, BusError, BusEvent, Command, Heartbeat, Reply, SourcePrice, Subscription, Update,
};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SourceState, TrackedSymbol,
    UpdateId, Wall,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for something that should happen at once.
const HANG: Duration = Duration::from_secs(20);

/// One bus as two programs see it; in one process both may be the same.
#[derive(Clone)]
pub struct Opened {
    /// Where the Writer is.
    pub writer: Arc<dyn Bus>,
    /// Where a Reader is.
    pub reader: Arc<dyn Bus>,
}

/// Runs every check, each on a bus of its own that `fresh` opens. `overflow`: more updates than
/// a subscriber of this bus may lie behind.
pub async fn run<F, Opening>(fresh: F, overflow: u64)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Opened>,
{
    everyone_hears_everything_in_order(fresh().await).await;
    last_values_are_the_newest_of_each_key(fresh().await).await;
    a_withdrawn_pair_leaves_nothing_behind(fresh().await).await;
    subscribing_first_misses_nothing(fresh().await).await;
    an_ended_epoch_is_not_heard_and_a_missing_number_is_told(fresh().await).await;
    a_slow_subscriber_is_told_and_recovers(fresh().await, overflow).await;
    the_writer_answers_each_request(fresh().await).await;
    two_writers_never_take_the_same_request(fresh().await).await;
    a_request_that_was_given_up_is_never_carried_out(fresh().await).await;
    a_writer_that_goes_away_is_told(fresh().await).await;
}

/// A rate of `of`, update `seq` of epoch 1 of shard 0.
#[must_use]
pub fn rate(of: &str, seq: u64) -> Arc<Update> {
    let source = SourceId::parse("binance").unwrap();
    let now = Wall::from_unix_ms(1_000);
    let choice = Choice {
        source,
        since: now,
        reason: "".into(),
        skipped: Vec::new(),
    };
    let rate = Rate {
        pair: Pair::parse(of).unwrap(),
        value: Price::parse(&format!("{}.10", seq + 1)).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: now,
        published_at: now,
        valid_for: Duration::from_secs(5),
        evidence: None,
        depeg: None,
        choice: Arc::new(choice),
    };
    update(seq, Body::Rate(rate))
}

/// The command to stop following a symbol.
#[must_use]
pub fn untrack(symbol: &str) -> Command {
    Command::Untrack {
        symbol: symbol.into(),
    }
}

/// Update `seq` of epoch 1 of shard 0.
#[must_use]
pub fn update(seq: u64, body: Body) -> Arc<Update> {
    update_of(1, seq, body)
}

/// Update `seq` of an epoch of shard 0.
#[must_use]
pub fn update_of(epoch: u64, seq: u64, body: Body) -> Arc<Update> {
    Arc::new(Update {
        id: UpdateId {
            shard: 0,
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
        body,
        cause: None,
        at: None,
    })
}

fn source_price(from: &str, of: &str, seq: u64) -> Arc<Update> {
    let now = Wall::from_unix_ms(1_000);
    let price = SourcePrice {
        source: SourceId::parse(from).unwrap(),
        pair: Pair::parse(of).unwrap(),
        value: Price::parse("1.10").unwrap(),
        bid: None,
        ask: None,
        state: SourceState::Live,
        why: "".into(),
        observed_at: now,
        received_at: now,
        published_at: now,
        valid_for: Duration::from_secs(5),
    };
    update(seq, Body::SourcePrice(price))
}

async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANG, wait).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within {HANG:?}"),
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> BusEvent {
    in_time("the next event", subscription.next())
        .await
        .unwrap()
}

async fn expect(subscription: &mut Box<dyn Subscription>, update: &Arc<Update>) {
    match next(subscription).await {
        BusEvent::Update(heard) => assert_eq!(heard, *update),
        BusEvent::Gap { lost } => panic!("{lost} updates were lost"),
    }
}

/// The last values without withdrawals, by id.
async fn last_values(bus: &dyn Bus) -> Vec<Arc<Update>> {
    let mut values = bus.last_values().await.unwrap();
    values.retain(|update| !matches!(update.body, Body::Withdrawn(_)));
    values.sort_by_key(|update| update.id);
    values
}

/// Their numbers, once everything published is there.
async fn last_seqs(bus: &Opened) -> Vec<u64> {
    bus.writer.flush().await.unwrap();
    let values = last_values(&*bus.reader).await;
    values.iter().map(|update| update.id.seq.0).collect()
}

fn withdrawn(seq: u64, pair: &str) -> Arc<Update> {
    update(seq, Body::Withdrawn(Pair::parse(pair).unwrap()))
}

async fn everyone_hears_everything_in_order(bus: Opened) {
    bus.writer.publish(rate("ETH-USDT", 0)).unwrap();
    bus.writer.flush().await.unwrap();
    let mut subscriptions = [
        bus.reader.subscribe().await.unwrap(),
        bus.writer.subscribe().await.unwrap(),
    ];
    let tracked = TrackedSymbol {
        symbol: "BTCUSDT".into(),
        pair: Pair::parse("BTC-USDT").unwrap(),
        added_at: Wall::from_unix_ms(1),
    };
    let beat = Heartbeat {
        writer: "one".into(),
        follows: None,
        ends: false,
    };
    let mut sent = vec![
        source_price("binance", "BTC-USDT", 1),
        update(2, Body::Tracked(Arc::from([tracked]))),
        withdrawn(3, "ETH-USDT"),
        update(4, Body::Heartbeat(beat)),
    ];
    sent.extend((5..40).map(|seq| rate(["BTC-USDT", "ETH-USDT"][usize::from(seq % 3 == 0)], seq)));
    for update in &sent {
        bus.writer.publish(Arc::clone(update)).unwrap();
    }
    for subscription in &mut subscriptions {
        for update in &sent {
            expect(subscription, update).await;
        }
    }
}

async fn last_values_are_the_newest_of_each_key(bus: Opened) {
    assert!(last_values(&*bus.reader).await.is_empty());
    let sent = [
        rate("BTC-USDT", 1),
        rate("ETH-USDT", 2),
        source_price("binance", "BTC-USDT", 3),
        source_price("kraken", "BTC-USDT", 4),
        rate("BTC-USDT", 5),
        source_price("binance", "BTC-USDT", 6),
        update(7, Body::Tracked(Arc::from([]))),
        update(8, Body::Tracked(Arc::from([]))),
    ];
    for update in &sent {
        bus.writer.publish(Arc::clone(update)).unwrap();
    }
    assert_eq!(last_seqs(&bus).await, [2, 4, 5, 6, 8]);
}

async fn a_withdrawn_pair_leaves_nothing_behind(bus: Opened) {
    bus.writer.publish(rate("BTC-USDT", 1)).unwrap();
    let price = source_price("binance", "BTC-USDT", 2);
    bus.writer.publish(price).unwrap();
    bus.writer.publish(rate("ETH-USDT", 3)).unwrap();
    bus.writer.publish(withdrawn(4, "BTC-USDT")).unwrap();
    assert_eq!(last_seqs(&bus).await, [3]);
    bus.writer.publish(rate("BTC-USDT", 5)).unwrap();
    assert_eq!(last_seqs(&bus).await, [3, 5], "it may come back");
}

async fn subscribing_first_misses_nothing(bus: Opened) {
    const LAST: u64 = 200;
    let publisher = {
        let bus = Arc::clone(&bus.writer);
        tokio::spawn(async move {
            for seq in 1..=LAST {
                bus.publish(rate("BTC-USDT", seq)).unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for _ in 0..20 {
        let mut subscription = bus.reader.subscribe().await.unwrap();
        let known = last_values(&*bus.reader)
            .await
            .first()
            .map_or(0, |update| update.id.seq.0);
        let mut heard = known;
        while heard < LAST {
            match next(&mut subscription).await {
                // Up to what the last values had, an update may come a second time.
                BusEvent::Update(update) if update.id.seq.0 <= known => {}
                BusEvent::Update(update) => {
                    heard += 1;
                    assert_eq!(update.id.seq.0, heard, "between last values and flow");
                }
                BusEvent::Gap { lost } => panic!("{lost} updates were lost"),
            }
        }
    }
    publisher.await.unwrap();
}

async fn an_ended_epoch_is_not_heard_and_a_missing_number_is_told(bus: Opened) {
    let mut subscription = bus.reader.subscribe().await.unwrap();
    let of = |epoch: u64, seq: u64| {
        let body = rate("BTC-USDT", seq).body.clone();
        update_of(epoch, seq, body)
    };
    let beat = Heartbeat {
        writer: "two".into(),
        follows: Some(of(1, 2).id),
        ends: false,
    };
    let begin = update_of(2, 1, Body::Heartbeat(beat));
    for update in [of(1, 1), of(1, 2), Arc::clone(&begin), of(1, 3), of(2, 2)] {
        bus.writer.publish(update).unwrap();
    }
    // Nothing of the first epoch after the second one began.
    for update in [of(1, 1), of(1, 2), begin, of(2, 2)] {
        expect(&mut subscription, &update).await;
    }
    bus.writer.publish(of(2, 5)).unwrap();
    let BusEvent::Gap { lost: 2 } = next(&mut subscription).await else {
        panic!("two updates are missing, which was not told");
    };
    expect(&mut subscription, &of(2, 5)).await;
}

async fn a_slow_subscriber_is_told_and_recovers(bus: Opened, overflow: u64) {
    let mut slow = bus.reader.subscribe().await.unwrap();
    // Would hang here if a subscriber that does not read could hold the publisher up.
    for seq in 0..overflow {
        bus.writer.publish(rate("BTC-USDT", seq)).unwrap();
    }
    in_time("the way to the bus", bus.writer.flush())
        .await
        .unwrap();
    assert_eq!(
        last_values(&*bus.reader).await,
        [rate("BTC-USDT", overflow - 1)],
        "last values are not lost"
    );
    let (mut told, mut heard) = (false, None);
    while heard != Some(overflow - 1) {
        match next(&mut slow).await {
            BusEvent::Gap { lost } => {
                assert!(lost > 0 && lost < overflow);
                told = true;
            }
            BusEvent::Update(update) => {
                let seq = update.id.seq.0;
                assert!(heard.is_none_or(|heard| heard < seq), "{seq} once more");
                let next = heard.map_or(0, |heard| heard + 1);
                assert!(told || next == seq, "{next} is missing, which was not told");
                heard = Some(seq);
            }
        }
    }
    assert!(told, "{overflow} updates behind, and not told of a gap");
    bus.writer.publish(rate("BTC-USDT", overflow)).unwrap();
    expect(&mut slow, &rate("BTC-USDT", overflow)).await;
}

async fn the_writer_answers_each_request(bus: Opened) {
    let mut requests = bus.writer.requests().await.unwrap();
    let writer = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Command::Untrack { symbol } = request.command else {
                panic!("another command than was asked");
            };
            let _ = request.reply.send(Reply::Untracked {
                existed: symbol.starts_with("YES"),
            });
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (bus, expected) = (Arc::clone(&bus.reader), n % 2 == 0);
        tasks.spawn(async move {
            let symbol = format!("{}{n}", if expected { "YES" } else { "NO" });
            let reply = bus.request(untrack(&symbol), HANG).await;
            assert_eq!(reply, Ok(Reply::Untracked { existed: expected }));
        });
    }
    while let Some(done) = in_time("an answer", tasks.join_next()).await {
        done.unwrap();
    }
    writer.abort();
}

async fn two_writers_never_take_the_same_request(bus: Opened) {
    let mut writers = tokio::task::JoinSet::new();
    for bus in [&bus.writer, &bus.reader] {
        let mut requests = bus.requests().await.unwrap();
        writers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(request) = requests.next().await {
                let Command::Untrack { symbol } = &request.command else {
                    continue;
                };
                let is_last = &**symbol == "END";
                taken.push(symbol.to_string());
                let _ = request.reply.send(Reply::Untracked { existed: true });
                if is_last {
                    break;
                }
            }
            taken
        });
    }
    for n in 0..50 {
        let asked = bus.reader.request(untrack(&n.to_string()), HANG);
        asked.await.unwrap();
    }
    for _ in 0..2 {
        bus.reader.request(untrack("END"), HANG).await.unwrap();
    }
    let mut taken = Vec::new();
    while let Some(list) = in_time("the end of the Writers", writers.join_next()).await {
        taken.extend(list.unwrap());
    }
    taken.retain(|symbol| symbol != "END");
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((count, taken.len()), (50, 50));
}

async fn a_request_that_was_given_up_is_never_carried_out(bus: Opened) {
    let patience = Duration::from_millis(50);
    let nobody = bus.reader.request(untrack("GIVENUP"), patience).await;
    assert_eq!(nobody, Err(BusError::NoAnswer(patience)));
    let mut requests = bus.writer.requests().await.unwrap();
    // A Writer that stops waiting takes nothing with it.
    assert!(
        tokio::time::timeout(patience, requests.next())
            .await
            .is_err(),
        "it was given up"
    );
    let (reply, taken) = tokio::join!(bus.reader.request(untrack("LATER"), HANG), async {
        let request = in_time("the request", requests.next()).await.unwrap();
        let command = request.command.clone();
        let _ = request.reply.send(Reply::Untracked { existed: false });
        command
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: false }));
    assert_eq!(taken, untrack("LATER"));
}

async fn a_writer_that_goes_away_is_told(bus: Opened) {
    let mut requests = bus.writer.requests().await.unwrap();
    let (reply, ()) = tokio::join!(bus.reader.request(untrack("BTCUSDT"), HANG), async {
        drop(in_time("the request", requests.next()).await);
    });
    assert_eq!(reply, Err(BusError::Unavailable));
}
