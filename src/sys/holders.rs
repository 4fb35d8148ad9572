//! Who has a file open, as `/proc` tells.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The processes that have a file open.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// Their numbers here.
    pub(crate) pids: Vec<u32>,
    /// Their numbers in all namespaces that they are in.
    pub(crate) owner_numbers: Vec<u32>,
    /// There are processes of this user that cannot be looked into.
    pub(crate) hidden: bool,
}

/// Finds them.
pub(crate) fn holders(path: &Path) -> io::Result<Holders> {
    let about = fs::symlink_metadata(path)?;
    let user = super::file::user_id();
    let mut found = Holders::default();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let process = entry.path();
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
            // It may just have ended.
            found.hidden |= fs::metadata(&process).is_ok_and(|meta| user == 0 || meta.uid() == user);
            continue;
        };
        let is_file = |descriptor: fs::DirEntry| {
            fs::metadata(descriptor.path()).is_ok_and(|meta| meta.ino() == about.ino() && meta.dev() == about.dev())
        };
        if !descriptors.flatten().any(is_file) {
            continue;
        }
        found.pids.push(pid);
        found.owner_numbers.push(pid);
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        found.owner_numbers.extend(numbers.split_whitespace().filter_map(|number| number.parse::<u32>().ok()));
    }
    Ok(found)
}
