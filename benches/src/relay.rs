//! Somebody between kurs and a simulated venue: passes every frame on, counts, hides some, and
//! writes frames of its own between them. One thread per direction, blocking writes: what is
//! written is on its way to kurs when the call returns.

mod frame;

use frame::Head;
pub(crate) use frame::{binary, ping, text};

use crate::client;
use crate::process;
use anyhow::{Context as _, Result, bail, ensure};
use parking_lot::{Condvar, Mutex};
use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A client that takes nothing for this long has failed.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How often a thread without work looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest head of a handshake.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Read at once from the venue.
const READ_BYTES: usize = 64 << 10;
/// Threads of a flood stand behind everything else on their core.
pub(crate) const FLOOD_NICENESS: u8 = 10;

/// What is done to the frames of a venue.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// Frames with this text count as messages of order books.
    pub(crate) book: &'static str,
    /// Frames with this text are not passed on.
    pub(crate) hidden: Option<&'static str>,
}

/// What passed so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Passed {
    pub(crate) frames: u64,
    pub(crate) books: u64,
    pub(crate) bytes: u64,
    /// Connections whose handshake was done.
    pub(crate) connections: u64,
    pub(crate) flood_frames: u64,
    pub(crate) flood_bytes: u64,
    /// Connections that the flood was written into.
    pub(crate) flooded: u64,
}

impl Passed {
    /// What passed since an earlier moment.
    pub(crate) const fn since(self, earlier: &Self) -> Self {
        Self {
            frames: self.frames - earlier.frames,
            books: self.books - earlier.books,
            bytes: self.bytes - earlier.bytes,
            connections: self.connections - earlier.connections,
            flood_frames: self.flood_frames - earlier.flood_frames,
            flood_bytes: self.flood_bytes - earlier.flood_bytes,
            flooded: self.flooded - earlier.flooded,
        }
    }
}

/// Frames ready to be written, all at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
}

impl Chunk {
    /// One frame more.
    pub(crate) fn add(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.frames += 1;
    }
}

#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    books: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    flood_frames: AtomicU64,
    flood_bytes: AtomicU64,
    flooded: AtomicU64,
}

/// One connection of kurs.
#[derive(Debug)]
struct Line {
    number: u64,
    out: Mutex<TcpStream>,
    over: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    venue: SocketAddr,
    rules: Rules,
    counts: Counts,
    over: AtomicBool,
    /// Connections past their handshake, the newest last.
    lines: Mutex<Vec<Arc<Line>>>,
    /// What the venue is flooded with; empty: nothing.
    flood: Mutex<Arc<[Chunk]>>,
    changed: Condvar,
    flood_begun: Mutex<Option<Instant>>,
}

/// A running relay. Dropping it ends its connections.
#[derive(Debug)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    door: Option<JoinHandle<()>>,
}

impl Relay {
    /// Stands in for the venue at this address.
    pub(crate) fn open(venue: SocketAddr, rules: Rules) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            venue,
            rules,
            counts: Counts::default(),
            over: AtomicBool::new(false),
            lines: Mutex::default(),
            flood: Mutex::new(Arc::from([])),
            changed: Condvar::new(),
            flood_begun: Mutex::new(None),
        });
        let inside = Arc::clone(&shared);
        let door = Some(std::thread::spawn(move || accept(&listener, &inside)));
        Ok(Self {
            shared,
            address,
            door,
        })
    }

    /// What passed so far.
    pub(crate) fn passed(&self) -> Passed {
        let counts = &self.shared.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Passed {
            frames: of(&counts.frames),
            books: of(&counts.books),
            bytes: of(&counts.bytes),
            connections: of(&counts.connections),
            flood_frames: of(&counts.flood_frames),
            flood_bytes: of(&counts.flood_bytes),
            flooded: of(&counts.flooded),
        }
    }

    /// Writes a frame into the newest connection. Gives the moment just before.
    pub(crate) fn write(&self, frame: &[u8]) -> Result<Instant> {
        let line = self.shared.lines.lock().last().cloned();
        let line = line.context("kurs is not connected")?;
        let mut out = line.out.lock();
        let begin = Instant::now();
        out.write_all(frame)
            .context("kurs does not take frames any more")?;
        Ok(begin)
    }

    /// From now on every connection is flooded as fast as it is taken, real frames in between;
    /// each connection begins with another chunk.
    pub(crate) fn flood(&self, chunks: Vec<Chunk>) {
        *self.shared.flood_begun.lock() = None;
        *self.shared.flood.lock() = chunks.into();
        self.shared.changed.notify_all();
    }

    /// Ends the flood.
    pub(crate) fn calm(&self) {
        *self.shared.flood.lock() = Arc::from([]);
    }

    /// When the first byte of the present flood was written.
    pub(crate) fn flood_begun(&self) -> Option<Instant> {
        *self.shared.flood_begun.lock()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        for line in self.shared.lines.lock().iter() {
            // It may be closed already.
            let _ = line.out.lock().shutdown(Shutdown::Both);
        }
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut lines = Vec::new();
    let mut number = 0;
    while !shared.over.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((client, _)) => {
                number += 1;
                let shared = Arc::clone(shared);
                // What goes wrong here kurs sees as a lost connection, which is counted there.
                lines.push(std::thread::spawn(move || {
                    let _ = serve(client, number, &shared);
                }));
                lines.retain(|line| !line.is_finished());
            }
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
    for line in lines {
        let _ = line.join();
    }
}

/// One connection to its end.
fn serve(client: TcpStream, number: u64, shared: &Arc<Shared>) -> Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    client.set_write_timeout(Some(WRITE_LIMIT))?;
    let venue = TcpStream::connect_timeout(&shared.venue, WRITE_LIMIT)?;
    venue.set_nodelay(true)?;
    let (mut from_client, mut to_venue) = (client.try_clone()?, venue.try_clone()?);
    let up = std::thread::spawn(move || {
        // Either side may end; then so does the other.
        let _ = std::io::copy(&mut from_client, &mut to_venue);
        let _ = to_venue.shutdown(Shutdown::Both);
        let _ = from_client.shutdown(Shutdown::Both);
    });
    let line = Arc::new(Line {
        number,
        out: Mutex::new(client),
        over: AtomicBool::new(false),
    });
    let passed = pass(&venue, &line, shared);
    line.over.store(true, Ordering::Release);
    shared.changed.notify_all();
    shared.lines.lock().retain(|open| open.number != number);
    let _ = line.out.lock().shutdown(Shutdown::Both);
    let _ = venue.shutdown(Shutdown::Both);
    let _ = up.join();
    passed
}

/// From the venue to kurs: first the handshake's answer, then frames.
fn pass(venue: &TcpStream, line: &Arc<Line>, shared: &Arc<Shared>) -> Result<()> {
    let mut waiting = Vec::with_capacity(READ_BYTES);
    let mut chunk = vec![0; READ_BYTES];
    let mut read = |waiting: &mut Vec<u8>| -> Result<()> {
        let count = client::read_some(venue, &mut chunk)?;
        ensure!(count > 0, "the venue closed the connection");
        waiting.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    };
    let head_bytes = loop {
        if let Some(at) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(waiting.len() < HEAD_BYTES_MAX, "the handshake has no end");
        read(&mut waiting)?;
    };
    let is_open = waiting.starts_with(b"HTTP/1.1 101");
    let head: Vec<u8> = waiting.drain(..head_bytes).collect();
    line.out.lock().write_all(&head)?;
    if !is_open {
        bail!("the venue refused the handshake");
    }
    shared.counts.connections.fetch_add(1, Ordering::Relaxed);
    shared.lines.lock().push(Arc::clone(line));
    let (flooded, inside) = (Arc::clone(line), Arc::clone(shared));
    let flooding = std::thread::spawn(move || flood(&flooded, &inside));
    let passing = loop {
        while let Some(head) = Head::of(&waiting) {
            let Some(whole) = waiting.get(..head.bytes + head.payload_bytes) else {
                break;
            };
            shared.pass(line, whole, head)?;
            waiting.drain(..head.bytes + head.payload_bytes);
        }
        if let Err(error) = read(&mut waiting) {
            break error;
        }
    };
    line.over.store(true, Ordering::Release);
    shared.changed.notify_all();
    let _ = flooding.join();
    Err(passing)
}

impl Shared {
    fn pass(&self, line: &Line, whole: &[u8], head: Head) -> Result<()> {
        let payload = whole.get(head.bytes..).unwrap_or_default();
        if self
            .rules
            .hidden
            .is_some_and(|hidden| has(payload, hidden.as_bytes()))
        {
            return Ok(());
        }
        if head.is_data {
            let is_book = has(payload, self.rules.book.as_bytes());
            self.counts.frames.fetch_add(1, Ordering::Relaxed);
            self.counts
                .books
                .fetch_add(u64::from(is_book), Ordering::Relaxed);
            let bytes = u64::try_from(whole.len())?;
            self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        line.out.lock().write_all(whole)?;
        Ok(())
    }
}

/// Whether one text is in another. The mark is near the beginning of every frame that has it.
fn has(payload: &[u8], mark: &[u8]) -> bool {
    let beginning = payload.get(..256).unwrap_or(payload);
    !mark.is_empty() && beginning.windows(mark.len()).any(|part| part == mark)
}

/// Floods a connection while there is a flood.
fn flood(line: &Line, shared: &Shared) {
    // In its place among the others it only makes more noise.
    let _ = process::stand_back(FLOOD_NICENESS);
    let mut next = usize::try_from(line.number).unwrap_or_default();
    let mut counted = false;
    loop {
        if shared.over.load(Ordering::Acquire) || line.over.load(Ordering::Acquire) {
            return;
        }
        let mut present = shared.flood.lock();
        if present.is_empty() {
            counted = false;
            shared.changed.wait_for(&mut present, LOOK_EVERY);
            continue;
        }
        let chunks = Arc::clone(&present);
        drop(present);
        let Some(chunk) = chunks.get(next % chunks.len()) else {
            return;
        };
        next += 1;
        if !counted {
            counted = true;
            shared.counts.flooded.fetch_add(1, Ordering::Relaxed);
            shared.flood_begun.lock().get_or_insert_with(Instant::now);
        }
        let mut out = line.out.lock();
        let written = out.write_all(&chunk.bytes);
        // The real frames must get their turn.
        parking_lot::MutexGuard::unlock_fair(out);
        if written.is_err() {
            return;
        }
        let bytes = u64::try_from(chunk.bytes.len()).unwrap_or_default();
        let counts = &shared.counts;
        counts.flood_bytes.fetch_add(bytes, Ordering::Relaxed);
        counts
            .flood_frames
            .fetch_add(chunk.frames, Ordering::Relaxed);
    }
}
