//! A private RabbitMQ: one node with its data in a temporary folder, on free ports, gone with the
//! test.
//!
//! ```no_run
//! let server = kurs_testkit::RabbitServer::shared();
//! println!("{}", server.url());
//! ```
//! It takes some seconds to start, so tests share one where they can. No plugins are on, and the
//! node has a port mapper (`epmd`) of its own, so that it knows nothing of others.

use crate::held::{Held, bring_up, command, new_folder, share};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start, recovery included, or an end may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer of a server that listens may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Where the Debian package lays its versions.
const LIBRARY: &str = "/usr/lib/rabbitmq/lib";
const ADVICE: &str = "RabbitMQ is not installed: `cargo xtask test` installs the Debian package \
                      `rabbitmq-server`";

/// A running private server.
#[derive(Debug)]
pub struct RabbitServer {
    folder: TempDir,
    port: u16,
    mapper_port: u16,
    name: String,
    output: Output,
    /// Runs as long as this exists, so that the node can be started again under its name.
    mapper: Mutex<Option<Held>>,
    node: Mutex<Option<Held>>,
}

impl RabbitServer {
    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let folder = new_folder("kurs-rabbit-");
        let output = Output::default();
        let mapper_port = free_port();
        let mut mapper = command("KILL", "epmd");
        let port = mapper_port.to_string();
        mapper.args(["-port", &port, "-address", "127.0.0.1"]);
        mapper.current_dir(folder.path());
        let mapper = Held::start(mapper, &output);
        let server = Self {
            port: free_port(),
            mapper_port,
            name: format!(
                "kurs{:016x}@localhost",
                RandomState::new().build_hasher().finish()
            ),
            output,
            mapper: Mutex::new(Some(mapper)),
            node: Mutex::new(None),
            folder,
        };
        std::fs::write(
            server.folder.path().join("rabbitmq.conf"),
            server.settings(),
        )
        .expect("the folder can be written");
        server.restart();
        server
    }

    /// The server that other tests of this program use at the moment, or a new one. It ends
    /// with the last test that holds it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RabbitServer>> = Mutex::new(Weak::new());
        share(&SHARED, Self::start)
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same through another address, such as that of a proxy before it.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("amqp://guest:guest@{address}")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where its data lies.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// Stops it in good order. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it goes on running.
    pub fn stop(&self) {
        if let Some(mut node) = self.node.lock().take() {
            node.signal("TERM");
            assert!(node.ends_within(PATIENCE), "RabbitMQ does not stop");
        }
    }

    /// Kills it at once (SIGKILL), as a crash does. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&self) {
        if let Some(node) = self.node.lock().take() {
            node.kill();
        }
    }

    /// Kills it, if it runs, and starts it again: same port, same data. Returns when it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&self) {
        self.kill();
        bring_up(
            "RabbitMQ",
            PATIENCE,
            &self.output,
            &self.node,
            || self.launch(),
            || self.answers(),
        );
    }

    /// Kills it, deletes everything it has written, and starts it again, empty.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn lose_everything(&self) {
        self.kill();
        std::fs::remove_dir_all(self.data()).expect("the data can be deleted");
        self.restart();
    }

    /// True when it greets a client.
    fn answers(&self) -> bool {
        let greeting = || -> std::io::Result<u8> {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(b"AMQP\x00\x00\x09\x01")?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            Ok(kind[0])
        };
        // A frame of a method: it begins the connection.
        greeting().is_ok_and(|kind| kind == 1)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self) -> String {
        let port = self.port;
        format!(
            "listeners.tcp.default = 127.0.0.1:{port}\nlog.file = false\nlog.console = true\n\
             log.console.level = warning\ndisk_free_limit.absolute = 50MB\n"
        )
    }

    /// The script of Debian's own folder: the one in the path changes to another user. Told to
    /// take input, it becomes the node instead of starting it as a further process.
    fn launch(&self) -> Held {
        let folder = self.folder.path();
        let mut command = command("KILL", script());
        command
            .current_dir(folder)
            .env("HOME", folder)
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_MNESIA_BASE", self.data())
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_GENERATED_CONFIG_DIR", folder.join("config"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                folder.join("enabled_plugins"),
            )
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
            );
        Held::start(command, &self.output)
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.kill();
        if let Some(mapper) = self.mapper.lock().take() {
            mapper.kill();
        }
    }
}

/// The newest version that is installed.
fn script() -> String {
    let versions = std::fs::read_dir(LIBRARY).into_iter().flatten().flatten();
    let scripts = versions.map(|version| version.path().join("sbin/rabbitmq-server"));
    let script = scripts.filter(|script| script.is_file()).max();
    assert!(script.is_some(), "{ADVICE}");
    script.unwrap_or_default().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_under_its_address_and_leaves_no_process_behind() {
        let server = RabbitServer::start();
        assert!(server.answers());
        server.stop();
        assert!(!server.answers());
        server.restart();
        let name = server.name.clone();
        let (folder, address) = (server.folder().to_owned(), server.address());
        assert!(processes_with(&folder.display().to_string()) > 0);
        assert!(server.data().join(&name).is_dir());
        server.lose_everything();
        assert!(server.answers());
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(address).is_err());
        assert_eq!(processes_with(&folder.display().to_string()), 0);
    }

    /// Processes whose command line has this text.
    fn processes_with(text: &str) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.map(|entry| std::fs::read(entry.path().join("cmdline")));
        lines
            .flatten()
            .filter(|line| String::from_utf8_lossy(line).contains(text))
            .count()
    }
}
