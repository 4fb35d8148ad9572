//! What the child processes do.

use crate::place::{LONG, Order, Place, Run, State, THREADS, until};
use crate::support::oracle::filler;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tachograph::{info, prepare_thread, start};

/// Exit code of a run whose `start` was refused.
pub const REFUSED: i32 = 7;

/// The `load` of one thread: the calls from `from` on.
pub fn log(run: &Run<'_>, thread: usize, calls: std::ops::Range<u64>) {
    for number in calls {
        let words = filler(run.number, thread as u64, number);
        info!(target: "load", "{} {} {} {}", run.number, thread, number, words);
        run.returned(thread).store(number + 1, Ordering::Release);
        if number == 0 {
            run.reach(State::Logging);
        }
        if number % 64 == 63 && run.is_ordered(Order::End) {
            return;
        }
    }
}

fn log_from_all_threads(run: &Run<'_>, calls: u64, at_end: fn(usize)) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let body = move || {
                prepare_thread();
                log(run, thread, 0..calls);
                at_end(thread);
            };
            std::thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(scope, body).unwrap();
        }
    });
    run.reach(State::Logged);
}

fn wait_for(run: &Run<'_>, order: Order) {
    until("an order", || run.is_ordered(order));
}

#[test]
#[ignore = "the child of the tests"]
fn child() {
    let text = |name: &str| std::env::var(name);
    let Ok(role) = text("TACHO_KILL_ROLE") else { return };
    let number = |name: &str| text(name).unwrap().parse::<u64>().unwrap();
    let (root, shm) = (text("TACHO_KILL_ROOT").unwrap(), text("TACHO_KILL_SHM").unwrap());
    let place = Place::at(Path::new(&root), Path::new(&shm));
    let run = place.run(number("TACHO_KILL_RUN"));
    let calls = number("TACHO_KILL_CALLS");
    // A test that fails leaves no child behind.
    // SAFETY: no pointer; only this process is concerned.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let Ok(tacho) = start(place.config()) else { std::process::exit(REFUSED) };
    run.reach(State::Started);
    match role.as_str() {
        // Logs, waits for the end, closes.
        "load" => {
            log_from_all_threads(&run, calls, |_| {});
            wait_for(&run, Order::End);
        }
        // For a long time, at a moderate rate.
        "steady" => {
            let steady = |run: &Run<'_>, thread: usize| {
                let mut next = 0;
                while next < calls && !run.is_ordered(Order::End) {
                    log(run, thread, next..next + 16);
                    next = run.returned(thread).load(Ordering::Acquire);
                    std::thread::sleep(Duration::from_millis(4));
                }
            };
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let run = &run;
                    let named = std::thread::Builder::new().name(format!("load-{thread}"));
                    drop(named.spawn_scoped(scope, move || steady(run, thread)).unwrap());
                }
            });
        }
        // Logs and closes.
        "short" => log_from_all_threads(&run, calls, |_| {}),
        "recover" => {}
        // Nothing is known of whether the writer took anything, and the process is dead in the next instant.
        "die" => {
            log_from_all_threads(&run, calls, |_| {});
            // SAFETY: ends this process.
            unsafe { libc::raise(libc::SIGKILL) };
        }
        "abort" => {
            log_from_all_threads(&run, calls, |_| {});
            std::process::abort();
        }
        "_exit" => {
            log_from_all_threads(&run, calls, |_| {});
            // SAFETY: ends this process.
            unsafe { libc::_exit(5) };
        }
        "exit" => {
            log_from_all_threads(&run, calls, |_| {});
            std::process::exit(5);
        }
        // The other threads are still logging.
        "abort while logging" => log_from_all_threads(&run, calls, |thread| {
            if thread == 1 {
                std::process::abort();
            }
        }),
        "panic" => {
            let panicking = || {
                log_from_all_threads(&run, calls, |thread| assert_ne!(thread, 1, "the panic of the test"));
            };
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
        }
        "panic aborts" => {
            std::panic::set_hook(Box::new(|_| std::process::abort()));
            log_from_all_threads(&run, calls, |thread| assert_ne!(thread, 1, "the panic of the test"));
        }
        "segmentation fault" => log_from_all_threads(&run, calls, |thread| {
            if thread == 1 {
                // SAFETY: not at all: the address is mapped nowhere, which is the end that is tried.
                unsafe { std::ptr::without_provenance_mut::<u64>(8).write_volatile(1) };
            }
        }),
        "stack overflow" => log_from_all_threads(&run, calls, |thread| {
            if thread == 1 {
                std::hint::black_box(deep(1));
            }
        }),
        // Waits with the logger running; then a call site that was never used before, on a thread that was.
        "first use" => {
            let named = std::thread::Builder::new().name("load-0".to_owned());
            let body = || {
                log(&run, 0, 0..calls);
                run.reach(State::Logged);
                wait_for(&run, Order::Go);
                let words = filler(run.number, 0, calls);
                info!(target: "load", "{run} 0 {number} {words}", run = run.number, number = calls);
                run.returned(0).store(calls + 1, Ordering::Release);
                run.reach(State::Closing);
                std::thread::sleep(LONG);
            };
            std::thread::scope(|scope| drop(named.spawn_scoped(scope, body).unwrap()));
        }
        "fork" => {
            // SAFETY: the child calls nothing but `pause` and `_exit`.
            let forked = unsafe { libc::fork() };
            if forked == 0 {
                // SAFETY: as above.
                unsafe { libc::pause() };
                // SAFETY: as above.
                unsafe { libc::_exit(0) };
            }
            run.other().store(forked as u64, Ordering::Release);
            log_from_all_threads(&run, calls, |_| {});
            std::thread::sleep(LONG);
        }
        other => panic!("no role {other:?}"),
    }
    run.reach(State::Closing);
    let closed = tacho.close(Duration::from_secs(60));
    if closed.is_ok() {
        run.reach(State::Closed);
    }
    std::process::exit(i32::from(closed.is_err()));
}

/// Needs more stack than there is.
#[inline(never)]
#[allow(unconditional_recursion)]
fn deep(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    deep(depth + 1) + room[(depth % 512) as usize]
}
