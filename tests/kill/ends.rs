//! The other ways to die: the next logger finds as much as after a kill.

use crate::place::{Place, State};
use crate::support::oracle::Tally;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

fn end(role: &str, calls: u64) -> (ExitStatus, Tally, bool) {
    let place = Place::new();
    let (mut child, run) = place.spawn(role, calls);
    let status = child.wait().unwrap();
    assert!(run.sum() > 0, "{role}: {status:?}");
    place.recover();
    (status, place.check(role), run.has_reached(State::Closed))
}

#[test]
fn kill_right_after_the_last_call() {
    for calls in [1, 10, 400] {
        let (status, tally, _) = end("die", calls);
        assert_eq!((status.signal(), tally.lines), (Some(libc::SIGKILL), calls * 4));
    }
}

#[test]
fn abort() {
    assert_eq!(end("abort", 300).0.signal(), Some(libc::SIGABRT));
    assert_eq!(end("abort while logging", 2_000).0.signal(), Some(libc::SIGABRT));
}

#[test]
fn exit_without_closing() {
    assert_eq!(end("_exit", 300).0.code(), Some(5));
    assert_eq!(end("exit", 300).0.code(), Some(5));
}

#[test]
fn a_panic_of_one_thread_ends_that_thread_alone() {
    let (status, tally, closed) = end("panic", 300);
    assert!(status.success() && closed);
    assert_eq!((tally.lines, tally.recovered), (1_200, 0));
}

#[test]
fn a_panic_that_aborts() {
    assert_eq!(end("panic aborts", 2_000).0.signal(), Some(libc::SIGABRT));
}

#[test]
fn a_fault_in_another_thread() {
    assert_eq!(end("segmentation fault", 2_000).0.signal(), Some(libc::SIGSEGV));
    // Rust's handler says what happened, and aborts.
    assert_eq!(end("stack overflow", 2_000).0.signal(), Some(libc::SIGABRT));
}
