//! A disk with a cap on the lengths of all its files together, held before bytes are written.
//!
//! What would exceed the cap fails as on a full disk, so that whoever makes room there makes it here. All folders share one
//! [`Ledger`]. It counts each write before it is done, and gives back what did not come to be: what it says is never
//! less than what stands on the disk, as far as this process writes it. What others write it knows once it
//! [measures](Capped::measure).

use super::{Disk, Stat};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Folders in folders that are measured.
const DEPTH_MAX: u32 = 4;
/// Attempts to measure while files are renamed.
const ATTEMPTS_MAX: u32 = 8;

/// What the files take, and may take.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// `u64::MAX` without a cap; nothing is counted then.
    cap: u64,
    sums: Mutex<Sums>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Sums {
    /// Bytes that stand there.
    used: u64,
    /// Bytes of writes that are being done.
    in_flight: u64,
    /// Bytes written since the beginning.
    written: u64,
    /// Renames since the beginning: a listing can miss a file that is renamed meanwhile.
    renames: u64,
}

impl Ledger {
    /// A ledger with a cap in bytes, if there is one.
    pub(crate) fn new(cap: Option<u64>) -> Arc<Self> {
        Arc::new(Self { cap: cap.unwrap_or(u64::MAX), sums: Mutex::default() })
    }

    /// Whether there is a cap.
    pub(crate) fn is_capped(&self) -> bool {
        self.cap != u64::MAX
    }

    /// The cap, if there is one.
    pub(crate) fn cap(&self) -> Option<u64> {
        self.is_capped().then_some(self.cap)
    }

    /// Bytes that may still be written.
    pub(crate) fn free(&self) -> u64 {
        let sums = *self.sums();
        self.cap.saturating_sub(sums.used).saturating_sub(sums.in_flight)
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that are about to be written.
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let mut sums = self.sums();
        let wanted = sums.used.saturating_add(sums.in_flight).saturating_add(bytes);
        if bytes > 0 && wanted > self.cap {
            let text = format!("disk_bytes_cap leaves no room for {bytes} bytes more");
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        sums.in_flight += bytes;
        Ok(())
    }

    /// Of the reserved bytes, these came to be.
    fn settle(&self, reserved: u64, written: u64) {
        let mut sums = self.sums();
        sums.in_flight = sums.in_flight.saturating_sub(reserved);
        sums.used = sums.used.saturating_add(written);
        sums.written = sums.written.saturating_add(written);
    }

    fn give_back(&self, bytes: u64) {
        let mut sums = self.sums();
        sums.used = sums.used.saturating_sub(bytes);
    }
}

/// A directory whose files have the cap of a [`Ledger`].
#[derive(Debug)]
pub(crate) struct Capped<D: Disk> {
    disk: D,
    ledger: Arc<Ledger>,
}

impl<D: Disk> Capped<D> {
    /// Puts `disk` under the ledger's cap.
    pub(crate) fn new(disk: D, ledger: Arc<Ledger>) -> Self {
        Self { disk, ledger }
    }

    /// Counts what stands in this directory, the root of all that have this ledger.
    pub(crate) fn measure(&self) -> io::Result<()> {
        if !self.ledger.is_capped() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS_MAX {
            let before = *self.ledger.sums();
            let found = bytes_in(&self.disk, DEPTH_MAX)?;
            let mut sums = self.ledger.sums();
            if sums.renames == before.renames {
                // What was written meanwhile may have been found or not: it counts twice rather than not at all.
                sums.used = found.saturating_add(sums.written - before.written);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bytes of all files in this directory, the root of all that have this ledger.
    pub(crate) fn used(&self) -> io::Result<u64> {
        if self.ledger.is_capped() { Ok(self.ledger.sums().used) } else { bytes_in(&self.disk, DEPTH_MAX) }
    }

    /// Bytes that the file system has left, whatever the cap, and all that it has.
    pub(crate) fn room(&self) -> io::Result<(u64, u64)> {
        Ok((self.disk.space()?, self.disk.size()?))
    }

    /// Does a write that makes a file longer by `bytes` at most.
    fn grow(&self, bytes: u64, write: impl FnOnce() -> io::Result<u64>) -> io::Result<()> {
        self.ledger.reserve(bytes)?;
        let written = write();
        // Of a write that failed nobody knows how much it wrote.
        self.ledger.settle(bytes, *written.as_ref().unwrap_or(&bytes));
        written.map(drop)
    }

    /// The bytes that come free when a name goes.
    fn bytes_of(&self, name: &str) -> u64 {
        let stat: Option<Stat> = self.disk.stat_name(name).ok().flatten();
        stat.filter(|stat| stat.links == 1).map_or(0, |stat| stat.bytes)
    }
}

/// The lengths of all files in a directory and its folders.
fn bytes_in<D: Disk>(disk: &D, depth: u32) -> io::Result<u64> {
    let (mut folders, mut names) = (Vec::new(), Vec::new());
    disk.list_folders(&mut |name| folders.push(name.to_owned()))?;
    disk.list(&mut |name| names.push(name.to_owned()))?;
    folders.retain(|name| name != "." && name != "..");
    let mut bytes: u64 = 0;
    for name in names.iter().filter(|name| *name != "." && *name != ".." && !folders.contains(name)) {
        bytes = bytes.saturating_add(disk.stat_name(name)?.map_or(0, |stat| stat.bytes));
    }
    for name in folders.iter().filter(|_| depth > 0) {
        bytes = bytes.saturating_add(match disk.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            folder => bytes_in(&folder?, depth - 1)?,
        });
    }
    Ok(bytes)
}

impl<D: Disk> Disk for Capped<D> {
    type File = D::File;
    type Lock = D::Lock;

    fn folder(&self, name: &str) -> io::Result<Self> {
        Ok(Self::new(self.disk.folder(name)?, Arc::clone(&self.ledger)))
    }

    fn make_folder(&self, name: &str) -> io::Result<Self> {
        Ok(Self::new(self.disk.make_folder(name)?, Arc::clone(&self.ledger)))
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.disk.remove_folder(name)
    }

    fn list_folders(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.disk.list_folders(each)
    }

    fn lock(&self, name: &str) -> io::Result<Option<Self::Lock>> {
        self.disk.lock(name)
    }

    fn is_lock_of(&self, lock: &Self::Lock, name: &str) -> io::Result<bool> {
        self.disk.is_lock_of(lock, name)
    }

    fn create_new(&self, name: &str) -> io::Result<Self::File> {
        self.disk.create_new(name)
    }

    fn open_append(&self, name: &str) -> io::Result<Self::File> {
        self.disk.open_append(name)
    }

    fn open_read(&self, name: &str) -> io::Result<Self::File> {
        self.disk.open_read(name)
    }

    fn open_write(&self, name: &str) -> io::Result<Self::File> {
        self.disk.open_write(name)
    }

    fn write_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if !self.ledger.is_capped() {
            return self.disk.write_at(file, bytes, offset);
        }
        let length = self.disk.stat(file)?.bytes;
        let longer = |count: usize| offset.saturating_add(count as u64).saturating_sub(length);
        let mut written = 0;
        self.grow(longer(bytes.len()), || {
            written = self.disk.write_at(file, bytes, offset)?;
            Ok(longer(written))
        })?;
        Ok(written)
    }

    fn append(&self, file: &Self::File, bytes: &[u8]) -> io::Result<usize> {
        if !self.ledger.is_capped() {
            return self.disk.append(file, bytes);
        }
        let mut written = 0;
        self.grow(bytes.len() as u64, || {
            written = self.disk.append(file, bytes)?;
            Ok(written as u64)
        })?;
        Ok(written)
    }

    fn read_at(&self, file: &Self::File, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.read_at(file, out, offset)
    }

    fn stat(&self, file: &Self::File) -> io::Result<Stat> {
        self.disk.stat(file)
    }

    fn stat_name(&self, name: &str) -> io::Result<Option<Stat>> {
        self.disk.stat_name(name)
    }

    fn truncate(&self, file: &Self::File, bytes: u64) -> io::Result<()> {
        let length = self.disk.stat(file)?.bytes;
        let longer = bytes.saturating_sub(length);
        self.grow(longer, || self.disk.truncate(file, bytes).map(|()| longer))?;
        self.ledger.give_back(length.saturating_sub(bytes));
        Ok(())
    }

    fn set_mtime(&self, file: &Self::File, mtime_ns: i64) -> io::Result<()> {
        self.disk.set_mtime(file, mtime_ns)
    }

    fn sync(&self, file: &Self::File) -> io::Result<()> {
        self.disk.sync(file)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.ledger.sums().renames += 1;
        let renamed = self.disk.rename(from, to);
        self.ledger.sums().renames += 1;
        renamed
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.bytes_of(to);
        self.ledger.sums().renames += 1;
        let replaced = self.disk.replace(from, to);
        self.ledger.sums().renames += 1;
        replaced?;
        self.ledger.give_back(bytes);
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let bytes = self.bytes_of(name);
        self.disk.unlink(name)?;
        self.ledger.give_back(bytes);
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.disk.list(each)
    }

    fn space(&self) -> io::Result<u64> {
        Ok(self.disk.space()?.min(self.ledger.free()))
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn device(&self) -> Option<u64> {
        self.disk.device()
    }

    fn file_bytes_max(&self) -> u64 {
        self.disk.file_bytes_max()
    }

    fn revalidate(&self) -> io::Result<bool> {
        self.disk.revalidate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{MemDisk, is_full};

    #[test]
    fn no_write_exceeds_the_cap_and_what_goes_gives_room() {
        let ledger = Ledger::new(Some(100));
        let disk = Capped::new(MemDisk::new(), Arc::clone(&ledger));
        let folder = disk.make_folder("f").unwrap();
        let (a, b) = (disk.create_new("a").unwrap(), folder.open_write("b").unwrap());
        assert_eq!(disk.append(&a, &[b'x'; 60]).unwrap(), 60);
        assert!(is_full(&disk.append(&a, &[b'x'; 41]).unwrap_err()));
        assert_eq!(folder.write_at(&b, &[b'x'; 40], 0).unwrap(), 40);
        assert_eq!(folder.write_at(&b, &[b'y'; 40], 0).unwrap(), 40, "in place");
        assert!(is_full(&folder.write_at(&b, &[b'y'; 40], 1).unwrap_err()));
        assert_eq!((ledger.free(), disk.space().unwrap()), (0, 0));
        folder.truncate(&b, 10).unwrap();
        assert_eq!(ledger.free(), 30);
        assert!(is_full(&folder.truncate(&b, 41).unwrap_err()));
        disk.unlink("a").unwrap();
        assert_eq!(ledger.free(), 90);
        folder.create_new("c").unwrap();
        folder.replace("c", "b").unwrap();
        assert_eq!(ledger.free(), 100);
    }

    #[test]
    fn what_others_wrote_is_measured_in_all_folders() {
        let inner = MemDisk::new();
        let deep = inner.make_folder("f").unwrap().make_folder("g").unwrap();
        deep.append(&deep.create_new("a").unwrap(), &[b'x'; 7]).unwrap();
        inner.append(&inner.create_new("b").unwrap(), &[b'x'; 5]).unwrap();
        let ledger = Ledger::new(Some(100));
        let disk = Capped::new(inner, Arc::clone(&ledger));
        assert_eq!(ledger.free(), 100);
        disk.measure().unwrap();
        assert_eq!(ledger.free(), 88);
    }
}
