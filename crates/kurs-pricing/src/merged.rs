//! One order book out of many: the levels of all venues together. Where one venue's bid reaches
//! another's ask, the volume in common is netted off first: somebody could trade it away.

use kurs_core::{Depth, Level};
use rust_decimal::Decimal;

/// The merged book; `None` when netting leaves a side empty.
#[must_use]
pub fn merge<'d>(books: impl IntoIterator<Item = &'d Depth>) -> Option<Depth> {
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    for book in books {
        bids.extend_from_slice(&book.bids);
        asks.extend_from_slice(&book.asks);
    }
    let bids = gathered(bids, true);
    let asks = gathered(asks, false);
    let (bids, asks) = netted(&bids, &asks);
    if bids.is_empty() || asks.is_empty() {
        return None;
    }
    Some(Depth {
        bids: bids.into(),
        asks: asks.into(),
    })
}

/// Best first, equal prices added up, empty levels left out.
fn gathered(mut levels: Vec<Level>, is_bids: bool) -> Vec<Level> {
    levels.retain(|level| !level.size.is_zero() && !level.size.is_sign_negative());
    levels.sort_by(|left, right| {
        let order = left.price.cmp(&right.price);
        if is_bids { order.reverse() } else { order }
    });
    let mut gathered: Vec<Level> = Vec::with_capacity(levels.len());
    for level in levels {
        match gathered.last_mut() {
            Some(last) if last.price == level.price => {
                last.size = last.size.checked_add(level.size).unwrap_or(Decimal::MAX);
            }
            _ => gathered.push(level),
        }
    }
    gathered
}

fn netted(bids: &[Level], asks: &[Level]) -> (Vec<Level>, Vec<Level>) {
    let (mut at_bid, mut at_ask) = (0, 0);
    let mut left_of_bid = bids.first().map(|level| level.size);
    let mut left_of_ask = asks.first().map(|level| level.size);
    while let (Some(bid), Some(ask), Some(bid_size), Some(ask_size)) =
        (bids.get(at_bid), asks.get(at_ask), left_of_bid, left_of_ask)
    {
        if bid.price < ask.price {
            break;
        }
        let common = bid_size.min(ask_size);
        left_of_bid = Some(bid_size - common);
        left_of_ask = Some(ask_size - common);
        if bid_size == common {
            at_bid += 1;
            left_of_bid = bids.get(at_bid).map(|level| level.size);
        }
        if ask_size == common {
            at_ask += 1;
            left_of_ask = asks.get(at_ask).map(|level| level.size);
        }
    }
    (
        rest(bids, at_bid, left_of_bid),
        rest(asks, at_ask, left_of_ask),
    )
}

/// What is left of a side: the level that netting stopped at with its remaining size, and all
/// behind it.
fn rest(levels: &[Level], at: usize, left: Option<Decimal>) -> Vec<Level> {
    let mut rest = levels.get(at..).unwrap_or_default().to_vec();
    if let (Some(first), Some(left)) = (rest.first_mut(), left) {
        first.size = left;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::Price;
    use proptest::prelude::*;

    fn side(text: &str) -> Box<[Level]> {
        let level = |part: &str| {
            let (at, size) = part.split_once('x').unwrap();
            Level {
                price: Price::parse(at).unwrap(),
                size: size.parse().unwrap(),
            }
        };
        text.split(' ').map(level).collect()
    }

    fn book(bids: &str, asks: &str) -> Depth {
        Depth {
            bids: side(bids),
            asks: side(asks),
        }
    }

    fn check(books: &[Depth], expect: Option<(&str, &str)>) {
        let found = merge(books);
        let expect = expect.map(|(bids, asks)| book(bids, asks));
        assert_eq!(found, expect);
    }

    #[test]
    fn levels_of_all_venues_stand_in_one_book() {
        check(
            &[
                book("100x1 98x2", "102x1 103x3"),
                book("99x5 98x1", "102x4"),
            ],
            Some(("100x1 99x5 98x3", "102x5 103x3")),
        );
    }

    #[test]
    fn crossing_volume_between_venues_is_netted_off() {
        // 3 wanted at 101 on one venue, 1 offered at 100 and 4 at 101 on another: 3 are traded.
        check(
            &[
                book("101x3 99x1", "103x1"),
                book("98x1", "100x1 101x4 104x1"),
            ],
            Some(("99x1 98x1", "101x2 103x1 104x1")),
        );
    }

    #[test]
    fn a_side_that_is_netted_away_leaves_no_book() {
        check(
            &[book("110x100", "111x1"), book("90x1", "100x1")],
            Some(("110x99 90x1", "111x1")),
        );
        check(
            &[book("110x100", "111x1"), book("90x1", "100x100")],
            Some(("90x1", "111x1")),
        );
        let eaten = Depth {
            bids: side("110x100"),
            asks: Box::default(),
        };
        check(&[eaten, book("90x1", "100x1")], None);
        check(&[], None);
    }

    proptest! {
        #[test]
        fn a_merged_book_is_never_crossed_and_nets_equal_volumes(
            books in prop::collection::vec(
                (prop::collection::vec((1_u32..200, 1_i64..1_000), 1..10), prop::collection::vec((1_u32..200, 1_i64..1_000), 1..10)),
                1..5,
            ),
        ) {
            let to_side = |levels: &[(u32, i64)]| -> Box<[Level]> {
                levels.iter().map(|(price, size)| Level {
                    price: Price::new(Decimal::from(*price)).unwrap(),
                    size: Decimal::new(*size, 2),
                }).collect()
            };
            let books: Vec<Depth> = books.iter().map(|(bids, asks)| Depth { bids: to_side(bids), asks: to_side(asks) }).collect();
            let volume = |levels: &[Level]| levels.iter().map(|level| level.size).sum::<Decimal>();
            let bought: Decimal = books.iter().map(|book| volume(&book.bids)).sum();
            let sold: Decimal = books.iter().map(|book| volume(&book.asks)).sum();
            if let Some(merged) = merge(&books) {
                prop_assert!(merged.bids[0].price < merged.asks[0].price);
                prop_assert!(merged.bids.windows(2).all(|pair| pair[0].price > pair[1].price));
                prop_assert!(merged.asks.windows(2).all(|pair| pair[0].price < pair[1].price));
                prop_assert!(merged.bids.iter().chain(merged.asks.iter()).all(|level| level.size > Decimal::ZERO));
                prop_assert_eq!(bought - volume(&merged.bids), sold - volume(&merged.asks));
            }
        }
    }
}
