use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn story(seed: u64, steps: &[u64]) -> Vec<MarketEvent> {
    let mut market = Market::new(Reference::new(seed, 0), 100, 0);
    let mut events = Vec::new();
    for step in steps {
        market.advance_to(*step, &mut events);
    }
    events
}

#[test]
fn the_same_seed_tells_the_same_story_however_it_is_asked() {
    let at_once = story(7, &[3_000]);
    let in_pieces = story(7, &[1, 17, 99, 100, 101, 850, 2_000, 2_001, 3_000]);
    assert!(at_once.len() > 300, "only {} events", at_once.len());
    assert_eq!(at_once, in_pieces);
    assert_ne!(at_once, story(8, &[3_000]));
}

/// A client's book, as the protocol sheet tells to build it.
#[derive(Default)]
struct ClientBook {
    id: u64,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

impl ClientBook {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.last_id,
            bids: snapshot.bids.iter().copied().collect(),
            asks: snapshot.asks.iter().copied().collect(),
        }
    }

    fn apply(&mut self, diff: &DepthDiff) {
        if diff.last_id <= self.id {
            return;
        }
        assert!(
            diff.first_id <= self.id + 1,
            "gap: {} after {}",
            diff.first_id,
            self.id
        );
        for (book, changes) in [(&mut self.bids, &diff.bids), (&mut self.asks, &diff.asks)] {
            for (price, size) in changes {
                if size.is_zero() {
                    book.remove(price);
                } else {
                    book.insert(*price, *size);
                }
            }
        }
        self.id = diff.last_id;
    }

    fn top(&self) -> (Level, Level) {
        let bid = self.bids.last_key_value().unwrap();
        let ask = self.asks.first_key_value().unwrap();
        ((*bid.0, *bid.1), (*ask.0, *ask.1))
    }
}

fn check_book(seed: u64, name: &str, pace: DepthPace, pin: bool) -> usize {
    let mut market = Market::new(Reference::new(seed, 0), 100, 0);
    let mut events = Vec::new();
    market.advance_to(1_234, &mut events);
    // The diffs are already flowing when the snapshot is taken in the middle of a collection.
    events.retain(|event| event.step > 1_200);
    let mut book = ClientBook::from(&market.symbol(name).unwrap().snapshot(5_000));
    if pin {
        let tick = market.symbol(name).unwrap().spec.tick();
        let price = tick * Decimal::from(9_000_000);
        assert!(market.pin(name, Some((price - tick, price + tick))));
    }
    market.advance_to(30_000, &mut events);
    let (mut tops, mut compared, mut last_id) = (BTreeMap::new(), 0, 0);
    for event in events.iter().filter(|event| &*event.symbol == name) {
        match &event.kind {
            MarketEventKind::Top(top) => {
                assert!(top.bid.0 < top.ask.0, "crossed: {top:?}");
                assert!(top.id > last_id, "ids must rise");
                last_id = top.id;
                tops.insert(top.id, (top.bid, top.ask));
            }
            MarketEventKind::Depth(diff) if diff.pace == pace => {
                book.apply(diff);
                if let Some(top) = tops.get(&book.id) {
                    assert_eq!(*top, book.top(), "at id {}", book.id);
                    compared += 1;
                }
            }
            _ => {}
        }
    }
    compared
}

#[test]
fn a_book_built_from_snapshot_and_diffs_has_the_top_of_the_ticker_with_the_same_id() {
    for seed in 1..6 {
        assert!(check_book(seed, "BTCUSDT", DepthPace::Fast, false) > 50);
        assert!(check_book(seed, "BTCUSDT", DepthPace::Fast, true) > 50);
        assert!(check_book(seed, "ETHUSDT", DepthPace::Slow, false) > 5);
        assert!(check_book(seed, "TONUSDT", DepthPace::Fast, false) > 5);
    }
}

#[test]
fn a_pin_holds_the_top_exactly_until_released() {
    let mut market = Market::new(Reference::new(1, 0), 100, 0);
    let mut events = Vec::new();
    let sides = ("64999.99".parse().unwrap(), "65000.01".parse().unwrap());
    assert!(market.pin("BTCUSDT", Some(sides)));
    market.advance_to(20_000, &mut events);
    let top = market.symbol("BTCUSDT").unwrap().top().unwrap();
    assert_eq!((top.bid.0, top.ask.0), sides);
    assert_eq!(top.bid.0.to_string(), "64999.99000000");
    assert!(market.pin("BTCUSDT", None));
    market.advance_to(25_000, &mut events);
    let freed = market.symbol("BTCUSDT").unwrap().top().unwrap();
    assert_ne!((freed.bid.0, freed.ask.0), sides);
    let between_ticks = ("1.001".parse().unwrap(), "1.005".parse().unwrap());
    assert!(!market.pin("BTCUSDT", Some(between_ticks)));
    assert!(!market.pin("NOPE", Some(sides)));
}

#[test]
fn symbols_are_listed_halted_and_removed() {
    let mut market = Market::new(Reference::new(1, 0), 100, 3);
    assert!(market.symbol("S0003USDT").is_some());
    assert!(market.list("FOOUSDT") && market.symbol("FOOUSDT").is_some());
    assert!(!market.list("nonsense"));
    assert!(market.set_trading("FOOUSDT", Trading::Halt));
    let mut events = Vec::new();
    market.advance_to(10_000, &mut events);
    assert!(!events.iter().any(|event| &*event.symbol == "FOOUSDT"));
    assert!(market.unlist("FOOUSDT") && !market.unlist("FOOUSDT"));
}

#[test]
fn lively_symbols_change_tens_of_times_a_second_and_thin_ones_rarely() {
    let events = story(1, &[60_000]);
    let tops = |name: &str| {
        let of = |event: &&MarketEvent| {
            &*event.symbol == name && matches!(event.kind, MarketEventKind::Top(_))
        };
        events.iter().filter(of).count()
    };
    assert!(tops("BTCUSDT") > 1_200, "{}", tops("BTCUSDT"));
    assert!((3..40).contains(&tops("TRXBTC")), "{}", tops("TRXBTC"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_book_is_ever_crossed(seed in any::<u64>()) {
        for event in story(seed, &[2_000]) {
            if let MarketEventKind::Top(top) = event.kind {
                prop_assert!(top.bid.0 < top.ask.0);
                prop_assert!(top.bid.0 > Decimal::ZERO && top.bid.1 > Decimal::ZERO);
            }
        }
    }
}
