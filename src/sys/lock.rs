//! A file's lock that no forked child keeps.
//!
//! The lock belongs to the open file, of which a fork makes a copy. The handler of [`fork`](super::fork) closes the copies
//! that it knows; a fork between the opening of the file and its registration is noticed here, and the lock is taken anew.

use super::file::{try_lock, unlock};
use super::fork::{ClosedInChild, close_in_child, forks_begun, forks_ended};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// So often a lock is taken anew because of a fork in between.
const ATTEMPTS_MAX: u32 = 100;

/// A lock that is held until this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    pid: u32,
    // Dropped before `file`, so that a forked child never closes a number that was reused.
    _closed_in_child: ClosedInChild,
    file: File,
}

impl Lock {
    /// Takes the lock, for this process alone or `shared`, of the file that `open` opens; `None` while somebody has it.
    pub(crate) fn take(shared: bool, mut open: impl FnMut() -> io::Result<File>) -> io::Result<Option<Self>> {
        for attempt in 1..=ATTEMPTS_MAX {
            let ended = forks_ended();
            let file = open()?;
            let lock = Self { pid: std::process::id(), _closed_in_child: close_in_child(file.as_raw_fd()), file };
            if !try_lock(&lock.file, !shared)? {
                return Ok(None);
            }
            if forks_begun() == ended || attempt == ATTEMPTS_MAX {
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }

    /// The locked file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing alone: a child that was forked when it was not, or no longer, registered has a copy. In such a
        // child the lock is not ours to let go of.
        if self.pid == std::process::id() {
            unlock(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_forked_at_any_moment_keeps_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut children = Vec::new();
        let mut opened = 0;
        let open = || {
            let file = super::super::file::open_or_create(&path)?;
            opened += 1;
            if opened == 1 {
                // SAFETY: the child calls nothing but `pause` and `_exit`.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: as above.
                    unsafe { libc::pause() };
                    // SAFETY: as above.
                    unsafe { libc::_exit(0) };
                }
                children.push(child);
            }
            Ok(file)
        };
        let lock = Lock::take(false, open).unwrap().expect("nobody has it");
        let next = || Lock::take(false, || super::super::file::open_or_create(&path)).unwrap();
        assert!(next().is_none());
        drop(lock);
        assert!(next().is_some(), "the child has a copy of the file, and no lock");
        for child in children {
            // SAFETY: our own child, not waited for yet.
            unsafe { libc::kill(child, libc::SIGKILL) };
            // SAFETY: as above; no status is asked for.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
    }
}
