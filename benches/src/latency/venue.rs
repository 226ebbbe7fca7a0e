//! The venue: takes the subscription, then writes frames at a constant pace.

use super::RATE;
use super::probe::Trace;
use crate::frames;
use anyhow::{Context as _, Result, bail, ensure};
use kurs_core::Pair;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// The client has this long to connect and subscribe.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(20);
/// A client that takes nothing for this long has failed.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// First byte of a whole text message.
const WHOLE_TEXT: u8 = 0x81;
/// Second byte when a length of two bytes follows.
const LENGTH_FOLLOWS: u8 = 126;

/// A venue that is ready to be connected to.
#[derive(Debug)]
pub(crate) struct Venue {
    listener: TcpListener,
    address: SocketAddr,
    pairs: Vec<Pair>,
    trace: Arc<Trace>,
}

impl Venue {
    pub(crate) fn open(pairs: Vec<Pair>, trace: Arc<Trace>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            address,
            pairs,
            trace,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Waits for the client and writes all frames of the trace.
    pub(crate) fn run(self) -> Result<()> {
        let deadline = Instant::now() + SUBSCRIBE_LIMIT;
        let socket = self.accept(deadline)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SUBSCRIBE_LIMIT))?;
        socket.set_write_timeout(Some(WRITE_LIMIT))?;
        let mut client =
            accept(socket).map_err(|error| anyhow::anyhow!("no handshake: {error}"))?;
        self.wait_for_subscriptions(&mut client, deadline)?;
        self.send(client.get_mut())?;
        // The client ends first, so that it never sees the venue go.
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    }

    fn accept(&self, deadline: Instant) -> Result<TcpStream> {
        while Instant::now() < deadline {
            if let Ok((socket, _)) = self.listener.accept() {
                socket.set_nonblocking(false)?;
                return Ok(socket);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("nobody connected within {SUBSCRIBE_LIMIT:?}")
    }

    fn wait_for_subscriptions(
        &self,
        client: &mut WebSocket<TcpStream>,
        deadline: Instant,
    ) -> Result<()> {
        let mut streams = BTreeSet::new();
        while streams.len() < self.pairs.len() {
            ensure!(
                Instant::now() < deadline,
                "only {streams:?} were subscribed"
            );
            let Message::Text(text) = client.read()? else {
                continue;
            };
            let command: serde_json::Value = serde_json::from_str(&text)?;
            let names = command["params"].as_array().into_iter().flatten();
            streams.extend(names.filter_map(|name| name.as_str()).map(str::to_owned));
            let answer = format!(r#"{{"result":null,"id":{}}}"#, command["id"]);
            client.send(Message::text(answer))?;
        }
        Ok(())
    }

    fn send(&self, socket: &mut TcpStream) -> Result<()> {
        let total = u64::try_from(self.trace.len())?;
        let messages: Vec<Vec<u8>> = (0..total)
            .zip(self.pairs.iter().cycle())
            .map(|(number, pair)| message(&frames::invent(*pair, number)))
            .collect::<Result<_>>()?;
        let pause = Duration::from_nanos(1_000_000_000 / RATE);
        let begin = Instant::now();
        for (number, message) in messages.iter().enumerate() {
            let due = begin + pause * u32::try_from(number)?;
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            self.trace.sent(number);
            socket
                .write_all(message)
                .context("the client does not take frames any more")?;
        }
        Ok(())
    }
}

/// A text as one message of a WebSocket server.
fn message(text: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![WHOLE_TEXT];
    match u16::try_from(text.len())? {
        length if length < u16::from(LENGTH_FOLLOWS) => bytes.push(u8::try_from(length)?),
        length => {
            bytes.push(LENGTH_FOLLOWS);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}
