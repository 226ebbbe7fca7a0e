//! A look at the server for whoever sets it up.

use crate::RabbitOptions;
use crate::link::{ANSWER, Failure, dial, plain, uri};
use crate::names::{Names, exists};
use kurs_bus::Examination;
use lapin::Connection;
use lapin::uri::{AMQPScheme, AMQPUri};
use std::io;
use std::net::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The first version that is tried with each change; streams came with 3.9.
const LEAST: (u32, u32) = (3, 10);
/// What a client says first: the version of the protocol.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Most bytes of the server's greeting that are looked at.
const GREETING_MAX: u64 = 4_096;

/// Looks whether the server is reached, new enough, and has the flow or could have it. Nothing of
/// it stays on the server.
pub async fn examine(options: &RabbitOptions) -> Examination {
    let mut seen = Examination::default();
    let uri = uri(options);
    if let Some(version) = version(&uri).await {
        seen.version("RabbitMQ", &version, LEAST);
    }
    let (connection, socket) = match dial(&uri, &options.name).await {
        Ok(connected) => connected,
        Err(why) => {
            let advice = "does the server run, is its address right, and may this user log in \
                          to this vhost?";
            seen.problem(why.to_string(), advice);
            return seen;
        }
    };
    let names = Names::new(&options.config);
    let looked = tokio::time::timeout(ANSWER, look(&mut seen, &names, &connection)).await;
    if let Err(why) = looked.unwrap_or(Err(Failure::Away)) {
        let advice = "may this user configure, write and read what begins with the prefix \
                      (rabbitmqctl set_permissions), and does the server have streams?";
        seen.problem(why.to_string(), advice);
    }
    let _ = tokio::time::timeout(ANSWER, connection.close(200, "".into())).await;
    let _ = socket.shutdown(Shutdown::Both);
    seen
}

async fn look(
    seen: &mut Examination,
    names: &Names,
    connection: &Connection,
) -> Result<(), Failure> {
    if exists(connection, &names.flow).await? {
        seen.found(format!("stream {} is there", names.flow));
        return Ok(());
    }
    // Made for a moment: rights on paper and rights in fact differ.
    names.try_one(connection).await?;
    seen.found(format!("stream {} can be made", names.flow));
    Ok(())
}

/// What the server calls itself when it is greeted; the client library does not tell. `None`
/// over TLS, or when there is no such answer.
async fn version(uri: &AMQPUri) -> Option<String> {
    if uri.scheme != AMQPScheme::AMQP {
        return None;
    }
    let greeting = async {
        let mut stream = plain(uri).await?;
        stream.write_all(HELLO).await?;
        let mut frame = [0; 7];
        stream.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]);
        let mut greeting = Vec::new();
        let bytes = u64::from(length).min(GREETING_MAX);
        stream.take(bytes).read_to_end(&mut greeting).await?;
        io::Result::Ok(greeting)
    };
    let greeting = tokio::time::timeout(ANSWER, greeting).await.ok()?.ok()?;
    version_in(&greeting)
}

/// The text behind the name `version` in the table of a greeting.
fn version_in(greeting: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = greeting
        .windows(NAME.len())
        .position(|bytes| bytes == NAME)?;
    let rest = greeting.get(at + NAME.len()..)?;
    let (length, text) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    String::from_utf8(text.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_a_greeting_and_nothing_in_any_other_bytes() {
        let greeting =
            b"\x00\x0a..\x07productS\x00\x00\x00\x02MQ\x07versionS\x00\x00\x00\x063.10.8\x00";
        assert_eq!(version_in(greeting).as_deref(), Some("3.10.8"));
        for length in 0..greeting.len() - 1 {
            assert_eq!(version_in(&greeting[..length]), None, "{length}");
        }
        assert_eq!(version_in(b"\x07versionS\xff\xff\xff\xff3"), None);
    }
}
