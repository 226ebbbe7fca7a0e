//! What every [`Bus`] must do. One suite for all implementations: hand [`run`] a function that
//! opens an empty bus.
//!
//! A check panics with the promise that does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a conformance check fails by panicking, as any test does"
)]

use crate::{Body, Bus, BusError, BusEvent, Command, Reply, SourcePrice, Subscription, Update};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SourceState, TrackedSymbol,
    UpdateId, Wall,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for something that should happen at once.
const HANG: Duration = Duration::from_secs(20);

/// Runs every check, each on a bus of its own that `fresh` opens. `overflow`: more updates than
/// a subscriber of this bus may lie behind.
pub async fn run<F, Opening>(fresh: F, overflow: u64)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Arc<dyn Bus>>,
{
    everyone_hears_everything_in_order(&*fresh().await).await;
    last_values_are_the_newest_of_each_key(&*fresh().await).await;
    a_withdrawn_pair_leaves_nothing_behind(&*fresh().await).await;
    subscribing_first_misses_nothing(fresh().await).await;
    a_slow_subscriber_is_told_and_recovers(&*fresh().await, overflow).await;
    the_writer_answers_each_request(fresh().await).await;
    two_writers_never_take_the_same_request(fresh().await).await;
    a_request_that_was_given_up_is_never_carried_out(&*fresh().await).await;
    a_writer_that_goes_away_is_told(&*fresh().await).await;
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

fn update(seq: u64, body: Body) -> Arc<Update> {
    Arc::new(Update {
        id: UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(seq),
        },
        body,
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

async fn last_values(bus: &dyn Bus) -> Vec<Arc<Update>> {
    let mut values = bus.last_values().await.unwrap();
    values.sort_by_key(|update| update.id);
    values
}

async fn everyone_hears_everything_in_order(bus: &dyn Bus) {
    bus.publish(rate("ETH-USDT", 0)).unwrap();
    let mut subscriptions = [
        bus.subscribe().await.unwrap(),
        bus.subscribe().await.unwrap(),
    ];
    let tracked = TrackedSymbol {
        symbol: "BTCUSDT".into(),
        pair: Pair::parse("BTC-USDT").unwrap(),
        added_at: Wall(1),
    };
    let mut sent = vec![
        source_price("binance", "BTC-USDT", 1),
        update(2, Body::Tracked(Arc::from([tracked]))),
        update(3, Body::Withdrawn(Pair::parse("ETH-USDT").unwrap())),
    ];
    sent.extend((4..40).map(|seq| rate(["BTC-USDT", "ETH-USDT"][usize::from(seq % 3 == 0)], seq)));
    for update in &sent {
        bus.publish(Arc::clone(update)).unwrap();
    }
    for subscription in &mut subscriptions {
        for update in &sent {
            expect(subscription, update).await;
        }
    }
}

async fn last_values_are_the_newest_of_each_key(bus: &dyn Bus) {
    assert!(last_values(bus).await.is_empty());
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
        bus.publish(Arc::clone(update)).unwrap();
    }
    let seqs: Vec<u64> = last_values(bus)
        .await
        .iter()
        .map(|update| update.id.seq.0)
        .collect();
    assert_eq!(seqs, [2, 4, 5, 6, 8]);
}

async fn a_withdrawn_pair_leaves_nothing_behind(bus: &dyn Bus) {
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    bus.publish(source_price("binance", "BTC-USDT", 2)).unwrap();
    bus.publish(rate("ETH-USDT", 3)).unwrap();
    bus.publish(update(4, Body::Withdrawn(Pair::parse("BTC-USDT").unwrap())))
        .unwrap();
    let seqs: Vec<u64> = last_values(bus)
        .await
        .iter()
        .map(|update| update.id.seq.0)
        .collect();
    assert_eq!(seqs, [3]);
    bus.publish(rate("BTC-USDT", 5)).unwrap();
    assert_eq!(last_values(bus).await.len(), 2, "it may come back");
}

async fn subscribing_first_misses_nothing(bus: Arc<dyn Bus>) {
    const LAST: u64 = 50;
    let publisher = {
        let bus = Arc::clone(&bus);
        tokio::spawn(async move {
            for seq in 1..=LAST {
                bus.publish(rate("BTC-USDT", seq)).unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    for _ in 0..20 {
        let mut subscription = bus.subscribe().await.unwrap();
        let known = last_values(&*bus)
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

async fn a_slow_subscriber_is_told_and_recovers(bus: &dyn Bus, overflow: u64) {
    let mut slow = bus.subscribe().await.unwrap();
    // Would hang here if a subscriber that does not read could hold the publisher up.
    for seq in 0..overflow {
        bus.publish(rate("BTC-USDT", seq)).unwrap();
    }
    let BusEvent::Gap { lost } = next(&mut slow).await else {
        panic!("{overflow} updates behind, and not told of a gap");
    };
    assert!(lost > 0 && lost < overflow);
    let newest = last_values(bus).await;
    assert_eq!(
        newest,
        [rate("BTC-USDT", overflow - 1)],
        "last values are not lost"
    );
    for seq in lost..overflow {
        expect(&mut slow, &rate("BTC-USDT", seq)).await;
    }
    bus.publish(rate("BTC-USDT", overflow)).unwrap();
    expect(&mut slow, &rate("BTC-USDT", overflow)).await;
}

async fn the_writer_answers_each_request(bus: Arc<dyn Bus>) {
    let writer = {
        let bus = Arc::clone(&bus);
        tokio::spawn(async move {
            while let Some(request) = bus.next_request().await {
                let Command::Untrack { symbol } = request.command else {
                    panic!("another command than was asked");
                };
                let _ = request.reply.send(Reply::Untracked {
                    existed: symbol.starts_with("YES"),
                });
            }
        })
    };
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (bus, expected) = (Arc::clone(&bus), n % 2 == 0);
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

async fn two_writers_never_take_the_same_request(bus: Arc<dyn Bus>) {
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let bus = Arc::clone(&bus);
        writers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(request) = bus.next_request().await {
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
        bus.request(untrack(&n.to_string()), HANG).await.unwrap();
    }
    for _ in 0..2 {
        bus.request(untrack("END"), HANG).await.unwrap();
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

async fn a_request_that_was_given_up_is_never_carried_out(bus: &dyn Bus) {
    let patience = Duration::from_millis(5);
    let nobody = bus.request(untrack("GIVENUP"), patience).await;
    assert_eq!(nobody, Err(BusError::NoAnswer(patience)));
    // A Writer that stops waiting takes nothing with it.
    assert!(
        tokio::time::timeout(patience, bus.next_request())
            .await
            .is_err(),
        "it was given up"
    );
    let (reply, taken) = tokio::join!(bus.request(untrack("LATER"), HANG), async {
        let request = in_time("the request", bus.next_request()).await.unwrap();
        let command = request.command.clone();
        let _ = request.reply.send(Reply::Untracked { existed: false });
        command
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: false }));
    assert_eq!(taken, untrack("LATER"));
}

async fn a_writer_that_goes_away_is_told(bus: &dyn Bus) {
    let (reply, ()) = tokio::join!(bus.request(untrack("BTCUSDT"), HANG), async {
        drop(in_time("the request", bus.next_request()).await);
    });
    assert_eq!(reply, Err(BusError::Unavailable));
}
