//! How far a reader of its own has come in all journals of a log directory, in a file that retention respects.
//!
//! `.journal/NAME.cursor` has a line for each journal: its [mark](super::mark) in hexadecimal, and its name. The worker
//! that keeps the archive small spares segments that a cursor has not passed, as long as the limits allow it
//! (`worker/keep.rs`); journals that the cursor does not name are spared whole. A cursor that nobody moves any more
//! costs room until it is [forgotten](forget).
//!
//! One process at a time uses a cursor: [`Lock`].

use super::dir::JOURNAL_DIR;
use super::file;
use super::mark::{MARK_BYTES, Mark};
use crate::disk::{Disk as _, RealDisk, read_small, replace_small};
use crate::sealed;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What names of cursor files end with.
const SUFFIX: &str = ".cursor";
/// The longest name of a cursor, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The largest cursor file that is read: some ten thousand journals.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;
const KIND: &str = "cursor";
const VERSION: u32 = 1;

/// How far a reader has come, journal by journal.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Cursor {
    /// Marks by the names of the journals.
    pub marks: BTreeMap<String, Mark>,
}

impl Cursor {
    /// The cursor as the bytes of its file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        // A name with a line break is none of ours; its journal is read again from the start.
        for (name, mark) in self.marks.iter().filter(|(name, _)| !name.contains('\n')) {
            for byte in mark.encode() {
                // A string takes everything.
                let _ = write!(text, "{byte:02x}");
            }
            text.push(' ');
            text.push_str(name);
            text.push('\n');
        }
        sealed::seal(KIND, VERSION, &text)
    }

    /// Reads a cursor from the bytes of its file.
    ///
    /// # Errors
    /// In words, where the bytes are no whole cursor, or one of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = sealed::open(KIND, VERSION, bytes).map_err(|error| error.to_string())?;
        let line = |line: &str| {
            let (hex, name) = line.split_once(' ')?;
            Some((name.to_owned(), Mark::decode(&unhex(hex)?)?))
        };
        let marks = text.lines().map(line).collect::<Option<_>>();
        marks.map(|marks| Self { marks }).ok_or_else(|| "a line of it is no mark".to_owned())
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 2 * MARK_BYTES {
        return None;
    }
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// The name of the reader whose cursor file this is; `None` where it is none.
pub(crate) fn reader_of(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(SUFFIX).filter(|name| is_name(name))
}

/// Whether a cursor may be called so: letters, digits, `-` and `_`.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// Nobody else uses the cursor while this is held.
pub struct Lock {
    journals: RealDisk,
    name: String,
    _held: <RealDisk as crate::disk::Disk>::Lock,
}

impl Lock {
    /// Takes the cursor called `name` in the log directory `dir`.
    ///
    /// # Errors
    /// `WouldBlock` while another process has it, `InvalidInput` for a name that is none, and that of the file system.
    pub fn take(dir: &Path, name: &str) -> io::Result<Self> {
        let journals = folder(dir, name)?;
        let path = dir.join(JOURNAL_DIR).join(lock_name(name));
        match journals.lock(&lock_name(name)).map_err(|error| file::context(&error, "lock", &path))? {
            Some(held) => Ok(Self { journals, name: name.to_owned(), _held: held }),
            None => {
                let error = io::Error::new(ErrorKind::WouldBlock, "another process reads with this cursor");
                Err(file::context(&error, "lock", &path))
            }
        }
    }

    /// The cursor as it was saved last; an empty one where none was.
    ///
    /// # Errors
    /// That of the file system, and `InvalidData` where the file is no cursor.
    pub fn load(&self) -> io::Result<Cursor> {
        let name = file_name(&self.name);
        let path = Path::new(JOURNAL_DIR).join(&name);
        let bytes = read_small(&self.journals, &name, FILE_BYTES_MAX)
            .map_err(|error| file::context(&error, "read the cursor", &path))?;
        let Some(bytes) = bytes else { return Ok(Cursor::default()) };
        Cursor::decode(&bytes).map_err(|why| {
            let error = io::Error::new(ErrorKind::InvalidData, format!("{why}; delete it to begin anew"));
            file::context(&error, "read the cursor", &path)
        })
    }

    /// Saves the cursor: written aside, synced, renamed.
    ///
    /// # Errors
    /// That of the file system; the one before is then still there.
    pub fn save(&self, cursor: &Cursor) -> io::Result<()> {
        let name = file_name(&self.name);
        replace_small(&self.journals, &name, &cursor.encode())
            .map_err(|error| file::context(&error, "save the cursor", &Path::new(JOURNAL_DIR).join(&name)))
    }
}

/// The cursors in the log directory `dir`, by name.
///
/// # Errors
/// When its folder of journals cannot be listed.
pub fn names(dir: &Path) -> io::Result<Vec<String>> {
    let path = dir.join(JOURNAL_DIR);
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        RealDisk::open(&path)?.list(&mut |name| names.extend(reader_of(name).map(str::to_owned)))?;
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(|error| file::context(&error, "list", &path))
}

/// Deletes a cursor: what it spared is retained as anything else. Gives whether there was one.
///
/// # Errors
/// As [`Lock::take`].
pub fn forget(dir: &Path, name: &str) -> io::Result<bool> {
    let lock = Lock::take(dir, name)?;
    match lock.journals.unlink(&file_name(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        gone => gone.map(|()| true),
    }
}

fn folder(dir: &Path, name: &str) -> io::Result<RealDisk> {
    if !is_name(name) {
        let why = format!("{name:?} is no name of a cursor: letters, digits, - and _, at most {NAME_BYTES_MAX}");
        return Err(io::Error::new(ErrorKind::InvalidInput, why));
    }
    let path = dir.join(JOURNAL_DIR);
    RealDisk::open(&path).map_err(|error| file::context(&error, "open", &path))
}

pub(crate) fn file_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

fn lock_name(name: &str) -> String {
    format!("{name}.lock")
}

#[cfg(test)]
mod tests {
    use super::super::mark::{Late, SegmentStart};
    use super::super::record::Position;
    use super::*;
    use proptest::prelude::*;

    fn mark(words: [u64; 7]) -> Mark {
        let [number, watermark, segment, offset, key, ticks, flags] = words;
        let watermark = (flags & 1 != 0).then_some(watermark);
        let start = SegmentStart { number, watermark, recovered: flags & 2 != 0, ticks };
        let read = Position { segment, offset };
        let last = Some((key, read));
        let late = (flags & 16 != 0).then_some(Late { from: read, out_last: last.filter(|_| flags & 32 != 0) });
        Mark { start, read, out_last: last.filter(|_| flags & 4 != 0), late, whole: flags & 8 != 0 }
    }

    proptest! {
        #[test]
        fn cursors_round_trip_and_any_bytes_are_safe(
            marks in proptest::collection::btree_map("[a-z. 0-9-]{1,20}", any::<[u64; 7]>(), 0..5),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let cursor = Cursor { marks: marks.into_iter().map(|(name, words)| (name, mark(words))).collect() };
            let mut whole = cursor.encode();
            prop_assert_eq!(Cursor::decode(&whole), Ok(cursor));
            let _ = Cursor::decode(&bytes);
            let at = at.index(whole.len());
            whole[at] ^= 1;
            prop_assert!(Cursor::decode(&whole).is_err());
        }
    }

    #[test]
    fn one_process_at_a_time_uses_a_cursor_and_it_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(JOURNAL_DIR)).unwrap();
        let lock = Lock::take(dir.path(), "otlp").unwrap();
        assert_eq!(Lock::take(dir.path(), "otlp").err().unwrap().kind(), ErrorKind::WouldBlock);
        let cursor = Cursor { marks: BTreeMap::from([("bot-1".to_owned(), mark([1, 2, 3, 4, 5, 6, 15]))]) };
        assert_eq!(lock.load().unwrap(), Cursor::default());
        lock.save(&cursor).unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["otlp"]);
        assert_eq!(lock.load().unwrap(), cursor);
        drop(lock);
        assert!(forget(dir.path(), "otlp").unwrap() && !forget(dir.path(), "otlp").unwrap());
        assert_eq!(Lock::take(dir.path(), "../x").err().unwrap().kind(), ErrorKind::InvalidInput);
    }
}
