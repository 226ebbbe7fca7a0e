//! Charts as pictures: the one place where the bot meets whoever draws them.

mod chart;

pub use chart::ChartPictures;

use kurs_core::{Pair, Wall};
use kurs_store::{Candle, Interval};

/// What is to be drawn.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The pair under the name it was asked for.
    pub pair: Pair,
    /// Length of the candles.
    pub interval: Interval,
    /// The candles, oldest first, at least one.
    pub candles: Vec<Candle>,
    /// The moment of drawing.
    pub now: Wall,
    /// The prices are invented, and the picture must say so.
    pub is_simulated: bool,
}

/// Draws candles.
pub trait Pictures: Send + Sync + std::fmt::Debug {
    /// The chart as PNG.
    ///
    /// # Errors
    /// One sentence why there is none; the bot tells the numbers in words then.
    fn png(&self, picture: &Picture) -> Result<Vec<u8>, String>;
}
