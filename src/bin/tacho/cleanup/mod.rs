//! `tacho cleanup`: `--vacuum-…` is in [`vacuum`]; with `--emergency` giant logs of others go compressed to `archive/emergency_<time>/`, and their space comes back.
//!
//! Nothing that a file held, or that a program appends meanwhile, is lost: a piece of the file is compressed and written,
//! read back and inflated, compared with the file, and only then given back, where it stands. So it needs little
//! room on a disk that is full, and may be killed at any time: what was archived is whole then, and what was not is where it
//! was. A piece that was archived, but not yet given back when it was killed, stands in both.

mod candidates;
mod lease;
pub(crate) mod manifest;
pub(crate) mod progress;
mod squeeze;
mod vacuum;
mod writers;

use crate::args::{Args, Cleanup};
use crate::talk::Talk;
use candidates::Candidate;
use jiff::Timestamp;
use manifest::{Entry, Manifest};
use progress::Progress;
use squeeze::{Squeeze, Way};
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use writers::Writers;

/// Folder of archives in a log directory.
pub(crate) const ARCHIVE_DIR: &str = "archive";

pub(crate) fn run(args: &Args, cleanup: &Cleanup) -> io::Result<ExitCode> {
    if !cleanup.emergency {
        return vacuum::run(args, cleanup);
    }
    let mut talk = Talk::new(args);
    let found = candidates::find(&args.dir, &cleanup.paths, cleanup.larger_than, &mut talk)?;
    if found.is_empty() {
        talk.say(format!("no log of another program is larger than {} bytes", cleanup.larger_than));
        return Ok(talk.code());
    }
    let mut reports = Vec::new();
    let name = Timestamp::now().strftime("emergency_%Y%m%dT%H%M%SZ").to_string();
    let archive = if cleanup.dry_run { None } else { Some(create(&args.dir, &name)?) };
    let mut manifest = archive.as_deref().map(Manifest::new);
    for candidate in &found {
        let done = match &mut manifest {
            None => plan(candidate, cleanup),
            Some(manifest) => one(args, candidate, cleanup, manifest),
        };
        match done {
            Ok(report) => reports.push(report),
            // The others have their turn all the same.
            Err(error) => talk.trouble(format!("{}: {error}", candidate.path.display())),
        }
    }
    if let Some(folder) = archive.filter(|_| manifest.is_none_or(|manifest| manifest.files.is_empty())) {
        // Nothing was put into it; it stays where it is not empty all the same.
        let _ = fs::remove_dir(folder);
    }
    print(&reports, cleanup.json)?;
    Ok(talk.code())
}

/// What was done with a file, or would be.
#[derive(Debug, serde::Serialize)]
struct Report {
    path: PathBuf,
    /// What was archived.
    bytes: u64,
    /// What that takes now; nothing is known of it before it is done.
    compressed_bytes: Option<u64>,
    /// Where it is.
    archived_to: Option<PathBuf>,
    way: Way,
    /// Processes that have the file open for writing.
    writers: Vec<u32>,
}

fn plan(candidate: &Candidate, cleanup: &Cleanup) -> io::Result<Report> {
    let squeeze = Squeeze::open(&candidate.path, cleanup.truncate)?;
    Ok(Report {
        path: candidate.path.clone(),
        bytes: squeeze.bytes(),
        compressed_bytes: None,
        archived_to: None,
        way: squeeze.way(),
        writers: squeeze.writers().pids.clone(),
    })
}

fn one(args: &Args, candidate: &Candidate, cleanup: &Cleanup, manifest: &mut Manifest) -> io::Result<Report> {
    let mut squeeze = Squeeze::open(&candidate.path, cleanup.truncate)?;
    let mut progress = Progress::new(args.quiet, &candidate.path, squeeze.bytes());
    let target = manifest.target(&candidate.name, ".gz")?;
    let done = squeeze.run(&target, cleanup.level, |bytes| progress.advance(bytes));
    progress.end();
    // What was archived before a failure is archived.
    if squeeze.archived() > 0 {
        manifest.add(Entry {
            name: target.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            source: candidate.path.clone(),
            bytes: squeeze.archived(),
            compressed_bytes: squeeze.compressed(),
            sha256: squeeze.sha256(),
            as_is: false,
        })?;
    } else {
        // Nothing is in it.
        let _ = fs::remove_file(&target);
    }
    done?;
    Ok(Report {
        path: candidate.path.clone(),
        bytes: squeeze.archived(),
        compressed_bytes: Some(squeeze.compressed()),
        archived_to: (squeeze.archived() > 0).then_some(target),
        way: squeeze.way(),
        writers: squeeze.writers().pids.clone(),
    })
}

/// Makes the folder of a new archive.
pub(crate) fn create(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let context =
        |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("create {}: {error}", path.display()));
    let parent = dir.join(ARCHIVE_DIR);
    let mut builder = DirBuilder::new();
    builder.mode(0o750).recursive(true).create(&parent).map_err(|error| context(&parent, error))?;
    builder.recursive(false);
    for number in 1..100 {
        let path = parent.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        match builder.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path.clone()).map_err(|error| context(&path, error)),
        }
    }
    Err(context(&parent.join(name), io::ErrorKind::AlreadyExists.into()))
}

fn print(reports: &[Report], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let text = serde_json::to_string(&serde_json::json!({"schema": 1, "files": reports}))?;
        let text = tachograph::format::escape::harmless_json(&text);
        return writeln!(out, "{text}");
    }
    for report in reports {
        let way = match report.way {
            Way::Collapse => "its beginning taken off",
            Way::Punch => "a hole in its place",
            Way::Truncate => "emptied",
        };
        let path = crate::talk::shown(&report.path.display().to_string());
        match (&report.archived_to, report.compressed_bytes) {
            (Some(to), Some(compressed)) => {
                let ratio = report.bytes as f64 / compressed.max(1) as f64;
                let to = crate::talk::shown(&to.display().to_string());
                writeln!(out, "{path}: {} bytes, now {compressed} (1/{ratio:.1}) in {to}; {way}", report.bytes)?;
            }
            (None, None) => writeln!(out, "{path}: {} bytes would be archived; {way}", report.bytes)?,
            (_, _) => writeln!(out, "{path}: nothing to archive but less than a block")?,
        }
    }
    Ok(())
}

impl Writers {
    /// Whether collapsing is safe: all of them are known, and each writes at the end, wherever that is.
    fn all_append(&self) -> bool {
        self.complete && !self.elsewhere
    }
}
