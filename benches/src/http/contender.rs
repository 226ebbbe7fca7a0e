//! A server that is measured, and its rounds.

use super::PATH;
use super::wrk::Load;
use crate::client;
use crate::options::Options;
use crate::process::Server;
use crate::statistics::Spread;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Body,
    NotModified,
}

impl Ask {
    pub(super) const ALL: [Self; 2] = [Self::Body, Self::NotModified];

    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Body => 200,
            Self::NotModified => 304,
        }
    }
}

/// A server with its rounds.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) label: &'static str,
    pub(super) server: Server,
    etag: String,
    pub(super) head_bytes: usize,
    rounds: Vec<(Ask, Round)>,
}

/// One round: what a request cost, and how many there were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) cpu_us: f64,
    /// The part of it that the kernel used.
    kernel_us: f64,
    pub(super) per_second: f64,
}

impl Contender {
    /// Makes sure that a server gives what all give before it is measured.
    pub(super) fn check(label: &'static str, server: Server, body: &[u8]) -> Result<Self> {
        let answer = client::get(server.address, PATH, "")?;
        ensure!(answer.status == 200, "{label}: {}", answer.status);
        ensure!(answer.body == body, "{label} sends another body");
        let etag = answer
            .etag
            .with_context(|| format!("{label} sends no ETag"))?;
        let header = format!("If-None-Match: {etag}\r\n");
        let unchanged = client::get(server.address, PATH, &header)?;
        ensure!(
            unchanged.status == 304,
            "{label}: {} instead of 304",
            unchanged.status
        );
        Ok(Self {
            label,
            server,
            etag,
            head_bytes: answer.head.len(),
            rounds: Vec::new(),
        })
    }

    pub(super) fn load(&self, ask: Ask) -> Load {
        let headers = match ask {
            Ask::Body => Vec::new(),
            Ask::NotModified => vec![format!("If-None-Match: {}", self.etag)],
        };
        Load {
            address: self.server.address,
            path: PATH.to_owned(),
            headers,
        }
    }

    pub(super) fn measure(
        &mut self,
        options: &Options,
        ask: Ask,
        duration: Duration,
    ) -> Result<()> {
        let round = measure(options, &self.server, &self.load(ask), duration)?;
        self.rounds.push((ask, round));
        Ok(())
    }

    pub(super) fn cpu(&self, ask: Ask) -> Spread {
        self.spread(ask, |round| round.cpu_us)
    }

    /// The kernel's part of the cost.
    pub(super) fn kernel(&self, ask: Ask) -> Spread {
        self.spread(ask, |round| round.kernel_us)
    }

    pub(super) fn per_second(&self, ask: Ask) -> Spread {
        self.spread(ask, |round| round.per_second)
    }

    fn spread(&self, wanted: Ask, value: fn(&Round) -> f64) -> Spread {
        let rounds = self.rounds.iter().filter(|(ask, _)| *ask == wanted);
        Spread::of(&rounds.map(|(_, round)| value(round)).collect::<Vec<_>>())
    }

    /// Cost against another server, round by round: both sides of a quotient saw the same minute.
    pub(super) fn against(&self, other: &Self, wanted: Ask) -> Spread {
        let costs = |contender: &Self| -> Vec<f64> {
            let rounds = contender.rounds.iter().filter(|(ask, _)| *ask == wanted);
            rounds.map(|(_, round)| round.cpu_us).collect()
        };
        let quotients = costs(self)
            .into_iter()
            .zip(costs(other))
            .map(|(own, other)| own / other);
        Spread::of(&quotients.collect::<Vec<_>>())
    }
}

/// One round on one server.
pub(super) fn measure(
    options: &Options,
    server: &Server,
    load: &Load,
    duration: Duration,
) -> Result<Round> {
    let before = server.cpu()?;
    let done = load.run(options.load_core, duration)?;
    let used = server.cpu()?.since(before);
    let requests = done.requests as f64;
    Ok(Round {
        cpu_us: used.total_us() / requests,
        kernel_us: used.kernel_us / requests,
        per_second: requests / done.seconds,
    })
}
