//! A private nginx that balances between servers: on a free port, gone with the test.
//!
//! ```no_run
//! # let [first, second, third] = [std::net::SocketAddr::from(([127, 0, 0, 1], 1)); 3];
//! let balancer = kurs_testkit::Nginx::start(&[first, second]);
//! println!("{}", balancer.url());
//! balancer.reload(&[second, third]);
//! ```
//!
//! It keeps connections to the servers open, asks another one when the one it asked is away or
//! answers 503 (never twice for a POST), and leaves out for a second one that failed.

use crate::held::{Held, command, find, new_folder};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a start, a reload or a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Debian's folder of servers, which only root has on the search path.
const SERVERS_FOLDER: &str = "/usr/sbin";
const ADVICE: &str =
    "nginx is not installed: `cargo xtask test` installs the Debian package `nginx`";

/// A running private nginx.
#[derive(Debug)]
pub struct Nginx {
    folder: TempDir,
    program: PathBuf,
    port: u16,
    output: Output,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    server: Held,
    /// Each configuration listens on another port besides: it tells which one is at work.
    sign_port: u16,
}

impl Nginx {
    /// Starts a balancer before these servers. Returns when it accepts connections.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(upstreams: &[SocketAddr]) -> Self {
        let program = find("nginx", &[SERVERS_FOLDER]).expect(ADVICE);
        let folder = new_folder("kurs-nginx-");
        let nginx = Self {
            folder,
            program,
            port: free_port(),
            output: Output::default(),
            running: Mutex::new(None),
        };
        let sign_port = nginx.write_settings(upstreams);
        *nginx.running.lock() = Some(nginx.launch(sign_port));
        nginx.wait_for(|| accepts(sign_port) && accepts(nginx.port));
        nginx
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The same as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// Balances between these servers from now on; requests under way are answered by the old ones.
    /// Returns when no new connection is served by the old list.
    ///
    /// # Panics
    /// When it does not take the new list, or has been ended by someone.
    pub fn reload(&self, upstreams: &[SocketAddr]) {
        let new_port = self.write_settings(upstreams);
        let told = Command::new(&self.program)
            .args(self.arguments())
            .args(["-s", "reload"])
            .output()
            .expect("nginx can be started");
        assert!(
            told.status.success(),
            "nginx does not take the new servers: {}",
            String::from_utf8_lossy(&told.stderr)
        );
        let old_port = self
            .running
            .lock()
            .as_mut()
            .map(|running| std::mem::replace(&mut running.sign_port, new_port));
        // The old workers hold their port until they take no more connections.
        self.wait_for(|| accepts(new_port) && !old_port.is_some_and(accepts));
    }

    fn wait_for(&self, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            let mut running = self.running.lock();
            let has_ended = running.as_mut().is_some_and(|now| now.server.has_ended());
            assert!(
                !has_ended && Instant::now() < end,
                "nginx does not come up; it printed:\n{}",
                self.output.lines().join("\n")
            );
            drop(running);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn arguments(&self) -> [String; 6] {
        let folder = self.folder.path();
        [
            "-p".to_owned(),
            folder.display().to_string(),
            "-c".to_owned(),
            folder.join("nginx.conf").display().to_string(),
            // Before the configuration is read it would complain of a log it may not write.
            "-e".to_owned(),
            "stderr".to_owned(),
        ]
    }

    /// Writes the configuration; gives the port that tells that it is at work.
    fn write_settings(&self, upstreams: &[SocketAddr]) -> u16 {
        let sign_port = free_port();
        let path = self.folder.path().join("nginx.conf");
        let mut file = std::fs::File::create(path).expect("the folder can be written");
        let text = settings(self.folder.path(), self.port, sign_port, upstreams);
        file.write_all(text.as_bytes())
            .expect("the folder can be written");
        sign_port
    }

    /// Its signal ends it in good order, its workers with it.
    fn launch(&self, sign_port: u16) -> Running {
        let mut command = command("TERM", &self.program);
        command
            .args(self.arguments())
            .current_dir(self.folder.path());
        Running {
            server: Held::start(command, &self.output),
            sign_port,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            // Killed after that, its workers stay, which is better than a test that hangs.
            running.server.end(PATIENCE);
        }
    }
}

fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn settings(folder: &Path, port: u16, sign_port: u16, upstreams: &[SocketAddr]) -> String {
    let folder = folder.display();
    let tries = upstreams.len();
    let servers: String = upstreams
        .iter()
        .map(|upstream| format!("server {upstream} max_fails=1 fail_timeout=1s; "))
        .collect();
    // The workers of root's nginx are nobody, who may not enter the folder.
    format!(
        r#"daemon off;
user root;
worker_processes 1;
worker_shutdown_timeout 10s;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    map $http_upgrade $connection_header {{ default upgrade; "" ""; }}
    upstream servers {{ {servers}keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_header;
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout http_503;
            proxy_next_upstream_tries {tries};
        }}
    }}
    server {{ listen 127.0.0.1:{sign_port}; return 204; }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::{JoinHandle, JoinSet};

    /// A server that answers every request with its name; aborting the task kills it.
    async fn server(name: &'static str) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut request = Vec::new();
                    while stream
                        .read_buf(&mut request)
                        .await
                        .is_ok_and(|count| count > 0)
                    {
                        if request.ends_with(b"\r\n\r\n") {
                            request.clear();
                            let answer = format!(
                                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
                                name.len()
                            );
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                    }
                });
            }
        });
        (address, task)
    }

    async fn answer(nginx: &Nginx) -> String {
        let mut stream = tokio::net::TcpStream::connect(nginx.address())
            .await
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        body.to_owned()
    }

    #[tokio::test]
    async fn two_servers_are_balanced_and_one_that_dies_loses_no_request() {
        let (first, _first_task) = server("first").await;
        let (second, second_task) = server("second").await;
        let nginx = Nginx::start(&[first, second]);
        let mut second_answered = 0;
        for number in 0..300 {
            if number == 100 {
                second_task.abort();
            }
            let by_second = answer(&nginx).await == "second";
            second_answered += usize::from(by_second);
            if number == 99 {
                assert_eq!(second_answered, 50, "not every other one");
            }
        }
        assert!((50..=52).contains(&second_answered), "{second_answered}");
    }

    #[tokio::test]
    async fn after_a_reload_only_the_new_servers_are_asked() {
        let (first, _first_task) = server("first").await;
        let (second, _second_task) = server("second").await;
        let nginx = Nginx::start(&[first]);
        for (server, name) in [(second, "second"), (first, "first")] {
            nginx.reload(&[server]);
            for _ in 0..20 {
                assert_eq!(answer(&nginx).await, name);
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_dropped_balancer() {
        let (first, _first_task) = server("first").await;
        let nginx = Nginx::start(&[first]);
        assert_eq!(answer(&nginx).await, "first");
        let (folder, port) = (nginx.folder.path().to_owned(), nginx.port);
        drop(nginx);
        assert!(!folder.exists());
        assert!(!accepts(port), "a worker is left");
    }
}
