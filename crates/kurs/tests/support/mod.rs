//! The real binary against simulated venues: each test has its own of both.

#![allow(dead_code, reason = "every test file uses a part of this")]

use kurs_sim::{Sim, SimConfig, SimHandle, Venue};
use kurs_testkit::PrivateProcess;
use kurs_testkit::wait::until_async;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Longest time anything here may take; only a hang comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A sim, a kurs that listens to it, and a client.
pub(crate) struct World {
    pub(crate) sim: SimHandle,
    pub(crate) kurs: Kurs,
}

/// A running kurs.
pub(crate) struct Kurs {
    pub(crate) process: PrivateProcess,
    base: String,
    client: reqwest::Client,
}

/// An answer of kurs.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

impl World {
    /// Starts both; `settings` are further environment variables of kurs.
    pub(crate) async fn start(sim: SimConfig, settings: &[(&str, &str)]) -> Self {
        let sim = Sim::start(sim, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let kurs = Kurs::start(&sim, settings, None).await;
        Self { sim, kurs }
    }

    /// Waits until a pair is served by this source.
    pub(crate) async fn served_by(&self, pair: &str, source: &str) -> Value {
        self.kurs
            .until(pair, |rate| {
                rate["source"] == source && rate["state"] == "fresh"
            })
            .await
    }
}

/// Settings that let kurs listen to all five exchanges; without them it has Binance alone, so
/// that a test knows who serves.
pub(crate) const ALL_EXCHANGES: [(&str, &str); 4] = [
    ("KURS_SOURCES__COINBASE__ENABLED", "true"),
    ("KURS_SOURCES__KRAKEN__ENABLED", "true"),
    ("KURS_SOURCES__BYBIT__ENABLED", "true"),
    ("KURS_SOURCES__OKX__ENABLED", "true"),
];

/// Where the venues are, as settings of kurs.
pub(crate) fn venues(sim: &SimHandle) -> Vec<(String, String)> {
    let urls = sim.urls();
    let mut settings = Vec::new();
    for (name, url) in [
        ("BINANCE", &urls.binance_ws),
        ("COINBASE", &urls.coinbase_ws),
        ("KRAKEN", &urls.kraken_ws),
        ("BYBIT", &urls.bybit_ws),
        ("OKX", &urls.okx_ws),
    ] {
        settings.push((format!("KURS_SOURCES__{name}__WS_URL"), url.clone()));
    }
    for (name, _) in ALL_EXCHANGES {
        settings.push((name.to_owned(), "false".to_owned()));
    }
    for (name, venue) in [
        ("BINANCE", Venue::Binance),
        ("COINBASE", Venue::Coinbase),
        ("KRAKEN", Venue::Kraken),
        ("BYBIT", Venue::Bybit),
        ("OKX", Venue::Okx),
        ("COINGECKO", Venue::Coingecko),
        ("OPENEXCHANGERATES", Venue::OpenExchangeRates),
        ("ECB", Venue::Ecb),
        ("CBR", Venue::Cbr),
    ] {
        settings.push((
            format!("KURS_SOURCES__{name}__REST_URL"),
            urls.rest(venue).to_owned(),
        ));
    }
    settings.push((
        "KURS_SOURCES__OPENEXCHANGERATES__KEY".to_owned(),
        "test-key".to_owned(),
    ));
    settings.push(("KURS_HTTP__ADDR".to_owned(), "127.0.0.1:0".to_owned()));
    settings
}

impl Kurs {
    /// Starts kurs on these venues, in the folder of an earlier one if there is one.
    pub(crate) async fn start(
        sim: &SimHandle,
        settings: &[(&str, &str)],
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        let mut environment = venues(sim);
        let own = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        environment.extend(own);
        // The client below needs a provider; a second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let program = Path::new(env!("CARGO_BIN_EXE_kurs"));
        let process = PrivateProcess::start_in(folder, program, ["serve"], environment);
        let line = process.line("kurs is ready: ", PATIENCE).await;
        let at = line.find("http://").unwrap();
        let base = line[at..].split([' ', '"']).next().unwrap().to_owned();
        Self {
            process,
            base,
            client: reqwest::Client::new(),
        }
    }

    /// The whole URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await.unwrap();
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        Reply {
            status,
            headers,
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    /// The answer for a pair written `BTC-USD`.
    pub(crate) async fn rate(&self, pair: &str) -> Reply {
        self.get(&format!("/api/v1/rates/{}", pair.replace('-', "/")))
            .await
    }

    /// Waits until the answer for a pair is 200 and as wanted.
    pub(crate) async fn until(&self, pair: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until_async(&format!("a rate of {pair} as wanted"), PATIENCE, || async {
            let reply = self.rate(pair).await;
            (reply.status == 200 && wanted(&reply.json)).then_some(reply.json)
        })
        .await
    }

    /// State and counters of a source.
    pub(crate) async fn source(&self, name: &str) -> Value {
        let sources = self.get("/api/v1/sources").await.json;
        let list = sources["sources"].as_array().cloned().unwrap_or_default();
        list.into_iter()
            .find(|source| source["source"] == name)
            .unwrap_or(Value::Null)
    }

    /// Waits until a source is as wanted.
    pub(crate) async fn source_until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until_async(&format!("{name} as wanted"), PATIENCE, || async {
            let source = self.source(name).await;
            wanted(&source).then_some(source)
        })
        .await
    }
}
