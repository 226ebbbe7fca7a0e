//! A look at the server for whoever sets it up.

use crate::link::{self, Link};
use crate::{RedisOptions, bus, value};
use kurs_bus::Examination;
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use tokio::sync::watch;

/// The first version whose streams say how many entries they ever had.
const LEAST: (u32, u32) = (7, 0);
/// Writes an entry and takes it away, as the scripts of the bus may.
const TRY: &str = "redis.call('XADD', KEYS[1], '*', 'd', '') redis.call('DEL', KEYS[1])";

/// Looks whether the server is reached, new enough, and takes what the bus writes. Nothing of it
/// stays on the server.
pub async fn examine(options: &RedisOptions) -> Examination {
    bus::choose_crypto();
    let mut seen = Examination::default();
    let (_running, ended) = watch::channel(());
    let link = Link::new(options.clone(), Arc::default(), ended);
    let looked = async {
        let mut connection = link.connect().await?.connection;
        look(&mut seen, &link, &mut connection).await
    };
    if let Err(error) = looked.await {
        let advice = "does the server run, is its address right, and may this user log in?";
        seen.problem(link::complaint(&error), advice);
    }
    seen
}

async fn look(
    seen: &mut Examination,
    link: &Link,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisError> {
    let told = link::ask(connection, &redis::cmd("INFO")).await?;
    judge(seen, &value::text(told).unwrap_or_default());
    let mut kind = redis::cmd("TYPE");
    kind.arg(&link.keys.flow);
    let kind = value::text(link::ask(connection, &kind).await?).unwrap_or_default();
    let flow = &link.keys.flow;
    match &*kind {
        "stream" => seen.found(format!("stream {flow} is there")),
        "none" => seen.found(format!("stream {flow} will be made by the first Writer")),
        _ => {
            let advice = "another program uses this name: set bus.redis.prefix";
            seen.problem(format!("{flow} is a {kind} and no stream"), advice);
        }
    }
    // Done for a moment: rights on paper and rights in fact differ.
    let mut attempt = redis::cmd("EVAL");
    attempt.arg(TRY).arg(1).arg(&link.keys.attempt);
    if let Err(error) = link::ask(connection, &attempt).await {
        let advice = "kurs runs scripts that write streams, hashes and lists: does the server \
                      take writes, and may this user do that on its names?";
        seen.problem(
            format!("it takes no writes: {}", link::complaint(&error)),
            advice,
        );
    }
    Ok(())
}

/// What the server says of itself.
fn judge(seen: &mut Examination, info: &str) {
    let of = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    seen.version("Redis", of("redis_version").unwrap_or("?"), LEAST);
    if of("role") == Some("slave") {
        let advice = "name the primary in bus.url";
        seen.problem("it is a replica, which takes no writes", advice);
    }
    let policy = of("maxmemory_policy").unwrap_or_default();
    if of("maxmemory").is_some_and(|bytes| bytes != "0") && policy.starts_with("allkeys") {
        seen.warning(
            format!("it may throw the flow away when memory is short ({policy})"),
            "set maxmemory-policy noeviction: kurs bounds what it keeps by itself",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubles(info: &str) -> Vec<bool> {
        let mut seen = Examination::default();
        judge(&mut seen, info);
        seen.troubles.iter().map(|one| one.is_fatal).collect()
    }

    #[test]
    fn what_a_server_says_of_itself_is_judged() {
        let good = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory:0\r\n\
                    maxmemory_policy:allkeys-lru\r\n";
        assert_eq!(troubles(good), [] as [bool; 0]);
        assert_eq!(troubles(&good.replace("7.0.15", "6.2.1")), [true]);
        assert_eq!(troubles(&good.replace("master", "slave")), [true]);
        assert_eq!(
            troubles(&good.replace("maxmemory:0", "maxmemory:9")),
            [false]
        );
        assert_eq!(troubles(""), [] as [bool; 0]);
    }
}
