//! Asks a polled source once, or reads a document from a file in its place, and shows what the
//! source makes of it: the same code as in a running server, without the server.

use crate::cbr::Cbr;
use crate::coingecko::CoinGecko;
use crate::config::SourcesConfig;
use crate::ecb::Ecb;
use crate::http_source::HttpSource;
use crate::openexchangerates::OpenExchangeRates;
use crate::polled::Transport;
use crate::protocol::{Picture, Protocol, Received, Refusal};
use crate::registry;
use crate::settings;
use bytes::Bytes;
use kurs_core::{Clock, Pair, Quote, SourceKind, Wall};
use kurs_net::http::{FetchError, Fetched, Validators};
use kurs_telemetry::{Secret, secret::REDACTED};
use std::time::Duration;
use thiserror::Error;

/// Requests that one table may take, as in a running source.
const REQUESTS: usize = 3;

/// Letters of a refusal that are shown.
const SHOWN: usize = 200;

/// Why a source cannot be asked this way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// No source has this name.
    #[error("there is no source {name}; there are {}", .known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// All that can be asked.
        known: Vec<String>,
    },
    /// Its prices come over a stream.
    #[error("{0} is followed over a stream, not polled; see it at work with: kurs sources")]
    Streams(String),
    /// It has no key, without which it refuses.
    #[error("{0} needs a key: set sources.{0}.key")]
    NeedsKey(String),
    /// The configuration is wrong.
    #[error("sources.http.{0}.{1}")]
    Config(String, String),
}

/// Where the document comes from.
pub enum From<'a> {
    /// The source itself.
    Source(&'a dyn Transport),
    /// A file of the user.
    File(Bytes),
}

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The URL, without the key.
    pub url: String,
    /// From the request to the last byte of the answer.
    pub took: Duration,
    /// Length of the body, bytes; `None` when there was no answer.
    pub bytes: Option<usize>,
    /// Content-Type, if the answer had one.
    pub content_type: Option<String>,
    /// What a server that refused said, cut short; empty otherwise.
    pub said: String,
}

/// One rate, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The pair, or what the row is called where its pair is not known.
    pub label: String,
    /// The pair.
    pub pair: Option<Pair>,
    /// The price, if it can be used.
    pub quote: Option<Quote>,
    /// When the source says it was true.
    pub observed_at: Option<Wall>,
    /// The numbers as the document has them; empty where the source does not keep them.
    pub text: String,
    /// Why there is no price; empty when there is one.
    pub problem: String,
}

/// What a source was asked and what it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What it is.
    pub kind: SourceKind,
    /// All requests.
    pub asked: Vec<Asked>,
    /// What the answer was read as, where that is not always the same.
    pub format: Option<&'static str>,
    /// Every rate.
    pub rates: Vec<Shown>,
    /// Why the whole of it brought nothing; empty when it brought something.
    pub problem: String,
}

impl Attempt {
    /// True when there is a price that can be used.
    #[must_use]
    pub fn has_price(&self) -> bool {
        self.rates.iter().any(|rate| rate.quote.is_some())
    }

    /// True when a body arrived, whatever was in it.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.asked.iter().any(|asked| asked.bytes.is_some())
    }
}

/// Asks the source of this name once.
///
/// # Errors
/// [`ProbeError`] when there is nothing to ask. A source that does not answer, or that answers
/// with garbage, is no error but an [`Attempt`] with a problem.
pub async fn once(
    config: &SourcesConfig,
    name: &str,
    from: From<'_>,
    clock: &dyn Clock,
) -> Result<Attempt, ProbeError> {
    let bank = SourceKind::Bank;
    match name {
        "coingecko" => {
            let key = config.coingecko.given_key();
            let probe = Probe::new(SourceKind::Aggregator, key, clock);
            Ok(probe
                .run(&mut CoinGecko::new(config.coingecko.clone()), from)
                .await)
        }
        "openexchangerates" => {
            let rates = &config.openexchangerates;
            let key = rates.given_key();
            if key.is_none() && matches!(from, From::Source(_)) {
                return Err(ProbeError::NeedsKey(name.to_owned()));
            }
            let probe = Probe::new(bank, key, clock);
            Ok(probe
                .run(&mut OpenExchangeRates::new(rates.clone()), from)
                .await)
        }
        "ecb" => {
            let probe = Probe::new(bank, None, clock);
            Ok(probe.run(&mut Ecb::new(config.ecb.clone()), from).await)
        }
        "cbr" => {
            let probe = Probe::new(bank, None, clock);
            Ok(probe.run(&mut Cbr::new(config.cbr.clone()), from).await)
        }
        _ => described(config, name, from, clock).await,
    }
}

async fn described(
    config: &SourcesConfig,
    name: &str,
    from: From<'_>,
    clock: &dyn Clock,
) -> Result<Attempt, ProbeError> {
    let Some(own) = config.http.get(name) else {
        if registry::NAMES.contains(&name) {
            return Err(ProbeError::Streams(name.to_owned()));
        }
        let polled = ["cbr", "coingecko", "ecb", "openexchangerates"].map(str::to_owned);
        return Err(ProbeError::Unknown {
            name: crate::decode::excerpt(name, 40),
            known: config.http.keys().cloned().chain(polled).collect(),
        });
    };
    let mut source = HttpSource::new(own)
        .map_err(|mistakes| ProbeError::Config(name.to_owned(), mistakes.join("; ")))?;
    let probe = Probe::new(own.kind, own.given_key(), clock);
    let mut attempt = probe.run(&mut source, from).await;
    for asked in &mut attempt.asked {
        source.shown_url().clone_into(&mut asked.url);
    }
    attempt.format = source
        .format()
        .map(crate::http_source::wire::Format::as_str);
    // Its own rows say more than the picture: the texts, and every problem.
    let picture = source.picture(clock.now());
    attempt.rates = source
        .rows()
        .iter()
        .map(|row| {
            let too_old = row.pair.and_then(|pair| picture.missing.get(&pair));
            let problem = row.quote.as_ref().err().or(too_old);
            Shown {
                label: row.label.clone(),
                pair: row.pair,
                quote: row
                    .quote
                    .as_ref()
                    .ok()
                    .copied()
                    .filter(|_| problem.is_none()),
                observed_at: row.observed_at,
                text: row.text.clone(),
                problem: problem.cloned().unwrap_or_default(),
            }
        })
        .collect();
    Ok(attempt)
}

struct Probe<'a> {
    kind: SourceKind,
    key: Option<&'a Secret>,
    clock: &'a dyn Clock,
}

impl<'a> Probe<'a> {
    fn new(kind: SourceKind, key: Option<&'a Secret>, clock: &'a dyn Clock) -> Self {
        Self { kind, key, clock }
    }

    async fn run<P: Protocol>(&self, protocol: &mut P, from: From<'_>) -> Attempt {
        let mut attempt = Attempt {
            kind: self.kind,
            asked: Vec::new(),
            format: None,
            rates: Vec::new(),
            problem: String::new(),
        };
        match from {
            From::File(bytes) => {
                let answer = Fetched::Body {
                    bytes,
                    validators: Validators::default(),
                    content_type: None,
                    headers: Vec::new(),
                };
                // A source that wants another document besides says what it has of this one.
                if let Err(refusal) = protocol.receive(answer, self.clock.now()) {
                    attempt.problem = self.redacted(&refusal.why);
                }
            }
            From::Source(transport) => {
                for _ in 0..REQUESTS {
                    match self.ask(protocol, transport, &mut attempt.asked).await {
                        Ok(Received::Done) => break,
                        Ok(Received::More) => {}
                        Err(refusal) => {
                            attempt.problem = self.redacted(&refusal.why);
                            break;
                        }
                    }
                }
            }
        }
        attempt.rates = shown(protocol.picture(self.clock.now()));
        attempt
    }

    async fn ask<P: Protocol>(
        &self,
        protocol: &mut P,
        transport: &dyn Transport,
        asked: &mut Vec<Asked>,
    ) -> Result<Received, Refusal> {
        let started = self.clock.now();
        let fetch = protocol.request(started);
        let mut one = Asked {
            url: self.redacted(&fetch.url),
            took: Duration::ZERO,
            bytes: None,
            content_type: None,
            said: String::new(),
        };
        let answer = transport.get(fetch).await;
        let now = self.clock.now();
        one.took = now.mono.since(started.mono);
        match &answer {
            Ok(Fetched::Body {
                bytes,
                content_type,
                ..
            }) => {
                one.bytes = Some(bytes.len());
                one.content_type.clone_from(content_type);
            }
            Err(FetchError::Refused { body, .. } | FetchError::Limited { body, .. }) => {
                let text = String::from_utf8_lossy(body);
                one.said = self.redacted(&crate::decode::excerpt(text.trim(), SHOWN));
            }
            Ok(Fetched::NotModified) | Err(_) => {}
        }
        asked.push(one);
        match answer {
            Ok(fetched) => protocol.receive(fetched, now),
            Err(error) => Err(protocol
                .judge(&error)
                .unwrap_or_else(|| Refusal::from(&error))),
        }
    }

    fn redacted(&self, text: &str) -> String {
        match settings::given(self.key) {
            Some(key) => text.replace(key.reveal().trim(), REDACTED),
            None => text.to_owned(),
        }
    }
}

fn shown(picture: Picture) -> Vec<Shown> {
    let problem = |label: String, pair: Option<Pair>, problem: String| Shown {
        label,
        pair,
        quote: None,
        observed_at: None,
        text: String::new(),
        problem,
    };
    let entries = picture.entries.into_iter().map(|entry| Shown {
        label: entry.pair.to_string(),
        pair: Some(entry.pair),
        quote: Some(entry.quote),
        observed_at: entry.observed_at,
        text: String::new(),
        problem: String::new(),
    });
    let missing = picture
        .missing
        .into_iter()
        .map(|(pair, why)| problem(pair.to_string(), Some(pair), why));
    let rejected = picture
        .rejected
        .into_iter()
        .map(|row| match row.split_once(": ") {
            Some((label, why)) => problem(label.to_owned(), None, why.to_owned()),
            None => problem(row, None, "left out".to_owned()),
        });
    entries.chain(missing).chain(rejected).collect()
}
