//! The least that can tell many clients the same: the bytes at hand, one write for each of them.

use crate::http::kurs::runtime;
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

/// Pieces that may wait for a task.
const WAITING: usize = 64;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Writers {
    /// One task for all sockets
    One,
    /// A task for each
    Each,
}

/// Writes the bytes of a file to every connection, so many times a second, until it is killed.
pub(crate) fn serve(
    address: SocketAddr,
    file: &Path,
    per_second: u32,
    writers: Writers,
) -> Result<()> {
    let bytes: Arc<[u8]> = std::fs::read(file)
        .context("cannot read what is to be written")?
        .into();
    runtime()?.block_on(async move {
        let listener = TcpListener::bind(address).await.context("cannot listen")?;
        let pause = Duration::from_secs(1) / per_second;
        match writers {
            Writers::One => {
                let (new, come) = mpsc::channel(WAITING);
                tokio::spawn(write(come, bytes, pause));
                loop {
                    let (socket, _) = listener.accept().await?;
                    socket.set_nodelay(true)?;
                    new.send(socket).await?;
                }
            }
            Writers::Each => {
                let (tell, _) = broadcast::channel::<Arc<[u8]>>(WAITING);
                let out = tell.clone();
                tokio::spawn(async move {
                    let mut ticks = tokio::time::interval(pause);
                    loop {
                        ticks.tick().await;
                        let _ = out.send(Arc::clone(&bytes));
                    }
                });
                loop {
                    let (mut socket, _) = listener.accept().await?;
                    socket.set_nodelay(true)?;
                    let mut heard = tell.subscribe();
                    tokio::spawn(async move {
                        while let Ok(piece) = heard.recv().await {
                            if socket.write_all(&piece).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        }
    })
}

async fn write(mut come: mpsc::Receiver<TcpStream>, bytes: Arc<[u8]>, pause: Duration) {
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut ticks = tokio::time::interval(pause);
    loop {
        tokio::select! {
            socket = come.recv() => match socket {
                Some(socket) => sockets.push(socket),
                None => return,
            },
            _ = ticks.tick() => {
                let mut at = 0;
                while let Some(socket) = sockets.get_mut(at) {
                    let written = match socket.try_write(&bytes) {
                        Ok(count) if count == bytes.len() => Ok(()),
                        Ok(count) => socket.write_all(bytes.get(count..).unwrap_or_default()).await,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            socket.write_all(&bytes).await
                        }
                        Err(error) => Err(error),
                    };
                    match written {
                        Ok(()) => at += 1,
                        Err(_) => drop(sockets.swap_remove(at)),
                    }
                }
            }
        }
    }
}
