//! Against a server on this machine: what is sent, and what becomes of each kind of answer.

use super::*;
use crate::probe::{self, Attempt, From, ProbeError};
use crate::{Period, SourcesConfig};
use kurs_core::SystemClock;
use kurs_net::http::HttpClient;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Gives the same answer to every request and keeps their heads.
struct Server {
    root: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(head: &'static str, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut part = [0; 1_024];
                    let length = stream.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..length]);
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                seen.lock().unwrap().push(text);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                // A client that has seen enough of a long body closes.
                let _ = stream.write_all(&body).await;
            }
        });
        Self { root, heads }
    }

    fn config(&self, json: serde_json::Value) -> SourcesConfig {
        let mut own = config(json);
        own.url = own.url.replace("https://bank.example", &self.root);
        let mut config = SourcesConfig::default();
        config.http.insert("mybank".into(), own);
        config
    }

    async fn ask(&self, json: serde_json::Value) -> Attempt {
        once(&self.config(json), "mybank").await.unwrap()
    }
}

async fn once(config: &SourcesConfig, name: &str) -> Result<Attempt, ProbeError> {
    let client = HttpClient::new("kurs-test").unwrap();
    probe::once(config, name, From::Source(&client), &SystemClock::new()).await
}

fn prices(attempt: &Attempt) -> Vec<String> {
    let price = |rate: &probe::Shown| match &rate.quote {
        Some(quote) => format!("{} {}", rate.label, quote.value().unwrap()),
        None => format!("{}: {}", rate.label, rate.problem),
    };
    attempt.rates.iter().map(price).collect()
}

#[tokio::test]
async fn key_headers_and_charset_travel_and_the_answer_is_read() {
    let (body, _, _) = encoding_rs::WINDOWS_1251.encode("валюта;курс\nдоллар;93,50\n");
    let server = Server::start(
        "200 OK\r\ncontent-type: text/csv; charset=windows-1251",
        body.into_owned(),
    )
    .await;
    let attempt = server
        .ask(serde_json::json!({
            "url": "https://bank.example/rates?k={key}", "key": "s3cret&", "decimal": ",",
            "headers": {"X-Api-Key": "{key}", "Accept-Language": "ru"},
            "rates": {"USD-RUB": "[валюта='доллар']/курс"},
        }))
        .await;
    assert_eq!(prices(&attempt), ["USD-RUB 93.50"]);
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("GET /rates?k=s3cret%26 HTTP/1.1\r\n"),
        "{head}"
    );
    for line in ["x-api-key: s3cret&\r\n", "accept-language: ru\r\n"] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    let asked = &attempt.asked[0];
    assert_eq!(asked.url, format!("{}/rates?k=***", server.root));
    assert_eq!((asked.bytes, attempt.format), (Some(25), Some("csv")));
    assert!(!format!("{attempt:?}").contains("s3cret"));
}

#[tokio::test]
async fn refusals_say_what_the_server_said_without_the_key() {
    for (status, expect) in [
        ("401 No", "refused with HTTP 401"),
        (
            "302 Found",
            "refused with HTTP 302: the server names another address",
        ),
        ("429 Slow", "limited by the server (HTTP 429)"),
    ] {
        let server = Server::start(status, b"{\"error\":\"s3cret is no key\"}".to_vec()).await;
        let attempt = server
            .ask(serde_json::json!({"url": "https://bank.example/{key}", "key": "s3cret", "rates": {"A-B": "a"}}))
            .await;
        assert!(attempt.problem.contains(expect), "{attempt:?}");
        assert_eq!(attempt.asked[0].said, "{\"error\":\"*** is no key\"}");
        assert!(!attempt.has_answer() && !attempt.has_price());
    }
    let mut nobody = Server::start("200 OK", Vec::new())
        .await
        .config(serde_json::json!({"rates": {"A-B": "a"}}));
    nobody.http.get_mut("mybank").unwrap().url = "http://127.0.0.1:1/s3cret?s3cret".into();
    let attempt = once(&nobody, "mybank").await.unwrap();
    assert!(attempt.problem.contains("cannot be reached"), "{attempt:?}");
}

#[tokio::test]
async fn endless_and_deep_bodies_are_refused() {
    let rates = || serde_json::json!({"max_body_bytes": 65_536, "rates": {"A-B": "$..a"}});
    let server = Server::start("200 OK", vec![b'['; 1 << 20]).await;
    let attempt = server.ask(rates()).await;
    assert!(
        attempt.problem.contains("longer than 65536 bytes"),
        "{attempt:?}"
    );
    for open in ["[", "<a>", "{\"a\":"] {
        let server = Server::start("200 OK", open.repeat(10_000).into_bytes()).await;
        let attempt = server.ask(rates()).await;
        assert!(
            attempt.has_answer() && attempt.problem.contains("not the expected format"),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn built_in_sources_can_be_tried_too_and_streams_say_how_they_are_seen() {
    let table = "<?xml version=\"1.0\"?><ValCurs Date=\"25.04.2026\"><Valute><CharCode>USD</CharCode>\
                 <Nominal>1</Nominal><Value>75,5</Value></Valute><Valute><CharCode>EUR</CharCode></Valute></ValCurs>";
    let server = Server::start("200 OK\r\ncontent-type: application/xml", table.into()).await;
    let mut config = SourcesConfig::default();
    config.cbr.rest_url.clone_from(&server.root);
    let attempt = once(&config, "cbr").await.unwrap();
    assert_eq!(prices(&attempt), ["USD-RUB 75.5", "EUR: no nominal"]);
    assert!(attempt.asked[0].url.ends_with("/scripts/XML_daily.asp"));

    config.openexchangerates.rest_url.clone_from(&server.root);
    let error = once(&config, "openexchangerates").await.unwrap_err();
    assert_eq!(error, ProbeError::NeedsKey("openexchangerates".into()));
    config.openexchangerates.key = Some(kurs_telemetry::Secret::new("s3cret"));
    let attempt = once(&config, "openexchangerates").await.unwrap();
    assert!(attempt.asked[0].url.contains("app_id=***"), "{attempt:?}");
    assert!(!attempt.problem.is_empty() && !format!("{attempt:?}").contains("s3cret"));

    let stream = once(&config, "binance").await.unwrap_err().to_string();
    assert!(stream.contains("kurs sources"), "{stream}");
    let unknown = once(&config, "mybnak").await.unwrap_err().to_string();
    assert!(
        unknown.contains("there is no source mybnak; there are cbr"),
        "{unknown}"
    );
}

#[tokio::test]
async fn a_file_stands_in_for_the_source() {
    let mut config = SourcesConfig::default();
    let json =
        serde_json::json!({"rates": {"USD-RUB": "/rates/RUB", "USD-X": "/x"}, "period": "1h"});
    config.http.insert("mybank".into(), super::config(json));
    assert_eq!(config.http["mybank"].period, Period::hours(1));
    let file = From::File(JSON.into());
    let attempt = probe::once(&config, "mybank", file, &SystemClock::new())
        .await
        .unwrap();
    assert_eq!(prices(&attempt), ["USD-RUB 93.500", "USD-X: nothing at /x"]);
    assert_eq!(
        (attempt.asked.len(), attempt.rates[0].text.as_str()),
        (0, "93.500")
    );
}
