//! Checks a log directory on disk: what `tacho verify` says.
//!
//! * [`journal`]: the segments of one process, frame by frame.
//! * here: which files there are, and the small ones beside the journals.
//!
//! Nothing is changed, nothing trusted, and memory does not depend on the size of what is checked.

mod journal;

use crate::config::stored::Stored;
use crate::reader::dir::JOURNAL_DIR;
use crate::reader::live::Owner;
use crate::sys::file::open_regular;
use journal::Walk;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Places of damage that are listed of a file at most; the bytes of all are summed up.
pub const PLACES_MAX: usize = 16;
/// The largest small file that is read.
const SMALL_BYTES_MAX: u64 = 64 << 20;

/// Bytes that belong to nothing that is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Where they begin: in the segment, inflated if it is compressed.
    pub offset: u64,
    /// How many; in a compressed segment that cannot be inflated further, bytes of the file.
    pub bytes: u64,
}

/// What was found in one file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Whole frames.
    pub frames: u64,
    /// Of them, records.
    pub records: u64,
    /// Bytes that are damaged.
    pub damaged_bytes: u64,
    /// Where the first of them are.
    pub damage: Vec<Damage>,
    /// What else is wrong, in words.
    pub problems: Vec<String>,
    /// What is worth to be known and no damage, in words.
    pub notes: Vec<String>,
    /// Why it could not be checked.
    pub unchecked: Option<String>,
}

impl FileReport {
    fn new(path: &Path) -> Self {
        let bytes = path.symlink_metadata().map_or(0, |about| about.len());
        Self { path: path.to_owned(), bytes, ..Self::default() }
    }

    /// Whether nothing is wrong with it.
    pub fn is_clean(&self) -> bool {
        self.damaged_bytes == 0 && self.problems.is_empty() && self.unchecked.is_none()
    }

    fn add_damage(&mut self, offset: u64, bytes: u64) {
        self.damaged_bytes = self.damaged_bytes.saturating_add(bytes);
        if self.damage.len() < PLACES_MAX {
            self.damage.push(Damage { offset, bytes });
        }
    }
}

/// What was found in a journal as a whole.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct JournalReport {
    /// Name of the process.
    pub process: String,
    /// Records that are there.
    pub records: u64,
    /// Records that are not there, and were stated to be dropped or summed up as repeats.
    pub accounted: u64,
    /// Records that are not there without a statement.
    pub missing: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// What is worth to be known and no damage, in words.
    pub notes: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Each file, in the order of the journals.
    pub files: Vec<FileReport>,
    /// Each journal.
    pub journals: Vec<JournalReport>,
}

impl Report {
    /// Whether something is damaged or missing.
    pub fn is_damaged(&self) -> bool {
        let files = self.files.iter().any(|file| file.damaged_bytes > 0 || !file.problems.is_empty());
        files || self.journals.iter().any(|journal| !journal.problems.is_empty())
    }

    /// Whether something could not be checked.
    pub fn is_incomplete(&self) -> bool {
        self.files.iter().any(|file| file.unchecked.is_some())
    }
}

/// Checks a log directory, a folder with segment files, or one segment file. `progress` gets the bytes that were
/// checked since it was called last.
///
/// # Errors
/// When there is nothing to check at `path`, or it cannot be listed.
pub fn verify(path: &Path, report: &mut Report, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("cannot check {}: {error}", path.display()));
    if !path.metadata().map_err(context)?.is_dir() {
        let mut walk = Walk::new("", Owner::Unknown, false);
        walk.segment(path, None, true, progress);
        walk.finish(report);
        return Ok(());
    }
    let journals = path.join(JOURNAL_DIR);
    if !journals.is_dir() {
        if journal::segments(path).map_err(context)?.is_empty() {
            return Err(context(io::Error::new(io::ErrorKind::NotFound, "no journal is in it")));
        }
        return folder(path, Owner::Unknown, false, report, progress).map_err(context);
    }
    for entry in sorted(&journals).map_err(context)? {
        let folder_path = entry.1;
        if folder_path.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            let (owner, live) = journal::owner(&folder_path);
            folder(&folder_path, owner, live, report, progress).map_err(context)?;
        } else if let Some(check) = small_check(&entry.0) {
            report.files.push(small_file(&folder_path, check));
        }
    }
    Ok(())
}

/// Bytes of what [`verify`] reads of `path`, for those who show its progress.
pub fn bytes_of(path: &Path) -> u64 {
    let bytes = |path: &Path| path.symlink_metadata().map_or(0, |about| about.len());
    if path.is_file() {
        return bytes(path);
    }
    let of_folder =
        |folder: &Path| -> u64 { journal::segments(folder).unwrap_or_default().values().map(|path| bytes(path)).sum() };
    let folders = sorted(&path.join(JOURNAL_DIR)).unwrap_or_default();
    of_folder(path) + folders.values().map(|folder| of_folder(folder)).sum::<u64>()
}

fn sorted(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut entries = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        entries.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    Ok(entries)
}

fn folder(path: &Path, owner: Owner, live: bool, report: &mut Report, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut walk = Walk::new(&name, owner, live);
    let segments = journal::segments(path)?;
    let last = segments.keys().last().copied();
    for (number, segment) in segments {
        walk.segment(&segment, Some(number), Some(number) == last, progress);
    }
    walk.finish(report);
    Ok(())
}

type Check = fn(&[u8]) -> Result<(), String>;

/// How a small file in the folder of journals is checked.
fn small_check(name: &str) -> Option<Check> {
    Some(match name {
        "id" => |bytes| {
            let text = std::str::from_utf8(bytes).unwrap_or_default().lines().next().unwrap_or_default();
            let good = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if good { Ok(()) } else { Err("it is no identity of a directory".to_owned()) }
        },
        "cursor" => |bytes| match crate::worker::cursor::decode(bytes) {
            Some(_) => Ok(()),
            None => Err("it is damaged: after a power loss journals would be rendered again".to_owned()),
        },
        "configuration" => |bytes| {
            let stored = Stored::decode(bytes).map_err(|error| error.to_string())?;
            stored.views().map(|_| ())
        },
        "views" => |bytes| crate::worker::names::decode(bytes).map(|_| ()).map_err(|error| error.to_string()),
        _ => return None,
    })
}

/// The names of the views of a log directory; nothing if no logger used it.
///
/// # Errors
/// The file of names cannot be read, or is damaged.
pub fn views(dir: &Path) -> io::Result<Vec<String>> {
    let path = dir.join(JOURNAL_DIR).join("views");
    let context = |error: io::Error| io::Error::new(error.kind(), format!("read {}: {error}", path.display()));
    let bytes = match open_regular(&path).map_err(context)? {
        None => return Ok(Vec::new()),
        Some(file) => {
            let mut bytes = Vec::new();
            file.take(SMALL_BYTES_MAX).read_to_end(&mut bytes).map_err(context)?;
            bytes
        }
    };
    let names = crate::worker::names::decode(&bytes);
    let names = names.map_err(|error| context(io::Error::new(io::ErrorKind::InvalidData, error.to_string())))?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn small_file(path: &Path, check: Check) -> FileReport {
    let mut report = FileReport::new(path);
    let read = open_regular(path).and_then(|file| {
        let mut bytes = Vec::new();
        if let Some(file) = file {
            file.take(SMALL_BYTES_MAX).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    });
    match read {
        Ok(bytes) => report.problems.extend(check(&bytes).err()),
        Err(error) => report.unchecked = Some(error.to_string()),
    }
    report
}
