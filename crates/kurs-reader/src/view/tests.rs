mod dated;
mod explain;
mod past;
mod policies;

use super::*;
use kurs_bus::{Body, SourcePrice, Update};
use kurs_core::{
    Choice, Epoch, ManualClock, Mono, Price, Rate, RateState, Seq, SourceKind, SourceState, Wall,
};
use kurs_store::StoredRate;
use std::time::Duration;

const MAX_AGE: Duration = Duration::from_secs(5);

struct Desk {
    view: RateView,
    clock: Arc<ManualClock>,
    seq: u64,
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

impl Desk {
    fn new() -> Self {
        let start = Now {
            mono: Mono(5_000_000_000),
            wall: Wall::from_unix_seconds(1_800_000_000),
        };
        let clock = Arc::new(ManualClock::new(start));
        let directions = vec![pair("BTC-USD"), pair("USDTTRC-RUB")];
        let view = RateView::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            ViewConfig { directions },
        );
        Self {
            view,
            clock,
            seq: 0,
        }
    }

    fn rate(&self, market: &str, value: &str, by: &str, valid_for: Duration) -> Rate {
        let now = self.clock.now().wall;
        let reason = "first".into();
        Rate {
            pair: pair(market),
            value: Price::parse(value).unwrap(),
            bid: None,
            ask: None,
            confidence: None,
            source: source(by),
            state: RateState::Fresh,
            legs: None,
            observed_at: now,
            published_at: now,
            valid_for,
            evidence: None,
            depeg: None,
            choice: Arc::new(Choice {
                source: source(by),
                since: now,
                reason,
                skipped: Vec::new(),
            }),
        }
    }

    fn id(&mut self) -> UpdateId {
        self.seq += 1;
        UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(self.seq),
        }
    }

    fn send(&mut self, body: Body) -> bool {
        let id = self.id();
        self.view.apply(&Arc::new(Update {
            id,
            body,
            cause: None,
            at: None,
        }))
    }

    fn publish(&mut self, market: &str, value: &str, by: &str, valid_for: Duration) {
        let rate = self.rate(market, value, by, valid_for);
        assert!(self.send(Body::Rate(rate)));
        let now = self.clock.now().wall;
        self.send(Body::SourcePrice(SourcePrice {
            source: source(by),
            pair: pair(market),
            value: Price::parse(value).unwrap(),
            bid: None,
            ask: None,
            state: SourceState::Live,
            why: "".into(),
            observed_at: now,
            received_at: now,
            published_at: now,
            valid_for,
        }));
    }

    fn markets(&mut self) {
        self.publish("BTC-USDT", "60000.00", "binance", MAX_AGE);
        self.publish("USDT-USD", "0.9990", "coingecko", Duration::from_secs(70));
        self.publish("USD-RUB", "90.50", "cbr", Duration::from_secs(86_400));
    }

    fn get(&self, asked: &str) -> Result<String, Missing> {
        let answer = self.view.rate(pair(asked), None)?;
        Ok(String::from_utf8(answer.rendered.body.to_vec()).unwrap())
    }

    fn value(&self, asked: &str) -> String {
        self.view
            .rate(pair(asked), None)
            .unwrap()
            .document
            .value
            .to_string()
    }
}

#[test]
fn a_published_rate_is_rendered_once_and_shared() {
    let mut desk = Desk::new();
    desk.publish("BTC-USDT", "54000.01000000", "binance", MAX_AGE);
    let first = desk.view.hot("BTC", "USDT").unwrap();
    let second = desk.view.hot("BTC", "USDT").unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let body = String::from_utf8(first.body.to_vec()).unwrap();
    assert!(
        body.starts_with(
            r#"{"pair":"BTC-USDT","value":"54000.01000000","source":"binance","state":"fresh""#
        ),
        "{body}"
    );
    assert_eq!(&first.etag[..], b"\"0.3-1\"");
    desk.publish("BTC-USDT", "54000.02000000", "binance", MAX_AGE);
    assert_ne!(desk.view.hot("BTC", "USDT").unwrap().etag, first.etag);
}

#[test]
fn a_rate_that_ran_out_is_never_served_as_fresh_whoever_is_silent() {
    let mut desk = Desk::new();
    desk.markets();
    desk.clock.advance(Duration::from_millis(4_999));
    assert!(desk.view.hot("BTC", "USDT").is_some());
    assert_eq!(desk.value("BTC-RUB"), "5424570");
    desk.clock.advance(Duration::from_millis(1));
    assert!(desk.view.hot("BTC", "USDT").is_none());
    let Err(Missing::Expired(last)) = desk.view.rate(pair("BTC-USDT"), None) else {
        panic!("served")
    };
    assert_eq!(
        (last.state, last.value.to_string().as_str()),
        (RateState::Stale, "60000.00")
    );
    let Err(Missing::Expired(last)) = desk.view.rate(pair("BTC-RUB"), None) else {
        panic!("served")
    };
    assert_eq!(
        (last.state, last.value.to_string().as_str()),
        (RateState::Stale, "5424570")
    );
}

#[test]
fn a_jump_of_the_wall_clock_changes_no_validity() {
    let mut desk = Desk::new();
    desk.markets();
    desk.clock.set_wall(Wall::from_unix_seconds(1_900_000_000));
    assert!(desk.view.hot("BTC", "USDT").is_some());
    desk.clock.set_wall(Wall::from_unix_seconds(1_700_000_000));
    desk.clock.advance(MAX_AGE);
    assert!(desk.view.hot("BTC", "USDT").is_none());
}

#[test]
fn older_updates_and_older_epochs_are_refused() {
    let mut desk = Desk::new();
    desk.publish("BTC-USDT", "2", "binance", MAX_AGE);
    let rate = desk.rate("BTC-USDT", "1", "binance", MAX_AGE);
    for id in [
        UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(1),
        },
        UpdateId {
            shard: 0,
            epoch: Epoch(2),
            seq: Seq(999),
        },
    ] {
        assert!(!desk.view.apply(&Arc::new(Update {
            id,
            body: Body::Rate(rate.clone()),
            cause: None,
            at: None
        })));
    }
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(4),
        seq: Seq(1),
    };
    assert!(desk.view.apply(&Arc::new(Update {
        id,
        body: Body::Rate(rate),
        cause: None,
        at: None
    })));
    assert_eq!(desk.value("BTC-USDT"), "1");
}

#[test]
fn a_cross_rate_follows_its_legs_and_is_kept_while_they_stand() {
    let mut desk = Desk::new();
    desk.markets();
    let first = desk.view.rate(pair("BTC-RUB"), None).unwrap();
    assert_eq!(first.document.value.to_string(), "5424570");
    assert_eq!(first.document.seq, 5, "the greatest of its legs");
    assert_eq!(
        first.document.path,
        [pair("BTC-USDT"), pair("USDT-USD"), pair("USD-RUB")]
    );
    let again = desk.view.rate(pair("BTC-RUB"), None).unwrap();
    assert!(Arc::ptr_eq(&first.rendered, &again.rendered));
    desk.publish("BTC-USDT", "70000", "binance", MAX_AGE);
    assert_eq!(desk.value("BTC-RUB"), "6328665");
    assert_eq!(desk.value("RUB-BTC"), "0.000000158011207734965");
}

#[test]
fn network_names_are_echoed_and_priced_as_their_asset() {
    let mut desk = Desk::new();
    desk.markets();
    let body = desk.get("USDTTRC-RUB").unwrap();
    assert!(
        body.starts_with(r#"{"pair":"USDTTRC-RUB","value":"90.4095""#),
        "{body}"
    );
    assert!(
        desk.get("USDTERC-USD")
            .unwrap()
            .contains(r#""value":"0.9990""#)
    );
}

#[test]
fn what_cannot_be_answered_says_why() {
    let mut desk = Desk::new();
    desk.view.set_loaded();
    let no_rate = desk.view.rate(pair("BTC-USD"), None).unwrap_err();
    assert_eq!(no_rate, Missing::NoRateYet(pair("BTC-USD")));
    desk.markets();
    let unknown = desk.view.rate(pair("QQQ-USD"), None).unwrap_err();
    assert_eq!(unknown, Missing::UnknownAsset(Asset::parse("QQQ").unwrap()));
    let no_path = desk.view.rate(pair("BTC-CHF"), None).unwrap_err();
    assert_eq!(no_path, Missing::NoPath(pair("BTC-CHF")));
}

#[test]
fn the_list_holds_every_reachable_quote_and_changes_with_any_of_them() {
    let mut desk = Desk::new();
    desk.markets();
    let btc = Asset::parse("BTC").unwrap();
    let list = desk.view.list(btc).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
    let pairs: Vec<&str> = json["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate["pair"].as_str().unwrap())
        .collect();
    assert_eq!(pairs, ["BTC-RUB", "BTC-USD", "BTC-USDT"]);
    desk.publish("USD-RUB", "91", "cbr", Duration::from_secs(86_400));
    assert!(
        Arc::ptr_eq(&list, &desk.view.list(btc).unwrap()),
        "at most twenty times a second"
    );
    desk.clock.advance(Duration::from_millis(51));
    assert_ne!(desk.view.list(btc).unwrap().etag, list.etag);
    desk.clock.advance(MAX_AGE);
    assert!(matches!(desk.view.list(btc), Err(Missing::Expired(_))));
    let stale = desk.view.list_stale(btc).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&stale.body).unwrap();
    let states: Vec<&str> = json["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["stale", "stale", "stale"]);
}

#[test]
fn a_pinned_source_answers_with_its_own_market_carried_on() {
    let mut desk = Desk::new();
    desk.markets();
    desk.publish("BTC-USD", "61000", "coingecko", Duration::from_secs(70));
    let pinned = |by: &str| {
        desk.view
            .rate(pair("BTC-USD"), Some(source(by)))
            .map(|answer| answer.document.value.to_string())
    };
    assert_eq!(pinned("binance"), Ok("59940".into()));
    assert_eq!(pinned("coingecko"), Ok("61000".into()));
    assert_eq!(
        pinned("cbr"),
        Ok("61000".into()),
        "what it lacks is derived"
    );
    let legs = |by: &str, asked: &str| {
        let answer = desk.view.rate(pair(asked), Some(source(by))).unwrap();
        let legs = answer.document.path.iter().map(ToString::to_string);
        (answer.document.value.to_string(), legs.collect::<Vec<_>>())
    };
    assert_eq!(legs("cbr", "RUB-USD").1, ["USD-RUB"]);
    assert_eq!(legs("binance", "USDT-BTC").1, ["BTC-USDT"]);
    assert_eq!(legs("binance", "USDTTRC-USD").1, ["USDT-USD"]);
    desk.clock.advance(MAX_AGE);
    let expired = desk.view.rate(pair("BTC-USD"), Some(source("binance")));
    assert!(matches!(expired, Err(Missing::Expired(_))), "{expired:?}");
}

#[test]
fn a_stored_rate_comes_back_with_what_is_left_of_its_validity() {
    let desk = Desk::new();
    let rate = desk.rate("BTC-USDT", "60000", "binance", MAX_AGE);
    desk.clock.advance(Duration::from_secs(2));
    desk.view.restore(StoredRate {
        id: UpdateId {
            shard: 0,
            epoch: Epoch(2),
            seq: Seq(9),
        },
        rate: rate.clone(),
    });
    assert_eq!(desk.value("BTC-USDT"), "60000");
    desk.clock.advance(Duration::from_secs(3));
    assert!(matches!(
        desk.view.rate(pair("BTC-USDT"), None),
        Err(Missing::Expired(_))
    ));
    // A clock that went back gives no rate a longer life than it was published with.
    let mut desk = Desk::new();
    desk.clock.set_wall(Wall::from_unix_seconds(1_700_000_000));
    let id = desk.id();
    desk.view.restore(StoredRate { id, rate });
    desk.clock.advance(MAX_AGE);
    assert!(matches!(
        desk.view.rate(pair("BTC-USDT"), None),
        Err(Missing::Expired(_))
    ));
}

#[test]
fn explain_shows_legs_constituents_ages_and_the_reason() {
    let mut desk = Desk::new();
    desk.markets();
    desk.clock.advance(Duration::from_millis(1_500));
    let explained = desk.view.explain(pair("BTC-RUB"), None, false).unwrap();
    assert_eq!(explained.rate.legs.len(), 3);
    assert_eq!(explained.age_ms, 1_500);
    assert!(
        explained
            .constituents
            .iter()
            .all(|constituent| constituent.used)
    );
    assert!(
        explained.reason.starts_with("cross rate over 3 markets"),
        "{}",
        explained.reason
    );
}

#[test]
fn a_withdrawn_pair_is_not_served_any_more() {
    let mut desk = Desk::new();
    desk.markets();
    desk.send(Body::Withdrawn(pair("BTC-USDT")));
    assert!(desk.view.hot("BTC", "USDT").is_none());
    assert!(desk.get("BTC-RUB").is_err());
}

#[test]
fn a_pair_withdrawn_during_a_gap_is_not_served_any_more() {
    let mut desk = Desk::new();
    desk.markets();
    let id = desk.id();
    let kept = desk.rate("USD-RUB", "91", "cbr", MAX_AGE);
    let last = [Arc::new(Update {
        id,
        body: Body::Rate(kept),
        cause: None,
        at: None,
    })];
    desk.view.apply(&last[0]);
    desk.view.keep_only(&last);
    assert!(desk.view.hot("BTC", "USDT").is_none());
    assert!(desk.view.hot("USD", "RUB").is_some());
}

fn status_of(name: &str, state: SourceState) -> kurs_bus::SourceStatus {
    kurs_bus::SourceStatus {
        source: source(name),
        kind: SourceKind::Exchange,
        priority: 1,
        state,
        why: "".into(),
        since: Wall(0),
        mode: "websocket".into(),
        pairs: 1,
        messages: 1,
        decode_errors: 0,
        reconnects: 0,
        failures: 0,
        books: kurs_bus::BookCounts::default(),
        overlaps: 0,
        last_message_at: None,
        next_poll_at: None,
        limited_until: None,
        lag_ms: None,
    }
}

#[test]
fn a_source_that_has_not_spoken_lends_its_name_to_nobody() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "61000", "coingecko", Duration::from_secs(70));
    let status = status_of("binance", SourceState::Syncing);
    desk.send(Body::SourceStatus(status));
    let pinned = desk.view.rate(pair("BTC-USD"), Some(source("binance")));
    assert!(matches!(pinned, Err(Missing::NoRateYet(_))), "{pinned:?}");
}

#[test]
fn a_simulated_source_is_found_by_its_plain_name() {
    let mut desk = Desk::new();
    let status = status_of("sim:binance", SourceState::Live);
    desk.send(Body::SourceStatus(status));
    assert_eq!(
        desk.view.find_source(source("binance")),
        Some(source("sim:binance"))
    );
    assert_eq!(desk.view.find_source(source("kraken")), None);
}
