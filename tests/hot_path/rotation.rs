//! What the threads of a logger ask of the kernel while segments rotate, as `strace` sees it.

use super::{child, child_dir, journal};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tachograph::{Config, Overflow, info, prepare_thread, start};

const SEGMENT_BYTES: usize = 64 << 10;
const SEGMENTS: u64 = 200;
const THREADS: u64 = 2;
/// More than enough records to fill the segments.
const CALLS: u64 = SEGMENTS * SEGMENT_BYTES as u64 / 64;
/// Archived segments that must be compressed when the child ends.
const COMPRESSED_MIN: usize = 10;

/// What the writer may ask for: its idle strategy, and the rest of a sleep that the tracer interrupted.
const IDLE: [&str; 4] = ["nanosleep", "clock_nanosleep", "sched_yield", "restart_syscall"];
/// What opens a file, or changes one.
const FILE: [&str; 14] = [
    "open",
    "openat",
    "openat2",
    "creat",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "ftruncate",
    "fallocate",
    "rename",
    "unlink",
    "fsync",
];

#[test]
fn two_hundred_segments_rotate_without_a_system_call_of_the_writer_and_no_record_is_lost() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("SKIPPED: there is no strace here (apt-get install strace)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let logs = dir.path().join("logs");
    let program = child("rotation::child_that_rotates", &logs);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "200", "-o"]).arg(&trace).arg(program.get_program()).args(program.get_args());
    strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("PTRACE_TRACEME") {
        eprintln!("SKIPPED: strace may not trace here");
        return;
    }
    assert!(output.status.success(), "{:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr));

    let calls = Trace::read(&trace);
    assert!(calls.writer.iter().all(|call| IDLE.contains(&call.name.as_str())), "{:?}", calls.strange_of_writer());
    assert!(calls.others > 0, "the worker was traced as well");
    for call in calls.writer.iter().chain(&calls.application) {
        let maps_file = call.name == "mmap" && !call.line.contains("MAP_ANONYMOUS");
        assert!(!maps_file && !FILE.contains(&call.name.as_str()), "{}", call.line);
    }

    let (messages, dropped) = journal(&logs, "rotation");
    assert_eq!((messages.len() as u64, dropped), (CALLS * THREADS, 0));
    for thread in 0..THREADS {
        let start = format!("thread {thread} ");
        let of_thread = messages.iter().filter_map(|line| line.strip_prefix(&start));
        let numbers: Vec<u64> = of_thread.map(|rest| rest.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(numbers.into_iter().eq(0..CALLS), "in order, none twice");
    }
    let compressed = segments(&logs, "gz");
    assert!(compressed.len() >= COMPRESSED_MIN, "{}", compressed.len());
    let gzip = Command::new("gzip").arg("-t").args(&compressed).output().unwrap();
    assert!(gzip.status.success(), "{}", String::from_utf8_lossy(&gzip.stderr));
}

#[test]
#[ignore = "runs as a child"]
fn child_that_rotates() {
    let config = Config::new(child_dir())
        .segment_bytes(SEGMENT_BYTES)
        .segments(32_usize)
        .ring_bytes(1_usize << 20)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60));
    let tacho = start(config).unwrap();
    // The writer's thread has set itself up when it has taken a record.
    info!(target: "begin", "begin");
    tacho.flush(Duration::from_secs(60)).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            std::thread::spawn(move || {
                prepare_thread();
                // The tracer sees this call fail, with our words in it: from here on this thread is watched.
                mark(&format!("application {}", thread_id()));
                for i in 0..CALLS {
                    info!(target: "rotation", "thread {} call {} of {:.1}", thread, i, CALLS as f64);
                }
                mark(&format!("end {}", thread_id()));
            })
        })
        .collect();
    let writer = writer_thread();
    mark(&format!("writer {writer}"));
    for thread in threads {
        thread.join().unwrap();
    }
    let written = || tacho.health().written;
    while written() < CALLS * THREADS + 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    mark(&format!("end {writer}"));
    let health = tacho.health();
    assert_eq!((health.dropped, health.rotations >= SEGMENTS), (0, true), "{health}");
    tacho.flush(Duration::from_secs(120)).unwrap();
    while segments(&child_dir(), "gz").len() < COMPRESSED_MIN {
        std::thread::sleep(Duration::from_millis(50));
    }
    tacho.close(Duration::from_secs(120)).unwrap();
}

/// Leaves `words` in the trace: a write to a descriptor that is none.
fn mark(words: &str) {
    let words = format!("MARK {words} KRAM");
    // SAFETY: the text is valid for reading; the call fails.
    unsafe { libc::write(-1, words.as_ptr().cast(), words.len()) };
}

fn thread_id() -> i64 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

fn writer_thread() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap());
    let mut writers =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).unwrap().trim() == "tacho-writer");
    writers.next().unwrap().file_name().into_string().unwrap()
}

/// The archived segments of a log directory whose names end in `extension`.
fn segments(logs: &Path, extension: &str) -> Vec<PathBuf> {
    let journals = std::fs::read_dir(logs.join(".journal")).unwrap().map(|entry| entry.unwrap().path());
    let files = journals.filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension() == Some(OsStr::new(extension))).collect()
}

struct Call {
    name: String,
    line: String,
}

/// The system calls of the threads while they were watched.
#[derive(Default)]
struct Trace {
    writer: Vec<Call>,
    application: Vec<Call>,
    /// Calls of threads that were not watched.
    others: u64,
}

impl Trace {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let (mut trace, mut watched, mut marked) = (Self::default(), BTreeMap::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some((_, words)) = line.split_once("\"MARK ") {
                let words = words.split(" KRAM").next().unwrap();
                let (role, thread) = words.split_once(' ').unwrap();
                marked.insert(role.to_owned());
                match role {
                    "end" => drop(watched.remove(thread)),
                    _ => drop(watched.insert(thread.to_owned(), role == "writer")),
                }
                continue;
            }
            let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
            let call = call.trim_start();
            let name = call.split('(').next().unwrap_or_default();
            // The rest of a call that began earlier, a signal, an exit.
            if !call.contains('(') || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
                continue;
            }
            let this = || Call { name: name.to_owned(), line: line.to_owned() };
            match watched.get(thread) {
                Some(true) => trace.writer.push(this()),
                Some(false) => trace.application.push(this()),
                None => trace.others += 1,
            }
        }
        assert!(["writer", "application", "end"].iter().all(|role| marked.contains(*role)), "{marked:?}");
        trace
    }

    fn strange_of_writer(&self) -> Vec<&str> {
        let strange = self.writer.iter().filter(|call| !IDLE.contains(&call.name.as_str()));
        strange.map(|call| call.line.as_str()).take(10).collect()
    }
}
