//! What an error of the file system means, and what to do about it. Pure.

use std::io::{self, ErrorKind};

/// Whether there is no room: the disk is full, or the user's part of it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether an error is the whole disk's, not one file's.
pub fn is_of_disk(error: &io::Error) -> bool {
    is_full(error)
        || error.kind() == ErrorKind::ReadOnlyFilesystem
        || error.raw_os_error() == Some(libc::EIO)
        || super::is_crash(error)
}

/// What to do, as a half sentence to stand behind the error; empty where nothing better is known than the error itself.
pub fn advice(error: &io::Error) -> &'static str {
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        return "; raise the limit on open files (ulimit -n, LimitNOFILE=)";
    }
    if error.raw_os_error() == Some(libc::EIO) {
        return "; the disk or its connection is broken: see the kernel's log";
    }
    match error.kind() {
        ErrorKind::StorageFull => "; free some space: logging goes on by itself",
        ErrorKind::QuotaExceeded => "; free some space or raise the quota: logging goes on by itself",
        ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f, LimitFSIZE=) above segment_bytes",
        ErrorKind::ReadOnlyFilesystem => {
            "; mount it writable again: after an error of the disk it may have to be checked"
        }
        ErrorKind::PermissionDenied => "; give this user the right to write there",
        _ => "",
    }
}

/// The error with what was being done before it and what to do behind it.
pub fn say(doing: &str, error: &io::Error) -> String {
    let advice = advice(error);
    let said = error.to_string();
    // An error that was passed on through several hands has its advice already.
    if said.ends_with(advice) { format!("{doing}: {said}") } else { format!("{doing}: {said}{advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do_once() {
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let said = say("appending to x.log", &full);
        assert!(said.starts_with("appending to x.log: No space left") && said.contains("free some space"), "{said}");
        let again = say("writing", &io::Error::new(full.kind(), said.clone()));
        assert_eq!(again, format!("writing: {said}"));
        assert!(advice(&io::Error::from_raw_os_error(libc::EMFILE)).contains("open files"));
    }

    #[test]
    fn the_whole_disk_is_told_from_one_file() {
        for number in [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EROFS] {
            assert!(is_of_disk(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for number in [libc::EACCES, libc::EMFILE, libc::EFBIG, libc::EISDIR] {
            assert!(!is_of_disk(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
