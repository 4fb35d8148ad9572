//! `tacho archive extract`: files of an archive, inflated and checked.

use super::stream::{BUFFER_BYTES, Tee, hash_of, reader};
use super::{context, is_plain, one};
use crate::args::{ArchiveExtract, Args};
use crate::cleanup::manifest::Entry;
use crate::invalid;
use crate::talk::Talk;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &Args, extract: &ArchiveExtract) -> io::Result<ExitCode> {
    let mut talk = Talk::new(args);
    let (folder, manifest) = one(args, &extract.name)?;
    let wanted = |name: &str| extract.files.is_empty() || extract.files.iter().any(|file| file == name);
    if let Some(unknown) = extract.files.iter().find(|file| !manifest.files.iter().any(|entry| entry.name == **file)) {
        let names: Vec<&str> = manifest.files.iter().map(|entry| entry.name.as_str()).collect();
        return Err(invalid(format!("{} has no file {unknown:?}; it has: {}", extract.name, names.join(", "))));
    }
    for entry in manifest.files.iter().filter(|entry| wanted(&entry.name)) {
        let path = folder.join(&entry.name);
        let unpacked = unpack(&path, entry, extract);
        if let Err(error) = unpacked {
            if error.kind() == ErrorKind::BrokenPipe {
                return Err(error);
            }
            talk.trouble(context(&error, "extract", &path).to_string());
        }
    }
    Ok(talk.code())
}

fn unpack(path: &Path, entry: &Entry, extract: &ArchiveExtract) -> io::Result<()> {
    if !is_plain(&entry.name) {
        return Err(invalid(format!("the manifest names a file elsewhere: {}", entry.name)));
    }
    let mut from = reader(path, entry.as_is)?;
    let (found, target) = if extract.stdout {
        (hash_of(&mut Tee { from, to: io::stdout().lock() }, |_| {})?, None)
    } else {
        let target = extract.to.join(entry.name.strip_suffix(".gz").filter(|_| !entry.as_is).unwrap_or(&entry.name));
        let mut options = OpenOptions::new();
        options.write(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
        let file = if extract.force {
            options.create(true).truncate(true).open(&target)
        } else {
            options.create_new(true).open(&target)
        };
        let file = file.map_err(|error| context(&error, "create", &target))?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let found = hash_of(&mut Tee { from: &mut from, to: &mut out }, |_| {})?;
        out.flush()?;
        (found, Some(target))
    };
    if found == (entry.bytes, entry.sha256.clone()) {
        return Ok(());
    }
    let to = target.map_or_else(String::new, |target| format!(" in {}", target.display()));
    Err(io::Error::new(ErrorKind::InvalidData, format!("what came out{to} is not what was archived")))
}
