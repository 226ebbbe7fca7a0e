//! Every promise in `docs/promises.md` names tests, and every named test exists.
//!
//! A row reads `| promise | from | tests |`; tests are named in back-ticks by the path that
//! `cargo test` prints after the crate: `kurs_core::price::tests::name`, or for a file in
//! `tests/`: `kurs::faults::name`.

mod index;

use anyhow::{Context as _, Result, bail};
use index::Index;

use crate::workspace::Workspace;
use crate::{console, tree};

const FILE: &str = "docs/promises.md";

/// One promise and the tests that hold it.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    promise: String,
    tests: Vec<String>,
}

/// The lane: fails for every promise without a living test.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join(FILE);
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {FILE}"))?;
    let rows = rows(&text);
    let mut index = Index::default();
    for file in tree::files(&workspace.root)? {
        if file.extension().is_some_and(|extension| extension == "rs")
            && let Some(source) = tree::text(&workspace.root, &file)?
        {
            index.add(&workspace.metadata, &file, &source);
        }
    }
    let mistakes = check(&rows, &index);
    for mistake in &mistakes {
        console::problem(&format!("{FILE}:{mistake}"));
    }
    if !mistakes.is_empty() {
        bail!("{} promises are not held by a test", mistakes.len());
    }
    let tests: usize = rows.iter().map(|row| row.tests.len()).sum();
    console::line(&format!("{} promises, held by {tests} tests", rows.len()));
    Ok(())
}

/// The rows of all tables in the text; heads and rulers left out.
fn rows(text: &str) -> Vec<Row> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_ruler =
        |line: &str| line.starts_with('|') && line.chars().all(|letter| "|-: ".contains(letter));
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_head = lines.get(index + 1).is_some_and(|next| is_ruler(next));
        if !line.starts_with('|') || is_head || is_ruler(line) {
            continue;
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // Every second piece between back-ticks is inside them.
        let tests = cells
            .last()
            .unwrap_or(&"")
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let promise = cells.first().copied().unwrap_or_default().to_owned();
        rows.push(Row {
            line: index + 1,
            promise,
            tests,
        });
    }
    rows
}

fn check(rows: &[Row], index: &Index) -> Vec<String> {
    let mut mistakes = Vec::new();
    if rows.is_empty() {
        mistakes.push("1: no table of promises".to_owned());
    }
    for (position, row) in rows.iter().enumerate() {
        let mut report = |what: String| mistakes.push(format!("{}: {what}", row.line));
        if row.promise.is_empty() {
            report("a row without a promise".to_owned());
        }
        if rows[..position]
            .iter()
            .any(|earlier| earlier.promise == row.promise)
        {
            report(format!("promised twice: {}", row.promise));
        }
        if row.tests.is_empty() {
            report(format!("no test is named for: {}", row.promise));
        }
        for test in row.tests.iter().filter(|test| !index.holds(test)) {
            let elsewhere = index.same_name(test);
            let hint = if elsewhere.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", elsewhere.join(" or "))
            };
            report(format!("no such test: {test}{hint}"));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# Promises\n\n| Promise | From | Tests |\n|---|:--|---|\n| one holds | spec 1 | `a::x::one`, `a::two` |\n\ntext\n";

    fn index(names: &[&str]) -> Index {
        let mut index = Index::default();
        names.iter().for_each(|name| index.insert(name));
        index
    }

    #[test]
    fn rows_are_read_without_head_and_ruler() {
        let tests = vec!["a::x::one".to_owned(), "a::two".to_owned()];
        assert_eq!(
            rows(TABLE),
            [Row {
                line: 5,
                promise: "one holds".into(),
                tests
            }]
        );
    }

    #[test]
    fn a_promise_with_living_tests_passes() {
        assert!(check(&rows(TABLE), &index(&["a::x::one", "a::two"])).is_empty());
    }

    #[test]
    fn a_test_that_is_gone_is_named_with_its_line_and_its_new_place() {
        let mistakes = check(&rows(TABLE), &index(&["a::y::one", "a::two"]));
        assert_eq!(
            mistakes,
            ["5: no such test: a::x::one; did you mean a::y::one?"]
        );
    }

    #[test]
    fn empty_tables_empty_rows_and_doubles_fail() {
        let none = index(&["a::one"]);
        assert_eq!(check(&rows("no table"), &none), ["1: no table of promises"]);
        assert_eq!(
            check(&rows("| one | spec | - |"), &none),
            ["1: no test is named for: one"]
        );
        let twice = "| one | spec | `a::one` |\n| one | spec | `a::one` |";
        assert_eq!(check(&rows(twice), &none), ["2: promised twice: one"]);
    }
}
