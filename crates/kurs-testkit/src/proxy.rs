//! A TCP proxy with faults, for servers that cannot be asked to misbehave.

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does to the bytes at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Every piece of bytes comes this much later, both ways.
    pub latency: Duration,
    /// Bytes to the client stop; the connection stays open (half-open silence).
    pub mute_server: bool,
    /// Bytes to the server stop.
    pub mute_client: bool,
    /// At most so many bytes a second each way.
    pub bytes_per_second: Option<u32>,
    /// New connections are closed at once.
    pub refuse: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Cut,
    Reset,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: watch::Sender<Weather>,
    ends: watch::Sender<Option<(u64, End)>>,
    accepted: Mutex<u64>,
}

/// A running proxy; dropping it ends all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before a server, on a free port of the loopback address.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port can be bound");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            target,
            weather: watch::Sender::new(Weather::default()),
            ends: watch::Sender::new(None),
            accepted: Mutex::new(0),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes from now on.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Fair weather again.
    pub fn heal(&self) {
        self.set(Weather::default());
    }

    /// Closes all living connections.
    pub fn cut(&self) {
        self.end(End::Cut);
    }

    /// Resets all living connections.
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    fn end(&self, how: End) {
        let number = self.shared.ends.borrow().map_or(0, |(number, _)| number) + 1;
        self.shared.ends.send_replace(Some((number, how)));
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        *self.shared.accepted.lock()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set with this task ends the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        *shared.accepted.lock() += 1;
        if !shared.weather.borrow().refuse {
            connections.spawn(carry(client, shared.clone()));
        }
    }
}

async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let mut ends = shared.ends.subscribe();
    ends.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(shared.target).await else {
        return;
    };
    for stream in [&client, &server] {
        // Small writes must not wait for each other.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let mut up = Pipe {
        from: from_client,
        to: to_server,
        weather: shared.weather.subscribe(),
    };
    let mut down = Pipe {
        from: from_server,
        to: to_client,
        weather: shared.weather.subscribe(),
    };
    let end = tokio::select! {
        () = up.run(|weather| weather.mute_client) => None,
        () = down.run(|weather| weather.mute_server) => None,
        _ = ends.changed() => *ends.borrow(),
    };
    if matches!(end, Some((_, End::Reset))) {
        for stream in [&client, &server] {
            // Lingering for zero seconds makes the system send RST.
            let _ = stream.set_zero_linger();
        }
    }
}

/// One direction.
struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    weather: watch::Receiver<Weather>,
}

impl Pipe<'_> {
    async fn run(&mut self, is_mute: fn(&Weather) -> bool) {
        let mut buffer = vec![0; 16 * 1_024];
        loop {
            let limit = match self.weather.borrow().bytes_per_second {
                // A tenth of a second's worth at a time.
                Some(rate) => (usize::try_from(rate).unwrap_or(1) / 10).clamp(1, buffer.len()),
                None => buffer.len(),
            };
            let count = match self.from.read(&mut buffer[..limit]).await {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            let weather = *self.weather.borrow();
            let mut pause = weather.latency;
            if let Some(rate) = weather.bytes_per_second {
                let bytes = u32::try_from(count).unwrap_or(u32::MAX);
                pause += Duration::from_secs(1) * bytes / rate.max(1);
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if self
                .weather
                .wait_for(|weather| !is_mute(weather))
                .await
                .is_err()
                || self.to.write_all(&buffer[..count]).await.is_err()
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Duration = Duration::from_secs(30);

    /// A server that sends every byte back.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn connected(proxy: &Proxy) -> TcpStream {
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(b"a").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'a');
        client
    }

    #[tokio::test]
    async fn a_mute_server_is_silent_on_an_open_connection_until_healed() {
        let proxy = Proxy::start(echo().await).await;
        let mut client = connected(&proxy).await;
        proxy.set(Weather {
            mute_server: true,
            ..Weather::default()
        });
        client.write_all(b"b").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(200), client.read_u8()).await;
        assert!(silence.is_err(), "something came: {silence:?}");
        proxy.heal();
        let byte = tokio::time::timeout(GUARD, client.read_u8())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(byte, b'b');
    }

    #[tokio::test]
    async fn a_cut_ends_a_connection_and_a_reset_breaks_it() {
        let proxy = Proxy::start(echo().await).await;
        let mut client = connected(&proxy).await;
        proxy.cut();
        let end = tokio::time::timeout(GUARD, client.read(&mut [0]))
            .await
            .unwrap();
        assert_eq!(end.unwrap(), 0);
        let mut client = connected(&proxy).await;
        proxy.reset();
        let end = tokio::time::timeout(GUARD, client.read(&mut [0]))
            .await
            .unwrap();
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.accepted(), 2);
    }
}
