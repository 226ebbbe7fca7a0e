//! The kurs binary as a library, so that tests can look inside. Only this crate knows all others.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line; [`commands`]: one file per subcommand |
//! | [`config`] | the configuration: layers, origins, mistakes |
//! | [`compose`] | builds all parts and starts each role |
//! | [`server`] | the server's life: build, bind, run, drain |
//! | [`supervise`](mod@supervise) | contains panics of roles |
//! | [`reload`] | reads the configuration again on SIGHUP |
//! | [`client`], [`output`], [`exit`] | what commands share: HTTP to a running server, how data is shown, exit codes |

pub mod cli;
pub mod client;
pub mod commands;
pub mod compose;
pub mod config;
pub mod exit;
pub mod output;
pub mod reload;
pub mod server;
pub mod supervise;

/// Commit this program was built from, if the build said so.
pub const COMMIT: &str = match option_env!("KURS_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// `kurs 0.1.0 (unknown)`.
#[must_use]
pub fn version_line() -> String {
    format!("kurs {} ({COMMIT})", env!("CARGO_PKG_VERSION"))
}
