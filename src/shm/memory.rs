//! Where live memory comes from: files in the process's shared-memory folder, or anonymous memory where that cannot be.

use super::folder::Folder;
use crate::clock::instant::is_simulated;
use crate::sys::file::{allocate, create_new, memory_file, share};
use crate::sys::headroom::{available_bytes, control_group_bytes};
use crossbeam_queue::ArrayQueue;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Share of what is free that is left to others: one in this many.
const SPARED: u64 = 10;

/// Events that wait for the writer at most; what comes when there are so many is in the counters only.
const EVENTS_MAX: usize = 64;

/// A source of live memory with a cap.
#[derive(Debug)]
pub(crate) struct LiveMemory {
    folder: Mutex<Option<Folder>>,
    path: Option<PathBuf>,
    group: Option<u32>,
    pid: u32,
    kept: AtomicBool,
    bytes_max: u64,
    /// Bytes of anonymous memory that were given out.
    anonymous: AtomicU64,
    /// Something of it is in no file at the moment.
    is_torn: AtomicBool,
    /// Something of it is in no file for good.
    is_anonymous: AtomicBool,
    /// Something of it may be swapped out.
    is_unlocked: AtomicBool,
    /// What happened to it, for the log.
    events: ArrayQueue<String>,
}

impl LiveMemory {
    /// Files in `folder`, or anonymous memory without one. At most `bytes_max` altogether, for all processes of the log
    /// directory where there is a folder.
    pub(crate) fn new(folder: Option<Folder>, bytes_max: u64) -> Self {
        let path = folder.as_ref().map(|folder| folder.path().to_path_buf());
        Self {
            group: folder.as_ref().and_then(Folder::group),
            folder: Mutex::new(folder),
            path,
            pid: std::process::id(),
            kept: AtomicBool::new(false),
            bytes_max,
            anonymous: AtomicU64::new(0),
            is_torn: AtomicBool::new(false),
            is_anonymous: AtomicBool::new(false),
            is_unlocked: AtomicBool::new(false),
            events: ArrayQueue::new(EVENTS_MAX),
        }
    }

    /// Bytes that may still be asked for: the cap, less what all processes of the log directory have, living and dead; and
    /// nine tenths of what the file system and the memory control group have left.
    pub(crate) fn left(&self) -> u64 {
        if is_simulated() {
            return self.bytes_max;
        }
        match &self.path {
            Some(folder) => {
                // A folder that somebody removed has no file system; anonymous memory serves then.
                let free = available_bytes(folder).unwrap_or_else(|_| control_group_bytes());
                let used = folder.parent().map_or(0, |parent| bytes_in(parent, 2));
                self.bytes_max.saturating_sub(used).min(spared(free))
            }
            None => {
                let used = self.anonymous.load(Ordering::Relaxed);
                self.bytes_max.saturating_sub(used).min(spared(control_group_bytes()))
            }
        }
    }

    /// A file of `bytes` zeros, really allocated; anonymous memory where somebody removed the folder.
    pub(crate) fn file(&self, name: &str, bytes: usize) -> io::Result<File> {
        let left = self.left();
        if bytes as u64 > left {
            let message = format!("{bytes} bytes of shared memory for {name} are more than is left, {left}");
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        let Some(folder) = &self.path else {
            let file = memory_file(&CString::new(name)?, bytes)?;
            self.anonymous.fetch_add(bytes as u64, Ordering::Relaxed);
            return Ok(file);
        };
        let path = folder.join(name);
        let file = match create_new(&path) {
            // Somebody removed the folder; who logs must not pay for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_anonymous.store(true, Ordering::Relaxed);
                return memory_file(&CString::new(name)?, bytes);
            }
            created => created?,
        };
        let made = self.group.map_or(Ok(()), |group| share(&file, group)).and_then(|()| allocate(&file, bytes));
        if let Err(error) = made {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(file)
    }

    /// As [`file`](Self::file), in the place of one that somebody truncated or removed; anonymous memory where no file can
    /// be made.
    pub(crate) fn replacement(&self, name: &str, bytes: usize) -> io::Result<File> {
        if let Some(folder) = &self.path {
            let _ = std::fs::remove_file(folder.join(name));
            if let Ok(file) = self.file(name, bytes) {
                return Ok(file);
            }
        }
        self.is_anonymous.store(true, Ordering::Relaxed);
        memory_file(&CString::new(name)?, bytes)
    }

    /// Something happened to the memory that the log should say.
    pub(crate) fn say(&self, event: String) {
        let _ = self.events.push(event);
    }

    /// What is to be said, oldest first.
    pub(crate) fn next_event(&self) -> Option<String> {
        self.events.pop()
    }

    /// Notes whether a part could be locked in memory.
    pub(crate) fn note_locked(&self, locked: bool) {
        if !locked {
            self.is_unlocked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether all of it is locked in memory.
    pub(crate) fn is_locked(&self) -> bool {
        !self.is_unlocked.load(Ordering::Relaxed)
    }

    /// Notes whether all of it stands in files of its folder.
    pub(crate) fn note_torn(&self, torn: bool) {
        self.is_torn.store(torn, Ordering::Relaxed);
    }

    /// Whether what is logged survives the process.
    pub(crate) fn outlives_process(&self) -> bool {
        self.path.is_some() && !self.is_torn.load(Ordering::Relaxed) && !self.is_anonymous.load(Ordering::Relaxed)
    }

    /// Deletes a file that could not be used after all.
    pub(crate) fn give_back(&self, name: &str, bytes: usize) {
        if let Some(folder) = &self.path {
            let _ = std::fs::remove_file(folder.join(name));
        } else {
            self.anonymous.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
    }

    /// The group that may read it.
    pub(crate) fn group(&self) -> Option<u32> {
        self.group
    }

    /// Where the files are; `None` for anonymous memory.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// From now on records can stand there: only [`remove`](Self::remove) deletes the files.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Gives up the lock and leaves the files to recovery.
    pub(crate) fn unlock(&self) {
        drop(self.folder.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Removes the files; what is mapped stays usable until it is unmapped.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner).take();
        folder.map_or(Ok(()), Folder::remove)
    }
}

impl Drop for LiveMemory {
    /// A logger that was not closed never came to be: what it took is given back. Forked children leave it alone.
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            if !self.kept.load(Ordering::Relaxed) {
                let _ = self.remove();
            }
        } else {
            // The lock's descriptor was closed when the child was made; its number may be another file's by now.
            std::mem::forget(self.folder.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// Bytes that the files under `path` take, folders within it looked into `depth` levels deep.
fn bytes_in(path: &Path, depth: u32) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.fold(0, |sum: u64, entry| {
        let Ok(meta) = entry.metadata() else { return sum };
        let bytes = match depth.checked_sub(1) {
            Some(depth) if meta.is_dir() => bytes_in(&entry.path(), depth),
            // Blocks of 512 bytes, whatever the file system's are.
            _ => meta.blocks().saturating_mul(512),
        };
        sum.saturating_add(bytes)
    })
}

/// What may be used of `bytes` that are free.
pub(crate) fn spared(bytes: u64) -> u64 {
    bytes - bytes / SPARED
}

/// Sizes of the live memory of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    pub(crate) segments: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) ring_bytes: usize,
    pub(crate) rings: usize,
    pub(crate) table_bytes: usize,
    /// What sampling needs; 0 without it.
    pub(crate) sampling_bytes: usize,
    /// The views' page, of which there is one for all processes of the directory.
    pub(crate) page_bytes: usize,
}

/// Floors below which crash survival is given up rather than memory shrunk further.
const FLOOR: Sizes = Sizes {
    segments: 4,
    segment_bytes: 2 << 20,
    ring_bytes: 256 << 10,
    rings: 1,
    table_bytes: 256 << 10,
    sampling_bytes: 0,
    page_bytes: 1 << 20,
};

/// What a logger cannot do without, where there is next to no memory at all.
pub(crate) const LEAST: Sizes = Sizes {
    segments: 3,
    segment_bytes: 256 << 10,
    ring_bytes: 64 << 10,
    rings: 1,
    table_bytes: 64 << 10,
    sampling_bytes: 0,
    page_bytes: 256 << 10,
};

impl Sizes {
    /// Bytes of all files together.
    pub(crate) fn total(&self) -> u64 {
        let rings = self.rings as u64 * crate::ring::memory::file_bytes(self.ring_bytes) as u64;
        let fixed = super::control::CONTROL_BYTES + super::health_page::HEALTH_BYTES + super::clock_page::bytes();
        let others = (self.table_bytes + self.page_bytes + self.sampling_bytes + fixed) as u64;
        self.segments as u64 * self.segment_bytes as u64 + rings + others
    }

    /// The lesser of each; what sampling needs cannot be less.
    pub(crate) fn at_most(self, other: &Self) -> Self {
        Self {
            segments: self.segments.min(other.segments),
            segment_bytes: self.segment_bytes.min(other.segment_bytes),
            ring_bytes: self.ring_bytes.min(other.ring_bytes),
            rings: self.rings.min(other.rings),
            table_bytes: self.table_bytes.min(other.table_bytes),
            page_bytes: self.page_bytes.min(other.page_bytes),
            ..self
        }
    }

    /// These sizes with everything at its floor.
    pub(crate) fn floor(self) -> Self {
        self.at_most(&FLOOR)
    }

    /// The largest sizes up to these that fit in `available` bytes; `None` when not even the floors do. What was asked
    /// for below a floor stays as asked.
    pub(crate) fn fit(mut self, available: u64) -> Option<Self> {
        while self.total() > available {
            let before = self;
            // The largest share shrinks first.
            let segments = self.segments as u64 * self.segment_bytes as u64;
            let rings = self.rings as u64 * self.ring_bytes as u64;
            let others = (self.table_bytes.max(self.page_bytes)) as u64;
            if others > rings.max(segments / 4)
                && (self.table_bytes > FLOOR.table_bytes || self.page_bytes > FLOOR.page_bytes)
            {
                self.table_bytes = half(self.table_bytes, FLOOR.table_bytes);
                self.page_bytes = half(self.page_bytes, FLOOR.page_bytes);
            } else if segments >= rings && self.segment_bytes > FLOOR.segment_bytes {
                self.segment_bytes = half(self.segment_bytes, FLOOR.segment_bytes);
            } else if self.ring_bytes > FLOOR.ring_bytes {
                self.ring_bytes /= 2;
            } else if self.segments > FLOOR.segments {
                self.segments -= 1;
            } else if self.rings > FLOOR.rings {
                self.rings -= 1;
            } else if self.segment_bytes > FLOOR.segment_bytes {
                self.segment_bytes = FLOOR.segment_bytes;
            } else {
                self.table_bytes = half(self.table_bytes, FLOOR.table_bytes);
                self.page_bytes = half(self.page_bytes, FLOOR.page_bytes);
            }
            if self == before {
                return None;
            }
        }
        Some(self)
    }
}

/// Half of `bytes`, in whole pages, but no less than `floor`; what is below that stays.
fn half(bytes: usize, floor: usize) -> usize {
    if bytes <= floor { bytes } else { (bytes / 2).max(floor).next_multiple_of(4096) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Sizes = Sizes {
        segments: 8,
        segment_bytes: 16 << 20,
        ring_bytes: 4 << 20,
        rings: 4,
        table_bytes: 4 << 20,
        sampling_bytes: 0,
        page_bytes: 4 << 20,
    };

    #[test]
    fn sizes_shrink_to_what_docker_gives_and_no_further_than_the_floor() {
        assert_eq!(WANTED.fit(1 << 30), Some(WANTED));
        let docker = WANTED.fit(spared(64 << 20)).unwrap();
        assert!(docker.total() <= spared(64 << 20), "{docker:?}");
        assert!(docker.segment_bytes >= FLOOR.segment_bytes && docker.segments >= FLOOR.segments);
        assert!(docker.total() > 32 << 20, "{docker:?} leaves half of it unused");
        assert_eq!(WANTED.fit(FLOOR.total()), Some(FLOOR));
        assert_eq!(WANTED.fit(FLOOR.total() - 1), None);
    }

    #[test]
    fn any_room_gives_sizes_that_fit_or_none() {
        for available in (0..200).map(|mebibytes| (mebibytes << 20) + 4711) {
            match WANTED.fit(available) {
                Some(sizes) => assert!(sizes.total() <= available && sizes.at_most(&FLOOR) == FLOOR, "{sizes:?}"),
                None => assert!(available < FLOOR.total()),
            }
        }
        let small = LEAST;
        assert_eq!(small.fit(small.total()), Some(small), "below the floors it stays as asked");
        assert_eq!(small.fit(small.total() - 1), None);
    }

    #[test]
    fn what_the_dead_left_counts_for_the_cap() {
        let shm = tempfile::tempdir().unwrap();
        let folder = |name: &str| Folder::create(shm.path(), "d", name, None, true).unwrap();
        let dead = LiveMemory::new(Some(folder("dead")), 64 << 20);
        dead.file("live.0", 3 << 20).unwrap();
        let memory = LiveMemory::new(Some(folder("own")), 8 << 20);
        let left = memory.left();
        assert!((4 << 20..=5 << 20).contains(&left), "{left}");
        assert!(memory.file("live.0", 6 << 20).is_err());
        memory.file("live.0", 4 << 20).unwrap();
        dead.remove().unwrap();
        assert!(memory.left() >= 3 << 20);
    }
}
