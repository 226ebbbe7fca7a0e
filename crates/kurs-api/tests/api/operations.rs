//! Probes, metrics, drain.

use crate::client::Client;
use crate::harness::{Harness, assert_problem};
use kurs_api::{Limits, Surface, serve_surface};
use kurs_telemetry::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[tokio::test]
async fn probes_tell_life_from_readiness() {
    let harness = Harness::start().await;
    for target in ["/livez", "/readyz", "/startupz", "/health"] {
        assert_eq!(harness.get(target).await.json()["status"], "ok", "{target}");
    }
    harness.health.set("store", Status::Degraded, "no answer");
    assert!(harness.get("/readyz").await.json()["checks"].is_null());
    for target in ["/readyz?verbose", "/health"] {
        let reply = harness.get(target).await.json();
        assert_eq!(
            (&reply["status"], &reply["checks"][0]["name"]),
            (&"degraded".into(), &"store".into())
        );
    }
    harness.health.set("store", Status::Failed, "gone");
    let reply = harness.get("/readyz").await;
    assert_problem(&reply, 503, "not-ready");
    assert_eq!(reply.json()["checks"][0]["detail"], "gone");
    assert_eq!(harness.get("/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_come_in_both_forms_and_count_by_template() {
    let harness = Harness::start().await;
    harness.get("/api/v1/rates/BTC/USD").await;
    harness.get("/api/v1/rates/BTC/USD?explain=true").await;
    harness.get("/rates/NOPE/USD").await;
    harness.get("/no/such/route").await;
    let old = harness.get("/metrics").await;
    assert_eq!(
        old.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        "# TYPE kurs_http_requests_total counter",
        "kurs_http_requests_total{method=\"GET\",route=\"/api/v1/rates/{base}/{quote}\",code_class=\"2xx\"} 2",
        "kurs_http_requests_total{method=\"GET\",route=\"/api/v1/rates/{base}/{quote}\",code_class=\"4xx\"} 1",
        "kurs_http_requests_total{method=\"other\",route=\"none\",code_class=\"4xx\"} 1",
        "kurs_http_requests_total{method=\"POST\",route=\"/api/v1/currency\",code_class=\"2xx\"} 0",
    ] {
        assert!(
            old.text().lines().any(|found| found == line),
            "{line} is missing in\n{}",
            old.text()
        );
    }
    assert!(!old.text().contains("# EOF") && !old.text().contains("/no/such/route"));
    let new = harness
        .ask(
            "GET",
            "/metrics",
            "Accept: application/openmetrics-text\r\n",
        )
        .await;
    assert!(
        new.header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(new.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_panic_is_contained_counted_and_harms_nobody_else() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    harness
        .metrics_panic
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_problem(&client.ask("GET", "/metrics", "").await, 500, "internal");
    harness
        .metrics_panic
        .store(false, std::sync::atomic::Ordering::Relaxed);
    let reply = client.ask("GET", "/metrics", "").await;
    assert!(
        reply
            .text()
            .contains("kurs_task_panics_total{role=\"api\"} 1"),
        "{}",
        reply.text()
    );
    assert_eq!(harness.get("/api/v1/rates/BTC/USD").await.status, 200);
}

#[tokio::test]
async fn probes_and_metrics_can_have_an_address_of_their_own() {
    let harness = Harness::start().await;
    for (surface, probe, rate) in [(Surface::Operations, 200, 404), (Surface::Public, 404, 200)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = std::sync::Arc::clone(&harness.api);
        tokio::spawn(serve_surface(
            listener,
            api,
            surface,
            Limits::default(),
            std::future::pending(),
        ));
        let mut client = Client::connect(address).await;
        for target in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(
                client.ask("GET", target, "").await.status,
                probe,
                "{surface:?} {target}"
            );
        }
        assert_eq!(
            client.ask("GET", "/api/v1/rates/BTC/USD", "").await.status,
            rate,
            "{surface:?}"
        );
    }
}

/// A connection whose request is being read, which the interim answer proves.
async fn half_a_request(harness: &Harness) -> Client {
    let mut client = harness.client().await;
    let head = "POST /api/v1/currency HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 20\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).await;
    assert_eq!(client.reply(false).await.status, 100);
    client
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_lets_requests_end() {
    let harness = Harness::start().await;
    harness.writer(|_| kurs_bus::Reply::NotListed { why: "no".into() });
    let mut idle = harness.client().await;
    assert_eq!(idle.ask("GET", "/livez", "").await.status, 200);
    let mut busy = half_a_request(&harness).await;
    harness.stop();
    idle.closed().await;
    assert!(harness.health.is_draining());
    assert!(
        tokio::net::TcpStream::connect(harness.address)
            .await
            .is_err(),
        "accepts nothing more"
    );
    busy.send("{\"symbol\":\"BTCUSDT\"}").await;
    let reply = busy.reply(false).await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (422, Some("close")),
        "{}",
        reply.text()
    );
    drop(busy);
    assert_eq!(harness.served.await.unwrap(), 0, "nothing had to be cut");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_drain_ends() {
    let harness = Harness::with(|config| {
        config.limits.drain_ms = 100;
        config.limits.body_ms = 600_000;
    })
    .await;
    let mut busy = half_a_request(&harness).await;
    harness.stop();
    busy.closed().await;
    assert_eq!(harness.served.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_honour_connection_close_lose_no_request_to_a_shutdown() {
    let harness = Harness::start().await;
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..16)
        .map(|number| {
            let (address, answered) = (harness.address, Arc::clone(&answered));
            tokio::spawn(async move {
                let targets = [
                    "/api/v1/rates/BTC/USDT",
                    "/api/v1/courses?direction=BTC-USDT",
                ];
                let mut client = Client::connect(address).await;
                for target in targets.into_iter().cycle().skip(number % 2) {
                    client
                        .send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
                        .await;
                    let reply = client.maybe_reply(false).await;
                    let reply = reply.expect("a request was lost");
                    assert_eq!(reply.status, 200, "{}", reply.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                    if reply.header("connection") == Some("close") {
                        break;
                    }
                }
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 400 {
        tokio::task::yield_now().await;
    }
    harness.stop();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(harness.served.await.unwrap(), 0, "nothing had to be cut");
}

#[tokio::test]
async fn every_answer_of_a_draining_instance_closes_its_connection() {
    let harness = Harness::start().await;
    let targets = ["/api/v1/rates/BTC/USD", "/livez", "/nope", "/openapi.json"];
    for target in targets {
        assert_eq!(harness.get(target).await.header("connection"), None);
    }
    // The server still accepts, as in the time before it is told to end.
    harness.health.start_draining();
    for target in targets {
        let mut client = harness.client().await;
        let reply = client.ask("GET", target, "").await;
        assert_eq!(reply.header("connection"), Some("close"), "{target}");
        client.closed().await;
    }
}

#[tokio::test]
async fn a_request_that_comes_right_after_the_shutdown_is_answered() {
    let harness = Harness::start().await;
    let mut idle = harness.client().await;
    assert_eq!(idle.ask("GET", "/livez", "").await.status, 200);
    // Made, but not accepted yet: the server's task runs on this thread.
    let waiting: Vec<_> = (0..32)
        .map(|_| std::net::TcpStream::connect(harness.address).unwrap())
        .collect();
    harness.stop();
    while !harness.health.is_draining() {
        tokio::task::yield_now().await;
    }
    let reply = idle.ask("GET", "/api/v1/rates/BTC/USD", "").await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    for stream in waiting {
        let mut client = Client::over(stream);
        let reply = client.ask("GET", "/api/v1/rates/BTC/USD", "").await;
        assert_eq!(
            (reply.status, reply.header("connection")),
            (200, Some("close"))
        );
        client.closed().await;
    }
    assert_eq!(harness.served.await.unwrap(), 0);
}
