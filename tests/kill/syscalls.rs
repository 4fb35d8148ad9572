//! Killed before, or after, or refused, the n-th of each kind of system call of each thread, by `strace -e inject`.
//!
//! A sample by default; `TACHO_SWEEP=all` goes over all of them, `TACHO_SWEEP=rename` over those of that name: for each
//! kind, n goes up until a run is not touched.

use crate::load::REFUSED;
use crate::place::{Dice, Place, until};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// `write` to a view's file: n counts for each thread from its first call, and others write earlier than the worker.
const APPEND: &str = "append";
/// Those that start, worker, recovery and close make, in their own number.
const CALLS: [&str; 26] = [
    APPEND,
    "openat",
    "mkdir",
    "mkdirat",
    "flock",
    "fallocate",
    "ftruncate",
    "write",
    "pwrite64",
    "pread64",
    "read",
    "fstat",
    "statx",
    "newfstatat",
    "fdatasync",
    "fsync",
    "renameat2",
    "renameat",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "getdents64",
    "mmap",
    "munmap",
    "clone3",
];
/// What the disk may answer, and to which calls.
const REFUSALS: [(&str, &str); 14] = [
    ("openat", "EMFILE"),
    ("mkdir", "ENOSPC"),
    ("fallocate", "ENOSPC"),
    ("write", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pread64", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("renameat2", "EIO"),
    ("renameat", "EIO"),
    ("unlink", "EACCES"),
    ("unlinkat", "EACCES"),
    ("getdents64", "EIO"),
    ("statx", "EIO"),
];
/// What once failed: tried in every run.
const KNOWN: [(&str, &str); 3] = [
    // Recovery took a control page at which it could not look for a damaged one.
    ("recover", "statx:error=EIO:when=9"),
    // A checkpoint that could not be made before the first lines was a trouble that nothing ended, and so was closing.
    ("short", "fdatasync:error=EIO:when=2"),
    // A page of shared memory at which the worker could not look for a moment was given up as overwritten by others.
    ("short", "statx:error=EIO:when=9"),
];
/// Holds the thread at the end of the call, in microseconds: it is killed there before its next instruction.
const HOLD: &str = "delay_exit=60000000";
/// So long a thread stands still only when it is held.
const HELD: Duration = Duration::from_millis(20);
/// In a sample, n is at most this.
const SAMPLE_MAX: u64 = 14;
/// A refusal does not end the run, so the last n cannot be told by that.
const SWEEP_MAX: u64 = 40;

/// `strace` that does `injection` to what it runs; `None` where it cannot.
fn strace(injection: &str, logs: &Path) -> Command {
    let appended = injection.strip_prefix(APPEND).map(|rest| format!("write{rest}"));
    let injection = appended.as_deref().unwrap_or(injection);
    let call = injection.split(':').next().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    // Stops at the wanted calls only, which is faster; but strace 6.1 then delivers no signal that it injects.
    if !injection.contains("signal=") {
        command.arg("--seccomp-bpf");
    }
    command.args([format!("--trace={call}"), format!("--inject={injection}")]);
    if appended.is_some() {
        command.arg("-P").arg(logs.join("load.log"));
    }
    command
}

fn can_trace() -> bool {
    let tried = strace("fsync:signal=SIGKILL:when=1", Path::new("/")).arg("true").stderr(Stdio::null()).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: no injection into system calls: strace is missing (apt install strace), or may not trace");
    }
    can
}

/// Kills the process when one of its threads is held at the end of a system call; nothing more comes from it.
fn kill_held(tracer: &mut Child, seen: &mut Option<(u64, Instant)>) {
    let strace = tracer.id();
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap_or_default();
    let Some(process) = children.split_whitespace().next_back() else { return };
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let held = |task: &u64| {
        let about = std::fs::read_to_string(format!("/proc/{process}/task/{task}/stat")).unwrap_or_default();
        about.rsplit(')').next().is_some_and(|rest| rest.starts_with(" t "))
    };
    let now = tasks.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).find(held);
    match (now, &seen) {
        (Some(task), Some((before, since))) if task == *before && since.elapsed() > HELD => {
            // SAFETY: our own child's child, which is held and so cannot have ended.
            unsafe { libc::kill(process.parse().unwrap(), libc::SIGKILL) };
            // It holds the dead one too.
            tracer.kill().unwrap();
            // Its first thread may be over before the others.
            let tasks = || std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
            let about = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            until("its death", || tasks().map(about).all(|about| about.is_empty() || about.contains(") Z ")));
        }
        (Some(task), Some((before, _))) if task == *before => {}
        (Some(task), _) => *seen = Some((task, Instant::now())),
        (None, _) => *seen = None,
    }
}

/// A run of `role` with the injection, then recovery, then the oracle.
fn inject(role: &str, injection: &str) -> ExitStatus {
    let place = Place::new();
    if role == "recover" {
        place.spawn("die", 300).0.wait().unwrap();
    }
    let begin = Instant::now();
    let mut command = strace(injection, &place.logs);
    command.arg(std::env::current_exe().unwrap());
    let (mut child, _) = place.spawn_by(command, role, 500);
    let (mut status, mut seen) = (None, None);
    until(injection, || {
        if injection.contains(HOLD) {
            kill_held(&mut child, &mut seen);
        }
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if is_sweep() {
        println!("{role} with inject={injection}: {status:?} after {:?}", begin.elapsed());
    }
    place.recover();
    place.check(&format!("{role} with inject={injection}"));
    status.unwrap()
}

/// Whether all of the calls of this name are wanted, and whether anything is.
fn is_swept(call: &str) -> bool {
    std::env::var("TACHO_SWEEP").is_ok_and(|text| text == "all" || text == call)
}

fn is_sweep() -> bool {
    std::env::var("TACHO_SWEEP").is_ok()
}

/// `how` is the injection: a kill at the begin of the call, or a stop at its end.
fn kills(role: &str, how: &str) {
    if !can_trace() {
        return;
    }
    let mut dice = Dice::new(&format!("{role}: {how}"));
    let is_killed =
        |call: &str, number: u64| inject(role, &format!("{call}:{how}:when={number}")).signal() == Some(libc::SIGKILL);
    let mut killed = 0;
    if is_sweep() {
        for call in CALLS.into_iter().filter(|call| is_swept(call)) {
            let times = (1..).find(|number| !is_killed(call, *number)).unwrap() - 1;
            println!("{role}: {how} at each of {times} times {call}");
            killed += times;
        }
        println!("{role}: {how}: killed {killed} times");
    } else {
        for _ in 0..8 {
            let call = CALLS[dice.below(CALLS.len() as u64) as usize];
            killed += u64::from(is_killed(call, 1 + dice.below(SAMPLE_MAX)));
        }
        // Threads make few of some calls.
        assert!(killed >= 2, "of 8 runs, {killed} were killed: the injection does not work");
    }
}

fn refusals(role: &str) {
    if !can_trace() {
        return;
    }
    let mut dice = Dice::new(&format!("{role}: refused"));
    for (call, error) in REFUSALS {
        let numbers = match is_sweep() {
            true if is_swept(call) => 1..=SWEEP_MAX,
            false if dice.below(3) == 0 => {
                let one = 1 + dice.below(SAMPLE_MAX);
                one..=one
            }
            _ => continue,
        };
        for number in numbers {
            refuse(role, &format!("{call}:error={error}:when={number}"));
        }
    }
}

fn refuse(role: &str, injection: &str) {
    let status = inject(role, injection);
    // Closing works at the next attempt. 101 and 127: what comes before `start` was refused, or the loading.
    let known = [Some(0), Some(REFUSED), Some(101), Some(127)].contains(&status.code());
    assert!(known || status.signal() == Some(libc::SIGABRT), "{injection}: {status:?}");
}

#[test]
fn what_once_failed_is_refused_again() {
    if can_trace() {
        KNOWN.into_iter().for_each(|(role, injection)| refuse(role, injection));
    }
}

#[test]
fn killed_before_system_calls_of_a_run() {
    kills("short", "signal=SIGKILL");
}

#[test]
fn killed_before_system_calls_of_recovery() {
    kills("recover", "signal=SIGKILL");
}

#[test]
fn killed_after_system_calls_of_a_run() {
    kills("short", HOLD);
}

#[test]
fn killed_after_system_calls_of_recovery() {
    kills("recover", HOLD);
}

#[test]
fn refused_system_calls_of_a_run() {
    refusals("short");
}

#[test]
fn refused_system_calls_of_recovery() {
    refusals("recover");
}
