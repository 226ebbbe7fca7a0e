//! The configuration: one typed tree, made of the sections that each crate owns.
//!
//! | module | what it holds |
//! |---|---|
//! | [`sections`], [`bus`] | sections of the binary itself |
//! | [`load`] | [`Inputs`]: the layers and their order; [`Loaded`] |
//! | `merge` | the layers over each other, and what is wrong with what comes out |
//! | [`tree`], [`origin`] | values with where they came from |
//! | [`schema`] | what a key may hold, read from the JSON Schema of [`Config`] |
//! | [`check`] | unknown keys, wrong types, values out of range; texts become values |
//! | [`mod@file`], [`environment`], [`secrets`] | the single layers |
//! | [`stored`] | what is set while kurs runs, and what may be |
//! | [`mistake`] | [`Mistakes`]: everything that is wrong, in one message |
//! | [`mod@print`], [`example`] | what `kurs config print` and `kurs config example` show |
//! | [`redact`] | passwords in URLs |

pub mod bus;
pub mod check;
pub mod environment;
pub mod example;
pub mod file;
pub mod load;
mod merge;
pub mod mistake;
pub mod origin;
pub mod print;
pub mod redact;
pub mod schema;
pub mod secrets;
pub mod sections;
pub mod stored;
pub mod tree;

pub use bus::BusConfig;
pub use load::{FlagValue, Inputs, Loaded};
pub use mistake::{Mistake, Mistakes};
pub use sections::{Role, ShutdownConfig};
pub use stored::{Layered, Standing};

use kurs_alert::AlertConfig;
use kurs_api::ApiConfig;
use kurs_auth::{AuthConfig, LimitsConfig};
use kurs_bot::TelegramConfig;
use kurs_core::Wall;
use kurs_core::{Pair, PairParser};
use kurs_grpc::GrpcConfig;
use kurs_pricing::config::Knowledge;
use kurs_pricing::rule::syntax::RESERVED_NAMES;
use kurs_pricing::{Policy, WrittenPolicy};
use kurs_sources::config::SourcesConfig;
use kurs_store::config::StoreConfig;
use kurs_stream::StreamConfig;
use kurs_telemetry::{LogConfig, MetricsConfig};
use kurs_writer::WriterConfig;
use kurs_writer::candles::CandlesConfig;
use kurs_writer::capture::CaptureConfig;
use kurs_writer::recorder::RecorderConfig;
use kurs_writer::sinks::SinksConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// At most so many pairs in one list of the configuration.
const PAIRS_MAX: usize = 10_000;

/// Everything that can be set. The defaults run without any setting.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What this process does: writer, reader, bot. Empty: everything. With the bus `memory:`
    /// they can only live in one process; docs/operations.md shows how they live apart.
    pub role: Vec<Role>,
    /// Pairs that are always priced, and that `/courses` answers when none is asked for.
    #[serde(deserialize_with = "pairs_in_any_spelling")]
    pub directions: Vec<Pair>,
    /// Markets tracked from the first start. Later changes are made over the API and outlive a
    /// restart; this list is not looked at again.
    #[serde(deserialize_with = "pairs_in_any_spelling")]
    pub pairs: Vec<Pair>,
    /// How single pairs get their rate, by pair, where the default does not suit: a table
    /// [policy.BTC-USD] of keys, or a rule as a text. docs/pricing.md explains the kinds.
    #[serde(deserialize_with = "kurs_pricing::config::written_policies")]
    #[schemars(with = "BTreeMap<Pair, WrittenPolicy>")]
    pub policy: BTreeMap<Pair, Policy>,
    /// The HTTP server.
    pub http: ApiConfig,
    /// The gRPC server.
    pub grpc: GrpcConfig,
    /// Who may ask.
    pub auth: AuthConfig,
    /// How often.
    pub limits: LimitsConfig,
    /// Streams of rates to clients.
    pub streams: StreamConfig,
    /// Where current rates and history are kept.
    pub store: StoreConfig,
    /// How updates travel from Writer to Readers.
    pub bus: BusConfig,
    /// How several Writers share the work.
    pub writer: WriterConfig,
    /// Where prices come from.
    pub sources: SourcesConfig,
    /// How rows and current rates reach the store.
    pub recorder: RecorderConfig,
    /// How candles are made of what is received and published.
    pub candles: CandlesConfig,
    /// Whether and where everything that the sources receive is recorded, for `kurs replay`.
    pub capture: CaptureConfig,
    /// Databases that get a copy of what kurs says.
    pub sinks: SinksConfig,
    /// What is watched, and who is told.
    pub alerts: AlertConfig,
    /// The bot in Telegram.
    pub telegram: TelegramConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// What is measured.
    pub metrics: MetricsConfig,
    /// How the process ends.
    pub shutdown: ShutdownConfig,
}

impl Default for Config {
    fn default() -> Self {
        let bases = ["BTC", "ETH", "USDTTRC", "USDTERC"];
        let directions = ["USD", "RUB"]
            .map(|quote| bases.map(|base| format!("{base}-{quote}")))
            .concat();
        Self {
            role: Vec::new(),
            directions: directions
                .iter()
                .filter_map(|name| Pair::parse(name).ok())
                .collect(),
            pairs: ["BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD", "USDT-USD"]
                .iter()
                .filter_map(|name| Pair::parse(name).ok())
                .collect(),
            policy: BTreeMap::new(),
            http: ApiConfig::default(),
            grpc: GrpcConfig::default(),
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            streams: StreamConfig::default(),
            store: StoreConfig::default(),
            bus: BusConfig::default(),
            writer: WriterConfig::default(),
            sources: SourcesConfig::default(),
            recorder: RecorderConfig::default(),
            candles: CandlesConfig::default(),
            sinks: SinksConfig::default(),
            capture: CaptureConfig::default(),
            alerts: AlertConfig::default(),
            telegram: TelegramConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            shutdown: ShutdownConfig::default(),
        }
    }
}

/// `btc/usd`, `BTCUSDT` and `bitcoin-usd` are as good in a list as `BTC-USD`.
fn pairs_in_any_spelling<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pair>, D::Error> {
    let parser = PairParser::default();
    let mut pairs = Vec::new();
    for text in Vec::<String>::deserialize(from)? {
        let pair = parser
            .parse(&text)
            .map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))?;
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

/// What no answer of a bank can hold: the Bank of Russia prices in RUB, the ECB from EUR and
/// without RUB since 2022. Exchanges may list anything.
fn never_gives(source: &str, pair: Pair) -> bool {
    let has = |asset: &str| pair.base.as_str() == asset || pair.quote.as_str() == asset;
    match source {
        "cbr" => !has("RUB"),
        "ecb" => !has("EUR") || has("RUB"),
        _ => false,
    }
}

impl Config {
    /// Adds a sentence with the key path for everything that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        self.validate_roles(mistakes);
        for (key, list) in [("directions", &self.directions), ("pairs", &self.pairs)] {
            if list.len() > PAIRS_MAX {
                mistakes.push(format!("{key}: more than {PAIRS_MAX} pairs"));
            }
        }
        self.validate_policies(mistakes);
        self.http.validate(mistakes);
        self.grpc.validate(mistakes);
        let taken = [Some(self.http.addr), self.http.ops_addr];
        if self.grpc.addr.is_some_and(|addr| addr.port() != 0) && taken.contains(&self.grpc.addr) {
            mistakes.push("grpc.addr: must differ from http.addr and http.ops_addr".to_owned());
        }
        self.auth.validate(mistakes);
        self.limits.validate(mistakes);
        self.streams.validate(mistakes);
        self.store.validate(mistakes);
        self.bus.validate(mistakes);
        self.writer.validate(mistakes);
        self.sources.validate(mistakes);
        self.recorder.validate(mistakes);
        self.candles.validate(mistakes);
        self.sinks.validate(mistakes);
        self.capture.validate(mistakes);
        self.alerts.validate(mistakes);
        self.telegram.validate(mistakes);
        self.log.validate(mistakes);
        self.metrics.validate(mistakes);
        self.shutdown.validate(mistakes);
    }

    fn validate_policies(&self, mistakes: &mut Vec<String>) {
        let sources = self.sources.names();
        let knowledge = Knowledge {
            sources: &sources,
            never_gives,
        };
        kurs_pricing::config::validate(&self.policy, &knowledge, mistakes);
        for name in self.sources.http.keys() {
            if RESERVED_NAMES.contains(&name.as_str()) {
                mistakes.push(format!(
                    "sources.http.{name}: this word has a meaning in rules and answers; \
                     choose another name"
                ));
            }
        }
    }

    /// Sentences about what is allowed, but will hardly be meant at this time.
    #[must_use]
    pub fn warnings(&self, now: Wall) -> Vec<String> {
        kurs_pricing::config::warnings(&self.policy, now)
    }

    fn validate_roles(&self, mistakes: &mut Vec<String>) {
        let reads = self.runs(Role::Reader) || self.runs(Role::Bot);
        if self.runs(Role::Writer) != reads && self.bus.url == "memory:" {
            mistakes.push(
                "role: Writer and Reader, or Writer and bot, can only live apart when a broker is \
                 between them; with bus.url memory: leave role empty"
                    .to_owned(),
            );
        }
    }

    /// Whether this process has a role. Without any named it has all.
    #[must_use]
    pub fn runs(&self, role: Role) -> bool {
        self.role.is_empty() || self.role.contains(&role)
    }
}

#[cfg(test)]
mod tests;
