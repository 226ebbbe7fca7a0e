//! What kurs says about itself at `/metrics`.

use crate::client::Connection;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

/// All series by name and labels, as they are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exposition {
    values: BTreeMap<String, f64>,
}

impl Exposition {
    /// Asks for them.
    pub(crate) fn ask(connection: &mut Connection) -> Result<Self> {
        let answer = connection.ask(&crate::client::request("/metrics", ""))?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        let text = String::from_utf8(answer.body).context("/metrics is no text")?;
        Ok(Self::read(&text))
    }

    fn read(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let values = series
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect();
        Self { values }
    }

    /// One series; 0 when it is not there.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or_default()
    }

    /// What a histogram counted since an earlier moment.
    pub(crate) fn histogram_since(&self, earlier: &Self, name: &str) -> Histogram {
        let beginning = format!("{name}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = self
            .values
            .range(beginning.clone()..)
            .take_while(|(series, _)| series.starts_with(&beginning))
            .filter_map(|(series, count)| {
                let bound = series.strip_prefix(&beginning)?.strip_suffix("\"}")?;
                let bound = match bound {
                    "+Inf" => f64::INFINITY,
                    number => number.parse().ok()?,
                };
                Some((bound, count - earlier.value(series)))
            })
            .collect();
        buckets.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        Histogram { buckets }
    }
}

/// Counts of values up to each bound, seconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    buckets: Vec<(f64, f64)>,
}

/// Where a quantile lies, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Between {
    pub(crate) low: f64,
    /// Infinite beyond the last bound.
    pub(crate) high: f64,
    /// As if the values of the bucket were spread evenly.
    pub(crate) about: f64,
}

impl Histogram {
    /// Number of values.
    pub(crate) fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// The bucket that holds this quantile; `None` when nothing was counted.
    pub(crate) fn quantile(&self, per_mille: f64) -> Option<Between> {
        let wanted = self.count() * per_mille / 1_000.0;
        let (mut low, mut below) = (0.0, 0.0);
        for (high, count) in &self.buckets {
            if *count >= wanted && *count > below {
                let share = (wanted - below) / (count - below);
                let about = if high.is_finite() {
                    low + (high - low) * share
                } else {
                    low
                };
                return Some(Between {
                    low: low * 1e6,
                    high: high * 1e6,
                    about: about * 1e6,
                });
            }
            (low, below) = (*high, *count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE kurs_x_seconds histogram\n\
        kurs_x_seconds_sum 1\n\
        kurs_x_seconds_count 100\n\
        kurs_x_seconds_bucket{le=\"0.0001\"} 50\n\
        kurs_x_seconds_bucket{le=\"0.00025\"} 90\n\
        kurs_x_seconds_bucket{le=\"0.001\"} 100\n\
        kurs_x_seconds_bucket{le=\"+Inf\"} 100\n\
        kurs_source_messages_total{source=\"okx\"} 7\n# EOF\n";

    #[test]
    fn a_quantile_lies_in_its_bucket_and_only_what_came_since_counts() {
        let now = Exposition::read(TEXT);
        assert_eq!(now.value("kurs_source_messages_total{source=\"okx\"}"), 7.0);
        let whole = now.histogram_since(&Exposition::default(), "kurs_x_seconds");
        let median = whole.quantile(500.0).unwrap();
        assert_eq!((median.low, median.about.round()), (0.0, 100.0));
        let high = whole.quantile(950.0).unwrap();
        assert_eq!((high.low.round(), high.about.round()), (250.0, 625.0));
        let since = now.histogram_since(&now, "kurs_x_seconds");
        assert_eq!((since.count(), since.quantile(500.0)), (0.0, None));
    }
}
