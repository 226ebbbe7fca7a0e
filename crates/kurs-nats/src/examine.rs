//! A look at the servers for whoever sets them up.

use crate::config::{NatsConfig, NatsOptions};
use crate::link::{self, Trouble};
use crate::names::Names;
use crate::streams::{self, NOT_FOUND};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use kurs_bus::Examination;
use tokio::sync::watch;

/// The first version that keeps readings in memory and on one server, as ours are made.
const LEAST: (u32, u32) = (2, 9);

/// Looks whether the servers are reached, new enough, and have the streams or could have them.
/// Nothing of it stays on the servers.
pub async fn examine(options: &NatsOptions) -> Examination {
    let mut seen = Examination::default();
    let (ended, _) = watch::channel(false);
    let client = match link::client(options, &ended).await {
        Ok(client) => client,
        Err(Trouble(why)) => {
            let advice = "does the server run, is its address right, and may this user log in?";
            seen.problem(why, advice);
            return seen;
        }
    };
    seen.version("NATS", &client.server_info().version, LEAST);
    let jetstream = link::jetstream(client, &options.config);
    look_at_streams(&mut seen, &jetstream, &options.config).await;
    seen
}

async fn look_at_streams(
    seen: &mut Examination,
    jetstream: &jetstream::Context,
    config: &NatsConfig,
) {
    let names = Names::new(&config.prefix);
    let mut is_one_missing = false;
    for wanted in [
        streams::flow_config(&names, config),
        streams::last_config(&names, config),
    ] {
        let name = &wanted.name;
        let error = match jetstream.get_stream(name).await {
            Ok(stream) => {
                seen.found(format!("stream {name} is there"));
                for difference in streams::differences(&stream.cached_info().config, &wanted) {
                    let advice = "existing streams are taken as they are: edit it (nats stream \
                                  edit), or set bus.nats to what it is";
                    seen.warning(format!("stream {name} {difference}"), advice);
                }
                continue;
            }
            Err(error) => error,
        };
        match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.code() == NOT_FOUND => {
                is_one_missing = true;
            }
            _ => {
                let advice = "is JetStream on (jetstream {} in the server's configuration, or \
                              -js), and may this user ask for streams ($JS.API.>)?";
                seen.problem(format!("stream {name}: {error}"), advice);
                return;
            }
        }
    }
    if !is_one_missing {
        return;
    }
    // Made for a moment: rights on paper and rights in fact differ, as room does.
    match streams::try_one(jetstream, &names, config).await {
        Ok(()) => seen.found("streams that are missing can be made"),
        Err(Trouble(why)) => {
            let advice = "are there as many servers as bus.nats.replicas, room for \
                          bus.nats.flow_bytes_max, and may this user make streams ($JS.API.>)?";
            seen.problem(why, advice);
        }
    }
}
