//! The whole pipeline under load: nothing lost, nothing twice, order kept, losses counted and stated.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use support::{lines, message, stated_drops};
use tachograph::{Config, Guard, Overflow, info, start_isolated};

const FLUSH: Duration = Duration::from_secs(120);

fn config(dir: &Path) -> Config {
    // What health says of this machine is no record of the test.
    Config::new(dir).health_interval(Duration::ZERO).view_bytes_max(8_u64 << 20).view_backups(1_000_u32)
}

/// `threads` threads log `each` records `"<thread> <number>"` to the target `load`.
fn load(tacho: &Guard, threads: u64, each: u64) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let logger = tacho.logger().clone();
            std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn_scoped(scope, move || {
                    for number in 0..each {
                        info!(logger: logger, target: "load", "{} {}", thread, number);
                    }
                })
                .unwrap();
        }
    });
}

/// Checks order in time and per thread; returns how many records of each thread stand there, and how many lines are late.
fn check_order(lines: &[String], gaps_allowed: bool) -> (BTreeMap<u64, u64>, u64) {
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    let mut count: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut time, mut late) = (String::new(), 0);
    for line in lines {
        let mut parts = line.split_whitespace();
        let now = parts.next().unwrap();
        if line.ends_with("(late)") {
            late += 1;
        } else {
            assert!(now >= time.as_str(), "time goes back: {time} {line}");
            time = now.to_owned();
        }
        let words: Vec<&str> = line.split("] ").nth(1).unwrap().split(' ').collect();
        let (thread, number): (u64, u64) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        assert!(line.contains(&format!("[load-{thread}]")), "{line}");
        let expected = next.entry(thread).or_default();
        assert!(if gaps_allowed { number >= *expected } else { number == *expected }, "{line}: expected {expected}");
        *expected = number + 1;
        *count.entry(thread).or_default() += 1;
    }
    (count, late)
}

#[test]
fn eight_threads_that_wait_for_room_lose_nothing() {
    let each: u64 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path()).overflow(Overflow::Block).ring_bytes(256_usize << 10)).unwrap();
    load(&tacho, 8, each);
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    let lines = lines(dir.path(), "load");
    let (count, late) = check_order(&lines, false);
    assert_eq!(count, (0..8).map(|thread| (thread, each)).collect());
    assert_eq!(health.written, 8 * each);
    assert_eq!(health.dropped, 0);
    assert_eq!(late, health.late);
}

#[test]
fn a_tiny_ring_drops_counts_and_says_where() {
    let each: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let dir = tempfile::tempdir().unwrap();
    let tacho = start_isolated(config(dir.path()).ring_bytes(64_usize << 10)).unwrap();
    load(&tacho, 4, each);
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert!(health.dropped > 0, "the ring was not small enough for this test");
    assert_eq!(health.written + health.dropped, 4 * each);
    let shown = lines(dir.path(), "load");
    let (count, _) = check_order(&shown, true);
    assert_eq!(count.values().sum::<u64>(), health.written);
    // What the statements say is what is missing.
    let statements = lines(dir.path(), "tachograph");
    let stated = stated_drops(statements.iter().map(|line| message(line)), "ring full");
    assert_eq!(stated, health.dropped);
}

/// A directory stands where the view's file should be: that view waits, the others go on, and when the way is free it
/// gets what it missed, once.
#[test]
fn a_view_that_cannot_be_written_waits_alone_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("blocked.log")).unwrap();
    let tacho = start_isolated(config(dir.path())).unwrap();
    for number in 0..20_000_u64 {
        info!(logger: &tacho, target: "blocked", "{}", number);
        info!(logger: &tacho, target: "free", "{}", number);
        if number % 1_000 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // The lines of the others may take a while.
    let until = std::time::Instant::now() + FLUSH;
    loop {
        let error = tacho.flush(Duration::from_millis(500)).unwrap_err();
        assert!(error.is_timeout() && std::time::Instant::now() < until, "{error}");
        if error.to_string().contains("blocked.log") && lines(dir.path(), "free").len() == 20_000 {
            break;
        }
    }
    assert!(tacho.health().to_string().contains("blocked.log"));
    assert_eq!(lines(dir.path(), "free").len(), 20_000);
    std::fs::remove_dir(dir.path().join("blocked.log")).unwrap();
    tacho.flush(FLUSH).unwrap();
    let found: Vec<u64> = lines(dir.path(), "blocked").iter().map(|line| message(line).parse().unwrap()).collect();
    assert_eq!(found, (0..20_000).collect::<Vec<u64>>());
    assert!(tacho.health().trouble.is_none());
}
