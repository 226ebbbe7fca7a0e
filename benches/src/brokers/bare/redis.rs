//! The redis crate: pipelines of `XADD` with one `HSET` for the last values and two `XTRIM`, some
//! on their way at once; `XREAD` by another connection.

use super::super::contest::Heard;
use super::super::flow::Texts;
use super::Bare;
use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

/// Updates of a pipeline at most, pipelines on their way at most, and entries of an answer at
/// most: as the bus has them.
const BATCH: usize = 256;
const PIPELINES: usize = 4;
const READ: usize = 256;
/// What stays in the stream.
const LENGTH_MAX: u64 = 200_000;
const AGE_MS_MAX: u64 = 600_000;
const PATIENCE: Duration = Duration::from_secs(5);

pub(in super::super) fn open(
    runtime: &Runtime,
    url: &str,
    prefix: &str,
    texts: Texts,
) -> Result<Bare> {
    let texts = Arc::new(texts);
    let (flow, last) = (format!("{{{prefix}}}.flow"), format!("{{{prefix}}}.last"));
    let (writer, reader) = runtime.block_on(async {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let client = Client::open(url)?;
        let connect = || client.get_multiplexed_async_connection_with_config(&config);
        anyhow::Ok((connect().await?, connect().await?))
    })?;
    let hear = {
        let (texts, flow) = (Arc::clone(&texts), flow.clone());
        async move |heard: Arc<Heard>| hear(reader, &flow, &texts, &heard).await
    };
    let publish =
        async move |numbers| publish(&writer, &Keys { flow, last }, &texts, numbers).await;
    Ok(Bare::new(runtime, publish, hear))
}

struct Keys {
    flow: String,
    last: String,
}

async fn publish(
    connection: &MultiplexedConnection,
    keys: &Keys,
    texts: &Texts,
    mut numbers: UnboundedReceiver<u64>,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut flying = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            Some(taken) = flying.next(), if !flying.is_empty() => {
                let taken: redis::RedisResult<()> = taken;
                taken?;
            }
            count = numbers.recv_many(&mut batch, BATCH), if flying.len() < PIPELINES => {
                if count == 0 {
                    return Ok(());
                }
                let pipeline = pipeline(keys, texts, &batch);
                batch.clear();
                let mut connection = connection.clone();
                flying.push_back(async move { pipeline.query_async(&mut connection).await });
            }
        }
    }
}

fn pipeline(keys: &Keys, texts: &Texts, batch: &[u64]) -> Pipeline {
    let mut pipeline = redis::pipe();
    let mut last = redis::cmd("HSET");
    last.arg(&keys.last);
    for seq in batch {
        let (subject, text) = texts.of(*seq);
        pipeline.cmd("XADD").arg(&keys.flow).arg("*");
        pipeline
            .arg("s")
            .arg(subject)
            .arg("d")
            .arg(&text[..])
            .ignore();
        last.arg(subject).arg(&text[..]);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or_default());
    let oldest = now_ms.saturating_sub(AGE_MS_MAX);
    pipeline.add_command(last).ignore();
    for (what, bound) in [("MAXLEN", LENGTH_MAX), ("MINID", oldest)] {
        pipeline
            .cmd("XTRIM")
            .arg(&keys.flow)
            .arg(what)
            .arg("~")
            .arg(bound)
            .ignore();
    }
    pipeline
}

async fn hear(
    mut connection: MultiplexedConnection,
    flow: &str,
    texts: &Texts,
    heard: &Heard,
) -> Result<()> {
    let mut after = b"0-0".to_vec();
    loop {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(READ).arg("BLOCK").arg(1_000);
        command.arg("STREAMS").arg(flow).arg(&after);
        let answer = connection.send_packed_command(&command).await?;
        // Nothing for a second.
        let Value::Array(mut streams) = answer else {
            continue;
        };
        let Some(Value::Array(mut stream)) = streams.pop() else {
            bail!("an answer without a stream");
        };
        let Some(Value::Array(entries)) = stream.pop() else {
            bail!("a stream without entries");
        };
        for entry in entries {
            let (id, text) = parts(entry).context("an entry without a text")?;
            texts.read(&text)?;
            after = id;
            heard.one();
        }
    }
}

/// Id and text of an entry: the last field is the text.
fn parts(entry: Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let Value::Array(entry) = entry else {
        return None;
    };
    let [Value::BulkString(id), Value::Array(mut fields)] = <[Value; 2]>::try_from(entry).ok()?
    else {
        return None;
    };
    match fields.pop()? {
        Value::BulkString(text) => Some((id, text)),
        _ => None,
    }
}
