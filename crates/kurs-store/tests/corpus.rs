//! The fuzzing corpus, given to the same functions as by the fuzz targets.

#[expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    reason = "written for the fuzz targets; a broken oracle fails the test"
)]
#[path = "../../../fuzz/entries/store.rs"]
mod entries;
#[expect(unreachable_pub, clippy::expect_used, reason = "a helper of tests")]
#[path = "../../../fuzz/entries/replay.rs"]
mod replay;

#[test]
fn no_block_or_spool_of_the_corpus_panics() {
    replay::all(&entries::TARGETS);
}
