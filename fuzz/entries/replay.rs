//! The corpus as a test. Included by the tests `corpus.rs` of the crates.

use std::panic::catch_unwind;
use std::path::Path;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// Gives every file of each target's corpus to the target.
pub fn all(targets: &[Target]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, entry) in targets {
        let files = corpus.join(target).read_dir().expect("a corpus");
        let mut replayed = 0;
        for file in files {
            let path = file.expect("a file").path();
            let bytes = std::fs::read(&path).expect("an input");
            // The text of the panic is on the terminal; this names the input.
            let outcome = catch_unwind(|| entry(&bytes));
            assert!(outcome.is_ok(), "{target} fails on {}", path.display());
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {target} is empty");
    }
}
