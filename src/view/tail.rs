//! The end of a view's files: named by content for a [checkpoint](super::checkpoint), found again and cut after a loss of the
//! intent page.
//!
//! Between two checkpoints lines are appended and files rotated, but none that was rotated since is compressed. So all
//! that came after the mark stands behind it in its file, and in plain files that are newer.

use super::checkpoint::Mark;
use super::file::ViewFiles;
use super::names::{Label, Part};
use crate::compress;
use crate::disk::Disk;
use std::io;

/// Bytes at the end of a file that tell which file it is.
pub const TAIL_BYTES: usize = 4096;

/// What became of a view's files after a loss of the page.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cut {
    /// Bytes that stood behind the mark; their lines are rendered again.
    pub bytes: u64,
    /// The mark was not found, because others changed the files: nothing was cut, lines may stand twice.
    pub lost: bool,
}

impl<D: Disk> ViewFiles<D> {
    /// Where the files end now. All of it must be on the medium.
    pub(crate) fn mark(&mut self, disk: &D) -> io::Result<Mark> {
        if let Some(mark) = self.known_mark() {
            return Ok(mark);
        }
        let mark = match (length(disk, self.base())?, self.labels(disk)?.first()) {
            (0, None) => Mark::Nothing,
            (0, Some(label)) => self.mark_of_backup(disk, *label)?,
            (bytes, _) => Mark::Active { bytes, crc: tail_crc(disk, self.base(), bytes)? },
        };
        Ok(self.learn_mark(mark))
    }

    fn mark_of_backup(&self, disk: &D, label: Label) -> io::Result<Mark> {
        for part in [Part::Plain(label), Part::Gz(label), Part::Zst(label)] {
            if let Some((bytes, crc)) = content(disk, self.base(), part)? {
                return Ok(Mark::Backup { bytes, crc });
            }
        }
        Ok(Mark::Unknown)
    }

    /// Takes away what stands behind `mark`. Done again, it finds nothing more to do.
    pub(crate) fn cut_back(&mut self, disk: &D, mark: Mark) -> io::Result<Cut> {
        if mark == Mark::Unknown {
            return Ok(Cut::default());
        }
        let mut parts = Vec::new();
        disk.list(&mut |name| parts.extend(Part::parse(self.base(), name)))?;
        parts.retain(|part| *part != Part::Temp);
        // The newest first; under one label the plain file is the newer.
        parts.sort_by_key(|part| (part.label(), part.is_compressed()));
        let mut newer = Vec::new();
        // The file of the mark, and where it ends.
        let mut there = (mark == Mark::Nothing).then_some(None);
        for part in parts {
            if let Some(end) = self.is_at(disk, mark, part)? {
                there = Some(end.map(|end| (part, end)));
                break;
            }
            newer.push(part);
        }
        // None of ours is compressed behind the mark.
        let lost = newer.iter().any(|part| part.is_compressed());
        newer.retain(|part| !part.is_compressed());
        let bytes: u64 = newer.iter().map(|part| length(disk, &part.of(self.base()))).sum::<io::Result<u64>>()?;
        let Some(place) = there else { return Ok(Cut { bytes: 0, lost: lost || bytes > 0 }) };
        let mut cut = Cut { bytes, lost };
        // The newest go first, so that no line is missing before one that is there, wherever this process dies.
        for part in newer {
            disk.unlink(&part.of(self.base()))?;
        }
        if let Some((part, end)) = place {
            let file = disk.open_write(&part.of(self.base()))?;
            let bytes = disk.stat(&file)?.bytes;
            if bytes > end {
                disk.truncate(&file, end)?;
                cut.bytes += bytes - end;
            }
            // Also where nothing is left to cut: who did it may have died before it was on the medium.
            disk.sync(&file)?;
        }
        Ok(cut)
    }

    /// Whether the mark stands in this file, and where it is to be cut, if it is.
    fn is_at(&self, disk: &D, mark: Mark, part: Part) -> io::Result<Option<Option<u64>>> {
        let name = part.of(self.base());
        match (mark, part) {
            (Mark::Active { bytes, crc }, Part::Active | Part::Plain(_)) => {
                let holds = length(disk, &name)? >= bytes && tail_crc(disk, &name, bytes)? == crc;
                Ok(holds.then_some(Some(bytes)))
            }
            (Mark::Backup { bytes, crc }, Part::Plain(_) | Part::Gz(_) | Part::Zst(_)) => {
                Ok((content(disk, self.base(), part)? == Some((bytes, crc))).then_some(None))
            }
            _ => Ok(None),
        }
    }
}

/// Length of a regular file; 0 where there is none.
fn length<D: Disk>(disk: &D, name: &str) -> io::Result<u64> {
    Ok(disk.stat_name(name)?.map_or(0, |stat| stat.bytes))
}

/// CRC-32C of the last bytes before `end`.
fn tail_crc<D: Disk>(disk: &D, name: &str, end: u64) -> io::Result<u32> {
    let count = usize::try_from(end).unwrap_or(usize::MAX).min(TAIL_BYTES);
    let (file, mut bytes, mut at) = (disk.open_read(name)?, vec![0; count], 0);
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let read = disk.read_at(&file, rest, end - (count - at) as u64)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += read;
    }
    Ok(crc32c::crc32c(&bytes))
}

/// Length and CRC-32 of a backup when it is not compressed; `None` where there is none.
fn content<D: Disk>(disk: &D, base: &str, part: Part) -> io::Result<Option<(u32, u32)>> {
    let name = part.of(base);
    if disk.stat_name(&name)?.is_none() {
        return Ok(None);
    }
    if part.is_compressed() { compress::trailer(disk, &name) } else { compress::sum(disk, &name).map(Some) }
}
