//! Clocks that a program sets, and the coarse one.

use crate::support::{FLUSH, Place};
use std::time::Duration;
use tachograph::{Clock, Idle, ManualClock, Mode, info, start_isolated};

#[test]
fn a_manual_clock_gives_the_times_that_were_set_and_keeps_the_order_of_calls() {
    for mode in [Mode::Threads, Mode::Synchronous] {
        let place = Place::new();
        let clock = ManualClock::new(1_700_000_000_000_000_000);
        let tacho = start_isolated(place.config().clock(clock.clone()).mode(mode)).unwrap();
        // Forwards, standing still, and back again.
        let seconds = [0, 1, 1, 5, 3, 3_600, 2, -10];
        for (number, second) in seconds.iter().enumerate() {
            clock.set(1_700_000_000_000_000_000_u64.checked_add_signed(second * 1_000_000_000).unwrap());
            info!(logger: tacho, target: "manual", "{number}");
            if number == 3 {
                tacho.flush(FLUSH).unwrap();
                assert_eq!(place.messages("manual").len(), 4);
            }
        }
        tacho.flush(FLUSH).unwrap();
        tacho.sync(FLUSH).unwrap();
        let lines = place.lines("manual");
        assert_eq!(place.messages("manual"), ["0", "1", "2", "3", "4", "5", "6", "7"], "{mode:?}");
        let expected =
            ["13:20.000", "13:21.000", "13:21.000", "13:25.000", "13:23.000", "13:20.000", "13:22.000", "13:10.000"];
        for (line, time) in lines.iter().zip(expected) {
            assert!(line.split(' ').next().unwrap().contains(time), "{line}: {time}");
        }
        assert_eq!(tacho.health().late, 0);
        tacho.close(FLUSH).unwrap();
    }
}

#[test]
fn a_coarse_clock_keeps_each_threads_order_and_its_times_do_not_go_back() {
    let place = Place::new();
    let config = place.config().clock(Clock::Coarse).idle(Idle::Sleep).coarse_stale_max(Duration::from_millis(10));
    let tacho = start_isolated(config).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let tacho = &tacho;
            scope.spawn(move || {
                for number in 0..500_u32 {
                    info!(logger: tacho, target: "coarse", "{thread} {number}");
                    if number.is_multiple_of(50) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            });
        }
    });
    tacho.flush(FLUSH).unwrap();
    tacho.sync(FLUSH).unwrap();
    let mut next = [0_u32; 3];
    let mut time = String::new();
    for line in place.lines("coarse") {
        let now = line.split(' ').next().unwrap().to_owned();
        assert!(now >= time || line.ends_with("(late)"), "{line} after {time}");
        time = now;
        let mut words = line.split_once("] ").unwrap().1.split(' ');
        let thread: usize = words.next().unwrap().parse().unwrap();
        let number: u32 = words.next().unwrap().parse().unwrap();
        assert_eq!(number, next[thread]);
        next[thread] += 1;
    }
    assert_eq!(next, [500; 3]);
    // The clock moves.
    let begin = std::time::Instant::now();
    let times = || {
        place
            .lines("moves")
            .iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    while times().len() < 3 {
        assert!(begin.elapsed() < FLUSH, "the clock stands still");
        info!(logger: tacho, target: "moves", "x");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn times_of_several_loggers_of_a_directory_are_in_the_order_of_the_lines() {
    let place = Place::new();
    let start = || start_isolated(place.config()).unwrap();
    let first = start();
    info!(logger: first, target: "several", "0");
    let others: Vec<_> = (0..3).map(|_| start()).collect();
    let loggers: Vec<_> = std::iter::once(&first).chain(&others).collect();
    // Long enough for new anchors.
    let until = std::time::Instant::now() + Duration::from_millis(2_500);
    let mut number = 0;
    while std::time::Instant::now() < until {
        for logger in &loggers {
            number += 1;
            info!(logger: logger, target: "several", "{number}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for logger in &loggers {
        let clock = logger.health().clock;
        assert!(clock.shared, "{clock}");
        logger.flush(FLUSH).unwrap();
    }
    drop(loggers);
    for tacho in others.into_iter().chain([first]) {
        tacho.close(FLUSH).unwrap();
    }
    let lines: Vec<_> = place.lines("several").into_iter().filter(|line| !line.ends_with(" (late)")).collect();
    let key = |line: &String| {
        let (time, rest) = line.split_once(' ').unwrap();
        (time.to_owned(), rest.split_once("] ").unwrap().1.parse::<u64>().unwrap())
    };
    for pair in lines.windows(2) {
        let (before, after) = (key(&pair[0]), key(&pair[1]));
        assert!(before.0 <= after.0 && before.1 < after.1, "{pair:?}");
    }
    assert!(lines.len() > 100);
    assert_eq!(std::fs::read_dir(&place.shm).unwrap().count(), 0, "the last one takes the page with it");
}
