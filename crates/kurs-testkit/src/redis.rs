//! A private Redis: its own data in a temporary folder, on a free port, gone with the test.
//!
//! ```no_run
//! let server = kurs_testkit::RedisServer::start();
//! println!("{}", server.url());
//! server.kill();
//! server.restart();
//! ```

use crate::held::{Held, bring_up, command, find, new_folder};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long a start, loading included, or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
const ADVICE: &str = "Redis is not installed: `cargo xtask test` installs the Debian package \
                      `redis-server`";

/// How a private server is run.
#[derive(Debug, Clone, Default)]
pub struct RedisServerOptions {
    /// Wait for the disk at each write, so that a killed machine loses nothing. Off by default:
    /// what was written is handed to the system at once, so a killed server loses nothing.
    pub fsync: bool,
    /// Listen with TLS too, with a certificate of its own making for `localhost`.
    pub tls: bool,
    /// What clients have to say first.
    pub password: Option<String>,
    /// Further lines of `redis.conf`, such as `("maxmemory", "10mb")`.
    pub settings: Vec<(&'static str, String)>,
}

/// A running private server.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    tls_port: Option<u16>,
    password: Option<String>,
    output: Output,
    running: Mutex<Option<Held>>,
}

impl RedisServer {
    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&RedisServerOptions::default())
    }

    /// Starts a server with these options.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(options: &RedisServerOptions) -> Self {
        assert!(find("redis-server", &[]).is_some(), "{ADVICE}");
        let folder = new_folder("kurs-redis-");
        let server = Self {
            folder,
            port: free_port(),
            tls_port: options.tls.then(free_port),
            password: options.password.clone(),
            output: Output::default(),
            running: Mutex::new(None),
        };
        std::fs::write(
            server.folder.path().join("redis.conf"),
            server.settings(options),
        )
        .expect("the folder can be written");
        std::fs::create_dir(server.data()).expect("the folder can be written");
        if options.tls {
            server.make_certificate();
        }
        server.restart();
        server
    }

    /// Its address for clients, with the password if it wants one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same through another address, such as that of a proxy before it.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://{}{address}", self.login())
    }

    /// Its address for clients that want TLS.
    ///
    /// # Panics
    /// When it was started without.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.expect("the server was started with TLS");
        format!("rediss://{}localhost:{port}", self.login())
    }

    /// Its certificate, if it was started with TLS.
    #[must_use]
    pub fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("server.crt")
    }

    fn login(&self) -> String {
        let login = |password| format!(":{password}@");
        self.password.as_ref().map_or_else(String::new, login)
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

    /// The first line of its answer to a command in one line, such as `XLEN name`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let account = self
            .password
            .as_ref()
            .map_or_else(String::new, |password| format!("AUTH {password}\r\n"));
        write!(stream, "{account}{command}\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut answer = String::new();
        for _ in 0..=usize::from(self.password.is_some()) {
            answer.clear();
            if reader.read_line(&mut answer)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(answer.trim_end().to_owned())
    }

    /// Stops it in good order: it writes everything down first. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it goes on running.
    pub fn stop(&self) {
        let Some(mut server) = self.running.lock().take() else {
            return;
        };
        // It closes the connection instead of answering.
        let _ = self.ask("SHUTDOWN");
        assert!(server.ends_within(PATIENCE), "Redis does not stop");
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

    /// Kills it, if it runs, and starts it again: same port, same data. Returns when it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&self) {
        self.kill();
        bring_up(
            "Redis",
            PATIENCE,
            &self.output,
            &self.running,
            || self.launch(),
            // Until then it refuses connections, or says that it is loading.
            || self.ask("PING").is_ok_and(|answer| answer == "+PONG"),
        );
    }

    /// Kills it, deletes everything it has written, and starts it again, empty.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn lose_everything(&self) {
        self.kill();
        std::fs::remove_dir_all(self.data()).expect("the data can be deleted");
        std::fs::create_dir(self.data()).expect("the folder can be written");
        self.restart();
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self, options: &RedisServerOptions) -> String {
        let (port, data) = (self.port, self.data());
        let fsync = if options.fsync { "always" } else { "no" };
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nappendonly yes\nappendfsync {fsync}\n\
             save \"\"\ndaemonize no\n",
            data.display()
        );
        if let Some(password) = &self.password {
            text.push_str(&format!("requirepass {password}\n"));
        }
        if let Some(port) = self.tls_port {
            let file = |name: &str| self.folder.path().join(name).display().to_string();
            let (certificate, key) = (file("server.crt"), file("server.key"));
            text.push_str(&format!(
                "tls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\n\
                 tls-ca-cert-file {certificate}\ntls-auth-clients no\n"
            ));
        }
        for (name, value) in &options.settings {
            text.push_str(&format!("{name} {value}\n"));
        }
        text
    }

    /// A certificate for `localhost` that nobody vouches for.
    fn make_certificate(&self) {
        let made = Command::new("openssl")
            .args(["req", "-new", "-x509", "-nodes", "-days", "2"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            // Strict clients take no authority for a server.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "server.key", "-out", "server.crt"])
            .current_dir(self.folder.path())
            .output()
            .expect("openssl can be started");
        assert!(
            made.status.success(),
            "openssl failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    fn launch(&self) -> Held {
        let mut command = command("KILL", "redis-server");
        command
            .arg(self.folder.path().join("redis.conf"))
            .current_dir(self.folder.path());
        Held::start(command, &self.output)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_survives_a_kill_until_everything_is_lost() {
        let server = RedisServer::start();
        assert_eq!(server.ask("SET name value").unwrap(), "+OK");
        server.kill();
        assert!(server.ask("EXISTS name").is_err());
        server.restart();
        assert_eq!(server.ask("EXISTS name").unwrap(), ":1");
        server.stop();
        server.restart();
        assert_eq!(server.ask("EXISTS name").unwrap(), ":1");
        server.lose_everything();
        assert_eq!(server.ask("EXISTS name").unwrap(), ":0");
        let (folder, address) = (server.folder().to_owned(), server.address());
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_server_with_a_password_answers_those_who_know_it() {
        let mut server = RedisServer::start_with(&RedisServerOptions {
            fsync: true,
            password: Some("hers".to_owned()),
            ..RedisServerOptions::default()
        });
        assert_eq!(server.ask("PING").unwrap(), "+PONG");
        server.password = None;
        assert!(server.ask("PING").unwrap().starts_with("-NOAUTH"));
    }
}
