//! Many clients of streams, on one thread: they count what they hear and how late.

use super::scene::Written;
use crate::frames;
use anyhow::{Result, anyhow, bail, ensure};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Width of a step of the histogram, nanoseconds.
const STEP: u64 = 20_000;
/// Steps: up to two seconds.
const STEPS: usize = 100_000;
/// Frames of which it is counted who has heard them.
const FRAMES: usize = 1 << 14;
/// What is read at a time.
const READ_BYTES: usize = 8 << 10;
/// Connections that are being made at a time, unless all come at once.
const AT_A_TIME: usize = 64;
/// Until all are there.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// Pause before another attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// What a best price is found by.
const BID: &[u8] = b"\"bid\":\"";
/// A ping of a WebSocket server without a payload, and the answer to it.
const PING: [u8; 2] = [0x89, 0];
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// How clients listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Server-sent events.
    Sse,
    /// WebSocket.
    WebSocket,
    /// They say nothing and are told everything.
    Raw,
}

impl Way {
    fn request(self, from: &str) -> Vec<u8> {
        let from = if from.is_empty() {
            String::new()
        } else {
            format!("Last-Event-ID: {from}\r\n")
        };
        match self {
            Self::Sse => {
                format!("GET /api/v1/stream?topics=rates HTTP/1.1\r\nHost: localhost\r\n{from}\r\n")
                    .into_bytes()
            }
            Self::WebSocket => {
                b"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    .to_vec()
            }
            Self::Raw => Vec::new(),
        }
    }
}

/// What all clients of a crowd have seen.
#[derive(Debug)]
pub(super) struct Seen {
    written: Arc<Written>,
    pub(super) bytes: AtomicU64,
    /// Prices heard, all clients together.
    pub(super) events: AtomicU64,
    /// Bytes and prices of one client.
    sample_bytes: AtomicU64,
    sample_events: AtomicU64,
    sample: Mutex<Vec<u8>>,
    /// Deliveries by how late they were.
    steps: Vec<AtomicU32>,
    /// By the number of a frame: who has heard it, and when the last of them.
    heard_by: Vec<AtomicU32>,
    heard_at: Vec<AtomicU64>,
    /// Clients that listen: they have heard something.
    pub(super) listening: AtomicUsize,
    /// Clients that have heard a price of at least this number.
    wanted: AtomicU64,
    pub(super) with_wanted: AtomicUsize,
    /// Answers of 500 and more, other refusals, connections that could not be made or were lost.
    pub(super) server_errors: AtomicUsize,
    pub(super) refused: AtomicUsize,
    pub(super) lost: AtomicUsize,
    is_over: AtomicBool,
}

impl Seen {
    fn new(written: Arc<Written>) -> Self {
        Self {
            written,
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            sample_bytes: AtomicU64::new(0),
            sample_events: AtomicU64::new(0),
            sample: Mutex::default(),
            steps: (0..STEPS).map(|_| AtomicU32::new(0)).collect(),
            heard_by: (0..FRAMES).map(|_| AtomicU32::new(0)).collect(),
            heard_at: (0..FRAMES).map(|_| AtomicU64::new(0)).collect(),
            listening: AtomicUsize::new(0),
            wanted: AtomicU64::new(u64::MAX),
            with_wanted: AtomicUsize::new(0),
            server_errors: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Forgets how late everything was.
    pub(super) fn forget(&self) {
        for step in &self.steps {
            step.store(0, Ordering::Relaxed);
        }
    }

    /// How late a delivery was that so many of a thousand did not exceed, microseconds.
    pub(super) fn late_us(&self, per_mille: u64) -> f64 {
        let counts = self.steps.iter().map(|step| step.load(Ordering::Relaxed));
        let total: u64 = counts.clone().map(u64::from).sum();
        let rank = (total * per_mille).div_ceil(1_000).max(1);
        let mut so_far = 0;
        for (step, count) in counts.enumerate() {
            so_far += u64::from(count);
            if so_far >= rank {
                return (step as f64 + 0.5) * STEP as f64 / 1e3;
            }
        }
        0.0
    }

    /// From the writing of each of these frames to the moment when the last client had it,
    /// nanoseconds; those that not all have heard are left out.
    pub(super) fn last_of(&self, numbers: std::ops::Range<u64>, clients: usize) -> Vec<u64> {
        let all = |number: &u64| {
            let place = usize::try_from(*number).unwrap_or_default() % FRAMES;
            usize::try_from(self.heard_by[place].load(Ordering::Relaxed)).unwrap_or_default()
                >= clients
        };
        let late = |number: u64| {
            let place = usize::try_from(number).unwrap_or_default() % FRAMES;
            let at = self.heard_at[place].load(Ordering::Relaxed);
            at.saturating_sub(self.written.at(number))
        };
        numbers.filter(all).map(late).collect()
    }

    /// From now on it is counted who has heard a price of at least this number.
    fn want(&self, number: u64) {
        self.with_wanted.store(0, Ordering::Release);
        self.wanted.store(number, Ordering::Release);
    }

    /// Takes a price in. Returns its number.
    fn price(&self, text: &[u8]) -> Option<u64> {
        let end = text.iter().position(|byte| *byte == b'"')?;
        let bid = std::str::from_utf8(text.get(..end)?).ok()?;
        let number = frames::number_of(bid)?;
        self.events.fetch_add(1, Ordering::Relaxed);
        let now = self.written.now();
        let late = now.saturating_sub(self.written.at(number));
        let step = usize::try_from(late / STEP).unwrap_or(STEPS).min(STEPS - 1);
        self.steps[step].fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number).unwrap_or_default() % FRAMES;
        // The next round of numbers begins anew.
        let ahead = (place + FRAMES / 2) % FRAMES;
        self.heard_by[ahead].store(0, Ordering::Relaxed);
        self.heard_by[place].fetch_add(1, Ordering::Relaxed);
        self.heard_at[place].store(now, Ordering::Relaxed);
        Some(number)
    }
}

/// Clients that listen until this is dropped.
pub(super) struct Crowd {
    pub(super) seen: Arc<Seen>,
    pub(super) count: usize,
    cut: watch::Sender<u64>,
    _tasks: JoinSet<()>,
}

/// One client.
struct Client {
    way: Way,
    address: SocketAddr,
    seen: Arc<Seen>,
    cut: watch::Receiver<u64>,
    door: Arc<Semaphore>,
    /// It is the one whose bytes and prices are compared.
    is_sample: bool,
    /// What it heard last, to go on from there.
    last: Vec<u8>,
    /// The number that it was waited for last, once it has heard it.
    has: u64,
}

impl Crowd {
    /// Opens so many and waits until all have heard something.
    pub(super) fn open(
        runtime: &Runtime,
        way: Way,
        address: SocketAddr,
        count: usize,
        written: &Arc<Written>,
    ) -> Result<Self> {
        let seen = Arc::new(Seen::new(Arc::clone(written)));
        let (cut, heard) = watch::channel(0);
        let door = Arc::new(Semaphore::new(AT_A_TIME));
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let client = Client {
                way,
                address,
                seen: Arc::clone(&seen),
                cut: heard.clone(),
                door: Arc::clone(&door),
                is_sample: number == 0,
                last: Vec::new(),
                has: 0,
            };
            tasks.spawn_on(client.run(), runtime.handle());
        }
        let crowd = Self {
            seen,
            count,
            cut,
            _tasks: tasks,
        };
        let deadline = Instant::now() + OPEN_LIMIT;
        while crowd.listening() < count {
            ensure!(
                Instant::now() < deadline,
                "only {} of {count} clients listen after {OPEN_LIMIT:?}: {} refused, {} lost",
                crowd.listening(),
                crowd.seen.refused.load(Ordering::Relaxed),
                crowd.seen.lost.load(Ordering::Relaxed)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(crowd)
    }

    pub(super) fn listening(&self) -> usize {
        self.seen.listening.load(Ordering::Acquire)
    }

    /// Bytes of one price as it comes over the wire, on the average.
    pub(super) fn bytes_each(&self) -> Result<f64> {
        let events = self.seen.sample_events.load(Ordering::Relaxed);
        ensure!(events > 0, "no price was heard");
        Ok(self.seen.sample_bytes.load(Ordering::Relaxed) as f64 / events as f64)
    }

    /// Bytes that all clients together have received.
    pub(super) fn bytes(&self) -> f64 {
        self.seen.bytes.load(Ordering::Relaxed) as f64
    }

    /// What one client has read last, with a price in it.
    pub(super) fn sample(&self) -> Vec<u8> {
        self.seen.sample.lock().clone()
    }

    /// Begins to count bytes and prices anew.
    pub(super) fn begin(&self) {
        self.seen.sample_bytes.store(0, Ordering::Relaxed);
        self.seen.sample_events.store(0, Ordering::Relaxed);
        self.seen.bytes.store(0, Ordering::Relaxed);
        self.seen.events.store(0, Ordering::Relaxed);
    }

    /// From now on it is waited for a price that is not written yet.
    pub(super) fn want_news(&self) {
        self.seen.want(self.seen.written.next() + 1);
    }

    /// All close their connections and come back at once.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }

    /// Waits until all have heard news. Returns how many have.
    pub(super) fn wait_for_news(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        loop {
            let have = self.seen.with_wanted.load(Ordering::Acquire);
            if have >= self.count || Instant::now() > deadline {
                return have;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.seen.is_over.store(true, Ordering::Release);
    }
}

impl Client {
    async fn run(mut self) {
        let mut permit = Arc::clone(&self.door).acquire_owned().await.ok();
        while !self.seen.is_over.load(Ordering::Acquire) {
            if self.listen(&mut permit).await.is_err() {
                self.seen.lost.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// One connection to its end; `Ok` when it was cut from here.
    async fn listen(&mut self, permit: &mut Option<OwnedSemaphorePermit>) -> Result<()> {
        self.cut.mark_unchanged();
        let mut socket = TcpStream::connect(self.address).await?;
        // Thousands of ports are not left waiting.
        socket.set_zero_linger()?;
        let from = last_id(&self.last);
        socket.write_all(&self.way.request(&from)).await?;
        let mut piece = vec![0; READ_BYTES];
        if self.way != Way::Raw {
            self.head(&mut socket, &mut piece).await?;
        }
        if self.way == Way::WebSocket {
            let command = r#"{"id":1,"op":"subscribe","topics":["rates"]}"#;
            socket.write_all(&masked(command)).await?;
        }
        let mut is_listening = false;
        let outcome = loop {
            let count = tokio::select! {
                biased;
                read = socket.read(&mut piece) => match read {
                    Ok(0) => break Err(anyhow!("the server closed the connection")),
                    Ok(count) => count,
                    Err(error) => break Err(error.into()),
                },
                _ = self.cut.changed() => break Ok(()),
            };
            let text = piece.get(..count).unwrap_or_default();
            if !self.take(text) && !is_listening {
                // What it was told first: it listens with the first price.
                continue;
            }
            if !is_listening {
                is_listening = true;
                *permit = None;
                self.seen.listening.fetch_add(1, Ordering::AcqRel);
            }
            if self.way == Way::WebSocket && text.windows(2).any(|two| two == PING) {
                // A few bytes always find their place.
                let _ = socket.try_write(&PONG);
            }
        };
        if is_listening {
            self.seen.listening.fetch_sub(1, Ordering::AcqRel);
        }
        outcome
    }

    /// Reads the head of the answer, byte by byte: what follows it is left for later.
    async fn head(&self, socket: &mut TcpStream, piece: &mut [u8]) -> Result<()> {
        let mut head = Vec::with_capacity(512);
        while !head.ends_with(b"\r\n\r\n") {
            let count = socket.peek(piece).await?;
            ensure!(count > 0, "the server closed the connection");
            let came = piece.get(..count).unwrap_or_default();
            let end = came.windows(4).position(|four| four == b"\r\n\r\n");
            let taken = end.map_or(count, |at| at + 4);
            let mut part = vec![0; taken];
            socket.read_exact(&mut part).await?;
            head.extend_from_slice(&part);
        }
        let status = head.get(9..12).unwrap_or_default();
        if matches!(status, b"200" | b"101") {
            return Ok(());
        }
        let counter = match status.first() {
            Some(b'5') => &self.seen.server_errors,
            _ => &self.seen.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        bail!("refused: {}", String::from_utf8_lossy(status))
    }

    /// Takes in what was read. True when there was a price in it.
    fn take(&mut self, text: &[u8]) -> bool {
        let seen = Arc::clone(&self.seen);
        let count = u64::try_from(text.len()).unwrap_or_default();
        seen.bytes.fetch_add(count, Ordering::Relaxed);
        let mut prices = 0;
        let mut rest = text;
        while let Some(at) = find(rest, BID) {
            rest = rest.get(at + BID.len()..).unwrap_or_default();
            if let Some(number) = seen.price(rest) {
                prices += 1;
                let wanted = seen.wanted.load(Ordering::Acquire);
                if number >= wanted && self.has != wanted {
                    self.has = wanted;
                    seen.with_wanted.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
        if self.is_sample {
            seen.sample_bytes.fetch_add(count, Ordering::Relaxed);
            seen.sample_events.fetch_add(prices, Ordering::Relaxed);
            if prices > 0 {
                text.clone_into(&mut *seen.sample.lock());
            }
        }
        if prices > 0 && self.way == Way::Sse {
            self.last.clear();
            self.last.extend_from_slice(text);
        }
        prices > 0
    }
}

/// The place after the last event of these, if they begin with one.
fn last_id(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().rev();
    let id = lines.filter_map(|line| line.strip_prefix("id: ")).next();
    id.unwrap_or_default().to_owned()
}

/// Where one text is in another.
fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    let first = *mark.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text.get(at..at + mark.len())? == mark {
            return Some(at);
        }
        from = at + 1;
    }
}

/// A text as a client of a WebSocket sends it, under a mask that changes nothing.
fn masked(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or_default();
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Clients that never read, until this is dropped.
pub(super) struct Sleepers {
    _sockets: Vec<TcpStream>,
}

impl Sleepers {
    /// Opens so many, half of them by each way. Their windows are small, so that they are full
    /// soon.
    pub(super) fn open(runtime: &Runtime, address: SocketAddr, count: usize) -> Result<Self> {
        let open = async {
            let mut sockets = Vec::with_capacity(count);
            for number in 0..count {
                let way = [Way::Sse, Way::WebSocket][number % 2];
                let socket = TcpSocket::new_v4()?;
                socket.set_recv_buffer_size(4_096)?;
                let mut socket = socket.connect(address).await?;
                socket.set_zero_linger()?;
                socket.write_all(&way.request("")).await?;
                if way == Way::WebSocket {
                    let command = r#"{"id":1,"op":"subscribe","topics":["rates"]}"#;
                    // Before the answer: it lies in the socket until the protocol is another.
                    socket.write_all(&masked(command)).await?;
                }
                sockets.push(socket);
            }
            Ok(Self { _sockets: sockets })
        };
        runtime.block_on(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_to_go_on_from_is_that_of_the_last_event() {
        let text = b"1f\r\nid: 0.1-8\nevent: rate\ndata: {}\n\n\r\n1f\r\nid: 0.1-9\nevent: rate\n";
        assert_eq!(last_id(text), "0.1-9");
        assert_eq!(last_id(b""), "");
    }

    #[test]
    fn a_text_is_found_in_another() {
        assert_eq!(find(b"\"b\"\"bid\":\"1", BID), Some(3));
        assert_eq!(find(b"\"bid\":", BID), None);
    }
}
