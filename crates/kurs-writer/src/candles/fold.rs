//! The folder as the recorder uses it.

use super::Folder;
use crate::recorder::Fold;
use kurs_core::Wall;
use kurs_store::{Candle, HistoryRow, Published};
use parking_lot::Mutex;
use std::sync::Arc;

/// Shared between the recorder, which feeds it, and [`super::mend()`].
impl Fold for Arc<Mutex<Folder>> {
    fn row(&mut self, row: &HistoryRow) {
        self.lock().row(row);
    }

    fn published(&mut self, event: &Published) {
        self.lock().published(event);
    }

    fn take(&mut self, now: Wall) -> Vec<Candle> {
        self.lock().take(now)
    }

    fn end(&mut self, now: Wall) -> Vec<Candle> {
        let mut folder = self.lock();
        let mut candles = folder.take(now);
        candles.extend(folder.drain());
        candles
    }
}
