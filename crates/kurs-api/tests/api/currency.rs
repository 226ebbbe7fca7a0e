//! Tracked symbols, and who may change them.

use crate::harness::{Harness, START, assert_names, assert_problem};
use kurs_bus::{Command, Reply};
use kurs_core::TrackedSymbol;

const JSON: &str = "Content-Type: application/json\r\n";

fn obliging(command: Command) -> Reply {
    match command {
        Command::Track { symbol, .. } if &*symbol == "ETHXYZ" => Reply::NotListed {
            why: "nobody lists it".into(),
        },
        Command::Track { symbol, .. } if &*symbol == "ETHRUB" => Reply::Unavailable {
            why: "just starting".into(),
        },
        Command::Track { symbol, pair, .. } => {
            let created = &*symbol != "BTCUSDT";
            Reply::Tracked {
                symbol: TrackedSymbol {
                    symbol,
                    pair,
                    added_at: START,
                },
                created,
            }
        }
        Command::Untrack { symbol, .. } => Reply::Untracked {
            existed: &*symbol == "BTCUSDT",
        },
        Command::Book { source, pair, .. } => crate::books::shown(source, pair),
        Command::Change { .. } => Reply::Outdated { version: 1 },
    }
}

#[tokio::test]
async fn a_symbol_is_added_once_and_found_afterwards() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    assert_problem(
        &harness.get("/api/v1/currency/ETHUSDT").await,
        404,
        "unknown-symbol",
    );
    for body in [
        r#"{"symbol":"ethusdt"}"#,
        r#"{"symbol":"ETH-USDT"}"#,
        r#"{"symbol":"eth/usdt"}"#,
    ] {
        let reply = harness.post("/api/v1/currency", JSON, body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        assert_eq!(reply.header("location"), Some("/api/v1/currency/ETHUSDT"));
        assert_eq!(reply.json()["pair"], "ETH-USDT");
    }
    let there = harness
        .post("/api/currency", JSON, r#"{"symbol":"BTCUSDT"}"#)
        .await;
    assert_eq!(there.status, 200);
    let list = harness.get("/api/v1/currencies").await.json();
    assert_eq!(list["currencies"][0]["symbol"], "BTCUSDT");
    for target in ["/api/v1/currency/BTCUSDT", "/api/currency/btc-usdt"] {
        assert_eq!(harness.get(target).await.json()["value"], "54010.00");
    }
}

#[tokio::test]
async fn a_change_can_be_read_back_as_soon_as_it_is_answered() {
    let harness = Harness::start().await;
    harness.writer_with_lag(std::time::Duration::from_millis(50), obliging);
    let symbols = async || {
        let list = harness.get("/api/v1/currencies").await.json();
        let list = list["currencies"].as_array().unwrap().clone();
        list.iter()
            .map(|entry| entry["symbol"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let added = harness
        .post("/api/v1/currency", JSON, r#"{"symbol":"ETHUSDT"}"#)
        .await;
    assert_eq!(added.status, 201);
    assert_eq!(symbols().await, ["BTCUSDT", "ETHUSDT"]);
    let removed = harness.ask("DELETE", "/api/v1/currency/BTCUSDT", "").await;
    assert_eq!(removed.status, 204);
    assert_eq!(symbols().await, ["ETHUSDT"]);
}

#[tokio::test]
async fn a_symbol_is_found_by_every_name_of_its_pair() {
    let harness = Harness::start().await;
    harness.writer(|command| match command {
        Command::Untrack { symbol, .. } => Reply::Untracked {
            existed: matches!(&*symbol, "SOLUSDTTRC" | "BTCUSDT"),
        },
        other => obliging(other),
    });
    harness.rate("SOL-USDT", "150.5", "binance", crate::harness::HOUR);
    let added = harness
        .post("/api/v1/currency", JSON, r#"{"symbol":"sol/usdttrc"}"#)
        .await;
    assert_eq!(added.json()["symbol"], "SOLUSDTTRC", "{}", added.text());
    for name in ["SOLUSDT", "sol-usdt", "SOLUSDTTRC", "SOL%2FUSDT"] {
        let reply = harness.get(&format!("/api/v1/currency/{name}")).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(reply.json()["value"], "150.5");
    }
    let found = harness.get("/api/v1/currency/BTCUSDTTRC").await;
    assert_eq!(found.json()["value"], "54010.00");
    for name in ["SOLUSDT", "BTCUSDTTRC"] {
        let target = format!("/api/v1/currency/{name}");
        assert_eq!(harness.ask("DELETE", &target, "").await.status, 204);
        assert_problem(&harness.get(&target).await, 404, "unknown-symbol");
    }
}

#[tokio::test]
async fn what_no_venue_lists_is_422_and_what_cannot_be_asked_503() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    harness.rate("ETH-XYZ", "1", "binance", crate::harness::HOUR);
    for (symbol, status, slug) in [
        ("ETHXYZ", 422, "not-listed"),
        ("QQQWWW", 422, "not-listed"),
        ("ETHRUB", 503, "writer-unavailable"),
    ] {
        let reply = harness
            .post(
                "/api/v1/currency",
                JSON,
                &format!(r#"{{"symbol":"{symbol}"}}"#),
            )
            .await;
        assert_problem(&reply, status, slug);
    }
}

#[tokio::test]
async fn a_symbol_is_removed_once() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    let reply = harness.ask("DELETE", "/api/v1/currency/btcusdt", "").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_problem(
        &harness.ask("DELETE", "/api/v1/currency/ETHUSDT", "").await,
        404,
        "unknown-symbol",
    );
}

#[tokio::test]
async fn changes_come_from_this_machine_itself_only() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    for header in [
        "X-Forwarded-For: 10.0.0.1\r\n",
        "Forwarded: for=10.0.0.1\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
    ] {
        let reply = harness
            .ask("DELETE", "/api/v1/currency/BTCUSDT", header)
            .await;
        assert_problem(&reply, 403, "forbidden");
    }
    let mut client = harness.client().await;
    client
        .send("DELETE /api/v1/currency/BTCUSDT HTTP/1.1\r\nHost: rebound.example\r\n\r\n")
        .await;
    assert_problem(&client.reply(false).await, 403, "forbidden");
    let reply = harness
        .ask(
            "DELETE",
            "/api/v1/currency/BTCUSDT",
            "Origin: http://localhost:8080\r\n",
        )
        .await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn broken_bodies_are_problems_that_point_at_the_mistake() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    let deep = format!(r#"{{"symbol":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let long = format!(r#"{{"symbol":"{}"}}"#, "A".repeat(70_000));
    for (headers, body, status, slug, names) in [
        (
            JSON,
            r#"{"symbol":"BTCUSDT","x":1}"#,
            400,
            "invalid-body",
            Some(["/x"].as_slice()),
        ),
        (
            JSON,
            r#"{"symbol":7}"#,
            400,
            "invalid-body",
            Some(&["/symbol"]),
        ),
        (
            JSON,
            r#"{"symbol":"B T"}"#,
            400,
            "invalid-body",
            Some(&["/symbol"]),
        ),
        (JSON, "{}", 400, "invalid-body", Some(&["/symbol"])),
        (JSON, "[]", 400, "invalid-body", Some(&[""])),
        (JSON, "", 400, "invalid-body", Some(&[""])),
        (
            JSON,
            "{\"symbol\":\"BTCUSDT\"",
            400,
            "invalid-body",
            Some(&[""]),
        ),
        (JSON, "\u{feff}{}", 400, "invalid-body", Some(&[""])),
        (JSON, deep.as_str(), 400, "invalid-body", Some(&[""])),
        (JSON, long.as_str(), 413, "body-too-large", None),
        (
            "",
            r#"{"symbol":"BTCUSDT"}"#,
            415,
            "unsupported-media-type",
            None,
        ),
        (
            "Content-Type: text/plain\r\n",
            r#"{"symbol":"BTCUSDT"}"#,
            415,
            "unsupported-media-type",
            None,
        ),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            "x",
            415,
            "unsupported-media-type",
            None,
        ),
    ] {
        let reply = harness.post("/api/v1/currency", headers, body).await;
        assert_problem(&reply, status, slug);
        if let Some(names) = names {
            assert_names(&reply, names);
        }
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_read_and_one_without_end_is_refused() {
    let harness = Harness::start().await;
    harness.writer(obliging);
    const HEAD: &str = "POST /api/v1/currency HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = harness.client().await;
    client.send(format!("{HEAD}a\r\n{{\"symbol\":\r\n")).await;
    client.send("a\r\n\"ETHUSDT\"}\r\n0\r\n\r\n").await;
    assert_eq!(client.reply(false).await.status, 201);

    let mut client = harness.client().await;
    client.send(HEAD).await;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for _ in 0..5 {
        client.send(&chunk).await;
    }
    assert_problem(&client.reply(false).await, 413, "body-too-large");
}
