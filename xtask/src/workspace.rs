//! Where the repository and its build output are.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The repository this program works on.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds; honours `CARGO_TARGET_DIR`.
    pub(crate) target: PathBuf,
    /// Members and their declared dependencies, without the crates of the registry.
    pub(crate) metadata: Metadata,
}

impl Workspace {
    /// Reads the workspace this program is run in. Needs no network.
    ///
    /// The folder is asked for at run time: two clones that share a target folder share
    /// this program too, and each must find itself.
    pub(crate) fn load() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let folder = match package {
            Some(folder) => folder,
            None => env::current_dir().context("the current folder is gone")?,
        };
        let metadata = MetadataCommand::new()
            .current_dir(&folder)
            .no_deps()
            .exec()
            .context(
                "cargo metadata failed; is this the repository, and is no Cargo.toml broken?",
            )?;
        Ok(Self {
            root: metadata.workspace_root.clone().into_std_path_buf(),
            target: metadata.target_directory.clone().into_std_path_buf(),
            metadata,
        })
    }
}
