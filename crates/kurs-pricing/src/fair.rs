//! The fair price of one order book. `pricing.md` section 1; `mid` is
//! [`kurs_core::Price::mid`].

use crate::decimal::{exp_negative, middle, square_root};
use kurs_core::{Depth, Level, Price, Sizes};
use rust_decimal::Decimal;
use thiserror::Error;

/// Most steps of the volume grid. A book that holds more within the spread is judged by its
/// first thousand steps.
pub const GRID_MAX: u32 = 1_000;

/// Fewer order sizes than this tell nothing about which of them is out of line.
const SIZES_MIN: usize = 5;
/// Of this many sizes one is trimmed at each end, and at least one.
const SIZES_PER_TRIM: usize = 20;
/// Winsorised standard deviations above the trimmed mean at which sizes are capped.
const DEVIATIONS_TO_CAP: Decimal = Decimal::from_parts(5, 0, 0, false, 0);

/// How the depth-weighted price looks at a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthSettings {
    /// Step of the volume grid, in base asset; greater than zero.
    pub step: Decimal,
    /// How far the marginal ask may be above the middle for its volume to count, as a fraction.
    pub max_spread: Decimal,
    /// Whether single sizes are capped.
    pub cap_sizes: bool,
}

/// Why a book has no price of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unpriced {
    /// One-sided or crossed: it has no fair price at all.
    #[error("its book is one-sided or crossed")]
    NoBook,
    /// A side offers less than one step.
    #[error("its book holds less than one step of volume")]
    TooThin,
    /// A number in it is too great or too small to compute with.
    #[error("its book cannot be computed with")]
    OutOfRange,
}

/// The middle weighted with the sizes: much on the bid pushes the price up. With
/// I = bid size / (bid size + ask size): I * ask + (1 - I) * bid, to 28 digits.
///
/// # Errors
/// [`Unpriced`] when a size is not positive or the sums cannot be held.
pub fn weighted_mid(bid: Price, ask: Price, sizes: &Sizes) -> Result<Price, Unpriced> {
    let is_positive = |size: Decimal| !size.is_sign_negative() && !size.is_zero();
    if bid >= ask || !is_positive(sizes.bid) || !is_positive(sizes.ask) {
        return Err(Unpriced::NoBook);
    }
    let weigh = || {
        let total = sizes.bid.checked_add(sizes.ask)?;
        let high = sizes.bid.checked_mul(ask.value())?;
        let low = sizes.ask.checked_mul(bid.value())?;
        let value = high.checked_add(low)?.checked_div(total)?;
        Price::new(value.normalize()).ok()
    };
    let value = weigh().ok_or(Unpriced::OutOfRange)?;
    // Rounding the 28th digit must not carry it over the best levels.
    Ok(value.clamp(bid, ask))
}

/// The middle at growing volumes, weighted down exponentially with the volume.
///
/// # Errors
/// [`Unpriced`] says why there is none.
pub fn depth_weighted(depth: &Depth, settings: &DepthSettings) -> Result<Price, Unpriced> {
    let (Some(bid), Some(ask)) = (depth.bids.first(), depth.asks.first()) else {
        return Err(Unpriced::NoBook);
    };
    if bid.price >= ask.price {
        return Err(Unpriced::NoBook);
    }
    let cap = if settings.cap_sizes {
        size_cap(depth)
    } else {
        None
    };
    let mut bids = Walk::new(&depth.bids, cap);
    let mut asks = Walk::new(&depth.asks, cap);
    let mut middles: Vec<Decimal> = Vec::new();
    for number in 1..=GRID_MAX {
        let Some(volume) = settings.step.checked_mul(Decimal::from(number)) else {
            break;
        };
        let (Some(bid), Some(ask)) = (bids.marginal(volume), asks.marginal(volume)) else {
            break;
        };
        let mid = middle(bid, ask);
        let allowed = mid.checked_mul(settings.max_spread);
        let spread = ask.checked_sub(mid);
        let is_within = matches!((allowed, spread), (Some(a), Some(s)) if s <= a);
        if is_within || number == 1 {
            middles.push(mid);
        }
        if !is_within {
            break;
        }
    }
    weigh(&middles)
}

/// The middles weighted with q, q², q³...: q = exp(-lambda * step), where lambda = 1 / (0.3 * vT)
/// and vT is the volume of the last one. The constant lambda drops out with the normalisation.
fn weigh(middles: &[Decimal]) -> Result<Price, Unpriced> {
    if middles.is_empty() {
        return Err(Unpriced::TooThin);
    }
    let compute = || {
        let count = Decimal::from(u32::try_from(middles.len()).ok()?);
        let exponent = Decimal::TEN.checked_div(count.checked_mul(Decimal::from(3))?)?;
        let q = exp_negative(exponent)?;
        // The first middle is the point of reference: weights then touch only differences,
        // which keeps all digits of the price.
        let first = *middles.first()?;
        let (mut weight, mut weights, mut sum) = (Decimal::ONE, Decimal::ZERO, Decimal::ZERO);
        for mid in middles {
            weight = weight.checked_mul(q)?;
            weights = weights.checked_add(weight)?;
            let difference = mid.checked_sub(first)?;
            sum = sum.checked_add(difference.checked_mul(weight)?)?;
        }
        let value = first.checked_add(sum.checked_div(weights)?)?;
        Price::new(value.normalize()).ok()
    };
    compute().ok_or(Unpriced::OutOfRange)
}

/// Walks one side of a book outwards.
struct Walk<'d> {
    levels: std::slice::Iter<'d, Level>,
    cap: Option<Decimal>,
    price: Decimal,
    reached: Decimal,
}

impl<'d> Walk<'d> {
    fn new(levels: &'d [Level], cap: Option<Decimal>) -> Self {
        Self {
            levels: levels.iter(),
            cap,
            price: Decimal::ZERO,
            reached: Decimal::ZERO,
        }
    }

    /// The price of the last unit of this volume; volumes are asked for in rising order.
    fn marginal(&mut self, volume: Decimal) -> Option<Decimal> {
        while self.reached < volume {
            let level = self.levels.next()?;
            let size = self.cap.map_or(level.size, |cap| level.size.min(cap));
            self.price = level.price.value();
            self.reached = self.reached.checked_add(size).unwrap_or(Decimal::MAX);
        }
        Some(self.price)
    }
}

/// The size above which one order counts no more: trimmed mean + 5 winsorised standard
/// deviations over both sides; `None` when there are too few to tell.
#[must_use]
pub fn size_cap(depth: &Depth) -> Option<Decimal> {
    let levels = depth.bids.iter().chain(depth.asks.iter());
    let mut sizes: Vec<Decimal> = levels.map(|level| level.size).collect();
    if sizes.len() < SIZES_MIN {
        return None;
    }
    sizes.sort_unstable();
    let trim = (sizes.len() / SIZES_PER_TRIM).max(1);
    let kept = sizes.get(trim..sizes.len() - trim)?;
    let (least, most) = (*kept.first()?, *kept.last()?);
    let trimmed_mean = mean(kept)?;
    let winsorised: Vec<Decimal> = sizes
        .iter()
        .map(|size| *size.clamp(&least, &most))
        .collect();
    let center = mean(&winsorised)?;
    let mut squares = Decimal::ZERO;
    for size in &winsorised {
        let difference = size.checked_sub(center)?;
        squares = squares.checked_add(difference.checked_mul(difference)?)?;
    }
    let degrees = Decimal::from(u32::try_from(winsorised.len() - 1).ok()?);
    let deviation = square_root(squares.checked_div(degrees)?)?;
    trimmed_mean.checked_add(deviation.checked_mul(DEVIATIONS_TO_CAP)?)
}

fn mean(numbers: &[Decimal]) -> Option<Decimal> {
    let mut sum = Decimal::ZERO;
    for number in numbers {
        sum = sum.checked_add(*number)?;
    }
    sum.checked_div(Decimal::from(u32::try_from(numbers.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::distance;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    fn side(text: &str) -> Box<[Level]> {
        let level = |part: &str| {
            let (at, size) = part.split_once('x').unwrap();
            Level {
                price: price(at),
                size: decimal(size),
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

    fn settings(step: &str) -> DepthSettings {
        DepthSettings {
            step: decimal(step),
            max_spread: decimal("0.005"),
            cap_sizes: false,
        }
    }

    #[test]
    fn weighted_mid_of_the_golden_vector() {
        let sizes = Sizes {
            bid: decimal("500"),
            ask: decimal("50"),
        };
        let found = weighted_mid(price("100.00"), price("100.10"), &sizes).unwrap();
        assert!(
            found.to_string().starts_with("100.0909090909090909090909"),
            "{found}"
        );
        assert_eq!(found.published().to_string(), "100.090909090909");
    }

    #[test]
    fn depth_weighted_of_the_golden_vector() {
        let depth = book(
            "99.9x2 99.8x3 99.5x5 99.0x10",
            "100.1x1 100.2x4 100.6x5 101.2x10",
        );
        let found = depth_weighted(&depth, &settings("1")).unwrap();
        // 100.0129530873995616022990088575... to all digits. The vector's 100.01295308739955 was
        // computed in binary: its 17th digit is half a unit of a double away from the truth.
        let exact = decimal("100.0129530873995616022990089");
        assert!(
            distance(found.value(), exact) < decimal("0.00000000000000000000001"),
            "{found}"
        );
        let vector = price("100.01295308739955");
        assert!(distance(found.value(), vector.value()) < decimal("0.000000000000014"));
        assert_eq!(found.published(), vector.published());
    }

    #[test]
    fn the_classic_mistake_is_not_made() {
        let bids = "100x1 99x1 98x1 97x1 96x1 95x1";
        let asks = "100.01x1 100.2x1 100.4x1 100.6x1 100.8x1 101x1";
        let depth = book(bids, asks);
        let mid = Price::mid(depth.bids[0].price, depth.asks[0].price).unwrap();
        assert_eq!(mid.to_string(), "100.005");
        // Volume beyond the allowed spread does not count: the outer levels move nothing.
        let narrow = DepthSettings {
            max_spread: decimal("0.001"),
            ..settings("1")
        };
        assert_eq!(
            depth_weighted(&depth, &narrow).unwrap().to_string(),
            "100.005"
        );
    }

    #[test]
    fn a_crossed_or_one_sided_book_has_no_price_and_a_thin_one_no_depth() {
        let crossed = book("101x1", "100x1");
        assert_eq!(
            depth_weighted(&crossed, &settings("1")),
            Err(Unpriced::NoBook)
        );
        let one_sided = Depth {
            bids: side("100x1"),
            asks: Box::default(),
        };
        assert_eq!(
            depth_weighted(&one_sided, &settings("1")),
            Err(Unpriced::NoBook)
        );
        let thin = book("100x0.5", "101x9");
        assert_eq!(
            depth_weighted(&thin, &settings("1")),
            Err(Unpriced::TooThin)
        );
        let wide = book("90x5", "110x5");
        assert_eq!(
            depth_weighted(&wide, &settings("1")).unwrap().to_string(),
            "100"
        );
    }

    #[test]
    fn one_giant_order_is_capped() {
        let bids = "100x1 99.99x1000000 99.98x1 99.97x1 99.96x1";
        let asks = "100.1x1 100.11x1 100.12x1 100.13x1 100.14x1";
        let depth = book(bids, asks);
        assert_eq!(size_cap(&depth), Some(decimal("1")));
        assert_eq!(size_cap(&book("1x1", "2x1")), None);
        let capped = DepthSettings {
            cap_sizes: true,
            ..settings("1")
        };
        let (free, capped) = (
            depth_weighted(&depth, &settings("1")).unwrap(),
            depth_weighted(&depth, &capped).unwrap(),
        );
        assert!(capped < free, "{capped} {free}");
    }

    fn any_side(best: i64, step: i64) -> impl Strategy<Value = Box<[Level]>> {
        prop::collection::vec((1_i64..50, 1_i64..10_000), 1..40).prop_map(move |levels| {
            let mut at = best;
            levels
                .into_iter()
                .map(|(gap, size)| {
                    at += step * gap;
                    Level {
                        price: Price::new(Decimal::new(at, 2)).unwrap(),
                        size: Decimal::new(size, 3),
                    }
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_depth_weighted_price_lies_between_the_outermost_middles(
            bids in any_side(100_000, -1),
            asks in any_side(100_000, 1),
            step in 1_i64..5_000,
            cap_sizes in any::<bool>(),
        ) {
            let depth = Depth { bids, asks };
            let settings = DepthSettings { step: Decimal::new(step, 3), max_spread: decimal("0.005"), cap_sizes };
            if let Ok(found) = depth_weighted(&depth, &settings) {
                let low = depth.bids.last().unwrap().price;
                let high = depth.asks.last().unwrap().price;
                prop_assert!(low < found && found < high);
            }
        }

        #[test]
        fn the_weighted_mid_lies_between_bid_and_ask(bid in 1_i64..1_000_000, width in 1_i64..1_000, left in 1_i64.., right in 1_i64..) {
            let (bid, ask) = (Price::new(Decimal::new(bid, 4)).unwrap(), Price::new(Decimal::new(bid + width, 4)).unwrap());
            let sizes = Sizes { bid: Decimal::new(left, 8), ask: Decimal::new(right, 8) };
            let found = weighted_mid(bid, ask, &sizes).unwrap();
            prop_assert!(bid <= found && found <= ask);
        }
    }
}
