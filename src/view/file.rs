//! The files of one view: appending, rotating, keeping in order. Decisions are [`rotation`](super::rotation)'s.

use super::checkpoint::Mark;
use super::intent::{Batch, IntentPage, Intents, Place};
use super::names::{Label, Part};
use super::rotation::{Facts, Listing, Op, Settings, Slot, Why, plan_rotation, plan_upkeep};
use crate::compress::{self, Codec};
use crate::disk::{Disk, Identity, Stat};
use std::io;

/// How often the path of an open file is compared with the file, in nanoseconds: 100 ms.
pub(crate) const CHECK_NS: i64 = 100_000_000;
/// Rotated files that wait to be synced; one more, and the oldest is synced at once.
const RETIRED_MAX: usize = 8;
/// Attempts to do something while others rename and delete in between.
const ATTEMPTS_MAX: usize = 8;
/// Backups above the first free number are looked at up to this number of them.
const PROBE_ALL_MAX: u32 = 64;

/// What happened to a view's files since the process started.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Events {
    /// Bytes appended.
    pub bytes: u64,
    /// Times that the active file was put away.
    pub rotations: u64,
    /// Backups deleted, because there were too many, or they were too large or too old.
    pub retired: u64,
    /// Bytes of those.
    pub retired_bytes: u64,
    /// Backups compressed.
    pub compressed: u64,
    /// Times that somebody else cut the active file.
    pub truncated: u64,
    /// Bytes that were cut off by that.
    pub lost_bytes: u64,
    /// Times that somebody else deleted, renamed or replaced it.
    pub replaced: u64,
    /// Bytes that somebody else appended to it.
    pub foreign_bytes: u64,
    /// Times that a half-written batch was not found where it had been put, and was put elsewhere.
    pub displaced: u64,
}

#[derive(Debug)]
struct Open<F> {
    file: F,
    identity: Identity,
    /// Length as it should be, if nobody else writes.
    bytes: u64,
}

/// The files of one view.
#[derive(Debug)]
pub(crate) struct ViewFiles<D: Disk> {
    base: String,
    settings: Settings,
    open: Option<Open<D::File>>,
    /// The period of the active file's last line, if there are periods.
    period: Option<i64>,
    checked_ns: i64,
    /// Rotated, not yet synced.
    retired: Vec<D::File>,
    dirty: bool,
    /// Where the files end, if nothing was done to them since that was found out.
    mark: Option<Mark>,
    /// Rotations since the last checkpoint.
    rotated: u32,
    pub(crate) events: Events,
}

impl<D: Disk> ViewFiles<D> {
    pub(crate) fn new(base: String, settings: Settings) -> Self {
        Self {
            base,
            settings,
            open: None,
            period: None,
            checked_ns: 0,
            retired: Vec::new(),
            dirty: false,
            mark: None,
            rotated: 0,
            events: Events::default(),
        }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The longest that the active file may become.
    pub(crate) fn file_bytes_max(&self, disk: &D) -> u64 {
        self.settings.file_bytes_max.min(disk.file_bytes_max())
    }

    /// Compares file and name with the next append.
    pub(crate) fn look_again(&mut self) {
        self.checked_ns = i64::MIN;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Length of the active file as far as it is known without asking much.
    pub(crate) fn bytes_expected(&self, disk: &D) -> u64 {
        match &self.open {
            Some(open) => open.bytes,
            None => disk.stat_name(&self.base).ok().flatten().map_or(0, |stat| stat.bytes),
        }
    }

    /// Appends what is missing of an entry, to the file where it was begun or to the active one.
    ///
    /// On an error the entry tells how far it got; calling again goes on from there.
    pub(crate) fn deliver<P: IntentPage>(
        &mut self,
        disk: &D,
        intents: &mut Intents<P>,
        batch: &mut Batch,
        index: usize,
        now_ns: i64,
    ) -> io::Result<()> {
        let Some(entry) = batch.entries.get(index) else { return Ok(()) };
        if let Some(place) = entry.place {
            let bytes = intents.entry_bytes(entry);
            if let Some((file, from)) = self.locate(disk, bytes, place)? {
                intents.done(batch, index, from);
                return self.append_rest(disk, file.as_ref(), intents, batch, index);
            }
            self.events.displaced += 1;
            let start = line_start(bytes, entry.done);
            intents.unplace(batch, index, start);
        }
        let Some(entry) = batch.entries.get(index) else { return Ok(()) };
        let (start, rest) = (entry.done, entry.bytes.len().saturating_sub(entry.done) as u64);
        if rest == 0 {
            return Ok(());
        }
        let (mut identity, mut offset) = self.ready(disk, now_ns)?;
        let period = self.settings.period.map(|period| period.index(now_ns));
        let limited = offset > 0 && offset + rest > disk.file_bytes_max();
        if self.settings.is_full(offset, rest) || limited || self.period < period {
            self.rotate(disk, now_ns)?;
            (identity, offset) = self.ready(disk, now_ns)?;
        }
        self.period = period;
        intents.place(batch, index, Place { identity, offset, start: start as u64 });
        self.append_rest(disk, None, intents, batch, index)
    }

    /// Finds the file that an entry was put into, and how many of the entry's bytes it has.
    ///
    /// The active file comes as no file. It is the right one only if it is the same inode *and* has the entry's bytes at
    /// its offset up to its end: numbers of inodes are used again, and others may have cut or written the file.
    fn locate(&mut self, disk: &D, bytes: &[u8], place: Place) -> io::Result<Option<(Option<D::File>, usize)>> {
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        if let Some(open) = self.open.as_ref().filter(|open| open.identity == place.identity) {
            let stat = disk.stat(&open.file)?;
            if stat.links > 0 {
                return Ok(common(disk, &open.file, stat, place.offset, rest)?.map(|count| (None, start + count)));
            }
        }
        let plain = self.labels(disk)?.into_iter().map(Part::Plain);
        for part in std::iter::once(Part::Active).chain(plain) {
            let name = part.of(&self.base);
            if !disk.stat_name(&name)?.is_some_and(|stat| stat.identity == place.identity) {
                continue;
            }
            let file = disk.open_append(&name)?;
            let stat = disk.stat(&file)?;
            let Some(count) = common(disk, &file, stat, place.offset, rest)? else { return Ok(None) };
            if part == Part::Active {
                self.open = Some(Open { file, identity: stat.identity, bytes: stat.bytes });
                return Ok(Some((None, start + count)));
            }
            return Ok(Some((Some(file), start + count)));
        }
        Ok(None)
    }

    fn append_rest<P: IntentPage>(
        &mut self,
        disk: &D,
        file: Option<&D::File>,
        intents: &mut Intents<P>,
        batch: &mut Batch,
        index: usize,
    ) -> io::Result<()> {
        while let Some(entry) = batch.entries.get(index).filter(|entry| !entry.is_done()) {
            let done = entry.done;
            let rest = intents.entry_bytes(entry).get(done..).unwrap_or_default();
            let count = match (file, &mut self.open) {
                (Some(file), _) => disk.append(file, rest)?,
                (None, Some(open)) => {
                    let count = disk.append(&open.file, rest)?;
                    open.bytes += count as u64;
                    count
                }
                (None, None) => return Err(io::ErrorKind::NotFound.into()),
            };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.dirty = true;
            self.mark = None;
            self.events.bytes += count as u64;
            intents.done(batch, index, done + count);
        }
        Ok(())
    }

    /// Makes sure that the active file is open, and is still the one under its name; says which it is and how long.
    fn ready(&mut self, disk: &D, now_ns: i64) -> io::Result<(Identity, u64)> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(open) = &mut self.open {
                let stat = disk.stat(&open.file)?;
                let check = stat.links > 0 && !(0..CHECK_NS).contains(&now_ns.saturating_sub(self.checked_ns));
                let by_name = if check { disk.stat_name(&self.base)? } else { Some(stat) };
                if check {
                    self.checked_ns = now_ns;
                }
                if stat.links == 0 || by_name.is_none_or(|named| named.identity != open.identity) {
                    self.events.replaced += 1;
                    self.put_away(disk);
                    disk.revalidate()?;
                    continue;
                }
                if stat.bytes == open.bytes {
                    return Ok((open.identity, open.bytes));
                }
                if stat.bytes < open.bytes {
                    self.events.truncated += 1;
                    self.events.lost_bytes += open.bytes - stat.bytes;
                } else {
                    self.events.foreign_bytes += stat.bytes - open.bytes;
                }
                open.bytes = stat.bytes;
            } else {
                let file = match disk.open_append(&self.base) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => match disk.create_new(&self.base) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                        Err(error) if error.kind() == io::ErrorKind::NotFound && disk.revalidate()? => continue,
                        created => created?,
                    },
                    opened => opened?,
                };
                let stat = disk.stat(&file)?;
                self.checked_ns = now_ns;
                // The time of the last line; that of an empty file is of no interest.
                self.period = self.settings.period.map(|period| period.index(stat.mtime_ns));
                self.open = Some(Open { file, identity: stat.identity, bytes: stat.bytes });
            }
            // Just opened, or changed by others: a line that was left unfinished stays a line of its own.
            if let Some(open) = &mut self.open {
                end_line(disk, open)?;
            }
        }
        Err(io::Error::other(format!("{} is replaced again and again by another program", self.base)))
    }

    /// Lets go of the active file; it is synced with the next sync.
    fn put_away(&mut self, disk: &D) {
        self.mark = None;
        if let Some(open) = self.open.take().filter(|_| self.dirty) {
            self.retired.push(open.file);
        }
        if self.retired.len() > RETIRED_MAX {
            let oldest = self.retired.remove(0);
            let _ = disk.sync(&oldest);
        }
    }

    /// Closes rotated files that were deleted before they were synced: their room comes free only so.
    pub(crate) fn close_deleted(&mut self, disk: &D) {
        self.retired.retain(|file| disk.stat(file).is_ok_and(|stat| stat.links > 0));
    }

    /// Closes the active file, to spare descriptors.
    pub(crate) fn close(&mut self, disk: &D) -> io::Result<()> {
        self.sync(disk)?;
        self.open = None;
        Ok(())
    }

    /// Puts the active file away when its period is over, also if nothing more is logged. An empty one stays.
    pub(crate) fn rotate_if_over(&mut self, disk: &D, now_ns: i64) -> io::Result<()> {
        let Some(period) = self.settings.period else { return Ok(()) };
        let last = match (&self.open, self.period) {
            (Some(_), Some(last)) => Some(last),
            _ => disk.stat_name(&self.base)?.map(|stat| period.index(stat.mtime_ns)),
        };
        if last.is_some_and(|last| last < period.index(now_ns)) {
            self.rotate(disk, now_ns)?;
        }
        Ok(())
    }

    /// Puts the active file away as the newest backup. An empty one stays.
    pub(crate) fn rotate(&mut self, disk: &D, now_ns: i64) -> io::Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let listing = self.probe(disk)?;
            if listing.active_bytes.is_none_or(|bytes| bytes == 0) {
                break;
            }
            match self.apply(disk, &plan_rotation(&listing, &self.settings, now_ns)) {
                Ok(()) => {
                    self.events.rotations += 1;
                    self.rotated = self.rotated.saturating_add(1);
                    break;
                }
                // Somebody else renames or deletes here: look again.
                Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.put_away(disk);
        Ok(())
    }

    fn apply(&mut self, disk: &D, ops: &[Op]) -> io::Result<()> {
        // Names are forced to disk as lines are.
        self.dirty |= !ops.is_empty();
        for op in ops {
            match *op {
                Op::Rename { from, to } => disk.rename(&from.of(&self.base), &to.of(&self.base))?,
                Op::Unlink { part, why } => {
                    let name = part.of(&self.base);
                    let bytes = disk.stat_name(&name)?.map_or(0, |stat| stat.bytes);
                    disk.unlink(&name)?;
                    if !matches!(why, Why::Copied | Why::Leftover) {
                        self.events.retired += 1;
                        self.events.retired_bytes += bytes;
                    }
                }
            }
        }
        Ok(())
    }

    /// The files as far as a rotation needs them: up to the first free number, if nothing asks for more.
    fn probe(&self, disk: &D) -> io::Result<Listing> {
        let active = disk.stat_name(&self.base)?;
        let mut listing = Listing { active_bytes: active.map(|stat| stat.bytes), ..Listing::default() };
        if self.settings.dated {
            for label in self.labels(disk)? {
                listing.slots.insert(label, self.slot(disk, label)?);
            }
            return Ok(listing);
        }
        let mut all = self.settings.bytes_total_max.is_some() || self.settings.backups <= PROBE_ALL_MAX;
        for number in 1..=self.settings.backups {
            let slot = self.slot(disk, Label::Number(number))?;
            if slot == Slot::default() {
                if all { continue } else { break }
            }
            all |= slot.plain.is_some() && slot.is_compressed();
            listing.slots.insert(Label::Number(number), slot);
        }
        Ok(listing)
    }

    /// The backups that the directory has, newest first.
    pub(crate) fn labels(&self, disk: &D) -> io::Result<Vec<Label>> {
        let mut labels = Vec::new();
        disk.list(&mut |name| labels.extend(Part::parse(&self.base, name).and_then(Part::label)))?;
        labels.sort_unstable();
        labels.dedup();
        Ok(labels)
    }

    fn slot(&self, disk: &D, label: Label) -> io::Result<Slot> {
        let facts = |stat: Stat| Facts { bytes: stat.bytes, mtime_ns: stat.mtime_ns };
        let [plain, gz, zst] = [Part::Plain(label), Part::Gz(label), Part::Zst(label)].map(|part| part.of(&self.base));
        let look = |name: &str| disk.stat_name(name).map(|stat| stat.map(facts));
        let mut slot = Slot { plain: look(&plain)?, gz: look(&gz)?, zst: look(&zst)?, is_copy: false };
        if slot.plain.is_some() {
            slot.is_copy = (slot.gz.is_some() && compress::is_copy(disk, &gz, &plain)?)
                || (slot.zst.is_some() && compress::is_copy(disk, &zst, &plain)?);
        }
        Ok(slot)
    }

    /// Deletes what the settings no longer keep. `parts` are the names found in the directory.
    pub(crate) fn upkeep(&mut self, disk: &D, parts: &[Part], compressing: bool, now_ns: i64) -> io::Result<Listing> {
        for _ in 0..ATTEMPTS_MAX {
            let mut listing = Listing { temp: parts.contains(&Part::Temp), ..Listing::default() };
            for label in parts.iter().filter_map(|part| part.label()) {
                let slot = self.slot(disk, label)?;
                if slot != Slot::default() {
                    listing.slots.insert(label, slot);
                }
            }
            let ops = plan_upkeep(&listing, &self.settings, compressing, now_ns);
            if ops.is_empty() {
                return Ok(listing);
            }
            if let Err(error) = self.apply(disk, &ops) {
                // Gone is what it was to be.
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
            }
            if listing.temp && !compressing {
                let rest: Vec<_> = parts.iter().copied().filter(|part| *part != Part::Temp).collect();
                return self.upkeep(disk, &rest, compressing, now_ns);
            }
        }
        Ok(Listing::default())
    }

    /// Gives a finished compression its name, if its source is still one of the backups; says whether it did.
    pub(crate) fn adopt(&mut self, disk: &D, source: Identity, bytes_in: u64) -> io::Result<bool> {
        for label in self.labels(disk)? {
            let plain = Part::Plain(label).of(&self.base);
            match disk.stat_name(&plain)? {
                Some(stat) if stat.identity == source => {
                    if stat.bytes != bytes_in {
                        return Ok(false);
                    }
                    let compressed = match self.settings.compress {
                        Some(Codec::Zstd(_)) => Part::Zst(label),
                        _ => Part::Gz(label),
                    };
                    match disk.rename(&Part::Temp.of(&self.base), &compressed.of(&self.base)) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                        renamed => renamed?,
                    }
                    // Only when the new name is safe may the old one go.
                    disk.sync_dir()?;
                    disk.unlink(&plain)?;
                    self.events.compressed += 1;
                    return Ok(true);
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// Returns when all that was appended is on the medium.
    pub(crate) fn sync(&mut self, disk: &D) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        while let Some(file) = self.retired.first() {
            disk.sync(file)?;
            self.retired.remove(0);
        }
        if let Some(open) = &self.open {
            disk.sync(&open.file)?;
        }
        self.dirty = false;
        Ok(())
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The last [mark](Self::mark), if it is still true.
    pub(crate) fn known_mark(&self) -> Option<Mark> {
        self.mark
    }

    pub(crate) fn learn_mark(&mut self, mark: Mark) -> Mark {
        self.mark = Some(mark);
        mark
    }

    /// A checkpoint holds where the files end now.
    pub(crate) fn checkpointed(&mut self) {
        self.rotated = 0;
    }

    /// An earlier process may have made any number of backups since the last checkpoint.
    pub(crate) fn assume_rotated(&mut self) {
        self.rotated = u32::MAX;
    }

    /// Whether backups were made since the last checkpoint: none of them may be compressed.
    pub(crate) fn has_rotated(&self) -> bool {
        self.rotated > 0
    }

    /// Whether the file of the last checkpoint's mark may soon be one backup too many.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        self.rotated > 0 && (u64::from(self.rotated) + 1) * 2 >= self.backups_max()
    }

    /// Backups that are kept.
    fn backups_max(&self) -> u64 {
        let by_bytes = self.settings.bytes_total_max.map_or(u64::MAX, |max| max / self.settings.file_bytes_max.max(1));
        u64::from(self.settings.backups).min(by_bytes)
    }

    /// Bytes that may be appended between two looks at [`needs_checkpoint`](Self::needs_checkpoint): half of the backups, so
    /// that the file of the mark is still there behind them.
    pub(crate) fn batch_bytes_max(&self) -> u64 {
        self.settings.file_bytes_max.saturating_mul((self.backups_max() / 2).max(1))
    }
}

/// Ends a last line that has no newline.
fn end_line<D: Disk>(disk: &D, open: &mut Open<D::File>) -> io::Result<()> {
    let mut last = [b'\n'];
    if open.bytes > 0 {
        disk.read_at(&open.file, &mut last, open.bytes - 1)?;
    }
    if last != [b'\n'] {
        open.bytes += disk.append(&open.file, b"\n")? as u64;
    }
    Ok(())
}

/// How many bytes of `bytes` the file has from `offset` to its end (or to theirs); `None` if it has others there, or
/// ends before.
fn common<D: Disk>(disk: &D, file: &D::File, stat: Stat, offset: u64, bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(there) = stat.bytes.checked_sub(offset) else { return Ok(None) };
    let count = usize::try_from(there).unwrap_or(usize::MAX).min(bytes.len());
    let expected = bytes.get(..count).unwrap_or_default();
    let mut block = vec![0; count.min(64 * 1024)];
    let mut at = 0;
    while at < count {
        let read = disk.read_at(file, &mut block, offset + at as u64)?.min(count - at);
        if read == 0 || block.get(..read) != expected.get(at..at + read) {
            return Ok(None);
        }
        at += read;
    }
    Ok(Some(count))
}

/// Where the line begins that the byte at `at` belongs to.
fn line_start(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or(bytes);
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}
