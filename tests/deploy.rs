//! What `deploy/` says of itself is so: a configuration that no test runs says that in its head, and its README lists all of
//! them. `tests/consumers.rs` runs the others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use tachograph::info;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The rows of the README's table: program, file, whether it is tested.
fn table() -> Vec<(String, String, bool)> {
    let readme = fs::read_to_string(deploy().join("README.md")).unwrap();
    let rows = readme.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| program"));
    let cell = |row: &str, index: usize| row.split('|').nth(index).unwrap().trim().to_owned();
    let rows = rows.map(|row| (cell(row, 1), cell(row, 2), cell(row, 3).starts_with("yes")));
    rows.filter(|(_, file, _)| file.starts_with('`')).collect()
}

#[test]
fn the_readme_lists_every_configuration_and_each_says_whether_it_is_tested() {
    let rows = table();
    let (mut tested, mut untested) = (0, 0);
    for (program, file, is_tested) in &rows {
        let name = file.split('`').nth(1).unwrap();
        let text = fs::read_to_string(deploy().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        if program == "logrotate" {
            assert!(text.lines().all(|line| line.starts_with('#') || line.is_empty()), "it rotates nothing");
            continue;
        }
        assert_eq!(*is_tested, !text.contains("# NOT TESTED by this project"), "{name}");
        if *is_tested {
            tested += 1;
            continue;
        }
        untested += 1;
        let paths: Vec<&str> = text.lines().filter(|line| line.contains("/var/log/")).collect();
        assert!(paths.iter().all(|line| line.contains("/var/log/trading/*.log")), "{name}: {paths:?}");
        assert_eq!(paths.len(), 1, "{name}");
    }
    assert!(tested >= 2 && untested >= 5, "{rows:?}");
    for entry in fs::read_dir(deploy()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Units are not for shipping; they have a test of their own.
        let listed = name == "systemd" || name == "README.md" || rows.iter().any(|(_, file, _)| file.contains(&name));
        assert!(listed, "deploy/{name} is not in deploy/README.md");
    }
}

/// The blocks of `language` in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn configurations_in_the_documents_are_ours() {
    let root = tempfile::tempdir().unwrap();
    let mut read = 0;
    for document in ["docs/DEPLOYMENT.md", "docs/MIGRATING.md", "docs/GUIDE.md", "deploy/README.md"] {
        for block in blocks(document, "toml").iter().filter(|block| !block.contains("[dependencies]")) {
            let path = root.path().join("tachograph.toml");
            fs::write(&path, block).unwrap();
            let config =
                tachograph::Config::from_file(&path).unwrap_or_else(|error| panic!("{document}: {error}\n{block}"));
            config.validate().unwrap_or_else(|error| panic!("{document}: {error}\n{block}"));
            read += 1;
        }
    }
    assert!(read >= 3);
}

#[cfg(feature = "cli")]
#[test]
fn commands_in_the_documents_are_ours() {
    let mut known = std::collections::BTreeSet::new();
    for document in ["docs/DEPLOYMENT.md", "docs/MIGRATING.md", "docs/GUIDE.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        // Wrapped lines belong together.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in text.split("`tacho ").skip(1).chain(text.split(" tacho ").skip(1)) {
            let word = words.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap();
            known.insert((document, word.to_owned()));
        }
    }
    let mut tried = 0;
    for (document, word) in known.iter().filter(|(_, word)| !word.is_empty()) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tacho"));
        let output = command.args(["help", word]).output().unwrap();
        assert!(output.status.success(), "{document}: tacho {word}");
        tried += 1;
    }
    assert!(tried >= 8, "{known:?}");
}

/// The names of our JSON on which the configurations rely.
#[test]
fn our_lines_have_the_names_that_the_configurations_use() {
    let dir = tempfile::tempdir().unwrap();
    let config = tachograph::Config::new(dir.path()).mode(tachograph::Mode::Synchronous);
    let config = config.view_format(tachograph::LineFormat::Json).segments(3_usize).segment_bytes(64_usize << 10);
    let tacho = tachograph::start_isolated(config.ring_bytes(64_usize << 10).rings_spare(0_usize)).unwrap();
    info!(logger: tacho, target: "files", "event");
    tacho.flush(std::time::Duration::from_secs(60)).unwrap();
    let text = fs::read_to_string(dir.path().join("files.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for name in ["timestamp", "level", "logger", "message"] {
        assert!(line[name].is_string(), "{name}: {line}");
        for config in ["otel-collector/tachograph.yaml", "rsyslog/tachograph.conf"] {
            assert!(fs::read_to_string(deploy().join(config)).unwrap().contains(name), "{config}: {name}");
        }
    }
}
