//! The async shell: carries bytes between sockets, the [`Overlap`] machine and the venue's
//! dialect. It decides nothing itself.

mod dial;
mod dialect;
mod inflow;
mod turns;

use crate::overlap::{Action, Event, Overlap};
use crate::proxy::Proxies;
use crate::settings::Settings;
use crate::stream::StreamSpec;
use bytes::Bytes;
use dial::{DialError, Socket, Target};
pub use dialect::{Dialect, Frame, Heard};
use futures_util::{FutureExt, SinkExt};
use inflow::{Inflow, Row};
use kurs_core::{Clock, Mono, Now};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use turns::{Item, next_message};

/// A peer that does not take a command for this long is lost.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer may take this long to take our farewell.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
/// Without any deadline the shell still looks around this often.
const IDLE: Duration = Duration::from_secs(3_600);

/// A WebSocket client that keeps one connection alive.
#[derive(Debug, Clone)]
pub struct WebSocket {
    /// `ws://` or `wss://`, with path.
    pub url: String,
    /// User-Agent of the handshake.
    pub user_agent: String,
    /// Limits and waits.
    pub settings: Settings,
    /// Proxies of the environment.
    pub proxies: Arc<Proxies>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Seed of the jitter.
    pub seed: u64,
}

impl WebSocket {
    /// Runs until `shutdown` becomes true or its sender is gone. Streams follow `desired`.
    pub async fn run<D: Dialect>(
        self,
        dialect: &mut D,
        mut desired: watch::Receiver<Arc<[StreamSpec]>>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let message_bytes_max = self.settings.message_bytes_max;
        let target = Target::new(
            &self.url,
            &self.user_agent,
            &self.proxies,
            message_bytes_max,
        );
        let mut shell = Shell {
            overlap: Overlap::new(self.settings.clone(), self.seed),
            target: target.map(Arc::new),
            inflow: Inflow::new(self.settings.messages_per_second_max),
            settings: self.settings,
            clock: self.clock,
            dialect,
            row: Row::default(),
            sockets: Vec::new(),
            turn: 0,
            dialling: JoinSet::new(),
            actions: Vec::new(),
            heard: Vec::new(),
            found: Vec::new(),
            look_at: Mono(0),
            deadline: Mono(u64::MAX),
            deadline_stale: true,
        };
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        desired.mark_changed();
        loop {
            // A socket that never runs dry must not keep other tasks from their turn,
            if shell.row.is_full() {
                shell.row = Row::default();
                tokio::task::yield_now().await;
            }
            // nor the timer.
            if shell.clock.now().mono >= shell.deadline {
                shell.advance();
            }
            shell.act().await;
            if shell.deadline_stale {
                timer.as_mut().reset(shell.next_wake());
            }
            tokio::select! {
                biased;
                stop = shutdown.wait_for(|stop| *stop) => {
                    // An error means that nobody is left who could ever say stop.
                    let _ = stop;
                    break;
                }
                () = &mut timer => shell.advance(),
                Ok(()) = desired.changed() => {
                    let streams = desired.borrow_and_update().clone();
                    let now = shell.clock.now().mono;
                    shell.deadline_stale = true;
                    shell.overlap.set_desired(now, &streams, &mut shell.actions);
                }
                Some(dialled) = shell.dialling.join_next() => {
                    if let Ok((number, result)) = dialled {
                        shell.dialled(number, result);
                    }
                }
                (number, item) = next_message(&mut shell.sockets, &mut shell.turn) => {
                    shell.read(number, item);
                }
            }
        }
        shell.close_all().await;
    }
}

struct Shell<'a, D> {
    overlap: Overlap,
    target: Result<Arc<Target>, String>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    dialect: &'a mut D,
    sockets: Vec<(u64, Socket)>,
    inflow: Inflow,
    /// What was read since a socket last ran dry or the others had their turn.
    row: Row,
    turn: usize,
    dialling: JoinSet<(u64, Result<Socket, DialError>)>,
    actions: Vec<Action>,
    /// What frames say, used again for every frame.
    heard: Vec<Heard>,
    /// What the dialect finds between frames, used again.
    found: Vec<(u64, Heard)>,
    /// When the dialect is next asked what it finds.
    look_at: Mono,
    /// When the machine next wants its turn; data without consequences only moves it later.
    deadline: Mono,
    deadline_stale: bool,
}

impl<D: Dialect> Shell<'_, D> {
    fn advance(&mut self) {
        let now = self.clock.now();
        self.deadline_stale = true;
        if now.mono >= self.look_at && !self.sockets.is_empty() {
            self.look_at = now.mono.plus(self.settings.look_every);
            self.look(now);
        }
        self.overlap.advance(now.mono, &mut self.actions);
    }

    fn look(&mut self, now: Now) {
        let mut found = std::mem::take(&mut self.found);
        self.dialect.advance(now, &mut found);
        for (number, heard) in found.drain(..) {
            self.hear(now.mono, number, heard);
        }
        self.found = found;
    }

    fn next_wake(&mut self) -> Instant {
        let now = self.clock.now().mono;
        let latest = now.plus(IDLE);
        self.deadline = self
            .overlap
            .next_deadline(now)
            .map_or(latest, |at| at.min(latest));
        if !self.sockets.is_empty() {
            self.deadline = self.deadline.min(self.look_at);
        }
        self.deadline_stale = false;
        // Timers tick in milliseconds: waking early would only mean waking twice.
        Instant::now() + self.deadline.since(now) + Duration::from_millis(1)
    }

    /// Reads what is there, without asking anybody in between.
    fn read(&mut self, number: u64, item: Item) {
        let now = self.clock.now().mono;
        self.message(now, number, item);
        while self.actions.is_empty() && !self.row.is_full() {
            // Pending here is safe: the caller polls again with its own waker.
            let Some((number, item)) =
                next_message(&mut self.sockets, &mut self.turn).now_or_never()
            else {
                self.row = Row::default();
                return;
            };
            self.message(now, number, item);
        }
    }

    fn message(&mut self, now: Mono, number: u64, item: Item) {
        if let Some(Ok(message)) = &item {
            self.row.add(message.len());
            if !self.inflow.take(now, number) {
                let most = self.settings.messages_per_second_max;
                self.lost(number, format!("sends more than {most} messages a second"));
                return;
            }
        }
        match item {
            Some(Ok(Message::Text(text))) => self.frame(number, text.as_str()),
            Some(Ok(Message::Binary(bytes))) => {
                // What is no text is no frame of any dialect: it will be counted as unreadable.
                self.frame(number, std::str::from_utf8(&bytes).unwrap_or("\u{fffd}"));
            }
            Some(Ok(Message::Ping(_))) => self.event(number, Event::Ponged),
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map_or_else(
                    || "closed by the venue".to_owned(),
                    |frame| format!("closed by the venue with code {}", u16::from(frame.code)),
                );
                self.lost(number, why);
            }
            Some(Ok(Message::Pong(_))) => {
                let now = self.clock.now().mono;
                self.overlap.alive(now, number, None, &mut self.actions);
            }
            Some(Ok(Message::Frame(_))) => {}
            Some(Err(error)) => self.lost(number, error.to_string()),
            None => self.lost(number, "closed by the venue".to_owned()),
        }
    }

    fn frame(&mut self, number: u64, text: &str) {
        let received = self.clock.now();
        let frame = Frame {
            connection: number,
            received,
            text,
        };
        let mut heard = std::mem::take(&mut self.heard);
        self.dialect.frame(frame, &mut heard);
        for heard in heard.drain(..) {
            self.hear(received.mono, number, heard);
        }
        self.heard = heard;
    }

    fn hear(&mut self, now: Mono, number: u64, heard: Heard) {
        let event = match heard {
            Heard::Data(stream) => {
                self.overlap.data(now, number, stream, &mut self.actions);
                return;
            }
            Heard::Alive { stream } => {
                self.overlap.alive(now, number, stream, &mut self.actions);
                return;
            }
            Heard::Unfit { why } => {
                self.lost(number, why);
                return;
            }
            Heard::Accepted { command } => Event::Accepted { command },
            Heard::Refused { command, why } => Event::Refused { command, why },
            Heard::StreamRefused { stream, why } => Event::StreamRefused { stream, why },
            Heard::Renew { stream } => Event::Renew { stream },
            Heard::ShutdownNotice => Event::ShutdownNotice,
        };
        self.event(number, event);
    }

    fn event(&mut self, number: u64, event: Event) {
        let now = self.clock.now().mono;
        self.deadline_stale = true;
        self.overlap.handle(now, number, event, &mut self.actions);
    }

    fn lost(&mut self, number: u64, why: String) {
        self.sockets.retain(|(open, _)| *open != number);
        self.event(number, Event::Lost { why });
    }

    fn dialled(&mut self, number: u64, result: Result<Socket, DialError>) {
        match result {
            // Given up meanwhile.
            Ok(_) if !self.overlap.awaits(number) => {}
            Ok(socket) => {
                self.sockets.push((number, socket));
                self.event(number, Event::Connected);
            }
            Err(error) => {
                let retry_after = match &error {
                    DialError::Refused {
                        status: 403 | 451,
                        retry_after,
                    } => Some(retry_after.unwrap_or(self.settings.refused_delay)),
                    DialError::Refused { retry_after, .. } => *retry_after,
                    DialError::Unreachable(_) => None,
                };
                let why = error.to_string();
                self.event(number, Event::ConnectFailed { why, retry_after });
            }
        }
    }

    /// Does what the machine asked for, and what it asks for in consequence.
    async fn act(&mut self) {
        while !self.actions.is_empty() {
            self.deadline_stale = true;
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Connect { connection } => self.connect(connection),
                    Action::Subscribe {
                        connection,
                        command,
                        streams,
                    } => {
                        let text = self.dialect.subscribe(command, &streams);
                        self.send(connection, Message::text(text)).await;
                    }
                    Action::Unsubscribe {
                        connection,
                        command,
                        streams,
                    } => {
                        let text = self.dialect.unsubscribe(command, &streams);
                        self.send(connection, Message::text(text)).await;
                    }
                    Action::KeepAlive { connection } => {
                        let ping = || Message::Ping(Bytes::new());
                        let sign = self.dialect.keep_alive().map_or_else(ping, Message::text);
                        self.send(connection, sign).await;
                    }
                    Action::Close { connection } => self.close(connection),
                    Action::Notice(notice) => {
                        let now = self.clock.now();
                        self.dialect.notice(notice, now);
                    }
                }
            }
        }
    }

    fn connect(&mut self, number: u64) {
        let target = match &self.target {
            Ok(target) => target.clone(),
            Err(why) => {
                let why = why.clone();
                let retry_after = Some(self.settings.refused_delay);
                self.event(number, Event::ConnectFailed { why, retry_after });
                return;
            }
        };
        // The machine gives up at the same limit; this one ends the task.
        let limit = self.settings.connect_timeout;
        self.dialling.spawn(async move {
            let dialled = tokio::time::timeout(limit, target.dial()).await;
            let late =
                || DialError::Unreachable(format!("no connection within {} ms", limit.as_millis()));
            (number, dialled.unwrap_or_else(|_| Err(late())))
        });
    }

    async fn send(&mut self, number: u64, message: Message) {
        let Some((_, socket)) = self.sockets.iter_mut().find(|(open, _)| *open == number) else {
            return;
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost(number, error.to_string()),
            Err(_) => self.lost(number, "the venue takes no commands".to_owned()),
        }
    }

    /// Says farewell in the background; nothing waits for the answer.
    fn close(&mut self, number: u64) {
        let Some(at) = self.sockets.iter().position(|(open, _)| *open == number) else {
            return;
        };
        let (_, mut socket) = self.sockets.swap_remove(at);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await;
        });
    }

    async fn close_all(&mut self) {
        self.dialling.abort_all();
        let farewells = self
            .sockets
            .iter_mut()
            .map(|(_, socket)| socket.close(None));
        let _ =
            tokio::time::timeout(CLOSE_TIMEOUT, futures_util::future::join_all(farewells)).await;
    }
}
