//! One global logger after the other.

use crate::support::{FLUSH, Place, good_child};
use std::sync::{Barrier, Mutex, OnceLock, mpsc};
use std::time::Duration;
use tachograph::{Component, Guard, Value, component, info, start, start_isolated, warn};

fn site(text: &str) {
    info!(target: "site", "{text}");
}

fn of(part: Component, text: &str) {
    warn!(logger: part, "{text}");
}

#[test]
fn off_before_start_on_after_it_off_again_and_on_again() {
    let place = good_child("start_stop::off_before_start_on_after_it_off_again_and_on_again", |place| {
        let part = component("part");
        tachograph::prepare_thread();
        for _ in 0..3 {
            site("before");
            of(part, "before");
        }
        let tacho = start(place.config()).unwrap();
        site("first");
        of(part, "first");
        of(component("late_part"), "first");
        drop(tacho);
        for _ in 0..3 {
            site("between");
            of(part, "between");
            component("made_between");
        }
        // Into the same directory, twice more.
        for text in ["second", "third"] {
            let tacho = start(place.config()).unwrap();
            site(text);
            of(part, text);
            of(component("made_between"), text);
            tacho.flush(FLUSH).unwrap();
            assert_eq!(tacho.health().dropped, 0);
            drop(tacho);
            site("between");
        }
    });
    assert_eq!(place.messages("site"), ["first", "second", "third"]);
    assert_eq!(place.messages("part"), ["first", "second", "third"]);
    assert_eq!(place.messages("late_part"), ["first"]);
    assert_eq!(place.messages("made_between"), ["second", "third"]);
    assert_eq!(place.live_folders(), 0, "a logger that was closed leaves nothing in shared memory");
}

#[test]
fn a_second_start_is_refused_and_the_first_goes_on() {
    let place = good_child("start_stop::a_second_start_is_refused_and_the_first_goes_on", |place| {
        let tacho = start(place.config()).unwrap();
        site("one");
        let error = start(place.config()).unwrap_err();
        assert!(error.is_already_started(), "{error}");
        let text = error.to_string();
        assert!(text.contains(place.dir.to_str().unwrap()) && text.contains("start_isolated"), "{text}");
        site("two");
        tacho.close(FLUSH).unwrap();
    });
    assert_eq!(place.messages("site"), ["one", "two"]);
}

#[test]
fn two_loggers_share_a_directory_and_each_can_flush() {
    let place = Place::new();
    let one = start_isolated(place.config()).unwrap();
    let two = start_isolated(place.config()).unwrap();
    for number in 0..10 {
        for logger in [&one, &two] {
            info!(logger: logger, target: "site", "{number}");
            logger.flush(FLUSH).unwrap();
            let is_it = |message: &String| message.trim_end_matches(" (late)") == number.to_string();
            assert!(place.messages("site").iter().any(is_it));
        }
    }
    one.close(FLUSH).unwrap();
    info!(logger: two, target: "site", "10");
    two.flush(FLUSH).unwrap();
    two.close(FLUSH).unwrap();
    assert_eq!(place.messages("site").len(), 21);
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn two_loggers_share_a_directory() {
    let place = Place::new();
    let one = start_isolated(place.config()).unwrap();
    let two = start_isolated(place.config()).unwrap();
    for number in 0..500 {
        info!(logger: one, target: "site", "one {number}");
        info!(logger: two, target: "site", "two {number}");
    }
    // The one that renders goes first.
    one.close(FLUSH).unwrap();
    info!(logger: two, target: "site", "two 500");
    two.close(FLUSH).unwrap();
    let messages = place.messages("site");
    for (name, count) in [("one ", 500), ("two ", 501)] {
        let numbers: Vec<u32> = messages
            .iter()
            .filter_map(|message| message.strip_prefix(name))
            // The renderer may have come behind the first lines before it knew the other journal.
            .map(|text| text.trim_end_matches(" (late)").parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..count).collect::<Vec<u32>>(), "{name}");
    }
    assert_eq!(messages.len(), 1001);
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn of_many_starts_at_once_one_wins() {
    let place = good_child("start_stop::of_many_starts_at_once_one_wins", |place| {
        let (guards, barrier) = (Mutex::new(Vec::new()), Barrier::new(6));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    barrier.wait();
                    match start(place.config()) {
                        Ok(guard) => guards.lock().unwrap().push(guard),
                        Err(error) => assert!(error.is_already_started(), "{error}"),
                    }
                });
            }
        });
        assert_eq!(guards.lock().unwrap().len(), 1);
        site("the one");
    });
    // The guard was dropped at the end of the closure.
    assert_eq!(place.messages("site"), ["the one"]);
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn a_thread_that_lives_on_logs_to_the_new_logger() {
    let place = good_child("start_stop::a_thread_that_lives_on_logs_to_the_new_logger", |place| {
        let (ask, asked) = mpsc::sync_channel::<&'static str>(0);
        let (answer, answered) = mpsc::sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("survivor".to_owned())
            .spawn(move || {
                for text in asked {
                    site(text);
                    answer.send(()).unwrap();
                }
            })
            .unwrap();
        let say = |text| {
            ask.send(text).unwrap();
            answered.recv().unwrap();
        };
        for text in ["a", "b", "c"] {
            let tacho = start(place.config()).unwrap();
            say(text);
            drop(tacho);
            say("nothing");
        }
        drop(ask);
        thread.join().unwrap();
    });
    assert_eq!(place.messages("site"), ["a", "b", "c"]);
    assert!(place.lines("site").iter().all(|line| line.contains("[survivor]")));
}

#[test]
fn calls_race_with_starts_and_ends() {
    let place = good_child("start_stop::calls_race_with_starts_and_ends", |place| {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let done = &done;
                scope.spawn(move || {
                    let part = component("racing_part");
                    let mut number = 0_u64;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        info!(target: "race", "{thread} {number}");
                        info!(logger: part, "{thread} {number}");
                        number += 1;
                        if number.is_multiple_of(64) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for _ in 0..20 {
                let tacho = start(place.config().view_backups(0).view_bytes_max(64 << 20)).unwrap();
                std::thread::sleep(Duration::from_millis(5));
                tacho.set_levels("debug").unwrap();
                tacho.close(FLUSH).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
    for view in ["race", "racing_part"] {
        let mut last = [None::<u64>; 3];
        for message in place.messages(view) {
            // A busy machine may make a line late, which is said behind it.
            let (thread, number) = message.trim_end_matches(" (late)").split_once(' ').unwrap();
            let (thread, number): (usize, u64) = (thread.parse().unwrap(), number.parse().unwrap());
            assert!(last[thread].is_none_or(|last| last < number), "{view}: {message} after {last:?}");
            last[thread] = Some(number);
        }
        assert!(last.iter().all(Option::is_some), "{view}: {last:?}");
    }
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn a_guard_in_a_static_serves_until_the_process_ends() {
    let place = good_child("start_stop::a_guard_in_a_static_serves_until_the_process_ends", |place| {
        static GUARD: OnceLock<Guard> = OnceLock::new();
        let tacho = GUARD.get_or_init(|| start(place.config()).unwrap());
        site("kept");
        info!(logger: tacho, target: "site", "through it");
        tacho.flush(FLUSH).unwrap();
    });
    assert_eq!(place.messages("site"), ["kept", "through it"]);
}

#[test]
fn health_tells_what_happened_and_a_closed_logger_says_so() {
    let place = good_child("start_stop::health_tells_what_happened_and_a_closed_logger_says_so", |place| {
        let tacho = start(place.config()).unwrap();
        for _ in 0..10 {
            site("x");
        }
        tacho.flush(FLUSH).unwrap();
        let health = tacho.health();
        assert_eq!((health.written, health.dropped, health.called()), (10, 0, 10));
        assert!(health.is_ok() && health.survives_kill, "{health}");
        let logger = tacho.logger().clone();
        tacho.sync(FLUSH).unwrap();
        tacho.close(FLUSH).unwrap();
        // A clone of the logger that outlives its guard is silent.
        info!(logger: logger, target: "site", "too late");
    });
    assert_eq!(place.messages("site").len(), 10);
}

static KEPT: Mutex<Option<Guard>> = Mutex::new(None);

/// Drops the guard while it is copied.
#[derive(Debug)]
struct Closes;

impl Value for Closes {
    type Parts<'a> = <u64 as Value>::Parts<'a>;
    const TYPE: &'static tachograph::value::Type = <u64 as Value>::TYPE;

    fn parts(&self) -> Self::Parts<'_> {
        drop(KEPT.lock().unwrap().take());
        7_u64.parts()
    }
}

#[test]
fn a_guard_that_is_dropped_within_a_log_call_leaves_the_ring_to_that_call() {
    let place =
        good_child("start_stop::a_guard_that_is_dropped_within_a_log_call_leaves_the_ring_to_that_call", |place| {
            let say = |list: &[Closes], last: u64| info!(target: "site", "{:?} {}", list, last);
            let tacho = start(place.config().close_max(Duration::from_millis(300))).unwrap();
            say(&[], 0);
            *KEPT.lock().unwrap() = Some(tacho);
            say(&[Closes], 1);
            say(&[Closes], 2);
            // The same by the way of an isolated logger, whose calls all take the cold path.
            let place = place.within("isolated");
            let tacho = start_isolated(place.config().close_max(Duration::from_millis(300))).unwrap();
            let logger = tacho.logger().clone();
            let say = |list: &[Closes], last: u64| info!(logger: logger, target: "site", "{:?} {}", list, last);
            say(&[], 0);
            *KEPT.lock().unwrap() = Some(tacho);
            say(&[Closes], 1);
            say(&[Closes], 2);
        });
    for place in [place.within("isolated"), place] {
        start_isolated(place.config()).unwrap().close(FLUSH).unwrap();
        let messages: Vec<String> = place
            .messages("site")
            .iter()
            .map(|message| message.replace(" (recovered)", "").replace(" (late)", ""))
            .collect();
        assert_eq!(messages, ["[] 0", "[7] 1"]);
    }
}
