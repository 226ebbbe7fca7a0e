//! A private NATS server with JetStream: its streams in a temporary folder, on a free port, gone
//! with the test.
//!
//! ```no_run
//! let server = kurs_testkit::NatsServer::start();
//! println!("{}", server.url());
//! ```

use crate::held::{Held, command, find, new_folder};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start, recovery included, or an end may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Ports tried at the start; another program may take a free one first.
const PORTS: usize = 10;
const ADVICE: &str = "no NATS server is installed: `cargo xtask test` installs the Debian \
                      package `nats-server`";

/// A running private server.
#[derive(Debug)]
pub struct NatsServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    output: Output,
    running: Mutex<Option<Held>>,
}

impl NatsServer {
    /// Starts a server that anyone may use.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `["--user", "anna", "--pass", "secret"]`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        assert!(find("nats-server", &[]).is_some(), "{ADVICE}");
        let folder = new_folder("kurs-nats-");
        let mut server = Self {
            folder,
            port: 0,
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            output: Output::default(),
            running: Mutex::new(None),
        };
        for _ in 0..PORTS {
            server.port = free_port();
            *server.running.lock() = Some(server.launch());
            if server.comes_up() {
                return server;
            }
        }
        panic!("the NATS server does not start:\n{}", server.printed());
    }

    /// Its address, `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// Lets it end by itself (SIGTERM). Does nothing when it does not run.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&self) {
        if let Some(mut server) = self.running.lock().take() {
            server.signal("TERM");
            assert!(server.ends_within(PATIENCE), "the NATS server does not end");
        }
    }

    /// Kills it at once (SIGKILL), as a crash does. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&self) {
        if let Some(server) = self.running.lock().take() {
            server.kill();
        }
    }

    /// Stops it where it is (SIGSTOP): its connections stay open and silent.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped one go on (SIGCONT).
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Kills it, if it runs, and starts it again: same port, same streams. Returns when it
    /// answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&self) {
        self.kill();
        let end = Instant::now() + PATIENCE;
        loop {
            *self.running.lock() = Some(self.launch());
            if self.comes_up() {
                return;
            }
            // The port of a killed server may be free only after a moment.
            assert!(
                Instant::now() < end,
                "the NATS server does not come up:\n{}",
                self.printed()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills it and takes its streams away. [`NatsServer::restart`] brings it back, empty.
    ///
    /// # Panics
    /// When its folder cannot be emptied.
    pub fn lose_everything(&self) {
        self.kill();
        let streams = self.folder.path().join("jetstream");
        if streams.exists() {
            std::fs::remove_dir_all(streams).expect("the folder can be emptied");
        }
    }

    fn signal(&self, name: &str) {
        if let Some(server) = &*self.running.lock() {
            server.signal(name);
        }
    }

    fn is_running(&self) -> bool {
        let mut running = self.running.lock();
        running.as_mut().is_some_and(|server| !server.has_ended())
    }

    /// Waits until it answers; false when it ended instead.
    fn comes_up(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        while !self.answers() {
            if !self.is_running() || Instant::now() > end {
                self.kill();
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // Somebody else may answer on the port that it did not get.
        std::thread::sleep(LOOK_EVERY);
        self.is_running()
    }

    /// A server greets whoever connects, and does so only when its streams are there.
    fn answers(&self) -> bool {
        let mut greeting = [0; 4];
        TcpStream::connect_timeout(&self.address(), PATIENCE)
            .and_then(|mut stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.read_exact(&mut greeting)
            })
            .is_ok_and(|()| &greeting == b"INFO")
    }

    fn printed(&self) -> String {
        self.output.lines().join("\n")
    }

    fn launch(&self) -> Held {
        let mut command = command("KILL", "nats-server");
        command
            .args([
                "--jetstream",
                "--addr",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
            ])
            .arg("--store_dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .current_dir(self.folder.path());
        Held::start(command, &self.output)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_back_on_its_port_and_nothing_is_left_in_the_end() {
        let server = NatsServer::start();
        let address = server.address();
        assert!(server.answers());
        server.stop();
        assert!(TcpStream::connect(address).is_err());
        server.restart();
        assert!(server.answers());
        server.lose_everything();
        server.restart();
        assert_eq!(server.address(), address);
        let folder = server.folder.path().to_owned();
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(address).is_err());
    }
}
