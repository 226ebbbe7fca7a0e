//! Where the parts of a chart stand. Everything follows from the size of the letters, which
//! follows from the size of the picture. Places are tenths of a pixel.

use crate::bars::Bars;
use crate::chart::{Chart, Form};
use crate::svg::PX;
use crate::values::{Values, label};
use rust_decimal::Decimal;

/// The parts of a chart that has candles.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Height of usual letters.
    pub(crate) letter: i32,
    /// Free space at the edges.
    pub(crate) edge: i32,
    pub(crate) width: i32,
    pub(crate) height: i32,
    /// No room for a second line in the head, and none below the axis.
    pub(crate) is_small: bool,
    /// Baselines of the two lines of the head.
    pub(crate) head: [i32; 2],
    /// The plot: left, top, right, bottom; whole pixels.
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) right: i32,
    pub(crate) bottom: i32,
    /// Baselines of the times and of the small letters below them.
    pub(crate) times: i32,
    pub(crate) foot: i32,
}

impl Layout {
    /// The layout for labels of this many characters at the right.
    pub(crate) fn of(chart: &Chart<'_>, label_width: impl Fn(i32) -> i32, has_foot: bool) -> Self {
        let (width, height) = (pixels(chart.size.width()), pixels(chart.size.height()));
        let letter = (width / 64).min(height / 34).clamp(9 * PX, 24 * PX);
        let is_small = width < 360 * PX || height < 210 * PX;
        let edge = if is_small {
            letter * 6 / 10
        } else {
            letter * 12 / 10
        };
        let title = edge + if is_small { letter } else { letter * 12 / 10 };
        let second = title + letter * 16 / 10;
        let foot = height - edge * 8 / 10;
        let times = match has_foot && !is_small {
            true => foot - letter * 17 / 10,
            false => foot,
        };
        let top = if is_small {
            title + letter * 7 / 10
        } else {
            second + letter * 13 / 10
        };
        Self {
            letter,
            edge,
            width,
            height,
            is_small,
            head: [title, second],
            left: whole(edge),
            top: whole(top),
            right: whole(width - edge - label_width(letter) - letter * 7 / 10),
            bottom: whole(times - letter * 15 / 10),
            times,
            foot,
        }
    }

    /// Bars that there is room for.
    pub(crate) fn room(&self, form: Form) -> i64 {
        let least = match form {
            // A body of three pixels and one between.
            Form::Candles => 4 * PX,
            Form::Line => 2 * PX,
        };
        i64::from(((self.right - self.left) / least).max(1))
    }

    /// The middle of a place on the axis of time.
    pub(crate) fn middle(&self, place: i64, places: i64) -> i32 {
        self.across(place * 2 + 1, places * 2)
    }

    /// A share of the way from left to right.
    pub(crate) fn across(&self, part: i64, of: i64) -> i32 {
        let span = i128::from(self.right - self.left);
        let way = span * i128::from(part) / i128::from(of.max(1));
        self.left + i32::try_from(way).unwrap_or(0)
    }

    /// Where a value stands.
    pub(crate) fn level(&self, values: &Values, value: Decimal) -> i32 {
        self.top + values.down(value, self.bottom - self.top)
    }
}

/// Values with their marks, labels included, and how wide the widest label is.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) values: Values,
    pub(crate) marks: Vec<(Decimal, String)>,
    /// The last value, as short as the labels are.
    pub(crate) last: String,
}

impl Axis {
    /// The axis of these bars with about this many marks.
    pub(crate) fn of(bars: &Bars, about: i32) -> Self {
        let (low, high) = bars.range();
        let values = Values::around(low, high);
        let (ticks, scale) = values.ticks(about);
        let last = bars.bars.last().map_or(Decimal::ZERO, |bar| bar.close);
        let digits = last.scale().min(scale.saturating_add(1));
        Self {
            values,
            marks: ticks
                .into_iter()
                .map(|tick| (tick, label(tick, scale)))
                .collect(),
            last: label(last.round_dp(digits), digits),
        }
    }

    /// How wide the widest label is with letters of this height.
    pub(crate) fn width(&self, letter: i32) -> i32 {
        let labels = self.marks.iter().map(|(_, label)| label);
        let widths = labels.chain([&self.last]).map(|label| wide(label, letter));
        widths.max().unwrap_or(0)
    }
}

/// About how wide a text is: no narrower than in the usual fonts of systems.
pub(crate) fn wide(text: &str, letter: i32) -> i32 {
    let thousandths: i32 = text
        .chars()
        .map(|c| match c {
            '.' | ',' | ':' | '\'' | 'i' | 'l' | '|' => 280,
            ' ' | '(' | ')' | '-' | 't' | 'f' | 'r' | '\u{b7}' => 340,
            '0'..='9' => 575,
            'm' | 'w' | 'M' | 'W' | '%' => 880,
            'A'..='Z' => 690,
            c if c.is_ascii() => 570,
            _ => 800,
        })
        .fold(0, i32::saturating_add);
    let wide = i64::from(thousandths) * i64::from(letter) / 1_000;
    i32::try_from(wide).unwrap_or(i32::MAX)
}

/// The text cut to a width.
pub(crate) fn cut(text: &str, letter: i32, room: i32) -> String {
    if wide(text, letter) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if wide(&kept, letter).saturating_add(letter) > room {
            kept.pop();
            break;
        }
    }
    kept.trim_end().to_owned() + "\u{2026}"
}

fn pixels(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(0).saturating_mul(PX)
}

/// Down to a whole pixel.
pub(crate) const fn whole(place: i32) -> i32 {
    place - place.rem_euclid(PX)
}
