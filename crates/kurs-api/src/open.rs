//! The open connections, counted and capped.

use crate::config::Limits;
use crate::connection::ConnectionState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use tokio::sync::Notify;

/// The open connections.
#[derive(Default)]
pub(crate) struct Open {
    book: Mutex<Book>,
    /// Told when the last one has ended.
    pub(crate) emptied: Notify,
}

#[derive(Default)]
struct Book {
    next: u64,
    connections: HashMap<u64, Arc<ConnectionState>>,
    per_address: HashMap<IpAddr, usize>,
}

/// Why there is no room for a connection.
pub(crate) enum Refused {
    /// Of all addresses together.
    Capacity,
    /// Of this address.
    Address,
}

impl Open {
    /// Enters a connection, if there is room for it. A proxy has the clients of many addresses,
    /// so that no cap of one address is for it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_proxy: bool,
        limits: &Limits,
        state: Arc<ConnectionState>,
    ) -> Result<Entry, Refused> {
        let mut book = self.book.lock();
        if book.connections.len() >= limits.connections {
            return Err(Refused::Capacity);
        }
        let same = book.per_address.entry(address).or_default();
        if !is_proxy && *same >= limits.connections_per_address {
            return Err(Refused::Address);
        }
        *same += 1;
        let number = book.next;
        book.next += 1;
        book.connections.insert(number, state);
        Ok(Entry {
            open: Arc::clone(self),
            number,
            address,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.book.lock().connections.is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Arc<ConnectionState>> {
        self.book.lock().connections.values().cloned().collect()
    }
}

/// A connection's place among the open ones; gives it back when dropped.
pub(crate) struct Entry {
    open: Arc<Open>,
    number: u64,
    address: IpAddr,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.open.book.lock();
        book.connections.remove(&self.number);
        if let Some(same) = book.per_address.get_mut(&self.address) {
            *same -= 1;
            if *same == 0 {
                book.per_address.remove(&self.address);
            }
        }
        if book.connections.is_empty() {
            self.open.emptied.notify_one();
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 network that one IPv6 host has for
/// itself.
pub(crate) fn address_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_counts_as_its_network() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let other: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        assert_eq!(address_of(one), address_of(other));
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(address_of(mapped), "10.0.0.1".parse::<IpAddr>().unwrap());
    }
}
