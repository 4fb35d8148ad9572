//! Errors at every system call of the worker, put in by strace.

use crate::driver::{Place, Run, good_child, skip};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What the worker asks of the disk.
const CALLS: [&str; 13] = [
    "pwrite64",
    "write",
    "openat",
    "fsync",
    "fdatasync",
    "renameat",
    "renameat2",
    "unlinkat",
    "ftruncate",
    "newfstatat",
    "fstat",
    "getdents64",
    "pread64",
];
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EDQUOT", "EROFS"];

/// Occurrences of each call that fail in turn.
fn occurrences() -> u32 {
    std::env::var("TACHO_DISK_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Fails system calls of this process's worker until it is dropped.
struct Failing(Child);

impl Failing {
    fn begin(inject: &str) -> Result<Self, String> {
        // SAFETY: no memory is passed; anybody of this user may trace this test.
        unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
        let worker = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|task| task.unwrap())
            .find(|task| {
                std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "tacho-worker")
            })
            .expect("a worker");
        let mut child = Command::new("strace")
            .args(["-o", "/dev/null", "-e", &format!("inject={inject}"), "-p", worker.file_name().to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace: {error}"))?;
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        if line.contains("attached") {
            return Ok(Self(child));
        }
        let _ = child.wait();
        Err(line)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // SAFETY: the child was started by this process and was not waited for yet.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGINT) };
        let _ = self.0.wait();
    }
}

/// Whether strace can be used at all; says so where it cannot.
fn can_trace(test: &str) -> bool {
    let place = Place::new();
    let mut run = Run::start(place.config(), &place.dir);
    run.log_calmly(100);
    let tried = Failing::begin("fsync:error=EIO:when=60000").map(drop);
    drop(run);
    if let Err(why) = &tried {
        assert!(!why.contains("invalid"), "{why}");
        skip(test, why);
    }
    tried.is_ok()
}

#[test]
fn each_call_fails_once_at_each_of_its_first_occurrences() {
    let name = "syscalls::each_call_fails_once_at_each_of_its_first_occurrences";
    good_child(name, || {
        if !can_trace(name) {
            return;
        }
        let place = Place::new();
        let mut run = Run::start(place.config(), &place.dir);
        // Before that the worker may not have its name yet.
        run.log_calmly(100);
        for (index, call) in CALLS.iter().enumerate() {
            for when in 1..=occurrences() {
                let error = ERRORS[(index + when as usize) % ERRORS.len()];
                let failing = Failing::begin(&format!("{call}:error={error}:when={when}")).unwrap();
                // Enough for a rotation of segment and view, and all that follows on it.
                run.log_calmly(1200);
                run.sync();
                drop(failing);
            }
        }
        run.wait_for_service();
        assert!(run.tacho.health().disk_errors > 0);
        run.close().assert_exact_or_given_up();
    });
}

#[test]
fn for_a_while_nothing_can_be_written() {
    let name = "syscalls::for_a_while_nothing_can_be_written";
    good_child(name, || {
        if !can_trace(name) {
            return;
        }
        let advice =
            [("ENOSPC", "free some space"), ("EIO", "kernel's log"), ("EDQUOT", "quota"), ("EROFS", "writable again")];
        for (error, words) in advice {
            let place = Place::new();
            let mut run = Run::start(place.config().archive_compress(false).view_compress(false), &place.dir);
            run.log_calmly(300);
            let failing =
                Failing::begin(&format!("pwrite64,write,openat,fsync,fdatasync,renameat,renameat2:error={error}"));
            let failing = failing.unwrap();
            run.log_until_trouble(words);
            run.log_until("records are dropped", |health| health.dropped_full > 0);
            drop(failing);
            run.wait_for_service();
            run.log_calmly(300);
            run.close().assert_exact_or_given_up();
        }
    });
}
