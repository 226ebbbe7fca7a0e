//! The configuration file. Included by the fuzz target and by `kurs/tests/corpus.rs`.

use kurs::config::Inputs;
use std::path::PathBuf;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 1] = [("config", config)];

/// A `kurs.toml`, as far as `kurs config check` goes.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // Devices never end, and to read one is what such a file would ask for.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("kurs-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("kurs.toml"), text).expect("a file");
    let inputs = Inputs {
        folder: folder.clone(),
        file: Some(PathBuf::from("kurs.toml")),
        ..Inputs::default()
    };
    match inputs.load() {
        Ok(loaded) => {
            let mut mistakes = Vec::new();
            loaded.config.validate(&mut mistakes);
            assert!(mistakes.is_empty(), "{mistakes:?}");
        }
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
    // What stays behind after a failure is written anew by the next input.
    let _ = std::fs::remove_dir_all(folder);
}
