//! All tests of the workspace by their path.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::Metadata;

use crate::test_code::test_names;

/// Paths such as `kurs_core::price::name`; the segment `tests` is left out, since a test
/// module may move between the end of its file and a file of its own.
#[derive(Debug, Default)]
pub(super) struct Index {
    paths: BTreeSet<String>,
}

impl Index {
    /// Adds the tests of one source file, named relative to the root of the workspace.
    pub(super) fn add(&mut self, metadata: &Metadata, file: &Path, source: &str) {
        let Some(module) = module_path(metadata, file) else {
            return;
        };
        for name in test_names(source) {
            self.insert(&format!("{module}::{name}"));
        }
    }

    pub(super) fn insert(&mut self, path: &str) {
        self.paths.insert(normal(path));
    }

    pub(super) fn holds(&self, path: &str) -> bool {
        self.paths.contains(&normal(path))
    }

    /// Tests of the same name at other paths.
    pub(super) fn same_name(&self, path: &str) -> Vec<&str> {
        let Some(name) = path.rsplit("::").next() else {
            return Vec::new();
        };
        let ending = format!("::{name}");
        self.paths
            .iter()
            .filter(|known| known.ends_with(&ending))
            .map(String::as_str)
            .collect()
    }
}

fn normal(path: &str) -> String {
    path.split("::")
        .filter(|segment| *segment != "tests")
        .collect::<Vec<_>>()
        .join("::")
}

/// `crates/kurs-core/src/price.rs` is `kurs_core::price`; a file of `tests/` counts as a module.
fn module_path(metadata: &Metadata, file: &Path) -> Option<String> {
    let absolute = metadata.workspace_root.as_std_path().join(file);
    let packages = metadata.workspace_packages();
    let package = packages.iter().find(|package| {
        package
            .manifest_path
            .parent()
            .is_some_and(|folder| absolute.starts_with(folder.as_std_path()))
    })?;
    let inside = absolute
        .strip_prefix(package.manifest_path.parent()?.as_std_path())
        .ok()?
        .with_extension("");
    let mut segments = vec![package.name.replace('-', "_")];
    for part in inside.components().skip(1) {
        let part = part.as_os_str().to_str()?;
        if !["lib", "main", "mod"].contains(&part) {
            segments.push(part.to_owned());
        }
    }
    Some(segments.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn files_become_module_paths() {
        let metadata = Workspace::load().unwrap().metadata;
        let check = |file: &str, expect: Option<&str>| {
            assert_eq!(
                module_path(&metadata, Path::new(file)).as_deref(),
                expect,
                "{file}"
            );
        };
        check("crates/kurs-core/src/price.rs", Some("kurs_core::price"));
        check("crates/kurs-core/src/lib.rs", Some("kurs_core"));
        check(
            "crates/kurs-sources/src/binance/sync.rs",
            Some("kurs_sources::binance::sync"),
        );
        check("crates/kurs/tests/faults.rs", Some("kurs::faults"));
        check("benches/src/main.rs", Some("kurs_bench"));
        check("docs/sample.rs", None);
    }

    #[test]
    fn the_test_module_itself_is_no_part_of_the_path() {
        let mut index = Index::default();
        index.insert("a::x::tests::one");
        assert!(index.holds("a::x::one") && index.holds("a::x::tests::one"));
        assert!(!index.holds("a::one"));
    }
}
