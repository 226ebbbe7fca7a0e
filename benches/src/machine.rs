//! On what it was measured.

use serde::{Deserialize, Serialize};
use std::process::Command;

/// What somebody must know to compare figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) nginx: String,
    pub(crate) wrk: String,
    pub(crate) commit: String,
    /// Running and waiting tasks over the last minute, when the measurement began.
    pub(crate) load: String,
    pub(crate) date: String,
}

impl Machine {
    /// This machine now. What cannot be found out is `unknown`.
    pub(crate) fn look() -> Self {
        let processor = field("/proc/cpuinfo", "model name");
        let memory = field("/proc/meminfo", "MemTotal");
        let kilobytes: u64 = memory
            .trim_end_matches("kB")
            .trim()
            .parse()
            .unwrap_or_default();
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: kilobytes / 1_024,
            kernel: read("/proc/sys/kernel/osrelease"),
            rustc: said("rustc", &["--version"]),
            nginx: said("nginx", &["-v"]).replace("nginx version: ", ""),
            wrk: said("wrk", &["-v"])
                .split(" [")
                .next()
                .unwrap_or("unknown")
                .to_owned(),
            commit: said("git", &["rev-parse", "--short=12", "HEAD"]),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or("unknown")
                .to_owned(),
            date: said("date", &["-u", "+%Y-%m-%d"]),
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, value)| value.trim().to_owned());
    value.unwrap_or_else(|| "unknown".to_owned())
}

/// First line of what a program says; `wrk -v` and `nginx -v` say it in unusual ways.
fn said(program: &str, arguments: &[&str]) -> String {
    let path = crate::process::find(program);
    let output = Command::new(path).args(arguments).output().ok();
    let text = output.map(|output| {
        let text = if output.stdout.is_empty() {
            output.stderr
        } else {
            output.stdout
        };
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    });
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
