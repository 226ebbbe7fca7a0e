//! The open connections, counted and capped.

use crate::config::Limits;
use crate::connection::ConnectionState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
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
