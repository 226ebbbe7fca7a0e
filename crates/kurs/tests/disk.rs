//! A disk that is full or fails, under a running kurs: rates are served on, readiness says what is
//! missing, and all is well again without a restart as soon as the disk is.
//!
//! The disk is that of the process under test alone: a small C library (`disk/faulty.c`), loaded
//! into it, lets its calls on files fail while a file says so. This needs no right that a test
//! would not have, and the C compiler that building kurs needs anyway.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Sim, SimConfig, SimHandle};
use kurs_testkit::Postgres;
use kurs_testkit::wait::until_async;
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Kurs, PATIENCE};
use tempfile::TempDir;

/// What goes wrong: kind of call, error number, and what readiness says of it.
const FAULTS: [(&str, u32, &str); 5] = [
    ("write", ENOSPC, "the disk is full"),
    ("write", EIO, "the disk failed"),
    // What was written may be gone after this: nobody believes the file before it is opened anew.
    ("sync", EIO, "the disk failed"),
    // A limit of file sizes.
    ("write", EFBIG, "the disk failed"),
    ("any", EIO, "the disk failed"),
];
const EIO: u32 = 5;
const EFBIG: u32 = 27;
const ENOSPC: u32 = 28;

/// A disk that fails on demand.
struct Disk {
    folder: TempDir,
    library: PathBuf,
}

impl Disk {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faulty.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/faulty.c");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self { folder, library }
    }

    fn fault_file(&self) -> PathBuf {
        self.folder.path().join("fault")
    }

    /// Settings that put kurs on this disk.
    fn settings(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(self.library.clone())),
            ("FAULTY_DISK", text(self.fault_file())),
        ]
    }

    fn fail(&self, calls: &str, error: u32) {
        // In one step: it is read at any moment.
        let unfinished = self.folder.path().join("fault.new");
        std::fs::write(&unfinished, format!("{calls} {error}\n")).unwrap();
        std::fs::rename(unfinished, self.fault_file()).unwrap();
    }

    fn heal(&self) {
        std::fs::remove_file(self.fault_file()).unwrap();
    }
}

async fn start(disk: &Disk, settings: &[(&str, &str)], seed: u64) -> (SimHandle, Kurs) {
    let sim = Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let own = disk.settings();
    // What failed is tried again soon, or the test would wait for most of its time.
    let mut all = vec![("KURS_RECORDER__RETRY_MAX_MS", "250")];
    all.extend_from_slice(settings);
    all.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
    let kurs = Kurs::start(&sim, &all, None).await;
    // Rates may be there a moment before readiness is told.
    until_async("readiness", PATIENCE, || async {
        (kurs.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    (sim, kurs)
}

/// Waits until the check named `history` of `/readyz` is as wanted. The instance is ready all the
/// while.
async fn history_until(kurs: &Kurs, status: &str, detail: &str) {
    let what = format!("history {status}: {detail:?}");
    until_async(&what, PATIENCE, || async {
        let told = kurs.get("/readyz?verbose").await;
        assert_eq!(told.status, 200, "{}", told.json);
        let checks = told.json["checks"].as_array()?;
        let history = checks.iter().find(|check| check["name"] == "history")?;
        let is_so = history["status"] == status
            && history["detail"].as_str()?.contains(detail)
            && told.json["status"] == status;
        is_so.then_some(())
    })
    .await;
}

/// Asks until so many different answers were served, all of them fresh.
async fn served(kurs: &Kurs, count: usize) -> Vec<Value> {
    let mut answers: Vec<Value> = Vec::new();
    while answers.len() < count {
        let before = answers.last().map(|last| last["seq"].clone());
        let next = until_async("a new fresh rate", PATIENCE, || async {
            let reply = kurs.rate("BTC-USDT").await;
            assert_eq!(reply.status, 200, "{}", reply.json);
            assert_eq!(reply.json["state"], "fresh", "{}", reply.json);
            (Some(&reply.json["seq"]) != before.as_ref()).then_some(reply.json)
        });
        answers.push(next.await);
    }
    answers
}

/// What was served is told again for its moment: it was kept.
async fn are_kept(kurs: &Kurs, answers: &[Value]) {
    for served in answers {
        let at = served["published_at"].as_str().unwrap();
        let told = kurs.get(&format!("/api/v1/rates/BTC/USDT?at={at}")).await;
        assert_eq!(told.status, 200, "{}", told.json);
        // Two updates of one millisecond are told as they stood at its end.
        assert!(
            told.json["seq"].as_u64() >= served["seq"].as_u64(),
            "{} is not {served}",
            told.json
        );
        assert_eq!(told.json["published_at"], served["published_at"]);
    }
}

/// No received rate is there twice; how many are there.
async fn rows_once(kurs: &Kurs) -> usize {
    let mut seen = HashSet::new();
    let base = "/api/v1/history/BTC/USDT?limit=1000&source=binance";
    let mut path = base.to_owned();
    loop {
        let page = kurs.get(&path).await.json;
        for point in page["points"].as_array().unwrap() {
            let id = (point["epoch"].as_u64(), point["seq"].as_u64());
            assert!(seen.insert(id), "{point} is there twice");
        }
        match page["next"].as_str() {
            Some(next) => path = format!("{base}&cursor={next}"),
            None => return seen.len(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_live_on_over_a_full_or_failing_disk_and_what_was_served_is_kept() {
    let disk = Disk::make();
    let (sim, mut kurs) = start(&disk, &[], 81).await;
    history_until(&kurs, "ok", "").await;
    let mut all = served(&kurs, 5).await;
    for (calls, error, detail) in FAULTS {
        disk.fail(calls, error);
        history_until(&kurs, "degraded", detail).await;
        let during = served(&kurs, 10).await;
        history_until(&kurs, "degraded", "waits in memory").await;
        assert_eq!(kurs.get("/livez").await.status, 200);
        disk.heal();
        history_until(&kurs, "ok", "").await;
        are_kept(&kurs, &during).await;
        all.extend(during);
    }
    all.extend(served(&kurs, 2).await);
    history_until(&kurs, "ok", "").await;
    are_kept(&kurs, &all).await;
    assert!(rows_once(&kurs).await > all.len());
    assert_eq!(kurs.process.ended(), None, "it ended");
    // The same is there for the next start.
    let folder = kurs.process.kill();
    let kurs = Kurs::start(&sim, &[], Some(folder)).await;
    are_kept(&kurs, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_live_on_without_postgresql_and_without_room_for_the_spool() {
    let server = Postgres::start();
    let database = server.database();
    let disk = Disk::make();
    let url = database.url();
    let settings = [
        ("KURS_STORE__URL", url.as_str()),
        ("KURS_STORE__AUTO_MIGRATE", "true"),
    ];
    let (_sim, kurs) = start(&disk, &settings, 82).await;
    history_until(&kurs, "ok", "").await;
    disk.fail("write", ENOSPC);
    tokio::task::block_in_place(|| server.kill());
    history_until(&kurs, "degraded", "the disk of the spool is full").await;
    let mut all = served(&kurs, 10).await;
    disk.heal();
    history_until(&kurs, "degraded", "waits on disk").await;
    all.extend(served(&kurs, 10).await);
    // In the middle of it the disk begins to fail otherwise.
    disk.fail("sync", EIO);
    history_until(&kurs, "degraded", "the disk of the spool failed").await;
    all.extend(served(&kurs, 10).await);
    tokio::task::block_in_place(|| server.restart());
    disk.heal();
    history_until(&kurs, "ok", "").await;
    are_kept(&kurs, &all).await;
    assert!(rows_once(&kurs).await > all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_file_sizes_is_trouble_of_the_store_and_not_the_end() {
    let disk = Disk::make();
    let (_sim, mut kurs) = start(&disk, &[], 83).await;
    history_until(&kurs, "ok", "").await;
    let process = kurs.process.id().to_string();
    let limit = |most: &str| {
        // The soft limit alone: to raise it again takes no right.
        let size = format!("--fsize={most}:");
        let set = Command::new("prlimit")
            .args(["--pid", &process, &size])
            .status();
        assert!(set.unwrap().success());
    };
    limit("65536");
    history_until(&kurs, "degraded", "the disk failed").await;
    let during = served(&kurs, 10).await;
    limit("unlimited");
    history_until(&kurs, "ok", "").await;
    are_kept(&kurs, &during).await;
    assert_eq!(kurs.process.ended(), None, "it ended");
}
