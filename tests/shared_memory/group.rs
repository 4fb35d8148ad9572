//! Who may look into live memory.

use crate::support::{FLUSH, Place};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use tachograph::{info, start_isolated};

/// Mode and group of everything in live memory.
fn modes(place: &Place) -> Vec<(PathBuf, u32, u32)> {
    let mut folders: Vec<PathBuf> = fs::read_dir(&place.shm).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut found = Vec::new();
    while let Some(path) = folders.pop() {
        let meta = fs::metadata(&path).unwrap();
        found.push((path.clone(), meta.mode() & 0o7777, meta.gid()));
        if meta.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn without_a_group_nobody_else_may_look() {
    let place = Place::new();
    let tacho = start_isolated(place.config()).unwrap();
    info!(logger: tacho, target: "modes", "one");
    tacho.flush(FLUSH).unwrap();
    let all = modes(&place);
    assert!(all.len() > 8, "{all:?}");
    for (path, mode, _) in all {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

#[test]
fn a_group_may_read_and_nobody_may_write() {
    // SAFETY: no preconditions.
    let (user, own) = unsafe { (libc::geteuid(), libc::getegid()) };
    let group = if user == 0 { 65_533 } else { own };
    let place = Place::new();
    // As an earlier logger without a group has left it.
    start_isolated(place.config()).unwrap().close(FLUSH).unwrap();
    let tacho = start_isolated(place.config().shm_group(group.to_string())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| info!(logger: tacho, target: "modes", "one"));
        }
    });
    tacho.flush(FLUSH).unwrap();
    for (path, mode, gid) in modes(&place) {
        assert_eq!(mode, if path.is_dir() { 0o750 } else { 0o640 }, "{}", path.display());
        assert_eq!(gid, group, "{}", path.display());
    }
    assert!(tacho.health().survives_kill);
}

#[test]
fn an_unknown_group_is_refused_by_name() {
    let place = Place::new();
    let error = start_isolated(place.config().shm_group("no such group")).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("no such group"), "{error}");
}

#[test]
fn a_group_by_its_name() {
    let place = Place::new();
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("SKIPPED: only root can give files to a group by the name of one that it is not in");
        return;
    }
    let text = fs::read_to_string("/etc/group").unwrap();
    let line = text.lines().find(|line| !line.starts_with("root:")).unwrap();
    let (name, number) = (line.split(':').next().unwrap(), line.split(':').nth(2).unwrap().parse::<u32>().unwrap());
    let tacho = start_isolated(place.config().shm_group(name)).unwrap();
    info!(logger: tacho, target: "modes", "one");
    tacho.flush(FLUSH).unwrap();
    assert!(modes(&place).iter().all(|(_, _, gid)| *gid == number));
    drop(tacho);
}
