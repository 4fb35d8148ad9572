//! The README's program is the example `hello`, and what the README shows of it is what it leaves.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../README.md");
const HELLO: &str = include_str!("../examples/hello.rs");
/// Bytes of a time and the space behind it.
const TIME_BYTES: usize = 31;

#[test]
fn the_readme_shows_the_example_and_what_it_leaves() {
    let program = HELLO.split_once("reason = \"a program may print\")]\n\n").unwrap().1;
    assert!(README.contains(program));

    let test = std::env::current_exe().unwrap();
    let hello = test.parent().and_then(Path::parent).unwrap().join("examples/hello");
    assert!(hello.exists(), "{} is missing: cargo build --example hello", hello.display());
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(hello).current_dir(dir.path()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("4 written, 0 dropped"), "{stdout}");

    let shown = README.split_once("$ tail -n +1 logs/*.log\n").unwrap().1.split_once("```").unwrap().0;
    for file in shown.split("==> logs/").skip(1) {
        let (name, shown) = file.split_once(" <==\n").unwrap();
        let text = fs::read_to_string(dir.path().join("logs").join(name)).unwrap();
        let without_times = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.get(TIME_BYTES..)).map(str::to_owned).collect()
        };
        assert_eq!(without_times(shown), without_times(&text), "{name}");
    }
    #[cfg(feature = "cli")]
    the_commands_show_what_the_readme_does(dir.path());
}

/// The README's part on `tacho`, run on what the example left.
#[cfg(feature = "cli")]
fn the_commands_show_what_the_readme_does(dir: &Path) {
    // Times, and the spans between them, stand before the level.
    let behind_times = |line: &str| {
        let level = ["INFO", "WARN", "ERROR", "CRITICAL"].iter().find_map(|level| line.find(level));
        line.get(level.unwrap_or(0)..).unwrap_or_default().to_owned()
    };
    let part = README.split_once("## The command `tacho`").unwrap().1;
    let shown = part.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
    let mut commands = 0;
    for run in shown.split("$ tacho ").skip(1) {
        let (command, shown) = run.split_once('\n').unwrap();
        let words = command.split(' ').map(|word| word.trim_matches('\''));
        let tacho = env!("CARGO_BIN_EXE_tacho");
        let output = Command::new(tacho).args(words).current_dir(dir).env_remove("TACHO_DIR").output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = |text: &str| text.lines().map(behind_times).collect::<Vec<_>>();
        assert_eq!(lines(&stdout), lines(shown), "{command}");
        commands += 1;
    }
    assert!(commands >= 4, "{shown}");
}
