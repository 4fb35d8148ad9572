//! The log directory on disk: its identity, and this process's journal folder in it.

use super::journal::{Hold, is_held};
use crate::disk::{Disk, RealDisk, write_all_at};
use crate::error::Error;
use crate::sys::file::{open_regular, random_16};
use crate::sys::lock::Lock;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Folder of the journals in the log directory.
pub(crate) const JOURNAL: &str = ".journal";
/// The longest text that is read of a small file.
const TEXT_BYTES_MAX: u64 = 4096;
/// File with the directory's identity, and, on a second line, where it was made: `<device>:<inode> "<path>"` of the folder of
/// journals. A directory that is at neither is a copy, and what stands in shared memory under the identity is not its own.
const ID: &str = "id";
/// How long one waits for another who gives a copy an identity of its own.
const RENEWAL: Duration = Duration::from_millis(1);
/// File that says where a process's live folder is.
pub(crate) const POINTER: &str = "shm";

/// An opened log directory with a fresh journal folder for this process.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The log directory.
    pub(crate) path: PathBuf,
    /// 32 hexadecimal digits that name the directory in shared memory.
    pub(crate) id: String,
    /// Name of this process's journal folder.
    pub(crate) process: String,
    /// This process's journal folder.
    pub(crate) folder: PathBuf,
    /// Its lock.
    pub(crate) hold: Arc<Hold>,
    /// Random identity of the process.
    pub(crate) identity: [u8; 16],
}

impl Directory {
    /// Makes the log directory and the journal folder, mode 0750, where they are absent.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if fs::metadata(path).is_ok_and(|meta| !meta.is_dir()) {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Error::io("cannot log to", path, error, "name a directory; it is made if it is absent"));
        }
        let journal = path.join(JOURNAL);
        make_dir(path)?;
        make_dir(&journal)?;
        if !fs::symlink_metadata(&journal).is_ok_and(|meta| meta.is_dir()) {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            let advice = "it is a link that somebody else put there; remove it";
            return Err(Error::io("will not use", &journal, error, advice));
        }
        let id = identity(&journal)?;
        loop {
            let identity = random_16();
            let process = process_name(identity);
            let folder = journal.join(&process);
            match DirBuilder::new().mode(0o750).create(&folder).and_then(|()| Hold::take(&folder)) {
                Ok(Some(hold)) => {
                    let hold = Arc::new(hold);
                    return Ok(Self { path: path.to_path_buf(), id, process, folder, hold, identity });
                }
                // The name is taken, or somebody took the folder for one that a dead process left.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && journal.is_dir() => {}
                Err(error) => return Err(unusable(&folder, error)),
            }
        }
    }

    /// Folder of all journals.
    pub(crate) fn journals(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Writes where the live folder is.
    pub(crate) fn point_to(&self, live: &Path) -> Result<(), Error> {
        let path = self.folder.join(POINTER);
        let written = new_file(&path).and_then(|mut file| writeln!(file, "{}", live.display()));
        written.map_err(|error| unusable(&path, error))
    }
}

/// Writes identity and pointer anew into a directory that was made again: the live folder `live` says both.
pub(crate) fn restore<D: Disk>(journals: &D, folder: &D, live: &Path) -> io::Result<()> {
    let write = |disk: &D, name: &str, text: String| match disk.create_new(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => write_all_at(disk, &created?, text.as_bytes(), 0),
    };
    let shared = live.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    if let Some(id) = shared.and_then(|name| name.rsplit('-').next()).filter(|id| is_id(id)) {
        write(journals, ID, format!("{id}\n"))?;
    }
    write(folder, POINTER, format!("{}\n", live.display()))
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn make_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().mode(0o750).recursive(true).create(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: io::Error) -> Error {
    let advice = "the log directory must be writable for this user; check its path, owner and free space";
    Error::io("cannot create", path, error, advice)
}

fn new_file(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Device and inode of a folder, and its path, each as a word of a line.
fn place(journal: &Path) -> io::Result<(String, String)> {
    let about = fs::metadata(journal)?;
    let path = fs::canonicalize(journal)?;
    Ok((format!("{}:{}", about.dev(), about.ino()), format!("{:?}", path.to_string_lossy())))
}

/// Where the folder of journals stood of which this one is a copy, if it is one. One that was moved is none, as long as
/// it has its inode, and one that was restored to its path is none.
pub(crate) fn copied_from(journal: &Path) -> Option<String> {
    let text = read_text(&journal.join(ID)).ok()?;
    let (number, path) = text.lines().nth(1)?.split_once(' ')?;
    let here = place(journal).ok()?;
    (here.0 != number && here.1 != path).then(|| path.to_owned())
}

/// Whether a process that lives has a journal here. Then this is no copy, however it looks from here: others may see it
/// under another path, and numbers of devices change.
fn is_in_use(journal: &Path) -> bool {
    let held = |path: PathBuf| RealDisk::open(&path).and_then(|folder| is_held(&folder)).unwrap_or(false);
    fs::read_dir(journal)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .any(|path| path.is_dir() && held(path))
}

/// Whether the live folder at this path is that of another directory than the one with these journals, by the identity
/// in its name.
pub(crate) fn is_of_another(live: &Path, journal: &Path) -> bool {
    let shared = live.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let theirs = shared.and_then(|name| name.rsplit('-').next()).filter(|id| is_id(id));
    let text = read_text(&journal.join(ID)).unwrap_or_default();
    let own = text.lines().next().map(str::trim).filter(|id| is_id(id));
    theirs.is_some() && own.is_some() && theirs != own
}

/// Gives a copy an identity of its own. Returns when it has one, or somebody else gives it one at the moment.
fn renew(journal: &Path, path: &Path) -> io::Result<()> {
    let open = || open_regular(path)?.ok_or_else(|| io::ErrorKind::NotFound.into());
    let Some(_lock) = Lock::take(false, open)? else {
        std::thread::sleep(RENEWAL);
        return Ok(());
    };
    if copied_from(journal).is_none() {
        return Ok(());
    }
    let aside = write_aside(journal)?;
    fs::rename(&aside, path).inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// A new identity under a name of its own.
fn write_aside(journal: &Path) -> io::Result<PathBuf> {
    let aside = journal.join(format!(".{ID}.{}", hex(&random_16())));
    let (number, path) = place(journal)?;
    let written = new_file(&aside).and_then(|mut file| {
        writeln!(file, "{}\n{number} {path}", hex(&random_16()))?;
        file.sync_all()
    });
    written.inspect_err(|_| drop(fs::remove_file(&aside))).map(|()| aside)
}

/// The identity of the directory, made by the first process that comes: written aside and linked, so that nobody ever
/// reads half of it and the first of two wins. A copy gets a new one.
pub(crate) fn identity(journal: &Path) -> Result<String, Error> {
    let path = journal.join(ID);
    loop {
        match read_text(&path) {
            Ok(_) if copied_from(journal).is_some() && !is_in_use(journal) => {
                renew(journal, &path).map_err(|error| unusable(&path, error))?;
                continue;
            }
            Ok(text) => {
                let id = text.lines().next().unwrap_or_default().trim();
                if is_id(id) {
                    return Ok(id.to_owned());
                }
                let error = io::Error::new(io::ErrorKind::InvalidData, "not 32 hexadecimal digits");
                let advice = "if no logger runs with this directory, delete the file; a new identity is made";
                return Err(Error::io("cannot use the directory's identity in", &path, error, advice));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("cannot read", &path, error, "check its owner and mode")),
        }
        let linked = write_aside(journal).and_then(|aside| {
            let linked = fs::hard_link(&aside, &path);
            let _ = fs::remove_file(&aside);
            linked
        });
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(&path, error)),
        }
    }
}

/// Reads a small text; links are not followed, pipes not waited for.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let file = open_regular(path)?.ok_or(io::ErrorKind::NotFound)?;
    let mut text = String::new();
    file.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

/// `<UTC start>-<pid>-<4 hex digits>`: sorts by time, tells the process.
fn process_name(identity: [u8; 16]) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let tag = u128::from_be_bytes(identity) as u16;
    format!("{now}-{}-{tag:04x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processes_find_the_same_identity_and_their_own_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/logs");
        let opened: Vec<Directory> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Directory::open(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|one| one.id == opened[0].id));
        let mut names: Vec<&str> = opened.iter().map(|one| one.process.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn a_copy_is_told_from_the_original_and_gets_an_identity_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, copy, moved) = (dir.path().join("logs"), dir.path().join("copy"), dir.path().join("moved"));
        let journals = |of: &Path| of.join(JOURNAL);
        let first = Directory::open(&logs).unwrap();
        let live = dir.path().join(format!("tachograph-0-{}", first.id)).join(&first.process);
        fs::create_dir_all(journals(&copy)).unwrap();
        fs::copy(journals(&logs).join(ID), journals(&copy).join(ID)).unwrap();
        assert_eq!(copied_from(&journals(&logs)), None);
        assert!(copied_from(&journals(&copy)).unwrap().contains("logs"));
        assert!(!is_of_another(&live, &journals(&copy)), "whose it was cannot be told by the name alone");
        // All that come at once have the same new one.
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Directory::open(&copy).unwrap().id)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && *id != first.id), "{ids:?}, {}", first.id);
        assert_eq!(copied_from(&journals(&copy)), None);
        assert!(is_of_another(&live, &journals(&copy)) && !is_of_another(&live, &journals(&logs)));
        // Where a process lives there is no copy, whatever the file says.
        let id = fs::read(journals(&logs).join(ID)).unwrap();
        fs::write(journals(&logs).join(ID), format!("{}\n0:0 \"/elsewhere\"\n", first.id)).unwrap();
        assert_eq!(Directory::open(&logs).unwrap().id, first.id);
        fs::write(journals(&logs).join(ID), id).unwrap();
        // What was moved is what it was, and so is what an older version made.
        fs::rename(&logs, &moved).unwrap();
        assert_eq!(Directory::open(&moved).unwrap().id, first.id);
        fs::write(journals(&moved).join(ID), format!("{}\n", first.id)).unwrap();
        assert_eq!(Directory::open(&moved).unwrap().id, first.id);
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs");
        fs::write(&path, b"x").unwrap();
        let error = Directory::open(&path).unwrap_err();
        assert!(error.is_io() && error.to_string().contains("logs"), "{error}");
    }
}
