//! The private folder of a process in shared memory, and the two locks in it.
//!
//! | file | who holds its lock |
//! |---|---|
//! | `lock` | the process, as long as it lives; then who recovers it |
//! | `archiver` | who puts its journal on disk: the process itself, a collector, or who recovers it |
//!
//! Recovery takes both, the first first. Nobody archives a journal without the second, whatever he believes of others.

use super::clock_page::CLOCK;
use crate::error::Error;
use crate::sys::file::{create_new, open_existing, open_or_create, share, user_id};
use crate::sys::lock::Lock;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What helps against a group that is refused.
const SHARE_ADVICE: &str = "the user must be a member of `shm_group`";

/// Name of the lock file.
pub(crate) const LOCK: &str = "lock";
/// Name of the file whose holder archives the journal.
pub(crate) const ARCHIVER: &str = "archiver";
/// Name of the control page.
pub(crate) const CONTROL: &str = "control";
/// Name that the control page takes when all that the folder holds is in the journal: it is being removed.
pub(crate) const SETTLED: &str = "settled";
/// Name of the health page.
pub(crate) const HEALTH: &str = "health";
/// Name of the page of services.
pub(crate) const SERVICES: &str = "services";
/// Name of the worker's part of the configuration.
pub(crate) const TERMS: &str = "worker";
/// Name of the table of definitions.
pub(crate) const TABLE: &str = "table";
/// Name of the state of sampling.
pub(crate) const SAMPLING: &str = "sampling";

/// Name of a live segment's file.
pub(crate) fn live_name(slot: usize) -> String {
    format!("live.{slot}")
}

/// Name of a ring's file.
pub(crate) fn ring_name(number: u16) -> String {
    format!("ring.{number}")
}

/// The folder that holds the live folders of all processes of one log directory and user.
pub(crate) fn directory_folder(shm: &Path, directory_id: &str) -> PathBuf {
    shm.join(format!("tachograph-{}-{directory_id}", user_id()))
}

/// Takes the lock of the file at `path`; `Ok(None)` while somebody has it, or when it was removed meanwhile.
pub(super) fn take_lock(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> io::Result<Option<Lock>> {
    let Some(lock) = Lock::take(false, || open(path))? else { return Ok(None) };
    // Somebody may have recovered the folder, and removed it, between the open and the lock.
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there?,
    };
    Ok((there.ino() == lock.file().metadata()?.ino()).then_some(lock))
}

/// The right to archive the journal of the process whose live folder is at `path`; `Ok(None)` while somebody has it.
pub(crate) fn become_archiver(path: &Path) -> io::Result<Option<Lock>> {
    take_lock(&path.join(ARCHIVER), |lock| open_existing(lock, true))
}

/// Whether somebody archives the journal of the process whose live folder is at `path`.
pub(crate) fn has_archiver(path: &Path) -> io::Result<bool> {
    // A shared lock, let go at once: who comes to archive at this very moment finds it taken, and tries again.
    Lock::take(true, || open_existing(&path.join(ARCHIVER), false)).map(|free| free.is_none())
}

/// So often a folder is made anew that others take for one that a dead process left.
const ATTEMPTS_MAX: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(1);

/// A live folder that this process owns: it exists and its lock is held.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Who else may look.
    group: Option<u32>,
    /// Absent where a collector archives, and where the owner died before there was anything to archive. Let go first.
    archiver: Option<Lock>,
    lock: Lock,
}

impl Folder {
    /// Makes `<shm>/tachograph-<uid>-<directory>/<process>` and takes its locks: that of the archiver only if the process
    /// itself `archives`. `group` may read all of it.
    pub(crate) fn create(
        shm: &Path,
        directory_id: &str,
        process: &str,
        group: Option<u32>,
        archives: bool,
    ) -> Result<Self, Error> {
        let parent = directory_folder(shm, directory_id);
        let path = parent.join(process);
        let make = || -> io::Result<Option<Self>> {
            private_folder(&parent, group)?;
            private_folder(&path, group)?;
            let Some(mut folder) = Self::lock(&path, open_or_create)? else { return Ok(None) };
            let Some(archiver) = take_lock(&path.join(ARCHIVER), open_or_create)? else { return Ok(None) };
            if let Some(group) = group {
                let shared = [folder.lock.file(), archiver.file()].into_iter().try_for_each(|file| share(file, group));
                shared.map_err(|error| not_given(group, error))?;
            }
            folder.group = group;
            folder.archiver = archives.then_some(archiver);
            Ok(Some(folder))
        };
        let mut refused = io::Error::from(io::ErrorKind::WouldBlock);
        for _ in 0..ATTEMPTS_MAX {
            match make() {
                Ok(Some(folder)) => return Ok(folder),
                // Until the lock is held, recovery takes the folder for one that a dead process left, and removes it;
                // and the last process that leaves removes the folder of all.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && shm.is_dir() => refused = error,
                Err(error) => {
                    refused = error;
                    break;
                }
            }
            std::thread::sleep(PAUSE);
        }
        let advice = "check that the shared-memory directory exists and is writable, or set `shm_dir`";
        Err(Error::io("cannot make the live folder", &path, refused, advice))
    }

    /// Takes over the folder of a dead process; `Ok(None)` while its owner lives, somebody else recovers it, or a
    /// collector is still at work there.
    pub(crate) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let adopted = Self::lock(path, |lock| open_existing(lock, true));
        if adopted.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Its owner died before it made the lock, or is about to make it, and then makes the folder anew.
            let _ = fs::remove_dir(path);
        }
        let Some(mut folder) = adopted? else { return Ok(None) };
        match become_archiver(path) {
            Ok(Some(lock)) => folder.archiver = Some(lock),
            Ok(None) => return Ok(None),
            // Killed before it could log, or half removed: there is nothing that anybody could archive.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Some(folder))
    }

    fn lock(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> io::Result<Option<Self>> {
        let lock = take_lock(&path.join(LOCK), open)?;
        Ok(lock.map(|lock| Self { path: path.to_path_buf(), group: None, archiver: None, lock }))
    }

    /// The group that may read it.
    pub(crate) fn group(&self) -> Option<u32> {
        self.group
    }

    /// Puts another lock, which nobody holds, in the place of one whose owner is dead and whose holder is a forked child.
    pub(crate) fn break_lock(path: &Path) -> io::Result<()> {
        Self::replace_lock(path, LOCK)
    }

    /// The same for the archiver's lock.
    pub(crate) fn break_archiver(path: &Path) -> io::Result<()> {
        Self::replace_lock(path, ARCHIVER)
    }

    fn replace_lock(path: &Path, name: &str) -> io::Result<()> {
        let aside = path.join(format!("{name}.free"));
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        create_new(&aside)?;
        fs::rename(&aside, path.join(name))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder with everything in it, of which nothing is needed any more. The control page takes the name
    /// [`SETTLED`] first, which goes when all else is gone but the lock: so a half-removed folder is adopted as one in which
    /// nothing is left, and one from which somebody else removed the control page is not.
    pub(crate) fn remove(self) -> io::Result<()> {
        let settled = self.path.join(SETTLED);
        match fs::rename(self.path.join(CONTROL), &settled) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without room for it the folder must go all the same.
                let _ = open_or_create(&settled);
            }
            renamed => renamed?,
        }
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            entries.push(entry?.path());
        }
        entries.sort_by_key(|path| (path.ends_with(LOCK), path.ends_with(SETTLED)));
        for path in &entries {
            fs::remove_file(path)?;
        }
        match fs::remove_dir(&self.path) {
            // Its owner, who was taken for dead while it started, is there again.
            Err(error) if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
                return Err(error);
            }
            _ => {}
        }
        if let Some(parent) = self.path.parent() {
            remove_if_last(parent);
        }
        Ok(())
    }
}

/// Removes the folder of all live folders, with the clock page, if nothing else is in it any more.
pub(crate) fn remove_if_last(all: &Path) {
    let Ok(mut entries) = fs::read_dir(all) else { return };
    if entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == CLOCK)) {
        // A process that comes in this instant counts its time alone.
        let _ = fs::remove_file(all.join(CLOCK));
        // Fails when one did come, which is what is wanted.
        let _ = fs::remove_dir(all);
    }
}

/// Makes a folder that this user alone may change, or checks that the existing one is just that: a folder, no link, ours.
/// Others may not look into it, but for `group`.
pub(crate) fn private_folder(path: &Path, group: Option<u32>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // Gone means that somebody took it for a dead process's: it is made anew.
    if !belongs_to_us(&fs::symlink_metadata(path)?) {
        let text = format!(
            "{} is not a folder that this user alone may change: somebody else planted it; remove it",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let Some(group) = group else { return Ok(()) };
    // Only we could replace it now, so the path is safe to use.
    let mode = fs::Permissions::from_mode(0o750);
    let given = chown(path, None, Some(group)).and_then(|()| fs::set_permissions(path, mode));
    given.map_err(|error| not_given(group, error))
}

fn not_given(group: u32, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot give group {group} the right to read: {error}; {SHARE_ADVICE}"))
}

/// Whether a folder is this user's, and nobody else may change it: what others could have planted is not touched.
pub(crate) fn is_ours(path: &Path) -> bool {
    look_whose(path).unwrap_or(false)
}

/// The same.
///
/// # Errors
/// When it could not be looked at.
pub(crate) fn look_whose(path: &Path) -> io::Result<bool> {
    fs::symlink_metadata(path).map(|meta| belongs_to_us(&meta))
}

fn belongs_to_us(meta: &fs::Metadata) -> bool {
    meta.is_dir() && meta.uid() == user_id() && meta.mode() & 0o027 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_locked_and_removed() {
        let shm = tempfile::tempdir().unwrap();
        let folder = Folder::create(shm.path(), "d", "p", None, true).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        assert!(Folder::adopt(folder.path()).unwrap().is_none(), "its owner lives");
        let path = folder.path().to_path_buf();
        drop(folder);
        let adopted = Folder::adopt(&path).unwrap().expect("its owner is gone");
        fs::write(path.join("ring.0"), b"x").unwrap();
        let other = Folder::create(shm.path(), "d", "other", None, false).unwrap();
        let clock = path.with_file_name(CLOCK);
        fs::write(&clock, b"x").unwrap();
        adopted.remove().unwrap();
        assert!(!path.exists() && clock.exists(), "the other one keeps time by it");
        other.remove().unwrap();
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn a_folder_has_one_archiver_and_is_not_adopted_while_that_is_at_work() {
        let shm = tempfile::tempdir().unwrap();
        let own = Folder::create(shm.path(), "d", "own", None, true).unwrap();
        assert!(become_archiver(own.path()).unwrap().is_none());
        let folder = Folder::create(shm.path(), "d", "p", None, false).unwrap();
        assert!(!has_archiver(folder.path()).unwrap());
        let collector = become_archiver(folder.path()).unwrap().expect("nobody archives");
        assert!(has_archiver(folder.path()).unwrap() && become_archiver(folder.path()).unwrap().is_none());
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(Folder::adopt(&path).unwrap().is_none(), "a collector is at work there");
        drop(collector);
        Folder::adopt(&path).unwrap().expect("nobody is there").remove().unwrap();
    }

    #[test]
    fn a_folder_half_made_or_half_removed_is_cleared_away() {
        let shm = tempfile::tempdir().unwrap();
        let path = directory_folder(shm.path(), "d").join("p");
        let beside = Folder::create(shm.path(), "d", "stays", None, true).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(Folder::adopt(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!path.exists(), "killed before it made the lock");
        drop(Folder::create(shm.path(), "d", "p", None, true).unwrap());
        let again = Folder::create(shm.path(), "d", "p", None, true).unwrap();
        assert!(Folder::adopt(again.path()).unwrap().is_none());
        fs::write(path.join(CONTROL), b"x").unwrap();
        fs::create_dir(path.join("ring.0")).unwrap();
        again.remove().unwrap_err();
        assert!(path.join(LOCK).exists() && !path.join(CONTROL).exists(), "what was not removed is adopted as empty");
        beside.remove().unwrap();
    }

    #[test]
    fn owners_and_those_who_take_them_for_dead_do_not_keep_each_other_from_starting() {
        let shm = tempfile::tempdir().unwrap();
        let path = directory_folder(shm.path(), "d").join("p");
        let done = std::sync::atomic::AtomicBool::new(false);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    if let Ok(Some(dead)) = Folder::adopt(&path) {
                        let _ = dead.remove();
                    }
                    // Nobody looks without a pause; one who did could keep a start from its end for all attempts.
                    std::thread::sleep(Duration::from_micros(20));
                }
            });
            let start = || -> Result<bool, String> {
                let folder = Folder::create(shm.path(), "d", "p", None, true).map_err(|error| error.to_string())?;
                let locked = path.join(LOCK).exists();
                folder.remove().map_err(|error| error.to_string())?;
                Ok(locked)
            };
            let outcome: Vec<_> = (0..200).map(|_| start()).collect();
            // Before anything is asserted: the other thread must end.
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            outcome
        });
        assert!(outcome.iter().all(|start| *start == Ok(true)), "{outcome:?}");
    }

    #[test]
    fn a_planted_link_or_open_folder_is_refused() {
        let shm = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory_folder(shm.path(), "d")).unwrap();
        let error = Folder::create(shm.path(), "d", "p", None, true).unwrap_err();
        assert!(error.to_string().contains("planted"), "{error}");
        let open = directory_folder(shm.path(), "e");
        DirBuilder::new().mode(0o755).create(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Folder::create(shm.path(), "e", "p", None, true).is_err());
    }
}
