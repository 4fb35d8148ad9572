//! The one seam between the worker and a file system: a directory of plain names, and the folders in it.
//!
//! [`capped`] puts one under a cap of bytes.
//! [`RealDisk`] is an open directory; [`MemDisk`] is one in memory that fails, crashes and loses power on demand.
//! Appends go to the file's real end whatever others did to it, and a rename never overwrites: both are promises of
//! the trait, so that no decision above it can destroy foreign bytes. Only files of ours alone are
//! [written in place](Disk::write_at) or [replaced](Disk::replace).

pub(crate) mod capped;
mod fault;
mod mem;
mod power;
mod real;

pub use fault::{advice, is_full, is_of_disk, say};
pub use mem::{Fault, MemDisk, MemFile, MemLock, is_crash};
pub use real::{RealDisk, RealLock};

use std::io;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    /// Device.
    pub dev: u64,
    /// Inode. Numbers are used again after a deletion: bytes must be compared before an identity is believed.
    pub ino: u64,
}

/// What is to be known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Which file.
    pub identity: Identity,
    /// Its length.
    pub bytes: u64,
    /// Last modification, in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// Names of it; 0 once it was deleted.
    pub links: u64,
}

/// A directory of plain names.
pub trait Disk: Send + Sync + Sized {
    /// An open file.
    type File: Send;
    /// The lock of a file, held until it is dropped.
    type Lock: Send;

    /// Opens a folder of this directory; follows no symbolic link.
    ///
    /// # Errors
    /// That of the file system.
    fn folder(&self, name: &str) -> io::Result<Self>;

    /// The same, after making it if it is absent.
    ///
    /// # Errors
    /// That of the file system.
    fn make_folder(&self, name: &str) -> io::Result<Self>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// That of the file system; `DirectoryNotEmpty` where something is in it.
    fn remove_folder(&self, name: &str) -> io::Result<()>;

    /// All folders in the directory whose names are valid UTF-8.
    ///
    /// # Errors
    /// That of the file system.
    fn list_folders(&self, each: &mut dyn FnMut(&str)) -> io::Result<()>;

    /// Takes the lock of a file, which is made if it is absent; `None` while somebody else has it. It is held by the
    /// process, not by its forked children.
    ///
    /// # Errors
    /// That of the file system.
    fn lock(&self, name: &str) -> io::Result<Option<Self::Lock>>;

    /// Whether a lock is still that of the file with this name.
    ///
    /// # Errors
    /// That of the file system.
    fn is_lock_of(&self, lock: &Self::Lock, name: &str) -> io::Result<bool>;

    /// Creates a file for reading and appending; fails with `AlreadyExists` where the name is taken.
    ///
    /// # Errors
    /// That of the file system.
    fn create_new(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a regular file for reading and appending; follows no symbolic link.
    ///
    /// # Errors
    /// That of the file system; `InvalidInput` where it is no regular file.
    fn open_append(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a regular file for reading; follows no symbolic link.
    ///
    /// # Errors
    /// That of the file system; `InvalidInput` where it is no regular file.
    fn open_read(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a regular file for reading and [`write_at`](Self::write_at), after making it if it is absent; follows no
    /// symbolic link.
    ///
    /// # Errors
    /// That of the file system; `InvalidInput` where it is no regular file.
    fn open_write(&self, name: &str) -> io::Result<Self::File>;

    /// Writes at `offset`, in a file from [`open_write`](Self::open_write); returns how many bytes went out, which may
    /// be fewer.
    ///
    /// # Errors
    /// That of the file system.
    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Appends at the file's real end; returns how many bytes went out, which may be fewer.
    ///
    /// # Errors
    /// That of the file system.
    fn append(&self, file: &Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Reads from `offset` on; 0 at the end.
    ///
    /// # Errors
    /// That of the file system.
    fn read_at(&self, file: &Self::File, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// What an open file is now.
    ///
    /// # Errors
    /// That of the file system.
    fn stat(&self, file: &Self::File) -> io::Result<Stat>;

    /// What stands under a name; `None` where nothing does. A symbolic link is itself, not its target.
    ///
    /// # Errors
    /// That of the file system.
    fn stat_name(&self, name: &str) -> io::Result<Option<Stat>>;

    /// Cuts a file; for the valid prefix after a power loss.
    ///
    /// # Errors
    /// That of the file system.
    fn truncate(&self, file: &Self::File, bytes: u64) -> io::Result<()>;

    /// Sets the time of the last modification; a compressed backup keeps that of its plain file.
    ///
    /// # Errors
    /// That of the file system.
    fn set_mtime(&self, file: &Self::File, mtime_ns: i64) -> io::Result<()>;

    /// Returns when the file's bytes are on the medium.
    ///
    /// # Errors
    /// That of the file system.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Returns when the directory's names are on the medium.
    ///
    /// # Errors
    /// That of the file system.
    fn sync_dir(&self) -> io::Result<()>;

    /// Renames; fails with `AlreadyExists` where the new name is taken.
    ///
    /// # Errors
    /// That of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Renames; a file that has the new name is gone after that.
    ///
    /// # Errors
    /// That of the file system.
    fn replace(&self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a name.
    ///
    /// # Errors
    /// That of the file system.
    fn unlink(&self, name: &str) -> io::Result<()>;

    /// All names in the directory that are valid UTF-8.
    ///
    /// # Errors
    /// That of the file system.
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()>;

    /// Bytes that may still be written by this user.
    ///
    /// # Errors
    /// That of the file system.
    fn space(&self) -> io::Result<u64>;

    /// Bytes of the whole file system; 0 where that is not known.
    ///
    /// # Errors
    /// That of the file system.
    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }

    /// The number of the file system that the directory is on; `None` where no file of it can be on another.
    fn device(&self) -> Option<u64> {
        None
    }

    /// The longest that a file may become for this process; `u64::MAX` without a limit.
    fn file_bytes_max(&self) -> u64 {
        u64::MAX
    }

    /// Opens the directory anew (and makes it, if it is gone) where its path no longer leads to it.
    /// Returns whether it had to.
    ///
    /// # Errors
    /// That of the file system.
    fn revalidate(&self) -> io::Result<bool>;
}

/// Bytes that a file system has at least, if it is not to be taken for a full one.
const ROOM_BYTES: u64 = 1 << 20;

/// Whether `error`, of the file called `name`, is that of another file system than the directory's, which has room: the file
/// is mounted there by itself, and what keeps it from being written keeps no other.
pub fn is_elsewhere<D: Disk>(disk: &D, name: &str, error: &io::Error) -> bool {
    let Some(device) = disk.device() else { return false };
    let is_mounted = disk.stat_name(name).is_ok_and(|stat| stat.is_some_and(|stat| stat.identity.dev != device));
    // Files of an overlay file system can have the number of the layer below: there the directory has no room either.
    is_mounted && (!is_full(error) || disk.space().is_ok_and(|bytes| bytes >= ROOM_BYTES))
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// That of the file system; how much was written is then not known.
pub fn write_all_at<D: Disk>(disk: &D, file: &D::File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = disk.write_at(file, bytes, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

/// All bytes of a small file; `None` where there is none.
///
/// # Errors
/// That of the file system; `FileTooLarge` beyond `bytes_max`.
pub fn read_small<D: Disk>(disk: &D, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open_read(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let count = disk.read_at(&file, &mut block, bytes.len() as u64)?;
        bytes.extend_from_slice(block.get(..count).unwrap_or_default());
        if count == 0 {
            return Ok(Some(bytes));
        }
        if bytes.len() > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// Replaces a small file of ours alone: written aside, synced, renamed, the directory synced. Nobody ever reads half of
/// it, and on an error the old one is still there. Only one may do it at a time.
///
/// # Errors
/// That of the file system.
pub fn replace_small<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_aside(disk, name, bytes, |file| disk.sync(file))?;
    disk.sync_dir()
}

/// The same for what is soon written again: nothing is synced, so a power loss can leave it empty.
///
/// # Errors
/// That of the file system.
pub fn replace_unsynced<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_aside(disk, name, bytes, |_| Ok(()))
}

fn write_aside<D: Disk>(
    disk: &D,
    name: &str,
    bytes: &[u8],
    finish: impl FnOnce(&D::File) -> io::Result<()>,
) -> io::Result<()> {
    let aside = format!(".{name}.tmp");
    let written = || {
        let file = disk.open_write(&aside)?;
        disk.truncate(&file, 0)?;
        write_all_at(disk, &file, bytes, 0)?;
        finish(&file)
    };
    if let Err(error) = written() {
        // What it takes is needed elsewhere.
        let _ = disk.unlink(&aside);
        return Err(error);
    }
    disk.replace(&aside, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both kinds of disk do alike.
    fn folders_locks_and_places<D: Disk>(disk: &D) {
        assert_eq!(disk.folder("a").err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
        let folder = disk.make_folder("a").unwrap();
        disk.make_folder("a").unwrap().make_folder("b").unwrap();
        let file = folder.open_write("x").unwrap();
        write_all_at(&folder, &file, b"0123456789", 0).unwrap();
        write_all_at(&folder, &folder.open_write("x").unwrap(), b"ab", 3).unwrap();
        assert_eq!(read_small(&disk.folder("a").unwrap(), "x", 10).unwrap(), Some(b"012ab56789".to_vec()));
        assert!(read_small(&folder, "x", 9).is_err());
        assert_eq!(read_small(&folder, "y", 9).unwrap(), None);
        let names = |disk: &D| {
            let (mut names, mut folders) = (Vec::new(), Vec::new());
            disk.list(&mut |name| names.extend((!name.starts_with('.')).then(|| name.to_owned()))).unwrap();
            disk.list_folders(&mut |name| folders.push(name.to_owned())).unwrap();
            names.retain(|name| !folders.contains(name));
            (names, folders)
        };
        assert_eq!(names(disk), (vec![], vec!["a".to_owned()]));
        assert_eq!(names(&folder), (vec!["x".to_owned()], vec!["b".to_owned()]));

        let lock = folder.lock("x").unwrap().unwrap();
        assert!(folder.lock("x").unwrap().is_none());
        assert!(folder.is_lock_of(&lock, "x").unwrap());
        folder.create_new("y").unwrap();
        assert_eq!(folder.rename("y", "x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        folder.replace("y", "x").unwrap();
        assert!(!folder.is_lock_of(&lock, "x").unwrap());
        let second = folder.lock("x").unwrap().unwrap();
        drop(lock);
        assert!(folder.lock("x").unwrap().is_none());
        drop(second);
        assert!(folder.lock("x").unwrap().is_some());

        assert_eq!(disk.remove_folder("a").unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(folder.remove_folder("c").unwrap_err().kind(), io::ErrorKind::NotFound);
        folder.remove_folder("b").unwrap();
        folder.unlink("x").unwrap();
        disk.remove_folder("a").unwrap();
        assert_eq!(names(disk), (vec![], vec![]));
        assert_eq!(disk.folder("a").err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }

    #[test]
    fn in_memory_as_on_a_real_file_system() {
        folders_locks_and_places(&MemDisk::new());
        let dir = tempfile::tempdir().unwrap();
        folders_locks_and_places(&RealDisk::open(dir.path()).unwrap());
    }

    #[test]
    fn what_is_deleted_gives_its_room_back() {
        let disk = MemDisk::new();
        disk.set_space(Some(10));
        let file = disk.create_new("a").unwrap();
        assert_eq!(disk.append(&file, &[b'x'; 12]).unwrap(), 10);
        assert!(disk.append(&file, b"x").is_err() && disk.create_new("b").is_err());
        disk.truncate(&file, 4).unwrap();
        assert_eq!(disk.space().unwrap(), 6);
        disk.unlink("a").unwrap();
        assert_eq!(disk.space().unwrap(), 10);
    }
}
