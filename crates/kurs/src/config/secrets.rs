//! Secrets come from files first: `key_file = "..."`, `key = "file:..."`, `KURS_..__KEY_FILE`,
//! and the folder of credentials that systemd prepares. Names of files are shown, contents never.

use super::check::Checker;
use super::mistake::Mistake;
use super::origin::Origin;
use super::schema::Schema;
use super::tree::{Content, Node, show_path};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A longer file is no secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where files named by the configuration are looked for.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The working folder, for relative names.
    pub folder: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, tried first for relative names.
    pub credentials: Option<PathBuf>,
}

impl Files {
    /// The content of a file without the line end that editors add.
    ///
    /// # Errors
    /// A phrase for people that names the file.
    pub fn read(&self, name: &str) -> Result<String, String> {
        let named = Path::new(name);
        let in_credentials = self
            .credentials
            .as_ref()
            .map(|folder| folder.join(named))
            .filter(|path| path.is_file());
        let path = in_credentials.unwrap_or_else(|| self.folder.join(named));
        read_short(&path)
    }
}

fn read_short(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("the file {shown} cannot be read: {error}");
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() && !is_pipe(kind) {
        return Err(format!("{shown} is neither a file nor a pipe"));
    }
    // What a file says of its length may be wrong by the time it is read, and a pipe says nothing.
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        return Err(format!(
            "the file {shown} is longer than {SECRET_BYTES_MAX} bytes"
        ));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(text.to_owned())
}

/// True for what `<(command)` of a shell and `mkfifo` make.
#[cfg(unix)]
fn is_pipe(kind: std::fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_fifo()
}

#[cfg(not(unix))]
const fn is_pipe(_: std::fs::FileType) -> bool {
    false
}

/// Replaces `x_file = NAME` by `x` with the content of the file, and `x = "file:NAME"` likewise
/// where `x` is a secret.
pub(super) fn take_files(
    checker: &mut Checker<'_>,
    members: BTreeMap<String, Node>,
    properties: Option<&Map<String, Value>>,
    path: &[String],
) -> BTreeMap<String, Node> {
    let mut taken = BTreeMap::new();
    let mut from_files: Vec<(String, Node)> = Vec::new();
    let is_known = |key: &str| {
        properties.is_some_and(|known| known.keys().any(|name| name.eq_ignore_ascii_case(key)))
    };
    for (key, node) in members {
        let base = strip_file_suffix(&key).filter(|base| is_known(base) && !is_known(&key));
        let name = match (&node.content, base) {
            (Content::Leaf(Value::String(name)), Some(base)) => Some((base.to_owned(), name)),
            (Content::Leaf(Value::String(text)), None) => {
                let full = [path, &[key.to_ascii_lowercase()]].concat();
                let named = text.strip_prefix("file:");
                match named {
                    Some(_) if checker.schema.is_secret_path(&full) => Some((key.clone(), text)),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((base, name)) = name else {
            taken.insert(key, node);
            continue;
        };
        let full = [path, std::slice::from_ref(&key)].concat();
        let name = name.strip_prefix("file:").unwrap_or(name);
        match checker.files.read(name) {
            Ok(secret) => {
                let leaf = Node::leaf(node.origin.clone(), Value::String(secret));
                from_files.push((base.to_ascii_lowercase(), leaf));
            }
            Err(what) => checker
                .mistakes
                .push(Mistake::at(&full, &node.origin, what)),
        }
    }
    for (key, node) in from_files {
        if taken.keys().any(|known| known.eq_ignore_ascii_case(&key)) {
            let full = [path, std::slice::from_ref(&key)].concat();
            let what = format!("is given both as a value and as {key}_file; keep one of them");
            checker
                .mistakes
                .push(Mistake::at(&full, &node.origin, what));
        } else {
            taken.insert(key, node);
        }
    }
    taken
}

fn strip_file_suffix(key: &str) -> Option<&str> {
    let at = key.len().checked_sub(5)?;
    let (base, suffix) = (key.get(..at)?, key.get(at..)?);
    (!base.is_empty() && suffix.eq_ignore_ascii_case("_file")).then_some(base)
}

/// The layer of systemd credentials: a file named like the key of a secret, such as
/// `sources.openexchangerates.key`, with or without `kurs.` before it.
pub(super) fn credentials_layer(
    schema: &Schema,
    files: &Files,
    mistakes: &mut Vec<Mistake>,
) -> Node {
    let mut layer = Node::table(Origin::Default);
    let Some(folder) = &files.credentials else {
        return layer;
    };
    for (path, _) in schema.leaves() {
        if !schema.is_secret_path(&path) {
            continue;
        }
        let name = show_path(&path);
        let candidates = [folder.join(&name), folder.join(format!("kurs.{name}"))];
        let Some(file) = candidates.into_iter().find(|file| file.is_file()) else {
            continue;
        };
        let origin = Origin::Credential(file.clone());
        match read_short(&file) {
            Ok(secret) => layer.insert(&path, Node::leaf(origin, Value::String(secret))),
            Err(what) => mistakes.push(Mistake::at(&path, &origin, what)),
        }
    }
    layer
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn what_never_ends_is_refused_and_a_pipe_is_read() {
        let refused = read_short(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(refused, "/dev/zero is neither a file nor a pipe");
        assert!(read_short(Path::new("/")).is_err());
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"from a shell\n").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(read_short(Path::new(&path)).unwrap(), "from a shell");
    }

    #[test]
    fn a_pipe_is_read_no_further_than_a_secret_is_long() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        // It ends when nobody reads any more.
        let writing = std::thread::spawn(move || while writer.write_all(b"xxxxxxxx").is_ok() {});
        let refused = read_short(Path::new(&path)).unwrap_err();
        assert!(refused.contains("longer than"), "{refused}");
        drop(reader);
        writing.join().unwrap();
    }
}
