//! A prepared thread makes no system call: the kernel kills it at the first one.
//!
//! Strict mode also forbids the time-stamp counter (the kernel sets `PR_TSC_SIGSEGV` with it), so there the coarse
//! clock is used; with the counter, a filter that allows exactly the calls of strict mode.

use super::kinds::{self, Values};
use super::{child, child_dir, journal};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;
use tachograph::{Clock, Config, FlightRecorder, Idle, Overflow, WriterCore};

const CALLS: u64 = 1_000_000;

#[test]
fn a_prepared_thread_logs_a_million_records_in_seccomp_strict_mode() {
    logs_and_lives("seccomp::child_in_strict_mode");
}

#[test]
fn a_prepared_thread_logs_a_million_records_with_no_system_call_but_those_of_strict_mode() {
    logs_and_lives("seccomp::child_behind_a_filter");
}

#[test]
fn the_kernel_does_kill_who_makes_a_system_call() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["seccomp::child_that_calls_in_strict_mode", "seccomp::child_that_calls_behind_a_filter"] {
        let output = child(name, dir.path()).output().unwrap();
        assert!(!output.status.success(), "{name}: {output:?}");
    }
}

fn logs_and_lives(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = child(name, dir.path()).output().unwrap();
    assert!(output.status.success(), "{name}: {:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let (messages, dropped) = journal(dir.path(), "hot");
    let dropped_of_these = CALLS - messages.len() as u64;
    assert!(dropped_of_these <= dropped, "every call left a record or stands among the drops");
    assert!(messages.len() as u64 > CALLS / 1000, "the writer ran meanwhile");
    let (values, mut next) = (Values::new(), 0);
    for message in &messages {
        let i: u64 = message.split(' ').next().unwrap().parse().unwrap();
        assert!(i >= next, "in order, none twice: {i} after {next}");
        assert_eq!(*message, kinds::line(i, &values));
        next = i + 1;
    }
}

fn strict() {
    // SAFETY: the call has no memory preconditions.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

fn filter() {
    const DATA_NUMBER: u32 = 0;
    let allowed = [libc::SYS_read, libc::SYS_write, libc::SYS_exit, libc::SYS_rt_sigreturn];
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, DATA_NUMBER, 0, 0)];
    for (index, number) in allowed.iter().enumerate() {
        let to_allow = (allowed.len() - index) as u8;
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *number as u32, to_allow, 0));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS, 0, 0));
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the call has no memory preconditions.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and what it points to live until the call returns.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    ends.map(|end| {
        // SAFETY: the kernel just made it, and nobody else owns it.
        File::from(unsafe { OwnedFd::from_raw_fd(end) })
    })
    .into()
}

/// Runs `f`, and the calls, on a thread that forbade itself system calls by `forbid`; the thread ends by the raw `exit`,
/// without the destructors that would make some.
fn confined(forbid: fn(), f: impl FnOnce() + Send + 'static) {
    let (mut reading, writing) = pipe();
    let (named, name) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut writing = ManuallyDrop::new(writing);
        let values = Values::new();
        tachograph::prepare_thread();
        // SAFETY: gettid has no preconditions.
        named.send(unsafe { libc::syscall(libc::SYS_gettid) }).unwrap();
        forbid();
        f();
        for i in 0..CALLS {
            kinds::log(i, &values);
            if i % 8 == 0 {
                // Remembered: not in the log, because no error follows.
                tachograph::debug!(target: "hot", "{} {}", i, values.text);
            }
        }
        writing.write_all(b"alive").unwrap();
        // SAFETY: ends this thread alone; what it holds is never used again.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    });
    // Strict mode kills the thread and leaves the process: then nobody ever closes the pipe.
    let task = format!("/proc/self/task/{}", name.recv().unwrap());
    while !is_readable(&reading) {
        if !std::path::Path::new(&task).exists() && !is_readable(&reading) {
            eprintln!("the kernel killed the thread: it made a system call");
            // It may have held a lock that the end of a test would wait for.
            std::process::abort();
        }
    }
    let mut word = [0; 5];
    reading.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"alive");
}

/// Waits a little for something to read.
fn is_readable(file: &File) -> bool {
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor is given, and counted.
    unsafe { libc::poll(&raw mut poll, 1, 50) == 1 }
}

fn run(clock: Clock, forbid: fn()) {
    let config = Config::new(child_dir())
        .overflow(Overflow::DropNewest)
        .ring_bytes(16_usize << 20)
        .view_bytes_max(1_u64 << 30)
        .writer_core(WriterCore::Unpinned)
        .idle(Idle::Yield)
        .flight_recorder(FlightRecorder::new())
        .clock(clock);
    let tacho = tachograph::start(config).unwrap();
    confined(forbid, || ());
    tacho.flush(Duration::from_secs(120)).unwrap();
    let health = tacho.health();
    assert_eq!(health.called(), CALLS + CALLS / 8, "{health}");
    eprintln!(
        "{} of {CALLS} records written, {} remembered and forgotten, {} dropped",
        health.written, health.forgotten, health.dropped
    );
    tacho.close(Duration::from_secs(60)).unwrap();
}

#[test]
#[ignore = "runs as a child"]
fn child_in_strict_mode() {
    run(Clock::Coarse, strict);
}

#[test]
#[ignore = "runs as a child"]
fn child_behind_a_filter() {
    run(Clock::Ticks, filter);
}

fn call() {
    // SAFETY: getppid has no preconditions; std would not make a call that the C library remembers.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

#[test]
#[ignore = "runs as a child"]
fn child_that_calls_in_strict_mode() {
    confined(strict, call);
}

#[test]
#[ignore = "runs as a child"]
fn child_that_calls_behind_a_filter() {
    confined(filter, call);
}
