//! Brings what dead processes left in shared memory into a log directory, on request: what `tacho recover` does.
//!
//! A logger that runs in the directory, or starts there, does the same by itself.

use crate::config::{Config, Idle, WriterCore};
use crate::error::Error;
use crate::logger::start::start_isolated;
use crate::logger::tenancy::Tenancy;
use crate::reader::live::{Owner, owner};
use crate::recovery;
use crate::ring::waiting::waiting_records;
use crate::shm::directory::{self, JOURNAL};
use crate::shm::folder::{ARCHIVER, CONTROL, Folder, LOCK, directory_folder, ring_name};
use crate::sys::file::open_regular;
use crate::sys::holders::{Holders, holders};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The directory of the shared-memory file system, as in [`Config::shm_dir`].
    pub shm_dir: PathBuf,
    /// Only say what there is.
    pub dry_run: bool,
    /// Recover this process (its journal's name, or its number) although a lock says that it lives: a forked child that
    /// did not exec holds the lock of its dead parent, if it was forked behind the C library's back.
    pub force: Option<String>,
    /// How long writing the views may take.
    pub time_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let shm_dir = PathBuf::from("/dev/shm");
        Self { shm_dir, dry_run: false, force: None, time_max: Duration::from_secs(600) }
    }
}

/// What became of a process's live memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The process lives; its memory was left alone.
    Alive,
    /// The process is dead, and what it left is on disk.
    Recovered,
    /// The process is dead; nothing was done, as was asked.
    Dead,
}

/// A process that has live memory, or had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Name of its journal.
    pub process: String,
    /// What became of it.
    pub fate: Fate,
    /// Records that were in rings only. Of the living: 0.
    pub records: u64,
    /// Bytes by which its journal on disk grew.
    pub bytes: u64,
    /// What of its memory was damaged, in words; the log has them too.
    pub damage: Vec<String>,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Each process with live memory.
    pub processes: Vec<Found>,
    /// What could not be recovered, and why.
    pub failed: Vec<String>,
    /// Why the views could not be brought up to date, if they could not.
    pub views: Option<String>,
    /// Where the directory stood of which this one is a copy. What its processes left in shared memory is the original's, and was
    /// not touched.
    pub copy_of: Option<String>,
}

/// Records that dead processes of the log directory `dir` have in their rings, by process. Changes nothing.
pub fn left_in_rings(dir: &Path) -> Vec<(String, u64)> {
    let found = recovery::live_folders(dir, None);
    let dead = found.folders.iter().filter(|live| owner(live) == Owner::Dead);
    dead.map(|live| (name_of(live), records_in_rings(live))).filter(|(_, records)| *records > 0).collect()
}

/// Recovers the dead of the log directory `dir`, and brings the views up to date, unless somebody else does that.
///
/// # Errors
/// When there is no log directory, or its stored configuration cannot be used.
pub fn recover(dir: &Path, options: &Options) -> Result<Report, Error> {
    let journals = dir.join(JOURNAL);
    if !journals.is_dir() {
        let advice = "give the directory that the program logs to with -D DIR, or set TACHO_DIR";
        let error = io::Error::new(io::ErrorKind::NotFound, "no journal is in it");
        return Err(Error::io("cannot recover", dir, error, advice));
    }
    // Before anybody gives it an identity of its own.
    let copy_of = directory::copied_from(&journals);
    let tenancy = if options.dry_run { None } else { Tenancy::join(&journals)? };
    let shared = match copy_of {
        Some(_) => None,
        None => Some(directory_folder(&options.shm_dir, &directory::identity(&journals)?)),
    };
    let mut report = Report { copy_of, ..Report::default() };
    let found = recovery::live_folders(dir, shared.as_deref());
    report.failed.extend(found.fault.map(|error| error.to_string()));
    for live in found.folders {
        let process = name_of(&live);
        let forced = options.force.as_ref().is_some_and(|name| is_called(&live, name));
        match (owner(&live), options.dry_run, forced) {
            (Owner::Unknown, ..) => continue,
            (Owner::Dead, true, _) => {
                let records = records_in_rings(&live);
                report.processes.push(Found { process, fate: Fate::Dead, records, bytes: 0, damage: Vec::new() });
                continue;
            }
            (Owner::Alive, false, true) => {
                if let Err(error) = break_locks(&live, &journals) {
                    report.failed.push(format!("{process}: {error}"));
                    continue;
                }
            }
            (Owner::Alive, ..) => {
                report.processes.push(Found { process, fate: Fate::Alive, records: 0, bytes: 0, damage: Vec::new() });
                continue;
            }
            (Owner::Dead, false, _) => {}
        }
        let before = bytes_of(&journals.join(&process));
        match recovery::recover_one(&journals, &live) {
            Ok(None) if forced && live.exists() => {
                report.failed.push(format!("{process}: somebody else is at work on what it left; try again"));
            }
            Ok(recovered) => {
                let (records, damage) = recovered.map_or((0, Vec::new()), |it| (it.records, it.damage));
                let bytes = bytes_of(&journals.join(&process)).saturating_sub(before);
                report.processes.push(Found { process, fate: Fate::Recovered, records, bytes, damage });
            }
            Err(error) => report.failed.push(format!("{process}: {error}")),
        }
    }
    if let Some((_tenancy, stored)) = tenancy {
        let views = stored.views().map_err(|error| Error::config("the stored views", error))?;
        report.views = render(dir, options, views).err().map(|error| error.to_string());
    }
    Ok(report)
}

/// Has the views written by a logger that logs nothing: it renders if nobody else does.
fn render(dir: &Path, options: &Options, views: crate::view::Config) -> Result<(), Error> {
    let mut config = Config::new(dir)
        .shm_dir(&options.shm_dir)
        .segments(3_usize)
        .segment_bytes(64_usize << 10)
        .record_bytes_max(4_usize << 10)
        .ring_bytes(64_usize << 10)
        .rings_spare(0_usize)
        .table_bytes(64_usize << 10)
        .writer_core(WriterCore::Unpinned)
        .idle(Idle::Sleep)
        .archive_compress(false)
        .health_interval(Duration::ZERO)
        .archive_bytes_max(1_u64 << 50);
    config.views = Some(views);
    start_isolated(config)?.close(options.time_max)
}

fn name_of(live: &Path) -> String {
    live.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether `name` is the journal's name or the process's number.
fn is_called(live: &Path, name: &str) -> bool {
    name_of(live) == name || pid_of(live).is_some_and(|pid| name.parse() == Ok(pid))
}

/// The process's number in its own namespace, as its control page says.
fn pid_of(live: &Path) -> Option<u32> {
    use std::os::unix::fs::FileExt as _;
    let control = open_regular(&live.join(CONTROL)).ok()??;
    let mut word = [0; 4];
    let at = std::mem::offset_of!(crate::shm::control::Control, identity.pid) as u64;
    control.read_exact_at(&mut word, at).ok()?;
    Some(u32::from_le_bytes(word))
}

fn records_in_rings(live: &Path) -> u64 {
    let rings = (0..crate::ring::pool::RINGS_MAX as u16).map_while(|number| {
        let file = open_regular(&live.join(ring_name(number))).ok()??;
        Some(waiting_records(&file).unwrap_or(0))
    });
    rings.sum()
}

fn bytes_of(journal: &Path) -> u64 {
    let entries = std::fs::read_dir(journal).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

/// Makes the dead owner's lock free, if its owner is dead for sure, and the renderer's with it.
fn break_locks(live: &Path, journals: &Path) -> io::Result<()> {
    let refused = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
    let pid = pid_of(live).ok_or_else(|| refused("its control page does not say whose it is".to_owned()))?;
    match holders(&live.join(LOCK))? {
        Holders { pids, owner_numbers, hidden: false } if !pids.is_empty() && !owner_numbers.contains(&pid) => {
            let by_the_same = |path: &Path| {
                let others = holders(path).unwrap_or_default().pids;
                !others.is_empty() && others.iter().all(|holder| pids.contains(holder))
            };
            let renderer = journals.join(crate::worker::views::ELECTION);
            if by_the_same(&renderer) {
                std::fs::remove_file(&renderer)?;
            }
            // A collector may be at work there, which goes on.
            if by_the_same(&live.join(ARCHIVER)) {
                Folder::break_archiver(live)?;
            }
            Folder::break_lock(live)
        }
        Holders { owner_numbers, .. } if owner_numbers.contains(&pid) => {
            Err(refused(format!("process {pid} is alive and has its lock open; stop it first")))
        }
        _ => Err(refused(
            "it cannot be told who holds its lock: run this as the same user or root, in the same container".to_owned(),
        )),
    }
}
