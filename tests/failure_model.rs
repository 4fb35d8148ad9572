//! `docs/failure-model.md` names a test for each promise; each of them exists.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const MODEL: &str = include_str!("../docs/failure-model.md");

/// The names of all functions behind `#[test]`, or within `proptest!`.
fn tests(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (_, behind) in text.match_indices("#[test]").map(|(at, it)| text.split_at(at + it.len())) {
                let Some((_, name)) = behind.split_once("fn ") else { continue };
                found.insert(name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
            }
        }
    }
}

#[test]
fn each_test_that_the_failure_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for dir in ["src", "tests"] {
        tests(&root.join(dir), &mut known);
    }
    let mut rows = 0;
    let mut absent = Vec::new();
    for row in MODEL.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what happens")) {
        let named = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "a row without a test: {row}");
        rows += 1;
        absent.extend(names.into_iter().filter(|name| !known.contains(*name)));
    }
    assert!(rows > 30, "{rows} rows");
    assert!(absent.is_empty(), "the failure model names tests that do not exist: {absent:?}");
}
