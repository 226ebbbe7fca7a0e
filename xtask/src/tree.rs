//! The files of the repository: what git tracks plus what it would track.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Program;

/// Folders never entered when there is no git to ask.
const SKIPPED: [&str; 3] = [".git", "node_modules", "target"];

/// Every file of the repository, relative to its root, sorted. Falls back to walking
/// the folders where there is no git (a source archive).
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let listing = Program::new("git", root)
        .arguments(&[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output();
    let mut files = match listing {
        Ok(text) => text
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect(),
        Err(_) => walk(root)?,
    };
    // A deleted file stays in git's index until the next commit.
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file, or `None` when it is not UTF-8 (pictures, archives, foreign encodings).
pub(crate) fn text(root: &Path, file: &Path) -> Result<Option<String>> {
    let bytes =
        fs::read(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(String::from_utf8(bytes).ok())
}

fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root)?.to_path_buf());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn this_file_is_found_with_and_without_git() {
        let root = Workspace::load().unwrap().root;
        let this = PathBuf::from("xtask/src/tree.rs");
        assert!(files(&root).unwrap().contains(&this));
        assert!(walk(&root).unwrap().contains(&this));
    }

    #[test]
    fn build_output_is_no_part_of_the_tree() {
        let root = Workspace::load().unwrap().root;
        assert!(
            walk(&root)
                .unwrap()
                .iter()
                .all(|path| !path.starts_with("target"))
        );
    }
}
