//! The checkpoint on disk: how far the views had come at the last sync, for who finds no intent page.
//!
//! The file is the checkpoint, then its CRC-32C; it is written aside, and takes its name when it is whole and on disk.

use crate::disk::{Disk, read_small, replace_small};
use crate::view::Checkpoint;
use std::io;

/// File with the checkpoint as of the last sync.
pub(crate) const NAME: &str = "cursor";
/// The longest checkpoint that is believed in: a hundred bytes for each process and each view.
const BYTES_MAX: usize = 64 << 20;

/// Makes `checkpoint` the one in the folder of the journals.
pub(super) fn save<D: Disk>(journals: &D, checkpoint: &Checkpoint) -> io::Result<()> {
    let mut bytes = Vec::new();
    checkpoint.encode(&mut bytes);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    replace_small(journals, NAME, &bytes)
}

/// The checkpoint that was saved last; `None` where none was.
pub(crate) fn load<D: Disk>(journals: &D) -> io::Result<Option<Checkpoint>> {
    let Some(bytes) = read_small(journals, NAME, BYTES_MAX)? else { return Ok(None) };
    decode(&bytes).map(Some).ok_or_else(|| {
        let message = "the file .journal/cursor is damaged; delete it to have all journals rendered again that are not in the views for good";
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The checkpoint in the bytes of the file; `None` where they are damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<Checkpoint> {
    let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc32c::crc32c(body).to_le_bytes() == *crc { Checkpoint::decode(body) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, MemDisk};
    use crate::view::Cursor;

    fn checkpoint(merge: &[u8]) -> Checkpoint {
        let cursor = Cursor { processes: Vec::new(), merge: merge.to_vec() };
        Checkpoint { cursor, ..Checkpoint::default() }
    }

    #[test]
    fn after_any_fault_it_is_the_old_one_or_the_new_one() {
        let faults = [Fault::Crash(3), Fault::Errno(libc::ENOSPC, 3), Fault::Errno(libc::EIO, 0)];
        for fault in faults {
            for at in 0.. {
                let disk = MemDisk::new();
                save(&disk, &checkpoint(b"old")).unwrap();
                let done = disk.ops();
                disk.inject(at, fault);
                let saved = save(&disk, &checkpoint(b"newer")).is_ok();
                let ops = disk.ops() - done;
                disk.revive();
                let loaded = load(&disk).unwrap().unwrap();
                assert!(loaded == checkpoint(b"old") || loaded == checkpoint(b"newer"), "{fault:?} at {at}");
                assert!(!saved || loaded == checkpoint(b"newer"));
                save(&disk, &checkpoint(b"last")).unwrap();
                assert_eq!((load(&disk).unwrap().unwrap(), disk.names()), (checkpoint(b"last"), vec![NAME.to_owned()]));
                if ops <= at {
                    break;
                }
            }
        }
    }
}
