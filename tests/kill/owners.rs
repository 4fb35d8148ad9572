//! Who is dead: the lock of the live folder says so, and nothing else.

use crate::place::{Order, Place, State, kill, signal, until};
use std::fs;
use std::process::{Child, Command};
use std::sync::atomic::Ordering;

/// Waits until the child is dead, and leaves it a zombie.
fn dead(child: &Child) {
    // SAFETY: all zeros is a `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to our own memory; the child is ours.
    let waited = unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, libc::WEXITED | libc::WNOWAIT) };
    assert_eq!(waited, 0);
}

fn logged<'a>(place: &'a Place, role: &str, calls: u64) -> (Child, crate::place::Run<'a>) {
    let (child, run) = place.spawn(role, calls);
    until("all calls", || run.has_reached(State::Logged));
    (child, run)
}

#[test]
fn a_zombie_is_dead() {
    let place = Place::new();
    let (mut child, _) = logged(&place, "load", 200);
    child.kill().unwrap();
    dead(&child);
    place.recover();
    assert_eq!(place.check("zombie").lines, 800);
    child.wait().unwrap();
}

#[test]
fn a_stopped_process_lives() {
    let place = Place::new();
    let (mut child, run) = logged(&place, "load", 200);
    signal(&child, libc::SIGSTOP);
    let before = place.live_folders();
    place.recover();
    assert_eq!(place.live_folders(), before);
    assert_eq!(before.len(), 1);
    signal(&child, libc::SIGCONT);
    run.order(Order::End);
    assert!(child.wait().unwrap().success());
    // It closed its logger, so none of its lines may be marked as recovered.
    assert_eq!(place.check("stopped").lines, 800);
}

#[test]
fn a_process_that_is_killed_while_it_is_stopped() {
    let place = Place::new();
    let (mut child, run) = place.spawn("load", 3_000);
    until("a first call", || run.has_reached(State::Logging));
    signal(&child, libc::SIGSTOP);
    kill(&mut child);
    place.recover();
    place.check("stopped and killed");
}

#[test]
fn a_forked_child_does_not_keep_its_parent_alive() {
    let place = Place::new();
    let (mut child, run) = logged(&place, "fork", 200);
    kill(&mut child);
    let forked = run.other().load(Ordering::Acquire) as i32;
    assert!(forked > 0);
    place.recover();
    let tally = place.check("fork");
    // SAFETY: that process is the child's child; it waits, and is nobody else's number before it ends.
    assert_eq!(unsafe { libc::kill(forked, libc::SIGKILL) }, 0, "it slept on");
    assert_eq!(tally.lines, 800);
}

/// Stops only the thread of this name, by ptrace; its number, or `None` where that is not allowed.
fn stop_thread(process: u32, name: &str) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let is_it = |task: &std::path::PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let task = tasks.map(|entry| entry.path()).find(is_it).expect("the thread");
    let thread: i32 = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: takes no pointers; the thread is of our own child.
    if unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, none, none) } != 0 {
        return None;
    }
    // SAFETY: as above.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none) }, 0);
    let mut status = 0;
    // SAFETY: the pointer is to our own memory.
    assert_eq!(unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) }, thread);
    assert!(libc::WIFSTOPPED(status));
    Some(thread)
}

#[test]
fn a_call_site_used_first_while_the_writer_stands_still_is_readable() {
    for threads in [&["tacho-writer"][..], &["tacho-writer", "tacho-worker"]] {
        let place = Place::new();
        let (mut child, run) = logged(&place, "first use", 50);
        let stopped: Option<Vec<i32>> = threads.iter().map(|name| stop_thread(child.id(), name)).collect();
        let Some(stopped) = stopped else {
            eprintln!("SKIPPED: ptrace is not allowed here, so no thread can be stopped alone");
            return kill(&mut child);
        };
        run.order(Order::Go);
        until("the call", || run.has_reached(State::Closing));
        child.kill().unwrap();
        for thread in stopped {
            // Who traces a thread has to take notice of its end before the process can end.
            // SAFETY: no status is asked for.
            assert_eq!(unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) }, thread);
        }
        child.wait().unwrap();
        place.recover();
        let tally = place.check("first use");
        assert_eq!(tally.lines, 51);
        assert!(tally.recovered >= 1, "the writer stood still: the last line came from the ring");
    }
}

#[test]
fn a_number_that_is_used_again_keeps_nobody_alive() {
    let place = Place::new();
    let (mut child, _) = logged(&place, "load", 200);
    let number = child.id();
    kill(&mut child);
    let Some(mut other) = process_numbered(number) else {
        eprintln!("SKIPPED: the number of a process cannot be chosen here (needs root)");
        return;
    };
    place.recover();
    assert!(other.try_wait().unwrap().is_none(), "the other one lives");
    kill(&mut other);
    assert_eq!(place.check("number used again").lines, 800);
}

/// A living process with this number.
fn process_numbered(number: u32) -> Option<Child> {
    for _ in 0..50 {
        fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).ok()?;
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        if child.id() == number {
            return Some(child);
        }
        kill(&mut child);
    }
    None
}
