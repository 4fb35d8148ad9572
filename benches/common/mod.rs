//! What the benchmarks share: the calls, and the check that what they logged is there.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unused_imports,
    reason = "shared by benchmarks that need different parts of it"
)]

pub mod machine;
pub mod ticks;
pub mod timing;

use std::path::{Path, PathBuf};
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::Body;
use tachograph::{Config, WriterCore};

/// What the `String` cases log: 32 bytes.
pub const TEXT: &str = "ORDER-ACCEPTED-XNAS-AAPL-0012345";
pub const TARGET: &str = "bench";

/// The call that all the loggers in FACTS.md were measured with: two integers and a float.
#[macro_export]
macro_rules! numbers {
    ($i:expr) => {
        tachograph::info!(target: "bench", "Logging iteration: {}, int: {}, double: {}", $i, $i ^ 1, $i as f64)
    };
    (logger: $logger:expr, $i:expr) => {
        tachograph::info!(
            logger: $logger, target: "bench", "Logging iteration: {}, int: {}, double: {}", $i, $i ^ 1, $i as f64
        )
    };
}

/// The same with a string.
#[macro_export]
macro_rules! text {
    ($i:expr, $text:expr) => {
        tachograph::info!(target: "bench", "Logging iteration: {}, int: {}, double: {}, {}", $i, $i ^ 1, $i as f64, $text)
    };
}

pub fn numbers_line(i: u64) -> String {
    format!("Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64)
}

pub use machine::{cores, pin};

/// Where results go: `<target>/bench`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench")
}

/// Whether only the checks are wanted.
pub fn quick() -> bool {
    std::env::args().any(|arg| arg == "--test")
}

/// Over how many rounds medians are taken: 5, or what `ROUNDS` says.
pub fn rounds() -> usize {
    let wanted = std::env::var("ROUNDS").ok().map(|rounds| rounds.parse().unwrap());
    if quick() { 1 } else { wanted.unwrap_or(5) }
}

/// Runs this benchmark again, built with what it measures inside of the library: `cargo bench` alone runs everything.
pub fn again_with_internals(name: &str) {
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["bench", "--features", "testing", "--bench", name]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("")).arg("--");
    cargo.args(std::env::args().skip(1).filter(|argument| argument != "--bench"));
    assert!(cargo.status().unwrap().success(), "{name}, built with the feature `testing`");
}

/// The core of the writer: the second one, the producer has the first.
pub fn writer_core() -> WriterCore {
    cores().1.map_or(WriterCore::Unpinned, WriterCore::Core)
}

/// The defaults, but for where the writer runs and for limits that would delete what is to be checked.
pub fn config(dir: &Path) -> Config {
    Config::new(dir)
        .writer_core(writer_core())
        .view_bytes_max(1_u64 << 32)
        .archive_bytes_max(1_u64 << 34)
        .archive_compress(false)
}

/// Reads the journal: calls `each` with the first argument of each message of the benchmark, and says how many messages there
/// are and how many are said to be dropped.
pub fn read_journal(dir: &Path, mut each: impl FnMut(u64, &str)) -> (u64, u64) {
    let mut follower = Follower::open(LogDir::open(dir).unwrap(), Until::Now, Start::First).unwrap();
    let (mut messages, mut dropped, mut text) = (0, 0, String::new());
    while follower.advance() {
        let record = follower.current().unwrap();
        match record.body {
            Body::Message { site, payload } if record.target == TARGET => {
                text.clear();
                site.plan.message(payload, &mut text).unwrap();
                let i = text.trim_start_matches("Logging iteration: ").split(',').next().unwrap().parse().unwrap();
                each(i, &text);
                messages += 1;
            }
            Body::Dropped { count, .. } => dropped += count,
            Body::Message { .. } | Body::Note { .. } => {}
            ref body => panic!("{body:?}"),
        }
    }
    (messages, dropped)
}
