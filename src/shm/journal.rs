//! The folder of one process's journal, `logs/.journal/<process>`: who holds it, when it is over, and how it goes.
//!
//! | file | what it says |
//! |---|---|
//! | `lock` | its lock is held as long as the process lives, also where its shared memory cannot be seen |
//! | `shm` | where its live memory is; gone once all of that is in the journal |
//! | `rendered` | the process is over, and all that it logged is in the views, on the medium |
//!
//! A folder is made, locked, and only then used; one that was not locked yet may be taken away, or called `rendered` by who
//! took it for one that a dead process left, and another is made.
//! The renderer writes `rendered` when a checkpoint on disk says so, and only then leaves the journal out of its cursor:
//! whoever renders next passes over the journal by that file, whatever the cursor says that it finds. Where that cursor
//! still has the journal, the file may be younger than the last sync of the folder, which comes first then. When retention has
//! taken the last segment, the folder goes: the file `rendered` behind the segments, which are synced before, so that no
//! kill and no loss of power leaves segments without it. What is left of a folder half removed has neither segments nor
//! live memory, and is removed by the next one that looks.

use super::directory::{POINTER, read_text};
use crate::compress::TEMP_SUFFIX;
use crate::disk::Disk;
use crate::reader::archive::segment_number;
use crate::sys::file::{open_existing, open_lock};
use crate::sys::lock::Lock;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// File whose lock the process holds.
const LOCK: &str = "lock";
/// File that says that nothing is left to be rendered.
const RENDERED: &str = "rendered";
/// A dead process whose shared memory is nowhere to be seen is over when nothing of its journal changed for so long:
/// 1 h. Who sees that memory, in another container, recovers it much sooner; after a reboot there is none.
pub(crate) const OUT_OF_SIGHT_NS_MAX: i64 = 3_600_000_000_000;

/// The lock of a journal's folder, held by its process.
#[derive(Debug)]
pub(crate) struct Hold {
    folder: PathBuf,
    pid: u32,
    /// `None` once it was let go.
    lock: Mutex<Option<Lock>>,
}

impl Hold {
    /// Takes it; `None` where somebody has it, or took the folder away meanwhile, or for one of the dead.
    pub(crate) fn take(folder: &Path) -> io::Result<Option<Self>> {
        let hold = |lock| Self { folder: folder.to_owned(), pid: std::process::id(), lock: Mutex::new(Some(lock)) };
        let held = lock(folder)?.map(hold);
        // Asked under the lock, under which it is said.
        Ok(held.filter(|_| !is_rendered(folder)))
    }

    /// Takes it anew, should somebody have deleted the file, if the folder is there.
    pub(crate) fn renew(&self) {
        let mut held = self.held();
        if held.as_ref().is_some_and(|lock| lock.file().metadata().is_ok_and(|about| about.nlink() == 0))
            && let Ok(Some(lock)) = lock(&self.folder)
        {
            *held = Some(lock);
        }
    }

    /// Lets go of it: the process logs no more.
    pub(crate) fn release(&self) {
        drop(self.held().take());
    }

    fn held(&self) -> MutexGuard<'_, Option<Lock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // In a forked child the descriptor was closed already, and its number may be another file's by now.
        if self.pid != std::process::id() {
            std::mem::forget(self.held().take());
        }
    }
}

fn lock(folder: &Path) -> io::Result<Option<Lock>> {
    super::folder::take_lock(&folder.join(LOCK), open_lock)
}

/// Whether the process of the journal in `folder` is dead, and everything that it left is in the journal. `now_ns` is
/// the time since the Unix epoch.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn is_over(folder: &Path, now_ns: i64) -> io::Result<bool> {
    fs::symlink_metadata(folder)?;
    match Lock::take(true, || open_existing(&folder.join(LOCK), false)) {
        Ok(None) => return Ok(false),
        // Killed before it had one, or made by others.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    left_nothing(folder, now_ns)
}

/// Whether nothing of the process of the journal in `folder` is anywhere but in the journal, if it is dead.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn left_nothing(folder: &Path, now_ns: i64) -> io::Result<bool> {
    let live = match read_text(&folder.join(POINTER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        text => text?,
    };
    match fs::symlink_metadata(live.trim_end()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        there => return there.map(|_| false),
    }
    let changed_ns =
        |about: fs::Metadata| about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec());
    let mut newest_ns = changed_ns(fs::symlink_metadata(folder)?);
    for entry in fs::read_dir(folder)? {
        newest_ns = newest_ns.max(changed_ns(entry?.metadata()?));
    }
    Ok(now_ns.saturating_sub(newest_ns) > OUT_OF_SIGHT_NS_MAX)
}

/// Whether everything of the journal in `folder` is in the views, for good.
pub(crate) fn is_rendered(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(RENDERED)).is_ok()
}

/// The same, by way of the disk.
pub(crate) fn is_marked_rendered<D: Disk>(folder: &D) -> io::Result<bool> {
    Ok(folder.stat_name(RENDERED)?.is_some())
}

/// Says so, on the medium, and that it did. It does not where the process of the folder lives, or `is_over` says that it left
/// something, whatever was seen before: a folder looks like one of the dead as long as its process has not locked it.
pub(crate) fn mark_rendered<D: Disk>(folder: &D, is_over: impl FnOnce() -> io::Result<bool>) -> io::Result<bool> {
    // Held until it is said, so that who comes then takes another folder.
    let Some(lock) = folder.lock(LOCK)? else { return Ok(false) };
    if !folder.is_lock_of(&lock, LOCK)? || !is_over()? {
        return Ok(false);
    }
    match folder.create_new(RENDERED) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.sync_dir()?;
    Ok(true)
}

/// Sees to it that `rendered` in the folder of `process`, which somebody wrote, is on the medium: he may have been killed
/// before he synced it. A folder that went needs nothing.
///
/// # Errors
/// That of the file system.
pub(crate) fn confirm_rendered<D: Disk>(journals: &D, process: &str) -> io::Result<()> {
    match journals.folder(process) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => folder?.sync_dir(),
    }
}

/// Whether nobody holds the journal in `folder`, for sure; changes nothing.
pub(crate) fn is_let_go(folder: &Path) -> bool {
    matches!(Lock::take(true, || open_existing(&folder.join(LOCK), false)), Ok(Some(_)))
}

/// Whether the process of the journal in `folder` holds it.
pub(crate) fn is_held<D: Disk>(folder: &D) -> io::Result<bool> {
    Ok(folder.stat_name(LOCK)?.is_some() && folder.lock(LOCK)?.is_none())
}

/// The live memory is in the journal: nobody needs to look for it.
pub(crate) fn forget_live<D: Disk>(folder: &D) -> io::Result<()> {
    folder.unlink(POINTER)
}

/// The same, at a path: what fails is found after an hour.
pub(crate) fn forget_live_at(folder: &Path) {
    let _ = fs::remove_file(folder.join(POINTER));
}

/// Removes a process's journal folder, if it has no segments; what is not ours stays, and the folder with it.
pub(crate) fn abandon(folder: &Path) {
    if let Ok(mut entries) = fs::read_dir(folder)
        && entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_small)))
    {
        for name in [POINTER, RENDERED, LOCK] {
            let _ = fs::remove_file(folder.join(name));
        }
        let _ = fs::remove_dir(folder);
    }
}

/// Removes the folder of a process that left no live memory, as [`remove_if_empty`], unless it is only just starting.
///
/// # Errors
/// That of the file system.
pub(crate) fn abandon_dead<D: Disk>(journals: &D, process: &str) -> io::Result<()> {
    let folder = journals.folder(process)?;
    if !is_held(&folder)? {
        match forget_live(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove_if_empty(journals, process)?;
    }
    Ok(())
}

/// Removes the folder `process` in the folder of journals if its process is over and no segment is left in it; says
/// whether it is gone. Any number of processes may try that at once.
///
/// # Errors
/// That of the file system.
pub(crate) fn remove_if_empty<D: Disk>(journals: &D, process: &str) -> io::Result<bool> {
    let folder = match journals.folder(process) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    let names = names_in(&folder)?;
    // What points to live memory and is not rendered may still bring records.
    let settled = is_marked_rendered(&folder)? || folder.stat_name(POINTER)?.is_none();
    if !settled || !names.iter().all(|name| is_small(name)) {
        return Ok(false);
    }
    let Some(lock) = folder.lock(LOCK)? else { return Ok(false) };
    // Who had the lock may just have removed the file, and the folder; or logged, and ended.
    if !folder.is_lock_of(&lock, LOCK)? || !names_in(&folder)?.iter().all(|name| is_small(name)) {
        return Ok(false);
    }
    // Segments must not come back without the file that says that they are rendered.
    folder.sync_dir()?;
    let mut names = names_in(&folder)?;
    names.sort_by_key(|name| match name.as_str() {
        LOCK => 2,
        RENDERED => 1,
        _ => 0,
    });
    for name in names {
        match folder.unlink(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match journals.remove_folder(process) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        // Somebody is looking at it, who finds it so.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        removed => removed.map(|()| true),
    }
}

fn names_in<D: Disk>(folder: &D) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    folder.list(&mut |name| names.push(name.to_owned()))?;
    names.retain(|name| name != "." && name != "..");
    Ok(names)
}

/// Whether a file of this name is of ours, and no record is in it.
fn is_small(name: &str) -> bool {
    let half_compressed = name.strip_suffix(TEMP_SUFFIX).is_some_and(|name| segment_number(name).is_some());
    half_compressed || [POINTER, RENDERED, LOCK].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, MemDisk, RealDisk};
    use crate::shm::directory::{Directory, JOURNAL};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A journal of the dead, rendered, whose last segment was just deleted.
    fn emptied(disk: &MemDisk) {
        let folder = disk.make_folder("p").unwrap();
        for name in [LOCK, POINTER, RENDERED, "00000001.seg.gz", "00000001.seg.gz.tmp"] {
            folder.create_new(name).unwrap();
        }
        folder.sync_dir().unwrap();
        folder.unlink("00000001.seg.gz").unwrap();
    }

    fn has(disk: &MemDisk, name: &str) -> bool {
        disk.names().contains(&format!("p/{name}"))
    }

    #[test]
    fn after_any_kill_fault_or_loss_of_power_no_segment_stands_unmarked_and_the_next_one_removes_the_rest() {
        for fault in [Fault::Crash(0), Fault::Errno(libc::EIO, 0)] {
            for at in 0..12 {
                for kept in 0..10 {
                    let disk = MemDisk::new();
                    emptied(&disk);
                    disk.inject(at, fault);
                    let removed = remove_if_empty(&disk, "p");
                    disk.revive();
                    if kept > 0 {
                        disk.lose_power(4096, &mut |n| (kept - 1).min(n - 1));
                    }
                    let segment = has(&disk, "00000001.seg.gz");
                    assert!(!segment || has(&disk, RENDERED), "{fault:?} at {at}, {kept} kept: {:?}", disk.names());
                    assert!(!matches!(removed, Ok(true)) || kept > 0 || disk.names().is_empty());
                    assert_eq!(remove_if_empty(&disk, "p").unwrap(), !segment, "{:?}", disk.names());
                }
            }
        }
    }

    #[test]
    fn a_mark_whose_writer_was_killed_before_it_was_synced_is_on_the_medium_once_it_is_confirmed() {
        let mut found = 0;
        for at in 0..2 {
            let disk = MemDisk::new();
            let folder = disk.make_folder("p").unwrap();
            folder.create_new(LOCK).unwrap();
            disk.inject(at, Fault::Crash(0));
            assert!(mark_rendered(&folder, || Ok(true)).is_err());
            disk.revive();
            if has(&disk, RENDERED) {
                confirm_rendered(&disk, "p").unwrap();
                disk.lose_power(4096, &mut |_| 0);
                assert!(has(&disk, RENDERED), "killed at {at}");
                found += 1;
            }
        }
        assert_eq!(found, 1);
        confirm_rendered(&MemDisk::new(), "gone").unwrap();
    }

    #[test]
    fn a_process_that_only_just_starts_is_not_called_rendered_whatever_was_seen_before() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("p");
        fs::create_dir(&folder).unwrap();
        assert!(is_over(&folder, 0).unwrap(), "as those of the dead look");
        let hold = Hold::take(&folder).unwrap().expect("nobody has it");
        let mark = |left_nothing| mark_rendered(&RealDisk::open(&folder).unwrap(), || Ok(left_nothing)).unwrap();
        assert!(!mark(true) && !is_rendered(&folder), "it lives by now");
        drop(hold);
        assert!(!mark(false) && !is_rendered(&folder), "it died, and is not recovered yet");
        assert!(mark(true) && is_rendered(&folder));
        assert!(Hold::take(&folder).unwrap().is_none(), "who comes too late takes another");
    }

    #[test]
    fn what_may_bring_records_or_is_not_ours_stays() {
        for (names, goes) in [
            (&[POINTER][..], false),
            (&[POINTER, RENDERED], true),
            (&[], true),
            (&[RENDERED, "00000001.seg"], false),
            (&[RENDERED, "notes.txt"], false),
        ] {
            let disk = MemDisk::new();
            let folder = disk.make_folder("p").unwrap();
            for name in names {
                folder.create_new(name).unwrap();
            }
            let lock = folder.lock(LOCK).unwrap().unwrap();
            assert!(!remove_if_empty(&disk, "p").unwrap(), "its process lives");
            drop(lock);
            assert_eq!(remove_if_empty(&disk, "p").unwrap(), goes, "{names:?}");
        }
    }

    #[test]
    fn who_starts_keeps_his_folder_however_many_remove_empty_ones() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        Directory::open(&logs).unwrap();
        let done = AtomicBool::new(false);
        let journals = RealDisk::open(&logs.join(JOURNAL)).unwrap();
        let opened = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let mut names = Vec::new();
                        journals.list_folders(&mut |name| names.push(name.to_owned())).unwrap();
                        for name in names {
                            let _ = remove_if_empty(&journals, &name);
                        }
                    }
                });
            }
            let open = || -> Result<bool, String> {
                let directory = Directory::open(&logs).map_err(|error| error.to_string())?;
                std::thread::yield_now();
                Ok(directory.folder.join(LOCK).exists() && !is_over(&directory.folder, 0).unwrap_or(true))
            };
            let opened: Vec<_> = (0..200).map(|_| open()).collect();
            // Before anything is asserted: the other threads must end.
            done.store(true, Ordering::Relaxed);
            opened
        });
        assert!(opened.iter().all(|one| *one == Ok(true)), "{opened:?}");
    }

    #[test]
    fn it_is_over_when_nobody_holds_it_and_its_live_memory_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(&dir.path().join("logs")).unwrap();
        let (folder, live) = (directory.folder.clone(), dir.path().join("live"));
        fs::create_dir(&live).unwrap();
        directory.point_to(&live).unwrap();
        let now_ns = crate::clock::ticks::unix_ns();
        let over = |ns| is_over(&folder, now_ns + ns).unwrap();
        assert!(!over(2 * OUT_OF_SIGHT_NS_MAX), "held");
        directory.hold.release();
        assert!(!over(2 * OUT_OF_SIGHT_NS_MAX), "not recovered");
        fs::remove_dir(&live).unwrap();
        assert!(!over(OUT_OF_SIGHT_NS_MAX / 2) && over(2 * OUT_OF_SIGHT_NS_MAX), "out of sight");
        forget_live_at(&folder);
        assert!(over(0));
        abandon(&folder);
        assert!(!folder.exists() && is_over(&folder, now_ns).is_err());
    }

    #[test]
    fn who_is_taken_for_dead_while_it_starts_keeps_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(&dir.path().join("logs")).unwrap();
        directory.point_to(&dir.path().join("live")).unwrap();
        let journals = RealDisk::open(&directory.journals()).unwrap();
        abandon_dead(&journals, &directory.process).unwrap();
        assert!(directory.folder.join(POINTER).exists());
        directory.hold.release();
        abandon_dead(&journals, &directory.process).unwrap();
        assert!(!directory.folder.exists());
    }

    #[test]
    fn a_lock_whose_file_others_deleted_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(&dir.path().join("logs")).unwrap();
        fs::remove_file(directory.folder.join(LOCK)).unwrap();
        directory.hold.renew();
        assert!(!is_over(&directory.folder, 0).unwrap());
        directory.hold.release();
        directory.hold.renew();
        assert!(is_over(&directory.folder, 0).unwrap());
    }
}
