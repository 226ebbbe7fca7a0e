//! Asks a server over gRPC and prints what it says:
//!
//! ```text
//! ask http://127.0.0.1:9090 get BTC-USD
//! ask http://127.0.0.1:9090 list [BTC]
//! ask http://127.0.0.1:9090 batch BTC-USD ETH-RUB
//! ask http://127.0.0.1:9090 listen [--from POSITION] rate:BTC-USD sources
//! ask http://127.0.0.1:9090 health
//! ask http://127.0.0.1:9090 services
//! ```

#![expect(clippy::print_stdout, reason = "it prints what it is told")]

use futures_util::stream;
use kurs_grpc::proto::batch_result::Result as Found;
use kurs_grpc::proto::event::Told;
use kurs_grpc::proto::rates_client::RatesClient;
use kurs_grpc::proto::{
    BatchRatesRequest, GetRateRequest, ListRatesRequest, Rate, SubscribeRequest,
};
use std::error::Error;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(what)) = (arguments.next(), arguments.next()) else {
        return Err("name a server and what to ask".into());
    };
    let channel = Endpoint::from_shared(url)?.connect().await?;
    let told = match &*what {
        "health" => health(channel).await,
        "services" => services(channel).await,
        _ => rates(channel, &what, arguments.collect()).await,
    };
    if let Err(status) = told {
        println!("{:?}: {}", status.code(), status.message());
        println!("{:?}", status.get_details_error_info());
        println!("{:?}", status.get_details_retry_info());
    }
    Ok(())
}

async fn rates(channel: Channel, what: &str, names: Vec<String>) -> Result<(), Status> {
    let mut client = RatesClient::new(channel);
    let first = || names.first().cloned().unwrap_or_default();
    let allow_stale = false;
    match what {
        "get" => {
            let pair = first();
            let answer = client.get_rate(GetRateRequest { pair, allow_stale });
            println!("{}", short(answer.await?.into_inner().rate.as_ref()));
        }
        "list" => {
            let base = first();
            let answer = client.list_rates(ListRatesRequest { base, allow_stale });
            for rate in answer.await?.into_inner().rates {
                println!("{}", short(Some(&rate)));
            }
        }
        "batch" => {
            let pairs = names;
            let answer = client.batch_rates(BatchRatesRequest { pairs, allow_stale });
            for one in answer.await?.into_inner().results {
                match one.result {
                    Some(Found::Rate(rate)) => println!("{}", short(Some(&rate))),
                    other => println!("{} {other:?}", one.pair),
                }
            }
        }
        _ => listen(client, names).await?,
    }
    Ok(())
}

async fn listen(mut client: RatesClient<Channel>, mut names: Vec<String>) -> Result<(), Status> {
    let mut resume_from = String::new();
    if names.first().is_some_and(|name| name == "--from") {
        resume_from = names
            .drain(..2.min(names.len()))
            .next_back()
            .unwrap_or_default();
    }
    let topics = names;
    let asked = SubscribeRequest {
        topics,
        resume_from,
    };
    let mut events = client.subscribe(asked).await?.into_inner();
    while let Some(event) = events.message().await? {
        let told = match &event.told {
            Some(Told::Rate(changed)) => format!("rate {}", short(changed.rate.as_ref())),
            Some(Told::Snapshot(snapshot)) => {
                let rates = snapshot.rates.iter().map(|rate| short(Some(rate)));
                format!("snapshot {}", rates.collect::<Vec<_>>().join(", "))
            }
            Some(other) => format!("{other:?}"),
            None => "something new".to_owned(),
        };
        println!("{:<10} {told}", event.position);
    }
    Ok(())
}

/// A rate on one line.
fn short(rate: Option<&Rate>) -> String {
    rate.map_or_else(String::new, |rate| {
        let (bid, ask) = (rate.bid.as_deref(), rate.ask.as_deref());
        let sides = [bid.unwrap_or("-"), ask.unwrap_or("-")].join(" / ");
        let (state, path) = (rate.state(), rate.path.join(" "));
        format!(
            "{} {} ({sides}) {state:?} by {} over {path}",
            rate.pair, rate.value, rate.source
        )
    })
}

async fn health(channel: Channel) -> Result<(), Status> {
    let asked = HealthCheckRequest {
        service: "kurs.v1.Rates".to_owned(),
    };
    let answer = HealthClient::new(channel).check(asked).await?;
    println!("{:?}", answer.into_inner().status());
    Ok(())
}

async fn services(channel: Channel) -> Result<(), Status> {
    let asked = stream::iter([ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    }]);
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(asked).await?.into_inner();
    let answer = answers.message().await?;
    if let Some(MessageResponse::ListServicesResponse(list)) =
        answer.and_then(|answer| answer.message_response)
    {
        for service in list.service {
            println!("{}", service.name);
        }
    }
    Ok(())
}
