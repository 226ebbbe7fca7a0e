//! A plain HTTP client on one blocking connection: enough to ask a server on this machine, and
//! light enough not to disturb what is measured.

use anyhow::{Context as _, Result, ensure};
use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server on this machine that is silent for this long is lost.
const SILENCE: Duration = Duration::from_secs(5);
/// Longest answer that is taken.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    /// Status line and headers with the empty line that ends them.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&address, SILENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE))?;
        socket.set_write_timeout(Some(SILENCE))?;
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(16 * 1_024),
        })
    }

    /// Sends a request that is written out in full and reads its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.socket.write_all(request)?;
        self.buffer.clear();
        let head_bytes = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more()?;
        };
        let head =
            std::str::from_utf8(&self.buffer[..head_bytes]).context("the head is no text")?;
        let head = head.to_owned();
        let status: u16 = head
            .get(9..12)
            .and_then(|text| text.parse().ok())
            .context("no status")?;
        let etag = header(&head, "etag").map(str::to_owned);
        let has_body = !matches!(status, 204 | 304);
        let length = match header(&head, "content-length") {
            Some(text) if has_body => text.parse().context("a wrong content-length")?,
            None if has_body => anyhow::bail!("an answer without content-length"),
            _ => 0,
        };
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        while self.buffer.len() < head_bytes + length {
            self.read_more()?;
        }
        Ok(Answer {
            status,
            etag,
            head,
            body: self.buffer[head_bytes..].to_vec(),
        })
    }

    /// Sends all requests at once and reads the statuses of their answers, which have bodies.
    pub(crate) fn ask_all(&mut self, requests: &[Vec<u8>]) -> Result<Vec<u16>> {
        self.socket.write_all(&requests.concat())?;
        self.buffer.clear();
        let mut statuses = Vec::with_capacity(requests.len());
        let mut begin = 0;
        while statuses.len() < requests.len() {
            let Some(end) = find(&self.buffer[begin..], b"\r\n\r\n") else {
                self.read_more()?;
                continue;
            };
            let head_end = begin + end + 4;
            let head = std::str::from_utf8(&self.buffer[begin..head_end]);
            let head = head.context("a head is no text")?;
            let status = head.get(9..12).and_then(|text| text.parse().ok());
            statuses.push(status.context("no status")?);
            let length: usize = header(head, "content-length")
                .and_then(|text| text.parse().ok())
                .context("an answer without content-length")?;
            ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
            begin = head_end + length;
            while self.buffer.len() < begin {
                self.read_more()?;
            }
        }
        Ok(statuses)
    }

    fn read_more(&mut self) -> Result<()> {
        let mut chunk = [0; 16 * 1_024];
        let count = read_some(&mut self.socket, &mut chunk)?;
        ensure!(count > 0, "the server closed the connection");
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }
}

/// Reads what is there. A read with a time limit is broken off when the process is held for a
/// moment, which means nothing.
pub(crate) fn read_some(mut socket: impl Read, into: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The text of a GET. `headers` are complete lines.
pub(crate) fn request(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> Result<Answer> {
    Connection::open(address)?.ask(&request(path, headers))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_is_read_whole_and_one_without_a_body_ends_with_its_head() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut chunk = [0; 1_024];
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"1\"\r\n\r\nhello",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            ] {
                assert!(socket.read(&mut chunk).unwrap() > 0);
                let (one, two) = answer.split_at(30);
                socket.write_all(one.as_bytes()).unwrap();
                socket.write_all(two.as_bytes()).unwrap();
            }
        });
        let mut connection = Connection::open(address).unwrap();
        let first = connection.ask(&request("/", "")).unwrap();
        assert_eq!(
            (first.status, first.etag.as_deref(), &*first.body),
            (200, Some("\"1\""), &b"hello"[..])
        );
        let second = connection.ask(&request("/", "")).unwrap();
        assert_eq!((second.status, second.body.len()), (304, 0));
        server.join().unwrap();
    }
}
