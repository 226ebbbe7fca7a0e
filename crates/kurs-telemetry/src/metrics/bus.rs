//! Metrics of a bus over a broker.

use super::raise;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BrokerLabels {
    broker: &'static str,
}

/// Families with one series per kind of broker; none in a process without a broker.
#[derive(Debug, Clone)]
pub struct BusFamilies {
    connected: Family<BrokerLabels, Gauge>,
    waiting: Family<BrokerLabels, Gauge>,
    /// As [`totals`] orders them.
    counters: [Family<BrokerLabels, Counter>; TOTALS],
}

/// What a bus counts itself: totals since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusReading {
    /// True while updates and commands can travel.
    pub connected: bool,
    /// Updates on their way to the broker.
    pub waiting: u64,
    /// Updates handed to the broker, those sent again included.
    pub published: u64,
    /// Updates that the broker has said it has.
    pub acknowledged: u64,
    /// Updates sent again after something went wrong.
    pub sent_again: u64,
    /// Updates that the broker does not take.
    pub refused: u64,
    /// Updates dropped because a later one of the same key waited too.
    pub superseded: u64,
    /// Times the broker had lost what it had, and got the last values again.
    pub put_again: u64,
    /// Connections that took the place of a lost one.
    pub reconnects: u64,
    /// Updates that subscribers were given.
    pub received: u64,
    /// Gaps that subscribers were told of.
    pub gaps: u64,
    /// Times a subscriber's place in the flow was found again.
    pub resumed: u64,
    /// Messages that cannot be read.
    pub decode_errors: u64,
    /// Messages of a version or kind that this program does not know.
    pub unknown: u64,
    /// Commands that came too late, or more than could wait.
    pub commands_dropped: u64,
    /// Snapshots of the last values written.
    pub snapshots: u64,
}

const TOTALS: usize = 14;

/// Name, explanation and total of every counter.
const fn totals(reading: &BusReading) -> [(&'static str, &'static str, u64); TOTALS] {
    [
        (
            "bus_published",
            "Updates handed to a broker, those sent again included",
            reading.published,
        ),
        (
            "bus_acknowledged",
            "Updates that a broker has said it has",
            reading.acknowledged,
        ),
        (
            "bus_sent_again",
            "Updates sent to a broker again because something went wrong on the way",
            reading.sent_again,
        ),
        (
            "bus_refused",
            "Updates that a broker does not take: too long, of an epoch that has ended, or there already",
            reading.refused,
        ),
        (
            "bus_superseded",
            "Updates dropped on the way to a broker because too many waited and a later one of the same key did too",
            reading.superseded,
        ),
        (
            "bus_put_again",
            "Times a broker had lost what it had, and got the last values again",
            reading.put_again,
        ),
        (
            "bus_reconnects",
            "Connections to a broker that took the place of a lost one",
            reading.reconnects,
        ),
        (
            "bus_received",
            "Updates that subscribers in this process were given",
            reading.received,
        ),
        (
            "bus_gaps",
            "Gaps that subscribers in this process were told of",
            reading.gaps,
        ),
        (
            "bus_resumed",
            "Times a subscriber's place in the flow was found again after silence or a loss",
            reading.resumed,
        ),
        (
            "bus_decode_errors",
            "Messages from a broker that could not be read",
            reading.decode_errors,
        ),
        (
            "bus_unknown",
            "Messages from a broker of a version or kind that this program does not know",
            reading.unknown,
        ),
        (
            "bus_commands_dropped",
            "Commands that came to this Writer too late, or more than could wait",
            reading.commands_dropped,
        ),
        (
            "bus_snapshots",
            "Snapshots of the last values written, for a broker that keeps none by itself",
            reading.snapshots,
        ),
    ]
}

impl BusFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            connected: Family::default(),
            waiting: Family::default(),
            counters: std::array::from_fn(|_| Family::default()),
        };
        registry.register(
            "bus_connected",
            "1 while updates and commands can travel over a broker",
            families.connected.clone(),
        );
        registry.register(
            "bus_waiting",
            "Updates on their way to a broker",
            families.waiting.clone(),
        );
        let totals = totals(&BusReading::default());
        for (family, (name, help, _)) in families.counters.iter().zip(totals) {
            registry.register(name, help, family.clone());
        }
        families
    }

    /// Takes over what the bus over this kind of broker counted.
    pub fn observe(&self, broker: &'static str, reading: &BusReading) {
        let labels = BrokerLabels { broker };
        let gauge = |family: &Family<BrokerLabels, Gauge>, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            family.get_or_create_owned(&labels).set(value);
        };
        gauge(&self.connected, u64::from(reading.connected));
        gauge(&self.waiting, reading.waiting);
        for (family, (_, _, total)) in self.counters.iter().zip(totals(reading)) {
            raise(&family.get_or_create_owned(&labels), total);
        }
    }
}
