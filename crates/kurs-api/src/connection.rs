//! What is known about one open connection: which wait is running, and until when.
//!
//! The IO wrapper and the service note every change here with plain atomic stores; the accept
//! loop looks at all connections a few times a second and orders those that are overdue to
//! close. So no connection owns a timer, and a request on the hot path arms none.

mod answers;

use crate::config::Limits;
use answers::Answers;
pub(crate) use answers::Slot;
use futures_util::task::AtomicWaker;
use kurs_stream::Mailbox;
use kurs_telemetry::metrics::Counter;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// Milliseconds since the server started, moved on by the accept loop. Coarse on purpose: a
/// load instead of a system call.
#[derive(Debug)]
pub(crate) struct CoarseClock {
    start: Instant,
    now_ms: AtomicU64,
}

impl CoarseClock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            now_ms: AtomicU64::new(1),
        }
    }

    /// Takes the time from the machine's clock.
    pub(crate) fn tick(&self) -> u64 {
        let elapsed_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Zero means "no deadline" below, so time starts at one.
        let now_ms = elapsed_ms.saturating_add(1);
        self.now_ms.store(now_ms, Ordering::Relaxed);
        now_ms
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }
}

/// How often deadlines have to be looked at: often enough for the shortest of them.
pub(crate) fn tick_of(limits: &Limits) -> Duration {
    let shortest_ms = limits.head_ms.min(limits.idle_ms).min(limits.write_ms);
    let shortest_ms = shortest_ms.min(limits.handshake_ms);
    Duration::from_millis((shortest_ms / 8).clamp(5, 250))
}

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const IDLE: u8 = 2;
const LAST: u8 = 3;
const NEW: u8 = 4;
const STREAM: u8 = 5;
const HANDSHAKE: u8 = 6;
const MANY: u8 = 7;
/// Longest wait for a client to take its last answer and close, milliseconds.
const LINGER_MS: u64 = 2_000;

/// What the accept loop wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Go on.
    Serve = 0,
    /// Close, unless a request came: that one is answered first.
    Drain = 1,
    /// Close now.
    Close = 2,
}

/// Which deadline a connection missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// TLS did not come about.
    Handshake,
    /// The head of a request did not come to its end.
    Head,
    /// No further request.
    Idle,
    /// The answer was not read.
    Write,
    /// A stream of events, one of several answers over one connection, was not read.
    Stream,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    clock: Arc<CoarseClock>,
    handshake_ms: u64,
    head_ms: u64,
    idle_ms: u64,
    write_ms: AtomicU64,
    phase: AtomicU8,
    /// When the present wait for the client's bytes ends; 0: no such wait.
    read_deadline_ms: AtomicU64,
    /// When the client must have taken what is being written; 0: nothing is stuck.
    write_deadline_ms: AtomicU64,
    order: AtomicU8,
    /// True once a request had a body, of which bytes may be left unread.
    had_body: AtomicBool,
    task: AtomicWaker,
    has_many: AtomicBool,
    /// The open answers of a connection that has many at a time.
    answers: Mutex<Answers>,
    /// What is told over it, while its answer is a stream.
    told: Mutex<Option<Told>>,
    /// The answer has more of an event that it has begun.
    holds_back: AtomicBool,
}

/// What is told over a connection whose answer is a stream.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) mailbox: Arc<Mailbox>,
    /// Events handed over.
    pub(crate) events: Counter,
}

impl ConnectionState {
    /// A connection just made: its first head is awaited.
    pub(crate) fn new(clock: Arc<CoarseClock>, limits: &Limits) -> Self {
        let first_deadline = clock.now_ms().saturating_add(limits.head_ms);
        Self {
            clock,
            handshake_ms: limits.handshake_ms,
            head_ms: limits.head_ms,
            idle_ms: limits.idle_ms,
            write_ms: AtomicU64::new(limits.write_ms),
            phase: AtomicU8::new(NEW),
            read_deadline_ms: AtomicU64::new(first_deadline),
            write_deadline_ms: AtomicU64::new(0),
            order: AtomicU8::new(Order::Serve as u8),
            had_body: AtomicBool::new(false),
            task: AtomicWaker::new(),
            has_many: AtomicBool::new(false),
            answers: Mutex::default(),
            told: Mutex::default(),
            holds_back: AtomicBool::new(false),
        }
    }

    /// Another one on the same clock.
    pub(crate) fn apart(&self, limits: &Limits) -> Self {
        Self::new(Arc::clone(&self.clock), limits)
    }

    /// Before the first head TLS has to come about.
    pub(crate) fn shakes_hands(&self) {
        self.wait(HANDSHAKE, self.handshake_ms);
    }

    /// TLS has come about: the first head is awaited. With HTTP/2 there will be many at a time.
    pub(crate) fn has_shaken_hands(&self, has_many: bool) {
        self.has_many.store(has_many, Ordering::Relaxed);
        self.wait(NEW, self.head_ms);
    }

    /// Bytes came. The first ones after a pause start a head, whose deadline later bytes do not
    /// move: a byte now and then keeps nobody connected. True when a head begins with them.
    pub(crate) fn bytes_came(&self) -> bool {
        match self.phase.load(Ordering::Relaxed) {
            IDLE => {
                self.wait(HEAD, self.head_ms);
                true
            }
            NEW => {
                // The deadline of a first head runs from the connect.
                self.phase.store(HEAD, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// A complete head was handed to the service.
    pub(crate) fn request_began(&self) {
        self.phase.store(BUSY, Ordering::Relaxed);
        self.read_deadline_ms.store(0, Ordering::Relaxed);
    }

    /// The request has a body.
    pub(crate) fn body_announced(&self) {
        self.had_body.store(true, Ordering::Relaxed);
    }

    /// True when the client may have sent what nobody read.
    pub(crate) fn may_have_unread(&self) -> bool {
        self.had_body.load(Ordering::Relaxed)
    }

    /// The last answer was written; what the client still sends is dropped for a short while.
    pub(crate) fn lingers(&self) {
        if self.phase.load(Ordering::Relaxed) != LAST {
            self.wait(LAST, LINGER_MS);
        }
    }

    /// The service has its answer; what follows is the wait for the next request.
    pub(crate) fn answer_made(&self) {
        self.wait(IDLE, self.idle_ms);
    }

    /// The answer, a stream, has more of an event that it has begun, or has not any more.
    pub(crate) fn hold_back(&self, holds: bool) {
        self.holds_back.store(holds, Ordering::Relaxed);
    }

    /// True when nobody else may write: an event has begun.
    pub(crate) fn holds_back(&self) -> bool {
        self.holds_back.load(Ordering::Relaxed)
    }

    /// The answer is a stream: it goes on as long as the client takes what is to be sent, within
    /// this time each.
    /// `told`: of what the pump may write while the task rests.
    pub(crate) fn streams(&self, patience: Duration, told: Option<Told>) {
        *self.told.lock() = told;
        let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.write_ms.store(patience_ms, Ordering::Relaxed);
        self.phase.store(STREAM, Ordering::Relaxed);
        self.read_deadline_ms.store(0, Ordering::Relaxed);
    }

    /// What is told over it, of what the pump may write.
    pub(crate) fn told(&self) -> Option<Told> {
        self.told.lock().clone()
    }

    /// The stream has ended.
    pub(crate) fn stream_ended(&self) {
        *self.told.lock() = None;
        self.answer_made();
    }

    /// True when the answer is a stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == STREAM
    }

    /// The socket takes no more. The deadline is for the whole of what is to be written, so
    /// that a client which reads a byte now and then does not live on.
    pub(crate) fn write_blocked(&self) {
        if self.write_deadline_ms.load(Ordering::Relaxed) == 0 {
            let limit_ms = self.write_ms.load(Ordering::Relaxed);
            let deadline = self.clock.now_ms().saturating_add(limit_ms);
            self.write_deadline_ms.store(deadline, Ordering::Relaxed);
        }
    }

    /// True while the socket takes no more.
    pub(crate) fn is_blocked(&self) -> bool {
        self.write_deadline_ms.load(Ordering::Relaxed) != 0
    }

    /// All that was to be written went to the socket.
    pub(crate) fn written(&self) {
        if self.write_deadline_ms.load(Ordering::Relaxed) != 0 {
            self.write_deadline_ms.store(0, Ordering::Relaxed);
        }
    }

    fn wait(&self, phase: u8, limit_ms: u64) {
        self.phase.store(phase, Ordering::Relaxed);
        let deadline = self.clock.now_ms().saturating_add(limit_ms);
        self.read_deadline_ms.store(deadline, Ordering::Relaxed);
    }

    /// The deadline that has passed, if one has.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<Overdue> {
        let passed = |deadline: &AtomicU64| {
            let deadline_ms = deadline.load(Ordering::Relaxed);
            deadline_ms != 0 && deadline_ms <= now_ms
        };
        if passed(&self.write_deadline_ms) {
            return Some(Overdue::Write);
        }
        let phase = self.phase.load(Ordering::Relaxed);
        if phase == MANY
            && let Some(late) = self.late_answer(now_ms)
        {
            return Some(late);
        }
        if passed(&self.read_deadline_ms) {
            return Some(match phase {
                HANDSHAKE => Overdue::Handshake,
                NEW | HEAD => Overdue::Head,
                _ => Overdue::Idle,
            });
        }
        None
    }

    /// Since when nothing was asked and nothing is left to answer: from the connect, or from the
    /// last answer. `None` while a request comes or is answered.
    pub(crate) fn quiet_since_ms(&self) -> Option<u64> {
        let limit_ms = match self.phase.load(Ordering::Relaxed) {
            HANDSHAKE => self.handshake_ms,
            NEW => self.head_ms,
            IDLE => self.idle_ms,
            _ => return None,
        };
        let deadline_ms = self.read_deadline_ms.load(Ordering::Relaxed);
        Some(deadline_ms.saturating_sub(limit_ms))
    }

    /// True when the connection answers many requests at a time.
    pub(crate) fn has_many(&self) -> bool {
        self.has_many.load(Ordering::Relaxed)
    }

    /// Tells the connection's task what to do. Orders only get stricter. False when the same
    /// or a stricter one was given before.
    pub(crate) fn give(&self, order: Order) -> bool {
        let before = self.order.fetch_max(order as u8, Ordering::AcqRel);
        if before < order as u8 {
            self.task.wake();
            return true;
        }
        false
    }

    /// The strictest order given.
    pub(crate) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Drain,
            _ => Order::Close,
        }
    }

    /// Names the task to wake when an order comes.
    pub(crate) fn runs_in(&self, task: &Waker) {
        self.task.register(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> (Arc<CoarseClock>, ConnectionState) {
        let clock = Arc::new(CoarseClock::new());
        let state = ConnectionState::new(Arc::clone(&clock), &Limits::default());
        (clock, state)
    }

    #[test]
    fn the_first_head_has_a_short_deadline_and_a_pause_a_long_one() {
        let (_, state) = connection();
        assert_eq!(state.overdue(9_500), None);
        assert_eq!(state.overdue(9_501), Some(Overdue::Head));
        state.request_began();
        assert_eq!(
            state.overdue(u64::MAX),
            None,
            "a request at work is not the client's fault"
        );
        state.answer_made();
        assert_eq!(state.overdue(75_000), None);
        assert_eq!(state.overdue(75_001), Some(Overdue::Idle));
    }

    #[test]
    fn bytes_of_a_head_do_not_move_its_deadline() {
        let (clock, state) = connection();
        state.answer_made();
        assert!(state.bytes_came());
        clock.now_ms.store(9_000, Ordering::Relaxed);
        assert!(!state.bytes_came());
        assert_eq!(state.overdue(9_501), Some(Overdue::Head));
    }

    #[test]
    fn a_client_that_reads_a_little_does_not_move_the_write_deadline() {
        let (clock, state) = connection();
        state.request_began();
        state.write_blocked();
        clock.now_ms.store(29_000, Ordering::Relaxed);
        state.write_blocked();
        assert_eq!(state.overdue(30_001), Some(Overdue::Write));
        state.written();
        assert_eq!(state.overdue(30_001), None);
    }

    #[test]
    fn a_connection_is_quiet_from_the_connect_or_the_answer_to_the_next_byte() {
        let (clock, state) = connection();
        assert_eq!(state.quiet_since_ms(), Some(1));
        assert!(state.bytes_came());
        assert_eq!(state.quiet_since_ms(), None);
        state.request_began();
        assert_eq!(state.quiet_since_ms(), None);
        clock.now_ms.store(500, Ordering::Relaxed);
        state.answer_made();
        assert_eq!(state.quiet_since_ms(), Some(500));
        assert!(state.bytes_came());
        assert_eq!(state.quiet_since_ms(), None);
    }

    #[test]
    fn a_handshake_and_the_head_after_it_have_a_deadline_each() {
        let (clock, state) = connection();
        state.shakes_hands();
        assert_eq!(state.overdue(9_501), Some(Overdue::Handshake));
        clock.now_ms.store(9_000, Ordering::Relaxed);
        state.has_shaken_hands(false);
        assert_eq!(state.overdue(18_499), None);
        assert_eq!(state.overdue(18_500), Some(Overdue::Head));
    }

    #[test]
    fn orders_only_get_stricter() {
        let (_, state) = connection();
        assert!(state.give(Order::Close));
        assert!(!state.give(Order::Drain));
        assert_eq!(state.order(), Order::Close);
    }
}
