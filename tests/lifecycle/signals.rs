//! Signal handlers that log, whatever they interrupt.

use crate::support::{FLUSH, Place, good_child};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tachograph::{Config, Guard, Mode, Overflow, info, start};

static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Its text is long enough that a signal often comes while it is written.
struct Shows(u64);

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..10).try_for_each(|_| write!(f, "<{}>", self.0))
    }
}

extern "C" fn handler(_: libc::c_int) {
    let number = HANDLED.fetch_add(1, Ordering::Relaxed) + 1;
    if number.is_multiple_of(2) {
        info!(target: "handler", "plain {} {}", number, number);
    } else {
        info!(target: "handler", "shown {} {}", number, Shows(number));
    }
}

/// Logs, by `call` with a number, while another thread sends signals; returns how often it logged.
fn interrupted(signals: u64, mut call: impl FnMut(u64)) -> u64 {
    // Sites must know their numbers, and the thread have its ring, before a handler may log.
    tachograph::prepare_thread();
    handler(0);
    handler(0);
    // SAFETY: zeroes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action lives through the call.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
    // SAFETY: no preconditions.
    let me = unsafe { libc::pthread_self() } as u64;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while sent < signals {
                let before = HANDLED.load(Ordering::Relaxed);
                // SAFETY: the thread lives until `done` is set, below.
                unsafe { libc::pthread_kill(me as libc::pthread_t, libc::SIGUSR1) };
                sent += 1;
                // One at a time: signals that wait are merged into one.
                while HANDLED.load(Ordering::Relaxed) == before {
                    std::hint::spin_loop();
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            call(number);
            number += 1;
        }
        number
    })
}

/// Every line is whole, numbers ascend, nothing is lost that was not counted.
fn check(place: &Place, tacho: &Guard, called: u64) {
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert_eq!(health.called(), called + HANDLED.load(Ordering::Relaxed), "{health}");
    let mut lines = 0;
    for view in ["handler", "body"] {
        let mut last = None;
        for message in place.messages(view) {
            let mut words = message.split(' ');
            let (kind, number) = (words.next().unwrap(), words.next().unwrap());
            let rest = words.next().unwrap();
            let expected = if kind == "plain" { number.to_owned() } else { format!("<{number}>").repeat(10) };
            assert_eq!(rest, expected, "{message}");
            let number: u64 = number.parse().unwrap();
            assert!(last < Some(number), "{message} after {last:?}");
            last = Some(number);
            lines += 1;
        }
    }
    assert_eq!(lines, health.written);
    // What the log says of losses is what was lost.
    let stated = || -> u64 {
        let notes = place.messages("tachograph");
        let count = |message: &String| message.split_once(" records dropped here: ").unwrap().0.replace(',', "");
        notes.iter().map(|message| count(message).parse::<u64>().unwrap()).sum()
    };
    let begin = std::time::Instant::now();
    while stated() < health.dropped && begin.elapsed() < FLUSH {
        tacho.flush(FLUSH).unwrap();
    }
    assert_eq!(stated(), health.dropped, "{health}");
}

fn config(place: &Place) -> Config {
    place.config().view_bytes_max(1_u64 << 36).segment_bytes(1_usize << 20)
}

const SIGNALS: u64 = 10_000;

fn both(number: u64) {
    if number.is_multiple_of(2) {
        info!(target: "body", "plain {} {}", number, number);
    } else {
        info!(target: "body", "shown {} {}", number, Shows(number));
    }
}

#[test]
fn a_handler_that_interrupts_log_calls() {
    good_child("signals::a_handler_that_interrupts_log_calls", |place| {
        let tacho = start(config(place).overflow(Overflow::Block).block_max(FLUSH)).unwrap();
        let called = interrupted(SIGNALS, both);
        check(place, &tacho, called);
        assert_eq!(tacho.health().dropped_full, 0, "a call did not wait for room");
        assert!(tacho.health().dropped_reentrant > 0, "no call was ever interrupted: the test is worth nothing");
    });
}

#[test]
fn a_handler_that_interrupts_calls_on_a_full_ring() {
    good_child("signals::a_handler_that_interrupts_calls_on_a_full_ring", |place| {
        let tacho = start(config(place).ring_bytes(65_536_usize)).unwrap();
        let called = interrupted(SIGNALS / 2, both);
        check(place, &tacho, called);
        assert!(tacho.health().dropped_full > 0, "the ring was never full: the test is worth nothing");
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_handler_at_every_instruction_of_a_call() {
    use crate::interrupt::interrupted;
    good_child("signals::a_handler_at_every_instruction_of_a_call", |place| {
        let tacho = start(config(place)).unwrap();
        tachograph::prepare_thread();
        (0..2).for_each(|_| handler(0));
        // Too long for the hot path.
        let spaces = " ".repeat(2000);
        let kinds: [&dyn Fn(u64); 3] = [
            &|number| info!(target: "body", "plain {} {}", number, number),
            &|number| info!(target: "body", "shown {} {}", number, Shows(number)),
            &|number| info!(target: "body", "plain {} {} {}", number, number, &spaces),
        ];
        let mut number = 0;
        let mut called = || {
            number += 1;
            number
        };
        // The first kind at every instruction; what is longer at some, or, as in `tests/every_instruction`, at all.
        let all = std::env::var_os("TACHO_EVERY_INSTRUCTION").is_some_and(|value| value == "1");
        for (kind, step) in kinds.into_iter().zip([1, 17, 17]) {
            kind(called());
            let interrupted_at = |at: &u64| {
                let number = called();
                interrupted(*at, || kind(number), &|| (0..2).for_each(|_| handler(0)))
            };
            let times = (1..).step_by(if all { 1 } else { step }).take_while(interrupted_at).count();
            assert!(times > 30, "a call was interrupted {times} times only");
            println!("a call interrupted at {times} instructions, one by one");
        }
        check(place, &tacho, number);
        assert_eq!(tacho.health().dropped_full, 0);
        assert!(tacho.health().dropped_reentrant > 0, "no call was ever interrupted: the test is worth nothing");
    });
}

#[test]
fn a_handler_that_interrupts_a_flush() {
    good_child("signals::a_handler_that_interrupts_a_flush", |place| {
        let tacho = start(config(place)).unwrap();
        let called = interrupted(SIGNALS / 5, |number| {
            both(number);
            tacho.flush(FLUSH).unwrap();
        });
        check(place, &tacho, called);
    });
}

static LINES_IN_HANDLER: AtomicU64 = AtomicU64::new(u64::MAX);
static VIEW: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();

fn lines_of_view() -> u64 {
    VIEW.get().and_then(|path| std::fs::read_to_string(path).ok()).map_or(0, |text| text.lines().count() as u64)
}

extern "C" fn logs_and_looks(_: libc::c_int) {
    info!(target: "sync", "by the handler");
    // Raised by the thread itself, between its calls, so reading files is safe here.
    LINES_IN_HANDLER.store(lines_of_view(), Ordering::Relaxed);
}

#[test]
fn in_synchronous_mode_a_handler_leaves_its_record_to_the_next_call() {
    good_child("signals::in_synchronous_mode_a_handler_leaves_its_record_to_the_next_call", |place| {
        VIEW.set(place.dir.join("sync.log")).unwrap();
        let tacho = start(config(place).mode(Mode::Synchronous)).unwrap();
        info!(target: "sync", "first");
        // SAFETY: the handler is a function of this program.
        unsafe { libc::signal(libc::SIGUSR1, logs_and_looks as *const () as usize) };
        // SAFETY: no preconditions.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(LINES_IN_HANDLER.load(Ordering::Relaxed), 1, "a file was written to in a signal handler");
        info!(target: "sync", "second");
        assert_eq!(place.messages("sync"), ["first", "by the handler", "second"]);
        // SAFETY: no preconditions.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(lines_of_view(), 3);
        tacho.flush(FLUSH).unwrap();
        assert_eq!(lines_of_view(), 4);
    });
}

#[test]
fn handlers_in_synchronous_mode_interrupt_memory_and_files() {
    good_child("signals::handlers_in_synchronous_mode_interrupt_memory_and_files", |place| {
        let tacho = start(config(place).mode(Mode::Synchronous)).unwrap();
        let called = interrupted(SIGNALS / 20, |number| {
            // Half of the signals come while the allocator's locks may be held.
            (0..200).for_each(|size| drop(std::hint::black_box(vec![1_u8; 100 * size + 1])));
            if number.is_multiple_of(4) {
                tacho.flush(FLUSH).unwrap();
            }
            both(number);
        });
        check(place, &tacho, called);
    });
}
