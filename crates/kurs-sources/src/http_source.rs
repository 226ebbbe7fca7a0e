//! Any rates in JSON, XML or CSV that can be asked for by GET, described by configuration alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`Config`]: one table `[sources.http.NAME]`; [`reading`]: its rates and rows |
//! | [`request`] | [`Template`]: URL and headers with the key in its places |
//! | [`plan`] | [`Plan`]: what a configuration means, everything wrong in it found |
//! | [`wire`] | bytes to [`Document`], by way of [`json`], [`xml`] or [`csv`] |
//! | [`place`] | where something stands: [`json_path`], [`tree_path`]; [`cursor`] reads their texts |
//! | [`map`] | document to rates, [`number`] and [`moment`] to exact values |
//! | [`limits`] | what a document may cost |

pub mod config;
pub mod csv;
pub mod cursor;
pub mod json;
pub mod json_path;
pub mod limits;
pub mod map;
pub mod moment;
pub mod number;
pub mod place;
pub mod plan;
pub mod reading;
pub mod request;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod tree_path;
pub mod wire;
pub mod xml;

use crate::decode::DecodeError;
use crate::protocol::{Picture, Protocol, Received, Refusal};
pub use config::{Config, validate_all};
use kurs_core::Now;
use kurs_net::http::{Fetch, FetchError, Fetched, Validators};
pub use map::Row;
use plan::Plan;
use request::Template;
use std::sync::Arc;
use std::time::Duration;
use wire::{Document, Format};

/// Problems that one message names.
const PROBLEMS_TOLD: usize = 3;

/// How one such source is asked and read.
#[derive(Debug, Clone)]
pub struct HttpSource {
    template: Arc<Template>,
    plan: Arc<Plan>,
    timeout: Duration,
    max_body_bytes: usize,
    max_observed_age: Option<Duration>,
    rows: Vec<Row>,
    format: Option<Format>,
    validators: Option<Validators>,
}

impl HttpSource {
    /// Nothing received yet.
    ///
    /// # Errors
    /// The mistakes of the configuration, each beginning with its key.
    pub fn new(config: &Config) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let template = Template::new(config, &mut mistakes);
        let plan = Plan::new(config, &mut mistakes);
        let (Some(template), Some(plan)) = (template, plan) else {
            return Err(mistakes);
        };
        Ok(Self {
            template: Arc::new(template),
            plan: Arc::new(plan),
            timeout: config.timeout.0,
            max_body_bytes: config.max_body_bytes,
            max_observed_age: config.max_observed_age.map(|age| age.0),
            rows: Vec::new(),
            format: None,
            validators: None,
        })
    }

    /// The URL without the key.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        self.template.shown_url()
    }

    /// Everything that was looked for in the latest answer, whatever came of it.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What the latest answer was read as.
    #[must_use]
    pub const fn format(&self) -> Option<Format> {
        self.format
    }

    /// A text from outside without the key.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        self.template.redacted(text)
    }

    fn read(&mut self, bytes: &[u8], content_type: Option<&str>) -> Result<(), DecodeError> {
        let plan = &self.plan;
        let text = wire::to_text(bytes, plan.charset, content_type);
        let format = plan
            .format
            .unwrap_or_else(|| Format::guess(&text, content_type));
        self.format = Some(format);
        let document = Document::read(&text, format, plan.csv)?;
        let mut rows = map::rows(&document, plan);
        for row in &mut rows {
            row.text = self.template.redacted(&row.text);
            row.label = self.template.redacted(&row.label);
            if let Err(why) = &mut row.quote {
                *why = self.template.redacted(why);
            }
        }
        self.rows = rows;
        Ok(())
    }
}

impl Protocol for HttpSource {
    fn request(&mut self, _: Now) -> Fetch {
        Fetch {
            url: self.template.url(),
            shown: Some(self.template.shown_url().into()),
            headers: self.template.headers(),
            validators: self.validators.clone(),
            timeout: self.timeout,
            max_body_bytes: self.max_body_bytes,
        }
    }

    fn receive(&mut self, answer: Fetched, _: Now) -> Result<Received, Refusal> {
        let Fetched::Body {
            bytes,
            validators,
            content_type,
            ..
        } = answer
        else {
            return Ok(Received::Done);
        };
        let read = self.read(&bytes, content_type.as_deref());
        let read = read.and_then(|()| match self.rows.iter().any(|row| row.quote.is_ok()) {
            true => Ok(()),
            false => Err(DecodeError::Empty(problems(&self.rows))),
        });
        match read {
            Ok(()) => {
                self.validators = Some(validators);
                Ok(Received::Done)
            }
            Err(error) => {
                // What could not be read must not be answered with "not modified".
                self.validators = None;
                let mut refusal = Refusal::from(error);
                refusal.why = self.template.redacted(&refusal.why);
                Err(refusal)
            }
        }
    }

    fn judge(&self, error: &FetchError) -> Option<Refusal> {
        let mut refusal = Refusal::from(error);
        if let FetchError::Refused {
            status: 301 | 302 | 303 | 307 | 308,
            ..
        } = error
        {
            refusal.why += ": the server names another address; write that one";
        }
        // The key may stand in the path.
        refusal.why = self.template.redacted(&refusal.why);
        Some(refusal)
    }

    fn picture(&self, now: Now) -> Picture {
        map::picture(&self.rows, now.wall, self.max_observed_age)
    }
}

/// The first problems, and how many there are.
fn problems(rows: &[Row]) -> String {
    let all: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.label, row.quote.as_ref().err()?)))
        .collect();
    let mut told = all
        .iter()
        .take(PROBLEMS_TOLD)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if all.len() > PROBLEMS_TOLD {
        told += &format!("; and {} more", all.len() - PROBLEMS_TOLD);
    }
    told
}
