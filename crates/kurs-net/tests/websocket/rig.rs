//! A client of a small language, and a server that a test speaks for.

use futures_util::{SinkExt, StreamExt};
use kurs_core::{Now, SystemClock};
use kurs_net::{Dialect, Frame, Heard, Notice, Proxies, Settings, StreamId, StreamSpec, WebSocket};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Nothing here takes long unless it hangs.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it hangs")
}

/// What the client told its user.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Data { connection: u64, number: u64 },
    Notice(Notice),
}

/// A small language: `DATA <stream> <number>`, `RENEW <stream>`, `REFUSE <stream>`, `ROT`, `BYE`,
/// `NONSENSE`, several of them parted by `; `.
pub(super) struct TestDialect {
    told: mpsc::UnboundedSender<Told>,
    /// A connection that is found unfit without a frame.
    rotten: Option<u64>,
    has_no_word_for_a_ping: Arc<AtomicBool>,
}

pub(super) fn named(word: &str, command: u64, streams: &[StreamId]) -> String {
    let names: Vec<String> = streams.iter().map(|stream| stream.0.to_string()).collect();
    format!("{word} {command} {}", names.join(","))
}

impl Dialect for TestDialect {
    fn subscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        named("SUB", command, streams)
    }

    fn unsubscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        named("UNSUB", command, streams)
    }

    fn frame(&mut self, frame: Frame<'_>, heard: &mut Vec<Heard>) {
        assert!(heard.is_empty(), "what the last frame said");
        for said in frame.text.split("; ") {
            let words: Vec<&str> = said.split(' ').collect();
            match words[..] {
                ["DATA", stream, number] => {
                    let number = number.parse().unwrap();
                    let _ = self.told.send(Told::Data {
                        connection: frame.connection,
                        number,
                    });
                    heard.push(Heard::Data(StreamId(stream.parse().unwrap())));
                }
                ["RENEW", stream] => heard.push(Heard::Renew {
                    stream: StreamId(stream.parse().unwrap()),
                }),
                ["REFUSE", stream] => heard.push(Heard::StreamRefused {
                    stream: StreamId(stream.parse().unwrap()),
                    why: "unknown".to_owned(),
                }),
                ["ROT"] => self.rotten = Some(frame.connection),
                ["BYE"] => heard.push(Heard::ShutdownNotice),
                ["NONSENSE"] => heard.push(Heard::Unfit {
                    why: "nonsense".to_owned(),
                }),
                _ => {}
            }
        }
    }

    fn keep_alive(&mut self) -> Option<String> {
        let has_none = self.has_no_word_for_a_ping.load(Ordering::Relaxed);
        (!has_none).then(|| "ALIVE".to_owned())
    }

    fn advance(&mut self, _: Now, heard: &mut Vec<(u64, Heard)>) {
        if let Some(connection) = self.rotten.take() {
            let why = "rotten".to_owned();
            heard.push((connection, Heard::Unfit { why }));
        }
    }

    fn notice(&mut self, notice: Notice, _: Now) {
        let _ = self.told.send(Told::Notice(notice));
    }
}

/// A client that runs until it is dropped or stopped.
pub(super) struct Client {
    pub(super) told: mpsc::UnboundedReceiver<Told>,
    pub(super) streams: watch::Sender<Arc<[StreamSpec]>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: tokio::task::JoinHandle<()>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) has_no_word_for_a_ping: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn start(
        address: SocketAddr,
        settings: Settings,
        proxies: Proxies,
        streams: u32,
    ) -> Self {
        let clock = Arc::new(SystemClock::new());
        let (tell, told) = mpsc::unbounded_channel();
        let (streams, desired) = watch::channel(specs(streams));
        let (stop, stopped) = watch::channel(false);
        let socket = WebSocket {
            url: format!("ws://{address}/stream"),
            user_agent: "kurs/test".to_owned(),
            settings,
            proxies: Arc::new(proxies),
            clock: clock.clone(),
            seed: 11,
        };
        let has_no_word_for_a_ping = Arc::new(AtomicBool::new(false));
        let has_none = has_no_word_for_a_ping.clone();
        let task = tokio::spawn(async move {
            let mut dialect = TestDialect {
                told: tell,
                rotten: None,
                has_no_word_for_a_ping: has_none,
            };
            socket.run(&mut dialect, desired, stopped).await;
        });
        Self {
            told,
            streams,
            stop,
            task,
            clock,
            has_no_word_for_a_ping,
        }
    }

    pub(super) async fn next(&mut self) -> Told {
        soon(self.told.recv()).await.expect("the client ended")
    }

    /// The next notice that `wanted` accepts; everything before it is dropped.
    pub(super) async fn notice(&mut self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        loop {
            if let Told::Notice(notice) = self.next().await
                && wanted(&notice)
            {
                return notice;
            }
        }
    }
}

pub(super) fn specs(count: u32) -> Arc<[StreamSpec]> {
    (0..count)
        .map(|id| StreamSpec {
            id: StreamId(id),
            watched: true,
            group: 0,
        })
        .collect()
}

pub(super) struct Server(pub(super) TcpListener);

pub(super) type Peer = WebSocketStream<TcpStream>;

impl Server {
    pub(super) async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }

    pub(super) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.0.accept()).await.unwrap();
        soon(tokio_tungstenite::accept_async(stream)).await.unwrap()
    }
}

pub(super) async fn read(peer: &mut Peer) -> Message {
    soon(peer.next()).await.expect("the client closed").unwrap()
}

pub(super) async fn read_text(peer: &mut Peer) -> String {
    match read(peer).await {
        Message::Text(text) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn say(peer: &mut Peer, text: impl Into<String>) {
    soon(peer.send(Message::text(text.into()))).await.unwrap();
}

pub(super) fn is_down(notice: &Notice) -> bool {
    matches!(notice, Notice::Down { .. })
}
