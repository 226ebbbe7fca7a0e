//! Draws charts of invented candles into a folder, to be looked at:
//! `cargo run -p kurs-chart --example pictures -- FOLDER`.

use kurs_chart::{Chart, Form, Size, Theme};
use kurs_core::{Pair, Price, Wall};
use kurs_store::{Candle, Interval, Origin};
use rust_decimal::Decimal;
use std::error::Error;
use std::path::PathBuf;

/// A walk of this many minutes.
fn walk(count: i64, missing: impl Fn(i64) -> bool) -> Result<Vec<Candle>, Box<dyn Error>> {
    let mut close = 6_431_250_i64;
    let mut state: i64 = 7;
    let mut next = move |width: i64| {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        state / 65_536 % width
    };
    let mut candles = Vec::new();
    for at in 0..count {
        let open = close;
        close += next(4_001) - 2_000;
        let high = open.max(close) + next(1_500);
        let low = open.min(close) - next(1_500);
        if missing(at) {
            continue;
        }
        let price = |value: i64| Price::new(Decimal::new(value, 2));
        candles.push(Candle {
            pair: Pair::parse("BTC-USD")?,
            source: None,
            interval: Interval::Minute,
            start: Wall::from_unix_seconds(1_795_300_080 + at * 60),
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: price(close)?,
            count: 5,
            origin: Origin::Live,
        });
    }
    Ok(candles)
}

/// Name, candles, form, theme, size, and whether the prices are marked as simulated.
type Case<'a> = (&'a str, &'a [Candle], Form, Theme, (u32, u32), bool);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    let usual = walk(120, |at| (40..47).contains(&at) || at == 80)?;
    let one = walk(1, |_| false)?;
    let many = walk(1_000, |at| (400..430).contains(&at))?;
    let even: Vec<Candle> = usual
        .iter()
        .map(|candle| Candle {
            high: candle.open,
            low: candle.open,
            close: candle.open,
            ..candle.clone()
        })
        .map(|candle| Candle {
            open: usual[0].open,
            high: usual[0].open,
            low: usual[0].open,
            close: usual[0].open,
            ..candle
        })
        .collect();
    let cases: [Case<'_>; 9] = [
        (
            "light",
            &usual,
            Form::Candles,
            Theme::Light,
            (960, 540),
            false,
        ),
        ("dark", &usual, Form::Candles, Theme::Dark, (960, 540), true),
        ("line", &usual, Form::Line, Theme::Dark, (1_280, 720), true),
        ("one", &one, Form::Candles, Theme::Light, (640, 360), false),
        (
            "many",
            &many,
            Form::Candles,
            Theme::Light,
            (960, 540),
            false,
        ),
        (
            "even",
            &even,
            Form::Candles,
            Theme::Light,
            (640, 360),
            false,
        ),
        (
            "small",
            &usual,
            Form::Candles,
            Theme::Light,
            (320, 180),
            true,
        ),
        (
            "least",
            &usual,
            Form::Candles,
            Theme::Dark,
            (160, 120),
            true,
        ),
        ("none", &[], Form::Candles, Theme::Light, (640, 360), false),
    ];
    for (name, candles, form, theme, (width, height), is_simulated) in cases {
        let last = candles.last().map_or(Wall(0), |candle| candle.start);
        let mut chart = Chart::new(Pair::parse("BTC-USD")?, candles, Interval::Minute, last);
        (chart.form, chart.theme) = (form, theme);
        chart.size = Size::new(width, height)?;
        chart.is_simulated = is_simulated;
        std::fs::write(folder.join(format!("{name}.svg")), chart.svg()?)?;
        std::fs::write(folder.join(format!("{name}.png")), chart.png()?)?;
    }
    Ok(())
}
