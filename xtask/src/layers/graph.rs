//! The crates of the workspace and the edges between them, as `cargo metadata` tells them.

use std::collections::BTreeMap;
use std::fmt;

use cargo_metadata::{DependencyKind, Metadata};

/// Which section of `Cargo.toml` an edge comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Development,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Normal => "dependencies",
            Self::Build => "build-dependencies",
            Self::Development => "dev-dependencies",
        })
    }
}

/// One crate of the workspace uses another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: Kind,
}

/// The workspace as the layer check sees it.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Crate name to its folder name, for crates that live in `crates/`.
    pub(crate) crates: BTreeMap<String, Option<String>>,
    /// Declared edges between members, optional and target-specific ones included.
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    /// Reads the members and their declared dependencies on each other.
    pub(crate) fn read(metadata: &Metadata) -> Self {
        let members = metadata.workspace_packages();
        let mut graph = Self::default();
        for package in &members {
            let folder = package
                .manifest_path
                .strip_prefix(metadata.workspace_root.join("crates"))
                .ok()
                .and_then(|path| path.components().next())
                .map(|folder| folder.as_str().to_owned());
            graph.crates.insert(package.name.to_string(), folder);
        }
        for package in &members {
            // A registry crate may carry the name of a member; only a path leads to ours.
            let ours = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.path.is_some());
            for dependency in ours {
                let kind = match dependency.kind {
                    DependencyKind::Development => Kind::Development,
                    DependencyKind::Build => Kind::Build,
                    _ => Kind::Normal,
                };
                graph.edges.push(Edge {
                    from: package.name.to_string(),
                    to: dependency.name.clone(),
                    kind,
                });
            }
        }
        graph
    }
}
