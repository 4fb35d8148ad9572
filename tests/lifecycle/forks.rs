//! A forked child has no logger until it starts one, and cannot touch its parent's.

use crate::support::{FLUSH, good_child};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tachograph::{Capture, Value, component, info, start, start_isolated};

/// Runs `body` in a forked child; how it ended.
fn forked(body: impl FnOnce()) -> Result<(), String> {
    // SAFETY: the children of these tests do what a careless program would do in a fork; that they live is what is tested.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let done = catch_unwind(AssertUnwindSafe(body)).is_ok();
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(if done { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the status is a local.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if status == 0 { Ok(()) } else { Err(format!("status {status:#x}")) }
}

fn say(text: &str, number: u32) {
    info!(target: "forks", "{text} {number}");
}

#[test]
fn a_child_is_silent_and_its_parent_undisturbed() {
    let place = good_child("forks::a_child_is_silent_and_its_parent_undisturbed", |place| {
        let tacho = start(place.config()).unwrap();
        let isolated = start_isolated(place.within("isolated").config()).unwrap();
        let part = component("forks");
        for number in 0..20 {
            say("parent", number);
            info!(logger: isolated, target: "forks", "parent {number}");
            let ended = forked(|| {
                for number in 0..100 {
                    say("child", number);
                    info!(logger: part, "child {number}");
                    info!(logger: tacho, target: "forks", "child {number}");
                    info!(logger: isolated, target: "forks", "child {number}");
                }
                let logger = isolated.logger().clone();
                std::thread::spawn(move || {
                    say("thread of the child", 0);
                    info!(logger: logger, target: "forks", "thread of the child");
                })
                .join()
                .unwrap();
                tachograph::prepare_thread();
                assert!(tacho.flush(Duration::from_secs(5)).unwrap_err().is_closed());
                tacho.set_levels("trace").unwrap();
                say("child", 101);
                // What happens when the child returns from where the parent has its guards.
                // SAFETY: this process ends before the originals are dropped.
                drop(unsafe { std::ptr::read(&raw const tacho) });
                // SAFETY: as above.
                drop(unsafe { std::ptr::read(&raw const isolated) });
                say("child", 102);
            });
            assert_eq!(ended, Ok(()));
        }
        for logger in [&tacho, &isolated] {
            logger.flush(FLUSH).unwrap();
            let health = logger.health();
            assert_eq!((health.written, health.dropped), (20, 0), "{health}");
        }
    });
    let expected: Vec<String> = (0..20).map(|number| format!("parent {number}")).collect();
    for place in [place.within("isolated"), place] {
        assert_eq!(place.messages("forks"), expected);
    }
}

#[test]
fn a_child_starts_a_logger_of_its_own() {
    let place = good_child("forks::a_child_starts_a_logger_of_its_own", |place| {
        let tacho = start(place.config()).unwrap();
        for round in 0..5 {
            say("parent", round);
            let ended = forked(|| {
                say("nobody", round);
                // In the parent's directory, and another one within it.
                let own = start(place.config()).unwrap();
                let isolated = start_isolated(place.within("isolated").config()).unwrap();
                say("child", round);
                info!(logger: isolated, target: "forks", "child {round}");
                own.close(FLUSH).unwrap();
                isolated.close(FLUSH).unwrap();
                say("nobody", round);
            });
            assert_eq!(ended, Ok(()));
        }
        say("parent", 5);
        tacho.close(FLUSH).unwrap();
    });
    let messages = place.messages("forks");
    let count = |text: &str| messages.iter().filter(|message| message.starts_with(text)).count();
    assert_eq!((count("parent"), count("child"), messages.len()), (6, 5, 11), "{messages:?}");
    assert_eq!(place.within("isolated").messages("forks").len(), 5);
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn forks_among_logging_threads() {
    let place = good_child("forks::forks_among_logging_threads", |place| {
        let tacho = start(place.config().ring_bytes(1 << 20)).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let logged = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2)
                .map(|thread| {
                    let done = &done;
                    scope.spawn(move || {
                        let mut number = 0_u64;
                        while !done.load(std::sync::atomic::Ordering::Relaxed) {
                            info!(target: "forks", "{thread} {number}");
                            number += 1;
                            if number.is_multiple_of(100) {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                        }
                        number
                    })
                })
                .collect();
            for _ in 0..30 {
                assert_eq!(forked(|| (0..100).for_each(|number| say("child", number))), Ok(()));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<u64>>()
        });
        tacho.flush(FLUSH).unwrap();
        let health = tacho.health();
        assert_eq!(health.called(), logged.iter().sum::<u64>(), "{health}");
        assert_eq!(health.dropped, 0, "{health}");
    });
    let messages = place.messages("forks");
    for thread in 0..2 {
        let mine = messages.iter().filter_map(|message| message.strip_prefix(&format!("{thread} ")));
        assert!(mine.zip(0_u64..).all(|(text, number)| text.parse() == Ok(number)));
    }
    assert!(!messages.iter().any(|message| message.contains("child")));
}

#[test]
fn a_capture_of_the_parent_is_not_the_childs() {
    good_child("forks::a_capture_of_the_parent_is_not_the_childs", |_| {
        let log = Capture::global().unwrap();
        say("parent", 0);
        let ended = forked(|| {
            say("child", 0);
            let own = Capture::thread().unwrap();
            say("child", 1);
            assert_eq!(own.messages(), ["child 1"]);
            // SAFETY: this process ends before the original is dropped.
            drop(unsafe { std::ptr::read(&raw const log) });
            say("child", 2);
            assert_eq!(own.messages(), ["child 1", "child 2"]);
        });
        assert_eq!(ended, Ok(()));
        say("parent", 1);
        assert_eq!(log.messages(), ["parent 0", "parent 1"]);
    });
}

#[test]
fn health_of_a_child_says_that_it_is_one() {
    good_child("forks::health_of_a_child_says_that_it_is_one", |place| {
        let tacho = start(place.config()).unwrap();
        say("parent", 0);
        tacho.flush(FLUSH).unwrap();
        assert!(tacho.health().remarks.is_empty() && tacho.health().is_ok(), "{}", tacho.health());
        let ended = forked(|| {
            let health = tacho.health();
            assert!(!health.is_ok() && !health.survives_kill);
            assert!(health.to_string().contains("forked child: it logs nothing until it starts"), "{health}");
            let own = start(place.within("own").config()).unwrap();
            assert!(own.health().is_ok(), "{}", own.health());
            assert!(!tacho.health().is_ok());
        });
        assert_eq!(ended, Ok(()));
        assert!(tacho.health().is_ok());
    });
}

/// Forks while it is copied, if told to; the child then finishes the call as well.
#[derive(Debug)]
struct Forks(std::cell::Cell<bool>, std::cell::Cell<i32>);

impl Value for Forks {
    type Parts<'a> = <u64 as Value>::Parts<'a>;
    const TYPE: &'static tachograph::value::Type = <u64 as Value>::TYPE;

    fn parts(&self) -> Self::Parts<'_> {
        if self.0.take() {
            // SAFETY: as in `forked`.
            self.1.set(unsafe { libc::fork() });
            if self.1.get() != 0 {
                let mut status = 0;
                // Waited for here, so that the child's stores come before the parent's.
                // SAFETY: waits for the child just made; the status is a local.
                unsafe { libc::waitpid(self.1.get(), &raw mut status, 0) };
                assert_eq!(status, 0);
            }
        }
        1_u64.parts()
    }
}

#[test]
fn a_child_forked_in_the_midst_of_a_call_finishes_it_in_memory_of_its_own() {
    let place = good_child("forks::a_child_forked_in_the_midst_of_a_call_finishes_it_in_memory_of_its_own", |place| {
        let tacho = start(place.config()).unwrap();
        let isolated = start_isolated(place.within("isolated").config()).unwrap();
        let plain = |list: &[Forks], number: u32| info!(target: "forks", "{:?} {}", list, number);
        let own = |list: &[Forks], number: u32| info!(logger: isolated, target: "forks", "{:?} {}", list, number);
        for log in [&plain as &dyn Fn(&[Forks], u32), &own] {
            for number in 0..20_u32 {
                let list = [Forks(number.is_multiple_of(2).into(), 1.into())];
                log(&list, number);
                if list[0].1.get() == 0 {
                    (0..10).for_each(|_| log(&[], 99));
                    // SAFETY: ends the child without the parent's exit handlers.
                    unsafe { libc::_exit(0) };
                }
            }
        }
        for logger in [&tacho, &isolated] {
            logger.flush(FLUSH).unwrap();
            let health = logger.health();
            assert_eq!((health.written, health.dropped), (20, 0), "{health}");
        }
    });
    let expected: Vec<String> = (0..20).map(|number| format!("[1] {number}")).collect();
    for place in [place.within("isolated"), place] {
        assert_eq!(place.messages("forks"), expected);
    }
}

#[test]
fn a_child_by_a_raw_system_call_is_silent_too() {
    let place = good_child("forks::a_child_by_a_raw_system_call_is_silent_too", |place| {
        let tacho = start(place.config()).unwrap();
        say("parent", 0);
        // SAFETY: as fork, but no handlers run; the child makes log calls and ends.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        assert!(pid >= 0);
        if pid == 0 {
            // Nothing that allocates: another thread may have had the allocator's lock, and no handler gave it back.
            (0..100).for_each(|number| say("child", number));
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made; the status is a local.
        assert_eq!(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }, pid as i32);
        assert_eq!(status, 0);
        say("parent", 1);
        tacho.flush(FLUSH).unwrap();
        assert_eq!((tacho.health().written, tacho.health().dropped), (2, 0));
    });
    assert_eq!(place.messages("forks"), ["parent 0", "parent 1"]);
}
