//! The load: `wrk` with one thread and 64 kept connections.

use crate::process;
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

/// Kept connections.
const CONNECTIONS: usize = 64;

/// What is asked of whom.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// Header lines without their end.
    pub(crate) headers: Vec<String>,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
}

impl Load {
    /// Asks for as long as is said; an answer of 400 or more, or a lost connection, is an error.
    pub(crate) fn run(&self, core: usize, duration: Duration) -> Result<Done> {
        let mut command = process::command(Some(core), process::find("wrk"));
        command.args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{}s", duration.as_secs().max(1)),
        ]);
        for header in &self.headers {
            command.args(["-H", header]);
        }
        command
            .arg(format!("http://{}{}", self.address, self.path))
            .stdout(Stdio::piped());
        let output = command.output().context("cannot start wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "wrk failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let bad = text
            .lines()
            .find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
        ensure!(
            bad.is_none(),
            "{}: {}",
            self.address,
            bad.unwrap_or_default().trim()
        );
        parse(&text).with_context(|| format!("wrk said what is not understood: {text}"))
    }
}

/// Reads `  123456 requests in 4.10s, 40.00MB read`.
fn parse(text: &str) -> Option<Done> {
    let line = text
        .lines()
        .find(|line| line.contains(" requests in "))?
        .trim();
    let (requests, rest) = line.split_once(" requests in ")?;
    let time = rest.split(',').next()?;
    // The longest unit that fits: ms, s, m.
    let (number, unit) = time.split_at(time.find(|c: char| c.is_ascii_alphabetic())?);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(Done {
        requests: requests.parse().ok()?,
        seconds: number.parse::<f64>().ok()? * factor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_requests_and_their_time_are_read() {
        let text = "Running 1s test\n  Latency 1ms\n  123456 requests in 4.10s, 40.00MB read\nRequests/sec: 1\n";
        assert_eq!(
            parse(text),
            Some(Done {
                requests: 123_456,
                seconds: 4.1
            })
        );
        assert_eq!(
            parse("  7 requests in 1.50m, 1MB read"),
            Some(Done {
                requests: 7,
                seconds: 90.0
            })
        );
        assert_eq!(parse("nothing"), None);
    }
}
