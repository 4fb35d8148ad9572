//! `tacho cleanup --vacuum-…`: old archives and backups go, and nothing else does.
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
#[path = "support/mod.rs"]
mod support;

use collector::{Place, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tachograph::reader::cursor;
use tachograph::{Config, Guard, info, start_isolated};

const PATIENCE: Duration = Duration::from_secs(60);

fn vacuum(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.arg("-D").arg(dir).arg("cleanup").args(args).env_remove("TACHO_DIR");
    command.output().unwrap()
}

#[track_caller]
fn json(dir: &Path, args: &[&str]) -> Value {
    let output = vacuum(dir, &[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every file below a directory.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}

fn paths(report: &Value, key: &str) -> BTreeSet<PathBuf> {
    report[key].as_array().unwrap().iter().map(|row| PathBuf::from(row["path"].as_str().unwrap())).collect()
}

fn config(place: &Place) -> Config {
    let mut config = Config::new(place.dir()).shm_dir(place.shm());
    config = config.segments(4).segment_bytes(2 << 20).ring_bytes(256 << 10);
    config.view_bytes_max(1_u64 << 20).view_backups(100_u32).health_interval(Duration::ZERO)
}

/// Calls of which each takes some 200 bytes.
const LOGGED: u64 = 40_000;
const FILLER: &str = "of a feed that fills its segments and the files of its view as quickly as a feed can that has nothing to \
                      say but this, and says it again and again";

/// Some segments, some backups, and a logger that goes on.
fn logged(config: Config) -> Guard {
    let guard = start_isolated(config).unwrap();
    log(&guard, 0..LOGGED);
    guard
}

fn log(guard: &Guard, numbers: std::ops::Range<u64>) {
    for n in numbers {
        info!(logger: guard, target: "feed", order_id = n; "tick {n} {}", FILLER);
        if n % 1_000 == 0 {
            guard.flush(PATIENCE).unwrap();
        }
    }
    guard.sync(PATIENCE).unwrap();
}

fn tacho(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tacho")).arg("-D").arg(dir).args(args).env_remove("TACHO_DIR").output().unwrap()
}

/// The numbers in all files of the view, in their order.
fn numbers(dir: &Path) -> Vec<u64> {
    let number = |line: &str| Some(line.split_once("] tick ")?.1.split(' ').next()?.parse().unwrap());
    support::lines(dir, "feed").iter().filter_map(|line| number(line)).collect()
}

#[test]
fn a_dry_run_says_what_would_go_and_exactly_that_goes_beside_a_living_logger() {
    let place = Place::new();
    // Compression would change names meanwhile.
    let guard = logged(config(&place).view_compress(false).archive_compress(false));
    let dir = place.dir();
    until("some may go", || {
        json(&dir, &["--vacuum-files", "0", "--dry-run"])["deleted"].as_array().unwrap().len() >= 5
    });
    let foreign = [dir.join("feed.log.old"), dir.join("feed.log.01"), dir.join("notes.txt"), dir.join("other.log.1")];
    foreign.iter().for_each(|path| fs::write(path, "not ours").unwrap());
    let before = files(&dir);
    let plan = json(&dir, &["--vacuum-files", "2", "--dry-run"]);
    assert_eq!((&plan["schema"], &plan["dry_run"]), (&1.into(), &true.into()));
    assert_eq!(files(&dir), before, "a dry run deletes nothing");
    let planned = paths(&plan, "deleted");
    assert!(planned.iter().all(|path| before.contains(path)) && !planned.is_empty(), "{plan}");
    assert!(planned.iter().all(|path| !foreign.contains(path) && !path.ends_with("feed.log")), "{plan}");
    assert!(paths(&plan, "spared").iter().any(|path| path.to_string_lossy().contains(".seg")), "what grows: {plan}");

    let done = json(&dir, &["--vacuum-files", "2"]);
    let gone: BTreeSet<PathBuf> = before.difference(&files(&dir)).cloned().collect();
    assert_eq!(gone, paths(&done, "deleted"), "{done}");
    assert!(planned.is_subset(&gone), "{plan} {done}");
    assert!(foreign.iter().all(|path| path.exists()) && dir.join("feed.log").exists());

    // The logger goes on, nothing of what comes is missing, and nothing stands twice.
    let left = numbers(&dir);
    log(&guard, LOGGED..LOGGED + 10_000);
    drop(guard);
    let all = numbers(&dir);
    assert!(all.windows(2).all(|two| two[1] == two[0] + 1), "a hole, or a line twice");
    assert!(left.is_empty() || all.first() >= left.first());
    assert_eq!(all.last(), Some(&(LOGGED + 9_999)));
    let verified = tacho(&dir, &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn what_is_not_in_the_views_yet_stays_whatever_is_asked_for() {
    let place = Place::new();
    // Without views nothing but the journal; with a checkpoint that was lost nobody knows what is in them.
    drop(logged(config(&place)));
    let dir = place.dir();
    let segments = |dir: &Path| files(dir).iter().filter(|path| path.to_string_lossy().contains(".seg")).count();
    let all = segments(&dir);
    assert!(all >= 3, "{all}");
    let journals = dir.join(".journal");
    for folder in fs::read_dir(&journals).unwrap().map(|entry| entry.unwrap().path()) {
        let _ = fs::remove_file(folder.join("rendered"));
    }
    let cursor = fs::read(journals.join("cursor")).unwrap();
    fs::remove_file(journals.join("cursor")).unwrap();
    let report = json(&dir, &["--vacuum-size", "0"]);
    assert_eq!(segments(&dir), all, "{report}");
    let whys: BTreeSet<&str> =
        report["spared"].as_array().unwrap().iter().map(|row| row["why"].as_str().unwrap()).collect();
    assert!(whys.contains("not in the views yet"), "{report}");

    // A damaged checkpoint is no licence.
    let mut damaged = cursor;
    damaged[20] ^= 1;
    fs::write(journals.join("cursor"), damaged).unwrap();
    let output = vacuum(&dir, &["--vacuum-size", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cursor is damaged"));
    assert_eq!(segments(&dir), all);
}

#[test]
fn of_the_dead_everything_may_go_with_its_folder() {
    let place = Place::new();
    drop(logged(config(&place)));
    let dir = place.dir();
    let folders = || {
        let entries = fs::read_dir(dir.join(".journal")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).count()
    };
    // Who renders next says that all of it is in the views, for good.
    let next = start_isolated(config(&place)).unwrap();
    until("the first is over", || {
        let rendered = |path: &PathBuf| path.ends_with("rendered");
        files(&dir).iter().any(rendered)
    });
    drop(next);
    assert_eq!(folders(), 1, "the next one left nothing");
    let old = json(&dir, &["--vacuum-time", "1h"]);
    assert_eq!(old["deleted"].as_array().unwrap().len(), 0, "nothing is that old");
    // A reader that has passed nothing yet keeps the journal, as long as it is not forgotten.
    let reader = cursor::Lock::take(&dir, "otlp").unwrap();
    reader.save(&cursor::Cursor::default()).unwrap();
    drop(reader);
    let awaited = json(&dir, &["--vacuum-time", "0s", "--dry-run"]);
    assert!(!paths(&awaited, "deleted").iter().any(|path| path.to_string_lossy().contains(".seg")), "{awaited}");
    assert!(awaited["spared"].to_string().contains("awaited by a reader's cursor"), "{awaited}");
    assert!(cursor::forget(&dir, "otlp").unwrap());
    let output = vacuum(&dir, &["--vacuum-time", "0s"]);
    let (out, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.starts_with("Deleted ") && out.contains("Vacuuming done, freed "), "{out}{talk}");
    assert_eq!(folders(), 0, "{out}{talk}");
    assert!(dir.join("feed.log").exists());
    // Whoever starts there goes on.
    let guard = start_isolated(config(&place)).unwrap();
    info!(logger: guard, target: "feed", "tick {} again", LOGGED);
    guard.flush(PATIENCE).unwrap();
    drop(guard);
    let all = numbers(&dir);
    assert_eq!(all.last(), Some(&LOGGED));
    assert!(all.windows(2).all(|two| two[1] == two[0] + 1));
}

#[test]
fn mistakes_are_explained() {
    let place = Place::new();
    for (args, why) in [
        (&[][..], "--vacuum-size"),
        (&["--vacuum-size", "much"], "no number of bytes"),
        (&["--vacuum-time", "long"], "no span of time"),
        (&["--vacuum-files", "-1"], "unexpected argument"),
        (&["--vacuum-size", "1G", "--emergency"], "cannot be used with"),
        (&["--vacuum-size", "1G"], "-D DIR"),
    ] {
        let output = vacuum(&place.file("nowhere"), args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    assert!(!place.file("nowhere").exists());
}
