//! Replays what fuzzing has found interesting, and what it once found wrong, on
//! the ordinary compiler.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::fs;
use std::path::Path;

use harness::fuzz::TARGETS;

#[test]
fn the_corpus_passes_every_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in TARGETS {
        let inputs = fs::read_dir(corpus.join(name)).expect("every target has a corpus");
        let mut replayed = 0;
        for input in inputs {
            let input = input.unwrap().path();
            eprintln!("{}", input.display());
            target(&fs::read(&input).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{name} has no inputs");
    }
}
