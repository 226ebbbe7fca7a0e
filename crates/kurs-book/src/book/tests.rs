use super::*;
use kurs_core::Price;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The same, slowly: price -> level, digits as sent last.
#[derive(Default)]
struct Model {
    bids: BTreeMap<Decimal, Level>,
    asks: BTreeMap<Decimal, Level>,
}

impl Model {
    fn set(&mut self, change: &Change) {
        let side = match change.side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        let price = change.price.value();
        side.remove(&price);
        if !change.size.is_zero() {
            let size = change.size;
            let price = change.price;
            side.insert(price.value(), Level { price, size });
        }
    }

    fn cut(&mut self, depth: usize) {
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }
}

/// What is written, not what it is worth: `1.0` is not `1.00` here.
fn written(levels: impl Iterator<Item = Level>) -> Vec<(String, String)> {
    levels
        .map(|level| (level.price.to_string(), level.size.to_string()))
        .collect()
}

fn same(book: &Book, model: &Model) -> Result<(), TestCaseError> {
    let bids = model.bids.values().rev().copied();
    prop_assert_eq!(written(book.bids()), written(bids));
    prop_assert_eq!(written(book.asks()), written(model.asks.values().copied()));
    prop_assert_eq!(book.len(Side::Bid), model.bids.len());
    prop_assert_eq!(book.len(Side::Ask), model.asks.len());
    prop_assert_eq!(book.best_bid(), book.bids().next());
    prop_assert_eq!(book.best_ask(), book.asks().next());
    prop_assert_eq!(
        book.is_empty(),
        model.bids.is_empty() && model.asks.is_empty()
    );
    Ok(())
}

#[derive(Debug, Clone)]
enum Act {
    Set(Change),
    Cut(usize),
    Clear,
}

/// Prices that lie close together, some of them with other zeros at the end.
fn near() -> impl Strategy<Value = Decimal> {
    (1_i64..400, 0_u32..4).prop_map(|(ticks, zeros)| {
        let mut price = Decimal::new(100_000 + ticks, 2);
        price.rescale(2 + zeros);
        price
    })
}

/// Any price that a decimal can hold.
fn wild() -> impl Strategy<Value = Decimal> {
    (any::<u32>(), any::<u32>(), 0_u32..=u32::MAX, 0_u32..=28).prop_map(
        |(low, middle, high, scale)| Decimal::from_parts(low.max(1), middle, high, false, scale),
    )
}

/// Prices that agree in their first 17 digits.
fn twins() -> impl Strategy<Value = Decimal> {
    (0_i128..30)
        .prop_map(|last| Decimal::from_i128_with_scale(12_345_678_901_234_567_000 + last, 9))
}

fn change(price: impl Strategy<Value = Decimal>) -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    let size = prop_oneof![2 => Just(0_i64), 3 => 1_i64..1_000];
    (side, price, size, 0_u32..9).prop_map(|(side, price, size, scale)| {
        Act::Set(Change {
            side,
            price: Price::new(price).unwrap(),
            size: Decimal::new(size, scale),
        })
    })
}

fn acts(
    price: impl Strategy<Value = Decimal> + 'static,
    count: usize,
) -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        200 => change(price),
        1 => (0_usize..60).prop_map(Act::Cut),
        1 => Just(Act::Clear),
    ];
    prop::collection::vec(act, 0..count)
}

fn replay(acts: &[Act]) -> Result<(), TestCaseError> {
    let mut book = Book::new();
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Set(change) => {
                book.set(change);
                model.set(change);
            }
            Act::Cut(depth) => {
                book.cut(*depth);
                model.cut(*depth);
            }
            Act::Clear => {
                book.clear();
                model = Model::default();
            }
        }
        prop_assert_eq!(
            book.best_bid(),
            model.bids.last_key_value().map(|(_, level)| *level)
        );
        prop_assert_eq!(
            book.best_ask(),
            model.asks.first_key_value().map(|(_, level)| *level)
        );
    }
    same(&book, &model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_book_has_the_levels_of_a_plain_sorted_map(acts in acts(near(), 1_500)) {
        replay(&acts)?;
    }

    #[test]
    fn prices_of_any_length_are_in_exact_order(acts in acts(prop_oneof![near(), wild(), twins()], 200)) {
        replay(&acts)?;
    }

    #[test]
    fn short_prices_of_any_size_are_in_exact_order(
        acts in acts((1_u64..100_000, 0_u32..=28).prop_map(|(mantissa, scale)| {
            Decimal::from_i128_with_scale(i128::from(mantissa), scale)
        }), 600),
    ) {
        replay(&acts)?;
    }
}

fn level(side: Side, price: &str, size: &str) -> Change {
    Change {
        side,
        price: Price::parse(price).unwrap(),
        size: size.parse().unwrap(),
    }
}

#[test]
fn a_level_has_the_digits_that_were_sent_last() {
    let mut book = Book::new();
    book.set(&level(Side::Bid, "9202.7", "1.0"));
    book.set(&level(Side::Bid, "9202.70", "1.00"));
    assert_eq!(
        written(book.bids()),
        [("9202.70".to_owned(), "1.00".to_owned())]
    );
}

#[test]
fn a_book_is_crossed_when_the_best_prices_meet() {
    let mut book = Book::new();
    book.set(&level(Side::Bid, "100.0", "1"));
    assert!(!book.is_crossed(), "one side alone");
    book.set(&level(Side::Ask, "100.01", "1"));
    assert!(!book.is_crossed());
    book.set(&level(Side::Ask, "100.00", "1"));
    assert!(book.is_crossed());
}

#[test]
fn depth_is_best_first_and_no_more_than_asked() {
    let mut book = Book::new();
    for price in ["100", "98", "99"] {
        book.set(&level(Side::Bid, price, "1"));
    }
    book.set(&level(Side::Ask, "101", "2"));
    let depth = book.depth(2);
    let bids: Vec<_> = depth.bids.iter().map(|at| at.price.to_string()).collect();
    assert_eq!(bids, ["100", "99"]);
    assert_eq!(depth.asks.len(), 1);
}

#[test]
fn a_book_that_lives_long_needs_no_more_room_than_its_levels() {
    let mut book = Book::new();
    // The market drifts: old levels go, new ones come, hundreds of thousands of them.
    for step in 0..200_000_u32 {
        let price = |step: u32| Price::new(Decimal::from(1_000_000 + step)).unwrap();
        let mut change = Change {
            side: Side::Bid,
            price: price(step),
            size: Decimal::ONE,
        };
        book.set(&change);
        if let Some(old) = step.checked_sub(500) {
            change.price = price(old);
            change.size = Decimal::ZERO;
            book.set(&change);
        }
    }
    assert_eq!(book.len(Side::Bid), 500);
    assert!(
        book.bids.leaves_ever() <= 500 / 4 + 2,
        "{}",
        book.bids.leaves_ever()
    );
}
