//! The parts of a chart, drawn.

use crate::bars::{Bar, Bars};
use crate::chart::{Change, Chart, Form};
use crate::layout::{Axis, Layout, cut, whole, wide};
use crate::svg::{Anchor, PX, Path, Svg, Text};
use crate::theme::Colors;
use crate::times;

/// A chart while it is drawn.
struct Drawing<'a> {
    chart: &'a Chart<'a>,
    colors: Colors,
    layout: Layout,
    svg: Svg,
}

/// The picture of a chart.
pub(crate) fn svg(chart: &Chart<'_>) -> String {
    // The range of values is the same however many candles are folded into a bar.
    let Some(single) = Bars::of(chart, i64::MAX) else {
        return empty(chart);
    };
    let rough = Layout::of(chart, |letter| letter * 5, true);
    let axis = Axis::of(&single, (rough.bottom - rough.top) / (rough.letter * 3));
    let layout = Layout::of(chart, |letter| axis.width(letter), true);
    let Some(bars) = Bars::of(chart, layout.room(chart.form)) else {
        return empty(chart);
    };
    let change = Change::over(&bars);
    let mut drawing = Drawing::new(chart, layout, &spoken(chart, &bars, change.as_ref()));
    drawing.grid(&bars, &axis);
    match chart.form {
        Form::Candles => drawing.candles(&bars, &axis),
        Form::Line => drawing.line(&bars, &axis),
    }
    drawing.last(&bars, &axis, change.as_ref());
    drawing.head(&times::span(&bars), change.as_ref());
    drawing.foot(&remarks(chart, &bars));
    drawing.svg.finish()
}

/// A chart without a candle says so.
fn empty(chart: &Chart<'_>) -> String {
    let layout = Layout::of(chart, |_| 0, true);
    let title = format!("{}: no candles in this time", chart.title);
    let mut drawing = Drawing::new(chart, layout, &title);
    drawing.head("", None);
    let (x, y) = (drawing.layout.width / 2, drawing.layout.height / 2);
    let soft = drawing.colors.soft;
    drawing.text("no candles in this time", (x, y), Anchor::Middle, soft);
    drawing.foot(&chart.note);
    drawing.svg.finish()
}

/// The chart in one sentence, for those who do not see it.
fn spoken(chart: &Chart<'_>, bars: &Bars, change: Option<&Change>) -> String {
    let (low, high) = bars.range();
    let simulated = if chart.is_simulated {
        ", simulated prices"
    } else {
        ""
    };
    let change = change.map_or_else(String::new, |change| {
        format!(", last {}, {}", change.last, change.by)
    });
    format!(
        "{}{simulated}, {}, {}{change}, between {low} and {high}",
        chart.title,
        chart.interval,
        times::span(bars),
    )
}

/// What has to be known to read the picture.
fn remarks(chart: &Chart<'_>, bars: &Bars) -> String {
    let mut remarks = Vec::new();
    if bars.folded > 1 {
        let word = match chart.form {
            Form::Candles => "bar",
            Form::Line => "point",
        };
        remarks.push(format!("{} candles to a {word}", bars.folded));
    }
    if bars.missing > 0 {
        remarks.push(format!("{} missing", bars.missing));
    }
    if bars.bars.last().is_some_and(|bar| bar.is_open) {
        remarks.push("the last one is still open".to_owned());
    }
    if !chart.note.is_empty() {
        remarks.push(chart.note.clone());
    }
    remarks.join(" \u{b7} ")
}

impl<'a> Drawing<'a> {
    fn new(chart: &'a Chart<'a>, layout: Layout, title: &str) -> Self {
        let colors = chart.theme.colors();
        let (width, height) = (chart.size.width(), chart.size.height());
        let mut svg = Svg::new(width, height, title);
        svg.rect([0, 0, layout.width, layout.height], colors.page, 0);
        Self {
            chart,
            colors,
            layout,
            svg,
        }
    }

    /// Usual letters.
    fn text(&mut self, text: &str, at: (i32, i32), anchor: Anchor, color: &'static str) {
        self.svg.text(Text {
            text,
            at,
            size: self.layout.letter,
            color,
            anchor,
            is_strong: false,
        });
    }

    fn grid(&mut self, bars: &Bars, axis: &Axis) {
        let (left, right) = (self.layout.left, self.layout.right);
        let (top, bottom) = (self.layout.top, self.layout.bottom);
        for (place, places) in bars.gaps() {
            let from = whole(self.layout.across(place, bars.places));
            let to = whole(self.layout.across(place + places, bars.places));
            self.svg
                .rect([from, top, to - from, bottom - top], self.colors.gap, 0);
        }
        let mut lines = Path::default();
        let mut levels = Vec::new();
        for (value, label) in &axis.marks {
            let level = self.layout.level(&axis.values, *value);
            lines.level(whole(level) + PX / 2, left, right);
            levels.push((level, label));
        }
        let about = i64::from((right - left) / (self.layout.letter * 8));
        let marks = times::marks(bars, about);
        let span = bars.step.saturating_mul(bars.places);
        for mark in &marks {
            let x = self.layout.across(mark.after, span);
            lines.upright(whole(x) + PX / 2, top, bottom);
        }
        self.svg.thin(&lines, self.colors.line, "");
        let mut frame = Path::default();
        frame.level(bottom + PX / 2, left, right);
        frame.upright(right + PX / 2, top, bottom + PX);
        self.svg.thin(&frame, self.colors.frame, "");

        let letter = self.layout.letter;
        let soft = self.colors.soft;
        let last = self.tag_level(bars, axis);
        for (level, label) in levels {
            // The mark of the last value stands in its place.
            if (level - last).abs() >= letter * 17 / 10 {
                let at = (self.label_edge(), level + letter * 35 / 100);
                self.text(label, at, Anchor::End, soft);
            }
        }
        for mark in &marks {
            let x = self.layout.across(mark.after, span);
            let half = wide(&mark.label, letter) / 2;
            // The first one stands a little to the right rather than beyond the edge.
            let middle = x.max(half + PX);
            if middle + half <= right + letter {
                let at = (middle, self.layout.times);
                self.text(&mark.label, at, Anchor::Middle, soft);
            }
        }
    }

    /// Where the labels at the right end.
    fn label_edge(&self) -> i32 {
        self.layout.width - self.layout.edge
    }

    fn candles(&mut self, bars: &Bars, axis: &Axis) {
        let step = (self.layout.right - self.layout.left)
            / i32::try_from(bars.places).unwrap_or(i32::MAX).max(1);
        // An odd number of pixels has a middle for the wick.
        let pixels = (step * 65 / 100 / PX).clamp(1, self.layout.letter * 2 / PX) | 1;
        // Rising, falling: lines, bodies.
        let mut wicks = [Path::default(), Path::default()];
        let mut bodies = [Path::default(), Path::default()];
        for bar in &bars.bars {
            let direction = usize::from(bar.close < bar.open);
            let (Some(wick), Some(body)) = (wicks.get_mut(direction), bodies.get_mut(direction))
            else {
                continue;
            };
            let x = whole(self.layout.middle(bar.place, bars.places));
            let level = |value| whole(self.layout.level(&axis.values, value));
            let (high, low) = (level(bar.high), level(bar.low) + PX);
            let upper = level(bar.open.max(bar.close));
            let lower = level(bar.open.min(bar.close)) + PX;
            let left = x - pixels / 2 * PX;
            if bar.is_open && pixels > 1 {
                // Hollow: it will change.
                wick.upright(x + PX / 2, high, upper);
                wick.upright(x + PX / 2, lower, low);
                let inner = [left + PX / 2, upper + PX / 2, (pixels - 1) * PX];
                wick.rect([inner[0], inner[1], inner[2], (lower - upper - PX).max(0)]);
            } else {
                wick.upright(x + PX / 2, high, low);
                body.rect([left, upper, pixels * PX, lower - upper]);
            }
        }
        let colors = [self.colors.rise, self.colors.fall];
        for ((wick, body), color) in wicks.iter().zip(&bodies).zip(colors) {
            self.svg.thin(wick, color, "");
            self.svg.filled(body, color);
        }
    }

    fn line(&mut self, bars: &Bars, axis: &Axis) {
        let mut curve = Path::default();
        let mut alone = Vec::new();
        let mut before: Option<i64> = None;
        let mut following = bars.bars.iter().skip(1).map(|bar| bar.place);
        for bar in &bars.bars {
            let at = self.point(bar, bars, axis);
            let follows = before == Some(bar.place - 1);
            if follows {
                curve.line(at);
            } else {
                curve.go(at);
            }
            let goes_on = following.next() == Some(bar.place + 1);
            if !follows && !goes_on {
                alone.push(at);
            }
            before = Some(bar.place);
        }
        let width = (self.layout.letter / 8).max(PX);
        self.svg.curve(&curve, self.colors.curve, width);
        for at in alone {
            self.svg.dot(at, width, self.colors.curve);
        }
        if let Some(bar) = bars.bars.last() {
            let at = self.point(bar, bars, axis);
            self.svg.dot(at, width * 2, self.colors.curve);
            if bar.is_open {
                self.svg.dot(at, width, self.colors.page);
            }
        }
    }

    fn point(&self, bar: &Bar, bars: &Bars, axis: &Axis) -> (i32, i32) {
        (
            self.layout.middle(bar.place, bars.places),
            self.layout.level(&axis.values, bar.close),
        )
    }

    /// Where the mark of the last value stands.
    fn tag_level(&self, bars: &Bars, axis: &Axis) -> i32 {
        let value = bars.bars.last().map(|bar| bar.close);
        let level = value.map_or(0, |value| self.layout.level(&axis.values, value));
        let half = self.layout.letter * 85 / 100;
        level.clamp(
            self.layout.top + half,
            (self.layout.bottom - half).max(self.layout.top + half),
        )
    }

    /// The last value: a line over the plot, a mark at the axis.
    fn last(&mut self, bars: &Bars, axis: &Axis, change: Option<&Change>) {
        let Some(bar) = bars.bars.last() else {
            return;
        };
        let color = match (self.chart.form, change) {
            (Form::Line, _) => self.colors.curve,
            (_, Some(change)) if change.is_fall => self.colors.fall,
            _ => self.colors.rise,
        };
        let level = whole(self.layout.level(&axis.values, bar.close)) + PX / 2;
        let mut line = Path::default();
        line.level(level, self.layout.left, self.layout.right);
        self.svg.thin(&line, color, "2 3");
        let letter = self.layout.letter;
        let middle = self.tag_level(bars, axis);
        let left = self.layout.right + PX;
        let place = [
            left,
            middle - letter * 85 / 100,
            self.label_edge() + letter * 5 / 10 - left,
            letter * 17 / 10,
        ];
        self.svg.rect(place, color, letter / 4);
        let at = (self.label_edge(), middle + letter * 35 / 100);
        let page = self.colors.page;
        self.text(&axis.last, at, Anchor::End, page);
    }

    /// The title and what is said beside and below it, as far as there is room.
    fn head(&mut self, span: &str, change: Option<&Change>) {
        let layout = &self.layout;
        let (letter, edge) = (layout.letter, layout.edge);
        let [first, second] = layout.head;
        let (left, right) = (edge, layout.width - edge);
        let is_small = layout.is_small;
        let large = if is_small {
            letter * 12 / 10
        } else {
            letter * 16 / 10
        };
        let title = cut(&self.chart.title, large, right - left);
        let title_end = left + wide(&title, large) + letter;
        let mark = "SIMULATED";
        let mark_letter = letter * 8 / 10;
        let mark_width = wide(mark, mark_letter) + letter;
        let mark_fits = title_end + mark_width <= right;
        let taken = match self.chart.is_simulated && mark_fits {
            true => title_end + mark_width + letter,
            false => title_end,
        };
        let (text, soft) = (self.colors.text, self.colors.soft);
        let strong = |text, at, anchor, color| Text {
            text,
            at,
            size: large,
            color,
            anchor,
            is_strong: true,
        };
        self.svg
            .text(strong(&title, (left, first), Anchor::Start, text));
        let value = change.filter(|change| taken + wide(&change.last, large) <= right);
        if let Some(change) = value {
            self.svg
                .text(strong(&change.last, (right, first), Anchor::End, text));
        }
        if self.chart.is_simulated {
            // Invented prices are never shown without their mark: where the head has no room it
            // stands in the plot.
            let (x, y) = match mark_fits {
                true => (title_end, first - letter * 11 / 10),
                false => (self.layout.left + letter / 2, self.layout.top + letter / 2),
            };
            self.svg.rect(
                [x, y, mark_width, letter * 13 / 10],
                self.colors.warn,
                letter / 4,
            );
            self.svg.text(Text {
                text: mark,
                at: (x + mark_width / 2, y + letter * 94 / 100),
                size: mark_letter,
                color: self.colors.page,
                anchor: Anchor::Middle,
                is_strong: false,
            });
        }
        if is_small {
            return;
        }
        let mut room = right - left;
        if let Some(change) = change {
            let color = match (change.is_fall, change.by.starts_with('+')) {
                (true, _) => self.colors.fall,
                (_, true) => self.colors.rise,
                _ => soft,
            };
            self.text(&change.by, (right, second), Anchor::End, color);
            room -= wide(&change.by, letter) + letter;
        }
        let interval = self.chart.interval;
        let whole = format!("{interval} \u{b7} {span}");
        let said = match span.is_empty() || wide(&whole, letter) > room {
            true => interval.to_string(),
            false => whole,
        };
        if wide(&said, letter) <= room {
            self.text(&said, (left, second), Anchor::Start, soft);
        }
    }

    fn foot(&mut self, remarks: &str) {
        if self.layout.is_small || remarks.is_empty() {
            return;
        }
        let letter = self.layout.letter;
        let (left, right) = (self.layout.edge, self.layout.width - self.layout.edge);
        let size = letter * 9 / 10;
        let text = cut(remarks, size, right - left);
        self.svg.text(Text {
            text: &text,
            at: (left, self.layout.foot),
            size,
            color: self.colors.soft,
            anchor: Anchor::Start,
            is_strong: false,
        });
    }
}
