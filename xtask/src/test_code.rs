//! Tells test code from product code, and finds the tests in a source text.

use std::path::Path;

/// Whether the whole file is test code: in a `tests` folder, or a test module of its own.
pub(crate) fn is_test_file(file: &Path) -> bool {
    let in_folder = file.components().any(|part| part.as_os_str() == "tests");
    let stem = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    in_folder || stem == "tests" || stem.ends_with("_test") || stem.ends_with("_tests")
}

/// The number of lines before the test module. Unit tests end the file by convention, so
/// everything from the first `#[cfg(test)]` on a module is test code.
pub(crate) fn product_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_module = |line: &str| line.starts_with("mod ") || line.starts_with("pub(crate) mod ");
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && is_module(pair[1]))
        .unwrap_or(lines.len())
}

/// The names of the functions that carry a test attribute, in order.
pub(crate) fn test_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if is_test_attribute(line) {
            marked = true;
        } else if let Some(name) = function_name(line) {
            if marked {
                names.push(name);
            }
            marked = false;
        }
    }
    names
}

/// `#[test]`, `#[tokio::test]`, `#[tokio::test(flavor = "..")]`, also opened over several lines.
fn is_test_attribute(line: &str) -> bool {
    let Some(inside) = line.strip_prefix("#[") else {
        return false;
    };
    let path = inside.split([']', '(']).next().unwrap_or_default();
    path == "test" || path.ends_with("::test")
}

fn function_name(line: &str) -> Option<&str> {
    let words = line
        .strip_prefix("pub(crate) ")
        .or_else(|| line.strip_prefix("pub "))
        .unwrap_or(line);
    let words = words.strip_prefix("async ").unwrap_or(words);
    let name = words.strip_prefix("fn ")?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    Some(&name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_every_kind_are_found_and_helpers_are_not() {
        let text = "
            fn helper() {}
            #[test]
            #[should_panic]
            fn plain() {}
            #[tokio::test(
                start_paused = true,
            )]
            // why
            async fn with_runtime() { fn inner() {} }
            #[testing_ground]
            fn no_test() {}
            proptest! {
                #[test]
                fn in_a_macro(value in 0..9) {}
            }";
        assert_eq!(test_names(text), ["plain", "with_runtime", "in_a_macro"]);
    }

    #[test]
    fn product_code_ends_where_the_test_module_begins() {
        assert_eq!(
            product_lines("fn one() {}\n#[cfg(test)]\nmod tests {\n}"),
            1
        );
        assert_eq!(product_lines("#[cfg(test)]\nuse x;\nfn one() {}"), 3);
        assert_eq!(product_lines(""), 0);
    }

    #[test]
    fn test_files_are_known_by_name_and_by_folder() {
        for file in [
            "crates/a/tests/faults.rs",
            "crates/a/src/sync/tests.rs",
            "crates/a/src/sync_test.rs",
        ] {
            assert!(is_test_file(Path::new(file)), "{file}");
        }
        assert!(!is_test_file(Path::new("crates/a/src/latest.rs")));
    }
}
