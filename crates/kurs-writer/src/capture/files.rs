//! Names of capture files, and which there are.

use kurs_core::Wall;
use std::io;
use std::path::{Path, PathBuf};

/// How our own files begin.
const PREFIX: &str = "kurs-";
/// How our own files end.
const SUFFIX: &str = ".jsonl.zst";
/// What a replay can read.
const READABLE: [&str; 3] = [".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// `kurs-20261121T231300Z-0001.jsonl.zst`: names in order of start and part.
#[must_use]
pub fn name(started: Wall, part: u32) -> String {
    let seconds: String = started
        .to_string()
        .chars()
        .take(19)
        .filter(|letter| !matches!(letter, '-' | ':'))
        .collect();
    format!("{PREFIX}{seconds}Z-{part:04}{SUFFIX}")
}

/// True for the name of a file that a recorder wrote; no other file is ever deleted.
fn is_ours(name: &str) -> bool {
    let Some(middle) = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
    else {
        return false;
    };
    let Some((time, part)) = middle.split_once('-') else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = time.len() == 16
        && time.strip_suffix('Z').is_some_and(|time| {
            time.split_once('T')
                .is_some_and(|(day, hour)| digits(day) && digits(hour))
        });
    is_time && part.len() >= 4 && digits(part)
}

fn names(folder: &Path, accepts: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let accepted = entry.file_name().to_str().is_some_and(&accepts);
        if accepted && entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The captures of a folder, in the order of their names, which is the order of their times.
///
/// # Errors
/// When the folder cannot be read.
pub fn readable(folder: &Path) -> io::Result<Vec<PathBuf>> {
    names(folder, |name| {
        READABLE.iter().any(|ending| name.ends_with(ending))
    })
}

/// Deletes the oldest of our files beyond the newest `keep`; gives how many went.
///
/// # Errors
/// When the folder cannot be read or a file cannot be deleted.
pub fn prune(folder: &Path, keep: usize) -> io::Result<usize> {
    let ours = names(folder, is_ours)?;
    let beyond = ours.len().saturating_sub(keep);
    for path in ours.iter().take(beyond) {
        std::fs::remove_file(path)?;
    }
    Ok(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_only_ours_are_deleted() {
        let started = Wall::from_unix_seconds(1_795_302_780);
        assert_eq!(name(started, 1), "kurs-20261121T231300Z-0001.jsonl.zst");
        let folder = tempfile::tempdir().unwrap();
        let theirs = [
            "notes.txt",
            "kurs-mine.jsonl.zst",
            "a.jsonl",
            "kurs-20261121T231300Z-0001.jsonl.zst.bak",
        ];
        let ours = [1, 2, 3].map(|part| name(started, part));
        for file in theirs
            .iter()
            .copied()
            .chain(ours.iter().map(String::as_str))
        {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        assert_eq!(readable(folder.path()).unwrap().len(), 5);
        assert_eq!(prune(folder.path(), 2).unwrap(), 1);
        for file in theirs.iter().copied().chain([&*ours[1], &*ours[2]]) {
            assert!(folder.path().join(file).exists(), "{file}");
        }
        assert!(!folder.path().join(&ours[0]).exists());
    }
}
