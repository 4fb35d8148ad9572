//! `tacho archive`: what `cleanup --emergency` and `archive create` made.

mod create;
mod delete;
mod extract;
mod stream;
mod verify;

use crate::args::{Archive, ArchiveList, Args};
use crate::cleanup::ARCHIVE_DIR;
use crate::cleanup::manifest::Manifest;
use crate::table::{Align, Table};
use crate::talk::Talk;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// Version of what `--json` gives.
const SCHEMA: u32 = 1;

pub(crate) fn run(args: &Args, archive: &Archive) -> io::Result<ExitCode> {
    match archive {
        Archive::List(list) => self::list(args, list),
        Archive::Create(create) => create::run(args, create),
        Archive::Verify(verify) => verify::run(args, verify),
        Archive::Extract(extract) => extract::run(args, extract),
        Archive::Cleanup(cleanup) => delete::run(args, cleanup),
    }
}

/// An archive on disk.
struct Found {
    name: String,
    path: PathBuf,
    /// `None` for a folder that was begun, and has no manifest yet.
    manifest: Option<Manifest>,
    disk_bytes: u64,
}

/// All archives, the oldest first. What cannot be read is said.
fn find(args: &Args, talk: &mut Talk) -> io::Result<Vec<Found>> {
    let parent = args.dir.join(ARCHIVE_DIR);
    let entries = match fs::read_dir(&parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && args.dir.is_dir() => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "give the directory that the program logs to with -D DIR, or set TACHO_DIR";
            let error = context(&error, "look for archives in", &args.dir);
            return Err(io::Error::new(ErrorKind::NotFound, format!("{error}\n{advice}")));
        }
        Err(error) => return Err(context(&error, "list the archives in", &parent)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        match Manifest::read(&path) {
            Err(error) => talk.trouble(error.to_string()),
            Ok(manifest) => {
                let files = fs::read_dir(&path).into_iter().flatten().flatten();
                let disk_bytes = files.filter_map(|file| file.metadata().ok()).map(|about| about.blocks() * 512).sum();
                found.push(Found { name, path, manifest, disk_bytes });
            }
        }
    }
    found.sort_by_key(|found| (found.manifest.as_ref().map(|manifest| manifest.created), found.name.clone()));
    Ok(found)
}

fn one(args: &Args, name: &str) -> io::Result<(PathBuf, Manifest)> {
    let path = args.dir.join(ARCHIVE_DIR).join(name);
    let manifest = if is_plain(name) { Manifest::read(&path)? } else { None };
    let none = || {
        let what = format!(
            "no archive {name:?} with a manifest in {}; tacho archive list shows what there is",
            args.dir.display()
        );
        io::Error::new(ErrorKind::NotFound, what)
    };
    Ok((path, manifest.ok_or_else(none)?))
}

fn list(args: &Args, list: &ArchiveList) -> io::Result<ExitCode> {
    let mut talk = Talk::new(args);
    let found = find(args, &mut talk)?;
    if list.json {
        let archives: Vec<Value> = found
            .iter()
            .map(|found| json!({"name": found.name, "disk_bytes": found.disk_bytes, "manifest": found.manifest}))
            .collect();
        writeln!(io::stdout(), "{}", json!({"schema": SCHEMA, "archives": archives}))?;
        return Ok(talk.code());
    }
    if found.is_empty() {
        talk.say("no archives".to_owned());
        return Ok(talk.code());
    }
    let head = ["created", "files", "bytes", "compressed", "ratio", "name"];
    let mut table = Table::new(head.map(|name| (name, Align::Right)).into_iter().collect());
    table.align_last(Align::Left);
    for Found { name, manifest, disk_bytes, .. } in &found {
        let Some(manifest) = manifest else {
            table.row(["interrupted".into(), "-".into(), "-".into(), disk_bytes.to_string(), "-".into(), name.clone()]);
            continue;
        };
        let (bytes, compressed) = sums(manifest);
        table.row([
            manifest.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            manifest.files.len().to_string(),
            bytes.to_string(),
            compressed.to_string(),
            format!("{:.1}", bytes as f64 / compressed.max(1) as f64),
            name.clone(),
        ]);
    }
    let mut text = String::new();
    table.push(&mut text);
    io::stdout().write_all(text.as_bytes())?;
    Ok(talk.code())
}

/// Whether a name from outside is that of a file or folder, and no way elsewhere.
fn is_plain(name: &str) -> bool {
    matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)])
}

fn sums(manifest: &Manifest) -> (u64, u64) {
    manifest.files.iter().fold((0, 0), |(bytes, compressed), file| {
        (bytes.saturating_add(file.bytes), compressed.saturating_add(file.compressed_bytes))
    })
}

fn context(error: &io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}
