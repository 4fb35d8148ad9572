//! Synchronous mode: a line is in its file when the call returns.

use crate::support::{FLUSH, Place, good_child};
use tachograph::{Mode, component, info, start, start_isolated};

#[test]
fn a_line_is_in_its_file_when_the_call_returns() {
    let place = Place::new();
    let tacho = start_isolated(place.config().mode(Mode::Synchronous)).unwrap();
    for number in 0..300_usize {
        info!(logger: tacho, target: "sync", "{number}");
        assert_eq!(place.messages("sync").len(), number + 1);
    }
    tacho.flush(FLUSH).unwrap();
    tacho.sync(FLUSH).unwrap();
    tacho.close(FLUSH).unwrap();
    assert_eq!(place.messages("sync").len(), 300);
    assert_eq!(place.live_folders(), 0);
}

#[test]
fn from_several_threads_too_and_globally() {
    let place = good_child("synchronous::from_several_threads_too_and_globally", |place| {
        let tacho = start(place.config().mode(Mode::Synchronous)).unwrap();
        let part = component("part");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for number in 0..100_usize {
                        info!(target: "sync", "{thread} {number}");
                        let mine = format!("{thread} {number}");
                        assert!(place.messages_so_far("sync").contains(&mine), "{mine}");
                        info!(logger: part, "{thread} {number}");
                        assert!(place.messages_so_far("part").contains(&mine), "{mine}");
                    }
                });
            }
        });
        let health = tacho.health();
        assert_eq!((health.written, health.dropped), (800, 0));
    });
    assert_eq!(place.messages("sync").len(), 400);
    assert_eq!(place.messages("part").len(), 400);
}

#[test]
fn no_thread_is_started() {
    good_child("synchronous::no_thread_is_started", |place| {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let tacho = start(place.config().mode(Mode::Synchronous).view_bytes_max(4096)).unwrap();
        for number in 0..500 {
            info!(target: "sync", "{number} rotates now and then, and compresses what it put away");
        }
        assert_eq!(threads(), before);
        tacho.close(FLUSH).unwrap();
    });
}
