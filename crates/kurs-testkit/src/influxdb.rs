//! A private InfluxDB 1.x: its own data in a temporary folder, on a free port, gone with the test.
//!
//! ```no_run
//! let server = kurs_testkit::InfluxDb::start();
//! let database = server.database();
//! println!("{}", server.query(&database, "SELECT * FROM rate"));
//! ```

use crate::held::{Held, bring_up, command, find, new_folder};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use serde_json::Value;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tempfile::TempDir;

/// How long a start, recovery included, or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
const ADVICE: &str = "InfluxDB is not installed: `cargo xtask test` installs the Debian package \
                      `influxdb`";

/// A running private server.
#[derive(Debug)]
pub struct InfluxDb {
    folder: TempDir,
    port: u16,
    account: Option<(String, String)>,
    output: Output,
    running: Mutex<Option<Held>>,
}

impl InfluxDb {
    /// Starts a server that anyone may use.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::make(None)
    }

    /// Starts a server that wants a name and a password, and knows this one administrator.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with_account(name: &str, password: &str) -> Self {
        let server = Self::make(Some((name.to_owned(), password.to_owned())));
        server.query(
            "",
            &format!("CREATE USER {name} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"),
        );
        server
    }

    fn make(account: Option<(String, String)>) -> Self {
        assert!(find("influxd", &[]).is_some(), "{ADVICE}");
        let folder = new_folder("kurs-influx-");
        let server = Self {
            folder,
            port: free_port(),
            account,
            output: Output::default(),
            running: Mutex::new(None),
        };
        std::fs::write(
            server.folder.path().join("influxdb.conf"),
            server.settings(),
        )
        .expect("the folder can be written");
        server.restart();
        server
    }

    /// A new empty database, by its name.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let number = RandomState::new().build_hasher().finish();
        let name = format!("test_{number:016x}");
        self.query("", &format!("CREATE DATABASE {name}"));
        name
    }

    /// What the server answers to InfluxQL; times in microseconds.
    ///
    /// # Panics
    /// When it does not answer, or says that the statement is wrong.
    pub fn query(&self, database: &str, statement: &str) -> Value {
        match self.try_query(database, statement) {
            Ok(answer) => answer,
            Err(why) => panic!("InfluxDB cannot answer {statement}: {why}"),
        }
    }

    /// The rows of the first series of the answer, tags among the columns where they were
    /// selected; none when there is no series.
    ///
    /// # Panics
    /// As [`InfluxDb::query`].
    pub fn rows(&self, database: &str, statement: &str) -> Vec<Vec<Value>> {
        let answer = self.query(database, statement);
        let rows = answer.pointer("/results/0/series/0/values").cloned();
        rows.map_or_else(Vec::new, |rows| {
            serde_json::from_value(rows).expect("rows are lists")
        })
    }

    /// The same as [`InfluxDb::query`], with the reason when there is no answer.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn try_query(&self, database: &str, statement: &str) -> Result<Value, String> {
        let form = format!("epoch=u&db={database}&q={}", in_form(statement));
        let text = self.ask(&form).map_err(|error| error.to_string())?;
        let answer: Value =
            serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        let complaint = answer
            .pointer("/results/0/error")
            .or_else(|| answer.pointer("/error"));
        match complaint {
            Some(complaint) => Err(complaint.to_string()),
            None => Ok(answer),
        }
    }

    /// Writes lines as they are; times in microseconds.
    ///
    /// # Errors
    /// What the server says against them.
    pub fn write(&self, database: &str, lines: &str) -> Result<(), String> {
        let path = format!("/write?db={database}&precision=u");
        let answer = self.post(&path, "text/plain", lines);
        match answer.map_err(|error| error.to_string())? {
            taken if taken.is_empty() => Ok(()),
            complaint => Err(complaint),
        }
    }

    /// Without a body: a server that refuses does not read it, and closing a connection with
    /// something unread in it may take the answer away.
    fn ask(&self, form: &str) -> std::io::Result<String> {
        self.post(&format!("/query?{form}"), "text/plain", "")
    }

    /// One request; the protocol's oldest version, so that the answer is not cut into chunks.
    fn post(&self, path: &str, kind: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let account = self
            .account
            .as_ref()
            .map(|(name, password)| format!("&u={}&p={}", in_form(name), in_form(password)));
        let (account, length) = (account.unwrap_or_default(), body.len());
        write!(
            stream,
            "POST {path}{account} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        Ok(body.unwrap_or_default().to_owned())
    }

    /// Its address, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its data lies: `data` and `wal`.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
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
            "InfluxDB",
            PATIENCE,
            &self.output,
            &self.running,
            || self.launch(),
            // An error that it says itself is an answer.
            || self.ask("q=SHOW%20DATABASES").is_ok(),
        );
    }

    fn settings(&self) -> String {
        let folder = self.folder.path().display();
        let (port, wants_account) = (self.port, self.account.is_some());
        format!(
            r#"reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{folder}/meta"
logging-enabled = false
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {wants_account}
log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"#
        )
    }

    fn launch(&self) -> Held {
        let mut command = command("KILL", "influxd");
        command
            .args(["run", "-config"])
            .arg(self.folder.path().join("influxdb.conf"))
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path());
        Held::start(command, &self.output)
    }
}

impl Drop for InfluxDb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Everything but letters and digits as `%XX`.
fn in_form(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_survive_a_kill_and_nothing_is_left_in_the_end() {
        let server = InfluxDb::start();
        let database = server.database();
        server.kill();
        assert!(server.try_query("", "SHOW DATABASES").is_err());
        server.restart();
        let names = server.rows("", "SHOW DATABASES");
        assert!(names.contains(&vec![Value::from(database)]), "{names:?}");
        let (folder, port) = (server.folder().to_owned(), server.port);
        drop(server);
        assert!(!folder.exists());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn a_server_with_an_account_refuses_strangers() {
        let mut server = InfluxDb::start_with_account("anna", "her password");
        let _ = server.database();
        server.account = Some(("anna".to_owned(), "guessed".to_owned()));
        let refused = server.try_query("", "SHOW DATABASES").unwrap_err();
        assert!(refused.contains("authorization failed"), "{refused}");
    }
}
