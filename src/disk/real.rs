//! A directory on a real file system, held open: every name is relative to the descriptor, no link is followed.

use super::{Disk, Identity, Stat};
use crate::sys::lock::Lock;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// An open directory. Files are made with mode 0640, the directory with 0750.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    dir: RwLock<Arc<OwnedFd>>,
}

/// The lock of a file, which a forked child does not inherit.
#[derive(Debug)]
pub struct RealLock(Lock);

impl RealDisk {
    /// Opens the directory, after making it (and its parents) if need be.
    ///
    /// # Errors
    /// The error of the file system, with the path in its text.
    pub fn open(path: &Path) -> io::Result<Self> {
        let dir = open_dir(path)?;
        Ok(Self { path: path.to_owned(), dir: RwLock::new(Arc::new(dir)) })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn dir(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.dir.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn entries(&self, mut each: impl FnMut(&str, FileType)) -> io::Result<()> {
        for entry in fs::Dir::read_from(&*self.dir())? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str() {
                each(name, entry.file_type());
            }
        }
        Ok(())
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // NONBLOCK so that a planted FIFO cannot hang the worker; it means nothing for regular files.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = fs::openat(&*self.dir(), name, flags, Mode::from_raw_mode(0o640))?;
        if FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; move it out of the way"));
        }
        Ok(File::from(fd))
    }
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let open = || -> io::Result<OwnedFd> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        Ok(fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    };
    open().map_err(|error| io::Error::new(error.kind(), format!("opening log directory {}: {error}", path.display())))
}

// The fields of libc's `stat` differ in type over the platforms.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn stat_of(stat: &fs::Stat) -> Stat {
    let seconds = stat.st_mtime as i64;
    Stat {
        identity: Identity { dev: stat.st_dev as u64, ino: stat.st_ino as u64 },
        bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64),
        links: stat.st_nlink as u64,
    }
}

impl Disk for RealDisk {
    type File = File;
    type Lock = RealLock;

    fn folder(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = fs::openat(&*self.dir(), name, flags, Mode::empty())?;
        Ok(Self { path: self.path.join(name), dir: RwLock::new(Arc::new(dir)) })
    }

    fn make_folder(&self, name: &str) -> io::Result<Self> {
        match fs::mkdirat(&*self.dir(), name, Mode::from_raw_mode(0o750)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.folder(name),
            Err(error) => Err(error.into()),
        }
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&*self.dir(), name, AtFlags::REMOVEDIR)?)
    }

    fn list_folders(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.entries(|name, kind| {
            let is_folder = match kind {
                // Some file systems do not tell.
                FileType::Unknown => fs::statat(&*self.dir(), name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                kind => kind == FileType::Directory,
            };
            if is_folder && !matches!(name, "." | "..") {
                each(name);
            }
        })
    }

    fn lock(&self, name: &str) -> io::Result<Option<RealLock>> {
        Ok(Lock::take(false, || self.open_write(name))?.map(RealLock))
    }

    fn is_lock_of(&self, lock: &RealLock, name: &str) -> io::Result<bool> {
        let held = self.stat(lock.0.file())?;
        Ok(self.stat_name(name)?.is_some_and(|stat| stat.identity == held.identity))
    }

    fn open_write(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        loop {
            match file.write_at(bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let dir = self.dir();
        Ok(fs::renameat(&*dir, from, &*dir, to)?)
    }

    fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL)
    }

    fn open_append(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::APPEND)
    }

    fn open_read(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let mut file = file;
        loop {
            match file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn read_at(&self, file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match file.read_at(out, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn stat(&self, file: &File) -> io::Result<Stat> {
        Ok(stat_of(&fs::fstat(file)?))
    }

    fn stat_name(&self, name: &str) -> io::Result<Option<Stat>> {
        match fs::statat(&*self.dir(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat_of(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    fn set_mtime(&self, file: &File, mtime_ns: i64) -> io::Result<()> {
        let time = fs::Timespec {
            tv_sec: mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000) as _,
        };
        Ok(fs::futimens(file, &fs::Timestamps { last_access: time, last_modification: time })?)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(fs::fsync(&*self.dir())?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let dir = self.dir();
        #[cfg(any(target_os = "linux", target_os = "android"))]
        match fs::renameat_with(&*dir, from, &*dir, to, fs::RenameFlags::NOREPLACE) {
            // Some network file systems do not know the flag; there the check below must do.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            done => return Ok(done?),
        }
        if self.stat_name(to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(fs::renameat(&*dir, from, &*dir, to)?)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&*self.dir(), name, AtFlags::empty())?)
    }

    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.entries(|name, _| each(name))
    }

    fn space(&self) -> io::Result<u64> {
        let stat = fs::fstatvfs(&*self.dir())?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn size(&self) -> io::Result<u64> {
        let stat = fs::fstatvfs(&*self.dir())?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn device(&self) -> Option<u64> {
        fs::fstat(&*self.dir()).ok().map(|stat| stat_of(&stat).identity.dev)
    }

    fn file_bytes_max(&self) -> u64 {
        rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX)
    }

    fn revalidate(&self) -> io::Result<bool> {
        let held = stat_of(&fs::fstat(&*self.dir())?);
        let by_path = fs::stat(&self.path).map(|stat| stat_of(&stat));
        if held.links > 0 && by_path.is_ok_and(|stat| stat.identity == held.identity) {
            return Ok(false);
        }
        let fresh = Arc::new(open_dir(&self.path)?);
        *self.dir.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }
}
