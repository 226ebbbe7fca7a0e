//! Items of the OWASP API Security Top 10 (2023) that are about what the whole program asks of
//! others; the items about its own doors are tested in kurs-api.

use crate::everything::questions;
use crate::hostile::{Manner, Server};
use crate::support::{Kurs, PATIENCE};
use kurs_sim::{Sim, SimConfig};
use kurs_testkit::wait::until_async;
use std::fmt::Write;

async fn sim() -> kurs_sim::SimHandle {
    let address = ([127, 0, 0, 1], 0).into();
    Sim::start(SimConfig::default(), address).await.unwrap()
}

/// API7: no address that a client writes anywhere is ever asked.
#[tokio::test(flavor = "multi_thread")]
async fn api7_server_side_request_forgery() {
    let bait = Server::start(None);
    let sim = sim().await;
    let kurs = Kurs::start(&sim, &[], None).await;
    let url = format!("http://{}/jwks.json", bait.address);
    // Header and claims of a token that says where its keys are; nobody has signed it.
    let token = format!(
        "{}.{}.AAAA",
        base64url(&format!(
            r#"{{"alg":"RS256","kid":"a","jku":"{url}","x5u":"{url}"}}"#
        )),
        base64url(&format!(
            r#"{{"iss":"{url}","aud":"kurs","sub":"a","exp":9999999999}}"#
        )),
    );
    let bearer = format!("Bearer {token}");
    let host = bait.address.to_string();
    let headers = [
        ("referer", url.as_str()),
        ("origin", &url),
        ("x-forwarded-host", &host),
        ("x-forwarded-for", &host),
        ("forwarded", "for=127.0.0.1;host=localhost"),
        ("x-original-url", &url),
        ("x-callback-url", &url),
    ];
    let mut asked = 0;
    for question in questions(&kurs).await {
        let mut queries = vec![String::new()];
        for parameter in question.operation["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "query" {
                queries.push(format!("?{name}={url}"));
            }
        }
        for name in ["url", "callback", "webhook", "jwks", "target", "proxy"] {
            queries.push(format!("?{name}={url}"));
        }
        for query in &queries {
            let body = format!(
                r#"{{"symbol":"{url}","url":"{url}","callback":"{url}","rest_url":"{url}","ws_url":"{url}"}}"#
            );
            let body = (question.method != "GET").then_some(body);
            question.ask(&kurs, query, &headers, body.as_deref()).await;
            asked += 1;
        }
        let with_token = [("authorization", bearer.as_str())];
        question.ask(&kurs, "", &with_token, None).await;
    }
    webhooks_lead_nowhere(&kurs, bait.address.port()).await;
    println!("{asked} requests with an address in them");
    assert!(asked > 300, "{asked}");
    assert_eq!(bait.visits(), 0, "somebody was asked");
}

/// URLs of webhooks that lead to this machine are refused: when they are written, or, where only a
/// name says where they lead, before anything is connected to.
async fn webhooks_lead_nowhere(kurs: &Kurs, port: u16) {
    let alert = |url: &str| {
        let condition = serde_json::json!({"kind": "depeg", "asset": "USDT", "percent": "900"});
        serde_json::json!({
            "target": {"kind": "webhook", "url": url},
            "condition": condition,
        })
    };
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://user@127.0.0.1:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://0.0.0.0:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/"),
    ] {
        let reply = kurs.send("POST", "/api/v1/alerts", Some(alert(&url))).await;
        assert_eq!(reply.status, 422, "{url}: {}", reply.json);
    }
    // Numbers that a resolver takes for this machine, and a name that is this machine's.
    for host in ["localhost", "127.1", "2130706433", "0x7f000001"] {
        let url = format!("https://{host}:{port}/");
        let made = kurs.send("POST", "/api/v1/alerts", Some(alert(&url))).await;
        assert_eq!(made.status, 201, "{url}: {}", made.json);
        let id = made.json["id"].as_str().unwrap();
        let path = format!("/api/v1/alerts/{id}");
        let test = kurs.send("POST", &format!("{path}/test"), None).await;
        assert_eq!(test.status, 202, "{url}: {}", test.json);
        let told = until_async("it was tried", PATIENCE, || async {
            let told = kurs.get(&format!("{path}/deliveries")).await.json;
            let told = told["deliveries"][0].clone();
            (told["attempts"] == 1).then_some(told)
        })
        .await;
        let is_unknown = told["error"].to_string().contains("name is not found");
        assert!(told["state"] == "refused" || is_unknown, "{url}: {told}");
    }
}

fn base64url(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut letters = String::new();
    for group in text.as_bytes().chunks(3) {
        let mut bits = [0; 3];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..=group.len() {
            let six = (bits >> (18 - 6 * place)) & 63;
            letters.push(char::from(LETTERS[usize::try_from(six).unwrap()]));
        }
    }
    letters
}

/// Resident memory of the process, MiB.
fn memory_mib(kurs: &Kurs) -> u64 {
    let status = format!("/proc/{}/status", kurs.process.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    kib / 1_024
}

/// API10: sources and issuers that answer without end, too deep, elsewhere, too slowly or with
/// lies cost nothing but their own rates, and nothing of what they say is believed.
#[tokio::test(flavor = "multi_thread")]
async fn api10_unsafe_consumption_of_apis() {
    let bait = Server::start(None);
    let manners = [
        ("endless", Manner::Endless),
        ("deep", Manner::Deep),
        ("elsewhere", Manner::Redirect(bait.address)),
        ("drip", Manner::Drip),
        ("boast", Manner::Boast),
    ];
    let servers: Vec<_> = manners
        .iter()
        .map(|(name, manner)| (*name, Server::start(Some(*manner))))
        .collect();
    let mut configuration = String::new();
    for (name, server) in &servers {
        let at = server.address;
        let _ = write!(
            configuration,
            "[sources.http.{name}]\nurl = \"http://{at}/rates\"\nperiod = \"1s\"\ntimeout = \"2s\"\n\
             rates = {{ \"KZT-RUB\" = \"/rates/KZT\" }}\n\
             [auth.issuers.{name}]\nissuer = \"https://{name}.example\"\naudience = \"kurs\"\n\
             jwks = \"http://{at}/keys\"\nrefresh_seconds = 10\nroles = {{ a = [\"read\"] }}\n"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), configuration).unwrap();
    let sim = sim().await;
    let kurs = Kurs::start(&sim, &[("KURS_LOG__LEVEL", "DEBUG")], Some(folder)).await;
    for (name, server) in &servers {
        until_async(&format!("{name} was asked by both"), PATIENCE, || async {
            (server.visits() >= 3).then_some(())
        })
        .await;
        let told = kurs
            .source_until(name, |told| told["failures"].as_u64() >= Some(2))
            .await;
        assert_ne!(told["state"], "live", "{told}");
    }
    let before = memory_mib(&kurs);
    // Rates of others go on, and no token is believed for what an issuer said.
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    let unknown = kurs.rate("KZT-RUB").await;
    assert_ne!(unknown.json["source"], "endless", "{}", unknown.json);
    for (name, _) in &servers {
        let token = format!(
            "{}.{}.AAAA",
            base64url(r#"{"alg":"RS256","kid":"a"}"#),
            base64url(&format!(
                r#"{{"iss":"https://{name}.example","aud":"kurs","sub":"a","exp":9999999999}}"#
            )),
        );
        let request = reqwest::Client::new().get(kurs.url("/api/v1/sources"));
        let refused = request.bearer_auth(token).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 401, "{name}");
    }
    assert_eq!(bait.visits(), 0, "a redirect was followed");
    println!("at most {before} MiB");
    assert!(before < 600, "{before} MiB");
    assert_eq!(kurs.get("/livez").await.status, 200);
    let metrics = reqwest::get(kurs.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let panics = metrics.lines().find(|line| line.starts_with("kurs_panics"));
    assert!(panics.is_none_or(|line| line.ends_with(" 0")), "{panics:?}");
}
