//! Keys on many machines: what one process revokes opens nothing on any Reader a second later.

use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;
use std::process::Command;
use std::time::{Duration, Instant};

/// What is promised.
const WITHIN: Duration = Duration::from_secs(1);
/// Longer only on a machine that does much else.
const AT_LAST: Duration = Duration::from_secs(5);

/// `kurs keys` with the store of the world, as on a machine of its own.
fn keys(world: &World, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .arg("keys")
        .args(arguments)
        .env("KURS_STORE__URL", &world.store_url)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A stream that was opened with the key, past its beginning.
async fn stream(reader: &Node, key: &str) -> reqwest::Response {
    let mut stream = reader.door.ask("/api/v1/stream", key).await;
    assert_eq!(stream.status().as_u16(), 200);
    stream.chunk().await.unwrap().unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_on_every_reader_with_its_open_streams() {
    let world = World::start(641).await;
    let _writer = world.writer("writer-0").await;
    let closed = [("KURS_AUTH__ANONYMOUS", "")];
    let readers = [
        world.node("reader", "reader-1", &closed).await,
        world.node("reader", "reader-2", &closed).await,
    ];
    let key = keys(
        &world,
        &["create", "--name", "shop", "--scope", "read,stream"],
    );
    let other = keys(
        &world,
        &["create", "--name", "other", "--scope", "read,stream"],
    );
    let path = "/api/v1/sources";
    for reader in &readers {
        assert_eq!(reader.get(path).await.0, 401, "{}", reader.name);
        for key in [&key, &other] {
            until_async("the key is known", PATIENCE, || async {
                (reader.door.ask(path, key).await.status() == 200).then_some(())
            })
            .await;
        }
    }
    let mut streams = Vec::new();
    for reader in &readers {
        streams.push((reader, stream(reader, &key).await));
    }
    let mut untouched = stream(&readers[1], &other).await;

    let id = key.split('_').nth(2).unwrap();
    keys(&world, &["revoke", id, "--yes"]);
    let revoked_at = Instant::now();
    // One after the other: what is measured of the second is the later of both.
    for (reader, mut stream) in streams {
        let mut told = String::new();
        let to_its_end = async {
            while let Ok(Some(piece)) = stream.chunk().await {
                told.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        let ended = tokio::time::timeout(PATIENCE, to_its_end).await;
        assert!(ended.is_ok(), "the stream of {} goes on", reader.name);
        let ended = revoked_at.elapsed();
        assert!(told.contains("\"revoked\""), "{}: {told}", reader.name);
        println!(
            "the stream of {} ended {ended:?} after the key was revoked (promised: {WITHIN:?})",
            reader.name
        );
        assert!(ended < AT_LAST, "{ended:?}");
        for path in [path, "/api/v1/stream"] {
            let asked = reader.door.ask(path, &key).await.status().as_u16();
            assert_eq!(asked, 401, "{} {path}", reader.name);
        }
    }
    // The other key goes on, and so does its stream.
    assert_eq!(readers[0].door.ask(path, &other).await.status(), 200);
    assert!(untouched.chunk().await.unwrap().is_some());
}
