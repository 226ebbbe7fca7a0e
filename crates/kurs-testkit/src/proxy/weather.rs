//! What a proxy does to the bytes: set by a test, changed at any time.

use std::time::Duration;

/// One in a million, the unit of all odds here.
pub(super) const MILLION: u32 = 1_000_000;

/// What the proxy does at present, to open connections as well as to new ones.
///
/// The fields beside [`Weather::to_server`] and [`Weather::to_client`] say the usual things for both ways
/// at once; where both speak, delays add up and the smaller bandwidth counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Every piece of bytes comes this much later, both ways.
    pub latency: Duration,
    /// Bytes to the client stop, and so does the news that the server has closed; the connection stays
    /// open (half-open silence). What is held comes when the weather is fair again.
    pub mute_server: bool,
    /// The same for bytes to the server. With both the connection is half-open at both ends.
    pub mute_client: bool,
    /// At most so many bytes a second each way.
    pub bytes_per_second: Option<u32>,
    /// New connections are closed at once.
    pub refuse: bool,
    /// Nothing is read from anyone: what is sent piles up with the sender. New connections are
    /// accepted and lead to the server only when this is over.
    pub never_read: bool,
    /// What befalls bytes on their way to the server.
    pub to_server: Faults,
    /// What befalls bytes on their way to the client.
    pub to_client: Faults,
}

/// What befalls bytes on one way. A piece is what one read from a socket gave, 16 KiB at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every piece comes this much later.
    pub latency: Duration,
    /// And by up to this much more, another time for each piece; the order stays.
    pub jitter: Duration,
    /// Nothing comes, the end of the connection included, until this is over.
    pub mute: bool,
    /// At most so many bytes a second.
    pub bytes_per_second: Option<u32>,
    /// Of a million bytes so many have one bit turned over.
    pub corrupt_per_million: u32,
    /// Of a million pieces so many come twice.
    pub duplicate_per_million: u32,
    /// Of a million pieces so many are held back, for up to [`Faults::reorder_within`], while later ones pass.
    pub reorder_per_million: u32,
    /// See [`Faults::reorder_per_million`].
    pub reorder_within: Duration,
}

/// Where the bytes of a pipe go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

impl Weather {
    /// All that befalls the bytes on one way.
    pub(super) fn on(&self, way: Way) -> Faults {
        let (own, mute) = match way {
            Way::ToServer => (self.to_server, self.mute_client),
            Way::ToClient => (self.to_client, self.mute_server),
        };
        let rates = [own.bytes_per_second, self.bytes_per_second];
        Faults {
            latency: self.latency + own.latency,
            mute: mute || own.mute,
            bytes_per_second: rates.into_iter().flatten().min(),
            ..own
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_one_way_and_of_both_add_up() {
        let weather = Weather {
            latency: Duration::from_millis(2),
            bytes_per_second: Some(10),
            mute_client: true,
            to_client: Faults {
                latency: Duration::from_millis(3),
                bytes_per_second: Some(20),
                ..Faults::default()
            },
            ..Weather::default()
        };
        let to_client = weather.on(Way::ToClient);
        assert_eq!(to_client.latency, Duration::from_millis(5));
        assert_eq!(to_client.bytes_per_second, Some(10));
        assert!(!to_client.mute);
        let to_server = weather.on(Way::ToServer);
        assert_eq!(to_server.latency, Duration::from_millis(2));
        assert!(to_server.mute);
    }
}
