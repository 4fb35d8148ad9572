//! A process whose threads are stopped and single-stepped, by ptrace.

use std::fs;
use std::io;
use std::ptr::null_mut;

/// All threads of a process, stopped. To be used by the thread that made it, as ptrace demands.
pub(crate) struct Stopped {
    pid: libc::pid_t,
    threads: Vec<libc::pid_t>,
}

impl Stopped {
    /// Stops every thread of `pid`, a child of this process.
    pub(crate) fn seize(pid: libc::pid_t) -> io::Result<Self> {
        let mut stopped = Self { pid, threads: Vec::new() };
        loop {
            let known = stopped.threads.len();
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                let thread: libc::pid_t = entry?.file_name().to_str().unwrap().parse().unwrap();
                if !stopped.threads.contains(&thread) {
                    request(libc::PTRACE_SEIZE, thread)?;
                    stopped.threads.push(thread);
                    stopped.stop(thread);
                }
            }
            // One that was still running may have started another.
            if stopped.threads.len() == known {
                return Ok(stopped);
            }
        }
    }

    /// The thread with this name, as the kernel has it.
    pub(crate) fn named(&self, name: &str) -> libc::pid_t {
        let is = |thread: &&libc::pid_t| {
            fs::read_to_string(format!("/proc/{}/task/{thread}/comm", self.pid)).unwrap().trim_end() == name
        };
        *self.threads.iter().find(is).expect("a thread of that name")
    }

    /// Lets a thread run by itself.
    pub(crate) fn go_on(&self, thread: libc::pid_t) {
        request(libc::PTRACE_CONT, thread).unwrap();
    }

    /// Stops it again.
    pub(crate) fn stop(&self, thread: libc::pid_t) {
        request(libc::PTRACE_INTERRUPT, thread).unwrap();
        wait(thread);
    }

    /// Takes note of the end of all threads but the first: until then the process, which was killed, does not end.
    pub(crate) fn reap(&self) {
        for thread in self.threads.iter().filter(|thread| **thread != self.pid) {
            let mut status = 0;
            // SAFETY: the status is a local.
            unsafe { libc::waitpid(*thread, &raw mut status, libc::__WALL) };
        }
    }

    /// Lets it execute one instruction.
    pub(crate) fn step(&self, thread: libc::pid_t) {
        request(libc::PTRACE_SINGLESTEP, thread).unwrap();
        let status = wait(thread);
        assert!(
            libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP,
            "stopped with {status:#x} where one instruction was to be executed"
        );
    }
}

fn request(what: libc::c_uint, thread: libc::pid_t) -> io::Result<()> {
    // SAFETY: none of these requests passes memory.
    let done = unsafe { libc::ptrace(what, thread, null_mut::<libc::c_void>(), null_mut::<libc::c_void>()) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn wait(thread: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: the status is a local.
    assert_eq!(unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) }, thread);
    status
}
