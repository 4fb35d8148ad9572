//! Moves a file into a compressed archive, piece by piece, and gives the space of each piece back where it stands.

use super::lease::Lease;
use super::writers::{self, Writers};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use rustix::fs::{Advice, FallocateFlags, SeekFrom, fadvise, fallocate, seek};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;

/// What one thread compresses at a time; a member of the archive.
const PIECE_BYTES: u64 = 4 << 20;
/// Threads that compress, at most.
const THREADS_MAX: usize = 8;
/// Where it is tried whether a file system can make holes: that far behind the end of the file.
const BEYOND_BYTES: u64 = 1 << 30;

/// How the space is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// The file's beginning is taken off, in whole blocks.
    Collapse,
    /// A hole comes in its place.
    Punch,
    /// The file is emptied at the end.
    Truncate,
}

/// A file under work.
pub(crate) struct Squeeze {
    file: File,
    writers: Writers,
    way: Way,
    /// What is given back is a multiple of this.
    block: u64,
    /// The user takes the loss of what is appended in the instant of truncation.
    insists: bool,
    /// Where the next piece begins.
    at: u64,
    archived: u64,
    compressed: u64,
    hash: Sha256,
}

impl Squeeze {
    /// Opens a file, and finds out what can be done with it.
    pub(crate) fn open(path: &Path, insists: bool) -> io::Result<Self> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(wrong("it is no regular file"));
        }
        let writers = writers::of(&about)?;
        let block = rustix::fs::fstatfs(&file)?.f_bsize.try_into().unwrap_or(4096_u64).max(512);
        let way = way(&file, &about, &writers, insists)?;
        let at = first_data(&file)? / block * block;
        let (archived, compressed) = (0, 0);
        let hash = Sha256::new();
        Ok(Self { file, writers, way, block, insists, at, archived, compressed, hash })
    }

    /// How the space is given back.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Who writes the file.
    pub(crate) fn writers(&self) -> &Writers {
        &self.writers
    }

    /// Bytes that would be archived.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |about| about.len().saturating_sub(self.at))
    }

    /// Bytes that were archived.
    pub(crate) fn archived(&self) -> u64 {
        self.archived
    }

    /// Bytes that the archive takes.
    pub(crate) fn compressed(&self) -> u64 {
        self.compressed
    }

    /// The hash of all that was archived.
    pub(crate) fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Archives to `target`, a new file, what the file holds now, and gives the space back. `progress` is told of bytes.
    pub(crate) fn run(&mut self, target: &Path, level: u32, mut progress: impl FnMut(u64)) -> io::Result<()> {
        let context = |error: io::Error| io::Error::new(error.kind(), format!("write {}: {error}", target.display()));
        let about = self.file.metadata()?;
        let mode = about.mode() & 0o640;
        let archive = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(target);
        let archive = archive.map_err(context)?;
        // Root may; others are the owner already, or cannot.
        let _ = std::os::unix::fs::fchown(&archive, Some(about.uid()), Some(about.gid()));
        sync_folder(target)?;
        if self.way == Way::Collapse {
            self.drop_leading_hole()?;
        }
        let mut left = self.file.metadata()?.len().saturating_sub(self.at);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        loop {
            let take = self.batch_bytes(left.min(PIECE_BYTES * threads as u64))?;
            if take == 0 {
                break;
            }
            self.batch(&archive, take, level)?;
            left -= take.min(left);
            progress(take);
        }
        match self.way {
            Way::Truncate => self.truncate(),
            Way::Collapse | Way::Punch => Ok(()),
        }
    }

    /// Of `bytes` at the front, those that can be given back.
    fn batch_bytes(&self, bytes: u64) -> io::Result<u64> {
        if self.way == Way::Truncate {
            return Ok(bytes);
        }
        let end = (self.at + bytes) / self.block * self.block;
        // The last block cannot be collapsed: the file would have to end there.
        let end = if self.way == Way::Collapse && end == self.file.metadata()?.len() {
            end.saturating_sub(self.block)
        } else {
            end
        };
        Ok(end.saturating_sub(self.at))
    }

    /// One round: compress, write, sync, read back, compare, give back.
    fn batch(&mut self, archive: &File, bytes: u64, level: u32) -> io::Result<()> {
        let pieces = self.read(bytes)?;
        let members = compress(&pieces, level)?;
        let begin = self.compressed;
        let result = self.store(archive, begin, &pieces, &members).and_then(|end| {
            self.give_back(bytes)?;
            Ok(end)
        });
        match result {
            Ok(end) => self.compressed = end,
            Err(error) => {
                // What is still in the file is not in the archive, too.
                archive.set_len(begin)?;
                return Err(error);
            }
        }
        for piece in &pieces {
            self.hash.update(piece);
        }
        self.archived += bytes;
        Ok(())
    }

    fn read(&self, bytes: u64) -> io::Result<Vec<Vec<u8>>> {
        let mut pieces = Vec::new();
        let (mut at, end) = (self.at, self.at + bytes);
        while at < end {
            let mut piece = vec![0; usize::try_from((end - at).min(PIECE_BYTES)).unwrap_or(usize::MAX)];
            self.file.read_exact_at(&mut piece, at)?;
            at += piece.len() as u64;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// Writes the members behind `begin`, and makes sure that what the disk has of them is what the file holds.
    fn store(&self, mut archive: &File, begin: u64, pieces: &[Vec<u8>], members: &[Vec<u8>]) -> io::Result<u64> {
        io::Seek::seek(&mut archive, io::SeekFrom::Start(begin))?;
        for member in members {
            archive.write_all(member)?;
        }
        let end = begin + members.iter().map(|member| member.len() as u64).sum::<u64>();
        archive.sync_data()?;
        // So that it is read from the disk, where the kernel takes the hint.
        let _ = fadvise(archive, begin, std::num::NonZeroU64::new(end - begin), Advice::DontNeed);
        let mut at = begin;
        for (piece, member) in pieces.iter().zip(members) {
            let mut back = vec![0; member.len()];
            archive.read_exact_at(&mut back, at)?;
            at += member.len() as u64;
            let mut inflated = Vec::with_capacity(piece.len());
            MultiGzDecoder::new(&back[..]).take(piece.len() as u64 + 1).read_to_end(&mut inflated)?;
            if inflated != *piece {
                return Err(wrong("the archive does not read back as it was written; the file is left as it is"));
            }
        }
        if self.read(pieces.iter().map(|piece| piece.len() as u64).sum())? != pieces {
            return Err(wrong("a program changes it where it had been written before; left as it is"));
        }
        Ok(end)
    }

    /// Gives the space of the next `bytes` back.
    fn give_back(&mut self, bytes: u64) -> io::Result<()> {
        if self.way == Way::Collapse {
            // Somebody may have opened it since.
            self.writers = writers::of(&self.file.metadata()?)?;
            if !self.writers.all_append() {
                self.way = Way::Punch;
            }
        }
        match self.way {
            Way::Collapse => fallocate(&self.file, FallocateFlags::COLLAPSE_RANGE, self.at, bytes)?,
            Way::Punch => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fallocate(&self.file, flags, self.at, bytes)?;
                self.at += bytes;
            }
            Way::Truncate => self.at += bytes,
        }
        Ok(())
    }

    /// What an earlier run punched.
    fn drop_leading_hole(&mut self) -> io::Result<()> {
        let hole = self.at / self.block * self.block;
        if hole > 0 {
            fallocate(&self.file, FallocateFlags::COLLAPSE_RANGE, 0, hole)?;
            self.at -= hole;
        }
        Ok(())
    }

    /// Empties the file: everything that it held is archived.
    fn truncate(&self) -> io::Result<()> {
        let lease = Lease::take(&self.file);
        if lease.is_none() && !self.insists {
            return Err(wrong("it was opened by a program meanwhile; it is archived, but not emptied"));
        }
        if self.file.metadata()?.len() > self.at && !self.insists {
            return Err(wrong("it has grown meanwhile; it is archived, but not emptied"));
        }
        self.file.set_len(0)
    }
}

/// What can be done with a file.
fn way(file: &File, about: &fs::Metadata, writers: &Writers, insists: bool) -> io::Result<Way> {
    let can = |flags: FallocateFlags, at: u64, bytes: u64| match fallocate(file, flags, at, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => false,
        Ok(()) | Err(Errno::INVAL) => true,
        Err(_) => false,
    };
    // A byte is no block, so that nothing is collapsed by asking.
    if writers.all_append() && can(FallocateFlags::COLLAPSE_RANGE, 1, 1) {
        return Ok(Way::Collapse);
    }
    let beyond = (about.len() + BEYOND_BYTES).next_multiple_of(1 << 20);
    if can(FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, beyond, 1 << 20) {
        return Ok(Way::Punch);
    }
    if insists || Lease::take(file).is_some() {
        return Ok(Way::Truncate);
    }
    let by = if writers.pids.is_empty() { String::new() } else { format!(" (process {:?})", writers.pids) };
    Err(wrong(&format!(
        "its file system can neither collapse files nor make holes, and a program has it open{by}; end that, or say --truncate"
    )))
}

/// Where the first byte is that is no hole.
fn first_data(file: &File) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(0)) {
        Ok(at) => Ok(at),
        // Nothing but a hole.
        Err(Errno::NXIO) => Ok(file.metadata()?.len()),
        // The file system does not tell.
        Err(Errno::INVAL) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Each piece as a gzip member of its own.
fn compress(pieces: &[Vec<u8>], level: u32) -> io::Result<Vec<Vec<u8>>> {
    let one = |piece: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::with_capacity(piece.len() / 4), Compression::new(level));
        encoder.write_all(piece)?;
        encoder.finish()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = pieces.iter().map(|piece| scope.spawn(move || one(piece))).collect();
        let ended = || wrong("a thread that compresses ended");
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(ended()))).collect()
    })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

fn wrong(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
