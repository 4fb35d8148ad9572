//! Threads that come and go.

use crate::shared::stated_drops;
use crate::support::{FLUSH, Place, good_child, named};
use std::cell::RefCell;
use tachograph::{info, start, start_isolated};

#[test]
fn a_ring_that_is_reused_bears_the_new_threads_name() {
    let place = good_child("threads::a_ring_that_is_reused_bears_the_new_threads_name", |place| {
        let tacho = start(place.config()).unwrap();
        let isolated = start_isolated(place.within("isolated").config()).unwrap();
        for number in 0..300 {
            let logger = isolated.logger().clone();
            named(&format!("worker-{number}"), move || {
                for _ in 0..3 {
                    info!(target: "names", "by worker-{number}");
                    info!(logger: logger, target: "names", "by worker-{number}");
                }
            });
        }
        tacho.flush(FLUSH).unwrap();
        let (made, _) = tacho.health().rings;
        assert!(made <= 8, "{made} rings were made for one thread at a time");
        isolated.close(FLUSH).unwrap();
    });
    for lines in [place.lines("names"), place.within("isolated").lines("names")] {
        assert_eq!(lines.len(), 900);
        for line in lines {
            let name = line.split("by ").nth(1).unwrap();
            assert!(line.contains(&format!("[{name}]")), "{line}");
        }
    }
}

#[test]
fn thousands_of_threads_need_few_rings() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    for round in 0..500 {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let tacho = &tacho;
                scope.spawn(move || info!(logger: tacho, target: "many", "{}", round * 8 + thread));
            }
        });
    }
    tacho.flush(FLUSH).unwrap();
    let mut numbers: Vec<u32> = place.messages("many").iter().map(|message| message.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4000).collect::<Vec<u32>>());
    let (made, _) = tacho.health().rings;
    assert!(made <= 24, "{made} rings for 8 threads at a time");
}

#[test]
fn destructors_of_thread_locals_log_before_and_after_ours() {
    struct Logs(&'static str);
    impl Drop for Logs {
        fn drop(&mut self) {
            for number in 0..3 {
                info!(target: "locals", "{} {number}", self.0);
            }
            // Text that is formatted at the call site, too.
            info!(target: "locals", "{} {}", self.0, std::net::Ipv4Addr::LOCALHOST);
        }
    }
    thread_local! {
        static EARLY: RefCell<Option<Logs>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Logs>> = const { RefCell::new(None) };
        static ONLY: RefCell<Option<Logs>> = const { RefCell::new(None) };
    }
    let place = good_child("threads::destructors_of_thread_locals_log_before_and_after_ours", |place| {
        let tacho = start(place.config()).unwrap();
        for _ in 0..20 {
            // Locals are destroyed in one order or the other; ours stands between them.
            named("both", || {
                EARLY.set(Some(Logs("early")));
                info!(target: "locals", "body");
                LATE.set(Some(Logs("late")));
            });
            // The thread's very first call comes from a destructor.
            named("only", || ONLY.set(Some(Logs("only"))));
        }
        tacho.flush(FLUSH).unwrap();
        let health = tacho.health();
        assert_eq!((health.written, health.dropped), (20 * 13, 0));
        let (made, _) = health.rings;
        assert!(made <= 8, "{made} rings: those of destructors were not given back");
    });
    let lines = place.lines("locals");
    for (text, count) in [("early", 80), ("late", 80), ("only", 80), ("body", 20)] {
        assert_eq!(lines.iter().filter(|line| line.contains(&format!("] {text}"))).count(), count, "{text}");
    }
    for line in &lines {
        let name = if line.contains("] only") { "[only]" } else { "[both]" };
        assert!(line.contains(name), "{line}");
    }
}

#[test]
fn a_prepared_thread_has_its_ring() {
    good_child("threads::a_prepared_thread_has_its_ring", |place| {
        let tacho = start(place.config()).unwrap();
        let taken = || tacho.health().rings.0 - tacho.health().rings.1;
        let before = taken();
        tachograph::prepare_thread();
        tachograph::prepare_thread();
        assert_eq!(taken(), before + 1);
        info!("uses it");
        assert_eq!(taken(), before + 1);
    });
}

#[test]
fn calls_of_a_thread_that_gets_no_ring_are_stated() {
    let place = Place::new();
    // Room for one ring and no more.
    let tacho = start_isolated(place.config().table_bytes(256 << 10).shm_bytes_max(3_770_000)).unwrap();
    info!(logger: tacho, target: "ring", "has one");
    // The worker has its page then, so that what is left is known.
    tacho.flush(FLUSH).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..7).for_each(|_| info!(logger: tacho, target: "ring", "has none")));
    });
    let health = tacho.health();
    assert_eq!((health.dropped_without_ring, health.rings.0), (7, 1), "{health}");
    tacho.close(FLUSH).unwrap();
    assert_eq!(place.messages("ring"), ["has one"]);
    let notes = place.messages("tachograph");
    assert_eq!(stated_drops(notes.iter().map(String::as_str), "no ring for the thread"), 7, "{notes:?}");
}
