use super::*;
use kurs_core::{
    Choice, Clock, Epoch, ManualClock, Mono, Now, Price, Rate, RateState, Seq, UpdateId,
};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, Origin};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T10:00:00Z.
const START: Wall = Wall::from_unix_seconds(1_795_255_200);

struct Desk {
    view: RateView,
    store: SqliteStore,
    seq: u64,
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn after(seconds: i64) -> Wall {
    Wall(START.0 + seconds * 1_000_000)
}

fn candle(market: &str, interval: Interval, seconds: i64, prices: [&str; 4], count: u64) -> Candle {
    let [open, high, low, close] = prices.map(|text| Price::parse(text).unwrap());
    Candle {
        pair: pair(market),
        source: None,
        interval,
        start: after(seconds),
        open,
        high,
        low,
        close,
        count,
        origin: Origin::Live,
    }
}

fn text(candle: &Candle) -> String {
    let seconds = (candle.start.0 - START.0) / 1_000_000;
    let Candle {
        open,
        high,
        low,
        close,
        count,
        ..
    } = candle;
    format!("{seconds}: {open} {high} {low} {close} {count}")
}

impl Desk {
    async fn new() -> Self {
        let now = Now {
            mono: Mono(5_000_000_000),
            wall: after(86_400),
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
        let view = RateView::new(clock, crate::ViewConfig::default());
        let store = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
        store.migrate().await.unwrap();
        Self {
            view,
            store,
            seq: 0,
        }
    }

    fn publish(&mut self, market: &str, value: &str) {
        let now = self.view.now().wall;
        let source = SourceId::parse("binance").unwrap();
        self.seq += 1;
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(self.seq),
        };
        let body = kurs_bus::Body::Rate(Rate {
            pair: pair(market),
            value: Price::parse(value).unwrap(),
            bid: None,
            ask: None,
            confidence: None,
            source,
            state: RateState::Fresh,
            legs: None,
            observed_at: now,
            published_at: now,
            valid_for: Duration::from_secs(60),
            choice: Arc::new(Choice {
                source,
                since: now,
                reason: "first".into(),
                skipped: vec![],
            }),
            evidence: None,
            depeg: None,
        });
        assert!(self.view.apply(&Arc::new(kurs_bus::Update {
            id,
            body,
            cause: None,
            at: None
        })));
    }

    /// BTC-USDT and USD-RUB, joined by USDT-USD.
    async fn markets() -> Self {
        let mut desk = Self::new().await;
        desk.publish("BTC-USDT", "60000");
        desk.publish("USDT-RUB", "90");
        desk
    }

    async fn save(&self, candles: &[Candle]) {
        let batch = Batch {
            candles: candles.to_vec(),
            ..Batch::default()
        };
        self.store.write(batch).await.unwrap();
    }

    async fn ask(&self, asked: &str, interval: Interval, limit: u32) -> CandlesPage {
        self.page(asked, interval, after(-86_400), limit, None)
            .await
            .unwrap()
    }

    async fn page(
        &self,
        asked: &str,
        interval: Interval,
        start: Wall,
        limit: u32,
        way: Option<Way>,
    ) -> Result<CandlesPage, CandlesError> {
        let question = CandlesQuestion {
            asked: pair(asked),
            source: None,
            interval,
            start,
            end: after(86_400),
            limit,
            way,
        };
        candles(&self.view, &self.store, question).await
    }
}

fn texts(page: &CandlesPage) -> Vec<String> {
    page.candles.iter().map(text).collect()
}

#[tokio::test]
async fn a_series_of_its_own_is_given_as_it_is() {
    let desk = Desk::markets().await;
    let flat = ["2", "3", "1", "2.50"];
    desk.save(&[
        candle("BTC-USDT", Interval::Minute, 0, flat, 4),
        candle("BTC-USDT", Interval::Minute, 120, flat, 4),
    ])
    .await;
    let page = desk.ask("BTC-USDT", Interval::Minute, 1).await;
    assert_eq!((page.way, page.next), (Way::Own, Some(after(120))));
    let page = desk.ask("BTC-USDTTRC", Interval::Minute, 2).await;
    assert_eq!(texts(&page), ["0: 2 3 1 2.50 4", "120: 2 3 1 2.50 4"]);
    assert_eq!((page.way.clone(), page.next), (Way::Own, None));
}

#[tokio::test]
async fn the_other_way_round_high_is_one_through_low() {
    let desk = Desk::markets().await;
    desk.save(&[candle(
        "BTC-USDT",
        Interval::Second,
        0,
        ["4", "8", "2", "5"],
        7,
    )])
    .await;
    let page = desk.ask("USDT-BTC", Interval::Second, 10).await;
    assert_eq!(texts(&page), ["0: 0.25 0.5 0.125 0.2 7"]);
    assert_eq!(page.way.markets(), [pair("BTC-USDT")]);
}

#[tokio::test]
async fn legs_are_joined_slice_by_slice_and_the_silent_one_is_carried_on() {
    let desk = Desk::markets().await;
    desk.save(&[
        // Yesterday's last word of the bank.
        candle(
            "USDT-RUB",
            Interval::Day,
            -122_400,
            ["80", "80", "80", "90"],
            2,
        ),
        candle("BTC-USDT", Interval::Minute, 0, ["10", "20", "10", "15"], 3),
        candle("BTC-USDT", Interval::Second, 1, ["10", "20", "10", "20"], 2),
        candle(
            "BTC-USDT",
            Interval::Second,
            50,
            ["15", "15", "15", "15"],
            1,
        ),
        candle(
            "USDT-RUB",
            Interval::Minute,
            0,
            ["91", "100", "91", "100"],
            2,
        ),
        candle(
            "USDT-RUB",
            Interval::Second,
            30,
            ["91", "100", "91", "100"],
            2,
        ),
        candle(
            "USDT-RUB",
            Interval::Minute,
            180,
            ["99", "99", "99", "99"],
            1,
        ),
        candle(
            "USDT-RUB",
            Interval::Second,
            200,
            ["99", "99", "99", "99"],
            1,
        ),
    ])
    .await;
    let page = desk.ask("BTC-RUB", Interval::Minute, 10).await;
    // The highs did not meet: 20 x 100 is only reached because BTC-USDT stood at 20 then.
    assert_eq!(
        texts(&page),
        ["0: 900 2000 900 1500 5", "180: 1485 1485 1485 1485 1"]
    );
    assert_eq!(page.way.markets(), [pair("BTC-USDT"), pair("USDT-RUB")]);
    let seconds = desk.ask("BTC-RUB", Interval::Second, 10).await;
    assert_eq!(
        texts(&seconds),
        [
            "1: 900 1800 900 1800 2",
            "30: 1820 2000 1820 2000 2",
            "50: 1500 1500 1500 1500 1",
            "200: 1485 1485 1485 1485 1"
        ]
    );
}

#[tokio::test]
async fn of_one_second_in_which_two_legs_moved_only_the_ends_are_known() {
    let desk = Desk::markets().await;
    desk.save(&[
        candle("BTC-USDT", Interval::Second, 0, ["10", "30", "5", "20"], 4),
        candle("USDT-RUB", Interval::Second, 0, ["2", "7", "1", "3"], 4),
    ])
    .await;
    let page = desk.ask("BTC-RUB", Interval::Second, 10).await;
    assert_eq!(texts(&page), ["0: 20 60 20 60 8"]);
}

#[tokio::test]
async fn where_the_finer_candles_are_gone_the_longer_ones_are_joined() {
    let desk = Desk::markets().await;
    desk.save(&[
        candle("BTC-USDT", Interval::Minute, 0, ["10", "20", "5", "15"], 3),
        candle(
            "BTC-USDT",
            Interval::Second,
            50,
            ["15", "15", "15", "15"],
            1,
        ),
        candle("USDT-RUB", Interval::Minute, 0, ["2", "3", "1", "2"], 2),
        candle("USDT-RUB", Interval::Second, 30, ["2", "3", "1", "2"], 2),
    ])
    .await;
    let page = desk.ask("BTC-RUB", Interval::Minute, 10).await;
    assert_eq!(texts(&page), ["0: 20 60 5 30 5"]);
}

#[tokio::test]
async fn a_leg_without_any_price_or_silent_for_weeks_gives_no_candle() {
    let desk = Desk::markets().await;
    let one = ["1", "1", "1", "1"];
    desk.save(&[
        candle("USDT-RUB", Interval::Day, -36_000 - 16 * 86_400, one, 1),
        candle("BTC-USDT", Interval::Hour, 0, one, 1),
        candle("USDT-RUB", Interval::Hour, 3_600, one, 1),
        candle("BTC-USDT", Interval::Hour, 7_200, one, 1),
    ])
    .await;
    let page = desk.ask("BTC-RUB", Interval::Hour, 10).await;
    assert_eq!(texts(&page), ["3600: 1 1 1 1 1", "7200: 1 1 1 1 1"]);
}

#[tokio::test]
async fn pages_of_joined_candles_follow_each_other_on_the_same_way() {
    let desk = Desk::markets().await;
    let mut all = Vec::new();
    for number in 0..25_i64 {
        let value = (10 + number).to_string();
        let prices = [value.as_str(); 4];
        // With holes of all sizes.
        let start = number * number * 60;
        all.push(candle("BTC-USDT", Interval::Minute, start, prices, 1));
        all.push(candle("BTC-USDT", Interval::Second, start + 7, prices, 1));
    }
    for interval in Interval::ALL {
        let start = interval.start_of(START);
        let rub = candle("USDT-RUB", interval, 0, ["3", "3", "3", "3"], 1);
        all.push(Candle { start, ..rub });
    }
    desk.save(&all).await;
    let whole = desk.ask("BTC-RUB", Interval::Minute, 1_000).await;
    assert_eq!(whole.candles.len(), 25);
    assert_eq!(text(&whole.candles[24]), "34560: 102 102 102 102 1");
    let mut joined = Vec::new();
    let mut next = Some(after(-86_400));
    let mut way = None;
    while let Some(start) = next {
        let page = desk
            .page("BTC-RUB", Interval::Minute, start, 4, way)
            .await
            .unwrap();
        let text = page.way.to_text();
        way = Way::of_text(pair("BTC-RUB"), &text);
        assert_eq!(way, Some(page.way));
        joined.extend(page.candles);
        next = page.next;
    }
    assert_eq!(joined, whole.candles);
}

#[tokio::test]
async fn a_pair_that_cannot_be_priced_is_missing() {
    let desk = Desk::markets().await;
    desk.view.set_loaded();
    for asked in ["QQQ-USD", "BTC-CHF"] {
        let page = desk.page(asked, Interval::Hour, START, 1, None).await;
        assert!(matches!(page, Err(CandlesError::Missing(_))), "{asked}");
    }
}

#[test]
fn ways_that_lead_elsewhere_are_no_ways() {
    let asked = pair("BTC-RUB");
    for text in [
        "",
        "_",
        "BTC-USDT",
        "BTC-USDT_USD-RUB",
        "USDT-RUB_BTC-USDT",
        "BTC-RUB",
        "A-B_B-C_C-D_D-E_E-F",
    ] {
        assert_eq!(Way::of_text(asked, text), None, "{text}");
    }
    let way = Way::of_text(pair("RUB-BTC"), "USDT-RUB_BTC-USDT").unwrap();
    assert!(matches!(&way, Way::Legs(steps) if steps.iter().all(|step| step.inverted)));
}

proptest! {
    /// Whatever the legs hold, a joined candle is a candle: low <= open, close <= high.
    #[test]
    fn joined_candles_are_in_order(
        values in proptest::collection::vec((any::<bool>(), 0..300_i64, proptest::array::uniform4(1_u32..1_000)), 1..40),
        inverted in any::<bool>(),
        number in 0_usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::markets().await;
            let mut candles = Vec::new();
            for (is_first, second, prices) in values {
                let market = if is_first { "BTC-USDT" } else { "USDT-RUB" };
                let [open, a, b, close] = prices;
                let high = prices.into_iter().max().unwrap();
                let low = prices.into_iter().min().unwrap();
                let _ = (a, b);
                let texts = [open, high, low, close].map(|number| format!("{number}.5"));
                let prices = [&*texts[0], &*texts[1], &*texts[2], &*texts[3]];
                for interval in [Interval::Second, Interval::Minute, Interval::FiveMinutes] {
                    let start = interval.start_of(after(second));
                    candles.push(Candle { start, ..candle(market, interval, 0, prices, 1) });
                }
            }
            desk.save(&candles).await;
            let asked = if inverted { "RUB-BTC" } else { "BTC-RUB" };
            let page = desk.ask(asked, Interval::ALL[number], 1_000).await;
            for candle in &page.candles {
                let text = text(candle);
                prop_assert!(candle.low <= candle.open.min(candle.close), "{}", text);
                prop_assert!(candle.high >= candle.open.max(candle.close), "{}", text);
                prop_assert!(candle.count > 0, "{}", text);
            }
            let starts: Vec<_> = page.candles.iter().map(|candle| candle.start).collect();
            prop_assert!(starts.is_sorted_by(|a, b| a < b));
            Ok(())
        })?;
    }
}
