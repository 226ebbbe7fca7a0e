//! The fuzzing corpus, given to the same functions as by the fuzz targets.

#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "written for the fuzz targets; a broken oracle fails the test"
)]
#[path = "../../../fuzz/entries/sources.rs"]
mod entries;
#[expect(unreachable_pub, clippy::expect_used, reason = "a helper of tests")]
#[path = "../../../fuzz/entries/replay.rs"]
mod replay;

#[test]
fn no_frame_or_document_of_the_corpus_panics() {
    replay::all(&entries::TARGETS);
}
