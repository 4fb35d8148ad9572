//! Records that a receiver will never take: kept as JSON lines, so that somebody can see why, and send them again.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// The file of refused records, bounded.
pub(super) struct Refused {
    path: PathBuf,
    bytes_max: u64,
}

impl Refused {
    pub(super) const fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max }
    }

    /// Appends a line, which is on disk then; `false` where the file has no room for it.
    pub(super) fn keep(&self, line: &str) -> io::Result<bool> {
        let context = |error: io::Error| {
            io::Error::new(error.kind(), format!("keep refused records in {}: {error}", self.path.display()))
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)
            .map_err(context)?;
        let bytes = file.metadata().map_err(context)?.len();
        if bytes.saturating_add(line.len() as u64 + 1) > self.bytes_max {
            return Ok(false);
        }
        file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(context)?;
        Ok(true)
    }
}
