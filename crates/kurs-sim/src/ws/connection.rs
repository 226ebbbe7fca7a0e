//! The loop of one WebSocket connection: what the client sends, what the hub hands over, the
//! deadlines of the venue, and the faults that hold a whole connection.

use super::outlet::Outgoing;
use crate::faults::Garbage;
use crate::http::socket::Socket;
use crate::shared::Shared;
use crate::venue::Venue;
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

/// An open socket.
pub(crate) type Stream = WebSocketStream<Socket>;

/// Frames taken from the queue at once.
const BATCH: usize = 256;
/// Nonsense sent at once before the client is listened to again.
const GARBAGE_BATCH: usize = 64;
/// A client that takes no bytes for so long is disconnected.
const WRITE_WITHIN: Duration = Duration::from_secs(120);
/// Without deadlines of the venue's, the loop looks up this often.
const LOOK_UP_EVERY: Duration = Duration::from_secs(3_600);

/// What a session wants done.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing.
    GoOn,
    /// Send this at once, before what waits in the queue.
    Say(Message),
    /// Say goodbye and end.
    Goodbye(CloseCode, &'static str),
}

/// The rules of a venue for one connection. Frames that must keep their order with the data go
/// through the queue of the connection instead of a [`Turn`].
pub(crate) trait Session: Send {
    /// When [`Session::on_deadline`] is to be called next.
    fn next_deadline(&self) -> Option<Instant>;
    /// A deadline has come.
    fn on_deadline(&mut self, now: Instant) -> Turn;
    /// The client sent something, pings and pongs included.
    fn on_message(&mut self, message: &Message, now: Instant) -> Turn;
    /// Frames were sent.
    fn on_sent(&mut self, _now: Instant) {}
}

/// The connection is over.
struct Over;

/// A write that had [`WRITE_WITHIN`].
type Timed = Result<Result<(), tungstenite::Error>, tokio::time::error::Elapsed>;

/// One connection.
pub(crate) struct Connection<'a> {
    stream: Stream,
    receiver: mpsc::Receiver<Outgoing>,
    pending: VecDeque<Outgoing>,
    session: Box<dyn Session + 'a>,
    venue: Venue,
    shared: &'a Shared,
    garbage: Garbage,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(
        stream: Stream,
        receiver: mpsc::Receiver<Outgoing>,
        session: Box<dyn Session + 'a>,
        venue: Venue,
        shared: &'a Shared,
    ) -> Self {
        Self {
            stream,
            receiver,
            pending: VecDeque::new(),
            session,
            venue,
            shared,
            garbage: Garbage::new(shared.config.seed),
        }
    }

    /// Runs until the connection ends.
    pub(crate) async fn run(&mut self) {
        let mut faults = self.shared.board.watch();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            faults.mark_unchanged();
            if self.shared.board.is_frozen(self.venue) {
                // Neither read nor written: to the client the venue is a living, mute socket.
                if faults.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let flooding = self.shared.board.is_flooding(self.venue);
            let due = self.next_deadline();
            let next = tokio::select! {
                biased;
                message = self.stream.next() => self.received(message).await,
                () = tokio::time::sleep_until(due.into()) => self.deadlines().await,
                _ = faults.changed() => Ok(()),
                count = self.receiver.recv_many(&mut batch, BATCH), if self.pending.is_empty() => {
                    self.pending.extend(batch.drain(..));
                    if count == 0 { Err(Over) } else { Ok(()) }
                }
                () = std::future::ready(()), if flooding => Ok(()),
            };
            if next.is_err() || self.send_due().await.is_err() {
                return;
            }
            if flooding && self.flood().await.is_err() {
                return;
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let mut due = self
            .session
            .next_deadline()
            .unwrap_or_else(|| Instant::now() + LOOK_UP_EVERY);
        if let Some(at) = self.pending.front().and_then(|frame| frame.at) {
            due = due.min(at);
        }
        due
    }

    async fn deadlines(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        if self.session.next_deadline().is_none_or(|due| now < due) {
            return Ok(());
        }
        let turn = self.session.on_deadline(now);
        self.carry_out(turn).await
    }

    async fn received(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), Over> {
        let Some(Ok(message)) = message else {
            return Err(Over);
        };
        let turn = self.session.on_message(&message, Instant::now());
        self.carry_out(turn).await?;
        match message {
            Message::Close(_) => Err(Over),
            // The pong to a ping is already queued; writing anything sends it.
            Message::Ping(_) => self.flush().await,
            _ => Ok(()),
        }
    }

    async fn carry_out(&mut self, turn: Turn) -> Result<(), Over> {
        match turn {
            Turn::GoOn => Ok(()),
            Turn::Say(message) => {
                let sent = tokio::time::timeout(WRITE_WITHIN, self.stream.send(message)).await;
                let Ok(Ok(())) = sent else {
                    return Err(Over);
                };
                self.session.on_sent(Instant::now());
                Ok(())
            }
            Turn::Goodbye(code, reason) => {
                let frame = CloseFrame {
                    code,
                    reason: reason.into(),
                };
                // The client may be gone already.
                let closing = self.stream.close(Some(frame));
                let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
                Err(Over)
            }
        }
    }

    /// Judges a write that had its time.
    fn written(&self, done: Timed) -> Result<(), Over> {
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over),
            Err(_) => {
                self.shared
                    .ledger
                    .with(self.venue, |state| state.violations.slow_readers += 1);
                Err(Over)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        let done = tokio::time::timeout(WRITE_WITHIN, self.stream.flush()).await;
        self.written(done)
    }

    /// Sends the frames whose time has come, all in one go.
    async fn send_due(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        let is_due = |frame: &Outgoing| frame.at.is_none_or(|at| at <= now);
        if !self.pending.front().is_some_and(is_due) {
            return Ok(());
        }
        let sending = async {
            while self.pending.front().is_some_and(is_due) {
                if let Some(frame) = self.pending.pop_front() {
                    self.stream.feed(Message::Text(frame.text)).await?;
                }
            }
            self.stream.flush().await
        };
        let done = tokio::time::timeout(WRITE_WITHIN, sending).await;
        self.written(done)?;
        self.session.on_sent(Instant::now());
        Ok(())
    }

    async fn flood(&mut self) -> Result<(), Over> {
        let sending = async {
            for _ in 0..GARBAGE_BATCH {
                self.stream.feed(self.garbage.next_message()).await?;
            }
            self.stream.flush().await
        };
        let done = tokio::time::timeout(WRITE_WITHIN, sending).await;
        self.written(done)?;
        // A client on the same thread must get its turn, however fast it reads.
        tokio::task::yield_now().await;
        Ok(())
    }
}
