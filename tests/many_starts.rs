//! Programs that are started thousands of times in one directory: what is kept of the dead stays small.
//!
//! `TACHO_STARTS=3000 cargo test --test many_starts -- --nocapture` does it so often.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::{Config, info, start_isolated};

const CLOSE: Duration = Duration::from_secs(60);
const LINES: usize = 3;

fn starts(default: usize) -> usize {
    std::env::var("TACHO_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What is in the folder of journals: folders, and bytes of the cursor.
fn kept(logs: &Path) -> (usize, u64) {
    let journals = logs.join(".journal");
    let folders = fs::read_dir(&journals).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    (folders, fs::metadata(journals.join("cursor")).map_or(0, |about| about.len()))
}

/// Starts, logs and closes, again and again; after each time, `check` gets what is kept.
fn run(starts: usize, retention: impl Fn(Config) -> Config, mut check: impl FnMut(usize, (usize, u64))) {
    let dir = tempfile::tempdir().unwrap();
    let shm = tempfile::Builder::new().prefix("tacho-starts-").tempdir_in("/dev/shm").unwrap();
    let logs = dir.path().join("logs");
    let mut times = Vec::new();
    for number in 0..starts {
        let config = Config::new(&logs)
            .shm_dir(shm.path())
            .segments(3)
            .segment_bytes(64 << 10)
            .record_bytes_max(4 << 10)
            .ring_bytes(64 << 10)
            .rings_spare(1)
            .table_bytes(64 << 10);
        let begin = Instant::now();
        let tacho = start_isolated(retention(config)).unwrap();
        times.push(begin.elapsed());
        for line in 0..LINES {
            info!(logger: tacho, target: "starts", "{number} {line}");
        }
        tacho.close(CLOSE).unwrap();
        check(number, kept(&logs));
    }
    let text = fs::read_to_string(logs.join("starts.log")).unwrap();
    let messages: Vec<_> = text.lines().map(|line| line.split_once("] ").unwrap().1).collect();
    let expected: Vec<_> =
        (0..starts).flat_map(|start| (0..LINES).map(move |line| format!("{start} {line}"))).collect();
    assert!(messages == expected, "{} lines of {}, or not in order", messages.len(), expected.len());
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        times[times.len() / 2]
    };
    let third = starts / 3;
    let (first, last) = (median(&times[..third]), median(&times[starts - third..]));
    println!("{starts} starts: the first take {first:?}, the last {last:?}; kept: {:?}", kept(&logs));
    assert!(last < 10 * first, "the first starts take {first:?}, the last {last:?}");
}

#[test]
fn with_small_retention_folders_and_cursor_stay_few_and_small() {
    // What is written next counts: of what is finished and rendered nothing may be kept.
    let small = |config: Config| config.segment_bytes(512 << 10).archive_bytes_max(1 << 20);
    run(starts(40), small, |number, (folders, cursor)| {
        assert!(folders <= 5 && cursor <= 1500, "start {number}: {folders} folders, a cursor of {cursor} bytes");
    });
}

#[test]
fn however_many_journals_are_kept_the_cursor_stays_small() {
    let mut folders_max = 0;
    run(
        starts(40),
        |config| config,
        |number, (folders, cursor)| {
            folders_max = folders_max.max(folders);
            assert!(folders <= 1010 && cursor <= 1500, "start {number}: {folders} folders, a cursor of {cursor} bytes");
        },
    );
    assert!(folders_max >= starts(40).min(900), "journals are to be kept: {folders_max}");
}
