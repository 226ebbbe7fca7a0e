//! A way to a server that stops a client before the last message of its transaction.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Held up is whoever says this.
const LAST_MESSAGE: &[u8] = b"kurs_fence(";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// For the next one who says it.
    Closed,
    /// Somebody waits.
    Holding,
}

/// Lets everything pass until it is closed.
pub(crate) struct Gate {
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Gate {
    /// A gate before a port of this machine.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::Open);
        let doors = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, doors.clone()));
            }
        });
        Self { address, state }
    }

    /// The address of a database of the server behind the gate.
    pub(crate) fn url(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{port}/"), &format!(":{}/", self.address.port()))
    }

    /// From now on the first one with a last message waits.
    pub(crate) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    /// Until somebody waits.
    pub(crate) async fn holds(&self) {
        let mut state = self.state.subscribe();
        let held = state.wait_for(|state| *state == State::Holding);
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, held).await.unwrap().unwrap();
    }

    /// Whoever waits goes on.
    pub(crate) fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn pass(client: TcpStream, port: u16, state: watch::Sender<State>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let said = &buffer[..length];
        let is_last = said
            .windows(LAST_MESSAGE.len())
            .any(|part| part == LAST_MESSAGE);
        if is_last {
            let mut is_held = false;
            state.send_if_modified(|state| {
                is_held = *state == State::Closed;
                if is_held {
                    *state = State::Holding;
                }
                is_held
            });
            if is_held {
                let mut opened = state.subscribe();
                let _ = opened.wait_for(|state| *state != State::Holding).await;
            }
        }
        if to_server.write_all(said).await.is_err() {
            break;
        }
    }
    back.abort();
}
