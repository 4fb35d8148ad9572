//! A log directory with its place in shared memory, and `tacho collect` at work on it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `is_so`, and fails when it takes for ever.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} until {what}");
        std::thread::sleep(LOOK);
    }
}

/// Where a test logs to.
pub struct Place {
    path: PathBuf,
    shm: PathBuf,
    _own: Option<(TempDir, TempDir)>,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shm = tempfile::Builder::new().prefix("tacho-test-").tempdir_in("/dev/shm").unwrap();
        Self { path: dir.path().to_owned(), shm: shm.path().to_owned(), _own: Some((dir, shm)) }
    }

    /// The place of somebody else, who removes it.
    pub fn of(path: &Path, shm: &Path) -> Self {
        Self { path: path.to_owned(), shm: shm.to_owned(), _own: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn dir(&self) -> PathBuf {
        self.path.join("logs")
    }

    pub fn shm(&self) -> &Path {
        &self.shm
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Live folders of processes.
    pub fn live_folders(&self) -> usize {
        let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        folders(&self.shm).map(|parent| folders(&parent).filter(|path| path.is_dir()).count()).sum()
    }
}

/// A running `tacho collect`, killed when it is dropped.
pub struct Collector {
    process: Child,
    talk: NamedTempFile,
}

impl Collector {
    pub fn start(place: &Place, more: &[&str]) -> Self {
        let talk = NamedTempFile::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
        command.arg("collect").arg("-D").arg(place.dir()).arg("--shm-dir").arg(place.shm()).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(talk.reopen().unwrap());
        Self { process: command.spawn().unwrap(), talk }
    }

    /// What it said by now.
    pub fn said(&self) -> String {
        fs::read_to_string(self.talk.path()).unwrap()
    }

    #[track_caller]
    pub fn until_said(&self, what: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.said().lines().any(|line| line.contains(what)) {
            assert!(Instant::now() < end, "it does not say {what:?}, but: {}", self.said());
            std::thread::sleep(LOOK);
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory preconditions; the child was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(self.process.id() as i32, signal) }, 0);
    }

    /// Stops it; returns when all of its threads stand still.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.process.id());
        let stands = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        until("the collector stands still", || fs::read_dir(&tasks).unwrap().all(|task| stands(task.unwrap())));
    }

    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub fn end(self) {
        self.signal(libc::SIGTERM);
        self.ended();
    }

    /// Waits until it has ended well.
    #[track_caller]
    pub fn ended(mut self) {
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.said());
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
