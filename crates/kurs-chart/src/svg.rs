//! The writer of SVG. Places are tenths of a pixel, so that no float is needed to print them.
//! Only presentation attributes are written: no script, no style, nothing from elsewhere.

use std::fmt::Write;

/// Pixels in tenths.
pub(crate) const PX: i32 = 10;

/// The families of letters: the one that PNG is drawn with first.
const FAMILIES: &str = "Ubuntu, 'Segoe UI', 'Helvetica Neue', system-ui, sans-serif";

/// Where a text stands relative to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A text to be drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    /// Place of the anchor on the baseline.
    pub(crate) at: (i32, i32),
    /// Height of the letters.
    pub(crate) size: i32,
    pub(crate) color: &'static str,
    pub(crate) anchor: Anchor,
    pub(crate) is_strong: bool,
}

/// A picture while it is written.
#[derive(Debug)]
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture; `title` is what it says to those who do not see it.
    pub(crate) fn new(width: u32, height: u32, title: &str) -> Self {
        let mut svg = Self {
            text: String::with_capacity(16 * 1_024),
        };
        let title = escaped(title);
        svg.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILIES}\">\n<title>{title}</title>\n"
        ));
        svg
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing into memory cannot fail.
        let _ = self.text.write_fmt(arguments);
    }

    /// A filled rectangle: left, top, width, height.
    pub(crate) fn rect(&mut self, place: [i32; 4], color: &str, radius: i32) {
        let [x, y, width, height] = place.map(tenths);
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""
        ));
        if radius > 0 {
            let radius = tenths(radius);
            self.put(format_args!(" rx=\"{radius}\""));
        }
        self.put(format_args!(" fill=\"{color}\"/>\n"));
    }

    /// Shapes of one colour, filled, with sharp edges.
    pub(crate) fn filled(&mut self, path: &Path, color: &str) {
        if !path.0.is_empty() {
            let path = &path.0;
            self.put(format_args!(
                "<path d=\"{path}\" fill=\"{color}\" shape-rendering=\"crispEdges\"/>\n"
            ));
        }
    }

    /// Lines of one colour, one pixel wide, with sharp edges.
    pub(crate) fn thin(&mut self, path: &Path, color: &str, dashes: &str) {
        if path.0.is_empty() {
            return;
        }
        let path = &path.0;
        self.put(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" shape-rendering=\"crispEdges\""
        ));
        if !dashes.is_empty() {
            self.put(format_args!(" stroke-dasharray=\"{dashes}\""));
        }
        self.put(format_args!("/>\n"));
    }

    /// A smooth line of this width.
    pub(crate) fn curve(&mut self, path: &Path, color: &str, width: i32) {
        if !path.0.is_empty() {
            let (path, width) = (&path.0, tenths(width));
            self.put(format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
                 stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n"
            ));
        }
    }

    /// A disc.
    pub(crate) fn dot(&mut self, at: (i32, i32), radius: i32, color: &str) {
        let (x, y, radius) = (tenths(at.0), tenths(at.1), tenths(radius));
        self.put(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{color}\"/>\n"
        ));
    }

    /// A text.
    pub(crate) fn text(&mut self, text: Text<'_>) {
        let (x, y) = (tenths(text.at.0), tenths(text.at.1));
        let (size, color) = (tenths(text.size), text.color);
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{color}\""
        ));
        match text.anchor {
            Anchor::Start => {}
            Anchor::Middle => self.put(format_args!(" text-anchor=\"middle\"")),
            Anchor::End => self.put(format_args!(" text-anchor=\"end\"")),
        }
        // The font of PNG has one weight: an edge of its own colour makes it stronger.
        let edge = match text.is_strong {
            true => tenths((text.size / 22).max(4)),
            false => tenths((text.size / 50).max(2)),
        };
        self.put(format_args!(
            " stroke=\"{color}\" stroke-width=\"{edge}\" stroke-linejoin=\"round\">{}</text>\n",
            escaped(text.text)
        ));
    }
}

/// The outline of shapes.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

impl Path {
    fn put(&mut self, letter: char, at: (i32, i32)) {
        let _ = write!(self.0, "{letter}{} {}", tenths(at.0), tenths(at.1));
    }

    /// Goes to a place without drawing.
    pub(crate) fn go(&mut self, at: (i32, i32)) {
        self.put('M', at);
    }

    /// Draws to a place.
    pub(crate) fn line(&mut self, at: (i32, i32)) {
        self.put('L', at);
    }

    /// A line up or down.
    pub(crate) fn upright(&mut self, x: i32, top: i32, bottom: i32) {
        self.go((x, top));
        let _ = write!(self.0, "V{}", tenths(bottom));
    }

    /// A line to the right.
    pub(crate) fn level(&mut self, y: i32, left: i32, right: i32) {
        self.go((left, y));
        let _ = write!(self.0, "H{}", tenths(right));
    }

    /// A rectangle: left, top, width, height.
    pub(crate) fn rect(&mut self, [x, y, width, height]: [i32; 4]) {
        self.go((x, y));
        let (width, height) = (tenths(width), tenths(height));
        let _ = write!(self.0, "h{width}v{height}h-{width}z");
    }
}

/// `12.5` for 125.
fn tenths(value: i32) -> String {
    let (whole, rest) = (value.unsigned_abs() / 10, value.unsigned_abs() % 10);
    let sign = if value < 0 { "-" } else { "" };
    match rest {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest}"),
    }
}

/// Text that is safe between tags and in attributes, without what cannot be in XML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_written_as_short_as_can_be() {
        let written = [0, 5, 10, 125, -5, -120].map(tenths);
        assert_eq!(written, ["0", "0.5", "1", "12.5", "-0.5", "-12"]);
    }

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(
            escaped("<script>\"&'\u{1b}"),
            "&lt;script&gt;&quot;&amp;&#39;\u{fffd}"
        );
    }
}
