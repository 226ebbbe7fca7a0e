//! Small clients that show exactly what came over the wire.

use futures_util::{SinkExt, StreamExt};
use kurs_sim::{Sim, SimConfig, SimHandle};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Nothing here takes so long unless it hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

pub(crate) async fn start(config: SimConfig) -> SimHandle {
    Sim::start(config, SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap()
}

/// An answer: status, header lines (names lower case), body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One request on a connection of its own. `Err` when the connection ends without an answer.
pub(crate) async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = TcpStream::connect(host).await?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).await?;
    let mut all = Vec::new();
    tokio::time::timeout(GUARD, stream.read_to_end(&mut all))
        .await
        .expect("an answer in time")?;
    let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer {
        status,
        head,
        body: all[end + 4..].to_vec(),
    })
}

pub(crate) async fn get(url: &str) -> Answer {
    request("GET", url, &[], "").await.unwrap()
}

/// A WebSocket client.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>);

impl Socket {
    pub(crate) async fn open(url: &str) -> Self {
        Self::try_open(url).await.unwrap()
    }

    pub(crate) async fn try_open(url: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let host = url.strip_prefix("ws://").unwrap();
        let host = &host[..host.find('/').unwrap_or(host.len())];
        let stream = TcpStream::connect(host).await?;
        let opening = tokio_tungstenite::client_async(url, stream);
        let (socket, _) = tokio::time::timeout(GUARD, opening)
            .await
            .expect("a handshake in time")?;
        Ok(Self(socket))
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, streams: &[&str]) {
        let params = serde_json::to_string(streams).unwrap();
        self.send(&format!(
            r#"{{"method":"SUBSCRIBE","params":{params},"id":7}}"#
        ))
        .await;
        let wanted = r#"{"id":7,"result":null}"#;
        while self.text().await != wanted {}
    }

    /// The next message of any kind; `None` when the connection has ended.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        match tokio::time::timeout(GUARD, self.0.next())
            .await
            .expect("a message in time")
        {
            Some(Ok(message)) => Some(message),
            Some(Err(_)) | None => None,
        }
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        let text = async {
            loop {
                match self.message().await {
                    Some(Message::Text(text)) => return text.to_string(),
                    Some(_) => {}
                    None => panic!("the connection has ended"),
                }
            }
        };
        // Pings alone must not keep a test waiting.
        tokio::time::timeout(GUARD, text)
            .await
            .expect("a text in time")
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Reads until the connection ends; gives the reason of the close frame, if one came.
    pub(crate) async fn until_end(&mut self) -> Option<String> {
        let end = async {
            loop {
                match self.message().await {
                    Some(Message::Close(frame)) => {
                        return frame.map(|frame| frame.reason.to_string());
                    }
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        tokio::time::timeout(GUARD, end)
            .await
            .expect("the end in time")
    }

    /// True when no text comes for a while.
    pub(crate) async fn is_silent(&mut self, during: Duration) -> bool {
        let text = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(_))) | None | Some(Err(_)) => return,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(during, text).await.is_err()
    }
}
