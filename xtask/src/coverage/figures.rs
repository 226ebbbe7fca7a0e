//! Reads an lcov report and adds it up by crate, product code only.
//!
//! Unit tests live at the end of the files they test and are nearly always reached: counted,
//! they would lift the figure without saying anything about the product.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The crate that serves tests only.
const TEST_KIT: &str = "kurs-testkit";

/// Lines that hold code, and how many of them the tests reached.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lines {
    covered: u64,
    count: u64,
}

impl Lines {
    /// Whether at least `percent` of the lines are reached; of no lines, none is reached.
    pub(crate) fn reaches(self, percent: u32) -> bool {
        self.count > 0 && self.covered * 100 >= self.count * u64::from(percent)
    }

    fn see(&mut self, reached: bool) {
        self.count += 1;
        self.covered += u64::from(reached);
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Hundredths of a percent, cut and never rounded up: 84.999 is not 85.
        let hundredths = (self.covered * 10_000).checked_div(self.count).unwrap_or(0);
        let (whole, part) = (hundredths / 100, hundredths % 100);
        let Self { covered, count } = self;
        write!(
            out,
            "{whole:>3}.{part:02} % of lines ({covered} of {count})"
        )
    }
}

/// The figures of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) all: Lines,
    /// By folder in `crates/`.
    pub(crate) crates: BTreeMap<String, Lines>,
}

impl Figures {
    /// Reads an lcov report. Files outside `crates/` are not ours. `product_lines` tells how many
    /// lines of a file come before its tests.
    pub(crate) fn read(
        lcov: &str,
        root: &Path,
        product_lines: impl Fn(&Path) -> Result<usize>,
    ) -> Result<Self> {
        let mut figures = Self::default();
        let mut current: Option<(String, usize)> = None;
        for record in lcov.lines() {
            if let Some(name) = record.strip_prefix("SF:") {
                current = match crate_of(name, root) {
                    Some((folder, file)) => Some((folder, product_lines(&file)?)),
                    None => None,
                };
            } else if let (Some(data), Some((folder, product))) =
                (record.strip_prefix("DA:"), &current)
            {
                let (line, reached) = line_record(data)
                    .with_context(|| format!("not a line of an lcov report: {record}"))?;
                if line <= *product {
                    figures.all.see(reached);
                    let lines = figures.crates.entry(folder.clone()).or_default();
                    lines.see(reached);
                }
            }
        }
        Ok(figures)
    }
}

/// The folder in `crates/` and the path inside the repository of a counted file.
fn crate_of(name: &str, root: &Path) -> Option<(String, PathBuf)> {
    let file = Path::new(name).strip_prefix(root).ok()?;
    let folder = file.strip_prefix("crates").ok()?.iter().next()?.to_str()?;
    (folder != TEST_KIT).then(|| (folder.to_owned(), file.to_path_buf()))
}

/// `12,3`: line 12 was reached three times.
fn line_record(data: &str) -> Option<(usize, bool)> {
    let mut parts = data.split(',');
    let line = parts.next()?.parse().ok()?;
    let hits: u64 = parts.next()?.parse().ok()?;
    Some((line, hits > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lcov: &str) -> Result<Figures> {
        Figures::read(lcov, Path::new("/r"), |_| Ok(10))
    }

    #[test]
    fn lines_before_the_tests_are_added_up_by_crate() {
        let lcov = "SF:/r/crates/a/src/x.rs\nFN:1,f\nDA:1,5\nDA:2,0\nDA:11,1\nend_of_record\n\
                    SF:/r/crates/a/src/y.rs\nDA:10,1\nend_of_record\n\
                    SF:/r/crates/b/src/z.rs\nDA:3,0\nend_of_record\n";
        let figures = read(lcov).unwrap();
        let (a, b) = (figures.crates["a"], figures.crates["b"]);
        assert_eq!((a.covered, a.count), (2, 3));
        assert_eq!((b.covered, b.count), (0, 1));
        assert_eq!((figures.all.covered, figures.all.count), (2, 4));
    }

    #[test]
    fn the_test_kit_and_foreign_files_are_left_out() {
        let lcov = "SF:/r/crates/kurs-testkit/src/lib.rs\nDA:1,1\nSF:/elsewhere/x.rs\nDA:1,1\n\
                    SF:/r/xtask/src/main.rs\nDA:1,1\n";
        assert_eq!(read(lcov).unwrap(), Figures::default());
    }

    #[test]
    fn the_share_is_never_rounded_up_to_the_goal() {
        let lines = |covered, count| Lines { covered, count };
        assert_eq!(
            lines(84_999, 100_000).to_string(),
            " 84.99 % of lines (84999 of 100000)"
        );
        assert!(!lines(84_999, 100_000).reaches(85));
        assert!(lines(85, 100).reaches(85));
        assert!(!Lines::default().reaches(0));
    }

    #[test]
    fn a_broken_report_is_an_error() {
        assert!(read("SF:/r/crates/a/src/x.rs\nDA:one,1").is_err());
        assert!(read("SF:/r/crates/a/src/x.rs\nDA:1").is_err());
    }
}
