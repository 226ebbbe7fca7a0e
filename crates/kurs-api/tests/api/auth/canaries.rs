//! Keys come back nowhere.

use super::{RATE, bearer, closed_with, secret, x_api_key};

#[tokio::test]
async fn canary_secrets_come_back_in_no_answer_and_no_metric() {
    let (harness, held) = closed_with("read stream").await;
    let other = secret();
    let canary = &held.reveal()[22..];
    let mut replies = Vec::new();
    for header in [
        bearer(&held),
        x_api_key(&held),
        bearer(&held) + &x_api_key(&other),
        format!("Authorization: Bearer {}x\r\n", held.reveal()),
        format!("Authorization: Bearer a.{}.c\r\n", held.reveal()),
        format!("X-Api-Key: {} \r\n", &held.reveal()[..50]),
    ] {
        for target in [
            RATE,
            "/api/v1/history/BTC/USD",
            "/nope",
            "/api/v1/sources?x=1",
        ] {
            replies.push(harness.ask("GET", target, &header).await);
        }
    }
    replies.push(harness.get("/metrics").await);
    replies.push(harness.get("/health").await);
    for reply in replies {
        let said = format!("{:?} {}", reply.headers, reply.text());
        assert!(!said.contains(&canary[..20]), "{said}");
    }
    let shown = format!("{:?} {:?} {:?}", harness.doors, harness.api, held);
    assert!(!shown.contains(&canary[..20]), "{shown}");
}
