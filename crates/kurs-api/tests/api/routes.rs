//! The document and the server are one.

use crate::harness::{Harness, assert_problem};
use serde_json::Value;
use std::collections::BTreeSet;

fn fill(path: &str) -> String {
    path.replace("{base}", "BTC")
        .replace("{quote}", "USDT")
        .replace("{symbol}", "BTCUSDT")
}

#[tokio::test]
async fn documented_routes_are_the_live_routes() {
    let harness = Harness::start().await;
    harness.writer(|_| kurs_bus::Reply::Untracked { existed: true });
    let document = harness.get("/openapi.json").await.json();
    let mut client = harness.client().await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let documented: BTreeSet<&str> = methods
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        for method in ["get", "put", "post", "delete", "patch", "trace"] {
            let reply = client
                .ask(&method.to_uppercase(), &fill(path), "Content-Length: 0\r\n")
                .await;
            if documented.contains(method) {
                assert!(
                    reply.status != 405 && reply.status != 501,
                    "{method} {path}: {}",
                    reply.status
                );
                let responses = &methods[method]["responses"];
                assert!(
                    !responses[reply.status.to_string()].is_null(),
                    "{method} {path}: {}",
                    reply.status
                );
            } else {
                assert_problem(&reply, 405, "method-not-allowed");
            }
        }
        let options = client.ask("OPTIONS", &fill(path), "").await;
        let allowed: BTreeSet<String> = options
            .header("allow")
            .unwrap()
            .split(", ")
            .map(str::to_lowercase)
            .collect();
        let mut expect: BTreeSet<String> = documented
            .iter()
            .map(|method| (*method).to_owned())
            .collect();
        expect.insert("options".into());
        if expect.contains("get") {
            expect.insert("head".into());
        }
        assert_eq!(allowed, expect, "{path}");
    }
}

#[tokio::test]
async fn the_document_is_whole() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            assert!(
                names.insert(operation["operationId"].as_str().unwrap()),
                "an id is used twice"
            );
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            let in_path: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let in_template: BTreeSet<&str> = path
                .split('{')
                .skip(1)
                .map(|part| part.split('}').next().unwrap())
                .collect();
            assert_eq!(in_path, in_template, "{path}");
        }
    }
    check_references(&document, &document);
    let text = document.to_string();
    assert!(!text.contains("\"format\":\"decimal\""));
    assert!(!text.contains("$defs"));
}

#[tokio::test]
async fn the_messages_of_the_bus_are_described() {
    let harness = Harness::start().await;
    let reply = harness.get("/asyncapi.json").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let version = &harness.get("/openapi.json").await.json()["info"]["version"];
    let document = kurs_api::asyncapi(version.as_str().unwrap());
    assert_eq!(reply.json(), document);
}

fn check_references(node: &Value, document: &Value) {
    match node {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("references stay inside");
                assert!(
                    document.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            members
                .values()
                .for_each(|member| check_references(member, document));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| check_references(item, document)),
        _ => {}
    }
}

#[tokio::test]
async fn answers_have_the_documented_members_and_no_others() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    for (schema, target) in [
        ("RateAnswer", "/api/v1/rates/BTC/USD?explain=true&amount=2"),
        ("RateDocument", "/api/v1/rates/BTC/USD"),
        ("CandlesDocument", "/api/v1/candles/BTC/USDT"),
        ("CoursesDocument", "/api/v1/courses"),
        ("BatchDocument", "/api/v1/rates?pairs=BTC-USD,NOPE-USD"),
        ("SourcesDocument", "/api/v1/sources"),
        ("PairsDocument", "/api/v1/pairs"),
        ("CurrenciesDocument", "/api/v1/currencies"),
        ("HealthDocument", "/health"),
        ("Problem", "/nope"),
        ("Problem", "/api/v1/rates/BTC/USD?x=1"),
    ] {
        let schema = &document["components"]["schemas"][schema];
        let answer = harness.get(target).await.json();
        let members = answer.as_object().unwrap();
        for name in members.keys() {
            assert!(
                !schema["properties"][name].is_null(),
                "{target}: {name} is not documented"
            );
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(
                members.contains_key(name.as_str().unwrap()),
                "{target}: {name} is missing"
            );
        }
    }
}

#[tokio::test]
async fn the_pages_lead_to_each_other() {
    let harness = Harness::start().await;
    for target in ["/api", "/swagger"] {
        let reply = harness.get(target).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some("/docs")),
            "{target}"
        );
    }
    let page = harness.get("/docs").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for (target, media) in [
        ("/docs/docs.js", "text/javascript"),
        ("/docs/docs.css", "text/css"),
    ] {
        assert!(page.text().contains(target), "{target}");
        assert!(
            harness
                .get(target)
                .await
                .header("content-type")
                .unwrap()
                .starts_with(media)
        );
    }
    for foreign in [
        "http://",
        "https://",
        "<script>",
        "<style",
        " style=",
        " onclick=",
    ] {
        assert!(
            !page.text().contains(foreign),
            "the policy forbids {foreign}"
        );
    }
    let problem = harness.get("/nope").await.json();
    let (target, slug) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    assert!(
        harness
            .get(target)
            .await
            .text()
            .contains(&format!("id=\"{slug}\""))
    );
}

#[tokio::test]
async fn the_lists_of_what_is_followed_are_there() {
    let harness = Harness::start().await;
    let sources = harness.get("/api/v1/sources").await.json();
    assert_eq!(sources["sources"][0]["source"], "binance");
    assert_eq!(sources["sources"][1]["priority"], 6);
    let pairs = harness.get("/api/v1/pairs").await.json();
    assert_eq!(pairs["directions"][1], "USDTTRC-RUB");
    assert_eq!(pairs["tracked"][0]["symbol"], "BTCUSDT");
}
