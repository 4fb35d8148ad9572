//! A panic in or around a log call harms that call only.

use crate::shared::stated_drops;
use crate::support::{FLUSH, Place, good_child};
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tachograph::{Guard, Value, info, start, start_isolated};

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it")?;
        panic!("on purpose")
    }
}

struct Shows(u64);

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shows {}", self.0)
    }
}

#[test]
fn a_display_that_panics_propagates_and_leaves_the_ring_intact() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    for number in 0..2000_u64 {
        info!(logger: tacho, target: "panics", "{} {}", number, Shows(number));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            info!(logger: tacho, target: "panics", "{} {} {}", number, Shows(number), Panics);
        }));
        assert!(panicked.is_err());
    }
    tacho.flush(FLUSH).unwrap();
    let expected: Vec<String> = (0..2000).map(|number| format!("{number} shows {number}")).collect();
    assert_eq!(place.messages("panics"), expected);
    let health = tacho.health();
    assert_eq!((health.written, health.dropped), (2000, 0));
}

#[test]
fn a_thread_that_panics_logs_while_it_unwinds() {
    struct LogsAtItsEnd<'a>(&'a Guard);
    impl Drop for LogsAtItsEnd<'_> {
        fn drop(&mut self) {
            info!(logger: self.0, target: "panics", "unwinding {}", std::thread::panicking());
        }
    }
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let thread = scope.spawn(|| {
                info!(logger: tacho, target: "panics", "begin");
                let _at_end = LogsAtItsEnd(&tacho);
                panic!("on purpose");
            });
            assert!(thread.join().is_err());
        }
    });
    info!(logger: tacho, target: "panics", "after");
    tacho.flush(FLUSH).unwrap();
    let messages = place.messages("panics");
    assert_eq!(messages.len(), 17);
    assert_eq!(messages.iter().filter(|message| *message == "unwinding true").count(), 8);
    assert_eq!(messages[16], "after");
}

/// Panics while it is copied, when told to.
#[derive(Debug)]
struct Trap {
    number: u64,
    armed: Cell<bool>,
}

impl Value for Trap {
    type Parts<'a> = <u64 as Value>::Parts<'a>;
    const TYPE: &'static tachograph::value::Type = <u64 as Value>::TYPE;

    fn parts(&self) -> Self::Parts<'_> {
        assert!(!self.armed.get(), "on purpose");
        self.number.parts()
    }
}

/// Calls with a value that panics between others that do not; `log` logs a list of values.
fn traps(log: impl Fn(&[Trap])) {
    let good = |number| Trap { number, armed: Cell::new(false) };
    for number in 0..100 {
        log(&[good(number), good(1)]);
        let bad = [good(number), Trap { number, armed: Cell::new(true) }];
        assert!(catch_unwind(AssertUnwindSafe(|| log(&bad))).is_err());
    }
}

fn check_traps(place: &Place, tacho: &Guard) {
    tacho.flush(FLUSH).unwrap();
    let expected: Vec<String> = (0..100).map(|number| format!("[{number}, 1]")).collect();
    assert_eq!(place.messages("traps"), expected);
    let health = tacho.health();
    assert_eq!((health.written, health.dropped, health.dropped_panicked), (100, 100, 100), "{health}");
    // The last one has no record behind it and is stated as well.
    let notes = || place.messages("tachograph");
    let stated = || stated_drops(notes().iter().map(String::as_str), "a value of the caller panicked");
    let begin = std::time::Instant::now();
    while stated() < 100 && begin.elapsed() < FLUSH {
        tacho.flush(FLUSH).unwrap();
    }
    assert_eq!(stated(), 100, "{:?}", notes());
}

#[test]
fn a_value_that_panics_while_it_is_copied_is_a_stated_drop() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    traps(|list| info!(logger: tacho, target: "traps", "{:?}", list));
    check_traps(&place, &tacho);
}

#[test]
fn and_so_it_is_on_the_hot_path() {
    good_child("panics::and_so_it_is_on_the_hot_path", |place| {
        let tacho = start(place.config()).unwrap();
        traps(|list| info!(target: "traps", "{:?}", list));
        check_traps(place, &tacho);
    });
}
