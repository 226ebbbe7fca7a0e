//! Calls that end at once, health and reflection.

use crate::harness::{HOUR, Harness, START, until};
use http::HeaderMap;
use kurs_auth::{AuthConfig, Doors, Key, KeyRing, LimitsConfig, SecretKey};
use kurs_core::{ManualClock, Now};
use kurs_grpc::proto::batch_result::Result as Found;
use kurs_grpc::proto::{BatchRatesRequest, GetRateRequest, ListRatesRequest, RateState};
use kurs_grpc::{AtTheDoors, Gate, Scope, Who};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

fn asked(pair: &str) -> GetRateRequest {
    GetRateRequest {
        pair: pair.into(),
        allow_stale: false,
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_rate_is_the_one_that_http_tells() {
    let server = Harness::start().await;
    server.rate("BTC-USD", "64383.96491270");
    let mut client = server.client().await;
    for spelling in ["BTC-USD", "btc/usd", "btcusd", "bitcoin-usd"] {
        let answer = client.get_rate(asked(spelling)).await.unwrap();
        let rate = answer.into_inner().rate.unwrap();
        let told = server.view.rate(crate::harness::pair("BTC-USD"), None);
        let document = serde_json::to_value(&*told.unwrap().document).unwrap();
        assert_eq!(rate.pair, document["pair"].as_str().unwrap());
        assert_eq!(rate.value, document["value"].as_str().unwrap());
        assert_eq!(rate.bid.as_deref(), document["bid"].as_str());
        assert_eq!(rate.ask, None);
        assert_eq!(rate.source, "binance");
        assert_eq!(rate.state(), RateState::Fresh);
        assert_eq!(rate.path, ["BTC-USD"]);
        assert_eq!((rate.epoch, rate.seq), (1, 1));
        let published = rate.published_at.unwrap();
        assert_eq!(published.seconds, START.unix_seconds());
        assert_eq!(rate.expires_at.unwrap().seconds, published.seconds + 3_600);
    }
}

#[tokio::test]
async fn a_cross_rate_has_its_legs() {
    let server = Harness::start().await;
    server.rate("BTC-USDT", "100");
    server.rate("USDT-RUB", "80");
    let answer = server.client().await.get_rate(asked("BTC-RUB")).await;
    let rate = answer.unwrap().into_inner().rate.unwrap();
    assert_eq!((&*rate.pair, &*rate.value), ("BTC-RUB", "8000"));
    assert_eq!(rate.path, ["BTC-USDT", "USDT-RUB"]);
    assert_eq!(rate.legs[1].value, "80");
    assert_eq!(
        rate.legs[1].observed_at.unwrap().seconds,
        START.unix_seconds()
    );
}

#[tokio::test]
async fn why_there_is_no_rate_is_told_for_people_and_programs() {
    let server = Harness::start().await;
    server.rate("BTC-EUR", "5");
    let mut client = server.client().await;
    for (pair, code, expect) in [
        ("", Code::InvalidArgument, "INVALID_PARAMETER"),
        ("BTC-", Code::InvalidArgument, "MALFORMED_PAIR"),
        ("BTC-BTC", Code::NotFound, "UNKNOWN_PAIR"),
        ("BTC\n-USD", Code::InvalidArgument, "MALFORMED_PAIR"),
        ("NOSUCH-USD", Code::NotFound, "UNKNOWN_ASSET"),
        ("BTC-USD", Code::Unavailable, "NO_RATE_YET"),
    ] {
        let status = client.get_rate(asked(pair)).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, expect), "{pair}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "kurs");
        let retry = status.get_details_retry_info();
        assert_eq!(retry.is_some(), code == Code::Unavailable);
        let fields = status.get_details_bad_request();
        assert_eq!(fields.is_some(), code == Code::InvalidArgument);
    }
}

#[tokio::test]
async fn an_expired_rate_is_refused_unless_a_stale_one_will_do() {
    let server = Harness::start().await;
    server.rate_for("BTC-USD", "100", Duration::from_secs(5));
    server.clock.advance(Duration::from_secs(5));
    let mut client = server.client().await;
    let status = client.get_rate(asked("BTC-USD")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "RATE_EXPIRED");
    let stale = GetRateRequest {
        allow_stale: true,
        ..asked("BTC-USD")
    };
    let rate = client.get_rate(stale).await.unwrap().into_inner().rate;
    assert_eq!(rate.unwrap().state(), RateState::Stale);
}

#[tokio::test]
async fn lists_hold_all_that_is_published_or_all_of_one_asset() {
    let server = Harness::start().await;
    server.rate_for("BTC-USDT", "100", HOUR);
    server.rate_for("USDT-RUB", "80", HOUR);
    server.rate_for("ETH-USD", "7", Duration::from_secs(5));
    server.clock.advance(Duration::from_secs(5));
    let mut client = server.client().await;
    let mut list = async |base: &str, allow_stale| {
        let base = base.to_owned();
        let asked = ListRatesRequest { base, allow_stale };
        let answer = client.list_rates(asked).await?;
        let rates = answer.into_inner().rates.into_iter();
        Ok::<_, Status>(rates.map(|rate| rate.pair).collect::<Vec<_>>())
    };
    assert_eq!(list("", false).await.unwrap(), ["BTC-USDT", "USDT-RUB"]);
    assert_eq!(
        list("", true).await.unwrap(),
        ["BTC-USDT", "ETH-USD", "USDT-RUB"]
    );
    assert_eq!(list("btc", false).await.unwrap(), ["BTC-RUB", "BTC-USDT"]);
    assert_eq!(
        list("bitcoin", false).await.unwrap(),
        ["BTC-RUB", "BTC-USDT"]
    );
    let expired = list("ETH", false).await.unwrap_err();
    assert_eq!(expired.code(), Code::FailedPrecondition);
    assert_eq!(list("ETH", true).await.unwrap(), ["ETH-USD"]);
    assert_eq!(
        list("NOSUCH", false).await.unwrap_err().code(),
        Code::NotFound
    );
    let wrong = list("!", false).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_pair_without_a_rate_does_not_spoil_a_batch() {
    let server = Harness::start().await;
    server.rate("BTC-USDT", "100");
    let mut client = server.client().await;
    let mut batch = async |pairs: Vec<String>| {
        let allow_stale = false;
        let asked = BatchRatesRequest { pairs, allow_stale };
        client
            .batch_rates(asked)
            .await
            .map(|answer| answer.into_inner().results)
    };
    let long = "x".repeat(1_000);
    let pairs = ["NOSUCH-USD", "btcusdt", "BTC-USD", &long];
    let results = batch(pairs.map(str::to_owned).to_vec()).await.unwrap();
    let told: Vec<String> = results
        .iter()
        .map(|one| match one.result.as_ref().unwrap() {
            Found::Rate(rate) => rate.value.clone(),
            Found::Error(error) => format!("{} {}", error.code, error.reason),
        })
        .collect();
    assert_eq!(
        told,
        [
            "5 UNKNOWN_ASSET",
            "100",
            "14 NO_RATE_YET",
            "3 MALFORMED_PAIR"
        ]
    );
    assert_eq!(results[1].pair, "btcusdt");
    assert_eq!(results[3].pair.len(), 64);
    let many = vec!["BTC-USD".to_owned(); 501];
    for pairs in [vec![], many] {
        let status = batch(pairs).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn what_is_no_call_of_ours_is_refused() {
    let server = Harness::start().await;
    let mut client = server.client().await;
    let large = asked(&"x".repeat(70_000));
    let status = client.get_rate(large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    let mut compressed = Request::new(asked("BTC-USD"));
    compressed
        .metadata_mut()
        .insert("grpc-encoding", "gzip".parse().unwrap());
    let status = client.get_rate(compressed).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    for path in ["/kurs.v1.Rates/Nothing", "/kurs.v2.Rates/GetRate", "/x"] {
        let mut grpc = tonic::client::Grpc::new(server.channel().await);
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<GetRateRequest, GetRateRequest>::default();
        let path = path.parse().unwrap();
        let status = grpc.unary(Request::new(asked("")), path, codec).await;
        assert_eq!(status.unwrap_err().code(), Code::Unimplemented);
    }
}

/// Lets in who knows the word, and nobody to streams.
struct Word;

impl Gate for Word {
    fn admit(&self, metadata: &HeaderMap, _: IpAddr, scope: Scope) -> Result<Who, Status> {
        let word = metadata.get("authorization");
        if word.is_none_or(|word| word != "Bearer sesame") {
            return Err(Status::unauthenticated("say who you are"));
        }
        if scope == Scope::Stream {
            return Err(Status::permission_denied("not to streams"));
        }
        Ok(Who::anybody())
    }
}

#[tokio::test]
async fn the_gate_is_asked_before_every_call_and_never_for_health() {
    let server = Harness::behind(Arc::new(Word), |_, _| {}).await;
    server.rate("BTC-USD", "100");
    let mut client = server.client().await;
    let status = client.get_rate(asked("BTC-USD")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut known = Request::new(asked("BTC-USD"));
    let word = "Bearer sesame".parse().unwrap();
    known.metadata_mut().insert("authorization", word);
    client.get_rate(known).await.unwrap();
    let mut listen = Request::new(kurs_grpc::proto::SubscribeRequest::default());
    let word = "Bearer sesame".parse().unwrap();
    listen.metadata_mut().insert("authorization", word);
    let status = client.subscribe(listen).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn keys_and_quotas_of_http_hold_here() {
    let secret = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        SecretKey::make("live", move |bytes| random.fill(bytes)).unwrap()
    };
    let (reader, listener) = (secret(1), secret(2));
    let key = |secret: &SecretKey, scopes: &str, is_revoked| Key {
        id: secret.id(),
        hash: secret.hash(),
        scopes: scopes.parse().unwrap(),
        expires_at: None,
        is_revoked,
    };
    let auth = AuthConfig {
        anonymous: Vec::new(),
        ..AuthConfig::default()
    };
    let mut limits = LimitsConfig::default();
    limits.key.requests = 3;
    let doors = Arc::new(Doors::new(&auth, &limits));
    doors.set_ring(KeyRing::new([
        key(&reader, "read", false),
        key(&listener, "stream", false),
    ]));
    let clock = Arc::new(ManualClock::new(Now::default()));
    let gate = AtTheDoors::new(Arc::clone(&doors), clock);
    let server = Harness::behind(Arc::new(gate), |_, _| {}).await;
    server.rate("BTC-USD", "100");
    let mut client = server.client().await;
    let mut get = async |name: &'static str, value: String| {
        let mut request = Request::new(asked("BTC-USD"));
        if !value.is_empty() {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let refused = client.get_rate(request).await.err();
        refused.map(|status| (status.code(), reason(&status)))
    };
    let refused = |code, reason: &str| Some((code, reason.to_owned()));
    let bearer = |secret: &SecretKey| format!("Bearer {}", secret.reveal());
    let unknown = refused(Code::Unauthenticated, "UNAUTHORIZED");
    assert_eq!(get("authorization", String::new()).await, unknown);
    assert_eq!(get("authorization", "Bearer x".to_owned()).await, unknown);
    let forbidden = refused(Code::PermissionDenied, "FORBIDDEN");
    assert_eq!(get("authorization", bearer(&listener)).await, forbidden);
    assert_eq!(get("authorization", bearer(&reader)).await, None);
    assert_eq!(get("x-api-key", reader.reveal().to_owned()).await, None);
    assert_eq!(get("authorization", bearer(&reader)).await, None);
    let exhausted = refused(Code::ResourceExhausted, "QUOTA_EXCEEDED");
    assert_eq!(get("authorization", bearer(&reader)).await, exhausted);
    // A key that is revoked ends what is open by it.
    let mut listen = Request::new(kurs_grpc::proto::SubscribeRequest::default());
    let metadata = listen.metadata_mut();
    metadata.insert("authorization", bearer(&listener).parse().unwrap());
    let mut events = client.subscribe(listen).await.unwrap().into_inner();
    until(|| server.streams.listeners() == 1).await;
    assert!(doors.over(START).is_empty());
    doors.set_ring(KeyRing::new([key(&listener, "stream", true)]));
    let over = doors.over(START);
    assert_eq!(server.streams.end_where(|owner| over.contains(&owner)), 1);
    let status = loop {
        match events.message().await {
            Ok(event) => assert!(event.is_some(), "it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "REVOKED");
    until(|| doors.over(START).is_empty()).await;
}

#[tokio::test]
async fn health_follows_readiness() {
    let server = Harness::start().await;
    let mut client = HealthClient::new(server.channel().await);
    let mut states = Vec::new();
    for service in ["", "kurs.v1.Rates"] {
        let service = service.to_owned();
        let watched = client.watch(HealthCheckRequest { service }).await.unwrap();
        states.push(watched.into_inner());
    }
    let mut next = async || {
        let mut heard = Vec::new();
        for state in &mut states {
            heard.push(state.message().await.unwrap().unwrap().status());
        }
        heard
    };
    assert_eq!(next().await, [ServingStatus::Serving; 2]);
    server
        .health
        .set("reader", kurs_telemetry::Status::Failed, "no picture");
    assert_eq!(next().await, [ServingStatus::NotServing; 2]);
    server.health.set("reader", kurs_telemetry::Status::Ok, "");
    assert_eq!(next().await, [ServingStatus::Serving; 2]);
    server.stop();
    assert_eq!(next().await, [ServingStatus::NotServing; 2]);
    // Those who watch are sent away, and the server ends.
    assert!(states[0].message().await.is_err());
    assert_eq!(server.served.await.unwrap(), 0);
    let service = "nothing".to_owned();
    let _ = client
        .check(HealthCheckRequest { service })
        .await
        .unwrap_err();
}

#[tokio::test]
async fn reflection_lists_the_services_and_has_their_contract() {
    let server = Harness::start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let ask = |what| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(what),
    };
    let symbol = "kurs.v1.Rates.Subscribe".to_owned();
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(symbol)),
    ];
    let answers = client
        .server_reflection_info(futures_util::stream::iter(questions))
        .await;
    let mut answers = answers.unwrap().into_inner();
    let mut next = async || answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = next().await else {
        panic!("no list")
    };
    let names: Vec<&str> = list.service.iter().map(|one| &*one.name).collect();
    for name in ["kurs.v1.Rates", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(files)) = next().await else {
        panic!("no contract")
    };
    let file = &files.file_descriptor_proto[0];
    assert!(String::from_utf8_lossy(file).contains("kurs/v1/rates.proto"));
    until(|| server.streams.listeners() == 0).await;
}
