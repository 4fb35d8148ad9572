//! Puts the live segments of this process on disk, as they grow, and frees them.
//!
//! Plain appends of bytes that are final already: what stands in the file is always a prefix of the live segment. A
//! fault of the disk leaves everything as it is; the next step tries again at the same place. What others take from the
//! file of the growing segment is written again from its start: live memory has all of it until the segment is whole.

use crate::clock::instant::Instant;
use crate::disk::{Disk, write_all_at};
use crate::segment::layout::{HEADER_BYTES, Header, WRITER_RING};
use crate::segment::live::LiveSegments;
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::Control;
use crate::sys::file::may_pass;
use std::io;
use std::time::Duration;

/// Bytes copied per write: large enough to be rare, small enough to stay in the cache.
const CHUNK_BYTES: usize = 256 << 10;

/// How often the name of the growing segment's file is compared with the file.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Name of an archived segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// What is to be done at the end of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    /// It is finished, and freed; each is forced to disk first, if so asked.
    Finish { sync_each: bool },
    /// It is left as it is.
    Leave,
}

/// What a step took.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Numbers of the segments that were finished.
    pub(crate) finished: Vec<u64>,
    /// All that was published before the step.
    pub(crate) whole: bool,
}

/// The archive of one process's journal.
pub(crate) struct Archive<D: Disk> {
    folder: D,
    number: u64,
    offset: u64,
    file: Option<D::File>,
    buffer: Vec<u8>,
    /// Finished files that were not forced to disk yet.
    unsynced: Vec<D::File>,
    /// Something was written to `file` since the last sync.
    dirty: bool,
    /// Files got their names since the folder was synced.
    named: bool,
    /// Others finished segments before, and may have died before they were synced.
    inherited: bool,
    /// All that the last step found published is in files.
    whole: bool,
    /// Records of the segment that were taken whole.
    records: u64,
    /// Segments whose memory was lost, and how many of their records, if that is known.
    lost: Vec<(u64, Option<u64>)>,
    checked_at: Option<Instant>,
    /// The folder is another one than at the last call of `revalidate`.
    moved: bool,
    /// Times that the growing segment's file was found cut, deleted or replaced, and nobody was told yet.
    restored: u64,
}

impl<D: Disk> Archive<D> {
    /// An archive in `folder`, which goes on with segment `number`.
    pub(crate) fn new(folder: D, number: u64) -> Self {
        Self {
            folder,
            number,
            offset: 0,
            file: None,
            buffer: Vec::with_capacity(CHUNK_BYTES),
            unsynced: Vec::new(),
            dirty: false,
            named: false,
            inherited: number > 1,
            whole: false,
            records: 0,
            lost: Vec::new(),
            checked_at: None,
            moved: false,
            restored: 0,
        }
    }

    /// Times that the growing segment had to be written again since the last call, because others had cut, deleted or
    /// replaced its file.
    pub(crate) fn take_restored(&mut self) -> u64 {
        std::mem::take(&mut self.restored)
    }

    /// Opens the folder anew where its path no longer leads to it; says whether it had to since the last call.
    pub(crate) fn revalidate(&mut self) -> io::Result<bool> {
        self.look_for_folder()?;
        Ok(std::mem::take(&mut self.moved))
    }

    fn look_for_folder(&mut self) -> io::Result<bool> {
        let moved = self.folder.revalidate()?;
        if moved {
            (self.file, self.offset, self.dirty, self.moved) = (None, 0, false, true);
            self.whole = false;
            self.unsynced.clear();
        }
        Ok(moved)
    }

    /// Closes finished files that were deleted before they were synced: their room comes free only so.
    pub(crate) fn close_deleted(&mut self) {
        let folder = &self.folder;
        self.unsynced.retain(|file| folder.stat(file).is_ok_and(|stat| stat.links > 0));
    }

    /// The folder of the process.
    pub(crate) fn folder(&self) -> &D {
        &self.folder
    }

    /// Looks whether the growing segment's file has what was written to it; what has not is written again.
    fn check_file(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let stat = self.folder.stat(file)?;
        let mut whole = stat.links > 0 && stat.bytes >= self.offset;
        if whole && self.checked_at.is_none_or(|at| at.elapsed() >= CHECK_INTERVAL) {
            self.checked_at = Some(Instant::now());
            let named = self.folder.stat_name(&segment_name(self.number))?;
            whole = named.is_some_and(|named| named.identity == stat.identity);
        }
        if !whole {
            (self.file, self.offset) = (None, 0);
            self.restored += 1;
        }
        Ok(())
    }

    /// Takes what has been published since, all of it.
    pub(crate) fn step(&mut self, control: &Control, segments: &LiveSegments, sync_each: bool) -> io::Result<()> {
        self.step_some(control, segments, sync_each, u64::MAX).map(|_| ())
    }

    /// The same, but no more than about `bytes_max` while most live segments are free.
    pub(crate) fn step_some(
        &mut self,
        control: &Control,
        segments: &LiveSegments,
        sync_each: bool,
        bytes_max: u64,
    ) -> io::Result<Taken> {
        self.take(control, segments, Ends::Finish { sync_each }, bytes_max)
    }

    /// Takes about `bytes_max` of the segment that is being archived, which is not finished: its memory is not given back.
    pub(super) fn append(&mut self, control: &Control, segments: &LiveSegments, bytes_max: u64) -> io::Result<Taken> {
        self.take(control, segments, Ends::Leave, bytes_max)
    }

    /// Bytes of the segment that is being archived that are not in its file yet, as far as that is known without a look at
    /// all of them.
    pub(super) fn backlog(&self, segments: &LiveSegments) -> u64 {
        segments.slot_of(self.number).map_or(0, |(index, _)| segments.filled(index).saturating_sub(self.offset))
    }

    fn take(&mut self, control: &Control, segments: &LiveSegments, ends: Ends, bytes_max: u64) -> io::Result<Taken> {
        let mut finished = Vec::new();
        let mut taken = 0;
        self.whole = false;
        self.check_file()?;
        while let Some((index, slot)) = segments.slot_of(self.number) {
            // Loaded first, so that when it is set, all is published.
            let end = slot.end();
            let to_copy = end == 0 || self.offset < end;
            let few_wait = segments.newest().saturating_sub(self.number).saturating_mul(2) < segments.count() as u64;
            if to_copy && taken >= bytes_max && (few_wait || ends == Ends::Leave) {
                return Ok(Taken { finished, whole: false });
            }
            // The writer is about to give it up, and says then what of it is left.
            if end == 0 && segments.is_lost(index) {
                break;
            }
            if end != 0 && segments.is_lost(index) {
                self.note_lost(|it| it.count_lost(segments, index, end));
            }
            self.buffer.clear();
            let filled = segments.filled(index);
            let limit = if to_copy { CHUNK_BYTES } else { 0 };
            let copied = segments.copy_published(index, self.offset, limit, &mut self.buffer);
            let (mut bytes, records) = (copied.bytes as u64, copied.records);
            if bytes == 0 && end == 0 && self.offset.max(HEADER_BYTES as u64) < filled {
                // Frames were there: somebody overwrote them, or truncated and extended the file.
                if let Some(memory) = segments.memory(index) {
                    memory.mark_lost();
                }
                break;
            }
            if bytes == 0 && end != 0 && self.offset < end {
                let lost = self.count_lost(segments, index, end);
                if lost != Some(0) && segments.records(index) > 0 {
                    self.note_lost(|_| lost);
                }
                // What is no frame is kept too: it may be damage that a reader can look behind.
                let stop = end.min(self.offset + CHUNK_BYTES as u64);
                bytes = segments.copy_range(index, self.offset as usize, stop as usize, &mut self.buffer) as u64;
            }
            if bytes > 0 {
                let file = match self.file.take() {
                    Some(file) => file,
                    None => {
                        self.named = true;
                        self.folder.open_write(&segment_name(self.number))?
                    }
                };
                let file = self.file.insert(file);
                write_all_at(&self.folder, file, &self.buffer, self.offset)?;
                self.dirty = true;
                self.records = if self.offset == 0 { records } else { self.records + records };
                self.offset += bytes;
                taken += bytes;
                segments.archive_at(control, self.number, self.offset);
            }
            if end == 0 || self.offset < end {
                if bytes < CHUNK_BYTES as u64 / 2 {
                    break;
                }
                continue;
            }
            let Ends::Finish { sync_each } = ends else { return Ok(Taken { finished, whole: false }) };
            if sync_each {
                self.sync()?;
            }
            // Live memory has the segment still, should its folder or its file have been taken away.
            self.checked_at = None;
            self.check_file()?;
            if self.look_for_folder()? || self.file.is_none() {
                continue;
            }
            // Freed last: from here on the writer may reuse the slot. Who reads it on this thread goes by the number.
            segments.archive_at(control, self.number + 1, 0);
            segments.free(control, index);
            finished.push(self.number);
            self.number += 1;
            self.offset = 0;
            self.records = 0;
            if let Some(file) = self.file.take()
                && self.dirty
            {
                self.unsynced.push(file);
                self.dirty = false;
            }
        }
        // Of memory that was lost, what is left is taken when the writer has given it up.
        let is_lost = |number| segments.slot_of(number).is_some_and(|(index, _)| segments.is_lost(index));
        self.whole = !is_lost(self.number);
        Ok(Taken { finished, whole: true })
    }

    /// Whether all that the last step found published is in files.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many records of a sealed segment whose memory was lost stand neither in the archive nor in the memory.
    #[cold]
    fn count_lost(&self, segments: &LiveSegments, index: usize, end: u64) -> Option<u64> {
        let left = self.left(segments, index, end).unwrap_or(0);
        // By who archives for another process that is not known.
        let all = Some(segments.records(index)).filter(|records| *records > 0)?;
        Some(all.saturating_sub(self.records + left))
    }

    /// Whole records behind what was taken; `None` where the header is gone that says how to tell.
    fn left(&self, segments: &LiveSegments, index: usize, end: u64) -> Option<u64> {
        let bytes = segments.dead_bytes(index).get(..usize::try_from(end).ok()?)?;
        let salt = Header::decode(bytes).ok()?.salt;
        let from = usize::try_from(self.offset).ok()?.max(HEADER_BYTES);
        let left = Scanner::new(bytes.get(from..)?, from as u64, salt, Tail::Final);
        let left = left.filter(|item| matches!(item, Item::Frame { frame, .. } if frame.ring != WRITER_RING)).count();
        Some(left as u64)
    }

    /// Notes once that the memory of the segment was lost, and how many of its records.
    fn note_lost(&mut self, count: impl FnOnce(&Self) -> Option<u64>) {
        if self.lost.last().is_none_or(|(number, _)| *number != self.number) {
            self.lost.push((self.number, count(self)));
        }
    }

    /// Segments whose memory was lost since the last call, and how many of their records, if that is known.
    pub(crate) fn take_lost(&mut self) -> Vec<(u64, Option<u64>)> {
        if self.lost.last().is_some_and(|(number, _)| *number == self.number) {
            // It is not through yet; said once it is.
            let last = self.lost.pop();
            return std::mem::replace(&mut self.lost, last.into_iter().collect());
        }
        std::mem::take(&mut self.lost)
    }

    /// Whether everything up to `newest`, the growing segment, was taken.
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.number, self.offset)
    }

    /// Forces to disk what was written, by those before as well.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.inherited {
            self.sync_inherited()?;
        }
        while let Some(file) = self.unsynced.last() {
            self.folder.sync(file)?;
            self.unsynced.pop();
        }
        if let Some(file) = &self.file
            && self.dirty
        {
            if let Err(error) = self.folder.sync(file) {
                // The system may have given these pages up and call the next sync good: they are written again.
                (self.file, self.offset, self.whole) = (None, 0, false);
                return Err(error);
            }
            self.dirty = false;
        }
        if self.named {
            self.folder.sync_dir()?;
            self.named = false;
        }
        Ok(())
    }

    /// The same, also where nobody is known to have finished a segment before.
    pub(crate) fn sync_all(&mut self) -> io::Result<()> {
        self.inherited = true;
        self.sync()
    }

    fn sync_inherited(&mut self) -> io::Result<()> {
        let mut names = Vec::new();
        self.folder.list(&mut |name| names.extend(name.ends_with(".seg").then(|| name.to_owned())))?;
        for name in names {
            match self.folder.open_read(&name) {
                Err(error) if may_pass(&error) => return Err(error),
                // What cannot be opened is not ours, or gone.
                Err(_) => {}
                Ok(file) => self.folder.sync(&file)?,
            }
        }
        (self.named, self.inherited) = (true, false);
        Ok(())
    }
}
