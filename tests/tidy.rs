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
const UNSAFE: [&str; 6] = [
    "ikexdp-ebpf/src/",
    "ikexdp/src/heap.rs",
    "ikexdp/src/socket_option.rs",
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

/// What opens parts of the engine is for `tests/micro`: nothing that is shipped asks for it.
#[test]
fn the_engine_is_opened_to_be_measured_alone() {
    let asking: Vec<String> = files(&["Cargo.toml"])
        .into_iter()
        .filter(|(_, text)| text.contains("measure\""))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(asking, ["tests/micro/Cargo.toml"]);
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

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (_, text) in files(&[".rs"]) {
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            is_test |= line == "#[test]";
            if let Some(function) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                let name = function.split(['(', '<']).next().unwrap_or_default();
                tests.insert(name.to_owned());
            }
        }
    }
    tests
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Each rule in docs/rfc.md has a place where it is met, and a test that shows
/// it, or why there is none; both must exist. A place without a crate is one of
/// the engine's.
#[test]
fn the_rules_of_the_standards_are_met_where_the_documentation_says() {
    let tests = tests();
    let text = fs::read_to_string(root().join("docs/rfc.md")).expect("docs/rfc.md");
    let mut wrong = Vec::new();
    let mut rules = 0;
    for (row, number) in text
        .lines()
        .zip(1..)
        .filter(|(row, _)| row.starts_with('|'))
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [_, rule, places, shown] = cells[..] else {
            continue;
        };
        if rule.trim() == "Rule" || rule.starts_with('-') {
            continue;
        }
        rules += 1;
        let there = |place: &&str| {
            ["", "ikexdp-proto/src"]
                .iter()
                .any(|base| root().join(base).join(place).is_file())
        };
        let missing = quoted(places).filter(|place| !there(place));
        let unknown = quoted(shown).filter(|name| !tests.contains(*name));
        let what = missing.chain(unknown).map(str::to_owned);
        wrong.extend(what.map(|what| format!("docs/rfc.md:{number}: no such thing: {what}")));
        let says_why = shown.trim_start().starts_with("none: ");
        if quoted(places).next().is_none() || (quoted(shown).next().is_none() && !says_why) {
            wrong.push(format!("docs/rfc.md:{number}: neither place nor test"));
        }
    }
    assert!(rules > 0, "docs/rfc.md has rules");
    none(wrong, "docs/rfc.md names what is not there");
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
