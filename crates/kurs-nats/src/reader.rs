//! What everything that reads has in common.

use crate::names::Names;
use kurs_bus::BusCounters;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) names: Names,
    pub(crate) counters: Arc<BusCounters>,
    /// Updates a subscriber may lie behind.
    pub(crate) buffer: usize,
}
