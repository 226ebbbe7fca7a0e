//! Promises of the spool: what was accepted is given again, whatever happened in between.

use super::disk::Disk;
use super::memory::{Fault, MemoryDisk};
use super::*;
use crate::conformance::{id, rate, row};
use crate::{Batch, Published};
use std::collections::{BTreeMap, BTreeSet};

mod random;

pub(super) fn event(seq: u64) -> Published {
    Published::rate(id(seq), rate("BTC-USDT", id(seq), "54000.01").rate)
}

/// A batch with one published event.
pub(super) fn kept(seq: u64) -> Batch {
    Batch {
        published: vec![event(seq)],
        ..Batch::default()
    }
}

/// A batch of received rows.
pub(super) fn raw(seqs: std::ops::Range<u64>) -> Batch {
    Batch::of_rows(seqs.map(|seq| row("binance", seq, 1_000)).collect())
}

pub(super) fn open(disk: &MemoryDisk, bytes_max: u64) -> Spool {
    let options = SpoolOptions {
        bytes_max,
        segment_bytes: (bytes_max / 8).max(1),
    };
    Spool::open_on(Box::new(disk.clone()), options).unwrap()
}

/// Everything that waits, drained in pieces; rows and events by their numbers.
pub(super) fn drain(spool: &mut Spool) -> (Vec<u64>, Vec<u64>) {
    let (mut rows, mut events) = (Vec::new(), Vec::new());
    while let Some(waiting) = spool.next(10).unwrap() {
        rows.extend(waiting.batch.rows.iter().map(|row| row.id.seq.0));
        events.extend(waiting.batch.published.iter().map(|one| one.id.seq.0));
        spool.done(waiting.through);
    }
    assert!(spool.is_empty());
    (rows, events)
}

/// A disk that holds five records in one file, and the places where they begin and end.
fn five() -> (MemoryDisk, String, Vec<usize>) {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    let mut places = vec![0];
    for number in 0..5 {
        spool.append(raw(number * 3..number * 3 + 3)).unwrap();
        places.push(disk.bytes());
    }
    let name = disk.files().into_keys().next().unwrap();
    (disk, name, places)
}

fn rows_of(records: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let rows = records.into_iter();
    rows.flat_map(|number| number * 3..number * 3 + 3).collect()
}

#[test]
fn a_file_that_ends_at_any_byte_gives_every_whole_record() {
    let (disk, name, places) = five();
    let whole = disk.files().remove(&name).unwrap();
    for length in 0..=whole.len() {
        let files = BTreeMap::from([(name.clone(), whole[..length].to_vec())]);
        let disk = MemoryDisk::of_files(files);
        let mut spool = open(&disk, 1 << 20);
        let is_torn = !places.contains(&length);
        assert_eq!(spool.stats().torn, u64::from(is_torn), "length {length}");
        let records = places[1..].iter().filter(|end| **end <= length).count();
        assert_eq!(spool.stats().records, u64::try_from(records).unwrap());
        // What comes later stands behind it.
        spool.append(raw(15..18)).unwrap();
        drop(spool);
        let mut spool = open(&disk, 1 << 20);
        assert_eq!(spool.stats().torn, 0, "the tail was cut off");
        let expect = rows_of((0..u64::try_from(records).unwrap()).chain([5]));
        assert_eq!(drain(&mut spool).0, expect, "length {length}");
        assert!(open(&disk, 1 << 20).is_empty());
    }
}

#[test]
fn a_byte_that_changed_costs_one_record_and_is_counted() {
    let (disk, name, places) = five();
    let whole = disk.files().remove(&name).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        let disk = MemoryDisk::of_files(BTreeMap::from([(name.clone(), bytes)]));
        let mut spool = open(&disk, 1 << 20);
        let lost = places[1..].iter().filter(|end| **end <= place).count();
        let expect = rows_of((0..5).filter(|number| *number != u64::try_from(lost).unwrap()));
        assert_eq!(drain(&mut spool).0, expect, "byte {place}");
        let stats = spool.stats();
        assert_eq!(stats.damaged + stats.torn, 1, "byte {place}");
        assert_eq!((stats.bytes, stats.records, stats.things), (0, 0, 0));
    }
}

#[test]
fn noise_instead_of_files_is_no_trouble() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut files = BTreeMap::new();
        for name in [
            "mark",
            "kept-00000000000000000001.spool",
            "raw-00000000000000000002.spool",
            "raw-99999999999999999999.spool",
            "raw-18446744073709551615.spool",
            "readme",
        ] {
            let length = random.usize(..300);
            let noise = std::iter::repeat_with(|| random.u8(..)).take(length);
            files.insert(name.to_owned(), noise.collect());
        }
        let disk = MemoryDisk::of_files(files);
        let mut spool = open(&disk, 1 << 20);
        assert_eq!(drain(&mut spool), (Vec::new(), Vec::new()));
        if spool.append(raw(0..1)).is_ok() {
            assert_eq!(drain(&mut spool).0, [0]);
        }
        assert!(disk.files().contains_key("readme"), "not ours");
    }
}

#[test]
fn batches_are_drained_in_order_and_go_for_good() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    for number in 0..40 {
        let mut batch = raw(number * 2..number * 2 + 2);
        batch.published = kept(number).published;
        batch.recorded_until = Some(crate::Recorded {
            shard: 0,
            until: kurs_core::Wall(i64::try_from(number).unwrap()),
        });
        spool.append(batch).unwrap();
    }
    assert_eq!(spool.stats().things, 120);
    let first = spool.next(30).unwrap().unwrap();
    assert_eq!(first.batch.rows.len() + first.batch.published.len(), 30);
    assert_eq!(
        first.batch.recorded_until.unwrap().until.0,
        9,
        "no event of a later batch is called recorded"
    );
    assert_eq!(spool.next(30).unwrap().unwrap(), first, "until it is done");
    spool.done(first.through);
    drop(spool);
    let mut spool = open(&disk, 1 << 20);
    let (rows, events) = drain(&mut spool);
    assert_eq!(rows, (20..80).collect::<Vec<_>>());
    assert_eq!(events, (10..40).collect::<Vec<_>>());
    let files = disk.files();
    assert_eq!(files.into_keys().collect::<Vec<_>>(), ["mark"]);
    let mut spool = open(&disk, 1 << 20);
    spool.append(raw(0..1)).unwrap();
    drop(spool);
    assert_eq!(
        drain(&mut open(&disk, 1 << 20)).0,
        [0],
        "new after the mark"
    );
}

#[test]
fn each_batch_is_drained_under_the_epoch_it_was_made_under() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    let fence = |epoch: u64| {
        Some(crate::Fence {
            shard: 3,
            epoch: kurs_core::Epoch(epoch),
        })
    };
    let fences = [None, None, fence(1), fence(1), fence(2), None, fence(2)];
    for (number, fence) in (0..).zip(fences) {
        let mut batch = raw(number..number + 1);
        batch.published = kept(number).published;
        batch.fence = fence;
        spool.append(batch).unwrap();
    }
    drop(spool);
    let mut spool = open(&disk, 1 << 20);
    let mut drained = Vec::new();
    while let Some(waiting) = spool.next(1_000).unwrap() {
        let batch = &waiting.batch;
        assert_eq!(batch.rows.len(), batch.published.len());
        drained.push((batch.fence, batch.rows.len()));
        spool.done(waiting.through);
    }
    let expect = [
        (None, 2),
        (fence(1), 2),
        (fence(2), 1),
        (None, 1),
        (fence(2), 1),
    ];
    assert_eq!(drained, expect);
}

#[test]
fn a_full_spool_sheds_the_oldest_rows_and_never_an_event() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 16_000);
    let mut accepted = Vec::new();
    for number in 0..1_000 {
        let mut batch = raw(number * 10..number * 10 + 10);
        batch.published = kept(number).published;
        match spool.append(batch) {
            Ok(_) => accepted.push(number),
            Err(refused) => {
                let (rest, error) = *refused;
                assert_eq!(error, SpoolError::Full);
                assert_eq!((rest.published.len(), rest.rows.len()), (1, 10));
            }
        }
        assert!(disk.bytes() <= 16_000);
        assert_eq!(spool.stats().bytes, u64::try_from(disk.bytes()).unwrap());
    }
    assert!((10..900).contains(&accepted.len()), "{}", accepted.len());
    let shed = spool.stats().shed;
    assert!(shed.rows > 0);
    let (rows, events) = drain(&mut spool);
    assert_eq!(events, accepted);
    let taken = u64::try_from(accepted.len()).unwrap() * 10;
    assert_eq!(rows.len() as u64 + shed.rows, taken);
    assert!(rows.is_sorted(), "the oldest went");
    // Room again.
    spool.append(kept(9_999)).unwrap();
    assert_eq!(drain(&mut spool).1, [9_999]);
}

#[test]
fn what_is_being_drained_is_not_counted_as_shed() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 4_000);
    spool.append(raw(0..10)).unwrap();
    let waiting = spool.next(10).unwrap().unwrap();
    let mut number = 10;
    while spool.stats().shed.rows == 0 {
        spool.append(raw(number..number + 10)).unwrap();
        number += 10;
    }
    let shed = spool.stats().shed.rows;
    spool.done(waiting.through);
    let (rows, _) = drain(&mut spool);
    assert_eq!(
        waiting.batch.rows.len() as u64 + rows.len() as u64 + shed,
        number
    );
}

#[test]
fn a_full_disk_takes_nothing_and_goes_on_when_there_is_room() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    spool.append(raw(0..3)).unwrap();
    disk.room(Some(disk.bytes() + 70));
    for _ in 0..3 {
        let refused = spool.append(raw(3..6)).unwrap_err();
        assert_eq!(refused.1, SpoolError::DiskFull);
        assert_eq!(refused.0, raw(3..6));
        assert_eq!(spool.stats().bytes, u64::try_from(disk.bytes()).unwrap());
    }
    disk.room(None);
    spool.append(raw(3..6)).unwrap();
    assert_eq!(spool.stats().append_failures, 3);
    drop(spool);
    let mut spool = open(&disk, 1 << 20);
    assert_eq!(spool.stats().torn, 0);
    assert_eq!(drain(&mut spool).0, (0..6).collect::<Vec<_>>());
}

#[test]
fn on_a_full_disk_an_event_takes_the_place_of_rows() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    for number in 0..20 {
        spool.append(raw(number * 10..number * 10 + 10)).unwrap();
    }
    disk.room(Some(disk.bytes()));
    let mut batch = raw(200..210);
    batch.published = kept(1).published;
    let refused = spool.append(batch);
    let shed = spool.stats().shed.rows;
    assert!(shed > 0);
    drop(refused);
    let (rows, events) = drain(&mut spool);
    assert_eq!(events, [1]);
    assert!(rows.is_sorted() && !rows.contains(&0), "the oldest went");
}

#[test]
fn a_sync_that_failed_is_not_tried_again_and_a_new_file_begun() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    spool.append(raw(0..3)).unwrap();
    for fault in [
        Fault::Sync,
        Fault::Write(0),
        Fault::Write(30),
        Fault::Create,
    ] {
        disk.plan(fault);
        let refused = spool.append(raw(3..6)).unwrap_err();
        assert!(matches!(refused.1, SpoolError::Disk(_)), "{fault:?}");
    }
    disk.plan(Fault::ShortWrite(7));
    spool.append(raw(3..6)).unwrap();
    assert!(disk.files().len() >= 2);
    assert_eq!(drain(&mut spool).0, (0..6).collect::<Vec<_>>());
    assert_eq!(disk.files().into_keys().collect::<Vec<_>>(), ["mark"]);
}

#[test]
fn records_of_another_version_are_set_aside_and_kept_for_a_person() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    spool.append(raw(0..3)).unwrap();
    drop(spool);
    let (name, mut bytes) = disk.files().pop_first().unwrap();
    // Another form, with a right checksum.
    bytes[20] = 9;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[8..48]);
    hasher.update(&1_u64.to_le_bytes());
    bytes[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    let disk = MemoryDisk::of_files(BTreeMap::from([(name.clone(), bytes)]));
    let mut spool = open(&disk, 1 << 20);
    assert_eq!(spool.stats().records, 1);
    spool.append(kept(1)).unwrap();
    assert_eq!(drain(&mut spool), (Vec::new(), vec![1]));
    assert_eq!(spool.stats().set_aside, 1);
    assert!(disk.files().contains_key(&format!("{name}.aside")));
    assert!(open(&disk, 1 << 20).is_empty());
}

#[test]
fn a_file_that_cannot_be_read_can_be_passed_over() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 20);
    spool.append(raw(0..3)).unwrap();
    spool.append(kept(1)).unwrap();
    disk.plan(Fault::Read);
    assert!(matches!(spool.next(1), Err(SpoolError::Disk(_))));
    assert!(spool.next(1).unwrap().is_some(), "it was tried again");
    spool.pass_over();
    assert_eq!(drain(&mut spool), (Vec::new(), vec![1]));
    assert_eq!((spool.stats().damaged, spool.stats().set_aside), (1, 1));
}

#[test]
fn things_too_long_for_one_record_become_several() {
    let disk = MemoryDisk::default();
    let mut spool = open(&disk, 1 << 30);
    let mut batch = Batch::default();
    for seq in 0..20 {
        let mut event = event(seq);
        event.event = crate::PublishedEvent::NoRate {
            why: "x".repeat(1 << 20).into(),
            withdraws: false,
            standing: None,
        };
        batch.published.push(event);
    }
    spool.append(batch).unwrap();
    assert!(spool.stats().records > 1);
    assert_eq!(drain(&mut spool).1, (0..20).collect::<Vec<_>>());
    // What is too long by itself cannot be kept, and holds nothing else up.
    let mut giant = kept(20);
    giant.published[0].event = crate::PublishedEvent::NoRate {
        why: "x".repeat(17 << 20).into(),
        withdraws: false,
        standing: None,
    };
    giant.published.push(event(21));
    spool.append(giant).unwrap();
    assert_eq!(spool.stats().refused, 1);
    assert_eq!(drain(&mut spool).1, [21]);
}

#[test]
fn one_process_at_a_time_uses_a_folder_and_nobody_else_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a").join("spool");
    let options = SpoolOptions::default();
    let mut spool = Spool::open(&path, options).unwrap();
    spool.append(raw(0..3)).unwrap();
    assert_eq!(Spool::open(&path, options).unwrap_err(), SpoolError::Taken);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for file in std::fs::read_dir(&path).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }
    drop(spool);
    let mut spool = Spool::open(&path, options).unwrap();
    let waiting = spool.next(1).unwrap().unwrap();
    assert_eq!(waiting.batch, raw(0..3));
    spool.done(waiting.through);
    drop(spool);
    let mut spool = Spool::open(&path, options).unwrap();
    assert!(spool.is_empty());
    spool.append(raw(3..6)).unwrap();
    assert_eq!(drain(&mut spool).0, [3, 4, 5]);
    let names: BTreeSet<String> = Folder::take(&path)
        .map_err(|error| assert_eq!(error, SpoolError::Taken))
        .map(|folder| folder.list().unwrap().into_iter().map(|(name, _)| name))
        .map(Iterator::collect)
        .unwrap_or_default();
    assert!(names.is_empty(), "still taken");
}
