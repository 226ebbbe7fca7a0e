//! The files of a replay, read one after the other.

use super::super::progress::Progress;
use crate::exit::{Exit, Failure};
use crate::output::{Output, clean};
use kurs_core::{Pair, Wall};
use kurs_writer::capture::files::readable;
use kurs_writer::capture::line::{Direction, FORMAT, Line};
use kurs_writer::capture::read::{End, Lines, Next};
use kurs_writer::capture::replay::{Audience, Fed, Replay, Tally};
use kurs_writer::capture::words::{Words, newer_format};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Lines between two looks at the progress.
const SHOW_EVERY: u64 = 4_096;
/// Lines in which a head may stand.
const HEAD_WITHIN: u32 = 100;

/// The files.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    bytes: u64,
}

/// What the first file says of itself.
#[derive(Debug, Default)]
pub(super) struct CaptureHead {
    /// Whether the venues were simulated.
    pub(super) simulated: bool,
    /// Sources that were on; empty where the capture does not say.
    pub(super) sources: Vec<String>,
    /// Pairs that were always priced; empty where the capture does not say.
    pub(super) directions: Vec<Pair>,
    /// Wall time of the first line.
    pub(super) began_at: Wall,
}

impl Files {
    /// The files that were named, and those of folders that were named.
    pub(super) fn find(named: &[PathBuf]) -> Result<Self, Failure> {
        let failed = |path: &Path, why: String| {
            Failure::new(Exit::NotFound, format!("{}: {why}", path.display()))
        };
        let mut paths = Vec::new();
        for path in named {
            let facts = std::fs::metadata(path).map_err(|error| failed(path, error.to_string()))?;
            if facts.is_file() {
                paths.push(path.clone());
                continue;
            }
            if !facts.is_dir() {
                // Read twice and to its end, which a pipe or a device does not allow.
                let why = "this is no file; a replay reads files and folders".to_owned();
                let message = format!("{}: {why}", path.display());
                return Err(Failure::new(Exit::Usage, message));
            }
            let found = readable(path).map_err(|error| failed(path, error.to_string()))?;
            if found.is_empty() {
                let why = "no captures (.jsonl, .jsonl.gz, .jsonl.zst) in this folder".to_owned();
                return Err(failed(path, why));
            }
            paths.extend(found);
        }
        let length = |path: &PathBuf| std::fs::metadata(path).map_or(0, |facts| facts.len());
        let bytes = paths.iter().map(length).sum();
        Ok(Self { paths, bytes })
    }

    /// What the first file says of itself.
    pub(super) fn head(&self) -> Result<CaptureHead, Failure> {
        let mut head = CaptureHead::default();
        let Some(path) = self.paths.first() else {
            return Ok(head);
        };
        let mut lines = open(path, &Arc::default())?;
        for _ in 0..HEAD_WITHIN {
            let bytes = match lines.next_line() {
                Next::Line(bytes) => bytes,
                Next::TooLong => continue,
                Next::End(_) => return Ok(head),
            };
            let Ok(line) = Line::parse(bytes) else {
                continue;
            };
            let words = line
                .bytes
                .as_deref()
                .filter(|_| line.direction == Direction::Meta);
            if let Some(format) = words.and_then(newer_format) {
                return Err(newer(path, format));
            }
            if let Some(t_ns) = line.t_ns {
                head.began_at = Wall(t_ns.div_euclid(1_000).clamp(0, Wall::MAX.0));
            }
            if let Some(Ok(Words::Head {
                sources,
                directions,
                simulated,
                ..
            })) = words.map(serde_json::from_slice::<Words>)
            {
                head.simulated = simulated;
                head.sources = sources;
                head.directions = directions
                    .iter()
                    .filter_map(|name| Pair::parse(name).ok())
                    .collect();
            }
            return Ok(head);
        }
        Ok(head)
    }

    /// Feeds all lines of all files. False when a file could not be read to its end for any
    /// other reason than that it is cut, or the audience wanted no more.
    pub(super) fn feed(
        &mut self,
        replay: &mut Replay,
        audience: &mut dyn Audience,
        quiet: bool,
    ) -> Result<bool, Failure> {
        let mut progress = Progress::of_bytes(self.bytes, quiet);
        let read = Arc::new(AtomicU64::new(0));
        let mut seen = 0_u64;
        let mut whole = true;
        for path in &self.paths {
            let name = path.display().to_string();
            let mut lines = open(path, &read)?;
            loop {
                let fed = match lines.next_line() {
                    Next::Line(bytes) => replay.feed(bytes, audience),
                    Next::TooLong => Fed::Broken("it is too long".to_owned()),
                    Next::End(End::Whole) => break,
                    Next::End(End::Truncated) => {
                        replay.tally_mut().truncated.push(name.clone());
                        break;
                    }
                    Next::End(End::Damaged(why)) => {
                        let note = format!("{name}, after line {}: {why}", lines.number());
                        replay.tally_mut().damaged.push(note);
                        whole = false;
                        break;
                    }
                };
                match fed {
                    Fed::Taken => {}
                    Fed::Newer(format) => {
                        progress.end();
                        return Err(newer(path, format));
                    }
                    Fed::Broken(why) => replay.tally_mut().broken(&name, lines.number(), why),
                    Fed::Ended => {
                        progress.end();
                        return Ok(false);
                    }
                }
                seen += 1;
                if seen.is_multiple_of(SHOW_EVERY) {
                    let frames = replay.tally_mut().frames;
                    progress.set(lines.bytes_read(), format!("{frames} frames"));
                }
            }
        }
        progress.end();
        Ok(whole)
    }

    /// Says what was not as it should be.
    pub(super) fn complain(&self, tally: &Tally, output: Output) {
        let say = |text: String| output.say(&clean(&text));
        for broken in &tally.broken {
            say(format!("{}:{}: {}", broken.file, broken.line, broken.why));
        }
        let told = u64::try_from(tally.broken.len()).unwrap_or(0);
        if tally.broken_lines > told {
            let more = tally.broken_lines - told;
            say(format!("and {more} more broken {}", lines_in_words(more)));
        }
        for (source, lines) in &tally.unknown_sources {
            let count = format!("{lines} {}", lines_in_words(*lines));
            say(match source.as_str() {
                "?" => {
                    format!("{count} without the name of a source, left out: name it by --source")
                }
                source => format!("{count} of {source}, which is not on here, left out"),
            });
        }
        for file in &tally.truncated {
            say(format!(
                "{file} ends in the middle: its recorder was killed or still writes"
            ));
        }
        for file in &tally.damaged {
            say(format!("{file}: the rest is left out"));
        }
        if tally.lost > 0 {
            let frames = if tally.lost == 1 { "frame" } else { "frames" };
            say(format!(
                "{} {frames} missing: the recorder's disk was too slow",
                tally.lost
            ));
        }
    }
}

fn newer(path: &Path, format: u64) -> Failure {
    let message = format!(
        "{}: format {format} is of a newer kurs; this one reads {FORMAT}",
        path.display()
    );
    Failure::new(Exit::Failure, message)
}

const fn lines_in_words(count: u64) -> &'static str {
    if count == 1 { "line" } else { "lines" }
}

fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Lines, Failure> {
    Lines::open(path, read)
        .map_err(|error| Failure::new(Exit::NotFound, format!("{}: {error}", path.display())))
}
