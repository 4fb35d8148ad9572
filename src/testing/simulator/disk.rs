//! The log directory's file system: a real folder in memory, because readers open it by its path, behind a layer that
//! fails, fills up, or ends the process at a chosen operation.
//!
//! The end of the process is an unwinding with [`Killed`] as payload: nothing of the worker runs behind it.
//!
//! Where power may fail, a [`MemDisk`] does all that is done to the real folder, and knows what of it was synced.

use crate::clock::instant::simulated;
use crate::disk::{Disk, Fault, MemDisk, MemFile, RealDisk, RealLock, Stat};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the simulated death of a process unwinds with.
#[derive(Debug)]
pub(super) struct Killed;

#[derive(Debug, Default)]
struct State {
    ops: u64,
    fault: Option<(u64, Fault)>,
    /// Bytes that may still be written.
    room: Option<u64>,
    /// The operations so far, as one number.
    trace: u64,
    /// What the medium has, where power may fail.
    medium: Option<MemDisk>,
}

/// What the disk does at present; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather(Arc<Mutex<State>>);

impl Weather {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the operation behind `after` others go wrong.
    pub(super) fn inject(&self, after: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.ops + after, fault));
    }

    /// Limits what may still be written; `None` lifts the limit.
    pub(super) fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Power may fail from here on; nothing was written yet.
    pub(super) fn keep_medium(&self) {
        self.state().medium = Some(MemDisk::new());
    }

    /// Power fails: what was not synced in the folder `logs` is there or not, as `pick` chooses. Everybody is dead.
    pub(super) fn lose_power(&self, logs: &Path, page_bytes: usize, pick: &mut dyn FnMut(usize) -> usize) {
        let Some(medium) = self.state().medium.clone() else { return };
        for name in medium.names() {
            let Ok(is) = std::fs::read(logs.join(&name)) else {
                // Some small files are deleted past the worker's disk, which is no news to the medium.
                medium.outside_delete(&name);
                continue;
            };
            assert!(medium.bytes(&name).unwrap() == is, "the simulator's own books of {name} are wrong");
            std::fs::remove_file(logs.join(&name)).unwrap();
        }
        medium.lose_power(page_bytes, pick);
        for name in medium.names() {
            let path = logs.join(&name);
            // That an empty folder was removed need not be on the medium either.
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, medium.bytes(&name).unwrap()).unwrap();
        }
    }

    /// No fault is to come.
    pub(super) fn calm(&self) {
        self.state().fault = None;
    }

    /// A number that tells runs apart that did not do the same.
    pub(super) fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Operations that change something, so far.
    pub(super) fn ops(&self) -> u64 {
        self.state().ops
    }
}

/// A folder of the simulated disk.
#[derive(Debug)]
pub(super) struct SimDisk {
    real: RealDisk,
    weather: Weather,
    medium: Option<MemDisk>,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct SimFile {
    real: File,
    medium: Option<MemFile>,
}

impl SimDisk {
    /// The folder at `path`.
    pub(super) fn open(path: &Path, weather: &Weather) -> io::Result<Self> {
        let medium = weather.state().medium.clone();
        Ok(Self { real: RealDisk::open(path)?, weather: weather.clone(), medium })
    }

    /// Counts an operation. When it is to go wrong, how much of it is done before, and how it ends.
    fn begin(&self, what: &str, name: &str) -> Option<(usize, Option<io::Error>)> {
        let mut state = self.weather.state();
        let due = state.fault.filter(|(at, _)| *at <= state.ops);
        state.ops += 1;
        for byte in what.bytes().chain(name.bytes()) {
            state.trace = (state.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let (_, fault) = due?;
        state.fault = None;
        Some(match fault {
            Fault::Crash(partial) => (partial, None),
            Fault::Errno(number, partial) => (partial, Some(io::Error::from_raw_os_error(number))),
        })
    }

    /// The file as the medium knows it. What came there by another way than this is taken over, synced.
    fn with_medium(&self, name: &str, real: File) -> io::Result<SimFile> {
        let medium = match &self.medium {
            None => None,
            Some(medium) => Some(match medium.open_read(name) {
                Ok(file) => file,
                Err(_) => {
                    let mut bytes = vec![0; usize::try_from(real.metadata()?.len()).unwrap_or(0)];
                    real.read_exact_at(&mut bytes, 0)?;
                    medium.outside_write(name, &bytes);
                    let file = medium.open_read(name)?;
                    medium.sync(&file)?;
                    file
                }
            }),
        };
        Ok(SimFile { real, medium })
    }

    /// Does the same on the medium, where there is one.
    fn also(&self, run: impl FnOnce(&MemDisk) -> io::Result<()>) -> io::Result<()> {
        self.medium.as_ref().map_or(Ok(()), run)
    }

    /// An operation that happens or not. A death comes behind it as often as before.
    fn whole<T>(&self, what: &str, name: &str, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.begin(what, name) {
            None => run(),
            Some((_, Some(error))) => Err(error),
            Some((partial, None)) => {
                if partial % 2 == 1 {
                    let _ = run();
                }
                kill()
            }
        }
    }

    fn write(&self, file: &SimFile, bytes: &[u8], offset: Option<u64>) -> io::Result<usize> {
        let due = self.begin("write", "");
        let wanted = due.as_ref().map_or(bytes.len(), |(partial, _)| bytes.len().min(*partial));
        let put = self.put(file, bytes.get(..wanted).unwrap_or_default(), offset);
        match due {
            None => put,
            Some((_, None)) => kill(),
            // The bytes that went out are told; the error comes with the next attempt, if it is still there.
            Some((_, Some(error))) => put.ok().filter(|out| *out > 0).ok_or(error),
        }
    }

    fn put(&self, file: &SimFile, bytes: &[u8], offset: Option<u64>) -> io::Result<usize> {
        let before = self.real.stat(&file.real)?.bytes;
        let at = offset.unwrap_or(before);
        let mut state = self.weather.state();
        let end_max = state.room.map_or(u64::MAX, |room| before.saturating_add(room));
        let fits = usize::try_from(end_max.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        if fits == 0 && !bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let grown = (at + fits as u64).saturating_sub(before);
        state.room = state.room.map(|room| room.saturating_sub(grown));
        drop(state);
        let bytes = bytes.get(..fits).unwrap_or_default();
        let out = match offset {
            Some(offset) => self.real.write_at(&file.real, bytes, offset),
            None => self.real.append(&file.real, bytes),
        };
        self.stamp(&file.real)?;
        if let (Some(medium), Some(file)) = (&self.medium, &file.medium) {
            assert_eq!(medium.write_at(file, bytes, at)?, *out.as_ref().unwrap());
        }
        out
    }

    /// Gives a file the simulation's time.
    fn stamp(&self, file: &File) -> io::Result<()> {
        let now = simulated::now().and_then(|now| i64::try_from(now).ok());
        now.map_or(Ok(()), |now| self.real.set_mtime(file, now))
    }

    fn give_back(&self, bytes: u64) {
        let mut state = self.weather.state();
        state.room = state.room.map(|room| room.saturating_add(bytes));
    }

    fn is_full(&self) -> bool {
        self.weather.state().room == Some(0)
    }
}

fn kill() -> ! {
    // Not a panic: no hook runs, and nothing is printed.
    std::panic::resume_unwind(Box::new(Killed))
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = RealLock;

    fn folder(&self, name: &str) -> io::Result<Self> {
        let real = self.real.folder(name)?;
        let medium = self.medium.as_ref().map(|medium| medium.make_folder(name)).transpose()?;
        Ok(Self { real, weather: self.weather.clone(), medium })
    }

    fn make_folder(&self, name: &str) -> io::Result<Self> {
        match self.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_full() => {
                Err(io::Error::from_raw_os_error(libc::ENOSPC))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.whole("folder", name, || self.real.make_folder(name))?;
                self.folder(name)
            }
            opened => opened,
        }
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.whole("remove_folder", name, || self.real.remove_folder(name))
    }

    fn list_folders(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.real.list_folders(each)
    }

    fn lock(&self, name: &str) -> io::Result<Option<RealLock>> {
        self.real.lock(name)
    }

    fn is_lock_of(&self, lock: &RealLock, name: &str) -> io::Result<bool> {
        self.real.is_lock_of(lock, name)
    }

    fn create_new(&self, name: &str) -> io::Result<SimFile> {
        if self.is_full() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let file = self.whole("create", name, || {
            let file = self.real.create_new(name)?;
            self.also(|medium| medium.create_new(name).map(drop))?;
            Ok(file)
        })?;
        self.stamp(&file)?;
        self.with_medium(name, file)
    }

    fn open_append(&self, name: &str) -> io::Result<SimFile> {
        self.with_medium(name, self.real.open_append(name)?)
    }

    fn open_read(&self, name: &str) -> io::Result<SimFile> {
        self.with_medium(name, self.real.open_read(name)?)
    }

    fn open_write(&self, name: &str) -> io::Result<SimFile> {
        if self.real.stat_name(name)?.is_some() {
            return self.with_medium(name, self.real.open_write(name)?);
        }
        if self.is_full() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let file = self.whole("open", name, || {
            let file = self.real.open_write(name)?;
            self.also(|medium| medium.open_write(name).map(drop))?;
            Ok(file)
        })?;
        self.stamp(&file)?;
        self.with_medium(name, file)
    }

    fn write_at(&self, file: &SimFile, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.write(file, bytes, Some(offset))
    }

    fn append(&self, file: &SimFile, bytes: &[u8]) -> io::Result<usize> {
        self.write(file, bytes, None)
    }

    fn read_at(&self, file: &SimFile, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(&file.real, out, offset)
    }

    fn stat(&self, file: &SimFile) -> io::Result<Stat> {
        self.real.stat(&file.real)
    }

    fn stat_name(&self, name: &str) -> io::Result<Option<Stat>> {
        self.real.stat_name(name)
    }

    fn truncate(&self, file: &SimFile, bytes: u64) -> io::Result<()> {
        let before = self.real.stat(&file.real)?.bytes;
        self.whole("truncate", "", || {
            self.real.truncate(&file.real, bytes)?;
            self.also(|medium| file.medium.as_ref().map_or(Ok(()), |file| medium.truncate(file, bytes)))
        })?;
        self.give_back(before.saturating_sub(bytes));
        self.stamp(&file.real)
    }

    fn set_mtime(&self, file: &SimFile, mtime_ns: i64) -> io::Result<()> {
        self.real.set_mtime(&file.real, mtime_ns)
    }

    fn sync(&self, file: &SimFile) -> io::Result<()> {
        let sync = || self.also(|medium| file.medium.as_ref().map_or(Ok(()), |file| medium.sync(file)));
        self.whole("sync", "", sync)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.whole("sync_dir", "", || self.also(MemDisk::sync_dir))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.whole("rename", to, || {
            self.real.rename(from, to)?;
            self.also(|medium| medium.rename(from, to))
        })
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.whole("replace", to, || {
            self.real.replace(from, to)?;
            self.also(|medium| medium.replace(from, to))
        })
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let bytes = self.real.stat_name(name)?.map_or(0, |stat| stat.bytes);
        self.whole("unlink", name, || {
            self.real.unlink(name)?;
            self.also(|medium| {
                // What never came through here is not known there.
                let _ = medium.unlink(name);
                drop(medium.take_unlinked());
                Ok(())
            })
        })?;
        self.give_back(bytes);
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.real.list(each)
    }

    fn space(&self) -> io::Result<u64> {
        let room = self.weather.state().room;
        Ok(room.unwrap_or(1 << 40))
    }

    fn revalidate(&self) -> io::Result<bool> {
        self.real.revalidate()
    }
}
