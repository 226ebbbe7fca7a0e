//! The short way from an update to many sockets: past the tasks of the clients.
//!
//! A task that is woken for one write costs more than half of what the write itself does. So as
//! long as a client takes everything at once, its task rests, and one task writes for many clients
//! in turn. Whose socket takes no more is left to its own task, which waits for it, until
//! everything has been written again.

use crate::event::Event;
use crate::mailbox::Mailbox;
use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Clients that are written to before others get their turn: a fraction of a millisecond.
const AT_A_TIME: usize = 32;

/// The socket of a client, to be written to without its task.
pub trait Outlet: Send + Sync + fmt::Debug {
    /// Writes these events as far as they go at once. False when something was left over, which
    /// the outlet keeps for the client's task to write first.
    fn write(&self, events: &[Arc<Event>]) -> bool;
}

/// Writes for many clients in turn.
#[derive(Debug, Default)]
pub struct Pump {
    /// Mailboxes in which something waits.
    waiting: Mutex<Vec<Arc<Mailbox>>>,
    called: Notify,
    runs: AtomicBool,
}

impl Pump {
    /// Something waits in this mailbox.
    pub(crate) fn call(&self, mailbox: &Arc<Mailbox>) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.is_empty();
        waiting.push(Arc::clone(mailbox));
        drop(waiting);
        if is_first {
            self.called.notify_one();
        }
    }

    /// Whether anybody would come.
    pub(crate) fn runs(&self) -> bool {
        self.runs.load(Ordering::Acquire)
    }

    /// Writes what waits, until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let _running = Running::of(&self);
        let (mut batch, mut events) = (Vec::new(), Vec::new());
        loop {
            self.called.notified().await;
            std::mem::swap(&mut batch, &mut *self.waiting.lock());
            for (number, mailbox) in batch.drain(..).enumerate() {
                // One client's trouble is no other's.
                let pumped = catch_unwind(AssertUnwindSafe(|| mailbox.pump(&mut events)));
                if pumped.is_err() {
                    events.clear();
                    mailbox.give_up();
                }
                if number % AT_A_TIME == AT_A_TIME - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Says that a pump runs, until it does not.
struct Running<'a>(&'a Pump);

impl<'a> Running<'a> {
    fn of(pump: &'a Pump) -> Self {
        pump.runs.store(true, Ordering::Release);
        Self(pump)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runs.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StreamConfig;
    use crate::event::EventKind;
    use crate::mailbox::{Ended, Item};
    use std::task::{Context, Poll, Waker};

    /// A socket that takes so many events and no more.
    #[derive(Debug, Default)]
    struct Socket {
        told: Mutex<Vec<EventKind>>,
        left: Mutex<Vec<EventKind>>,
        room: Mutex<usize>,
    }

    impl Outlet for Socket {
        fn write(&self, events: &[Arc<Event>]) -> bool {
            let mut room = self.room.lock();
            for event in events {
                if *room > 0 {
                    *room -= 1;
                    self.told.lock().push(event.kind);
                } else {
                    self.left.lock().push(event.kind);
                }
            }
            self.left.lock().is_empty()
        }
    }

    fn event(kind: EventKind) -> Arc<Event> {
        Arc::new(Event::of(kind, &serde_json::json!({}), "".into()))
    }

    /// A mailbox with its socket, and a pump that is not running by itself.
    fn opened(room: usize) -> (Arc<Mailbox>, Arc<Socket>, Arc<Pump>) {
        let pump = Arc::<Pump>::default();
        pump.runs.store(true, Ordering::Release);
        let mailbox = Mailbox::new(&StreamConfig::default(), None).with_pump(Arc::clone(&pump));
        let mailbox = Arc::new(mailbox);
        let socket = Arc::new(Socket {
            room: Mutex::new(room),
            ..Socket::default()
        });
        mailbox.lead_to(Arc::clone(&socket) as Arc<dyn Outlet>);
        (mailbox, socket, pump)
    }

    fn called(pump: &Pump) -> Vec<Arc<Mailbox>> {
        std::mem::take(&mut *pump.waiting.lock())
    }

    use EventKind::{Bye, Error, Heartbeat, Rate};

    #[test]
    fn the_pump_writes_while_the_task_rests_and_is_called_once() {
        let (mailbox, socket, pump) = opened(9);
        mailbox.push(&event(Rate));
        mailbox.rest();
        assert!(called(&pump).is_empty(), "something waits for the task");
        assert!(matches!(mailbox.next(), Some(Item::Event(_))));
        mailbox.rest();
        mailbox.push(&event(Rate));
        mailbox.push(&event(Error));
        assert!(mailbox.next().is_none(), "it is the pump's");
        assert_eq!(called(&pump).len(), 1);
        mailbox.pump(&mut Vec::new());
        assert_eq!(*socket.told.lock(), [Rate, Error]);
        mailbox.push(&event(Heartbeat));
        assert_eq!(called(&pump).len(), 1, "and again for what comes later");
    }

    #[test]
    fn whose_socket_takes_no_more_is_left_to_the_task_until_it_rests_again() {
        let (mailbox, socket, pump) = opened(1);
        mailbox.rest();
        mailbox.push(&event(Rate));
        mailbox.push(&event(Error));
        mailbox.pump(&mut Vec::new());
        assert_eq!(
            (&**socket.told.lock(), &**socket.left.lock()),
            (&[Rate][..], &[Error][..])
        );
        called(&pump);
        mailbox.push(&event(Heartbeat));
        assert!(called(&pump).is_empty());
        mailbox.pump(&mut Vec::new());
        assert_eq!(socket.left.lock().len(), 1, "the pump keeps away");
        let Some(Item::Event(next)) = mailbox.next() else {
            panic!("it waits for the task")
        };
        assert_eq!(next.kind, Heartbeat);
        socket.left.lock().clear();
        *socket.room.lock() = 1;
        mailbox.rest();
        mailbox.push(&event(Rate));
        mailbox.pump(&mut Vec::new());
        assert_eq!(*socket.told.lock(), [Rate, Rate]);
    }

    #[test]
    fn the_last_word_and_what_the_task_wants_to_say_are_not_the_pumps() {
        let (mailbox, socket, _pump) = opened(9);
        mailbox.rest();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(mailbox.poll_claim(&mut context), Poll::Ready(()));
        mailbox.push(&event(Rate));
        mailbox.pump(&mut Vec::new());
        assert!(socket.told.lock().is_empty());
        assert!(matches!(mailbox.next(), Some(Item::Event(_))));
        mailbox.rest();
        mailbox.push(&event(Rate));
        mailbox.end(Ended::Drained, Some(event(Bye)));
        mailbox.pump(&mut Vec::new());
        assert!(socket.told.lock().is_empty());
        let Some(Item::Event(bye)) = mailbox.next() else {
            panic!("a last word")
        };
        assert_eq!(bye.kind, Bye);
        mailbox.rest();
        assert!(matches!(mailbox.next(), Some(Item::End(Ended::Drained))));
    }

    #[test]
    fn without_a_pump_that_runs_the_task_goes_on_writing() {
        let (mailbox, _socket, pump) = opened(9);
        drop(Running(&pump));
        mailbox.rest();
        mailbox.push(&event(Rate));
        assert!(matches!(mailbox.next(), Some(Item::Event(_))));
    }

    /// A socket that is a fault of ours.
    #[derive(Debug)]
    struct Broken;

    impl Outlet for Broken {
        fn write(&self, _: &[Arc<Event>]) -> bool {
            panic!("a test");
        }
    }

    #[tokio::test]
    async fn a_panic_ends_one_stream_and_the_pump_goes_on() {
        let pump = Arc::<Pump>::default();
        let running = tokio::spawn(Arc::clone(&pump).run());
        while !pump.runs() {
            tokio::task::yield_now().await;
        }
        let opened = |outlet: Arc<dyn Outlet>| {
            let mailbox = Mailbox::new(&StreamConfig::default(), None);
            let mailbox = Arc::new(mailbox.with_pump(Arc::clone(&pump)));
            mailbox.lead_to(outlet);
            mailbox.rest();
            mailbox
        };
        let broken = opened(Arc::new(Broken));
        let socket = Arc::new(Socket {
            room: Mutex::new(9),
            ..Socket::default()
        });
        let good = opened(Arc::clone(&socket) as Arc<dyn Outlet>);
        broken.push(&event(Rate));
        good.push(&event(Rate));
        while socket.told.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(broken.next(), Some(Item::End(Ended::Drained))));
        running.abort();
    }

    #[tokio::test]
    async fn a_running_pump_writes_for_many() {
        let pump = Arc::<Pump>::default();
        let running = tokio::spawn(Arc::clone(&pump).run());
        while !pump.runs() {
            tokio::task::yield_now().await;
        }
        let all: Vec<_> = (0..100)
            .map(|_| {
                let mailbox = Mailbox::new(&StreamConfig::default(), None);
                let mailbox = Arc::new(mailbox.with_pump(Arc::clone(&pump)));
                let socket = Arc::new(Socket {
                    room: Mutex::new(9),
                    ..Socket::default()
                });
                mailbox.lead_to(Arc::clone(&socket) as Arc<dyn Outlet>);
                mailbox.rest();
                (mailbox, socket)
            })
            .collect();
        let told = event(Rate);
        for (mailbox, _) in &all {
            mailbox.push(&told);
        }
        while !all.iter().all(|(_, socket)| socket.told.lock().len() == 1) {
            tokio::task::yield_now().await;
        }
        running.abort();
        while pump.runs() {
            tokio::task::yield_now().await;
        }
    }
}
