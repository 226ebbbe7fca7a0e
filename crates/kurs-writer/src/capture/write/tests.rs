use super::keeper::{OpenFile, encode};
use super::*;
use crate::capture::files;
use crate::capture::line::Line;
use crate::capture::read::{End, Lines, Next};
use kurs_core::{ManualClock, SystemClock};
use kurs_sources::Period;
use std::fs::OpenOptions;
use std::path::Path;

fn head() -> Head {
    Head {
        version: "0.0.0",
        sources: vec!["binance".to_owned()],
        pairs: vec!["BTC-USDT".to_owned()],
        directions: Vec::new(),
        simulated: false,
    }
}

fn config(dir: &Path, rotate_mb: u32, keep: usize) -> CaptureConfig {
    CaptureConfig {
        enabled: true,
        dir: dir.to_owned(),
        rotate_mb,
        rotate: Period::hours(1),
        keep,
    }
}

fn frame(number: u64, bytes: Vec<u8>) -> Record {
    Record {
        now: Now {
            mono: Mono(number),
            wall: Wall(7),
        },
        source: Some(SourceId::parse("binance").unwrap()),
        direction: Direction::Rx,
        connection: Some(1),
        url: None,
        status: None,
        head: None,
        bytes: Some(bytes.into()),
    }
}

/// All lines of all files of a folder, in order, with how the last file ended.
fn read(dir: &Path) -> (Vec<String>, End) {
    let mut seen = Vec::new();
    let mut last = End::Whole;
    for path in files::readable(dir).unwrap() {
        let mut lines = Lines::open(&path, &Arc::default()).unwrap();
        loop {
            match lines.next_line() {
                Next::Line(line) => seen.push(String::from_utf8(line.to_vec()).unwrap()),
                Next::TooLong => panic!("a line is too long"),
                Next::End(end) => {
                    last = end;
                    break;
                }
            }
        }
    }
    (seen, last)
}

#[test]
fn what_is_recorded_is_read_back_in_order_with_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start(
        config(folder.path(), 100, 0),
        head(),
        Arc::new(SystemClock::new()),
    )
    .unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let frames: Vec<Vec<u8>> = (0..5_000)
        .map(|number| match number % 3 {
            0 => format!(r#"{{"u":{number},"b":"1.10"}}"#).into_bytes(),
            1 => (0..random.usize(0..80)).map(|_| random.u8(..)).collect(),
            _ => format!("{{\"u\":{number}}}\r\n").into_bytes(),
        })
        .collect();
    for (number, bytes) in (0_u64..).zip(&frames) {
        assert!(capture.put(frame(number, bytes.clone())));
    }
    let written = capture.finish();
    assert_eq!(
        (written.frames, written.lost, written.failed),
        (5_000, 0, None)
    );
    let (lines, end) = read(folder.path());
    assert_eq!((lines.len(), end), (5_001, End::Whole));
    assert!(lines[0].contains(r#""what":"head""#), "{}", lines[0]);
    for (number, (line, bytes)) in (0_u64..).zip(lines[1..].iter().zip(&frames)) {
        let line = Line::parse(line.as_bytes()).unwrap();
        assert_eq!(line.mono_ns, Some(number));
        assert_eq!(line.bytes.as_deref(), Some(&bytes[..]));
    }
}

#[test]
fn a_long_or_old_file_is_followed_by_the_next_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    // Every piece is longer than nothing: a file for each.
    let capture = Capture::start(
        config(folder.path(), 0, 2),
        head(),
        Arc::new(SystemClock::new()),
    )
    .unwrap();
    let mut random = fastrand::Rng::with_seed(6);
    for number in 0..5 {
        let noise = (0..FLUSH_BYTES).map(|_| random.u8(..)).collect();
        capture.put(frame(number, noise));
    }
    let written = capture.finish();
    assert!(written.files > 2, "{written:?}");
    assert_eq!(files::readable(folder.path()).unwrap().len(), 2);
    assert_eq!(written.deleted, written.files - 2);

    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Now::default()));
    let capture = Capture::start(config(folder.path(), 100, 0), head(), clock.clone()).unwrap();
    clock.advance(Duration::from_secs(3_601));
    capture.put(frame(1, b"{}".to_vec()));
    assert_eq!(capture.finish().files, 2);
}

#[test]
fn a_full_queue_loses_frames_and_the_file_says_how_many() {
    let folder = tempfile::tempdir().unwrap();
    let capture = Capture::start_with(
        config(folder.path(), 100, 0),
        head(),
        Arc::new(SystemClock::new()),
        Queue::bounded(10, 1_000),
    )
    .unwrap();
    let mut taken = 0;
    for number in 0..100_000 {
        taken += u64::from(capture.put(frame(number, b"{}".to_vec())));
    }
    let written = capture.finish();
    assert_eq!((written.frames, written.lost), (taken, 100_000 - taken));
    assert!(written.lost > 0, "the thread cannot be that fast");
    let told: u64 = read(folder.path())
        .0
        .iter()
        .filter_map(|line| line.split(r#""lost":"#).nth(1))
        .map(|rest| {
            rest.split([',', '}'])
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(told, written.lost);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Capture::start(
        config(&file.join("captures"), 1, 0),
        head(),
        Arc::new(SystemClock::new()),
    )
    .unwrap_err();
    assert!(error.to_string().contains("captures"), "{error}");
}

#[test]
fn a_full_disk_ends_the_capture_with_a_hint_and_nothing_waits_for_it() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut keeper = Keeper {
        started: Wall(0),
        config: config(folder.path(), 100, 0),
        head: head(),
        clock,
        written: Arc::default(),
        failed: watch::Sender::default(),
        compressor: compressor().unwrap(),
        file: Some(OpenFile {
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            path: "/dev/full".to_owned(),
            bytes: 0,
            since: Mono(0),
        }),
        part: 0,
        buffer: Vec::new(),
        buffer_since: None,
    };
    encode(&mut keeper.buffer, &frame(1, b"{}".to_vec()));
    let written = Arc::clone(&keeper.written);
    let failure = keeper.failed.subscribe();
    let queue = Queue::default();
    queue.push(frame(2, b"{}".to_vec()));
    queue.close();
    keeper.run(&queue);
    let failed = written.lock().failed.clone().unwrap();
    assert!(failed.why.starts_with("the disk is full"), "{failed}");
    assert_eq!(*failure.borrow(), Some(failed));
    assert!(!queue.push(frame(3, Vec::new())));
}
