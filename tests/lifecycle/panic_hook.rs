//! A panic is the last record, and can be read when the process is gone.

use crate::support::{FLUSH, Place, child, good_child};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tachograph::{Mode, info, start};

/// The lines of a view, which another process may have left in shared memory: then the next logger brings them.
fn recovered(place: &Place, view: &str) -> Vec<String> {
    start(place.config()).unwrap().close(FLUSH).unwrap();
    place.messages(view)
}

#[test]
fn the_panic_of_the_main_thread_is_the_last_record() {
    let (place, output) = child("panic_hook::the_panic_of_the_main_thread_is_the_last_record", |place| {
        tachograph::log_panics(FLUSH);
        tachograph::log_panics(FLUSH);
        let tacho = start(place.config()).unwrap();
        for n in 0..1000 {
            info!(target: "panic", "record {}", n);
        }
        let order = 42;
        let died = std::thread::Builder::new().name("oms".into()).spawn(move || panic!("order {order} is unknown"));
        died.unwrap().join().unwrap_err();
        // In the files, though nothing was flushed or closed.
        let there = place.messages("panic");
        assert_eq!(there.len(), 1001);
        std::mem::forget(tacho);
        unwinds_no_more();
    });
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("order 42 is unknown"), "the hook before ran as well");
    let there = recovered(&place, "panic");
    // The runtime adds that the function cannot unwind.
    assert_eq!(there.len(), 1003);
    assert!(
        there[1000].starts_with("panicked: order 42 is unknown thread=oms location=tests/lifecycle/panic_hook.rs:")
    );
    assert!(there[1001].starts_with("panicked: panic in a destructor"), "{}", there[1001]);
    assert!(place.lines("panic")[1000].contains(" CRITICAL "));
}

/// Ends in an abort: the runtime's, as with `panic = "abort"`.
fn unwinds_no_more() {
    extern "C" fn cannot_unwind() {
        panic!("panic in a destructor");
    }
    cannot_unwind();
}

#[test]
fn a_backtrace_stands_in_the_record_when_it_is_asked_for() {
    let place = good_child("panic_hook::a_backtrace_stands_in_the_record_when_it_is_asked_for", |place| {
        // SAFETY: no other thread looks at the environment.
        unsafe { std::env::set_var("RUST_BACKTRACE", "1") };
        tachograph::log_panics(FLUSH);
        let tacho = start(place.config()).unwrap();
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        drop(tacho);
    });
    let there = place.messages("panic");
    assert_eq!(there.len(), 1, "one line, whatever stands in it");
    assert!(there[0].contains("backtrace=") && there[0].contains("panic_hook"), "{there:?}");
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(target: "inner", "before the panic");
        f.write_str("half")?;
        panic!("on purpose")
    }
}

/// Around a panic within a log call, and without a logger, in a process that has one in this mode.
fn within_calls(place: &Place, mode: Mode) {
    tachograph::log_panics(FLUSH);
    std::thread::spawn(|| panic!("before")).join().unwrap_err();
    let tacho = start(place.config().mode(mode)).unwrap();
    let begin = Instant::now();
    std::thread::spawn(|| info!(target: "outer", "{}", Panics)).join().unwrap_err();
    assert!(begin.elapsed() < FLUSH, "waited in vain");
    info!(target: "outer", "after");
    tacho.close(FLUSH).unwrap();
    std::thread::spawn(|| panic!("after")).join().unwrap_err();
}

fn check_within_calls(place: &Place) {
    assert_eq!(place.messages("outer"), ["after"]);
    assert_eq!(place.messages("inner"), ["before the panic"]);
    let there = place.messages("panic");
    assert_eq!(there.len(), 1, "{there:?}");
    assert!(there[0].starts_with("panicked: on purpose"));
}

#[test]
fn a_panic_within_a_log_call() {
    let body = |place: &Place| within_calls(place, Mode::Threads);
    check_within_calls(&good_child("panic_hook::a_panic_within_a_log_call", body));
}

#[test]
fn a_panic_within_a_log_call_without_threads() {
    let body = |place: &Place| within_calls(place, Mode::Synchronous);
    check_within_calls(&good_child("panic_hook::a_panic_within_a_log_call_without_threads", body));
}

#[test]
fn one_on_the_worker_s_own_thread_is_logged_and_waits_for_nobody() {
    let name = "panic_hook::one_on_the_worker_s_own_thread_is_logged_and_waits_for_nobody";
    let place = good_child(name, |place| {
        static PASSED_ON: AtomicBool = AtomicBool::new(false);
        std::panic::set_hook(Box::new(|_| PASSED_ON.store(true, Ordering::Release)));
        tachograph::log_panics(Duration::from_secs(3600));
        let config = place.config().health_interval(Duration::from_secs(1)).on_health(|_| panic!("in the callback"));
        let tacho = start(config).unwrap();
        let begin = Instant::now();
        while !PASSED_ON.load(Ordering::Acquire) {
            assert!(begin.elapsed() < FLUSH, "the hook waits for the thread that it runs on");
            // Health finds fault with the losses.
            (0..10_000).for_each(|n| info!(target: "flood", "{}", n));
        }
        std::mem::forget(tacho);
    });
    let there = recovered(&place, "panic");
    assert!(
        there.iter().any(|message| message.contains("in the callback")),
        "{there:?}, {:?}",
        place.messages("tachograph")
    );
}
