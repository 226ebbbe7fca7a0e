//! Every route of the document, asked in every way that is known to go well or badly.

use crate::support::Kurs;
use serde_json::Value;

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) operation: Value,
}

/// Every operation of the document, with a place that may exist.
pub(crate) async fn questions(kurs: &Kurs) -> Vec<Question> {
    let document = kurs.get("/openapi.json").await.json;
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path
                .replace("{base}", "BTC")
                .replace("{quote}", "USDT")
                .replace("{symbol}", "BTCUSDT")
                .replace("{pair}", "BTC-USDT")
                .replace("{source}", "binance")
                .replace("{name}", "binance");
            all.push(Question {
                method: method.to_uppercase(),
                path,
                operation: operation.clone(),
            });
        }
    }
    all
}

impl Question {
    /// True when the answer has no end.
    pub(crate) fn is_stream(&self) -> bool {
        !self.operation["responses"]["200"]["content"]["text/event-stream"].is_null()
    }

    /// Asks with a query, headers and a body: head and body of the answer, of a stream its beginning.
    pub(crate) async fn ask(
        &self,
        kurs: &Kurs,
        query: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> String {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let method = self.method.parse().unwrap();
        let mut request = client.request(method, kurs.url(&format!("{}{query}", self.path)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        let mut reply = request.send().await.unwrap();
        let mut text = format!("{} {:?} ", reply.status(), reply.headers());
        while let Some(piece) = reply.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&piece));
            if self.is_stream() && text.contains("event: snapshot") {
                break;
            }
        }
        text
    }
}
