//! What may be deleted of a log directory on request, and what goes of it: archived segments and backups of views.
//!
//! Nothing else is looked at. Of these, a file is spared
//!
//! * that is the newest of a journal whose process may live, or was not recovered: it grows, or may grow;
//! * whose records are not all in the views yet, as the checkpoint of the last sync says: views make up for what they lack
//!   from there;
//! * that somebody is compressing, or that a view could have to be cut in after a loss of power.
//!
//! The oldest go first, over all journals and views; of one journal, or one view, never a newer file before an older one.
//! [`list`] and [`delete`] have the directory, [`choose`] is pure. The programs that log there may live meanwhile: they
//! take it as what retention of their own had done.

use crate::disk::{Disk, RealDisk, Stat};
use crate::reader::archive::segment_number;
use crate::reader::dir::JOURNAL_DIR;
use crate::shm::directory::{POINTER, read_text};
use crate::shm::journal;
use crate::verify;
use crate::view::names::{self, Label, Part, SUFFIX};
use crate::worker::cursor;
use crate::worker::feed::name_key;
use crate::worker::views::needed_by;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// An archived segment of a process's journal.
    Journal,
    /// A backup of a view.
    Backup,
}

/// Why a file may not be deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Spared {
    /// It is being written to, or may be.
    Active,
    /// Not all of its records are in the views.
    NotRendered,
    /// It is being compressed, or was put away since the last sync, or stands behind such a file.
    InWork,
}

impl Spared {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NotRendered => "not in the views yet",
            Self::InWork => "in work",
        }
    }
}

/// A file that is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its path, below the directory as it was given.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its length.
    pub bytes: u64,
    /// When it was last written to, nanoseconds since the Unix epoch; not before the older ones of its journal or view.
    pub last_unix_ns: i64,
    /// Why it may not go, if so.
    pub spared: Option<Spared>,
    /// Folder of the journal; `None` for a backup.
    process: Option<String>,
    name: String,
    stat: Stat,
}

/// What is to be left.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// So many bytes of finished files at most.
    pub bytes: Option<u64>,
    /// Nothing that is older.
    pub age: Option<Duration>,
    /// So many finished files at most.
    pub files: Option<usize>,
}

/// Which files go for the limits, the oldest first: those that are not spared, until the finished ones that stay are within
/// the limits. What grows does not count. Pure.
pub fn choose<'a>(files: &'a [Candidate], limits: &Limits, now_unix_ns: i64) -> Vec<&'a Candidate> {
    let finished = files.iter().filter(|file| file.spared != Some(Spared::Active));
    let (mut bytes, mut count) = finished
        .fold((0_u64, 0_usize), |(bytes, count), file| (bytes.saturating_add(file.bytes), count.saturating_add(1)));
    let age_max = limits.age.map(|age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
    let mut free: Vec<&Candidate> = files.iter().filter(|file| file.spared.is_none()).collect();
    free.sort_by_key(|known| known.last_unix_ns);
    free.into_iter()
        .take_while(|file| {
            let goes = limits.bytes.is_some_and(|max| bytes > max)
                || limits.files.is_some_and(|max| count > max)
                || age_max.is_some_and(|max| now_unix_ns.saturating_sub(file.last_unix_ns) > max);
            if goes {
                bytes = bytes.saturating_sub(file.bytes);
                count = count.saturating_sub(1);
            }
            goes
        })
        .collect()
}

/// The archived segments and backups in a log directory, of each journal and view the oldest first.
///
/// # Errors
/// When something cannot be listed or read, or the checkpoint is damaged: then nobody knows what is in the views.
pub fn list(dir: &Path) -> io::Result<Vec<Candidate>> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("look at {}: {error}", dir.display()));
    if !dir.join(JOURNAL_DIR).metadata().map_err(context)?.is_dir() {
        return Err(context(io::Error::new(io::ErrorKind::NotFound, "no journal is in it")));
    }
    let disk = RealDisk::open(dir)?;
    let journals = disk.folder(JOURNAL_DIR).map_err(context)?;
    let checkpoint = cursor::load(&journals).map_err(context)?;
    let synced_ns = journals.stat_name(cursor::NAME).map_err(context)?.map_or(i64::MIN, |stat| stat.mtime_ns);
    let needed = checkpoint.map(|checkpoint| needed_by(&checkpoint)).unwrap_or_default();
    let mut found = Vec::new();
    let mut processes = Vec::new();
    journals.list_folders(&mut |name| processes.push(name.to_owned())).map_err(context)?;
    for process in processes {
        segments(dir, &journals, &process, &needed, &mut found).map_err(context)?;
    }
    backups(dir, &disk, synced_ns, &mut found).map_err(context)?;
    Ok(found)
}

/// Deletes a file that was listed; `false` where it is not the same any more, or gone. A folder goes with its last segment.
///
/// # Errors
/// That of the file system, with the path.
pub fn delete(dir: &Path, file: &Candidate) -> io::Result<bool> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("delete {}: {error}", file.path.display()));
    let delete = || -> io::Result<bool> {
        let disk = RealDisk::open(dir)?;
        let Some(process) = &file.process else { return unlink(&disk, file) };
        let journals = disk.folder(JOURNAL_DIR)?;
        let gone = unlink(&journals.folder(process)?, file)?;
        // Whoever renders there looks after what stays.
        let _ = journal::remove_if_empty(&journals, process);
        Ok(gone)
    };
    match delete() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        done => done.map_err(context),
    }
}

/// Views give their backups other names: it must still be the one that was meant.
fn unlink(folder: &RealDisk, file: &Candidate) -> io::Result<bool> {
    let same = folder.stat_name(&file.name)?.is_some_and(|stat| {
        stat.identity == file.stat.identity && stat.bytes == file.stat.bytes && stat.mtime_ns == file.stat.mtime_ns
    });
    if same {
        folder.unlink(&file.name)?;
    }
    Ok(same)
}

/// Gives files of one journal or view, the oldest first, times that do not go back; what stands behind a spared one is
/// spared too.
fn in_order(files: impl Iterator<Item = Candidate>, found: &mut Vec<Candidate>) {
    let (mut last, mut spared) = (i64::MIN, None);
    for mut file in files {
        last = last.max(file.last_unix_ns);
        file.last_unix_ns = last;
        file.spared = file.spared.or(spared);
        spared = file.spared.map(|why| if why == Spared::NotRendered { why } else { Spared::InWork });
        found.push(file);
    }
}

fn segments(
    dir: &Path,
    journals: &RealDisk,
    process: &str,
    needed: &HashMap<[u8; 16], (u64, u64)>,
    found: &mut Vec<Candidate>,
) -> io::Result<()> {
    let folder = match journals.folder(process) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let rendered = journal::is_marked_rendered(&folder)?;
    // Before the files are listed: who lived then may have written since.
    let lives = journal::is_held(&folder)? || has_live_memory(&dir.join(JOURNAL_DIR).join(process));
    let mut names = Vec::new();
    folder.list(&mut |name| names.push(name.to_owned()))?;
    let mut files: BTreeMap<(u64, String), Stat> = BTreeMap::new();
    for name in &names {
        if let (Some(number), Some(stat)) = (segment_number(name), folder.stat_name(name)?) {
            files.insert((number, name.clone()), stat);
        }
    }
    let newest = files.keys().map(|(number, _)| *number).max();
    let first_needed = needed.get(&name_key(process)).map(|(first, _)| *first);
    let candidates = files.into_iter().map(|((number, name), stat)| {
        let compressing = names.iter().any(|other| *other == format!("{name}.gz.tmp"));
        let spared = match () {
            () if newest == Some(number) && (lives || !rendered) => Some(Spared::Active),
            () if !(rendered && !lives || first_needed.is_some_and(|first| number < first)) => {
                Some(Spared::NotRendered)
            }
            () if compressing => Some(Spared::InWork),
            () => None,
        };
        Candidate {
            path: dir.join(JOURNAL_DIR).join(process).join(&name),
            kind: Kind::Journal,
            bytes: stat.bytes,
            last_unix_ns: stat.mtime_ns,
            spared,
            process: Some(process.to_owned()),
            name,
            stat,
        }
    });
    in_order(candidates, found);
    Ok(())
}

/// Whether shared memory of the journal's process is there, or may be where it cannot be seen.
fn has_live_memory(folder: &Path) -> bool {
    match read_text(&folder.join(POINTER)) {
        Ok(live) => live.trim_end().is_empty() || std::fs::symlink_metadata(live.trim_end()).is_ok(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn backups(dir: &Path, disk: &RealDisk, synced_ns: i64, found: &mut Vec<Candidate>) -> io::Result<()> {
    let views = verify::views(dir)?;
    let mut files: BTreeMap<&str, Vec<(Part, String, Stat)>> = BTreeMap::new();
    let mut names = Vec::new();
    disk.list(&mut |name| names.push(name.to_owned()))?;
    let mut compressing = Vec::new();
    for name in names {
        let Some(stem) = names::owner(&name) else { continue };
        let Some(view) = views.iter().find(|view| *view == stem) else { continue };
        match Part::parse(&format!("{view}{SUFFIX}"), &name) {
            Some(part) if part.label().is_some() => {
                let Some(stat) = disk.stat_name(&name)? else { continue };
                files.entry(view).or_default().push((part, name, stat));
            }
            Some(Part::Temp) => compressing.push(view.as_str()),
            _ => {}
        }
    }
    for (view, mut parts) in files {
        parts.sort_by_key(|(part, _, _)| std::cmp::Reverse(place(*part)));
        let candidates = parts.into_iter().map(|(part, name, stat)| {
            let plain = matches!(part, Part::Plain(_));
            // Behind the last sync stands what a loss of power could take back.
            let spared =
                (plain && (compressing.contains(&view) || stat.mtime_ns >= synced_ns)).then_some(Spared::InWork);
            Candidate {
                path: dir.join(&name),
                kind: Kind::Backup,
                bytes: stat.bytes,
                last_unix_ns: stat.mtime_ns,
                spared,
                process: None,
                name,
                stat,
            }
        });
        in_order(candidates, found);
    }
    Ok(())
}

/// Where a backup stands among those of its view, the newest least: dates are newer than numbers, as the names of a view
/// once changed from these to those.
fn place(part: Part) -> (bool, Option<Label>) {
    (matches!(part.label(), Some(Label::Number(_))), part.label())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Identity;

    fn file(name: &str, bytes: u64, last_unix_ns: i64, spared: Option<Spared>) -> Candidate {
        let identity = Identity { dev: 0, ino: 0 };
        let stat = Stat { identity, bytes, mtime_ns: last_unix_ns, links: 1 };
        let (kind, process) = (Kind::Backup, None);
        Candidate { path: name.into(), kind, bytes, last_unix_ns, spared, process, name: name.to_owned(), stat }
    }

    fn going(files: &[Candidate], limits: Limits) -> Vec<&str> {
        choose(files, &limits, 100).iter().map(|file| file.name.as_str()).collect()
    }

    fn some() -> Vec<Candidate> {
        vec![
            file("c", 10, 30, None),
            file("a", 10, 10, None),
            file("b", 10, 20, None),
            file("needed", 10, 5, Some(Spared::NotRendered)),
            file("active", 1_000, 1, Some(Spared::Active)),
        ]
    }

    #[test]
    fn the_oldest_go_until_the_finished_ones_are_within_the_limits() {
        let size = |bytes| going(&some(), Limits { bytes: Some(bytes), ..Limits::default() }).join("");
        assert_eq!([size(40), size(39), size(30), size(25), size(0)], ["", "a", "a", "ab", "abc"]);
        let files = |files| going(&some(), Limits { files: Some(files), ..Limits::default() }).join("");
        assert_eq!([files(4), files(2), files(0)], ["", "ab", "abc"]);
        let age = |ns| going(&some(), Limits { age: Some(Duration::from_nanos(ns)), ..Limits::default() }).join("");
        assert_eq!([age(90), age(79), age(0)], ["", "ab", "abc"]);
    }

    #[test]
    fn several_limits_all_hold_and_none_takes_nothing() {
        let limits = Limits { bytes: Some(30), files: Some(2), age: Some(Duration::from_nanos(95)) };
        assert_eq!(going(&some(), limits), ["a", "b"]);
        assert!(going(&some(), Limits::default()).is_empty());
    }

    #[test]
    fn of_one_view_times_do_not_go_back_and_nothing_goes_before_an_older_one() {
        let mut found = Vec::new();
        let files = vec![
            file("1", 1, 50, None),
            file("2", 1, 40, None),
            file("3", 1, 60, Some(Spared::InWork)),
            file("4", 1, 70, None),
        ];
        in_order(files.into_iter(), &mut found);
        assert_eq!(found.iter().map(|file| file.last_unix_ns).collect::<Vec<_>>(), [50, 50, 60, 70]);
        assert_eq!(going(&found, Limits { files: Some(0), ..Limits::default() }), ["1", "2"]);
    }

    #[test]
    fn the_oldest_backup_of_a_view_comes_first() {
        let names =
            ["x.log.1", "x.2026-02-01T00-00-00.log.gz", "x.log.10.gz", "x.2026-01-01T00-00-00.log", "x.log.2.gz"];
        let mut parts: Vec<Part> = names.iter().map(|name| Part::parse("x.log", name).unwrap()).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(place(*part)));
        let sorted: Vec<String> = parts.iter().map(|part| part.of("x.log")).collect();
        assert_eq!(
            sorted,
            ["x.log.10.gz", "x.log.2.gz", "x.log.1", "x.2026-01-01T00-00-00.log", "x.2026-02-01T00-00-00.log.gz"]
        );
    }
}
