//! A new configuration while running.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::SimConfig;
use support::{Kurs, World, venues};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_changes_priorities_directions_and_pairs_without_a_failed_read() {
    let sim = kurs_sim::Sim::start(SimConfig::seeded(31), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), "log.level = \"INFO\"\n").unwrap();
    assert!(!venues(&sim).is_empty());
    let kurs = Kurs::start(&sim, &[], Some(folder)).await;
    let world = World { sim, kurs };
    world.served_by("BTC-USD", "binance").await;

    let path = world.kurs.process.folder().join("kurs.toml");
    std::fs::write(&path, "[sources.binance]\npriority = 0\nwrong = 1\n").unwrap();
    world
        .kurs
        .process
        .line(
            "the new configuration is wrong, the old one stays",
            support::PATIENCE,
        )
        .await;
    assert_eq!(world.kurs.rate("BTC-USD").await.json["source"], "binance");

    let text = "directions = [\"SOL-USD\"]\npairs = [\"BTC-USDT\", \"ETH-USDT\", \"SOL-USDT\"]\n\
                [sources.coingecko]\npriority = 1\n[sources.binance]\npriority = 2\n[sources.ecb]\nenabled = false\n";
    std::fs::write(&path, text).unwrap();
    let end = std::time::Instant::now() + support::PATIENCE;
    loop {
        let reply = world.kurs.rate("BTC-USD").await;
        assert_eq!(reply.status, 200, "a read failed meanwhile: {}", reply.json);
        if reply.json["source"] == "coingecko" {
            break;
        }
        assert!(
            std::time::Instant::now() < end,
            "the new priority is not used"
        );
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    kurs_testkit::wait::until_async("a price of the added pair", support::PATIENCE, || async {
        let path = "/api/v1/courses?exchanger=binance&direction=SOL-USDT";
        (world.kurs.get(path).await.status == 200).then_some(())
    })
    .await;
    let courses = world.kurs.get("/api/v1/courses").await.json;
    assert_eq!(courses["courses"][0]["direction"], "SOL-USD");
    world
        .kurs
        .source_until("coingecko", |source| source["priority"] == 1)
        .await;
    assert!(
        world.kurs.source("ecb").await.is_null(),
        "a source that was switched off is still shown"
    );
}
