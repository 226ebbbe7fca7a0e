//! Each fault, as a client and a server see it.

use super::*;
use crate::wait::until;
use parking_lot::Mutex;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GUARD: Duration = Duration::from_secs(30);
/// Long enough for a byte that should not come to come.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that sends every byte back and remembers what it got.
#[derive(Clone)]
struct Echo {
    address: SocketAddr,
    got: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicU64>,
    /// How connections ended: in good order or not.
    ends: Arc<Mutex<Vec<bool>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            connections: Arc::default(),
            ends: Arc::default(),
        };
        let this = echo.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                this.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(this.clone().answer(stream));
            }
        });
        echo
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut buffer = vec![0; 64 * 1_024];
        loop {
            let well = match stream.read(&mut buffer).await {
                Ok(0) => true,
                Err(_) => false,
                Ok(count) => {
                    self.got.lock().extend(&buffer[..count]);
                    if stream.write_all(&buffer[..count]).await.is_ok() {
                        continue;
                    }
                    false
                }
            };
            self.ends.lock().push(well);
            return;
        }
    }

    async fn has_got(&self, count: usize) {
        until("the bytes at the server", GUARD, || {
            (self.got.lock().len() >= count).then_some(())
        })
        .await;
    }
}

async fn connected(proxy: &Proxy) -> TcpStream {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(b"a").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'a');
    client
}

async fn read(client: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let read = tokio::time::timeout(GUARD, client.read_exact(&mut bytes)).await;
    read.unwrap().unwrap();
    bytes
}

async fn assert_silence(client: &mut TcpStream) {
    let silence = tokio::time::timeout(SILENCE, client.read_u8()).await;
    assert!(silence.is_err(), "something came: {silence:?}");
}

fn to_client(faults: Faults) -> Weather {
    Weather {
        to_client: faults,
        ..Weather::default()
    }
}

#[tokio::test]
async fn a_mute_server_is_silent_on_an_open_connection_until_healed() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.set(Weather {
        mute_server: true,
        ..Weather::default()
    });
    client.write_all(b"b").await.unwrap();
    echo.has_got(2).await;
    assert_silence(&mut client).await;
    proxy.heal();
    assert_eq!(read(&mut client, 1).await, b"b");
}

#[tokio::test]
async fn a_mute_client_reaches_the_server_only_when_healed() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.change(|weather| weather.mute_client = true);
    client.write_all(b"b").await.unwrap();
    assert_silence(&mut client).await;
    assert_eq!(*echo.got.lock(), b"a");
    proxy.change(|weather| weather.mute_client = false);
    assert_eq!(read(&mut client, 1).await, b"b");
}

#[tokio::test]
async fn a_half_open_connection_hides_that_the_other_side_is_gone() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let client = connected(&proxy).await;
    proxy.set(Weather {
        mute_server: true,
        mute_client: true,
        ..Weather::default()
    });
    drop(client);
    tokio::time::sleep(SILENCE).await;
    assert!(echo.ends.lock().is_empty(), "the server noticed");
    assert_eq!(proxy.open(), 1);
    proxy.heal();
    until("the server notices", GUARD, || {
        (echo.ends.lock().len() == 1 && proxy.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cut_ends_a_connection_and_a_reset_breaks_it() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.cut();
    let end = tokio::time::timeout(GUARD, client.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap(), 0);
    let mut client = connected(&proxy).await;
    proxy.reset();
    let end = tokio::time::timeout(GUARD, client.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(proxy.accepted(), 2);
    until("both ends at the server", GUARD, || {
        (*echo.ends.lock() == [true, false]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mute_connection_can_be_reset() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.set(Weather {
        mute_server: true,
        never_read: true,
        ..Weather::default()
    });
    proxy.reset();
    let end = tokio::time::timeout(GUARD, client.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_end_and_a_reset_of_one_side_reach_the_other() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.change(|weather| weather.latency = Duration::from_millis(20));
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"last", "what came before the end is answered");
    proxy.heal();
    let client = connected(&proxy).await;
    client.set_zero_linger().unwrap();
    drop(client);
    until("both ends at the server", GUARD, || {
        (*echo.ends.lock() == [true, false]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn refused_connections_are_closed_and_never_reach_the_server() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    proxy.change(|weather| weather.refuse = true);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let end = tokio::time::timeout(GUARD, client.read(&mut [0])).await;
    assert_eq!(end.unwrap().unwrap(), 0);
    assert_eq!(echo.connections.load(Ordering::SeqCst), 0);
    proxy.heal();
    connected(&proxy).await;
}

#[tokio::test]
async fn a_connection_that_is_never_read_is_accepted_and_takes_little() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut old = connected(&proxy).await;
    proxy.change(|weather| weather.never_read = true);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    until("acceptance", GUARD, || {
        (proxy.accepted() == 2).then_some(())
    })
    .await;
    let big = vec![1; 64 * 1_024 * 1_024];
    for client in [&mut old, &mut new] {
        let sent = tokio::time::timeout(SILENCE, client.write_all(&big)).await;
        assert!(sent.is_err(), "64 MiB went somewhere: {sent:?}");
    }
    assert_eq!(*echo.got.lock(), b"a");
    assert_eq!(echo.connections.load(Ordering::SeqCst), 1);
    proxy.heal();
    assert_eq!(read(&mut new, 1).await, [1]);
}

#[tokio::test]
async fn a_mute_way_holds_no_more_than_its_bound() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.change(|weather| weather.to_server.mute = true);
    let big = vec![1; 64 * 1_024 * 1_024];
    let sent = tokio::time::timeout(SILENCE, client.write_all(&big)).await;
    assert!(sent.is_err(), "64 MiB went somewhere: {sent:?}");
    assert_eq!(*echo.got.lock(), b"a");
}

#[tokio::test]
async fn latency_of_one_way_delays_bytes_of_that_way() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.set(to_client(Faults {
        latency: GUARD * 100,
        jitter: GUARD,
        ..Faults::default()
    }));
    client.write_all(b"b").await.unwrap();
    echo.has_got(2).await;
    assert_silence(&mut client).await;
    proxy.change(|weather| {
        weather.to_client.latency = Duration::from_millis(1);
        weather.to_client.jitter = Duration::ZERO;
    });
    assert_eq!(read(&mut client, 1).await, b"b");
}

#[tokio::test]
async fn a_narrow_line_gives_byte_after_byte_and_a_wide_one_the_rest() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.change(|weather| weather.bytes_per_second = Some(4));
    let sent: Vec<u8> = (0..=255).collect();
    client.write_all(&sent).await.unwrap();
    let mut came = read(&mut client, 1).await;
    assert!(echo.got.lock().len() < 200, "more than four bytes a second");
    proxy.heal();
    came.extend(read(&mut client, 255).await);
    assert_eq!(came, sent);
}

#[tokio::test]
async fn corruption_turns_bytes_of_its_way_the_same_for_a_seed() {
    let echo = Echo::start().await;
    let mut seen = Vec::new();
    for seed in [7, 7, 8] {
        let proxy = Proxy::start_seeded(echo.address, seed).await;
        let mut client = connected(&proxy).await;
        proxy.set(to_client(Faults {
            corrupt_per_million: 10_000,
            ..Faults::default()
        }));
        echo.got.lock().clear();
        client.write_all(&[0; 10_000]).await.unwrap();
        let came = read(&mut client, 10_000).await;
        let turned = came.iter().filter(|byte| **byte != 0).count();
        assert!(
            (50..200).contains(&turned),
            "{turned} of 10000, not about 100"
        );
        assert_eq!(*echo.got.lock(), [0; 10_000], "the other way is sound");
        seen.push(came);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

#[tokio::test]
async fn a_doubled_piece_comes_twice() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.set(to_client(Faults {
        duplicate_per_million: 1_000_000,
        ..Faults::default()
    }));
    client.write_all(b"xyz").await.unwrap();
    assert_eq!(read(&mut client, 6).await, b"xyzxyz");
}

#[tokio::test]
async fn a_held_piece_comes_after_later_ones() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    proxy.set(to_client(Faults {
        reorder_per_million: 500_000,
        reorder_within: Duration::from_millis(20),
        ..Faults::default()
    }));
    for number in 0..100 {
        client.write_all(&[number]).await.unwrap();
        // A piece of its own.
        echo.has_got(usize::from(number) + 2).await;
    }
    let mut came = read(&mut client, 100).await;
    let in_order: Vec<u8> = (0..100).collect();
    assert_ne!(came, in_order);
    came.sort_unstable();
    assert_eq!(came, in_order);
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_proxy() {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut client = connected(&proxy).await;
    let mut muted = connected(&proxy).await;
    proxy.change(|weather| weather.mute_server = true);
    assert_eq!(proxy.open(), 2);
    let (address, shared) = (proxy.address(), Arc::downgrade(&proxy.shared));
    drop(proxy);
    for client in [&mut client, &mut muted] {
        let end = tokio::time::timeout(GUARD, client.read(&mut [0])).await;
        assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
    }
    until("the ends at the server", GUARD, || {
        (echo.ends.lock().len() == 2).then_some(())
    })
    .await;
    assert!(TcpStream::connect(address).await.is_err());
    until("the last task", GUARD, || {
        (shared.strong_count() == 0).then_some(())
    })
    .await;
}
