//! Who asks too much, or tries too many keys.

use super::{RATE, assert_unauthorized, bearer, key, secret};
use crate::harness::{Harness, assert_problem};
use kurs_auth::{KeyRing, LimitsConfig, QuotaConfig};
use std::time::Duration;

fn counted(requests: u32) -> impl Fn(&mut LimitsConfig) {
    move |limits| {
        let quota = QuotaConfig {
            requests,
            window_seconds: 60,
        };
        (limits.anonymous, limits.key, limits.failures) = (quota, quota, quota);
        limits.loopback = true;
    }
}

#[tokio::test]
async fn a_quota_is_told_counted_down_and_given_back() {
    let harness = Harness::with_doors(|_, limits, _| counted(3)(limits)).await;
    let held = secret();
    harness.doors.set_ring(KeyRing::new([key(&held, "read")]));
    for header in [String::new(), bearer(&held)] {
        for left in [2, 1, 0] {
            let reply = harness.ask("GET", RATE, &header).await;
            assert_eq!(reply.status, 200);
            assert_eq!(
                reply.header("ratelimit-policy"),
                Some("\"default\";q=3;w=60")
            );
            let said = reply.header("ratelimit").unwrap();
            assert!(
                said.starts_with(&format!("\"default\";r={left};t=")),
                "{said}"
            );
        }
        let refused = harness.ask("GET", RATE, &header).await;
        assert_problem(&refused, 429, "quota-exceeded");
        assert_eq!(refused.header("ratelimit"), Some("\"default\";r=0;t=20"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((20..=23).contains(&wait), "{wait}");
        // The general way counts the same quota.
        let list = harness.ask("GET", "/api/v1/rates/BTC", &header).await;
        assert_eq!(list.status, 429);
        // Probes are not counted.
        assert_eq!(harness.ask("GET", "/livez", "").await.status, 200);
    }
    harness.clock.advance(Duration::from_secs(20));
    assert_eq!(harness.get(RATE).await.status, 200);
    assert_eq!(harness.get(RATE).await.status, 429);
}

#[tokio::test]
async fn who_tries_many_wrong_keys_has_to_wait() {
    let harness = Harness::with_doors(|_, limits, _| counted(3)(limits)).await;
    for _ in 0..3 {
        let wrong = harness.ask("GET", RATE, &bearer(&secret())).await;
        assert_unauthorized(&wrong, Some("invalid_token"));
    }
    let refused = harness.ask("GET", RATE, &bearer(&secret())).await;
    assert_problem(&refused, 429, "abnormal-usage-detected");
    assert!(refused.header("retry-after").is_some());
    let metrics = harness.get("/metrics").await;
    let metrics = metrics.text();
    for (reason, count) in [("unauthorized", 3), ("failures", 1), ("quota", 0)] {
        let line = format!("kurs_http_requests_turned_away_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}");
    }
    // A right key gets in.
    let held = secret();
    harness.doors.set_ring(KeyRing::new([key(&held, "read")]));
    assert_eq!(harness.ask("GET", RATE, &bearer(&held)).await.status, 200);
}
