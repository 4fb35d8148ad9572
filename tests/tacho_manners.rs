//! The manners of every command of `tacho`: success, nothing found, a wrong flag, a missing directory, what cannot be read, a
//! closed pipe; help with examples and exit statuses, reports with a schema number.
//!
//! What each command does in particular stands in tests of its own.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says so"
)]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/journals.rs"]
mod journals;

use collector::Place;
use journals::{tacho, two_processes};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tachograph::{Config, Guard, info, start_isolated, warn};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Every command that reads or changes a log directory that is there.
const ON_A_DIRECTORY: &[&[&str]] = &[
    &["cat"],
    &["tail"],
    &["grep", "order"],
    &["trace", "qty>=0"],
    &["stat"],
    &["export", "-f", "json"],
    &["cleanup", "--vacuum-files", "1000"],
    &["cleanup", "--emergency"],
    &["archive", "list"],
    &["archive", "verify"],
    &["archive", "cleanup", "--keep", "1"],
    &["verify"],
    &["recover"],
    &["health"],
    &["monitor", "0.1", "--once"],
    &["level", "info"],
    &["rotate"],
];

/// The others, and those of which a part is named.
const ELSEWHERE: &[&[&str]] = &[
    &["archive", "create", "/dev/null"],
    &["archive", "extract", "none"],
    &["config", "show"],
    &["config", "check", "none.toml"],
    &["completions", "bash"],
    &["man"],
    &["collect", "--exit-when-idle"],
    &["run", "--component", "a", "--", "true"],
    &["pipe", "--component", "a"],
    &["supervise", "none.toml"],
    #[cfg(feature = "ship")]
    &["ship", "--status"],
];

fn run(dir: &Path, args: &[&str]) -> Output {
    tacho(&[&["-D", dir.to_str().unwrap()], args].concat()).stdin(Stdio::null()).output().unwrap()
}

/// Exit status, standard output and standard error.
fn said(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = run(dir, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A directory in which somebody logs.
fn living(place: &Place) -> Guard {
    let config = Config::new(place.dir()).shm_dir(place.shm()).segments(4).segment_bytes(2 << 20);
    let guard = start_isolated(config.ring_bytes(256 << 10)).unwrap();
    (0..20_u64).for_each(|qty| info!(logger: guard, target: "oms", qty; "order sent"));
    warn!(logger: guard, target: "risk", "limit");
    guard.sync(PATIENCE).unwrap();
    guard
}

#[test]
fn every_command_succeeds_on_a_living_directory() {
    let place = Place::new();
    let _guard = living(&place);
    for command in ON_A_DIRECTORY {
        let (status, out, err) = said(&place.dir(), command);
        // Health may find something on a busy machine.
        let fine = status == 0 || (command[0] == "health" && status < 3);
        assert!(fine, "{command:?}: {status} {out} {err}");
        assert!(!out.contains('\x1b'), "{command:?}: no colours where there is no terminal");
        let (_, _, err) = said(&place.dir(), &[&["-q"], *command].concat());
        assert_eq!(err, "", "{command:?}: -q says nothing but errors");
    }
}

#[test]
fn a_wrong_flag_is_named() {
    let root = TempDir::new().unwrap();
    for command in ON_A_DIRECTORY.iter().chain(ELSEWHERE) {
        // Behind -- everything is of the program.
        let words: Vec<&str> = command.iter().copied().take_while(|word| *word != "--").collect();
        let (status, out, err) = said(root.path(), &[&words[..], &["--no-such-flag"]].concat());
        assert_eq!((status, out.as_str()), (2, ""), "{command:?}: {err}");
        assert!(err.contains("unexpected argument '--no-such-flag'") && err.contains("--help"), "{command:?}: {err}");
    }
    assert_eq!(said(root.path(), &["no-such-command"]).0, 2);
    assert_eq!(said(root.path(), &[]).0, 2);
}

#[test]
fn a_missing_directory_is_named_and_not_made() {
    let root = TempDir::new().unwrap();
    let missing = root.path().join("missing");
    for command in ON_A_DIRECTORY {
        let (status, out, err) = said(&missing, command);
        let wanted = if command[0] == "health" { 3 } else { 2 };
        assert_eq!((status, out.as_str()), (wanted, ""), "{command:?}: {err}");
        assert!(err.starts_with("tacho: ") && err.contains("missing"), "{command:?}: {err}");
        assert!(err.contains("-D DIR") && err.contains("TACHO_DIR"), "{command:?} says what to do: {err}");
        assert!(!missing.exists(), "{command:?} made it");
    }
}

#[test]
fn nothing_found_is_said_by_the_status() {
    // A directory of the dead, with records of which none is meant.
    let root = two_processes();
    let logs = root.path().join("logs");
    for (command, wanted, shown) in [
        (&["cat", "-u", "nobody"][..], 0, ""),
        (&["tail", "-u", "nobody"], 0, ""),
        (&["grep", "nothing"], 1, ""),
        (&["grep", "-c", "nothing"], 1, "0\n"),
        (&["grep", "-q", "nothing"], 1, ""),
        (&["trace", "nobody=1"], 1, ""),
        (&["export", "-f", "json", "-u", "nobody"], 0, ""),
        (&["archive", "list"], 0, ""),
        (&["archive", "verify"], 0, ""),
        (&["archive", "cleanup", "--keep", "0"], 0, ""),
        (&["cleanup", "--emergency"], 0, ""),
        (&["level", "info"], 1, ""),
        (&["rotate"], 1, ""),
        (&["health"], 3, ""),
        (&["man", "nonsense"], 2, ""),
    ] {
        let (status, out, err) = said(&logs, command);
        assert_eq!((status, out.as_str()), (wanted, shown), "{command:?}: {err}");
    }
    let (status, out, _) = said(&logs, &["stat", "-u", "nobody"]);
    assert!(status == 0 && out.starts_with("0 records") && out.lines().count() == 1, "{out}");
    let (status, out, _) = said(&logs, &["cleanup", "--vacuum-time", "30d"]);
    assert!(status == 0 && out.starts_with("Vacuuming done, freed 0 B"), "{out}");
    assert_eq!(said(&logs, &["monitor", "--once", "--json"]).0, 1);
}

#[test]
fn what_cannot_be_read_is_named() {
    let root = two_processes();
    let logs = root.path().join("logs");
    // Nobody reads a directory as a file, not even root.
    for name in [".journal/cursor", ".journal/c/00000001.seg", "health.json", "archive/broken/manifest.json"] {
        fs::create_dir_all(logs.join(name)).unwrap();
    }
    for (command, wanted, named) in [
        (&["health"][..], 3, "health.json"),
        (&["monitor", "--once"], 2, "health.json"),
        (&["archive", "list"], 2, "manifest.json"),
        (&["archive", "verify"], 2, "manifest.json"),
        (&["archive", "cleanup", "--keep", "0"], 2, "manifest.json"),
        (&["cleanup", "--vacuum-files", "0"], 2, "logs"),
        (&["verify"], 2, "c/00000001.seg"),
        (&["config", "show", "/"], 2, "/"),
        (&["config", "check", "/"], 2, "/"),
        (&["supervise", "/nowhere.toml"], 2, "/nowhere.toml"),
        (&["cat", "/"], 2, "/"),
        (&["verify", "/nowhere.seg"], 2, "/nowhere.seg"),
        (&["archive", "create", "/nowhere.log"], 2, "/nowhere.log"),
        (&["archive", "extract", "broken"], 2, "manifest.json"),
        (&["cleanup", "--emergency", "/nowhere.log"], 2, "/nowhere.log"),
        (&["recover", "--force", "1"], 2, "--force"),
        (&["man", "--to", "/nowhere"], 2, "/nowhere"),
        (&["run", "--component", "a", "--", "/nowhere"], 127, "/nowhere"),
    ] {
        let (status, out, err) = said(&logs, command);
        assert_eq!(status, wanted, "{command:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(named), "{command:?}: {out}{err}");
    }
    assert!(logs.join(".journal/20261120T120000Z-1-aaaa/00000001.seg").exists(), "nothing was deleted");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::new();
    let guard = living(&place);
    // More than a pipe holds, so that who writes meets its end.
    (0..30_000_u64).for_each(|qty| {
        info!(logger: guard, target: "oms", qty; "order sent");
        if qty % 1_000 == 0 {
            guard.flush(PATIENCE).unwrap();
        }
    });
    guard.sync(PATIENCE).unwrap();
    let here = ELSEWHERE.iter().filter(|command| ["config", "completions", "man"].contains(&command[0]));
    for command in ON_A_DIRECTORY.iter().chain(here).filter(|command| command[1..] != ["check", "none.toml"]) {
        let mut child = tacho(&[&["-D", place.dir().to_str().unwrap(), "-q"], *command].concat());
        let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed before anything is written.
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut talk = String::new();
        child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        let fine = status.code() == Some(0) || (command[0] == "health" && status.code() < Some(3));
        assert!(fine && talk.is_empty(), "{command:?}: {status}: {talk}");
    }
}

#[test]
fn every_report_has_a_schema_number() {
    let place = Place::new();
    let _guard = living(&place);
    let file = place.file("some.log");
    fs::write(&file, "text\n").unwrap();
    for command in [
        &["stat", "--json"][..],
        &["cleanup", "--vacuum-files", "1000", "--json"],
        &["cleanup", "--emergency", file.to_str().unwrap(), "--dry-run", "--json"],
        &["archive", "create", "--name", "made", "--json", file.to_str().unwrap()],
        &["archive", "list", "--json"],
        &["archive", "verify", "--json"],
        &["archive", "cleanup", "--keep", "1", "--json"],
        &["verify", "--json"],
        &["recover", "--dry-run", "--json"],
        &["health", "--json"],
        &["monitor", "0.1", "--once", "--json"],
    ] {
        let (_, out, err) = said(&place.dir(), command);
        let report: Value =
            serde_json::from_str(&out).unwrap_or_else(|error| panic!("{command:?}: {error}: {out}{err}"));
        assert!(report["schema"].as_u64().is_some_and(|number| number >= 1), "{command:?}: {out}");
        assert_eq!(out.lines().count(), 1, "{command:?}: one line");
    }
}

/// The commands below these words, as the help lists them.
fn commands(words: &[&str]) -> Vec<Vec<String>> {
    let (_, help, _) = said(Path::new("."), &[words, &["--help"]].concat());
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let mut found = Vec::new();
    for name in names.filter(|name| *name != "help") {
        let words = [words, &[name]].concat();
        let below = commands(&words);
        if below.is_empty() {
            found.push(words.into_iter().map(str::to_owned).collect());
        }
        found.extend(below);
    }
    found
}

#[test]
fn every_help_has_examples_and_exit_statuses() {
    let all = commands(&[]);
    assert!(all.len() >= 25, "{all:?}");
    for command in &all {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (status, help, _) = said(Path::new("."), &[&words[..], &["--help"]].concat());
        assert_eq!(status, 0);
        assert!(
            help.contains("Examples:") && help.contains(&format!("tacho {}", words.join(" "))),
            "{words:?}: {help}"
        );
        assert!(help.contains("Exit status: "), "{words:?}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{words:?}: {help}");
    }
    // Each is tried above.
    let tried = |command: &[String]| {
        ON_A_DIRECTORY.iter().chain(ELSEWHERE).any(|tried| command.iter().zip(*tried).all(|(a, b)| a == b))
    };
    let untried: Vec<_> = all.iter().filter(|command| !tried(command)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn a_copy_of_a_directory_says_nothing_of_and_does_nothing_to_the_original() {
    let place = Place::new();
    let _guard = living(&place);
    let copy = place.file("copy");
    let copied = std::process::Command::new("cp").arg("-r").arg(place.dir()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let _ = fs::remove_file(copy.join("health.json"));
    let (status, _, err) = said(&copy, &["level", "oms=off"]);
    assert_eq!(status, 1, "{err}");
    assert_eq!(said(&copy, &["rotate"]).0, 1);
    assert_eq!(said(&copy, &["health"]).0, 3);
    let (status, out, _) = said(&place.dir(), &["level", "info"]);
    assert!(status == 0 && out.ends_with(": info\n"), "{out}");
}
