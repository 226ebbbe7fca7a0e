//! Generated files in the repository, beside those just made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::console;

/// Made by tools in the folder of a client; no part of what is published.
const UNPUBLISHED: [&str; 5] = ["node_modules", "build", "dist", "__pycache__", "obj"];

/// A folder of generated files alone.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) made: PathBuf,
    pub(super) published: PathBuf,
    /// As it is called in the repository.
    pub(super) name: String,
}

impl Folder {
    /// One sentence for each file that is missing, superfluous or not the same byte for byte.
    pub(super) fn differences(&self) -> Result<Vec<String>> {
        let made = files(&self.made)?;
        let published = files(&self.published)?;
        let mut sentences = Vec::new();
        for file in made.union(&published) {
            let shown = format!("{}/{}", self.name, file.display());
            if !published.contains(file) {
                sentences.push(format!("{shown} is missing"));
            } else if !made.contains(file) {
                sentences.push(format!("{shown} is not generated any more"));
            } else if fs::read(self.made.join(file))? != fs::read(self.published.join(file))? {
                sentences.push(format!("{shown} differs"));
            }
        }
        if sentences.is_empty() {
            console::line(&format!(
                "{}: {} generated files are what is published",
                self.name,
                made.len()
            ));
        }
        Ok(sentences)
    }

    /// Replaces what is published.
    pub(super) fn publish(&self) -> Result<()> {
        let different = self.differences()?.len();
        if different == 0 {
            return Ok(());
        }
        if self.published.exists() {
            fs::remove_dir_all(&self.published)?;
        }
        copy(&self.made, &self.published)?;
        console::line(&format!("{}: {different} files written", self.name));
        Ok(())
    }
}

/// Makes `to` hold the files of `from`. What tools had made in `to` stays; other files go.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let wanted = files(from)?;
    for file in files(to)?.difference(&wanted) {
        fs::remove_file(to.join(file))?;
    }
    for file in &wanted {
        let target = to.join(file);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from.join(file), &target)
            .with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}

/// All files below the folder, relative to it; none when it is not there.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        if !current.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&current)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !UNPUBLISHED.iter().any(|name| entry.file_name() == *name) {
                    folders.push(path);
                }
            } else {
                found.insert(path.strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = format!("kurs-xtask-published-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(folder))
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn folder(&self) -> Folder {
            Folder {
                made: self.0.join("made"),
                published: self.0.join("published"),
                name: "published".to_owned(),
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn missing_superfluous_and_changed_files_are_differences_until_published() {
        let scratch = Scratch::new("differences");
        scratch.write("made/same", "same");
        scratch.write("made/changed", "new");
        scratch.write("made/deep/missing", "");
        scratch.write("published/same", "same");
        scratch.write("published/changed", "old");
        scratch.write("published/left", "");
        let folder = scratch.folder();
        let sentences = folder.differences().unwrap().join("\n");
        assert_eq!(sentences.lines().count(), 3, "{sentences}");
        for part in [
            "changed differs",
            "missing is missing",
            "left is not generated",
        ] {
            assert!(sentences.contains(part), "{sentences}");
        }
        folder.publish().unwrap();
        assert_eq!(folder.differences().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_copy_has_no_file_that_is_gone_and_keeps_what_tools_made() {
        let scratch = Scratch::new("copy");
        scratch.write("made/new", "");
        scratch.write("published/gone", "");
        scratch.write("published/node_modules/kept", "");
        let folder = scratch.folder();
        copy(&folder.made, &folder.published).unwrap();
        assert!(folder.published.join("new").is_file());
        assert!(!folder.published.join("gone").exists());
        assert!(folder.published.join("node_modules/kept").is_file());
    }
}
