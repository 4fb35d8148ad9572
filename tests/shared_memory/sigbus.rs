//! The handler of SIGBUS: whose faults it takes, and whose it passes on.

use crate::support::{FLUSH, child, good_child};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tachograph::{info, start};

/// A page of a file that has none: whoever touches it gets SIGBUS.
fn page_without_memory() -> *mut u8 {
    let file: File = tempfile::tempfile().unwrap();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page.cast()
}

fn touch(page: *mut u8) {
    // SAFETY: the page is mapped; that the file behind it is empty raises the signal that is wanted.
    unsafe { page.write_volatile(1) };
}

fn set_handler(handler: usize, flags: libc::c_int) {
    // SAFETY: zeroed memory is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the action is whole.
    assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) }, 0);
}

static SEEN: AtomicUsize = AtomicUsize::new(0);

/// Puts memory where it was missing, so that the thread goes on.
fn mend(address: usize) {
    SEEN.store(address, Ordering::Relaxed);
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let start = std::ptr::without_provenance_mut(address & !4095);
    // SAFETY: the page is the test's own.
    unsafe { libc::mmap(start, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
}

extern "C" fn with_info(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    assert!(!context.is_null());
    // SAFETY: the handler was set with SA_SIGINFO.
    mend(unsafe { (*info).si_addr() } as usize);
}

static PLAIN_PAGE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn plain(_: libc::c_int) {
    mend(PLAIN_PAGE.load(Ordering::Relaxed));
}

/// Truncates all live files, and logs on.
fn disturb(place: &crate::support::Place) {
    for parent in std::fs::read_dir(&place.shm).unwrap() {
        for process in std::fs::read_dir(parent.unwrap().path()).unwrap().flatten() {
            for file in std::fs::read_dir(process.path()).into_iter().flatten().flatten() {
                let file = std::fs::OpenOptions::new().write(true).open(file.path()).unwrap();
                file.set_len(0).unwrap();
            }
        }
    }
    for number in 0..1_000 {
        info!(target: "sigbus", "{number}");
    }
}

#[test]
fn a_handler_of_the_programs_own_gets_its_own_faults_only() {
    good_child("sigbus::a_handler_of_the_programs_own_gets_its_own_faults_only", |place| {
        set_handler(with_info as *const () as usize, libc::SA_SIGINFO);
        let tacho = start(place.config()).unwrap();
        let page = page_without_memory();
        touch(page.wrapping_add(123));
        assert_eq!(SEEN.swap(0, Ordering::Relaxed), page.addr() + 123);
        disturb(place);
        assert_eq!(SEEN.load(Ordering::Relaxed), 0, "the program's handler saw a fault of ours");
        let page = page_without_memory();
        touch(page);
        assert_eq!(SEEN.load(Ordering::Relaxed), page.addr());
        tacho.flush(FLUSH).unwrap();
    });
}

#[test]
fn a_handler_without_siginfo_is_called_as_it_was_set() {
    good_child("sigbus::a_handler_without_siginfo_is_called_as_it_was_set", |place| {
        set_handler(plain as *const () as usize, 0);
        let _tacho = start(place.config()).unwrap();
        disturb(place);
        let page = page_without_memory();
        PLAIN_PAGE.store(page.addr(), Ordering::Relaxed);
        touch(page);
        assert_eq!(SEEN.load(Ordering::Relaxed), page.addr());
    });
}

/// How a child ends that faults in memory of its own.
fn ends_by_sigbus(test: &str, handler: Option<usize>, sent: bool) {
    let (_, output) = child(test, |place| {
        if let Some(handler) = handler {
            set_handler(handler, 0);
        }
        let _tacho = start(place.config()).unwrap();
        disturb(place);
        eprintln!("still alive");
        if sent {
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGBUS) };
        } else {
            touch(page_without_memory());
        }
    });
    assert!(String::from_utf8_lossy(&output.stderr).contains("still alive"), "{output:?}");
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}

#[test]
fn a_fault_of_the_programs_own_kills_by_sigbus_behind_rusts_handler() {
    ends_by_sigbus("sigbus::a_fault_of_the_programs_own_kills_by_sigbus_behind_rusts_handler", None, false);
}

#[test]
fn a_fault_of_the_programs_own_kills_by_sigbus_by_default() {
    let default = Some(libc::SIG_DFL);
    ends_by_sigbus("sigbus::a_fault_of_the_programs_own_kills_by_sigbus_by_default", default, false);
}

#[test]
fn a_fault_cannot_be_ignored() {
    ends_by_sigbus("sigbus::a_fault_cannot_be_ignored", Some(libc::SIG_IGN), false);
}

#[test]
fn a_sigbus_that_was_sent_kills_as_ever() {
    ends_by_sigbus("sigbus::a_sigbus_that_was_sent_kills_as_ever", Some(libc::SIG_DFL), true);
}

#[test]
fn without_the_handler_a_truncation_kills() {
    let (_, output) = child("sigbus::without_the_handler_a_truncation_kills", |place| {
        let _tacho = start(place.config().sigbus_handler(false)).unwrap();
        disturb(place);
        // The writer or the worker may be the first to fault.
        std::thread::sleep(FLUSH);
    });
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}

#[test]
fn a_handler_set_over_ours_is_told() {
    good_child("sigbus::a_handler_set_over_ours_is_told", |place| {
        let tacho = start(place.config()).unwrap();
        assert!(!tacho.health().remarks.iter().any(|remark| remark.contains("SIGBUS")), "{}", tacho.health());
        set_handler(with_info as *const () as usize, libc::SA_SIGINFO);
        assert!(tacho.health().remarks.iter().any(|remark| remark.contains("SIGBUS")), "{}", tacho.health());
    });
}

#[test]
fn loggers_come_and_go_and_children_are_forked() {
    good_child("sigbus::loggers_come_and_go_and_children_are_forked", |place| {
        for round in 0..5 {
            let tacho = start(place.config()).unwrap();
            let other = tachograph::start_isolated(place.within("isolated").config()).unwrap();
            disturb(place);
            info!(logger: other, target: "sigbus", "{round}");
            // SAFETY: the child does what a careless program would do; that it lives is what is tested.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                info!(target: "sigbus", "nobody");
                let own = start(place.within("child").config()).unwrap();
                disturb(place);
                let done = own.flush(FLUSH).is_ok();
                // SAFETY: ends the child without the parent's exit handlers.
                unsafe { libc::_exit(if done { 0 } else { 1 }) };
            }
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert_eq!(status, 0, "the child ended with {status:#x}");
            other.flush(FLUSH).unwrap();
            tacho.flush(FLUSH).unwrap();
            drop((tacho, other));
        }
    });
}
