//! The rules of the house that neither the compiler nor clippy knows.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines, tests included: longer ones hold more than one idea.
const LINES_MAX: usize = 500;

/// Where `unsafe` may stand: what talks to the kernel past what the standard
/// library knows.
const UNSAFE: [&str; 4] = [
    "ikexdp-ebpf/src/",
    "ikexdp/src/udp/",
    "ikexdp/src/xfrm/",
    "ikexdp/src/xsk/",
];

/// Directories that hold no source: what Cargo builds, and what git keeps.
const FOREIGN: [&str; 2] = ["target", ".git"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the project with these endings, and their text.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_str().expect("names are UTF-8");
            // A symbolic link is neither: whatever it leads to is met elsewhere, or not ours.
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !FOREIGN.contains(&name) {
                directories.push(path);
            } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                let file = path.strip_prefix(root()).unwrap();
                files.push((file.to_str().unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "there are files that end in {endings:?}");
    files
}

fn none(offenders: Vec<String>, rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

#[test]
fn files_are_short() {
    let long = files(&[".rs"])
        .into_iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    none(
        long,
        "a file has more lines than it should; split it by idea",
    );
}

#[test]
fn unsafe_stands_where_it_may() {
    // Not to be found in this file.
    let word = concat!("uns", "afe ");
    let elsewhere = files(&[".rs"])
        .into_iter()
        .filter(|(file, _)| !UNSAFE.iter().any(|place| file.starts_with(place)))
        .filter(|(_, text)| {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            code.into_iter()
                .any(|line| line.contains(&format!("{word}{{")))
        })
        .map(|(file, _)| file)
        .collect();
    none(
        elsewhere,
        "unsafe code outside the modules that talk to the kernel",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let left = files(&[".rs", ".md", ".toml"])
        .into_iter()
        .flat_map(|(file, text)| {
            let lines = text.lines().enumerate();
            let marked = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
            let places: Vec<_> = marked.map(|(n, _)| format!("{file}:{}", n + 1)).collect();
            places
        })
        .collect();
    none(left, "a note to somebody; do it, or tell it in an issue");
}

#[test]
fn dependencies_have_a_reason_beside_them() {
    let mut bare = Vec::new();
    for (file, text) in files(&["Cargo.toml"]) {
        let mut section = "";
        let mut reasoned = false;
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            // Those of tests and of build scripts as well.
            let is_dependency = section.ends_with("dependencies]") && line.contains(" = ");
            // Some lines share the comment above the first of them.
            if line.starts_with('#') {
                reasoned = true;
            } else if line.is_empty() {
                reasoned = false;
            } else if is_dependency && !reasoned && !line.contains("path = ") {
                bare.push(format!("{file}: {line}"));
            }
        }
    }
    none(bare, "a dependency without a reason");
}

/// Each row of docs/rfc.md names the tests that prove it; they must exist.
#[test]
fn the_tests_that_the_documentation_names_exist() {
    let tests: BTreeSet<String> = files(&[".rs"])
        .into_iter()
        .flat_map(|(_, text)| {
            let names = text.lines().filter_map(|line| {
                let name = line.trim_start().strip_prefix("fn ")?;
                Some(name.split(['(', '<']).next()?.to_owned())
            });
            names.collect::<Vec<_>>()
        })
        .collect();
    let text = fs::read_to_string(root().join("docs/rfc.md")).expect("docs/rfc.md");
    let mut named = 0;
    let mut unknown = Vec::new();
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let Some(last) = row.trim_end_matches('|').rsplit('|').next() else {
            continue;
        };
        for name in last.split('`').skip(1).step_by(2) {
            named += 1;
            if !tests.contains(name) {
                unknown.push(name.to_owned());
            }
        }
    }
    assert!(named > 0, "docs/rfc.md names tests");
    none(unknown, "docs/rfc.md names a test that is not there");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for (file, text) in files(&[".md"]) {
        let directory = root().join(&file).parent().unwrap().to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains("://");
            if is_local && !directory.join(target).exists() {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    none(broken, "a link leads nowhere");
}
