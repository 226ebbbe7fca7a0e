//! What was served is written down by the test itself; the past has to tell the same.

use super::*;
use crate::past::Past;
use kurs_bus::NoRate;
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, Published, PublishedEvent, Store};
use std::collections::BTreeMap;

/// Even and repeatable; no more is asked of it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Several ways of the same length lead to most cross rates.
const MARKETS: [&str; 10] = [
    "BTC-USDT", "BTC-USD", "BTC-EUR", "ETH-USDT", "ETH-EUR", "ETH-BTC", "USDT-USD", "EUR-USD",
    "USD-RUB", "EUR-RUB",
];
const ASKED: [&str; 14] = [
    "BTC-USDT",
    "BTC-RUB",
    "RUB-BTC",
    "ETH-RUB",
    "ETH-USD",
    "USD-ETH",
    "USDT-RUB",
    "EUR-USDT",
    "USDTTRC-RUB",
    "RUB-USD",
    "BTC-ETH",
    "XMR-USD",
    "ETH-EUR",
    "USDT-ETH",
];

/// Publishes at random, and keeps what the store would keep.
struct Writer {
    desk: Desk,
    dice: Dice,
    last: BTreeMap<Pair, Published>,
}

impl Writer {
    fn step(&mut self) {
        self.desk
            .clock
            .advance(Duration::from_millis(self.dice.below(400)));
        for _ in 0..self.dice.below(4) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let index = usize::try_from(self.dice.below(10)).unwrap();
        let market = MARKETS[index];
        let now = self.desk.clock.now().wall;
        let id = self.desk.id();
        let event = match self.dice.below(60) {
            0 => PublishedEvent::Withdrawn,
            1 | 2 => {
                let withdraws = self.dice.below(2) == 0;
                let before = self.last.get(&pair(market)).filter(|_| !withdraws);
                let standing = before.and_then(|before| match &before.event {
                    PublishedEvent::Rate(rate) => Some(Box::new(StoredRate {
                        id: before.id,
                        rate: rate.clone(),
                    })),
                    PublishedEvent::NoRate { standing, .. } => standing.clone(),
                    PublishedEvent::Withdrawn => None,
                });
                PublishedEvent::NoRate {
                    why: "a leg is missing".into(),
                    withdraws,
                    standing,
                }
            }
            _ => PublishedEvent::Rate(self.rate(market)),
        };
        let body = match &event {
            PublishedEvent::Rate(rate) => Body::Rate(rate.clone()),
            PublishedEvent::NoRate { why, withdraws, .. } => Body::NoRate(NoRate {
                pair: pair(market),
                why: Arc::clone(why),
                withdraws: *withdraws,
            }),
            PublishedEvent::Withdrawn => Body::Withdrawn(pair(market)),
        };
        self.desk.view.apply(&Arc::new(Update {
            id,
            body,
            cause: None,
            at: None,
        }));
        let published = Published {
            id,
            pair: pair(market),
            published_at: now.to_millisecond(),
            event,
        };
        // As it comes back out of the store.
        let text = serde_json::to_string(&published).unwrap();
        self.last
            .insert(pair(market), serde_json::from_str(&text).unwrap());
    }

    fn rate(&mut self, market: &str) -> Rate {
        let value = 10_000 + i64::try_from(self.dice.below(9_000)).unwrap();
        let decimal = |number: i64| Price::new(rust_decimal::Decimal::new(number, 3)).unwrap();
        let valid_ms = [700, 3_000, 60_000][usize::try_from(self.dice.below(3)).unwrap()];
        let mut rate = self
            .desk
            .rate(market, "1", "binance", Duration::from_millis(valid_ms));
        let old = Duration::from_micros(self.dice.below(2_000_000));
        rate.observed_at = Wall(rate.observed_at.0 - i64::try_from(old.as_micros()).unwrap());
        rate.value = decimal(value);
        if self.dice.below(3) > 0 {
            rate.bid = Some(decimal(value - 5));
            rate.ask = Some(decimal(value + 5));
        }
        if self.dice.below(20) == 0 {
            rate.state = RateState::Suspect;
        }
        rate.in_milliseconds()
    }
}

fn told(answer: Result<Arc<RateDocument>, Missing>) -> String {
    match answer {
        Ok(document) => serde_json::to_string(&*document).unwrap(),
        Err(Missing::Expired(document)) => {
            format!("expired {}", serde_json::to_string(&*document).unwrap())
        }
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn ten_thousand_moments_of_the_past_are_told_as_they_were_served() {
    let mut writer = Writer {
        desk: Desk::new(),
        dice: Dice(7),
        last: BTreeMap::new(),
    };
    writer.desk.view.set_loaded();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..10_000 {
        writer.step();
        let view = &writer.desk.view;
        let at = writer.desk.clock.now().wall;
        let past = Past::of(view, writer.last.values().cloned().collect(), at);
        for _ in 0..3 {
            let index = usize::try_from(writer.dice.below(14)).unwrap();
            let asked = pair(ASKED[index]);
            let served = told(view.rate(asked, None).map(|answer| answer.document));
            assert_eq!(told(past.rate(asked, false)), served, "{asked} at {at}");
            let kind = served.split(['(', ' ', '"']).next().unwrap_or("");
            let kind = ["expired", "NoRateYet", "NoRate", "NoPath", "Unknown"]
                .into_iter()
                .find(|name| kind.starts_with(name))
                .unwrap_or("rate");
            *kinds.entry(kind).or_default() += 1;
        }
    }
    // Otherwise it would prove little.
    assert!(
        kinds["rate"] > 10_000 && kinds["expired"] > 100,
        "{kinds:?}"
    );
}

#[test]
fn a_cross_rate_takes_the_younger_of_two_ways_at_once() {
    let mut desk = Desk::new();
    let millisecond = Duration::from_millis(1);
    desk.publish("ETH-EUR", "3000", "kraken", MAX_AGE);
    desk.publish("EUR-RUB", "100", "coingecko", MAX_AGE);
    desk.clock.advance(millisecond);
    desk.publish("ETH-USD", "3300", "kraken", MAX_AGE);
    desk.publish("USD-RUB", "92", "coingecko", MAX_AGE);
    assert_eq!(desk.value("ETH-RUB"), "303600");
    desk.clock.advance(millisecond);
    desk.publish("EUR-RUB", "101", "coingecko", MAX_AGE);
    assert_eq!(desk.value("ETH-RUB"), "303600", "its oldest leg is older");
    desk.publish("ETH-EUR", "3001", "kraken", MAX_AGE);
    assert_eq!(desk.value("ETH-RUB"), "303101");
}

#[tokio::test]
async fn of_several_answers_of_a_millisecond_the_named_one_is_told() {
    let mut desk = Desk::new();
    let mut published = Vec::new();
    let mut served = Vec::new();
    for (market, value) in [
        ("BTC-USDT", "60000"),
        ("USDT-RUB", "90"),
        ("BTC-USDT", "60001"),
        ("USDT-RUB", "91"),
        ("BTC-USDT", "60002"),
    ] {
        // All but the first two within one millisecond.
        if published.len() == 2 {
            desk.clock.advance(Duration::from_millis(1));
        }
        let rate = desk.rate(market, value, "kraken", MAX_AGE);
        assert!(desk.send(Body::Rate(rate.clone())));
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(desk.seq),
        };
        published.push(Published::rate(id, rate));
        if let Ok(answer) = desk.view.rate(pair("BTC-RUB"), None) {
            served.push(answer.document);
        }
    }
    assert_eq!(served.len(), 4);
    let store = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let batch = Batch {
        published,
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    let asked = pair("BTC-RUB");
    for document in &served {
        let named = (document.published_at, document.seq);
        let past = Past::recall_numbered(&desk.view, &store, named, asked).await;
        assert_eq!(past.unwrap().rate(asked, false).unwrap(), *document);
    }
    let at = served[3].published_at;
    let past = Past::recall(&desk.view, &store, at).await.unwrap();
    assert_eq!(
        past.rate(asked, false).unwrap(),
        served[3],
        "unnamed: the last"
    );
}

#[test]
fn the_rates_of_one_answer_are_of_one_moment() {
    const ROUNDS: u64 = 20_000;
    let mut desk = Desk::new();
    let mut updates = Vec::new();
    for round in 1..=ROUNDS {
        // Both legs have the same number, the first one first.
        for market in ["BTC-USDT", "USDT-RUB"] {
            let rate = desk.rate(market, &round.to_string(), "kraken", MAX_AGE);
            let id = desk.id();
            updates.push(Arc::new(Update {
                id,
                body: Body::Rate(rate),
                cause: None,
                at: None,
            }));
        }
    }
    let view = &desk.view;
    let mut answers = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            updates
                .iter()
                .for_each(|update| assert!(view.apply(update)))
        });
        while !writer.is_finished() {
            let Ok(answer) = view.rate(pair("BTC-RUB"), None) else {
                continue;
            };
            let legs = &answer.document.legs;
            let [first, second] =
                [0, 1].map(|leg| legs[leg].value.to_string().parse::<u64>().unwrap());
            assert!(
                first == second || first == second + 1,
                "{first} with {second}"
            );
            answers += 1;
        }
    });
    assert!(answers > 0);
}
