//! Others truncate, extend and remove the files of live memory while two threads log.

use crate::support::{FLUSH, Place, good_child};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tachograph::{Guard, Overflow, info, start};

/// What is done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blow {
    Empty,
    Half,
    EmptyAndBack,
    HalfAndBack,
    Remove,
}

const BLOWS: [Blow; 5] = [Blow::Empty, Blow::Half, Blow::EmptyAndBack, Blow::HalfAndBack, Blow::Remove];

impl Blow {
    fn strike(self, path: &Path) {
        if self == Self::Remove {
            let _ = fs::remove_file(path);
            return;
        }
        let Ok(file) = OpenOptions::new().write(true).open(path) else { return };
        let bytes = file.metadata().unwrap().len();
        let less = if matches!(self, Self::Half | Self::HalfAndBack) { bytes / 2 } else { 0 };
        file.set_len(less).unwrap();
        if matches!(self, Self::EmptyAndBack | Self::HalfAndBack) {
            file.set_len(bytes).unwrap();
        }
    }
}

/// Files of live memory whose names begin so.
fn files(shm: &Path, kind: &str) -> Vec<PathBuf> {
    let listed = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders: Vec<PathBuf> = listed(shm).filter(|path| path.is_dir()).collect();
    let processes = folders.iter().flat_map(|folder| listed(folder)).filter(|path| path.is_dir());
    let mut found: Vec<PathBuf> = processes.flat_map(|folder| listed(&folder).collect::<Vec<_>>()).collect();
    found.extend(folders.iter().flat_map(|folder| ["views", "clock"].map(|name| folder.join(name))));
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    found.retain(|path| named(path));
    found.sort();
    found
}

fn disturbances() -> usize {
    std::env::var("TACHO_DISTURBANCES").map_or(200, |text| text.parse().expect("a number"))
}

/// Two threads log numbers until they are told to stop; the calls of each.
fn logged_while(place: &Place, tacho: &Guard, body: impl FnOnce(&AtomicU64)) -> u64 {
    let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let _ = (place, tacho);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2_u32)
            .map(|thread| {
                let (stop, progress) = (&stop, &progress);
                scope.spawn(move || {
                    let mut number = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        info!(target: "numbers", "{thread} {number} {}", number ^ 0x5a5a);
                        number += 1;
                        progress.fetch_add(1, Ordering::Relaxed);
                        if number.is_multiple_of(50) {
                            std::thread::sleep(Duration::from_micros(500));
                        }
                    }
                    number
                })
            })
            .collect();
        body(&progress);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn wait_for(what: &str, tacho: &Guard, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < FLUSH, "{what} does not come: {}", tacho.health());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Strikes at files of a kind, so that threads go on logging in between.
fn strike(place: &Place, tacho: &Guard, kind: &str, times: usize) {
    let called = logged_while(place, tacho, |progress| {
        for round in 0..times {
            let before = progress.load(Ordering::Relaxed);
            // Names come back a little after they were removed.
            wait_for(kind, tacho, || !files(&place.shm, kind).is_empty());
            let there = files(&place.shm, kind);
            let path = &there[round * 7 % there.len()];
            BLOWS[round % BLOWS.len()].strike(path);
            wait_for("progress", tacho, || progress.load(Ordering::Relaxed) > before + 200);
        }
    });
    let probes = resumes(place, tacho, kind);
    // What is logged from here on is readable, on all threads.
    for number in 0..100 {
        info!(target: "after", "{kind} {number}");
    }
    first_used_here(kind);
    tacho.flush(FLUSH).unwrap();
    let expected: Vec<String> = (0..100).map(|number| format!("{kind} {number}")).collect();
    let after = place.messages("after");
    for message in expected.iter().chain([&format!("{kind} at a new call site")]) {
        assert!(after.contains(message), "{message:?} is not readable: {}", tacho.health());
    }
    // A record that somebody is copying at the very instant may be torn, and counted once too often or too little.
    let torn = if matches!(kind, "ring." | "live.") { times as u64 } else { 0 };
    check(place, tacho, called + 101 + probes, torn);
}

/// Waits until what is logged is readable again: the last blow may not have been noticed yet. Returns the records that
/// this took.
fn resumes(place: &Place, tacho: &Guard, kind: &str) -> u64 {
    let mut probes = 0;
    wait_for("service", tacho, || {
        info!(target: "after", "{kind} probe {probes}");
        probes += 1;
        tacho.flush(FLUSH).unwrap();
        place.messages("after").contains(&format!("{kind} probe {}", probes - 1))
    });
    probes
}

/// A call site for each kind that nobody used before the disturbances.
fn first_used_here(kind: &str) {
    match kind {
        "ring." => info!(target: "after", "{kind} at a new call site"),
        "live." => info!(target: "after", "{kind} at a new call site"),
        "control" => info!(target: "after", "{kind} at a new call site"),
        "table" => info!(target: "after", "{kind} at a new call site"),
        _ => info!(target: "after", "{kind} at a new call site"),
    }
}

/// Conservation, and that all lines are whole, in order, and no more are missing than is said.
fn check(place: &Place, tacho: &Guard, called: u64, torn: u64) {
    let health = tacho.health();
    let mut lines = place.messages("after").len() as u64;
    let mut last = [None; 2];
    for message in place.messages("numbers") {
        let mut words = message.split(' ').map(|word| word.parse::<u64>());
        let (Some(Ok(thread)), Some(Ok(number)), Some(Ok(mixed))) = (words.next(), words.next(), words.next()) else {
            panic!("not a line of ours: {message:?}\n{health}");
        };
        assert_eq!(mixed, number ^ 0x5a5a);
        assert!(last[thread as usize] < Some(number), "{message} after {last:?}");
        last[thread as usize] = Some(number);
        lines += 1;
    }
    assert!(health.called().abs_diff(called) <= torn, "{called} calls: {health}");
    // Each record is in a line, or counted as lost; of what was lost to the journal, views may have had some before.
    assert!(lines + health.dropped <= called + torn, "{lines} lines: {health}");
    assert!(lines + health.dropped + health.lost + torn >= called, "{lines} lines: {health}");
    let notes = place.messages("tachograph");
    let sum = |end: &str| notes.iter().filter_map(|message| stated(message, end)).sum::<u64>();
    let (dropped, lost) = (sum(" records dropped here"), sum(" of its records are lost"));
    assert!(dropped <= health.dropped && lost <= health.lost, "the log states {dropped} and {lost}: {health}");
    // A statement may itself have stood in a segment that was struck.
    if torn == 0 || health.lost == 0 {
        assert_eq!((dropped, lost), (health.dropped, health.lost), "what the log states: {health}");
    }
}

/// How many records a line of the logger's own says are lost.
fn stated(message: &str, end: &str) -> Option<u64> {
    message.split_once(end)?.0.rsplit(' ').next()?.replace(',', "").parse().ok()
}

fn config(place: &Place) -> tachograph::Config {
    place
        .config()
        .segments(6)
        .overflow(Overflow::Block)
        .block_max(FLUSH)
        .rings_spare(2)
        .table_bytes(1 << 20)
        .view_bytes_max(1_u64 << 36)
        .shm_bytes_max(512_u64 << 20)
}

/// As many disturbances of a kind as are its share.
fn disturbed(test: &str, kind: &str) {
    good_child(test, |place| {
        let tacho = start(config(place)).unwrap();
        assert!(tacho.health().survives_kill, "{}", tacho.health());
        tacho.flush(FLUSH).unwrap();
        strike(place, &tacho, kind, disturbances() / 5);
        // It is made again: what is logged from here on survives again.
        wait_for("survival", &tacho, || tacho.health().survives_kill);
        tacho.close(FLUSH).unwrap();
        assert_eq!(place.live_folders(), 0);
    });
}

#[test]
fn rings() {
    disturbed("disturbed::rings", "ring.");
}

#[test]
fn segments() {
    disturbed("disturbed::segments", "live.");
}

#[test]
fn the_control_page() {
    disturbed("disturbed::the_control_page", "control");
}

#[test]
fn the_definitions() {
    disturbed("disturbed::the_definitions", "table");
}

#[test]
fn the_page_of_the_views() {
    disturbed("disturbed::the_page_of_the_views", "views");
}

#[test]
fn the_clock_page() {
    disturbed("disturbed::the_clock_page", "clock");
}

#[test]
fn the_whole_folder() {
    good_child("disturbed::the_whole_folder", |place| {
        let tacho = start(config(place)).unwrap();
        let called = logged_while(place, &tacho, |progress| {
            wait_for("progress", &tacho, || progress.load(Ordering::Relaxed) > 1_000);
            for entry in fs::read_dir(&place.shm).unwrap() {
                fs::remove_dir_all(entry.unwrap().path()).unwrap();
            }
            let before = progress.load(Ordering::Relaxed);
            wait_for("progress", &tacho, || progress.load(Ordering::Relaxed) > before + 10_000);
            wait_for("the notice", &tacho, || !tacho.health().survives_kill);
        });
        tacho.flush(FLUSH).unwrap();
        check(place, &tacho, called, 0);
        assert_eq!((tacho.health().dropped, tacho.health().lost), (0, 0), "{}", tacho.health());
    });
}
