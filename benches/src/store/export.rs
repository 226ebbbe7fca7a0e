//! `kurs export` of ten million rows: how long, how large, and how much memory.

use super::archive::Archive;
use super::ticks::Market;
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::process;
use crate::section::{Goal, Section, Table};
use anyhow::{Context as _, Result, ensure};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

const FORMATS: [&str; 3] = ["ndjson", "csv", "parquet"];
/// Resident at most, MB.
const MEMORY_GOAL_MB: f64 = 100.0;
/// An export that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(900);
/// How often its memory is looked at; the greatest is kept by the kernel.
const LOOK_EVERY: Duration = Duration::from_millis(5);

struct Done {
    taken: Duration,
    peak_mb: f64,
    bytes: f64,
}

pub(super) fn measure(section: &mut Section, options: &Options, archive: &Archive) -> Result<()> {
    let folder = archive.file.parent().context("a folder")?;
    let mut rows = Vec::new();
    for format in FORMATS {
        let done = export(options, archive, folder, format)?;
        console::line(&format!("export: {format} in {:?}", done.taken));
        section.number(
            format!("export as {format}: greatest resident memory"),
            "MB",
            done.peak_mb,
            Some(Goal::AtMost(MEMORY_GOAL_MB)),
        );
        rows.push(vec![
            format.to_owned(),
            format!("{:.1}", done.taken.as_secs_f64()),
            number(archive.rows as f64 / done.taken.as_secs_f64()),
            format!("{:.1}", done.bytes / 1e6),
            format!("{:.1}", done.bytes / archive.rows as f64),
            format!("{:.1}", done.peak_mb),
        ]);
    }
    section.method(format!(
        "Export: `kurs export --what received` of all {} rows of that file into a file of each format; memory is \
         `VmHWM` of the process.",
        number(archive.rows as f64)
    ));
    section.tables.push(Table {
        caption: "Export of the whole history".to_owned(),
        header: ["format", "s", "rows/s", "MB", "bytes per row", "peak MB"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    Ok(())
}

fn export(options: &Options, archive: &Archive, folder: &Path, format: &str) -> Result<Done> {
    let (to, log) = (folder.join(format!("export.{format}")), folder.join("log"));
    let mut command = process::command(None, options.kurs_binary()?);
    command
        .arg("export")
        .args(Market::pairs())
        .args(["--what", "received", "--format", format, "--quiet"])
        .args(["--start", &archive.begin.to_string()])
        .args(["--store-url", &format!("sqlite:{}", archive.file.display())])
        .arg("--output")
        .arg(&to)
        .current_dir(folder)
        .stderr(File::create(&log).context("cannot write the log")?);
    let begin = Instant::now();
    let mut child = command.spawn().context("cannot start kurs export")?;
    let mut peak_kb: f64 = 0.0;
    let status = loop {
        // Between its end and the next look there is nothing to read any more.
        if let Ok(now_kb) = process::kilobytes(child.id(), "VmHWM") {
            peak_kb = peak_kb.max(now_kb);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > LIMIT {
            child.kill()?;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let taken = begin.elapsed();
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    ensure!(status.success(), "kurs export: {status}: {}", said.trim());
    let bytes = super::archive::bytes_of(&to)?;
    if format != "parquet" {
        let heading = u64::from(format == "csv");
        let lines = lines_of(&to)? - heading;
        ensure!(lines == archive.rows, "{format}: {lines} rows");
    }
    std::fs::remove_file(&to).with_context(|| format!("cannot remove {}", to.display()))?;
    Ok(Done {
        taken,
        peak_mb: peak_kb / 1_024.0,
        bytes,
    })
}

fn lines_of(file: &Path) -> Result<u64> {
    use std::io::Read as _;
    let mut file = File::open(file).context("cannot read the export")?;
    let mut chunk = vec![0; 1 << 20];
    let mut lines = 0;
    loop {
        let count = file.read(&mut chunk)?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(lines);
        };
        lines += u64::try_from(read.iter().filter(|byte| **byte == b'\n').count())?;
    }
}
