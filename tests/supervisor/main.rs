//! Services in threads and in processes: isolation, restarts, order, ends; the example `trading_platform` under a panic, a
//! kill, and a full disk of one component; the service manager's watchdog and units.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that fails says so"
)]

mod platform;
mod processes;
#[path = "../support/mod.rs"]
mod shared;
mod systemd;
mod threads;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tachograph::health::look::look;
use tachograph::health::vitals::ServiceState;
use tachograph::{Config, Guard};

/// Far more than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a condition that must come.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

static GLOBAL: Mutex<()> = Mutex::new(());

/// The global logger, for one test at a time.
pub struct Logger {
    pub tacho: Guard,
    _alone: MutexGuard<'static, ()>,
}

pub fn logger(dir: &Path) -> Logger {
    let alone = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    let tacho = tachograph::start(small(dir)).unwrap();
    Logger { tacho, _alone: alone }
}

/// What health says of this machine is no record of a test.
pub fn small(dir: &Path) -> Config {
    Config::new(dir)
        .health_interval(Duration::ZERO)
        .segments(4_usize)
        .segment_bytes(512_usize << 10)
        .ring_bytes(256_usize << 10)
        .rings_spare(4_usize)
}

pub fn text(dir: &Path, component: &str) -> String {
    fs::read_to_string(dir.join(format!("{component}.log"))).unwrap_or_default()
}

/// The services of all processes of the directory, as anybody sees them.
pub fn services(dir: &Path) -> Vec<ServiceState> {
    look(dir)
        .map(|found| found.processes.into_iter().flat_map(|process| process.services).collect())
        .unwrap_or_default()
}

pub fn tacho(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.arg("-D").arg(dir).args(args).env_remove("TACHO_DIR").env("TZ", "UTC");
    command
}

/// What a command that must succeed says.
pub fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {:?}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

pub fn signal(pid: u32, number: i32) {
    // SAFETY: a system call without pointers.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), number) }, 0, "{pid} is gone");
}

/// A process is gone, or dead and not waited for.
pub fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// A child that does not outlive the test.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ends {
    pub fn code(&mut self) -> Option<i32> {
        until("the end", || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap().code()
    }
}

/// An example stands beside the directory of the tests: `cargo test` builds all examples.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build --example {name}", path.display());
    path
}
