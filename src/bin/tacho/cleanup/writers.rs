//! Who has a file open for writing, and how, as `/proc` tells.

use rustix::fs::OFlags;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The processes that may write to a file.
#[derive(Clone, Default, Debug)]
pub(crate) struct Writers {
    pub(crate) pids: Vec<u32>,
    /// One of them does not write at the end, but at a place of its own.
    pub(crate) elsewhere: bool,
    /// Every process could be looked into.
    pub(crate) complete: bool,
}

/// Finds them.
pub(crate) fn of(about: &fs::Metadata) -> io::Result<Writers> {
    let mut found = Writers { complete: true, ..Writers::default() };
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let process = entry.path();
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
            // It may just have ended.
            found.complete &= !process.exists();
            continue;
        };
        for descriptor in descriptors.flatten() {
            let is_file = fs::metadata(descriptor.path())
                .is_ok_and(|other| other.ino() == about.ino() && other.dev() == about.dev());
            let flags = is_file.then(|| flags(&process, &descriptor.file_name().to_string_lossy())).flatten();
            let Some(flags) = flags.filter(|flags| flags.intersects(OFlags::WRONLY | OFlags::RDWR)) else { continue };
            found.elsewhere |= !flags.contains(OFlags::APPEND);
            if !found.pids.contains(&pid) {
                found.pids.push(pid);
            }
        }
    }
    Ok(found)
}

/// The flags that a descriptor was opened with.
fn flags(process: &Path, descriptor: &str) -> Option<OFlags> {
    let text = fs::read_to_string(process.join("fdinfo").join(descriptor)).ok()?;
    let octal = text.lines().find_map(|line| line.strip_prefix("flags:"))?.trim();
    u32::from_str_radix(octal, 8).ok().map(OFlags::from_bits_retain)
}
