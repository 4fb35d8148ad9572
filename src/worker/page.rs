//! The memory in which the views' intents stand: a file in shared memory that outlives the process.
//!
//! Others may truncate the file, or remove it. So the renderer works on a copy of its own, and what it stores goes to both;
//! shared memory is read only when the page is opened. A page that was lost is made again from the copy.

use crate::clock::instant::Instant;
use crate::sys::file::{allocate, memory_file, share};
use crate::sys::map::Mapping;
use crate::view::intent::{IntentPage, PAGE_BYTES_MIN};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

/// Bytes of the page: two batches of half of it.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
/// Name of its file in the directory's folder.
const NAME: &str = "views";
/// How often the file's name and size are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What a page may take of shared memory.
#[derive(Debug)]
pub(crate) struct Room {
    /// Bytes of one that is made.
    pub(crate) bytes: usize,
    /// Bytes that are left there.
    pub(crate) left: u64,
    /// Who else may look.
    pub(crate) group: Option<u32>,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: PAGE_BYTES, left: u64::MAX, group: None }
    }
}

/// A mapped intent page.
#[derive(Debug)]
pub(crate) struct Page {
    memory: Mapping,
    copy: Vec<u8>,
    path: Option<PathBuf>,
    group: Option<u32>,
    looked_at: Instant,
}

impl Page {
    /// Opens the page of the directory whose live folders are in `folder`, or makes it. The caller is its only
    /// user.
    pub(crate) fn open(folder: &Path, room: &Room) -> io::Result<Self> {
        let bytes = room.bytes;
        let path = folder.join(NAME);
        let file = open(&path, false)?;
        let found = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let bytes = if (PAGE_BYTES_MIN..=PAGE_BYTES).contains(&found) { found } else { bytes };
        if found != bytes {
            // A new one, or one that was no page: nothing is in it yet.
            let left = room.left;
            if bytes as u64 > left {
                let message = format!("{bytes} bytes for the views' page are more than is left, {left}");
                return Err(io::Error::new(io::ErrorKind::StorageFull, message));
            }
            file.set_len(0)?;
            allocate(&file, bytes)?;
        }
        if let Some(group) = room.group {
            share(&file, group)?;
        }
        let mut page = Self::over(Mapping::shared(&file, bytes)?);
        // SAFETY: the mapping is as long as it says; other processes do not touch a page whose renderer's lock this
        // process holds, and what somebody scribbles there all the same is checked before it is believed.
        page.copy.copy_from_slice(unsafe { std::slice::from_raw_parts(page.memory.as_ptr(), bytes) });
        (page.path, page.group) = (Some(path), room.group);
        Ok(page)
    }

    /// A page of `bytes` that dies with the process.
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Self> {
        Ok(Self::over(Mapping::shared(&memory_file(c"views", bytes)?, bytes)?))
    }

    fn over(memory: Mapping) -> Self {
        memory.populate();
        let copy = vec![0; memory.bytes()];
        Self { memory, copy, path: None, group: None, looked_at: Instant::now() }
    }

    /// Deletes the file: everything is in the views, and the cursor on disk says so.
    pub(crate) fn remove(self) -> io::Result<()> {
        match self.path.as_ref().map_or(Ok(()), fs::remove_file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Looks whether the file is still what is mapped, and makes it again if not.
    fn look(&mut self) {
        let Some(path) = self.path.clone() else { return };
        let due = self.looked_at.elapsed() >= LOOK_INTERVAL;
        if !self.memory.is_lost() && !due {
            return;
        }
        self.looked_at = Instant::now();
        let head = |bytes: &[u8]| bytes.get(..8).map(<[u8]>::to_vec);
        // SAFETY: the mapping is longer than that.
        let shared = unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), 8) };
        if self.memory.is_lost() || !self.memory.is_at(&path) || head(shared) != head(&self.copy) {
            // Without room for it the lines are exact as long as this process lives, and it is tried again.
            let _ = self.make_again(&path);
        }
    }

    fn make_again(&mut self, path: &Path) -> io::Result<()> {
        let _ = fs::remove_file(path);
        let file = open(path, true)?;
        let made =
            allocate(&file, self.copy.len()).and_then(|()| self.group.map_or(Ok(()), |group| share(&file, group)));
        made.inspect_err(|_| drop(fs::remove_file(path)))?;
        self.memory.renew(&file)?;
        // SAFETY: both are as long, and distinct.
        unsafe { self.memory.as_ptr().copy_from_nonoverlapping(self.copy.as_ptr(), self.copy.len()) };
        Ok(())
    }
}

fn open(path: &Path, new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).create_new(new).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

impl IntentPage for Page {
    fn bytes(&self) -> &[u8] {
        &self.copy
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(copy) = at.checked_add(bytes.len()).and_then(|end| self.copy.get_mut(at..end)) {
            copy.copy_from_slice(bytes);
            let place = self.memory.as_ptr().wrapping_add(at);
            // SAFETY: the range lies within the mapping, and `bytes` cannot overlap it: it is borrowed from elsewhere
            // while `self` is borrowed mutably.
            unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
    }

    fn publish(&mut self, at: usize, word: u64) {
        self.look();
        if let Some(copy) =
            at.checked_add(8).and_then(|end| self.copy.get_mut(at..end)).filter(|_| at.is_multiple_of(8))
        {
            copy.copy_from_slice(&word.to_le_bytes());
            // SAFETY: an aligned word within the mapping.
            let place = unsafe { AtomicU64::from_ptr(self.memory.as_ptr().wrapping_add(at).cast()) };
            place.store(word.to_le(), Ordering::Release);
            fence(Ordering::SeqCst);
        }
    }
}
