//! A log directory: which processes have journals in it, and where their bytes are.

use super::archive::{Archive, segment_number};
use super::file;
use super::live::{self, Live, Owner};
use super::source::{Extent, Source};
use super::wanted::Wanted;
use crate::segment::layout::{Header, HeaderError};
use crate::segment::packed::Index;
use crate::shm::directory::{copied_from, is_of_another};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the folder of journals in a log directory.
pub const JOURNAL_DIR: &str = ".journal";
/// The longest line in a `shm` file.
const POINTER_BYTES_MAX: u64 = 4096;

/// A log directory, or segment files that stand for themselves.
#[derive(Clone, Debug)]
pub struct LogDir {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// Its folder of journals.
    Journals(PathBuf),
    /// Segment files.
    Files(Vec<PathBuf>),
}

impl LogDir {
    /// Opens a log directory, or a directory that just has segment files in it.
    ///
    /// # Errors
    /// When there is no such directory or no journal in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let journals = path.join(JOURNAL_DIR);
        if journals.is_dir() {
            return Ok(Self { place: Place::Journals(journals) });
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| file::context(&error, "open log directory", path))? {
            let entry = entry.map_err(|error| file::context(&error, "list", path))?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| [".seg", ".seg.gz", ".seg.zst"].iter().any(|end| name.ends_with(end)))
            {
                files.push(entry.path());
            }
        }
        if files.is_empty() {
            let error = io::Error::new(ErrorKind::NotFound, "no journal is in it");
            return Err(file::context(&error, "read log directory", path));
        }
        Ok(Self::files(files))
    }

    /// Segment files, wherever they are.
    pub fn files(mut files: Vec<PathBuf>) -> Self {
        files.sort_unstable();
        Self { place: Place::Files(files) }
    }

    /// The processes with a journal, in the order of their start.
    ///
    /// # Errors
    /// When the directory cannot be listed, or a segment file that stands for itself cannot be read.
    pub fn processes(&self) -> io::Result<Vec<Process>> {
        match &self.place {
            Place::Files(files) => group(files),
            Place::Journals(journals) => {
                let mut processes = Vec::new();
                for entry in std::fs::read_dir(journals).map_err(|error| file::context(&error, "list", journals))? {
                    let entry = entry.map_err(|error| file::context(&error, "list", journals))?;
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    if let (true, Ok(name)) = (is_dir, entry.file_name().into_string()) {
                        processes.push(Process { name, place: ProcessPlace::Folder(entry.path()) });
                    }
                }
                processes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                Ok(processes)
            }
        }
    }
}

/// Sorts segment files by the process that wrote them. A file without a readable header stands alone.
fn group(files: &[PathBuf]) -> io::Result<Vec<Process>> {
    let mut processes: BTreeMap<String, BTreeMap<u64, PathBuf>> = BTreeMap::new();
    for path in files {
        let mut alone = Archive::files(BTreeMap::from([(1, path.clone())]));
        let (name, number) = match alone.header(1)? {
            None => {
                let error = io::Error::new(ErrorKind::NotFound, "there is no such file");
                return Err(file::context(&error, "read", path));
            }
            Some(Ok(header)) => (hex(&header.process), header.number),
            Some(Err(_)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let number = segment_number(&name).unwrap_or(1);
                (name, number)
            }
        };
        processes.entry(name).or_default().entry(number).or_insert_with(|| path.clone());
    }
    let process = |(name, files)| Process { name, place: ProcessPlace::Files(files) };
    Ok(processes.into_iter().map(process).collect())
}

/// The identity of a process, short enough for a line.
fn hex(identity: &[u8; 16]) -> String {
    identity.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A process's journal.
#[derive(Clone, Debug)]
pub struct Process {
    name: String,
    place: ProcessPlace,
}

#[derive(Clone, Debug)]
enum ProcessPlace {
    Folder(PathBuf),
    Files(BTreeMap<u64, PathBuf>),
}

impl Process {
    /// Its name: that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes. Live memory that cannot be read is no error: [`ProcessSource::live_error`] says so.
    pub fn source(&self) -> ProcessSource {
        let (archive, folder) = match &self.place {
            ProcessPlace::Folder(folder) => (Archive::folder(folder), Some(folder.clone())),
            ProcessPlace::Files(files) => (Archive::files(files.clone()), None),
        };
        let mut source = ProcessSource { archive, folder, live: None, live_error: None, owner: Owner::Unknown };
        source.refresh();
        source
    }
}

/// The bytes of a process's journal: live memory while it holds them, else the archive.
#[derive(Debug)]
pub struct ProcessSource {
    archive: Archive,
    /// The folder of the process; `None` for files that stand for themselves.
    folder: Option<PathBuf>,
    live: Option<Live>,
    live_error: Option<String>,
    owner: Owner,
}

impl ProcessSource {
    /// Looks anew whether live memory is there and the owner alive.
    pub fn refresh(&mut self) {
        let Some(folder) = &self.folder else { return };
        let pointer = folder.join("shm");
        let line = file::read_line(&pointer, POINTER_BYTES_MAX);
        let Ok(Some(line)) = line else {
            (self.live, self.owner) = (None, Owner::Unknown);
            self.live_error = line.err().map(|error| error.to_string());
            return;
        };
        let shm = Path::new(line.trim_end());
        if folder.parent().is_some_and(|journals| copied_from(journals).is_some() || is_of_another(shm, journals)) {
            // Of the directory that this one is a copy of; here is what was copied.
            (self.live, self.owner, self.live_error) = (None, Owner::Dead, None);
            return;
        }
        self.owner = live::owner(shm);
        if self.live.as_ref().is_some_and(Live::is_current) {
            return;
        }
        let opened = match pointer.symlink_metadata() {
            _ if !shm.is_absolute() => {
                Err(io::Error::new(ErrorKind::InvalidData, "the path in file shm is not absolute"))
            }
            Ok(about) => Live::open(shm, about.uid()),
            Err(error) => Err(error),
        };
        self.live_error = opened.as_ref().err().map(ToString::to_string);
        self.live = opened.unwrap_or(None);
    }

    /// Closes the archived segment that is open; see [`Archive::close`].
    pub fn close(&mut self) {
        self.archive.close();
    }

    /// Whether the process's live memory can be read.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Whether the bytes are segment files that stand for themselves.
    pub fn is_files(&self) -> bool {
        self.folder.is_none()
    }

    /// Why live memory cannot be read, if it is there.
    pub fn live_error(&self) -> Option<&str> {
        self.live_error.as_deref()
    }

    /// Whether the owner was alive at the last [`refresh`](Self::refresh).
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The first block at `offset` of a segment or behind it, if the segment is packed and was read last.
    pub fn block_from(&self, number: u64, offset: u64) -> Option<Index> {
        self.archive.block_from(number, offset)
    }

    /// What is not wanted of the archive need not be read; see [`Archive::sift`].
    pub fn sift(&mut self, wanted: Option<&Arc<Wanted>>) {
        self.archive.sift(wanted);
    }

    /// The numbers of all segments that are there.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        // Segments move from live memory to the archive, never back: in this order none is missed.
        let mut numbers = self.live.as_ref().map_or(Ok(Vec::new()), Live::numbers)?;
        numbers.extend(self.archive.numbers()?);
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The header of a segment; `None` where there is no such segment.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn header(&mut self, number: u64) -> io::Result<Option<Result<Header, HeaderError>>> {
        let mut bytes = Vec::new();
        match self.read(number, 0, crate::segment::layout::HEADER_BYTES, &mut bytes)? {
            Extent::Missing { .. } => Ok(None),
            _ => Ok(Some(Header::decode(&bytes))),
        }
    }
}

impl Source for ProcessSource {
    fn read(&mut self, number: u64, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent> {
        match self.look(number, offset, bytes_max, out)? {
            // Both may have been begun between the looks for this one and for a later one: look again.
            Extent::Missing { next: Some(_) } => self.look(number, offset, bytes_max, out),
            extent => Ok(extent),
        }
    }

    fn watermark(&mut self) -> io::Result<Option<u64>> {
        self.live.as_ref().map(Live::watermark).transpose()
    }
}

impl ProcessSource {
    fn look(&mut self, number: u64, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<Extent> {
        let mut live_next = None;
        if let Some(live) = &mut self.live {
            if let Some(extent) = live.read(number, offset, bytes_max, out)? {
                return Ok(extent);
            }
            live_next = live.numbers()?.into_iter().filter(|other| *other > number).min();
        }
        Ok(match (self.archive.read(number, offset, bytes_max, out)?, live_next) {
            // A slot is used for a later segment only when the archive holds this one whole.
            (Extent::Growing, Some(_)) => Extent::End,
            (Extent::Missing { next }, Some(live)) => {
                Extent::Missing { next: Some(next.map_or(live, |next| next.min(live))) }
            }
            (extent, _) => extent,
        })
    }
}
