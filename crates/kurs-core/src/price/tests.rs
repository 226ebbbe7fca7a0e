use super::*;
use proptest::prelude::*;

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

#[test]
fn digits_of_a_venue_are_kept_as_sent() {
    assert_eq!(price("54000.01000000").to_string(), "54000.01000000");
}

#[test]
fn exponents_of_rate_services_are_read_exactly() {
    assert_eq!(price("1.12e-5").to_string(), "0.0000112");
    assert_eq!(price("2.2e15").to_string(), "2200000000000000");
    assert_eq!(price("1E3").to_string(), "1000");
}

#[test]
fn what_is_not_a_positive_exact_number_is_refused() {
    for text in [
        "",
        ".",
        "1.",
        ".5",
        "abc",
        "NaN",
        "inf",
        "1_000",
        "+1",
        "0x10",
        "1e308",
        "1e-300",
        "1e1e1",
        "1,5",
        " 1",
        "12345678901234567890123456789012345",
        "0.00000000000000000000000000001",
    ] {
        assert_eq!(Price::parse(text), Err(PriceError::Malformed), "{text:?}");
    }
    for text in ["0", "0.00", "-1", "-0.5", "0e5", "-1e2"] {
        assert_eq!(Price::parse(text), Err(PriceError::NotPositive), "{text:?}");
    }
}

#[test]
fn mid_is_the_middle_of_the_best_levels() {
    assert_eq!(
        Price::mid(price("100.00"), price("100.10"))
            .unwrap()
            .to_string(),
        "100.05"
    );
    assert_eq!(
        Price::mid(price("100"), price("100.01"))
            .unwrap()
            .to_string(),
        "100.005"
    );
}

#[test]
fn a_mid_that_cannot_be_held_is_rounded_and_stays_between() {
    let mid = |bid, ask| Price::mid(price(bid), price(ask)).unwrap().to_string();
    // The sums have 30 digits.
    assert_eq!(
        mid(
            "5.0000000000000000000000000002",
            "5.0000000000000000000000000004"
        ),
        "5.0000000000000000000000000003"
    );
    let (bid, ask) = (
        "5.0000000000000000000000000001",
        "5.0000000000000000000000000002",
    );
    assert!(
        [bid, ask].contains(&mid(bid, ask).as_str()),
        "{}",
        mid(bid, ask)
    );
    let most = Decimal::MAX.to_string();
    assert_eq!(mid(&most, &most), most);
    assert_eq!(mid("3", "1"), "2");
}

#[test]
fn path_product_of_the_golden_vector() {
    let product = price("60000.00").times(price("0.9990")).unwrap();
    let product = product.times(price("90.50")).unwrap();
    assert_eq!(product.published().to_string(), "5424570");
}

#[test]
fn published_prices_have_fifteen_digits_rounded_half_even() {
    assert_eq!(
        price("3").inverse().unwrap().published().to_string(),
        "0.333333333333333"
    );
    assert_eq!(price("100.0000000000005").published().to_string(), "100");
    assert_eq!(
        price("100.0000000000015").published().to_string(),
        "100.000000000002"
    );
}

fn any_price() -> impl Strategy<Value = Price> {
    // Every other one has as many digits as can be held.
    let shift = prop_oneof![Just(0_u32), 0_u32..96];
    let parts = (any::<u32>(), any::<u32>(), any::<u32>(), 0_u32..=28, shift);
    parts.prop_filter_map("zero is no price", |(low, middle, high, scale, shift)| {
        let bits = u128::from(high) << 64 | u128::from(middle) << 32 | u128::from(low);
        let digits = i128::try_from(bits >> shift).ok()?;
        Price::new(Decimal::from_i128_with_scale(digits, scale)).ok()
    })
}

/// A price, and another that is as near to it as its digits allow.
fn near_prices() -> impl Strategy<Value = (Price, Price)> {
    (any_price(), 0_u32..4).prop_map(|(price, steps)| {
        let step = Decimal::new(i64::from(steps), price.0.scale());
        let near = price.0.checked_add(step).unwrap_or(price.0);
        (price, Price(near))
    })
}

proptest! {
    #[test]
    fn the_mid_is_never_outside_of_its_prices(
        (bid, ask) in prop_oneof![(any_price(), any_price()), near_prices()],
    ) {
        let mid = Price::mid(bid, ask).unwrap();
        let (low, high) = (bid.min(ask), bid.max(ask));
        prop_assert!(low <= mid && mid <= high, "{} {} {}", low, mid, high);
    }

    #[test]
    fn the_mid_of_what_venues_write_is_exact(
        bid in 1_i64..1_000_000_000_000_000,
        ask in 1_i64..1_000_000_000_000_000,
        scales in (0_u32..12, 0_u32..12),
    ) {
        let (bid, ask) = (Decimal::new(bid, scales.0), Decimal::new(ask, scales.1));
        let mid = Price::mid(Price(bid), Price(ask)).unwrap();
        prop_assert_eq!(mid.0 - bid, ask - mid.0);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Price::parse(&text);
    }

    #[test]
    fn json_keeps_every_digit(whole in 1_u64.., fraction in "[0-9]{0,8}") {
        let text = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
        let parsed = price(&text);
        let json = serde_json::to_string(&parsed).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), parsed);
    }

    #[test]
    fn twice_the_inverse_is_the_same_published_price(mantissa in 1_u64..1_000_000_000_000, scale in 0_u32..9) {
        let value = Price::new(Decimal::new(i64::try_from(mantissa).unwrap(), scale)).unwrap();
        let back = value.inverse().unwrap().inverse().unwrap();
        prop_assert_eq!(back.published(), value.published());
    }
}
