//! The hot path does no allocation and no system call; the writer makes none for its work, and nobody but the worker
//! touches the disk.
//!
//! What has to be seen from outside runs in a child: this same program, with one of the ignored tests below.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test")]

mod allocation;
mod kinds;
mod rotation;
mod seccomp;

use std::path::{Path, PathBuf};
use std::process::Command;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::Body;

/// Where the child logs to.
const DIR: &str = "TACHO_TEST_DIR";

/// This program, to run its ignored test `name`.
fn child(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]).env(DIR, dir);
    command
}

/// In the child: the directory.
fn child_dir() -> PathBuf {
    std::env::var_os(DIR).expect("run by the test that is its parent").into()
}

/// What the journal of `dir` holds: the messages in their order, and how many records it says were dropped.
fn journal(dir: &Path, target: &str) -> (Vec<String>, u64) {
    let mut follower = Follower::open(LogDir::open(dir).unwrap(), Until::Now, Start::First).unwrap();
    let (mut messages, mut dropped) = (Vec::new(), 0);
    while follower.advance() {
        let record = follower.current().unwrap();
        match record.body {
            Body::Message { site, payload } if record.target == target => {
                let mut text = String::new();
                site.plan.message(payload, &mut text).unwrap();
                messages.push(text);
            }
            Body::Message { .. } | Body::Note { .. } => {}
            Body::Dropped { count, .. } => dropped += count,
            ref body => panic!("{body:?}"),
        }
    }
    (messages, dropped)
}
