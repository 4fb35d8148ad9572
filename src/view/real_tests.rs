//! Views on a real file system.

use super::names::Part;
use super::rotation::{Period, Settings};
use super::testing::{cursor, note};
use super::{ComponentViews, Config, Format, Job, Progress, Push, ViewConfig, ViewSet, ViewState};
use crate::disk::{Disk, MemDisk, RealDisk};
use crate::reader::record::Thread;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn config(settings: Settings) -> Config {
    let format = Format::text("{message}".parse().unwrap());
    let components = ComponentViews { format, rotation: settings, ..ComponentViews::default() };
    Config { components: Some(components), ..Config::default() }
}

fn open(dir: &Path, settings: Settings) -> ViewSet<RealDisk, Vec<u8>> {
    let disk = Arc::new(RealDisk::open(dir).unwrap());
    ViewSet::open(disk, vec![0; 1 << 16], config(settings)).unwrap().0
}

fn append(set: &mut ViewSet<RealDisk, Vec<u8>>, lines: std::ops::Range<u64>, now_ns: i64) -> Progress {
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    for number in lines.clone() {
        let text = format!("line {number}");
        while set.push(&note("bot::x", &thread, number as u32, &text)) == Push::Full {
            if let blocked @ Progress::Blocked { .. } = set.write(&cursor(number), now_ns) {
                return blocked;
            }
        }
    }
    set.write(&cursor(lines.end), now_ns)
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

fn read_all(dir: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.filter_map(|name| Some((Part::parse("bot.log", &name)?, name))).collect();
    files.sort_by_key(|(part, _)| std::cmp::Reverse(part.number().unwrap_or(0)));
    let text: String = files.iter().map(|(_, name)| read(&dir.join(name))).collect();
    text.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect()
}

#[test]
fn thousands_of_rotations_keep_every_line_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { file_bytes_max: 512, backups: 3000, compress_delay_ns: 0, ..Settings::default() };
    let mut set = open(dir.path(), settings);
    let (sender, jobs) = crossbeam_channel::bounded::<Job<RealDisk>>(1);
    let (done, results) = crossbeam_channel::bounded(1);
    let worker = std::thread::spawn(move || jobs.iter().for_each(|job| done.send(job.run()).unwrap()));
    let lines = 50_000;
    // The jobs look at the times of files, so the clock must be theirs.
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    for first in (0..lines).step_by(500) {
        assert_eq!(append(&mut set, first..first + 500, now()), Progress::Done);
        if let Ok(result) = results.try_recv() {
            set.finished(result, now()).unwrap();
        }
        if let Some(job) = set.maintain(now()).unwrap() {
            sender.send(job).unwrap();
        }
    }
    drop(sender);
    worker.join().unwrap();
    while let Ok(result) = results.try_recv() {
        set.finished(result, now()).unwrap();
    }
    let events = set.status().next().unwrap().events;
    assert!(events.rotations > 1000 && events.compressed > 10, "{events:?}");
    set.sync().unwrap();
    assert!(read_all(dir.path()).into_iter().eq(0..lines));
    let mut packed = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        if entry.path().extension().is_some_and(|extension| extension == "gz") && packed < 20 {
            packed += 1;
            match Command::new("gzip").arg("-t").arg(entry.path()).status() {
                Ok(status) => assert!(status.success()),
                Err(_) => println!("gzip is not installed: only flate2 has read the backups"),
            }
        }
    }
    assert!(packed > 0);
}

#[test]
fn what_others_do_to_the_files_is_survived_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bot.log");
    let mut set = open(dir.path(), Settings::default());
    let second = 1_000_000_000;
    assert_eq!(append(&mut set, 0..3, second), Progress::Done);

    // copytruncate: the next line stands at the real end, without a hole.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(append(&mut set, 3..4, 2 * second), Progress::Done);
    assert_eq!(read(&path), "line 3\n");

    // Somebody appends without a newline: lines stay lines, and no byte of theirs is lost.
    std::fs::File::options().append(true).open(&path).unwrap().write_all(b"foreign").unwrap();
    assert_eq!(append(&mut set, 4..5, 3 * second), Progress::Done);
    assert_eq!(read(&path), "line 3\nforeign\nline 4\n");

    // Deleted, then renamed away.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(append(&mut set, 5..6, 4 * second), Progress::Done);
    assert_eq!(read(&path), "line 5\n");
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    assert_eq!(append(&mut set, 6..7, 5 * second), Progress::Done);
    assert_eq!((read(&path), read(&dir.path().join("moved"))), ("line 6\n".to_owned(), "line 5\n".to_owned()));

    let events = set.status().next().unwrap().events;
    assert_eq!((events.truncated, events.replaced, events.foreign_bytes), (1, 2, 7));
}

#[test]
fn the_directory_may_be_deleted_and_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/logs");
    let mut set = open(&dir, Settings::default());
    assert_eq!(append(&mut set, 0..1, 0), Progress::Done);
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(append(&mut set, 1..2, 0), Progress::Done);
    assert_eq!(read(&dir.join("bot.log")), "line 1\n");
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o750);
}

#[test]
fn planted_links_are_not_followed_and_only_their_view_waits() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "untouched").unwrap();
    symlink(&secret, dir.path().join("bot.log")).unwrap();
    let all = ViewConfig { name: "all".to_owned(), ..ViewConfig::default() };
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let config = Config { views: vec![all], ..config(Settings::default()) };
    let (mut set, _) = ViewSet::open(disk, vec![0; 1 << 16], config).unwrap();
    assert_eq!(append(&mut set, 0..2, 0), Progress::Done);
    assert_eq!(read(&secret), "untouched");
    assert_eq!(read(&dir.path().join("all.log")).lines().count(), 2);
    let states: Vec<_> = set.status().map(|status| status.state).collect();
    assert_eq!(states[0], ViewState::Healthy);
    assert!(matches!(&states[1], ViewState::Failing { error, .. } if error.contains("bot.log")), "{states:?}");
    assert_eq!(set.behind(), None);

    // The process ends; the next one finds the lines in the page, and the file in order.
    let page = set.into_page();
    std::fs::remove_file(dir.path().join("bot.log")).unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let (mut set, recovery) = ViewSet::open(disk, page, self::config(Settings::default())).unwrap();
    assert!(!recovery.interrupted && !recovery.damaged);
    assert_eq!(append(&mut set, 2..3, 1), Progress::Done);
    assert_eq!(read(&dir.path().join("bot.log")), "line 0\nline 1\n");
    let (view, from) = set.behind().map(|(view, from)| (view, from.clone())).unwrap();
    assert_eq!(from, cursor(2));
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    assert_eq!(set.push_behind(view, &note("bot::x", &thread, 2, "line 2")), Push::Taken);
    assert_eq!(set.write_behind(view, &cursor(3), 2), Progress::Done);
    assert_eq!(set.behind(), None);
    assert_eq!(append(&mut set, 3..4, 3), Progress::Done);
    assert!(read_all(dir.path()).into_iter().eq(0..4));
}

#[test]
fn a_rename_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("a"), "a").unwrap();
    std::fs::write(dir.path().join("b"), "b").unwrap();
    assert_eq!(disk.rename("a", "b").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(read(&dir.path().join("b")), "b");
    disk.rename("a", "c").unwrap();
    let error = RealDisk::open(&dir.path().join("b")).unwrap_err().to_string();
    assert!(error.contains("opening log directory") && error.contains("/b"), "{error}");
}

#[test]
fn components_beyond_the_limit_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
    let views = ComponentViews { views_max: 2, ..ComponentViews::default() };
    let config = Config { components: Some(views), ..Config::default() };
    let (mut set, _) = ViewSet::open(disk, vec![0; 1 << 16], config).unwrap();
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    for target in ["a", "b::x", "c", "d/e", "a::y"] {
        assert_eq!(set.push(&note(target, &thread, 0, target)), Push::Taken);
    }
    assert_eq!(set.write(&cursor(5), 0), Progress::Done);
    let lines = |name: &str| read(&dir.path().join(name)).lines().count();
    assert_eq!((lines("a.log"), lines("b.log"), lines("overflow.log")), (2, 1, 2));
}

#[test]
fn each_day_has_its_file_by_a_simulated_clock() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let half_past_six = 6 * HOUR_NS + HOUR_NS / 2;
    let settings =
        Settings { period: Some(Period::daily(half_past_six)), backups: 3, compress: None, ..Settings::default() };
    let disk = Arc::new(MemDisk::new());
    let mut set = ViewSet::open(Arc::clone(&disk), vec![0; 1 << 16], config(settings)).unwrap().0;
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    // A line every hour, from midnight on: the day of the file begins at half past six.
    for hour in 0..5 * 24 {
        let now_ns = 20_000 * 24 * HOUR_NS + i64::from(hour) * HOUR_NS;
        disk.set_now(now_ns);
        assert!(set.maintain(now_ns).unwrap().is_none());
        assert_eq!(set.push(&note("bot", &thread, hour, &format!("{hour}"))), Push::Taken);
        assert_eq!(set.write(&cursor(u64::from(hour)), now_ns), Progress::Done);
    }
    let hours = |name: &str| -> Vec<u32> {
        let text = String::from_utf8(disk.bytes(name).unwrap()).unwrap();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    assert_eq!(hours("bot.log"), (4 * 24 + 7..5 * 24).collect::<Vec<_>>());
    for (number, day) in [(1, 3), (2, 2), (3, 1)] {
        assert_eq!(hours(&format!("bot.log.{number}")), (day * 24 + 7..(day + 1) * 24 + 7).collect::<Vec<_>>());
    }
    assert_eq!(disk.names().iter().filter(|name| name.starts_with("bot.log")).count(), 4);
    // Also when nothing more is logged.
    let next_ns = 20_005 * 24 * HOUR_NS + half_past_six;
    disk.set_now(next_ns);
    assert!(set.maintain(next_ns).unwrap().is_none());
    assert!(disk.bytes("bot.log").is_none());
    assert_eq!(hours("bot.log.1"), (4 * 24 + 7..5 * 24).collect::<Vec<_>>());
}
