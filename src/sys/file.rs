//! Files in shared memory: creation, real allocation, locks.

use crate::clock::instant::is_simulated;
use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a lock is tried while it is waited for.
const LOCK_RETRY: Duration = Duration::from_millis(2);

/// Creates a new file for reading and writing, mode 0600; never follows a link, never opens an existing one.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// Gives a file of ours to `group`, to read: mode 0640.
pub(crate) fn share(file: &File, group: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(file, None, Some(group))?;
    file.set_permissions(std::fs::Permissions::from_mode(0o640))
}

/// The number of a group, by its name or number; `None` where the system knows no such group.
pub(crate) fn group_id(group: &str) -> Option<u32> {
    if let Ok(number) = group.parse() {
        return Some(number);
    }
    let name = CString::new(group).ok()?;
    let mut entry = MaybeUninit::<libc::group>::zeroed();
    let mut found = std::ptr::null_mut();
    // Room for the names of many members.
    let mut text = vec![0; 64 << 10];
    // SAFETY: all of them are as long as said, and live until the call is over.
    unsafe { libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), text.as_mut_ptr(), text.len(), &raw mut found) };
    if found.is_null() {
        return None;
    }
    // SAFETY: zeroed memory is a valid entry, and the call filled it.
    Some(unsafe { entry.assume_init() }.gr_gid)
}

/// The same, or the one that is there.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

/// Opens an existing file for reading, and writing if asked; never follows a link.
pub(crate) fn open_existing(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(write).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}

/// A file without a name in anonymous memory, really allocated.
pub(crate) fn memory_file(name: &CStr, bytes: usize) -> io::Result<File> {
    // SAFETY: `name` is a valid C string for the duration of the call.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else owns it.
    let file = unsafe { File::from_raw_fd(descriptor) };
    allocate(&file, bytes)?;
    Ok(file)
}

/// Gives `file` its size with all pages or blocks behind it; on failure the file is empty again.
pub(crate) fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    if is_simulated() {
        // Pages come when they are touched.
        return file.set_len(bytes as u64);
    }
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    let _errors = super::thread::FileSizeErrors::begin();
    loop {
        // SAFETY: the descriptor is open for the duration of the call.
        let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
        match error {
            0 => return Ok(()),
            libc::EINTR => {}
            _ => {
                // A failed allocation can leave part of the space taken; give it back.
                let _ = file.set_len(0);
                return Err(io::Error::from_raw_os_error(error));
            }
        }
    }
}

/// Takes the lock of `file` for this open descriptor, if nobody has it. `Ok(false)` when somebody has.
///
/// `flock` belongs to the open file, not to the process: it ends when the last descriptor is closed, so it is right for
/// zombies, stopped processes, reused process ids and containers alike.
pub(crate) fn try_lock(file: &File, exclusive: bool) -> io::Result<bool> {
    let operation = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH } | libc::LOCK_NB;
    // SAFETY: the descriptor is open for the duration of the call.
    if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// As [`try_lock`], and waits for it as long as `time`.
pub(crate) fn lock_within(file: &File, exclusive: bool, time: Duration) -> io::Result<bool> {
    let begin = Instant::now();
    while !try_lock(file, exclusive)? {
        if begin.elapsed() >= time {
            return Ok(false);
        }
        std::thread::sleep(LOCK_RETRY);
    }
    Ok(true)
}

/// Lets go of the lock, for all copies of this open file.
pub(crate) fn unlock(file: &File) {
    // SAFETY: the descriptor is open for the duration of the call. It fails for descriptors that are not open only.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// 16 bytes from the kernel's random source.
pub(crate) fn random_16() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: the buffer is valid for 16 bytes; requests of up to 256 bytes are never cut short.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 16 {
        return bytes;
    }
    // Only ancient kernels come here; time and process id are enough to keep two loggers apart.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now.as_nanos() ^ u128::from(std::process::id()) << 96).to_le_bytes()
}

/// The effective user.
pub(crate) fn user_id() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Opens a file that is there to be locked, making it if need be (mode 0640); never follows a link.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// Whether an error is of a kind that passes, for want of descriptors or memory or by a fault of the device, and so says
/// nothing about what was asked for: it is tried again.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let passing = [libc::EIO, libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EINTR, libc::EAGAIN];
    error.raw_os_error().is_some_and(|number| passing.contains(&number))
}

/// Opens a regular file for reading; `None` where there is none. Links are not followed, pipes not waited for.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(Some(file))
}
