//! Medians, spreads and percentiles.

/// Median with the smallest and the greatest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) samples: usize,
}

impl Spread {
    /// Of these values; all zero when there are none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => 0.0,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        let low = sorted.first().copied().unwrap_or_default();
        let high = sorted.last().copied().unwrap_or_default();
        Self {
            median,
            low,
            high,
            samples: sorted.len(),
        }
    }
}

/// Durations in nanoseconds, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    sorted: Vec<u64>,
}

impl Latencies {
    pub(crate) fn new(mut nanoseconds: Vec<u64>) -> Self {
        nanoseconds.sort_unstable();
        Self {
            sorted: nanoseconds,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest value that at least `per_mille` of a thousand do not exceed, microseconds.
    pub(crate) fn microseconds(&self, per_mille: usize) -> f64 {
        let rank = (self.sorted.len() * per_mille).div_ceil(1_000).max(1);
        self.sorted
            .get(rank - 1)
            .map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!((spread.median, spread.low, spread.high), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(&[]).median, 0.0);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let latencies = Latencies::new((1..=1_000).rev().map(|n| n * 1_000).collect());
        assert_eq!(latencies.microseconds(500), 500.0);
        assert_eq!(latencies.microseconds(990), 990.0);
        assert_eq!(latencies.microseconds(1_000), 1_000.0);
        assert_eq!(Latencies::default().microseconds(990), 0.0);
    }
}
