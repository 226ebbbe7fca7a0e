//! One connection through the proxy: the sockets around two [`Line`]s.

use super::line::{Line, Step};
use super::weather::{Way, Weather};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long a piece may be.
const PIECE_BYTES: usize = 16 * 1_024;

/// How connections end on command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Cut,
    Reset,
}

/// Commands to end all connections, numbered.
pub(super) type Ends = Option<(u64, End)>;

/// What a connection is told when it begins.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) target: SocketAddr,
    pub(super) seed: u64,
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) ends: watch::Receiver<Ends>,
}

/// One side has reset the connection.
struct Broken;

/// Carries bytes between a client and the server until an end.
pub(super) async fn carry(mut client: TcpStream, mut orders: Orders) {
    let connected = tokio::select! {
        server = connect(orders.target, orders.weather.clone()) => server.map_err(|()| End::Cut),
        end = command(&mut orders.ends) => Err(end),
    };
    let mut server = match connected {
        Ok(server) => server,
        Err(end) => return finish(end, [&mut client]).await,
    };
    for stream in [&client, &server] {
        // Small writes must not wait for each other.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let pipe = |from, to, way, seed| Pipe {
        from,
        to,
        way,
        line: Line::new(seed),
        weather: orders.weather.clone(),
    };
    let up = pipe(from_client, to_server, Way::ToServer, orders.seed);
    let down = pipe(from_server, to_client, Way::ToClient, !orders.seed);
    let end = tokio::select! {
        carried = async { tokio::try_join!(up.run(), down.run()) } => match carried {
            Ok(_) => End::Cut,
            Err(Broken) => End::Reset,
        },
        end = command(&mut orders.ends) => end,
    };
    finish(end, [&mut client, &mut server]).await;
}

async fn connect(
    target: SocketAddr,
    mut weather: watch::Receiver<Weather>,
) -> Result<TcpStream, ()> {
    let reads = weather.wait_for(|weather| !weather.never_read).await;
    drop(reads.map_err(|_| ())?);
    TcpStream::connect(target).await.map_err(|_| ())
}

async fn command(ends: &mut watch::Receiver<Ends>) -> End {
    // The sender is gone only together with this task.
    let _ = ends.changed().await;
    ends.borrow().map_or(End::Cut, |(_, end)| end)
}

async fn finish<const COUNT: usize>(end: End, streams: [&mut TcpStream; COUNT]) {
    for stream in streams {
        match end {
            // Lingering for zero seconds makes the system send RST.
            End::Reset => drop(stream.set_zero_linger()),
            End::Cut => {
                let _ = stream.shutdown().await;
                // Closing with something unread would reset instead.
                let mut unread = vec![0; PIECE_BYTES];
                for _ in 0..64 {
                    if !matches!(stream.try_read(&mut unread), Ok(1..)) {
                        break;
                    }
                }
            }
        }
    }
}

/// One way.
struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    way: Way,
    line: Line,
    weather: watch::Receiver<Weather>,
}

impl Pipe<'_> {
    /// Ends when the sender has ended and all is handed over, its end included.
    async fn run(mut self) -> Result<(), Broken> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut ended: Option<Result<(), Broken>> = None;
        loop {
            let weather = *self.weather.borrow_and_update();
            let faults = weather.on(self.way);
            let wait_until = match self.line.step(Instant::now(), &faults) {
                Step::Send(bytes) => {
                    if self.to.write_all(&bytes).await.is_err() {
                        // The other way reads from the same broken socket and tells the sender.
                        return Ok(());
                    }
                    continue;
                }
                Step::WaitUntil(then) => Some(then),
                Step::Rest => None,
            };
            if self.line.is_empty() && !faults.mute {
                match ended {
                    Some(Ok(())) => {
                        let _ = self.to.shutdown().await;
                        return Ok(());
                    }
                    Some(Err(Broken)) => return Err(Broken),
                    None => {}
                }
            }
            let may_read = ended.is_none() && self.line.has_room() && !weather.never_read;
            tokio::select! {
                changed = self.weather.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = sleep_until(wait_until.unwrap_or_else(Instant::now)), if wait_until.is_some() => {}
                read = self.from.read(&mut buffer), if may_read => match read {
                    Ok(0) => ended = Some(Ok(())),
                    Ok(count) => self.line.take(Instant::now(), &buffer[..count], &faults),
                    Err(_) => ended = Some(Err(Broken)),
                },
            }
        }
    }
}
