//! A small HTTP client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest any step of a test may take; only a broken server reaches it.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(
            values.next().is_none(),
            "{name} is repeated: {:?}",
            self.headers
        );
        value
    }

    /// True for a stream of events, whose body is not read.
    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Over a connection that was made without the runtime.
    pub(crate) fn over(stream: std::net::TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        Self {
            stream: TcpStream::from_std(stream).unwrap(),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends as much as the server takes.
    pub(crate) async fn try_send(&mut self, bytes: &str) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_bytes()).await
    }

    /// Sends a request without a body and reads the answer.
    pub(crate) async fn ask(&mut self, method: &str, target: &str, headers: &str) -> Reply {
        self.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ))
        .await;
        self.reply(method == "HEAD").await
    }

    async fn more(&mut self) -> bool {
        let mut chunk = [0_u8; 16 * 1024];
        let read = tokio::time::timeout(GUARD, self.stream.read(&mut chunk)).await;
        match read.expect("the server says nothing") {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                true
            }
        }
    }

    /// Reads one answer. An answer to HEAD has no body whatever its length says.
    pub(crate) async fn reply(&mut self, to_head: bool) -> Reply {
        self.maybe_reply(to_head)
            .await
            .expect("the connection was closed without an answer")
    }

    /// Reads one answer, or `None` when the connection ends before one.
    pub(crate) async fn maybe_reply(&mut self, to_head: bool) -> Option<Reply> {
        let head_length = loop {
            if let Some(at) = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
            if !self.more().await {
                assert!(
                    self.buffer.is_empty(),
                    "half an answer: {:?}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return None;
            }
        };
        let head = String::from_utf8(self.buffer[..head_length].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status: u16 = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        if reply.is_stream() && !to_head {
            // It has no end: whatever is asked next is asked over another connection.
            let address = self.stream.peer_addr().unwrap();
            *self = Self::connect(address).await;
            return Some(reply);
        }
        let bodiless = to_head || matches!(status, 100 | 204 | 304);
        let length = if bodiless {
            0
        } else {
            reply
                .header("content-length")
                .expect("every answer tells its length")
                .parse()
                .unwrap()
        };
        while self.buffer.len() < head_length + length {
            assert!(self.more().await, "half a body");
        }
        reply.body = self.buffer[head_length..head_length + length].to_vec();
        self.buffer.drain(..head_length + length);
        Some(reply)
    }

    /// Waits until the server closes the connection, dropping whatever it still says.
    pub(crate) async fn closed(&mut self) {
        while self.more().await {}
    }
}
