//! Tests of whole pictures.

use super::sample::{chart, minutes, pair};
use super::*;
use crate::layout::wide;
use kurs_core::Price;
use proptest::prelude::*;

/// A walk of this many minutes, without those that `missing` names.
fn walk(count: i64, missing: impl Fn(i64) -> bool) -> Vec<Candle> {
    let mut close = 64_000;
    let mut state: i64 = 7;
    let mut all = Vec::new();
    for at in 0..count {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        close += state / 65_536 % 41 - 20;
        if !missing(at) {
            all.push((at, close));
        }
    }
    minutes(&all)
}

/// Every text of a picture with the box that it takes at most: left, right, top, bottom.
fn boxes(svg: &str) -> Vec<(String, [i32; 4])> {
    let attribute = |tag: &str, name: &str| -> Option<String> {
        let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        let rest = &tag[from..];
        Some(rest[..rest.find('"')?].to_owned())
    };
    let tenths = |text: String| (text.parse::<Decimal>().unwrap() * Decimal::TEN).to_string();
    let mut found = Vec::new();
    for part in svg.split("<text").skip(1) {
        let (tag, rest) = part.split_once('>').unwrap();
        let text = rest.split("</text>").next().unwrap().to_owned();
        let number = |name: &str| -> i32 {
            let text = tenths(attribute(tag, name).unwrap());
            text.split('.').next().unwrap().parse().unwrap()
        };
        let (x, y, size) = (number("x"), number("y"), number("font-size"));
        let width = wide(&text, size);
        let left = match attribute(tag, "text-anchor").as_deref() {
            Some("end") => x - width,
            Some("middle") => x - width / 2,
            _ => x,
        };
        found.push((text, [left, left + width, y - size * 7 / 10, y]));
    }
    found
}

/// No text stands on another or beyond the edge.
fn check_texts(chart: &Chart<'_>) {
    let svg = chart.svg().unwrap();
    let boxes = boxes(&svg);
    let (width, height) = (chart.size.width(), chart.size.height());
    let edge = [width, height].map(|pixels| i32::try_from(pixels).unwrap() * 10);
    for (at, (text, [left, right, top, bottom])) in boxes.iter().enumerate() {
        assert!(
            *left >= 0 && *right <= edge[0] && *top >= 0 && *bottom <= edge[1],
            "{text:?} leaves the picture of {width} x {height}: {left} {right} {top} {bottom}"
        );
        for (other, [l, r, t, b]) in &boxes[at + 1..] {
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{text:?} stands on {other:?} in {width} x {height}");
        }
    }
}

const SIZES: [(u32, u32); 9] = [
    (160, 120),
    (320, 180),
    (160, 1_500),
    (2_000, 120),
    (640, 360),
    (960, 540),
    (1_280, 720),
    (400, 400),
    (2_000, 1_500),
];

#[test]
fn no_text_stands_on_another_in_any_size() {
    let many = walk(1_000, |at| at % 97 < 20);
    let few = walk(60, |at| at == 30);
    let one = walk(1, |_| false);
    for (width, height) in SIZES {
        for candles in [&many, &few, &one] {
            for (form, is_simulated) in [(Form::Candles, true), (Form::Line, false)] {
                let mut chart = chart(candles);
                chart.size = Size::new(width, height).unwrap();
                (chart.form, chart.is_simulated) = (form, is_simulated);
                chart.note = "joined from BTC-USDT, USDT-USD".to_owned();
                check_texts(&chart);
            }
        }
        let mut none = chart(&[]);
        none.size = Size::new(width, height).unwrap();
        check_texts(&none);
    }
}

#[test]
fn the_same_candles_give_the_same_bytes() {
    let candles = walk(200, |at| at % 50 == 0);
    let chart = chart(&candles);
    assert_eq!(chart.svg(), chart.svg());
    assert_eq!(chart.png(), chart.png());
    let png = chart.png().unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[16..24], [0, 0, 3, 192, 0, 0, 2, 28], "960 x 540");
    let mut dark = chart.clone();
    dark.theme = Theme::Dark;
    assert_ne!(dark.png().unwrap(), png);
}

#[test]
fn letters_are_drawn_without_fonts_of_the_machine() {
    let candles = walk(50, |_| false);
    let named = chart(&candles);
    let mut renamed = named.clone();
    renamed.title = "XYZ-ABC".to_owned();
    assert_ne!(named.png(), renamed.png());
}

#[test]
fn the_head_says_what_happened_with_all_digits() {
    let mut candles = minutes(&[(0, 101), (1, 110)]);
    candles[1].close = Price::parse("110.000000000000000045").unwrap();
    let svg = chart(&candles).svg().unwrap();
    for said in [
        "BTC-USD",
        ">110.000000000000000045<",
        ">+10.000000000000000045 (+10.00 %)<",
        ">1m \u{b7} 1970-01-01 00:00 to 00:02 UTC<",
    ] {
        assert!(svg.contains(said), "{said} is missing in\n{svg}");
    }
}

#[test]
fn what_is_missing_folded_or_open_is_said() {
    let candles = walk(1_000, |at| at == 500);
    let mut folded = chart(&candles);
    folded.now = Wall::from_unix_seconds(999 * 60 + 30);
    let svg = folded.svg().unwrap();
    assert!(
        svg.contains("5 candles to a bar \u{b7} 1 missing \u{b7} the last one is still open"),
        "{svg}"
    );
    let few = walk(10, |_| false);
    let svg = chart(&few).svg().unwrap();
    assert!(!svg.contains("missing") && !svg.contains("open<"), "{svg}");
}

#[test]
fn simulated_prices_carry_their_mark_in_every_size() {
    let candles = walk(30, |_| false);
    for (width, height) in SIZES {
        let mut chart = chart(&candles);
        chart.size = Size::new(width, height).unwrap();
        assert!(!chart.svg().unwrap().contains("SIMULATED"));
        chart.is_simulated = true;
        assert!(chart.svg().unwrap().contains(">SIMULATED<"));
    }
}

#[test]
fn a_chart_without_candles_says_so() {
    let svg = chart(&[]).svg().unwrap();
    assert!(svg.contains(">no candles in this time<"));
    assert!(chart(&[]).png().is_ok());
}

#[test]
fn a_line_breaks_where_candles_are_missing() {
    let candles = minutes(&[(0, 10), (1, 11), (5, 12), (6, 13), (9, 10)]);
    let mut chart = chart(&candles);
    chart.form = Form::Line;
    let svg = chart.svg().unwrap();
    let curve = svg
        .lines()
        .find(|line| line.contains("linejoin=\"round\" stroke-linecap"));
    let curve = curve.unwrap().split('"').nth(1).unwrap();
    assert_eq!(curve.matches('M').count(), 3, "{curve}");
    assert_eq!(
        svg.matches("<circle").count(),
        2,
        "one alone, one at the end"
    );
}

#[test]
fn nothing_in_a_picture_is_a_script_a_style_or_from_elsewhere() {
    let candles = walk(30, |_| false);
    let mut chart = chart(&candles);
    chart.title = "<script>alert(1)</script>\" onload=\"x".to_owned();
    chart.note = "</svg><image href='http://a/'/>".to_owned();
    let svg = chart.svg().unwrap();
    for bad in [
        "<script",
        "<style",
        " style=",
        "href=\"",
        "<image",
        " onload=\"",
    ] {
        assert!(!svg.contains(bad), "{bad} in {svg}");
    }
    assert!(chart.png().is_ok());
}

#[test]
fn more_candles_than_can_be_drawn_are_refused() {
    let candles = walk(10_001, |_| false);
    assert_eq!(chart(&candles).svg(), Err(ChartError::TooMany));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_prices_and_no_times_stop_a_picture(
        candles in proptest::collection::vec((any::<i64>(), 1_i64.., 1_i64.., 0_u32..=28), 0..20),
        line in any::<bool>(),
        from in any::<Option<i64>>(),
    ) {
        let all: Vec<Candle> = candles
            .into_iter()
            .map(|(start, one, other, scale)| {
                let price = |value| Price::new(Decimal::new(value, scale)).unwrap();
                let mut candle = minutes(&[(0, 10)]).remove(0);
                candle.start = Wall(start.clamp(Wall::MIN.0, Wall::MAX.0));
                (candle.open, candle.close) = (price(one), price(other));
                (candle.low, candle.high) = (price(one.min(other)), price(one.max(other)));
                candle
            })
            .collect();
        let mut chart = Chart::new(pair(), &all, Interval::Minute, Wall(0));
        chart.from = from.map(|from| Wall(from.clamp(Wall::MIN.0, Wall::MAX.0)));
        if line {
            chart.form = Form::Line;
        }
        prop_assert!(chart.svg().is_ok());
    }
}
