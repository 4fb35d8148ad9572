//! `tacho archive cleanup`: deletes old archives.

use super::{Found, SCHEMA, context, find, is_plain};
use crate::args::{ArchiveCleanup, Args};
use crate::cleanup::manifest::MANIFEST;
use crate::talk::{Talk, shown};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

pub(super) fn run(args: &Args, cleanup: &ArchiveCleanup) -> io::Result<ExitCode> {
    let mut talk = Talk::new(args);
    let now = Timestamp::now();
    let mut found = find(args, &mut talk)?;
    found.retain(|found| found.manifest.is_some());
    let mut kept_bytes = 0_u64;
    let mut deleted = Vec::new();
    for (newer, archive) in found.iter().rev().enumerate() {
        kept_bytes = kept_bytes.saturating_add(archive.disk_bytes);
        let age = archive.manifest.as_ref().map(|manifest| now.duration_since(manifest.created).unsigned_abs());
        let too_old = cleanup.older_than.zip(age).is_some_and(|(max, age)| age > max);
        let too_many = cleanup.keep.is_some_and(|keep| newer >= keep);
        let too_large = cleanup.max_size.is_some_and(|max| kept_bytes > max);
        if too_old || too_many || too_large {
            deleted.push(archive);
        }
    }
    deleted.reverse();
    let mut done = Vec::new();
    for archive in deleted {
        if !cleanup.dry_run
            && let Err(error) = delete(archive)
        {
            talk.trouble(context(&error, "delete", &archive.path).to_string());
            continue;
        }
        done.push(archive);
    }
    let mut out = io::stdout().lock();
    if cleanup.json {
        let names: Vec<Value> =
            done.iter().map(|found| json!({"name": found.name, "disk_bytes": found.disk_bytes})).collect();
        writeln!(out, "{}", json!({"schema": SCHEMA, "dry_run": cleanup.dry_run, "deleted": names}))?;
        return Ok(talk.code());
    }
    for archive in &done {
        let verb = if cleanup.dry_run { "would be deleted" } else { "deleted" };
        writeln!(out, "{}: {} bytes, {verb}", shown(&archive.name), archive.disk_bytes)?;
    }
    if done.is_empty() {
        talk.say("nothing to delete".to_owned());
    }
    Ok(talk.code())
}

/// Deletes an archive: its files, the manifest last; what it does not name stays, and the folder with it.
fn delete(archive: &Found) -> io::Result<()> {
    let files = archive.manifest.iter().flat_map(|manifest| &manifest.files).map(|file| file.name.as_str());
    for name in files.chain([MANIFEST]) {
        if !is_plain(name) {
            continue;
        }
        match fs::remove_file(archive.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(&archive.path)
}
