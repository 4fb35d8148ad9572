//! Live segments of another process, in its shared memory, read with `read_at`.
//!
//! Nothing is mapped, and no number found there is trusted. A slot may be used again for another segment at any time, so
//! its number is loaded before and after bytes are copied; if it changed, the copy is thrown away and the segment is in
//! the archive by then.

use super::file;
use super::source::Extent;
use crate::segment::layout::u64_at;
use crate::shm::control::{CONTROL_BYTES, Control, MAGIC, SLOTS_MAX, Slot, VERSION};
use crate::sys::file::open_regular;
use crate::sys::lock::Lock;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The largest live segment that is believed in.
const SEGMENT_BYTES_MAX: u64 = 1 << 40;

/// Whether the process that owns a live folder is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// It holds its lock; or that could not be asked, for want of descriptors or by an error of the file system, and nobody
    /// is taken for dead on such grounds.
    Alive,
    /// The lock is free.
    Dead,
    /// There is no lock that this user could see.
    Unknown,
}

/// The live memory of a process.
#[derive(Debug)]
pub struct Live {
    folder: PathBuf,
    control: File,
    slots: usize,
    segment_bytes: u64,
    /// Files of the slots, as far as they were needed.
    files: Vec<Option<File>>,
}

impl Live {
    /// Opens the live folder of a process; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is of another version, or belongs to another user than `uid`, to whom the
    /// journal belongs: names in shared memory can be taken by anyone.
    pub fn open(folder: &Path, uid: u32) -> io::Result<Option<Self>> {
        let path = folder.join("control");
        let Some(control) = file::open(&path)? else { return Ok(None) };
        let owner = control.metadata().map_err(|error| file::context(&error, "look at", &path))?.uid();
        if owner != uid {
            let error = io::Error::new(ErrorKind::PermissionDenied, format!("it belongs to user {owner}, not {uid}"));
            return Err(file::context(&error, "use", &path));
        }
        let mut page = Vec::new();
        file::read_at(&control, 0, CONTROL_BYTES, &mut page).map_err(|error| file::context(&error, "read", &path))?;
        let bad = |why: String| file::context(&io::Error::new(ErrorKind::InvalidData, why), "use", &path);
        if page.len() < size_of::<Control>() || u64_at(&page, offset_of!(Control, identity.magic)) != MAGIC {
            return Err(bad("it is not a control page".into()));
        }
        let version = u64_at(&page, offset_of!(Control, identity.version)) as u32;
        if version != VERSION {
            return Err(bad(format!("its version is {version}, this tool knows {VERSION}; use the newer tool")));
        }
        let slots = u64_at(&page, offset_of!(Control, identity.slots)) as u32 as usize;
        let segment_bytes = u64_at(&page, offset_of!(Control, identity.segment_bytes));
        if slots > SLOTS_MAX || segment_bytes > SEGMENT_BYTES_MAX {
            return Err(bad(format!("{slots} segments of {segment_bytes} bytes are beyond its limits")));
        }
        let files = (0..slots).map(|_| None).collect();
        Ok(Some(Self { folder: folder.to_owned(), control, slots, segment_bytes, files }))
    }

    /// Whether the folder still has the control page that was opened.
    pub fn is_current(&self) -> bool {
        let same = || {
            let there = self.folder.join("control").symlink_metadata().ok()?;
            let here = self.control.metadata().ok()?;
            Some(there.ino() == here.ino() && there.dev() == here.dev())
        };
        same().unwrap_or(false)
    }

    /// The live watermark.
    ///
    /// # Errors
    /// What the system says.
    pub fn watermark(&self) -> io::Result<u64> {
        Ok(u64_at(&self.words(offset_of!(Control, writer.watermark), 8)?, 0))
    }

    /// Numbers of the segments that are live at this moment, in no order.
    ///
    /// # Errors
    /// What the system says.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let words = self.slot_words()?;
        Ok(words.chunks_exact(size_of::<Slot>()).map(|slot| u64_at(slot, 0)).filter(|number| *number != 0).collect())
    }

    /// As [`Source::read`](super::source::Source::read); `None` where no slot holds the segment, or not any more.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(
        &mut self,
        number: u64,
        offset: u64,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<Option<Extent>> {
        let words = self.slot_words()?;
        let mut slots = words.chunks_exact(size_of::<Slot>()).enumerate();
        let Some((index, slot)) = slots.find(|(_, slot)| number != 0 && u64_at(slot, 0) == number) else {
            return Ok(None);
        };
        let end = u64_at(slot, offset_of!(Slot, end));
        let readable = if end == 0 { self.segment_bytes } else { end.min(self.segment_bytes) };
        let wanted = usize::try_from(readable.saturating_sub(offset)).unwrap_or(bytes_max).min(bytes_max);
        let path = self.folder.join(format!("live.{index}"));
        let Some(file) = self.files.get_mut(index) else { return Ok(None) };
        if file.is_none() {
            *file = file::open(&path)?;
        }
        let Some(file) = file else { return Ok(None) };
        let start = out.len();
        let got = file::read_at(file, offset, wanted, out).map_err(|error| file::context(&error, "read", &path))?;
        let slot_at = offset_of!(Control, slots) + index * size_of::<Slot>();
        if u64_at(&self.words(slot_at, 8)?, 0) != number {
            out.truncate(start);
            return Ok(None);
        }
        Ok(Some(match end {
            0 => Extent::Growing,
            _ if offset.saturating_add(got as u64) >= readable || got < wanted => Extent::End,
            _ => Extent::More,
        }))
    }

    fn slot_words(&self) -> io::Result<Vec<u8>> {
        self.words(offset_of!(Control, slots), self.slots * size_of::<Slot>())
    }

    fn words(&self, at: usize, bytes: usize) -> io::Result<Vec<u8>> {
        let mut words = Vec::with_capacity(bytes);
        let result = file::read_at(&self.control, at as u64, bytes, &mut words);
        result.map_err(|error| file::context(&error, "read", &self.folder.join("control")))?;
        Ok(words)
    }
}

/// Probes the lock of a live folder, by a shared lock that is let go at once.
pub fn owner(folder: &Path) -> Owner {
    let path = folder.join("lock");
    match Lock::take(true, || open_regular(&path)?.ok_or_else(|| ErrorKind::NotFound.into())) {
        Ok(Some(_)) => Owner::Dead,
        Ok(None) => Owner::Alive,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied | ErrorKind::InvalidInput => {
                Owner::Unknown
            }
            // Somebody put a link there.
            _ if error.raw_os_error() == Some(libc::ELOOP) => Owner::Unknown,
            _ => Owner::Alive,
        },
    }
}
