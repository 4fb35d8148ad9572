//! The course that every fault goes through: log, inject, log, relieve, log, check.

use crate::shared::{lines, message, stated_drops};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tachograph::{Config, Guard, Health, info, start_isolated};
use tempfile::TempDir;

/// Long enough for any machine; never waited for when all is well.
pub const LONG: Duration = Duration::from_secs(60);
const CHILD: &str = "TACHO_DISK_FAULTS_CHILD";
/// What the records' numbers are followed by.
const PADDING: &str = "some words that make the record as long as records are";

/// Shared memory for one test, and a log directory beside it where the test brings none.
pub struct Place {
    pub dir: PathBuf,
    shm: PathBuf,
    _kept: Vec<TempDir>,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut place = Self::at(&dir.path().join("logs"));
        place._kept.push(dir);
        place
    }

    /// For the log directory `dir`.
    pub fn at(dir: &Path) -> Self {
        let shm = tempfile::Builder::new().prefix("tacho-test-").tempdir_in("/dev/shm").unwrap();
        Self { dir: dir.to_owned(), shm: shm.path().to_owned(), _kept: vec![shm] }
    }

    /// Small segments, so that all of the worker's operations come often.
    pub fn config(&self) -> Config {
        Config::new(&self.dir)
            .shm_dir(&self.shm)
            .segments(4)
            .segment_bytes(64 << 10)
            .record_bytes_max(4 << 10)
            .ring_bytes(64 << 10)
            .rings_spare(1)
            .table_bytes(64 << 10)
            .view_bytes_max(64 << 10)
            .view_backups(1000)
            .view_compress_delay(Duration::ZERO)
    }
}

/// A logger under fault.
pub struct Run {
    pub dir: PathBuf,
    pub tacho: Guard,
    called: u64,
}

/// What is left at the end.
pub struct Left {
    pub health: Health,
    /// The numbers of the records in the view.
    pub numbers: Vec<u64>,
    /// What the logger itself said.
    pub own: Vec<String>,
    pub called: u64,
}

impl Run {
    pub fn start(config: Config, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), tacho: start_isolated(config).unwrap(), called: 0 }
    }

    /// Logs `count` numbered records, as fast as they are taken.
    pub fn log(&mut self, count: u64) {
        for _ in 0..count {
            info!(logger: self.tacho, target: "faults", "{} {PADDING}", self.called);
            self.called += 1;
        }
    }

    /// Logs `count` records in bursts that are in the views before the next one is logged.
    pub fn log_calmly(&mut self, count: u64) {
        for _ in 0..count / 100 {
            self.log(100);
            self.flush();
        }
    }

    pub fn flush(&self) {
        self.tacho.flush(LONG).unwrap_or_else(|error| {
            let files = Command::new("ls").arg("-lAR").arg(&self.dir).output().unwrap();
            panic!("{error}\n{}\n{}", self.tacho.health(), String::from_utf8_lossy(&files.stdout))
        });
    }

    pub fn sync(&self) {
        self.tacho.sync(LONG).unwrap_or_else(|error| panic!("{error}\n{}", self.tacho.health()));
    }

    /// Logs until health says `words`.
    pub fn log_until_trouble(&mut self, words: &str) {
        self.log_until(words, |health| health.trouble.as_deref().is_some_and(|trouble| trouble.contains(words)));
    }

    /// Logs until health is as wanted; `what` says what that is.
    pub fn log_until(&mut self, what: &str, is_so: impl Fn(&Health) -> bool) {
        let begin = Instant::now();
        while !is_so(&self.tacho.health()) {
            assert!(begin.elapsed() < LONG, "not so: {what}\n{}", self.tacho.health());
            self.log(20);
            // A pace that a healthy disk keeps up with.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until health knows of no trouble any more.
    pub fn wait_for_service(&mut self) {
        self.log_until("no trouble", |health| health.trouble.is_none());
        self.flush();
    }

    /// Closes the logger and reads what it left. Nothing may be doubled, out of order, or lost without being counted.
    pub fn close(self) -> Left {
        self.close_with(0)
    }

    /// How many records were logged.
    pub fn called(&self) -> u64 {
        self.called
    }

    /// As [`close`](Self::close), where `others` records went elsewhere, all of which were found there.
    pub fn close_with(self, others: u64) -> Left {
        let left = self.close_without_statements();
        assert_eq!(left.health.called(), left.called + others, "{}", left.health);
        let stated = stated_drops(left.own.iter().map(String::as_str), "ring full");
        assert_eq!(stated, left.health.dropped_full, "{:?}\n{}", left.own, left.health);
        left
    }

    /// As [`close`](Self::close), where the logger's own words may be gone.
    pub fn close_without_statements(self) -> Left {
        self.flush();
        self.tacho.sync(LONG).unwrap();
        let health = self.tacho.health();
        self.tacho.close(LONG).unwrap();
        let numbers: Vec<u64> = lines(&self.dir, "faults")
            .iter()
            .map(|line| {
                let (number, rest) = message(line).split_once(' ').unwrap_or_else(|| panic!("torn: {line}"));
                assert_eq!(rest, PADDING, "torn: {line}");
                number.parse().unwrap()
            })
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "doubled or out of order");
        let own = lines(&self.dir, "tachograph").iter().map(|line| message(line).to_owned()).collect();
        let left = Left { health, numbers, own, called: self.called };
        let health = &left.health;
        assert!(health.trouble.is_none(), "{health}");
        assert_eq!(health.called(), health.written + health.dropped + health.sampled_out);
        left
    }
}

impl Left {
    /// Every record is in the view, or counted.
    pub fn assert_exact(&self) {
        let missing = self.called - self.numbers.len() as u64;
        assert_eq!(missing, self.health.dropped + self.health.lost, "{}\n{:?}", self.health, self.own);
    }

    /// Every record from the first that is left on is in the view, or counted: only the oldest were given up.
    pub fn assert_only_the_oldest_went(&self) {
        let first = self.numbers.first().copied().unwrap_or(self.called);
        let missing = self.called - first - self.numbers.len() as u64;
        assert!(missing <= self.health.dropped + self.health.lost, "{missing} missing\n{}", self.health);
        assert!(first == 0 || self.health.given_up_backups > 0, "{}", self.health);
    }

    /// As one of the two above, whichever holds for what was given up.
    pub fn assert_exact_or_given_up(&self) {
        self.assert_only_the_oldest_went();
        if self.health.given_up_backups == 0 {
            self.assert_exact();
        }
    }

    pub fn assert_all_there(&self) {
        assert_eq!((self.health.dropped, self.health.lost), (0, 0), "{}", self.health);
        let expected: BTreeSet<u64> = (0..self.called).collect();
        assert_eq!(self.numbers.iter().copied().collect::<BTreeSet<_>>(), expected);
    }

    /// Whether the log itself says `words`.
    pub fn says(&self, words: &str) -> bool {
        self.own.iter().any(|message| message.contains(words))
    }
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Says loudly that a test could not be run.
pub fn skip(test: &str, why: &str) {
    // Not by a macro, whose output the test harness keeps for itself.
    let _ = writeln!(std::io::stderr(), "\n==== SKIPPED {test}: {why} ====\n");
}

/// Whether this is the child that runs a test's body.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs `body` in a process of its own: this binary with only the test `name`, started by `prefix`, if there is one.
/// `None` in the child itself, and when that said that it cannot be tried here.
pub fn child(name: &str, prefix: &[&str], body: impl FnOnce()) -> Option<Output> {
    if is_child() {
        body();
        std::process::exit(0);
    }
    let me = std::env::current_exe().unwrap();
    let mut words = prefix.iter().map(std::ffi::OsString::from).chain([me.into_os_string()]);
    let output = Command::new(words.next().unwrap())
        .args(words)
        .args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(CHILD, "1")
        .output();
    output.ok()
}

/// As [`child`], for one that must end well.
pub fn good_child(name: &str, body: impl FnOnce()) {
    let output = child(name, &[], body).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(said) = text(&output.stderr).lines().find(|line| line.contains("SKIPPED")) {
        let _ = writeln!(std::io::stderr(), "\n{said}\n");
    }
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}
