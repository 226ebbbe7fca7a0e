//! Texts that must not be in the tree: paths of one machine, switched-off tests, unfinished code.

use std::path::Path;

use anyhow::{Result, bail};

use crate::test_code::{is_test_file, product_lines};
use crate::workspace::Workspace;
use crate::{console, tree};

/// Folders of a build machine or a person. Spelled without slashes, or this file would not pass.
const MACHINE_FOLDERS: [&str; 4] = ["work", "root", "home", "tmp"];
/// The one machine folder that tests may name.
const SCRATCH_FOLDER: &str = "tmp";
/// Macros that stand for code not written yet, without their `!`.
const UNFINISHED: [&str; 2] = ["todo", "unimplemented"];

/// One forbidden text.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    line: usize,
    what: String,
}

/// The lane: every text file of the repository.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut texts = 0_usize;
    let mut findings = 0_usize;
    for file in tree::files(&workspace.root)? {
        if is_foreign(&file) {
            continue;
        }
        let Some(text) = tree::text(&workspace.root, &file)? else {
            continue;
        };
        texts += 1;
        for finding in check(&file, &text) {
            findings += 1;
            console::problem(&format!(
                "{}:{}: {}",
                file.display(),
                finding.line,
                finding.what
            ));
        }
    }
    if findings > 0 {
        bail!("{findings} forbidden texts");
    }
    console::line(&format!("{texts} texts, nothing forbidden"));
    Ok(())
}

/// Written by others: recorded answers of sources, and what cargo writes.
fn is_foreign(file: &Path) -> bool {
    file == Path::new("Cargo.lock") || file.components().any(|part| part.as_os_str() == "fixtures")
}

fn check(file: &Path, text: &str) -> Vec<Finding> {
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    let product = match (is_rust, is_test_file(file)) {
        (_, true) => 0,
        (true, false) => product_lines(text),
        (false, false) => usize::MAX,
    };
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut report = |what: String| {
            findings.push(Finding {
                line: index + 1,
                what,
            })
        };
        for folder in MACHINE_FOLDERS {
            let allowed = folder == SCRATCH_FOLDER && index >= product;
            if !allowed && names_machine_folder(line, folder) {
                report(format!("a path of one machine: /{folder}/"));
            }
        }
        if is_rust {
            if line.trim_start().starts_with("#[") && line.contains(concat!("#[", "ignore")) {
                report("a switched-off test: repair it or remove it".to_owned());
            }
            for name in UNFINISHED {
                if calls_macro(line, name) {
                    report(format!("unfinished code: {name}!"));
                }
            }
        }
    }
    findings
}

/// An absolute path into the folder: `/x/` inside a longer path or address is not one.
fn names_machine_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        before.is_none_or(|letter| !(letter.is_alphanumeric() || "._-~}/*$".contains(letter)))
    })
}

fn calls_macro(line: &str, name: &str) -> bool {
    let call = format!("{name}!");
    line.match_indices(&call).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + call.len()..].chars().next();
        let is_call = after.is_some_and(|letter| "([{".contains(letter));
        is_call
            && before.is_none_or(|letter| !(letter.is_alphanumeric() || "_`\"".contains(letter)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(file: &str, text: &str, lines: &[usize]) {
        let found: Vec<usize> = check(Path::new(file), text)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(found, lines, "{text}");
    }

    /// `@` stands for the slash, so that this file itself passes.
    fn path(text: &str) -> String {
        text.replace('@', "/")
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        check_text("README.md", &path("see\n`@work@main@x`"), &[2]);
        check_text("a.toml", &path("path = \"@root@.cargo\""), &[1]);
        check_text("a.sh", &path("@home@somebody@bin"), &[1]);
    }

    #[test]
    fn the_same_word_inside_a_longer_path_is_fine() {
        check_text(
            "README.md",
            &path("https://example.org@work@ and var@tmp@ and {base}@root@x"),
            &[],
        );
    }

    #[test]
    fn only_tests_may_name_the_scratch_folder() {
        let line = path("let path = \"@tmp@x\";");
        check_text("crates/a/src/lib.rs", &line, &[1]);
        check_text("crates/a/tests/whole.rs", &line, &[]);
        check_text(
            "crates/a/src/lib.rs",
            &format!("fn one() {{}}\n#[cfg(test)]\nmod tests {{\n{line}\n}}"),
            &[],
        );
        check_text("crates/a/tests/whole.rs", &path("\"@work@x\""), &[1]);
    }

    #[test]
    fn switched_off_tests_are_found_everywhere() {
        check_text(
            "crates/a/tests/whole.rs",
            &format!("#[test]\n#[{} = \"slow\"]", "ignore"),
            &[2],
        );
    }

    #[test]
    fn unfinished_code_is_found_and_talk_about_it_is_not() {
        check_text(
            "crates/a/src/lib.rs",
            &format!("fn one() {{ {}!() }}", "todo"),
            &[1],
        );
        check_text(
            "crates/a/src/lib.rs",
            &format!("    {}!(\"later\");", "unimplemented"),
            &[1],
        );
        check_text(
            "crates/a/src/lib.rs",
            &format!("// no `{}!` here", "todo"),
            &[],
        );
        check_text("docs/a.md", &format!("{}!()", "todo"), &[]);
    }
}
