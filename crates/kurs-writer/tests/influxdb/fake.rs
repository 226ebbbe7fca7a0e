//! A server that answers as it is told, and keeps what it was asked.

use flate2::read::GzDecoder;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST /write?db=kurs HTTP/1.1`
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Decompressed.
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Status line from the number on, and further headers with their line ends.
    Status(&'static str, &'static str),
    /// None at all.
    Silence,
}

pub(crate) const WRITTEN: Answer = Answer::Status("204 No Content", "");

#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    next: VecDeque<Answer>,
    then: Answer,
    asked: Vec<Asked>,
}

impl Fake {
    /// Gives these answers first, and then always the last.
    pub(crate) async fn start(next: &[Answer], then: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            next: next.iter().copied().collect(),
            then,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().asked.clone()
    }

    /// From now on, always this answer.
    pub(crate) fn answer(&self, then: Answer) {
        let mut state = self.state.lock();
        state.next.clear();
        state.then = then;
    }
}

/// Ends with the connection.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let line = read_line(&mut stream).await?;
        let mut headers = Vec::new();
        loop {
            let header = read_line(&mut stream).await?;
            let Some((name, value)) = header.split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut asked = Asked {
            line,
            headers,
            body: String::new(),
        };
        let length = asked.header("content-length")?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        if asked.header("content-encoding") == Some("gzip") {
            GzDecoder::new(&*body)
                .read_to_string(&mut asked.body)
                .ok()?;
        } else {
            asked.body = String::from_utf8(body).ok()?;
        }
        let answer = {
            let mut state = state.lock();
            state.asked.push(asked);
            state.next.pop_front().unwrap_or(state.then)
        };
        match answer {
            Answer::Status(status, headers) => {
                let length = if status.starts_with("204") {
                    ""
                } else {
                    "Content-Length: 0\r\n"
                };
                let text = format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n");
                stream.write_all(text.as_bytes()).await.ok()?;
            }
            Answer::Silence => std::future::pending().await,
        }
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}
