//! The files of the web page.
//!
//! They are the source itself: modules, a style sheet and pictures as they were written, part of
//! the program, without a step that builds them. [`FILES`] is the one list of them; what is sent is
//! [`File::served`].

use std::borrow::Cow;

/// The page itself, served at `/`.
pub const INDEX: &str = "index.html";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// One file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name, also in the folder of the sources; served below `/page/`.
    pub name: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

impl File {
    /// What is sent: in scripts and the style sheet, lines that are only comments are empty. A
    /// seventh of the compressed page is comments; a line keeps its number for the browser's tools.
    #[must_use]
    pub fn served(&self) -> Cow<'static, [u8]> {
        let text = match std::str::from_utf8(self.bytes) {
            Ok(text) if self.media == SCRIPT || self.media == STYLE => text,
            _ => return Cow::Borrowed(self.bytes),
        };
        let mut served = String::with_capacity(text.len());
        let mut is_within = false;
        for line in text.lines() {
            let words = line.trim();
            let begins = words.starts_with("/*");
            // A comment that ends before the line does belongs to what follows it.
            let ends = words.ends_with("*/") && words.matches("*/").count() == 1;
            let is_comment =
                is_within || words.starts_with("//") || begins && (ends || !words.contains("*/"));
            if is_within || begins {
                is_within = !words.contains("*/");
            }
            if !is_comment {
                served.push_str(line);
            }
            served.push('\n');
        }
        Cow::Owned(served.into_bytes())
    }
}

macro_rules! files {
    ($($name:literal $media:ident,)*) => {
        &[$(File { name: $name, media: $media, bytes: include_bytes!(concat!("../assets/", $name)) }),*]
    };
}

/// Every file.
pub const FILES: &[File] = files![
    "index.html" HTML,
    "kurs.css" STYLE,
    "icon.svg" PICTURE,
    "icon-lost.svg" PICTURE,
    "marks.svg" PICTURE,
    "alerts.js" SCRIPT,
    "api.js" SCRIPT,
    "app.js" SCRIPT,
    "chart.js" SCRIPT,
    "convert.js" SCRIPT,
    "dom.js" SCRIPT,
    "events.js" SCRIPT,
    "explain.js" SCRIPT,
    "feed.js" SCRIPT,
    "model.js" SCRIPT,
    "number.js" SCRIPT,
    "pair.js" SCRIPT,
    "route.js" SCRIPT,
    "settings.js" SCRIPT,
    "show.js" SCRIPT,
    "sources.js" SCRIPT,
    "table.js" SCRIPT,
    "time.js" SCRIPT,
];

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::path::Path;

    const RAW_MAX: usize = 150_000;
    const COMPRESSED_MAX: usize = 45_000;

    fn text_of(file: &File) -> &'static str {
        std::str::from_utf8(file.bytes).unwrap()
    }

    #[test]
    fn the_page_stays_within_its_budget_of_bytes() {
        let raw: usize = FILES.iter().map(|file| file.served().len()).sum();
        let compressed: usize = FILES
            .iter()
            .map(|file| {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(&file.served()).unwrap();
                encoder.finish().unwrap().len()
            })
            .sum();
        println!("the page: {raw} bytes, {compressed} compressed");
        assert!(raw <= RAW_MAX, "{raw} bytes");
        assert!(
            compressed <= COMPRESSED_MAX,
            "{compressed} bytes compressed"
        );
    }

    #[test]
    fn what_is_sent_is_the_file_without_its_comments_line_by_line() {
        let file = |media, bytes| File {
            name: "a",
            media,
            bytes,
        };
        let text = "// one\nlet a = 1; // stays\n  /** two */\n/**\n * three\n */\n/** @type {x} */ (b).c();\n\"* \";\nlet u = `//x`;\n";
        let sent =
            "\nlet a = 1; // stays\n\n\n\n\n/** @type {x} */ (b).c();\n\"* \";\nlet u = `//x`;\n";
        assert_eq!(&*file(SCRIPT, text.as_bytes()).served(), sent.as_bytes());
        assert_eq!(&*file(PICTURE, text.as_bytes()).served(), text.as_bytes());
        let mut left_out = 0;
        for file in FILES {
            let sent = file.served();
            let sent = std::str::from_utf8(&sent).unwrap();
            assert_eq!(sent.lines().count(), text_of(file).lines().count());
            for (sent, line) in sent.lines().zip(text_of(file).lines()) {
                // A template over several lines could begin one with what looks like a comment.
                assert!(line.matches('`').count() % 2 == 0, "{}: {line}", file.name);
                assert!(sent == line || sent.is_empty(), "{}: {line}", file.name);
                left_out += usize::from(sent != line);
            }
        }
        assert!(left_out > 100, "{left_out} lines of comments");
    }

    #[test]
    fn the_list_holds_every_file_of_the_folder_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            // Types for the compiler's checks alone.
            .filter(|name| !name.ends_with(".d.ts"))
            .collect();
        let listed: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(listed, there);
        assert_eq!(listed.len(), FILES.len());
    }

    #[test]
    fn the_page_needs_no_inline_code_and_no_other_host() {
        for file in FILES {
            let text = text_of(file);
            for refused in [
                "<script>",
                "<style",
                " style=\"",
                "onclick=\"",
                "innerHTML",
                "eval(",
                "new Function",
                "https://",
                "data:image",
            ] {
                assert!(!text.contains(refused), "{}: {refused}", file.name);
            }
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("http://"), "{}", file.name);
        }
    }

    #[test]
    fn every_file_that_a_file_names_is_there() {
        let names: BTreeSet<&str> = FILES.iter().map(|file| file.name).collect();
        for file in FILES {
            let text = text_of(file);
            for start in ["from \"./", "import(\"./", "\"/page/", "`/page/"] {
                for (at, _) in text.match_indices(start) {
                    let rest = &text[at + start.len()..];
                    let end = rest.find(['"', '#', '`']).unwrap();
                    let name = &rest[..end];
                    // Names in comments are for the compiler of the types, which are not served.
                    let is_of_types = !name.contains('.');
                    assert!(is_of_types || names.contains(name), "{}: {name}", file.name);
                }
            }
        }
    }

    #[test]
    fn the_page_is_listed_first() {
        assert_eq!(FILES[0].name, INDEX);
    }
}
