//! cargo-deny: licences, banned crates, sources, and advisories where their database can be had.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::console;
use crate::process::{Ended, Program, cargo};
use crate::provision::ensure_cargo_tool;
use crate::workspace::Workspace;

/// The version built on a machine that has none.
const VERSION: &str = "0.20.2";
/// How long the advisory database may take to arrive.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);

/// The lane: `deny.toml` against the locked tree.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    ensure_cargo_tool(&workspace.root, "deny", VERSION)?;
    deny(
        workspace,
        &[
            "--locked",
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ],
    )
    .run()
    .context(
        "deny.toml tells why each rule is there; `cargo tree -i <crate>` shows who brings a crate",
    )?;
    match deny(workspace, &["fetch", "db"]).run_bounded(DATABASE_LIMIT)? {
        Ended::Well => deny(
            workspace,
            &["--locked", "check", "--disable-fetch", "advisories"],
        )
        .run(),
        Ended::Badly | Ended::TooLate => {
            // The database lives on a site that build machines may not reach; saying so is
            // honest, failing would make every build without internet red.
            console::notice("advisories not checked: database unreachable");
            Ok(())
        }
    }
}

fn deny(workspace: &Workspace, arguments: &[&str]) -> Program {
    cargo(&workspace.root)
        .arguments(&["deny"])
        .arguments(arguments)
}
