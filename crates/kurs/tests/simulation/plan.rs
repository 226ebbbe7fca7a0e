//! What a run is asked for, and what comes of it.

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How long it lasts.
    pub(crate) length_ms: u64,
    /// Links, store and broker break too.
    pub(crate) breaks_all: bool,
    pub(crate) tells: bool,
}

impl Plan {
    /// Writers are killed, stopped, and leave: never the last one that knows everything.
    pub(crate) fn kills(seed: u64) -> Self {
        Self {
            seed,
            length_ms: 45_000,
            breaks_all: false,
            tells: false,
        }
    }

    /// Everything breaks.
    pub(crate) fn everything(seed: u64) -> Self {
        Self {
            breaks_all: true,
            ..Self::kills(seed)
        }
    }
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) broken: Vec<String>,
    pub(crate) hash: u64,
}
