//! The LLVM tools that read the counters: of the same major version as the compiler's LLVM.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::console;
use crate::process::Program;
use crate::provision::install_packages;
use crate::workspace::Workspace;

/// Paths of the two tools.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) cov: PathBuf,
    pub(crate) profdata: PathBuf,
}

/// Takes the tools of the toolchain where they are, else Debian's, installed when missing.
pub(crate) fn find(workspace: &Workspace) -> Result<Tools> {
    let rustc = |arguments: &[&str]| {
        Program::new("rustc", &workspace.root)
            .arguments(arguments)
            .output()
    };
    let version = rustc(&["-vV"])?;
    let host = field(&version, "host").ok_or_else(|| anyhow!("rustc does not tell its host"))?;
    let sysroot = rustc(&["--print", "sysroot"])?;
    let component = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin");
    if let Some(tools) = inside(&component) {
        console::line("LLVM tools of the toolchain found");
        return Ok(tools);
    }
    let llvm = field(&version, "LLVM version").and_then(|version| version.split('.').next());
    let package = format!(
        "llvm-{}",
        llvm.ok_or_else(|| anyhow!("rustc does not tell its LLVM version"))?
    );
    let folder = Path::new("/usr/lib").join(&package).join("bin");
    if inside(&folder).is_none() {
        console::line(&format!("LLVM tools are missing: installing {package}"));
        install_packages(&workspace.root, &[&package])
            .context("`rustup component add llvm-tools` brings the same tools")?;
    }
    match inside(&folder) {
        Some(tools) => {
            console::line(&format!("LLVM tools of package {package} found"));
            Ok(tools)
        }
        None => bail!("package {package} brought no llvm-cov and llvm-profdata"),
    }
}

fn inside(folder: &Path) -> Option<Tools> {
    let tools = Tools {
        cov: folder.join("llvm-cov"),
        profdata: folder.join("llvm-profdata"),
    };
    (tools.cov.is_file() && tools.profdata.is_file()).then_some(tools)
}

/// The value of one `name: value` line of `rustc -vV`.
fn field<'text>(version: &'text str, name: &str) -> Option<&'text str> {
    version
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_tells_its_host_and_its_llvm() {
        let version =
            "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        assert_eq!(field(version, "host"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(version, "LLVM version"), Some("22.1.2"));
        assert_eq!(field(version, "none"), None);
    }

    #[test]
    fn a_folder_without_both_tools_is_not_taken() {
        assert!(inside(Path::new(".")).is_none());
    }
}
