//! A small venue on the loopback interface, steered by the test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may fail the test"
)]

use kurs_core::{Clock, EventKind, Pair, SourceEvent, SourceId, SystemClock};
use kurs_net::Proxies;
use kurs_net::http::HttpClient;
use kurs_sources::binance::{Binance, Config};
use kurs_sources::venue::{Venue, VenueMeans};
use kurs_sources::{Context, EventSink, Source};
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// Nothing here takes long unless it hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("it hangs")
}

/// What the REST side answers and what it was asked.
#[derive(Default)]
pub(crate) struct RestSide {
    /// Answers everything with this status and Retry-After while set.
    pub(crate) refuse: Option<(u16, Option<u64>)>,
    /// Symbol, base, quote: what is traded.
    pub(crate) traded: Vec<(&'static str, &'static str, &'static str)>,
    /// Bid and ask of every symbol.
    pub(crate) prices: (&'static str, &'static str),
    /// Last update id of the next snapshot of every book.
    pub(crate) snapshot_id: u64,
    /// Every request: when, and its path.
    pub(crate) log: Vec<(Instant, String)>,
}

/// A frame for one connection, or the order to cut it.
pub(crate) enum Order {
    Say(String),
    /// Read no more, so that pings are not answered.
    Hang,
    Cut,
}

/// One WebSocket connection of the client.
pub(crate) struct Peer {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) received: mpsc::UnboundedReceiver<String>,
}

impl Peer {
    /// Sends a frame.
    pub(crate) fn say(&self, text: impl Into<String>) {
        let _ = self.orders.send(Order::Say(text.into()));
    }

    /// Waits for a command that names all of these.
    pub(crate) async fn command(&mut self, words: &[&str]) -> String {
        loop {
            let text = soon(self.received.recv())
                .await
                .expect("the client is gone");
            if words.iter().all(|word| text.contains(word)) {
                return text;
            }
        }
    }
}

/// The venue and the source that talks to it.
pub(crate) struct Rig {
    pub(crate) rest: Arc<Mutex<RestSide>>,
    pub(crate) peers: mpsc::UnboundedReceiver<Peer>,
    pub(crate) events: mpsc::UnboundedReceiver<SourceEvent>,
    pub(crate) pairs: watch::Sender<Arc<[Pair]>>,
    pub(crate) source: Arc<Venue>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

struct Sink(mpsc::UnboundedSender<SourceEvent>);

impl EventSink for Sink {
    fn deliver(&self, event: SourceEvent) {
        let _ = self.0.send(event);
    }
}

pub(crate) fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

pub(crate) fn book_ticker(symbol: &str, update_id: u64, bid: &str, ask: &str) -> String {
    let stream = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{stream}@bookTicker","data":{{"u":{update_id},"s":"{symbol}","b":"{bid}","B":"1.0","a":"{ask}","A":"1.0"}}}}"#
    )
}

/// A diff that covers these update ids and sets the size of the bid at 200.
pub(crate) fn diff(symbol: &str, first: u64, last: u64, size: &str) -> String {
    let stream = symbol.to_lowercase();
    format!(
        r#"{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"{symbol}","U":{first},"u":{last},"b":[["200.00","{size}"]],"a":[]}}}}"#
    )
}

impl Rig {
    /// The venue trades BTC-USDT and ETH-USDT.
    pub(crate) async fn start(config: Config, wanted: &[&str]) -> Self {
        let rest = Arc::new(Mutex::new(RestSide {
            traded: vec![("BTCUSDT", "BTC", "USDT"), ("ETHUSDT", "ETH", "USDT")],
            prices: ("200.00", "200.10"),
            ..RestSide::default()
        }));
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            ws_url: format!("ws://{}", sockets.local_addr().unwrap()),
            rest_url: format!("http://{}", http.local_addr().unwrap()),
            ..config
        };
        tokio::spawn(serve_rest(http, rest.clone()));
        let (tell_peer, peers) = mpsc::unbounded_channel();
        tokio::spawn(serve_sockets(sockets, tell_peer));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (tell, events) = mpsc::unbounded_channel();
        let wanted: Arc<[Pair]> = wanted.iter().map(|text| pair(text)).collect();
        let (pairs, wanted) = watch::channel(wanted);
        let (stop, shutdown) = watch::channel(false);
        let client = HttpClient::new("kurs/test").unwrap();
        let id = SourceId::parse("binance").unwrap();
        let proxies = Arc::new(Proxies::none());
        let means = VenueMeans {
            http: client,
            proxies,
            user_agent: "kurs/test".to_owned(),
            clock: clock.clone(),
        };
        let source = Venue::new(&config, Arc::new(Binance::new()), id, means);
        let source = Arc::new(source);
        let context = Context {
            clock,
            events: Arc::new(Sink(tell)),
            pairs: wanted,
            depth: Arc::from([]),
            tap: None,
            seed: 3,
            polls: tokio::sync::watch::channel(true).1,
            shutdown,
        };
        let task = tokio::spawn(source.clone().run(context));
        Self {
            rest,
            peers,
            events,
            pairs,
            source,
            stop,
            task,
        }
    }

    pub(crate) async fn peer(&mut self) -> Peer {
        soon(self.peers.recv()).await.unwrap()
    }

    pub(crate) async fn event(&mut self) -> EventKind {
        soon(self.events.recv())
            .await
            .expect("the source ended")
            .kind
    }

    /// The next event for which `wanted` gives something.
    pub(crate) async fn find<T>(&mut self, wanted: impl Fn(&EventKind) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.event().await) {
                return found;
            }
        }
    }

    pub(crate) fn want(&self, pairs: &[&str]) {
        self.pairs
            .send(pairs.iter().map(|text| pair(text)).collect())
            .unwrap();
    }
}

async fn serve_sockets(listener: TcpListener, peers: mpsc::UnboundedSender<Peer>) {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    while let Ok((stream, _)) = listener.accept().await {
        let (orders, mut to_do) = mpsc::unbounded_channel();
        let (tell, received) = mpsc::unbounded_channel();
        let peers = peers.clone();
        tokio::spawn(async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            let _ = peers.send(Peer { orders, received });
            let mut hangs = false;
            loop {
                tokio::select! {
                    order = to_do.recv() => match order {
                        Some(Order::Say(text)) => {
                            if socket.send(Message::text(text)).await.is_err() {
                                return;
                            }
                        }
                        Some(Order::Hang) => hangs = true,
                        Some(Order::Cut) | None => return,
                    },
                    message = socket.next(), if !hangs => match message {
                        Some(Ok(Message::Text(text))) => {
                            let _ = tell.send(text.as_str().to_owned());
                        }
                        Some(Ok(_)) => {}
                        _ => return,
                    },
                }
            }
        });
    }
}

async fn serve_rest(listener: TcpListener, rest: Arc<Mutex<RestSide>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_rest_connection(stream, rest.clone()));
    }
}

async fn serve_rest_connection(stream: TcpStream, rest: Arc<Mutex<RestSide>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(stream.read_line(&mut head).await, Ok(length) if length > 0) {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, more, body) = answer(&mut rest.lock().unwrap(), &path);
        let length = body.len();
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{more}\r\n{body}");
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(side: &mut RestSide, path: &str) -> (u16, String, String) {
    side.log.push((Instant::now(), path.to_owned()));
    if let Some((status, retry_after)) = side.refuse {
        let more = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n"));
        return (status, more.unwrap_or_default(), "{}".to_owned());
    }
    if path.starts_with("/api/v3/depth?symbol=BTCUSDT&limit=1000") {
        let (id, (bid, ask)) = (side.snapshot_id, side.prices);
        let body =
            format!(r#"{{"lastUpdateId":{id},"bids":[["{bid}","1"]],"asks":[["{ask}","1"]]}}"#);
        return (200, String::new(), body);
    }
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let query = query
        .replace("%22", "")
        .replace("%5B", "")
        .replace("%5D", "")
        .replace("%2C", ",");
    let named = query
        .split('&')
        .next()
        .and_then(|first| first.split_once('='));
    let mut rows = Vec::new();
    for symbol in named.map_or("", |(_, symbols)| symbols).split(',') {
        let Some((_, base, quote)) = side.traded.iter().find(|(known, ..)| *known == symbol) else {
            return (
                400,
                String::new(),
                r#"{"code":-1121,"msg":"Invalid symbol."}"#.to_owned(),
            );
        };
        let (bid, ask) = side.prices;
        rows.push(if path.contains("exchangeInfo") {
            format!(r#"{{"symbol":"{symbol}","status":"TRADING","baseAsset":"{base}","quoteAsset":"{quote}"}}"#)
        } else {
            format!(r#"{{"symbol":"{symbol}","bidPrice":"{bid}","bidQty":"1","askPrice":"{ask}","askQty":"1"}}"#)
        });
    }
    let rows = format!("[{}]", rows.join(","));
    let is_info = path.starts_with("/api/v3/exchangeInfo?");
    assert!(
        is_info || path.starts_with("/api/v3/ticker/bookTicker?symbols="),
        "{path}"
    );
    (
        200,
        String::new(),
        if is_info {
            format!(r#"{{"symbols":{rows}}}"#)
        } else {
            rows
        },
    )
}
