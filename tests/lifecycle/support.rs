//! Directories, small configurations, children, and the lines of a view.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tachograph::Config;
use tempfile::TempDir;

pub(crate) const FLUSH: Duration = Duration::from_secs(60);
const CHILD: &str = "TACHO_LIFECYCLE_CHILD";

/// A log directory and a place for shared memory, both removed at the end, whatever a dead child left there.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) shm: PathBuf,
    _dir: Option<TempDir>,
    _shm: Option<TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shm = tempfile::Builder::new().prefix("tacho-test-").tempdir_in("/dev/shm").unwrap();
        Self { dir: dir.path().join("logs"), shm: shm.path().to_owned(), _dir: Some(dir), _shm: Some(shm) }
    }

    /// Another directory, within this one.
    pub(crate) fn within(&self, name: &str) -> Self {
        Self { dir: self.dir.join(name), shm: self.shm.clone(), _dir: None, _shm: None }
    }

    /// Small enough that many loggers fit on a small machine.
    pub(crate) fn config(&self) -> Config {
        // What health says of this machine is no record of the test.
        Config::new(&self.dir)
            .health_interval(Duration::ZERO)
            .shm_dir(&self.shm)
            .segments(4)
            .segment_bytes(512 << 10)
            .ring_bytes(256 << 10)
            .rings_spare(1)
            .table_bytes(256 << 10)
    }

    /// What the lines of a view say, behind time, level and thread.
    pub(crate) fn messages(&self, view: &str) -> Vec<String> {
        self.lines(view).iter().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect()
    }

    pub(crate) fn lines(&self, view: &str) -> Vec<String> {
        let text = self.text(view);
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text:?}");
        text.lines().map(str::to_owned).collect()
    }

    /// As [`Self::messages`], of a view that other threads write meanwhile: a read sees a write page by page
    /// (ext4 moves the end of the file after each), so the last line may be there to the end of a page only.
    #[allow(dead_code)]
    pub(crate) fn messages_so_far(&self, view: &str) -> Vec<String> {
        let text = self.text(view);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect()
    }

    fn text(&self, view: &str) -> String {
        let text = fs::read_to_string(self.dir.join(format!("{view}.log"))).unwrap_or_default();
        assert!(!text.contains('\0'));
        text
    }

    /// Folders of processes that are in shared memory.
    pub(crate) fn live_folders(&self) -> usize {
        let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        folders(&self.shm).map(|parent| folders(&parent).filter(|path| path.is_dir()).count()).sum()
    }
}

/// Runs `body` in a process of its own, which is this binary with only the test `name`; returns how it ended.
///
/// The test function is entered in both processes; in the child, this call does not return.
pub(crate) fn child(name: &str, body: impl FnOnce(&Place)) -> (Place, Output) {
    if let Ok(paths) = std::env::var(CHILD) {
        let (dir, shm) = paths.split_once('|').unwrap();
        body(&Place { dir: dir.into(), shm: shm.into(), _dir: None, _shm: None });
        // Not by returning: a test harness does things at its end that a program does not.
        std::process::exit(0);
    }
    let place = Place::new();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(CHILD, format!("{}|{}", place.dir.display(), place.shm.display()))
        .output()
        .unwrap();
    (place, output)
}

/// Whether this process is such a child.
#[allow(dead_code)]
pub(crate) fn is_child() -> bool {
    std::env::var(CHILD).is_ok()
}

/// As [`child`], for one that must end well.
pub(crate) fn good_child(name: &str, body: impl FnOnce(&Place)) -> Place {
    let (place, output) = child(name, body);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    place
}

/// A thread with a name.
pub(crate) fn named<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).unwrap().join().unwrap()
}
