//! A program that is told things by webhooks.

#![allow(dead_code, reason = "every test file uses a part of this")]

use super::PATIENCE;
use kurs_testkit::wait::until_async;
use ring::hmac;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes them.
    Takes,
    /// Says that it cannot at present.
    Busy,
    /// Says nothing at all.
    Silent,
}

/// A request that it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its path.
    pub(crate) path: String,
    /// Its key.
    pub(crate) key: String,
    /// Its signature.
    pub(crate) signature: String,
    /// Its body as it came.
    pub(crate) body: String,
    /// It was taken.
    pub(crate) is_taken: bool,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks the signature as the documents say, without any code of kurs.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let (at, mac) = self.signature.split_once(",v1=").unwrap();
        let at = at.strip_prefix("t=").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let mac: Vec<u8> = (0..mac.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(&mac[place..place + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, format!("{at}.{}", self.body).as_bytes(), &mac).is_ok()
    }
}

/// The program.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<(Manner, Vec<Told>)>>,
}

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new((manner, Vec::new())));
        let keep = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, Arc::clone(&keep)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn set(&self, manner: Manner) {
        self.shared.lock().unwrap().0 = manner;
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.shared.lock().unwrap().1.clone()
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<Told> {
        let mut told = self.told();
        told.retain(|told| told.is_taken);
        told
    }

    /// Waits until it was told so often, taken or not.
    pub(crate) async fn until_told(&self, wanted: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        until_async("a webhook is told", PATIENCE, || async {
            let told = self.told();
            wanted(&told).then_some(told)
        })
        .await
    }
}

async fn answer(mut socket: TcpStream, shared: Arc<Mutex<(Manner, Vec<Told>)>>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65_536];
    let told = loop {
        match socket.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return,
        }
        if let Some(told) = read(&bytes) {
            break told;
        }
    };
    let manner = {
        let mut shared = shared.lock().unwrap();
        let is_taken = shared.0 == Manner::Takes;
        shared.1.push(Told { is_taken, ..told });
        shared.0
    };
    let text = match manner {
        Manner::Takes => "HTTP/1.1 204 No Content\r\n\r\n",
        Manner::Busy => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        Manner::Silent => {
            // Until the other side has gone.
            let _ = socket.read(&mut buffer).await;
            return;
        }
    };
    let _ = socket.write_all(text.as_bytes()).await;
}

/// A whole request, once it is there.
fn read(bytes: &[u8]) -> Option<Told> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    (body.len() >= length).then_some(())?;
    Some(Told {
        path: head.split(' ').nth(1)?.to_owned(),
        key: header("idempotency-key")?,
        signature: header("kurs-signature")?,
        body: body.to_owned(),
        is_taken: false,
    })
}
