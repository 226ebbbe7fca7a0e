//! Bar charts as SVG, written by hand: no fonts to load, readable on any background.

use crate::section::{Bar, Chart};
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
/// Room for a letter of a label.
const LETTER: f64 = 7.6;
const VALUES: f64 = 150.0;
const TOP: f64 = 64.0;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;
const BOTTOM: f64 = 34.0;
const OWN: &str = "#1d5fd1";
const OTHER: &str = "#9aa3ae";
const INK: &str = "#1f2933";
const PALE: &str = "#e3e7ec";
const GOAL: &str = "#c2410c";

/// Values that differ by more than this are drawn on a logarithmic axis.
const LINEAR_UP_TO: f64 = 40.0;

/// From values to places on the axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    /// Where bars begin, pixels: behind the longest label.
    left: f64,
}

impl Axis {
    fn of(bars: &[Bar]) -> Self {
        let greatest = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
        let least = bars
            .iter()
            .map(|bar| bar.value)
            .fold(f64::INFINITY, f64::min);
        // A goal far beyond every bar would only make them small; it is still written.
        let goals = bars
            .iter()
            .filter_map(|bar| bar.goal)
            .filter(|goal| *goal < 3.0 * greatest);
        let to = goals.fold(greatest, f64::max).max(f64::MIN_POSITIVE);
        let longest = bars
            .iter()
            .map(|bar| bar.label.chars().count())
            .max()
            .unwrap_or_default();
        let left = (longest as f64).mul_add(LETTER, 40.0).min(WIDTH / 2.0);
        let logarithmic = least > 0.0 && to / least > LINEAR_UP_TO;
        if logarithmic {
            return Self {
                from: 10_f64.powf(least.log10().floor()),
                to: to * 1.1,
                logarithmic,
                left,
            };
        }
        Self {
            from: 0.0,
            to: to * 1.04,
            logarithmic,
            left,
        }
    }

    /// Place of a value in pixels.
    fn x(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
        } else {
            value / self.to
        };
        self.left + part.clamp(0.0, 1.0) * (WIDTH - self.left - VALUES)
    }

    /// Round values along the axis.
    fn marks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = (0..12).map(|power| self.from * 10_f64.powi(power));
            return decades.take_while(|mark| *mark <= self.to).collect();
        }
        let rough = self.to / 5.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
        let step = steps
            .map(|step| step * decade)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        (0..12)
            .map(|number| f64::from(number) * step)
            .take_while(|mark| *mark <= self.to)
            .collect()
    }
}

/// The chart as an SVG document.
pub(crate) fn svg(chart: &Chart) -> String {
    let axis = Axis::of(&chart.bars);
    let rows = chart.bars.len() as f64;
    let bottom = TOP + rows * ROW;
    let height = bottom + BOTTOM;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"17\" font-weight=\"bold\">{}</text>\n\
         <text x=\"20\" y=\"48\" font-size=\"12\" fill=\"#52606d\">{}</text>",
        escaped(&chart.title),
        escaped(&subtitle(chart, axis))
    );
    for mark in axis.marks() {
        let x = axis.x(mark);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{PALE}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#52606d\">{}</text>",
            bottom + 18.0,
            number(mark)
        );
    }
    for (place, bar) in chart.bars.iter().enumerate() {
        row(&mut text, axis, TOP + place as f64 * ROW, bar, &chart.unit);
    }
    text.push_str("</svg>\n");
    text
}

fn subtitle(chart: &Chart, axis: Axis) -> String {
    let mut parts = vec![chart.unit.clone()];
    if axis.logarithmic {
        parts.push("logarithmic axis".to_owned());
    }
    if chart.bars.iter().any(|bar| bar.high > bar.low) {
        parts.push("bar: median, line: least to greatest".to_owned());
    }
    if let Some(grey) = &chart.grey {
        parts.push(format!("grey: {grey}"));
    }
    if chart.bars.iter().any(|bar| bar.goal.is_some()) {
        parts.push("red: goal".to_owned());
    }
    parts.join("; ")
}

fn row(text: &mut String, axis: Axis, top: f64, bar: &Bar, unit: &str) {
    let (middle, upper) = (top + ROW / 2.0, top + (ROW - BAR) / 2.0);
    let (start, end) = (axis.left, axis.x(bar.value));
    let colour = if bar.own { OWN } else { OTHER };
    let weight = if bar.own { "bold" } else { "normal" };
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\n\
         <rect x=\"{start:.1}\" y=\"{upper:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>",
        axis.left - 10.0,
        middle + 4.5,
        escaped(&bar.label),
        (end - start).max(1.0)
    );
    if bar.high > bar.low {
        let (low, high) = (axis.x(bar.low), axis.x(bar.high));
        let (above, below) = (middle - 4.0, middle + 4.0);
        let _ = writeln!(
            text,
            "<path d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {above:.1}V{below:.1}M{high:.1} {above:.1}V{below:.1}\" \
             stroke=\"{INK}\" stroke-width=\"1.3\" fill=\"none\"/>"
        );
    }
    let mut label = format!("{} {unit}", number(bar.value));
    let mut right = end.max(axis.x(bar.high));
    if let Some(goal) = bar.goal {
        let _ = write!(label, ", goal {}", number(goal));
        if goal <= axis.to {
            let x = axis.x(goal);
            right = right.max(x);
            let (from, to) = (upper - 3.0, upper + BAR + 3.0);
            let _ = writeln!(
                text,
                "<path d=\"M{x:.1} {from:.1}V{to:.1}\" stroke=\"{GOAL}\" stroke-width=\"2.5\"/>"
            );
        }
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\">{}</text>",
        right + 8.0,
        middle + 4.5,
        escaped(&label)
    );
}

/// A number with thousands apart and no more digits than can be trusted.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 9.995 => 2,
        middling if middling < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    let mut left = whole.len();
    for digit in whole.chars() {
        grouped.push(digit);
        left -= 1;
        if left > 0 && left % 3 == 0 && digit != '-' {
            grouped.push(',');
        }
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        grouped
    } else {
        format!("{grouped}.{fraction}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let check = |value: f64, expect: &str| assert_eq!(number(value), expect);
        check(1_234_567.8, "1,234,568");
        check(100.0, "100");
        check(99.94, "99.9");
        check(0.695, "0.69");
        check(7.1, "7.1");
        check(0.0, "0");
    }

    #[test]
    fn a_chart_holds_every_bar_inside_its_frame() {
        let bar = |label: &str, value: f64| Bar {
            label: label.to_owned(),
            value,
            low: value * 0.9,
            high: value * 1.1,
            own: true,
            goal: Some(value * 2.0),
        };
        for values in [[1.0, 2.0], [1.0, 10_000.0], [0.0, 0.0]] {
            let chart = Chart {
                file: String::new(),
                title: "a < b".to_owned(),
                unit: "us".to_owned(),
                grey: None,
                bars: values.map(|value| bar("x", value)).to_vec(),
            };
            let text = svg(&chart);
            assert!(text.contains("a &lt; b"));
            assert_eq!(text.matches("<rect x=").count(), 2);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
