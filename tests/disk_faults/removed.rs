//! Others delete, rename and cut our files, and the directory itself.

use crate::driver::{Place, Run, is_root, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tachograph::start_isolated;

fn journal(dir: &Path) -> PathBuf {
    fs::read_dir(dir.join(".journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .expect("a process's journal")
}

/// Waits until the log says `words`.
fn log_until_said(run: &mut Run, words: &str) {
    let path = run.dir.join("tachograph.log");
    run.log_until(words, |_| fs::read_to_string(&path).is_ok_and(|text| text.contains(words)));
}

fn the_directory_goes(how: impl Fn(&Path)) {
    let place = Place::new();
    let mut run = Run::start(place.config(), &place.dir);
    run.log_calmly(1000);
    let id = || fs::read_to_string(place.dir.join(".journal/id")).unwrap().lines().next().unwrap().to_owned();
    let before = id();
    how(&place.dir);
    log_until_said(&mut run, "was deleted or renamed");
    run.wait_for_service();
    assert_eq!(id(), before);
    assert!(journal(&place.dir).join("shm").is_file());
    // The renderer's lock is that of the directory that is there.
    let second = start_isolated(place.config()).unwrap();
    let before = run.called();
    run.log_calmly(500);
    second.close(crate::driver::LONG).unwrap();
    let left = run.close_without_statements();
    // What came behind the fault is whole.
    let behind = left.numbers.iter().filter(|number| **number >= before).count();
    assert_eq!(behind, 500, "{}", left.health);
}

#[test]
fn the_directory_is_deleted() {
    the_directory_goes(|dir| {
        // The worker makes files in it meanwhile.
        while fs::remove_dir_all(dir).is_err() && dir.exists() {}
    });
}

#[test]
fn the_directory_is_renamed() {
    the_directory_goes(|dir| fs::rename(dir, dir.with_extension("old")).unwrap());
}

#[test]
fn the_journal_is_renamed() {
    let place = Place::new();
    let mut run = Run::start(place.config(), &place.dir);
    run.log_calmly(1000);
    fs::rename(place.dir.join(".journal"), place.dir.join(".journal.old")).unwrap();
    log_until_said(&mut run, "was deleted or renamed");
    run.wait_for_service();
    run.log_calmly(500);
    run.close().assert_exact();
}

#[test]
fn the_growing_segment_is_deleted_cut_and_renamed() {
    let place = Place::new();
    let mut run = Run::start(place.config().archive_compress(false), &place.dir);
    run.log_calmly(100);
    // The file is there when what is in it was synced.
    run.sync();
    let newest = |place: &Place| {
        let segments = fs::read_dir(journal(&place.dir)).unwrap().map(|entry| entry.unwrap().path());
        segments.filter(|path| path.extension().is_some_and(|end| end == "seg")).max().unwrap()
    };
    let harms: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap(),
        |path| fs::rename(path, path.with_extension("elsewhere")).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        // The newest one is the growing one only while nothing is logged.
        run.sync();
        harm(&newest(&place));
        let path = run.dir.join("tachograph.log");
        let said = |text: String| text.matches("it was written again").count() > number;
        run.log_until("stated", |_| fs::read_to_string(&path).is_ok_and(said));
    }
    run.log_calmly(100);
    let folder = journal(&place.dir);
    let dir = place.dir.clone();
    let left = run.close();
    left.assert_exact();
    // The archive is whole: whoever renders it anew finds every record.
    drop(folder);
    let mut records = 0;
    let mut follow = tachograph::reader::dir::LogDir::open(&dir).unwrap().processes().unwrap();
    for process in &mut follow {
        let mut journal = tachograph::reader::journal::Journal::new(process.name());
        let mut source = process.source();
        records += read_all(&mut journal, &mut source);
    }
    let written = left.health.written;
    assert!(records >= written, "{records} of {written}");
}

fn read_all(
    journal: &mut tachograph::reader::journal::Journal,
    source: &mut dyn tachograph::reader::source::Source,
) -> u64 {
    use tachograph::reader::journal::Fed;
    loop {
        let want = journal.want();
        let mut bytes = journal.buffer();
        let extent = source.read(want.segment, want.offset, 64 << 10, &mut bytes).unwrap();
        match journal.feed(bytes, extent) {
            Fed::Progress | Fed::Retry => {}
            Fed::Idle | Fed::Newer(_) => break,
        }
    }
    assert_eq!(journal.tally().damaged_bytes, 0);
    journal.tally().records
}

#[test]
fn a_view_is_deleted_cut_and_renamed() {
    let place = Place::new();
    let mut run = Run::start(place.config().view_bytes_max(10 << 20), &place.dir);
    run.log_calmly(500);
    let view = place.dir.join("faults.log");
    let kept = fs::read(&view).unwrap().len();
    fs::OpenOptions::new().write(true).open(&view).unwrap().set_len(kept as u64 / 2).unwrap();
    log_until_said(&mut run, "another program cut");
    fs::rename(&view, view.with_extension("elsewhere")).unwrap();
    log_until_said(&mut run, "another program deleted or renamed faults.log");
    run.log_calmly(500);
    run.wait_for_service();
    let path = place.dir.join("faults.elsewhere");
    assert!(!fs::read(&path).unwrap().is_empty());
    let dir = place.dir.clone();
    run.flush();
    let text = fs::read_to_string(dir.join("faults.log")).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() >= 500);
    let health = run.tacho.health();
    assert_eq!(health.trouble, None, "{health}");
}

#[test]
fn the_right_to_write_is_taken_away() {
    if is_root() {
        return skip("removed::the_right_to_write_is_taken_away", "root may write everywhere");
    }
    let place = Place::new();
    let mut run = Run::start(place.config(), &place.dir);
    run.log_calmly(200);
    let set = |mode| fs::set_permissions(&place.dir, fs::Permissions::from_mode(mode)).unwrap();
    set(0o500);
    run.log_until_trouble("right to write");
    set(0o750);
    run.wait_for_service();
    run.log_calmly(200);
    run.close().assert_exact();
}
