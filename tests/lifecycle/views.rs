//! The set of views is the directory's: the same for all who log there, and known after a restart.

use crate::support::{FLUSH, Place};
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use tachograph::{info, start_isolated};

#[test]
fn another_set_is_refused_while_others_live_and_taken_when_nobody_does() {
    let place = Place::new();
    let one = start_isolated(place.config().view_backups(3_u32)).unwrap();
    let two = start_isolated(place.config().view_backups(3_u32)).unwrap();
    let other = place.config().view_backups(4_u32);
    let error = start_isolated(other.clone()).unwrap_err();
    assert!(error.is_config(), "{error}");
    assert!(error.to_string().contains("components.rotation.backups is 3 there and 4 here"), "{error}");
    assert_eq!(place.live_folders(), 2, "the refused one left nothing");
    // One of the others may have been looking whether its owner is dead; who looks takes the folder away then.
    let mut tries = 0;
    while folders(&place) != 2 {
        assert!(tries < 500, "the refused one left nothing");
        tries += 1;
        sleep(Duration::from_millis(10));
    }
    one.close(FLUSH).unwrap();
    assert!(start_isolated(other.clone()).is_err(), "one of two lives");
    info!(logger: two, "still logging");
    two.close(FLUSH).unwrap();
    start_isolated(other).unwrap().close(FLUSH).unwrap();
    let kept = fs::read_to_string(place.dir.join(".journal/configuration")).unwrap();
    assert!(kept.contains("backups = 4"), "{kept}");
}

#[test]
fn backups_of_a_view_that_nothing_logs_to_any_more_are_kept_in_order() {
    let place = Place::new();
    let config = |backups: u32| place.config().view_backups(backups).view_bytes_max(4096_u64).view_compress(false);
    let backups = || (1..10).filter(|number| place.dir.join(format!("old.log.{number}")).exists()).count();
    let tacho = start_isolated(config(5)).unwrap();
    for number in 0..1_000 {
        info!(logger: tacho, target: "old", "line {number}");
    }
    tacho.close(FLUSH).unwrap();
    assert_eq!(backups(), 5);
    fs::write(place.dir.join("foreign.log.7"), "of nobody that is known here").unwrap();
    start_isolated(config(2)).unwrap().close(FLUSH).unwrap();
    assert_eq!(backups(), 2);
    assert!(place.dir.join("foreign.log.7").exists());
}

/// Journal folders of processes.
fn folders(place: &Place) -> usize {
    fs::read_dir(place.dir.join(".journal")).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
}
