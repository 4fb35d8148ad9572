//! One look at a directory, wherever it is to be had: live memory, `health.json`, or the journals alone.

use super::model::{Disk, Look, Source};
use crate::health;
use crate::talk;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::health::report::Report;

/// How often the directory is measured: the processes do so every five minutes only.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);
/// Files that are counted; of more, nobody waits for the sum.
const FILES_MAX: usize = 100_000;

/// Looks at one directory again and again.
pub(crate) struct Looker<'a> {
    dir: &'a Path,
    measured: Option<(Instant, u64)>,
}

impl<'a> Looker<'a> {
    /// Of this directory.
    ///
    /// # Errors
    /// When it is not there, or nothing in it is Tachograph's.
    pub(crate) fn new(dir: &'a Path) -> io::Result<Self> {
        talk::open(dir)?;
        Ok(Self { dir, measured: None })
    }

    /// How it is now, judged by how it was.
    pub(crate) fn look(&mut self, before: Option<&Look>) -> io::Result<Look> {
        let live = before.filter(|before| before.source == Source::Live).map(|before| &before.report);
        let (source, report) = match health::now(self.dir, live) {
            Ok(report) if !(report.processes.is_empty() && report.unreadable.is_empty()) => (Source::Live, report),
            // Somebody may have copied a directory without its folder of journals, or segments alone.
            looked => match health::stored(self.dir)? {
                Some(report) => (Source::Stored, report),
                None => {
                    let unreadable = looked.err().filter(|error| error.kind() != io::ErrorKind::NotFound);
                    let unreadable = unreadable.map(|error| error.to_string()).into_iter().collect();
                    let dir = self.dir.display().to_string();
                    (Source::Journals, Report::new(&dir, health::unix_ns(), Vec::new(), unreadable))
                }
            },
        };
        let disk = self.disk(&report, source);
        Ok(Look { source, report, disk })
    }

    /// The disk as it is now, with what only the processes know of it.
    fn disk(&mut self, report: &Report, source: Source) -> Disk {
        let measured =
            report.processes.iter().map(|checked| &checked.vitals.disk).filter(|disk| disk.measured_unix_ns != 0);
        let latest = measured.max_by_key(|disk| disk.measured_unix_ns).filter(|_| source == Source::Live);
        let used_bytes = self.measure();
        let known = latest.map_or(Disk { used_bytes, ..Disk::default() }, |disk| Disk {
            used_bytes,
            free_bytes: disk.free_bytes,
            total_bytes: disk.total_bytes,
            cap_bytes: disk.cap_bytes,
            cap_free_bytes: disk.cap_bytes.map(|cap| cap.saturating_sub(used_bytes)),
            full_in_s: disk.full_in_s,
        });
        match rustix::fs::statvfs(self.dir) {
            Ok(now) => Disk {
                free_bytes: now.f_bavail.saturating_mul(now.f_frsize),
                total_bytes: now.f_blocks.saturating_mul(now.f_frsize),
                ..known
            },
            Err(_) => known,
        }
    }

    fn measure(&mut self) -> u64 {
        match self.measured {
            Some((at, bytes)) if at.elapsed() < MEASURE_INTERVAL => bytes,
            _ => {
                let bytes = used(self.dir, &mut FILES_MAX.clone());
                self.measured = Some((Instant::now(), bytes));
                bytes
            }
        }
    }
}

/// What the files below a directory take.
fn used(dir: &Path, files: &mut usize) -> u64 {
    let mut bytes: u64 = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Some(left) = files.checked_sub(1) else { break };
        *files = left;
        let Ok(about) = entry.metadata() else { continue };
        let more = if about.is_dir() { used(&entry.path(), files) } else { about.blocks().saturating_mul(512) };
        bytes = bytes.saturating_add(more);
    }
    bytes
}
