//! A disk that refuses.

use crate::support::{FLUSH, Place};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tachograph::{info, start_isolated};

#[test]
fn a_view_that_cannot_be_written_says_which_and_spares_the_others() {
    let place = Place::new();
    fs::create_dir_all(place.dir.join("broken.log")).unwrap();
    let tacho = start_isolated(place.config()).unwrap();
    for number in 0..10 {
        info!(logger: tacho, target: "broken", "{number}");
        info!(logger: tacho, target: "whole", "{number}");
    }
    let begin = std::time::Instant::now();
    while place.lines("whole").len() < 10 {
        assert!(begin.elapsed() < FLUSH, "the whole view waits for the broken one");
        std::thread::sleep(Duration::from_millis(5));
    }
    if let Err(error) = tacho.flush(Duration::from_millis(500)) {
        assert!(error.is_timeout(), "{error}");
        assert!(error.to_string().contains("broken"), "{error}");
    }
    let health = tacho.health();
    assert!(health.trouble.as_deref().is_some_and(|text| text.contains("broken")), "{health}");
    assert!(!health.is_ok());
    // The obstacle goes: what waited comes.
    fs::remove_dir(place.dir.join("broken.log")).unwrap();
    let begin = std::time::Instant::now();
    while !place.dir.join("broken.log").is_file() || place.lines("broken").len() < 10 {
        assert!(begin.elapsed() < FLUSH, "the view does not come back: {}", tacho.health());
        std::thread::sleep(Duration::from_millis(20));
    }
    tacho.flush(FLUSH).unwrap();
    tacho.close(FLUSH).unwrap();
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(place.messages("broken"), expected);
    assert_eq!(place.messages("whole"), expected);
}

#[test]
fn a_flush_that_takes_too_long_says_so_and_loses_nothing() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    info!(logger: tacho, target: "slow", "one");
    let error = tacho.flush(Duration::ZERO).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let text = error.to_string();
    assert!(text.contains("flush was not done within 0ns") && text.contains("nothing is lost"), "{text}");
    tacho.flush(FLUSH).unwrap();
    // A time that no clock can count to is no panic.
    tacho.flush(Duration::MAX).unwrap();
    tacho.sync(Duration::MAX).unwrap();
    assert_eq!(place.messages("slow"), ["one"]);
    tacho.close(Duration::MAX).unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_with_its_path() {
    let place = Place::new();
    fs::create_dir_all(&place.dir).unwrap();
    let file = place.dir.join("file");
    fs::write(&file, "in the way").unwrap();
    let error = start_isolated(tachograph::Config::new(&file)).unwrap_err();
    assert!(error.is_io() && error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "in the way");
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        let closed = place.dir.join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        let error = start_isolated(tachograph::Config::new(closed.join("logs"))).unwrap_err();
        assert!(error.is_io() && error.to_string().contains("closed"), "{error}");
    }
}

#[test]
fn without_shared_memory_it_works_and_says_so() {
    let place = Place::new();
    let tacho = start_isolated(place.config().shm_dir("/nonexistent")).unwrap();
    info!(logger: tacho, target: "anonymous", "one");
    tacho.flush(FLUSH).unwrap();
    let health = tacho.health();
    assert!(!health.survives_kill && !health.is_ok());
    assert!(health.remarks.iter().any(|remark| remark.contains("crash survival is off")), "{health}");
    assert_eq!(place.messages("anonymous"), ["one"]);
}

#[test]
fn files_and_the_directory_that_others_remove_come_back() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    info!(logger: tacho, target: "gone", "one");
    tacho.flush(FLUSH).unwrap();
    fs::remove_file(place.dir.join("gone.log")).unwrap();
    let begin = std::time::Instant::now();
    let mut number = 0;
    while place.lines("gone").is_empty() {
        assert!(begin.elapsed() < FLUSH, "{}", tacho.health());
        info!(logger: tacho, target: "gone", "again {number}");
        number += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    tacho.flush(FLUSH).unwrap();
}
