//! A directory in memory, with its folders, that fails at a chosen operation, crashes there, or loses what was not synced.

use super::power::{Entry, lose};
use super::{Disk, Identity, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens at a chosen operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The process dies: an append gets out at most so many bytes, everything later fails until [`MemDisk::revive`].
    Crash(usize),
    /// This one operation fails with the error number; an append gets out at most so many bytes first.
    Errno(i32, usize),
}

const CRASH: &str = "crashed";

/// Whether an error came from [`Fault::Crash`].
pub fn is_crash(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.to_string() == CRASH)
}

#[derive(Clone, Default, Debug)]
pub(super) struct Inode {
    pub(super) bytes: Vec<u8>,
    pub(super) synced: Vec<u8>,
    mtime_ns: i64,
    pub(super) links: u64,
    /// What the file system calls it, while it has a name or is open: another file may get the number after that.
    pub(super) number: u64,
    opens: u64,
}

/// A file of a [`MemDisk`].
#[derive(Debug)]
pub struct MemFile {
    state: Arc<Mutex<State>>,
    ino: u64,
}

impl Drop for MemFile {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inode) = state.inodes.get_mut(&self.ino) {
            inode.opens = inode.opens.saturating_sub(1);
        }
    }
}

#[derive(Default, Debug)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<u64, Inode>,
    /// Files by their paths from the uppermost directory.
    pub(super) names: BTreeMap<String, u64>,
    pub(super) synced_names: BTreeMap<String, u64>,
    /// What was done to names and is not on the medium for sure, in order.
    pub(super) unsynced: Vec<Entry>,
    syncs: u64,
    pub(super) folders: BTreeSet<String>,
    /// Locked files, and the number of the lock.
    locks: BTreeMap<u64, u64>,
    now_ns: i64,
    next: u64,
    ops: u64,
    fault: Option<(u64, Fault)>,
    crashed: bool,
    space: Option<u64>,
    unlinked: Vec<(String, Vec<u8>)>,
}

/// A directory in memory. Clones, and its [folders](Disk::folder), are places on the same disk; what is set for one of
/// them (faults, crash, space, clock) is set for the disk.
#[derive(Clone, Default, Debug)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
    /// What its names begin with on the disk: nothing, or a path that ends in `/`.
    prefix: String,
}

/// A lock of a [`MemDisk`].
#[derive(Debug)]
pub struct MemLock {
    state: Arc<Mutex<State>>,
    ino: u64,
    number: u64,
}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.locks.get(&self.ino) == Some(&self.number) {
            state.locks.remove(&self.ino);
        }
    }
}

impl MemDisk {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn open(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        state.alive()?;
        let ino = state.names.get(&self.path(name)).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.opened(&mut state, ino))
    }

    fn opened(&self, state: &mut State, ino: u64) -> MemFile {
        if let Some(inode) = state.inodes.get_mut(&ino) {
            inode.opens += 1;
        }
        MemFile { state: Arc::clone(&self.state), ino }
    }

    /// The name below this directory of what has this path on the disk.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.prefix)
    }

    /// Number of changing operations so far; faults are counted in these.
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// Lets the changing operation that comes after `after` others fail.
    pub fn inject(&self, after: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.ops.saturating_add(after), fault));
    }

    /// Ends a crash, and forgets faults to come and the locks of the dead: the next process starts.
    pub fn revive(&self) {
        let mut state = self.state();
        state.crashed = false;
        state.locks.clear();
        state.fault = None;
    }

    /// Whether a crash has happened and was not ended.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// Sets the clock of modification times.
    pub fn set_now(&self, now_ns: i64) {
        self.state().now_ns = now_ns;
    }

    /// Limits what may still be written, until something is deleted or cut; `None` lifts the limit.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    /// Power fails. Of what was not synced anything may be there or not: in each directory the first few changes of names,
    /// in order, as journalling file systems keep them; of each file any of its pages of `page_bytes`, and any length between
    /// the old one and the last. `pick(n)` chooses a number below `n`. Everybody who used the disk is dead.
    pub fn lose_power(&self, page_bytes: usize, pick: &mut dyn FnMut(usize) -> usize) {
        lose(&mut self.state(), page_bytes, pick);
        self.state().unlinked.clear();
        self.revive();
    }

    /// How often a file or a directory was synced.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The bytes under a name.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(&self.path(name)).and_then(|ino| state.inodes.get(ino)).map(|inode| inode.bytes.clone())
    }

    /// All names of files, those in folders with their paths.
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().filter_map(|path| self.below(path)).map(str::to_owned).collect()
    }

    /// Takes what was deleted through [`Disk::unlink`] since the last call: name and bytes.
    pub fn take_unlinked(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.state().unlinked)
    }

    /// An outsider deletes a name.
    pub fn outside_delete(&self, name: &str) {
        let mut state = self.state();
        if let Some(ino) = state.names.remove(&self.path(name)) {
            state.unname(ino);
            state.unsynced.push(Entry::Gone(self.path(name)));
        }
    }

    /// An outsider renames, replacing what is there.
    pub fn outside_rename(&self, from: &str, to: &str) {
        let mut state = self.state();
        if let Some(ino) = state.names.remove(&self.path(from)) {
            state.unsynced.push(Entry::Renamed(self.path(from), self.path(to)));
            if let Some(old) = state.names.insert(self.path(to), ino) {
                state.unname(old);
            }
        }
    }

    /// An outsider sets the bytes of a name, in place if it exists.
    pub fn outside_write(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let path = self.path(name);
        let ino = match state.names.get(&path) {
            Some(&ino) => ino,
            None => state.create(&path),
        };
        if let Some(inode) = state.inodes.get_mut(&ino) {
            inode.bytes = bytes.to_vec();
        }
    }
}

impl State {
    fn create(&mut self, path: &str) -> u64 {
        self.next += 1;
        let ino = self.next;
        let number = self.free_number();
        self.inodes.insert(ino, Inode { links: 1, mtime_ns: self.now_ns, number, ..Inode::default() });
        self.names.insert(path.to_owned(), ino);
        self.unsynced.push(Entry::Made(path.to_owned(), ino));
        ino
    }

    /// The least number that no file has, as ext4 gives it: that of a file deleted just now, as a rule.
    fn free_number(&self) -> u64 {
        let is_there = |(_, inode): &(&u64, &Inode)| inode.links > 0 || inode.opens > 0;
        let taken: BTreeSet<u64> = self.inodes.iter().filter(is_there).map(|(_, inode)| inode.number).collect();
        (1..).find(|number| !taken.contains(number)).unwrap_or(u64::MAX)
    }

    fn create_checked(&mut self, path: &str) -> io::Result<u64> {
        self.change().map_err(|(_, error)| error)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.space == Some(0) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(self.create(path))
    }

    fn unname(&mut self, ino: u64) {
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        inode.links = inode.links.saturating_sub(1);
        if inode.links == 0 {
            let bytes = inode.bytes.len();
            self.give_back(bytes);
        }
    }

    fn give_back(&mut self, bytes: usize) {
        self.space = self.space.map(|space| space.saturating_add(bytes as u64));
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other(CRASH)) } else { Ok(()) }
    }

    /// Counts a changing operation; returns how many bytes an append may still get out when it is to fail.
    fn change(&mut self) -> Result<(), (usize, io::Error)> {
        self.alive().map_err(|error| (0, error))?;
        let due = self.fault.filter(|(at, _)| *at == self.ops);
        self.ops += 1;
        match due {
            None => Ok(()),
            Some((_, Fault::Crash(partial))) => {
                self.crashed = true;
                Err((partial, io::Error::other(CRASH)))
            }
            Some((_, Fault::Errno(number, partial))) => Err((partial, io::Error::from_raw_os_error(number))),
        }
    }

    fn inode(&mut self, file: &MemFile) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&file.ino).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn stat(&self, ino: u64) -> Option<Stat> {
        self.inodes.get(&ino).map(|inode| Stat {
            identity: Identity { dev: 1, ino: inode.number },
            bytes: inode.bytes.len() as u64,
            mtime_ns: inode.mtime_ns,
            links: inode.links,
        })
    }

    /// Puts `bytes` at `offset`, or at the end; those that fit.
    fn put(&mut self, file: &MemFile, bytes: &[u8], offset: Option<usize>) -> io::Result<usize> {
        let now_ns = self.now_ns;
        let room = self.space.map_or(usize::MAX, |space| usize::try_from(space).unwrap_or(usize::MAX));
        let inode = self.inode(file)?;
        let before = inode.bytes.len();
        let offset = offset.unwrap_or(before);
        let end_max = before.saturating_add(room);
        let fits = bytes.get(..bytes.len().min(end_max.saturating_sub(offset))).unwrap_or_default();
        if fits.is_empty() && !bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let end = offset + fits.len();
        if inode.bytes.len() < end {
            inode.bytes.resize(end, 0);
        }
        if let Some(place) = inode.bytes.get_mut(offset..end) {
            place.copy_from_slice(fits);
        }
        inode.mtime_ns = now_ns;
        let grown = (inode.bytes.len() - before) as u64;
        self.space = self.space.map(|space| space.saturating_sub(grown));
        Ok(fits.len())
    }

    /// One write, with the fault that is due.
    fn write(&mut self, file: &MemFile, bytes: &[u8], offset: Option<usize>) -> io::Result<usize> {
        match self.change() {
            Ok(()) => self.put(file, bytes, offset),
            Err((partial, error)) => {
                let part = bytes.get(..partial.min(bytes.len())).unwrap_or_default();
                let out = if part.is_empty() { 0 } else { self.put(file, part, offset).unwrap_or(0) };
                // A short write reports its bytes; the error comes with the next call. A crash reports nothing.
                if out > 0 && !self.crashed {
                    return Ok(out);
                }
                Err(error)
            }
        }
    }
}

impl Disk for MemDisk {
    type File = MemFile;
    type Lock = MemLock;

    fn folder(&self, name: &str) -> io::Result<Self> {
        let state = self.state();
        state.alive()?;
        let path = self.path(name);
        if !state.folders.contains(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { state: Arc::clone(&self.state), prefix: path + "/" })
    }

    fn make_folder(&self, name: &str) -> io::Result<Self> {
        let mut state = self.state();
        state.alive()?;
        let path = self.path(name);
        if !state.folders.contains(&path) {
            state.change().map_err(|(_, error)| error)?;
            if state.space == Some(0) {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            state.folders.insert(path);
        }
        drop(state);
        self.folder(name)
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        let path = self.path(name);
        if !state.folders.contains(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let within = format!("{path}/");
        if state.names.keys().chain(&state.folders).any(|other| other.starts_with(&within)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.folders.remove(&path);
        state.unsynced.push(Entry::FolderGone(path));
        Ok(())
    }

    fn list_folders(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let folders = {
            let state = self.state();
            state.alive()?;
            state.folders.clone()
        };
        folders.iter().filter_map(|path| self.below(path)).filter(|name| !name.contains('/')).for_each(each);
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Option<MemLock>> {
        let file = self.open_write(name)?;
        let ino = file.ino;
        let mut state = self.state();
        if state.locks.contains_key(&ino) {
            return Ok(None);
        }
        state.next += 1;
        let number = state.next;
        state.locks.insert(ino, number);
        Ok(Some(MemLock { state: Arc::clone(&self.state), ino, number }))
    }

    fn is_lock_of(&self, lock: &MemLock, name: &str) -> io::Result<bool> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.get(&self.path(name)) == Some(&lock.ino))
    }

    fn create_new(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        let ino = state.create_checked(&self.path(name))?;
        Ok(self.opened(&mut state, ino))
    }

    fn open_append(&self, name: &str) -> io::Result<MemFile> {
        self.open(name)
    }

    fn open_read(&self, name: &str) -> io::Result<MemFile> {
        self.open(name)
    }

    fn open_write(&self, name: &str) -> io::Result<MemFile> {
        match self.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_new(name),
            opened => opened,
        }
    }

    fn append(&self, file: &MemFile, bytes: &[u8]) -> io::Result<usize> {
        self.state().write(file, bytes, None)
    }

    fn write_at(&self, file: &MemFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.state().write(file, bytes, Some(usize::try_from(offset).unwrap_or(usize::MAX)))
    }

    fn read_at(&self, file: &MemFile, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state();
        state.alive()?;
        let inode = state.inode(file)?;
        let rest = usize::try_from(offset).ok().and_then(|at| inode.bytes.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn stat(&self, file: &MemFile) -> io::Result<Stat> {
        let state = self.state();
        state.alive()?;
        state.stat(file.ino).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn stat_name(&self, name: &str) -> io::Result<Option<Stat>> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.get(&self.path(name)).and_then(|&ino| state.stat(ino)))
    }

    fn truncate(&self, file: &MemFile, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let inode = state.inode(file)?;
        let cut = inode.bytes.len().saturating_sub(bytes);
        inode.bytes.truncate(bytes);
        state.give_back(cut);
        Ok(())
    }

    fn set_mtime(&self, file: &MemFile, mtime_ns: i64) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        state.inode(file)?.mtime_ns = mtime_ns;
        Ok(())
    }

    fn sync(&self, file: &MemFile) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        state.syncs += 1;
        let inode = state.inode(file)?;
        inode.synced.clone_from(&inode.bytes);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        let here = |path: &str| self.below(path).is_some_and(|name| !name.contains('/'));
        state.syncs += 1;
        let mut gone = Vec::new();
        state.unsynced.retain(|entry| {
            if let Entry::FolderGone(path) = entry
                && here(path)
            {
                gone.push(format!("{path}/"));
            }
            !here(entry.path())
        });
        let within_gone = |path: &str| gone.iter().any(|folder| path.starts_with(folder));
        state.unsynced.retain(|entry| !within_gone(entry.path()));
        state.synced_names.retain(|path, _| !within_gone(path));
        let (names, synced) = (state.names.clone(), &mut state.synced_names);
        synced.retain(|path, _| !here(path));
        synced.extend(names.into_iter().filter(|(path, _)| here(path)));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        if state.names.contains_key(&self.path(to)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let ino = state.names.remove(&self.path(from)).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(self.path(to), ino);
        state.unsynced.push(Entry::Renamed(self.path(from), self.path(to)));
        Ok(())
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        let ino = state.names.remove(&self.path(from)).ok_or(io::ErrorKind::NotFound)?;
        if let Some(old) = state.names.insert(self.path(to), ino) {
            state.unname(old);
        }
        state.unsynced.push(Entry::Renamed(self.path(from), self.path(to)));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change().map_err(|(_, error)| error)?;
        let ino = state.names.remove(&self.path(name)).ok_or(io::ErrorKind::NotFound)?;
        let bytes = state.inodes.get(&ino).map(|inode| inode.bytes.clone()).unwrap_or_default();
        state.unlinked.push((self.path(name), bytes));
        state.unsynced.push(Entry::Gone(self.path(name)));
        state.unname(ino);
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let names = {
            let state = self.state();
            state.alive()?;
            state.names.clone()
        };
        names.keys().filter_map(|path| self.below(path)).filter(|name| !name.contains('/')).for_each(each);
        Ok(())
    }

    fn space(&self) -> io::Result<u64> {
        Ok(self.state().space.unwrap_or(u64::MAX))
    }

    fn revalidate(&self) -> io::Result<bool> {
        Ok(false)
    }
}
