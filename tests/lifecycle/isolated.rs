//! Several loggers in one process.

use crate::support::{FLUSH, Place};
use tachograph::{component, info, start_isolated};

#[test]
fn none_of_several_isolated_loggers_mixes_with_another() {
    let place = Place::new();
    let places: Vec<Place> = (0..5).map(|number| place.within(&number.to_string())).collect();
    let loggers: Vec<_> = places.iter().map(|place| start_isolated(place.config()).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let loggers = &loggers;
            scope.spawn(move || {
                for number in 0..400_usize {
                    let to = (number + thread) % 5;
                    info!(logger: loggers[to], target: "mix", "for {to} by {thread} number {number}");
                    // Without a target.
                    info!(logger: loggers[to], "for {to}");
                }
            });
        }
    });
    // A component is part of the program, and logs to the global logger; here is none.
    info!(logger: component("mix"), "nowhere");
    for (number, (place, logger)) in places.iter().zip(loggers).enumerate() {
        logger.close(FLUSH).unwrap();
        let messages = place.messages("mix");
        assert_eq!(messages.len(), 320);
        assert!(messages.iter().all(|message| message.starts_with(&format!("for {number} by "))));
        assert_eq!(place.messages("main"), vec![format!("for {number}"); 320]);
    }
}

#[test]
fn isolated_loggers_come_and_go_on_one_thread() {
    let place = Place::new();
    for round in 0..30 {
        let tacho = start_isolated(place.config()).unwrap();
        info!(logger: tacho, target: "rounds", "{round}");
    }
    let expected: Vec<String> = (0..30).map(|round| round.to_string()).collect();
    assert_eq!(place.messages("rounds"), expected);
    assert_eq!(place.live_folders(), 0);
    // What a closed logger had mapped is unmapped with it.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let left = maps.lines().filter(|line| line.contains(place.shm.to_str().unwrap())).count();
    // The last one's may live until this thread logs again.
    assert!(left <= 16, "{left} mappings of 30 loggers are left");
}
