//! Charts drawn by `kurs-chart`.

use super::{Picture, Pictures};
use kurs_chart::Chart;

/// Draws with `kurs-chart`, light, in its usual size.
#[derive(Debug, Clone, Copy)]
pub struct ChartPictures;

impl Pictures for ChartPictures {
    fn png(&self, picture: &Picture) -> Result<Vec<u8>, String> {
        let mut chart = Chart::new(
            picture.pair,
            &picture.candles,
            picture.interval,
            picture.now,
        );
        chart.is_simulated = picture.is_simulated;
        chart.png().map_err(|error| error.to_string())
    }
}
