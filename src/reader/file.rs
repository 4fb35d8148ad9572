//! Opens files of a journal: regular files only, symbolic links not followed, never waiting for a writer of a pipe.

use crate::sys::file::open_regular;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Adds what was being done, and to which path.
pub(super) fn context(error: &io::Error, doing: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

/// Opens a regular file; `None` where there is none.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    open_regular(path).map_err(|error| context(&error, "open", path))
}

/// Appends at most `bytes_max` bytes from `offset` on; says how many.
pub(super) fn read_at(file: &File, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<usize> {
    let start = out.len();
    out.resize(start + bytes_max, 0);
    let mut got = 0;
    while let Some(space) = out.get_mut(start + got..).filter(|space| !space.is_empty()) {
        match file.read_at(space, offset.saturating_add(got as u64)) {
            Ok(0) => break,
            Ok(bytes) => got += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        }
    }
    out.truncate(start + got);
    Ok(got)
}

/// Reads a small text file; `None` where there is none.
pub(super) fn read_line(path: &Path, bytes_max: u64) -> io::Result<Option<String>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).map_err(|error| context(&error, "read", path))?;
    let text = String::from_utf8(bytes).ok();
    Ok(text.and_then(|text| text.lines().next().map(str::to_owned)))
}
