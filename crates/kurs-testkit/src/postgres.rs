//! A private PostgreSQL: its own cluster in a temporary folder, on a free port, gone with the test.
//!
//! ```no_run
//! let server = kurs_testkit::Postgres::shared();
//! let database = server.database();
//! println!("{}", database.url());
//! ```
//! PostgreSQL refuses to run as root, so under root it runs as the user `postgres`, which the
//! Debian package makes.

mod cluster;
mod programs;
mod running;

use crate::held::{new_folder, share};
use crate::process::{Output, free_port};
use parking_lot::Mutex;
use programs::{Programs, RunAs};
use running::Running;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Weak};
use tempfile::TempDir;

/// How a private server is run.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Wait for the disk at each commit. Off by default: a killed server still recovers
    /// everything, only a machine that loses its power would not.
    pub fsync: bool,
    /// Offer TLS with a certificate of its own making.
    pub tls: bool,
    /// Further lines of `postgresql.conf`, such as `("max_connections", "20")`.
    pub settings: Vec<(&'static str, String)>,
}

/// A running private server. One may be shared by the tests of a program, each with a
/// [`Postgres::database`] of its own.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: Programs,
    run_as: RunAs,
    port: u16,
    password: String,
    output: Output,
    running: Mutex<Option<Running>>,
}

/// A database of its own on a private server. It ends with the server.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    port: u16,
    password: String,
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&PostgresOptions::default())
    }

    /// Starts a server with these options.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(options: &PostgresOptions) -> Self {
        let folder = new_folder("kurs-pg-");
        let run_as = RunAs::find();
        run_as.give(folder.path());
        let server = Self {
            folder,
            programs: Programs::find(),
            run_as,
            port: free_port(),
            password: random_word(),
            output: Output::default(),
            running: Mutex::new(None),
        };
        server.make_cluster(options);
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
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        share(&SHARED, Self::start)
    }

    /// A new empty database.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn database(&self) -> Database {
        let database = self.existing(&format!("test_{}", random_word()));
        self.sql("postgres", &format!("CREATE DATABASE {}", database.name));
        database
    }

    /// A database by its name, such as `postgres`.
    #[must_use]
    pub fn existing(&self, name: &str) -> Database {
        Database {
            name: name.to_owned(),
            port: self.port,
            password: self.password.clone(),
        }
    }

    /// Runs statements as the superuser and gives what they print: a line per row, columns
    /// parted by `|`.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        match self.try_sql(database, statements) {
            Ok(text) => text,
            Err(why) => panic!("psql cannot run {statements}: {why}"),
        }
    }

    /// The same, with what psql complains about when a statement fails.
    ///
    /// # Errors
    /// What psql wrote on standard error.
    pub fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = Command::new(self.programs.path("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
            ])
            .arg("-h")
            .arg(self.folder.path())
            .args([
                "-p",
                &self.port.to_string(),
                "-d",
                database,
                "-c",
                statements,
            ])
            .env_remove("PGOPTIONS")
            .env_remove("PGSERVICE")
            .stdin(Stdio::null())
            .output()
            .expect("psql can be started");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where its socket, its data (`data`) and, with TLS, its certificate (`server.crt`) lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of its version, such as `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.path(name)
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Without writing anything down, but with its shared memory given back.
        self.end("QUIT");
    }
}

impl Database {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address for the superuser, over TCP, with a password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres", &self.password)
    }

    /// Its address for another role.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str) -> String {
        let Self { name, port, .. } = self;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}")
    }
}

/// Sixteen letters and digits that nobody guesses.
fn random_word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_was_committed_survives_a_kill_and_databases_are_apart() {
        let server = Postgres::start();
        let (one, other) = (server.database(), server.database());
        server.sql(
            one.name(),
            "CREATE TABLE kept (x int); INSERT INTO kept VALUES (7)",
        );
        assert!(server.try_sql(other.name(), "SELECT x FROM kept").is_err());
        server.kill();
        assert!(server.try_sql(one.name(), "SELECT 1").is_err());
        server.restart();
        assert_eq!(server.sql(one.name(), "SELECT x FROM kept"), "7");
        server.kill_all();
        assert!(server.try_sql(one.name(), "SELECT 1").is_err());
        server.restart();
        assert_eq!(server.sql(one.name(), "SELECT x FROM kept"), "7");
    }

    #[test]
    fn a_server_is_gone_with_its_folder_when_a_test_panics() {
        let (tell, told) = mpsc::channel();
        let test = std::thread::spawn(move || {
            let server = Postgres::start();
            let id = server.running.lock().as_ref().map(|running| running.id);
            tell.send((server.folder().to_owned(), id.unwrap()))
                .unwrap();
            panic!("the test fails");
        });
        assert!(test.join().is_err());
        let (folder, id) = told.recv().unwrap();
        assert!(!folder.exists());
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_shared_server_is_one_while_somebody_holds_it() {
        let (one, other) = (Postgres::shared(), Postgres::shared());
        assert_eq!(one.port(), other.port());
    }
}
