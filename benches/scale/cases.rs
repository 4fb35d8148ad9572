//! The cases, each in a process of its own.

use super::common::machine::memory_kib;
use super::common::{config, quick};
use serde_json::{Value, json};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::Body;
use tachograph::{Config, Guard, Overflow, component, info, start};

pub(crate) const NAMES: [&str; 7] = [
    "nothing logged",
    "64 threads at once",
    "short-lived threads",
    "components",
    "messages of 256 bytes",
    "messages of 4 KiB",
    "smallest memory",
];

const TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) fn run(name: &str) -> Value {
    // A tenth of it is enough to see that it works.
    let full = |count: u64| if quick() { count / 10 } else { count };
    match name {
        "nothing logged" => logged(name, |config| config, |_| 0),
        "64 threads at once" => logged(name, |config| config, |_| threads(64, full(20_000))),
        "short-lived threads" => logged(name, |config| config, |_| short_lived(full(4_000), 10)),
        "components" => logged(name, |config| config.views_max(2_000), |_| components(full(1_000), 20)),
        "messages of 256 bytes" => logged(name, |config| config, |_| messages(256, full(500_000))),
        "messages of 4 KiB" => logged(name, |config| config, |_| messages(4096, full(50_000))),
        "smallest memory" => {
            let small = |config: Config| config.segments(4).segment_bytes(2 << 20).ring_bytes(256 << 10).rings_spare(1);
            logged(name, small, |_| messages(32, full(100_000)))
        }
        _ => panic!("{name}: no such case"),
    }
}

/// Starts a logger that loses nothing, runs `f`, which says how many records it logged, and looks for them.
fn logged(name: &str, set: impl FnOnce(Config) -> Config, f: impl FnOnce(&Guard) -> u64) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let before = memory_kib("VmRSS");
    let begin = Instant::now();
    let tacho = start(set(config(dir.path()).overflow(Overflow::Block).block_max(TIME_MAX))).unwrap();
    let started = begin.elapsed();
    let begin = Instant::now();
    let records = f(&tacho);
    let called = begin.elapsed();
    tacho.flush(TIME_MAX).unwrap();
    let flushed = begin.elapsed();
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let health = tacho.health();
    assert_eq!((health.called(), health.written, health.dropped), (records, records, 0), "{health}");
    let memory = memory_kib("VmRSS");
    let begin = Instant::now();
    tacho.close(TIME_MAX).unwrap();
    let closed = begin.elapsed();
    assert_eq!(messages_in(dir.path()), records, "{name}: all are in the journal");
    json!({
        "case": name, "records": records, "seconds": flushed.as_secs_f64(), "calls_seconds": called.as_secs_f64(),
        "start_ms": started.as_secs_f64() * 1e3, "close_ms": closed.as_secs_f64() * 1e3,
        "memory_kib": memory, "memory_before_kib": before, "memory_max_kib": memory_kib("VmHWM"),
        "rings": health.rings.0, "open_files": files, "journal_bytes": health.journal_bytes,
    })
}

fn messages_in(dir: &Path) -> u64 {
    let mut follower = Follower::open(LogDir::open(dir).unwrap(), Until::Now, Start::First).unwrap();
    let mut messages = 0;
    while follower.advance() {
        messages += u64::from(matches!(follower.current().unwrap().body, Body::Message { .. }));
    }
    messages
}

fn threads(count: u64, each: u64) -> u64 {
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || (0..each).for_each(|i| info!(target: "bench", "thread {}, record {}", number, i)));
        }
    });
    count * each
}

/// 50 at a time.
fn short_lived(count: u64, each: u64) -> u64 {
    const AT_ONCE: u64 = 50;
    for _ in 0..count / AT_ONCE {
        threads(AT_ONCE, each);
    }
    count / AT_ONCE * AT_ONCE * each
}

fn components(count: u64, each: u64) -> u64 {
    for number in 0..count {
        let component = component(&format!("component_{number}"));
        (0..each).for_each(|i| info!(logger: component, "record {}", i));
    }
    count * each
}

fn messages(bytes: usize, count: u64) -> u64 {
    let text = "x".repeat(bytes);
    (0..count).for_each(|i| info!(target: "bench", "{} {}", i, text.as_str()));
    count
}
