//! A server on the loopback address that answers as no server should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// A body without end.
    Endless,
    /// JSON that is deeper than any stack.
    Deep,
    /// Another address, where it would be asked instead.
    Redirect(SocketAddr),
    /// A head, then a byte now and then.
    Drip,
    /// A small body that says it is a gigabyte.
    Boast,
}

/// Counts who comes; ends with the test's process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(manner: Option<Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let visits = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&visits);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                seen.fetch_add(1, Ordering::SeqCst);
                if let (Ok(stream), Some(manner)) = (stream, manner) {
                    std::thread::spawn(move || answer(stream, manner));
                }
            }
        });
        Self { address, visits }
    }

    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// Goes on until the other side has enough of it, which every write tells.
fn answer(mut stream: TcpStream, manner: Manner) -> Option<()> {
    let mut head = [0; 4_096];
    let _ = stream.read(&mut head).ok()?;
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let mut say = |bytes: &[u8]| stream.write_all(bytes).ok();
    match manner {
        Manner::Endless => {
            say(format!("{json}transfer-encoding: chunked\r\n\r\n").as_bytes())?;
            let chunk = format!("10000\r\n{}\r\n", "[".repeat(0x10000));
            // Far more than any limit, and less than a machine has.
            for _ in 0..20_000 {
                say(chunk.as_bytes())?;
            }
        }
        Manner::Deep => {
            let body = "[".repeat(200_000);
            say(format!("{json}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        }
        Manner::Redirect(to) => {
            let to = format!("HTTP/1.1 302 Found\r\nlocation: http://{to}/secret\r\n");
            say(format!("{to}content-length: 0\r\n\r\n").as_bytes())?;
        }
        Manner::Drip => {
            say(format!("{json}content-length: 100000\r\n\r\n").as_bytes())?;
            for _ in 0..600 {
                say(b" ")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Manner::Boast => say(format!("{json}content-length: 1073741824\r\n\r\n{{}}").as_bytes())?,
    }
    Some(())
}
