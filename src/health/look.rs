//! The processes of a log directory as anybody finds them: read, not mapped, so that they notice nothing and need not live.

use super::vitals::{self, Life, Now, Rings, Vitals};
use crate::reader::live::{Owner, owner};
use crate::ring::pool::RINGS_MAX;
use crate::shm::control;
use crate::shm::control_page::{ControlPage, HealthPage, Page};
use crate::shm::directory::{JOURNAL, POINTER, copied_from, is_of_another, read_text};
use crate::shm::folder::{CONTROL, HEALTH, SERVICES, ring_name};
use crate::shm::health_page;
use crate::shm::journal;
use crate::shm::services_page::ServicesWords;
use crate::sys::file::open_regular;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The processes whose live memory is there, in the order of their start.
    pub processes: Vec<Vitals>,
    /// What is there and cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// The live folder of each process of the log directory `dir` that has one.
///
/// Names in shared memory can be taken by anyone: one that does not belong to the owner of the journal is passed over.
pub(crate) fn live_folders(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    let journals = dir.join(JOURNAL);
    let copied = copied_from(&journals).is_some();
    for entry in fs::read_dir(&journals)?.filter(|_| !copied) {
        let entry = entry?;
        let (Ok(name), pointer) = (entry.file_name().into_string(), entry.path().join(POINTER)) else { continue };
        let (Ok(text), Ok(about)) = (read_text(&pointer), fs::symlink_metadata(&pointer)) else { continue };
        let live = PathBuf::from(text.trim_end());
        let theirs = fs::symlink_metadata(&live).is_ok_and(|there| there.is_dir() && there.uid() == about.uid());
        if live.is_absolute()
            && live.file_name() == Some(entry.file_name().as_os_str())
            && theirs
            && !is_elsewhere(&entry.path(), &live)
            && !is_of_another(&live, &journals)
        {
            folders.push((name, live));
        }
    }
    folders.sort_unstable();
    Ok(folders)
}

/// Whether the process of `live` logs to another directory, of which the one with the journal `folder` is a copy: it runs,
/// and does not hold this folder.
fn is_elsewhere(folder: &Path, live: &Path) -> bool {
    let runs = || {
        let control = open_regular(&live.join(CONTROL)).ok().flatten().and_then(|file| ControlPage::copy(&file).ok());
        control.is_some_and(|page| page.identity.state.load(Ordering::Relaxed) == control::state::RUNNING)
    };
    owner(live) == Owner::Alive && runs() && journal::is_let_go(folder)
}

/// Looks at all processes of the log directory `dir`.
///
/// # Errors
/// When the directory, or its folder of journals, cannot be listed.
pub fn look(dir: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for (name, live) in live_folders(dir)? {
        match process(&name, &live) {
            Ok(vitals) => found.processes.extend(vitals),
            Err(error) => found.unreadable.push(format!("{name}: {error}")),
        }
    }
    Ok(found)
}

/// Looks at the process whose live folder is `live`; `None` where there is none, or it is only just starting.
pub(crate) fn process(name: &str, live: &Path) -> io::Result<Option<Vitals>> {
    let life = match owner(live) {
        Owner::Alive => Life::Alive,
        Owner::Dead => Life::Dead,
        Owner::Unknown => return Ok(None),
    };
    let Some(file) = open_regular(&live.join(CONTROL))? else { return Ok(None) };
    let control = ControlPage::copy(&file)?;
    match control.identity.magic.load(Ordering::Acquire) {
        control::MAGIC => {}
        0 => return Ok(None),
        _ => return Err(other("its control page is damaged")),
    }
    let version = control.identity.version.load(Ordering::Relaxed);
    if version != control::VERSION {
        return Err(other(&format!(
            "its control page has version {version}, this program knows {}; use the tacho of the program that logs",
            control::VERSION
        )));
    }
    let page = open_regular(&live.join(HEALTH))?.map(|file| HealthPage::copy(&file)).transpose()?;
    let page = page.filter(|page| health_page::is_ours(page));
    let rings = rings(live);
    let services = open_regular(&live.join(SERVICES))?.map(|file| Page::<ServicesWords>::copy(&file)).transpose()?;
    // Last, so that nothing that was read is younger.
    let mut vitals = Vitals::take(name, life, (&control, page.as_deref()), rings, Now::read());
    vitals.services = services.map(|page| page.read()).unwrap_or_default();
    Ok(Some(vitals))
}

/// The rings in a live folder.
pub(crate) fn rings(live: &Path) -> Rings {
    let look = |number: u16| {
        let file = open_regular(&live.join(ring_name(number))).ok()??;
        let header = Page::<crate::ring::protocol::RingHeader>::copy(&file).ok()?;
        let bytes = file.metadata().ok()?.len().saturating_sub(crate::sys::map::page_bytes() as u64);
        Some(vitals::ring(u32::from(number), &header, bytes))
    };
    (0..RINGS_MAX as u16).map_while(look).collect()
}

fn other(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
