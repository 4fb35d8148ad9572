//! Reads what there is of shippers in a log directory, from outside.

use super::Vitals;
use super::lag::{File, Waiting, waiting};
use super::status::{BYTES_MAX, Status};
use crate::reader::archive::segment_number;
use crate::reader::cursor::{self, Cursor};
use crate::shm::directory::JOURNAL;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The shippers of the log directory `dir`, by name, as they are at `unix_ns`: each that has a cursor. What is there and
/// cannot be read is told to `unreadable`.
///
/// # Errors
/// When the folder of journals cannot be listed.
pub fn look(dir: &Path, unix_ns: i64, unreadable: &mut Vec<String>) -> io::Result<Vec<Vitals>> {
    let folder = dir.join(JOURNAL);
    let mut names = cursor::names(dir)?;
    // Most directories have none, and then nothing more is to be read.
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let cursors = |names: &[String]| -> Vec<Option<Result<Cursor, String>>> {
        let file = |name| folder.join(cursor::file_name(name));
        names.iter().map(|name| read(&file(name), cursor::FILE_BYTES_MAX as u64, Cursor::decode)).collect()
    };
    let before = cursors(&names);
    let mut journals = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if let (Ok(name), Some(files)) = (entry.file_name().into_string(), files(&entry.path())) {
            journals.insert(name, files);
        }
    }
    let after = cursors(&names);
    let mut all = Vec::new();
    for (name, cursors) in names.drain(..).zip(before.into_iter().zip(after)) {
        let cursors = match cursors {
            (Some(Ok(before)), Some(Ok(after))) => (before, after),
            // A cursor that is none spares nothing, as for retention.
            (_, Some(Err(why))) => {
                unreadable.push(format!("{}: {why}", cursor::file_name(&name)));
                continue;
            }
            // Made, forgotten or mended in between.
            _ => continue,
        };
        let status = match read(&folder.join(Status::file_name(&name)), BYTES_MAX, Status::from_json) {
            Some(Err(why)) => {
                unreadable.push(format!("{}: {why}", Status::file_name(&name)));
                Status::default()
            }
            status => status.and_then(Result::ok).unwrap_or_default(),
        };
        // Between the looks at cursor and files the one goes on and the others go: nothing is missing that is not so
        // by both.
        let [before, after] = [&cursors.0, &cursors.1].map(|cursor| waiting(cursor, &journals));
        let waiting = Waiting { missing: before.missing.min(after.missing), ..after };
        all.push(Vitals::new(&name, unix_ns, status, waiting));
    }
    Ok(all)
}

/// What stands in a file, or why that cannot be told; `None` where there is none.
fn read<T>(path: &Path, bytes_max: u64, decode: fn(&[u8]) -> Result<T, String>) -> Option<Result<T, String>> {
    match small(path, bytes_max) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Err(error.to_string())),
        Ok(bytes) => Some(decode(&bytes)),
    }
}

/// The segments in the folder of a journal; `None` where it is none.
fn files(journal: &Path) -> Option<Vec<File>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(journal).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name();
        let name = name.to_str()?;
        if let (Some(number), Ok(about)) = (segment_number(name), entry.metadata()) {
            all.push(File { number, bytes: about.len(), packed: !name.ends_with(".seg") });
        }
    }
    Some(all)
}

fn small(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let Some(file) = crate::sys::file::open_regular(path)? else { return Err(ErrorKind::NotFound.into()) };
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
