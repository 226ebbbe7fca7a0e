//! What the recorder lets somebody make of everything it records.

use kurs_core::Wall;
use kurs_store::{Candle, HistoryRow, Published};

/// Folds what is recorded into candles. Called from the recorder's task, once for everything, in
/// the order in which it was recorded.
pub trait Fold: Send {
    /// A row that will be stored.
    fn row(&mut self, row: &HistoryRow);

    /// A published event that will be stored.
    fn published(&mut self, event: &Published);

    /// Candles that are to be stored now. Called twice a second at least.
    fn take(&mut self, now: Wall) -> Vec<Candle>;

    /// Everything that is not stored yet, candles that are not closed too. Called instead, maybe
    /// several times, when the recorder ends.
    fn end(&mut self, now: Wall) -> Vec<Candle>;
}
