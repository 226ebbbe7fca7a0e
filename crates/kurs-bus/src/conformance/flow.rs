//! Checks of updates and last values.

use super::make::{rate, source_price, update, update_of, withdrawn};
use super::{Opened, expect, in_time, last_seqs, last_values, next};
use crate::{Body, BusEvent, Heartbeat};
use kurs_core::{Pair, TrackedSymbol, Wall};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn everyone_hears_everything_in_order(bus: Opened) {
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

pub(super) async fn last_values_are_the_newest_of_each_key(bus: Opened) {
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

pub(super) async fn a_withdrawn_pair_leaves_nothing_behind(bus: Opened) {
    bus.writer.publish(rate("BTC-USDT", 1)).unwrap();
    let price = source_price("binance", "BTC-USDT", 2);
    bus.writer.publish(price).unwrap();
    bus.writer.publish(rate("ETH-USDT", 3)).unwrap();
    bus.writer.publish(withdrawn(4, "BTC-USDT")).unwrap();
    assert_eq!(last_seqs(&bus).await, [3]);
    bus.writer.publish(rate("BTC-USDT", 5)).unwrap();
    assert_eq!(last_seqs(&bus).await, [3, 5], "it may come back");
}

pub(super) async fn subscribing_first_misses_nothing(bus: Opened) {
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

pub(super) async fn an_ended_epoch_is_not_heard_and_a_missing_number_is_told(bus: Opened) {
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

pub(super) async fn a_slow_subscriber_is_told_and_recovers(bus: Opened, overflow: u64) {
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
