//! A write lease: while it is held, nobody else has the file open, and whoever wants to waits for its end.
//!
//! See `F_SETLEASE` in fcntl(2). The kernel gives one for a file of this user's, or to `CAP_LEASE`, on file systems of its
//! own.

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// The file is ours alone until this is dropped.
pub(crate) struct Lease<'a> {
    file: &'a File,
}

impl<'a> Lease<'a> {
    /// Takes it; `None` when others have the file open, or the file system has no leases. From then on the process ignores
    /// SIGIO, by which the kernel tells that somebody waits for the lease's end, and which would end the process.
    pub(crate) fn take(file: &'a File) -> Option<Self> {
        // SAFETY: ignoring a signal needs no handler.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        set(file, libc::F_WRLCK).then_some(Self { file })
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        set(self.file, libc::F_UNLCK);
    }
}

fn set(file: &File, kind: libc::c_int) -> bool {
    // SAFETY: the descriptor is open; the call has no pointer.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) == 0 }
}
