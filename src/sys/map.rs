//! Mappings of shared memory.
//!
//! Only files on tmpfs and memory files are ever mapped (architecture invariant 3), so a store never waits for a disk.
//! What is mapped of a file stands in the table of [`fault`](super::fault) and can be lost: others may truncate the file.

use super::fault::{Registered, Shape, register};
use super::file::may_pass;
use crate::clock::instant::is_simulated;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Memory that the kernel mapped for us, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Leaves the table before the memory is unmapped, which [`drop`](Self::drop) sees to; `None` for private memory.
    shared: Option<Shared>,
    base: NonNull<u8>,
    bytes: usize,
}

/// What is mapped.
#[derive(Debug)]
struct Shared {
    registered: Registered,
    /// The file, if it has a name that matters.
    file: Mutex<Option<FileId>>,
}

/// A file by what does not change with its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId {
    device: u64,
    inode: u64,
    bytes: u64,
}

impl FileId {
    /// `None` for a file without a name.
    fn of(file: &File) -> io::Result<Option<Self>> {
        let meta = file.metadata()?;
        Ok((meta.nlink() > 0).then(|| Self { device: meta.dev(), inode: meta.ino(), bytes: meta.len() }))
    }
}

// SAFETY: the mapping is plain memory owned by this value; what is done through its pointer is the business of the
// ring and segment modules, which synchronise with atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out nothing but the address.
unsafe impl Sync for Mapping {}

/// Bytes of a page of memory.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

impl Mapping {
    /// Maps `bytes` of `file` from its start, shared and writable.
    pub(crate) fn shared(file: &File, bytes: usize) -> io::Result<Self> {
        let base = map_at(ptr::null_mut(), bytes, libc::MAP_SHARED, file, 0)?;
        Self { shared: None, base, bytes }.registered(file, bytes)
    }

    /// Enters the table.
    fn registered(mut self, file: &File, mirror: usize) -> io::Result<Self> {
        let file = Mutex::new(FileId::of(file)?);
        let shape = Shape { base: self.base.as_ptr().addr(), bytes: self.bytes, mirror };
        self.shared = Some(Shared { registered: register(shape), file });
        Ok(self)
    }

    /// Maps a header of `header_bytes` and behind it the `data_bytes` that follow it in `file`, twice in a row, so that
    /// what runs over the end of the data lands at its start. Both sizes must be multiples of the page size.
    pub(crate) fn mirrored(file: &File, header_bytes: usize, data_bytes: usize) -> io::Result<Self> {
        let bytes = header_bytes + 2 * data_bytes;
        // Reserve the addresses first, then place the three views over the reservation.
        let base = reserve(bytes)?;
        let mapping = Self { shared: None, base, bytes };
        for (offset, length, from) in [
            (0, header_bytes, 0),
            (header_bytes, data_bytes, header_bytes),
            (header_bytes + data_bytes, data_bytes, header_bytes),
        ] {
            let address = mapping.base.as_ptr().wrapping_add(offset);
            map_at(address, length, libc::MAP_SHARED | libc::MAP_FIXED, file, from)?;
        }
        mapping.registered(file, header_bytes)
    }

    /// Private zeroed memory that a forked child finds zeroed again.
    pub(crate) fn wiped_on_fork(bytes: usize) -> io::Result<Self> {
        let base = reserve_with(bytes, libc::PROT_READ | libc::PROT_WRITE)?;
        let mapping = Self { shared: None, base, bytes };
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the range is the mapping just made, private and anonymous as this advice requires.
            let done = unsafe { libc::madvise(mapping.base.as_ptr().cast(), bytes, libc::MADV_WIPEONFORK) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(mapping)
    }

    /// The first byte.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Bytes mapped, a mirror counted twice.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes every page present and writable, so that no later store faults. Contents stay as they are.
    pub(crate) fn populate(&self) {
        if is_simulated() {
            return;
        }
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the range is exactly this mapping; populating changes no contents.
            let done = unsafe { libc::madvise(self.base.as_ptr().cast(), self.bytes, libc::MADV_POPULATE_WRITE) };
            if done == 0 {
                return;
            }
        }
        // Old kernels and gVisor refuse the advice: touch each page, without changing a byte.
        for offset in (0..self.bytes).step_by(page_bytes()) {
            // SAFETY: `offset` is below `bytes`, so the byte lies within the mapping, and AtomicU8 has its layout.
            let byte = unsafe { AtomicU8::from_ptr(self.base.as_ptr().wrapping_add(offset)) };
            byte.fetch_or(0, Ordering::Relaxed);
        }
    }

    /// Whether the memory is known not to be what was stored there, or not to be its file's any more.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.registered.range().is_lost())
    }

    /// From now on [`is_lost`](Self::is_lost).
    pub(crate) fn mark_lost(&self) {
        if let Some(shared) = &self.shared {
            shared.registered.range().mark_lost();
        }
    }

    /// Whether the file that is mapped is the one at `path`, as long as it was. True for memory without a name, and where that
    /// cannot be seen for now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let Some(shared) = &self.shared else { return true };
        let Some(known) = *shared.file.lock().unwrap_or_else(PoisonError::into_inner) else { return true };
        match fs::symlink_metadata(path) {
            Ok(meta) => known == FileId { device: meta.dev(), inode: meta.ino(), bytes: meta.len() },
            Err(error) => may_pass(&error),
        }
    }

    /// Maps `file`, which must be allocated with as many bytes, in the place of what was mapped, which is given up. The
    /// memory is zeros then, under the hands of whoever uses it: they must bear that.
    ///
    /// Not for mirrored mappings.
    pub(crate) fn renew(&self, file: &File) -> io::Result<()> {
        let Some(shared) = self.shared.as_ref().filter(|shared| shared.registered.shape.mirror == self.bytes) else {
            return Err(io::Error::other("this memory cannot be mapped anew"));
        };
        let id = FileId::of(file)?;
        map_at(self.base.as_ptr(), self.bytes, libc::MAP_SHARED | libc::MAP_FIXED, file, 0)?;
        *shared.file.lock().unwrap_or_else(PoisonError::into_inner) = id;
        shared.registered.renew();
        self.populate();
        Ok(())
    }

    /// Gives the pages back to the system; they are zeros when they are touched again. For memory that nobody needs any
    /// more, but that somebody may still look at.
    pub(crate) fn discard(&self) {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the range is exactly this mapping, whose contents the caller gives up.
            unsafe { libc::madvise(self.base.as_ptr().cast(), self.bytes, libc::MADV_REMOVE) };
        }
    }

    /// Asks the kernel to keep the pages in memory; `false` when the limit on locked memory forbids it.
    pub(crate) fn lock(&self) -> bool {
        // SAFETY: locking a mapped range has no effect on its contents.
        is_simulated() || unsafe { libc::mlock(self.base.as_ptr().cast(), self.bytes) == 0 }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the addresses can be somebody else's.
        self.shared = None;
        // SAFETY: the range was mapped by this value and nobody borrows it any longer.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Puts private zeros in the place of a mapping, in a forked child that must not store into its parent's memory.
/// Async-signal-safe.
///
/// # Safety
/// The range is one mapping of this process, and nobody relies on what stands there.
pub(crate) unsafe fn replace_by_private(base: *mut u8, bytes: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller vouches for the range.
    unsafe { libc::mmap(base.cast(), bytes, protection, flags, -1, 0) };
}

fn reserve(bytes: usize) -> io::Result<NonNull<u8>> {
    reserve_with(bytes, libc::PROT_NONE)
}

fn reserve_with(bytes: usize, protection: libc::c_int) -> io::Result<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let base = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    checked(base)
}

fn map_at(address: *mut u8, bytes: usize, flags: libc::c_int, file: &File, offset: usize) -> io::Result<NonNull<u8>> {
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: callers pass null, or with MAP_FIXED an address within a reservation that they own.
    let base = unsafe { libc::mmap(address.cast(), bytes, protection, flags, file.as_raw_fd(), offset) };
    checked(base)
}

fn checked(base: *mut libc::c_void) -> io::Result<NonNull<u8>> {
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap gave the null address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_shows_its_data_twice() {
        let page = page_bytes();
        let file = crate::sys::file::memory_file(c"mirror", 3 * page).unwrap();
        let mapping = Mapping::mirrored(&file, page, 2 * page).unwrap();
        mapping.populate();
        let base = mapping.as_ptr();
        // SAFETY: the offset lies within the mapping of 5 pages.
        unsafe { base.wrapping_add(page + 5).write(7) };
        // SAFETY: as above.
        assert_eq!(unsafe { base.wrapping_add(page + 2 * page + 5).read() }, 7);
    }
}
