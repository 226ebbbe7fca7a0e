//! What a connection is asked to carry.

/// A stream by the number its user gave it. Numbers are dense and small: they index tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

impl StreamId {
    /// Numbers from here on are ignored, which bounds every table.
    pub const LIMIT: u32 = 32_768;

    /// As an index into tables; `None` for a number beyond the limit.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        if self.0 >= Self::LIMIT {
            return None;
        }
        usize::try_from(self.0).ok()
    }
}

/// A stream and what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamSpec {
    /// Which stream.
    pub id: StreamId,
    /// True when its silence says something. A stream of trades may rest for hours and is not
    /// watched; a stream of prices is.
    pub watched: bool,
    /// Streams of one command share their group. A venue whose messages name one channel only
    /// has a group per channel.
    pub group: u8,
}
