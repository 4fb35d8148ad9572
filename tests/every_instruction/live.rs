//! The shared memory of a stopped process: what survives its death, and all that does.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use tachograph::shm::control::Control;

struct Mapped {
    path: PathBuf,
    base: *const u8,
    bytes: usize,
    /// What stood there when it was last looked at.
    copy: Vec<u8>,
}

impl Mapped {
    fn open(path: PathBuf) -> Self {
        let file = File::open(&path).unwrap();
        let bytes = file.metadata().unwrap().len() as usize;
        // SAFETY: a new mapping of a file of that length.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(base, libc::MAP_FAILED);
        Self { path, base: base.cast_const().cast(), bytes, copy: Vec::new() }
    }

    fn now(&self) -> &[u8] {
        // SAFETY: the mapping is that long, and who writes there is stopped.
        unsafe { std::slice::from_raw_parts(self.base, self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by this value.
        unsafe { libc::munmap(self.base.cast_mut().cast(), self.bytes) };
    }
}

/// The live folder of a process.
pub(crate) struct Live {
    files: Vec<Mapped>,
    folder: PathBuf,
}

impl Live {
    /// The one under `shm`.
    pub(crate) fn open(shm: &Path) -> Self {
        let folder = live_folder(shm);
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        // Files without bytes are locked, not mapped.
        paths.retain(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0));
        Self { files: paths.into_iter().map(Mapped::open).collect(), folder }
    }

    /// Whether any byte is another one than at the last call.
    pub(crate) fn has_changed(&mut self) -> bool {
        let mut changed = false;
        for file in &mut self.files {
            if file.now() != file.copy {
                file.copy = file.now().to_vec();
                changed = true;
            }
        }
        changed
    }

    /// Puts what was there at the last [`has_changed`](Self::has_changed) under `to`, which stands for `shm`.
    pub(crate) fn put(&self, shm: &Path, to: &Path) {
        for file in &self.files {
            fs::write(to.join(file.path.strip_prefix(shm).unwrap()), &file.copy).unwrap();
        }
    }

    fn control(&self) -> &Control {
        let file = self.files.iter().find(|file| file.path == self.folder.join("control")).unwrap();
        // SAFETY: the page is as large as its layout says, and all its fields are atomics.
        unsafe { &*file.base.cast::<Control>() }
    }

    /// Records in the journal, as the writer says.
    pub(crate) fn written(&self) -> u64 {
        self.control().writer.written.load(Ordering::Acquire)
    }
}

/// The live folder of the only process under `shm`.
pub(crate) fn live_folder(shm: &Path) -> PathBuf {
    let directories = |path: &Path| {
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    directories(&directories(shm)[0])[0].clone()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).recursive(true).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
