//! The worker as a process of its own, for all processes that log to a directory with [`Worker::External`](crate::Worker).
//!
//! It attaches to living processes that nobody archives, recovers dead ones, and renders if it is elected. Everything
//! that it knows stands in shared memory or on disk, so it may be killed at any instant; the next one goes on.

use super::process::Attached;
use super::{Done, PAUSE_AFTER_FAULT, UPKEEP_INTERVAL, Worker, views};
use crate::config::Config;
use crate::config::stored::Stored;
use crate::config::terms::{self, Terms};
use crate::disk::{Disk, RealDisk, read_small};
use crate::logger::core::Wishes;
use crate::logger::tenancy::Tenancy;
use crate::reader::live::{Owner, owner};
use crate::recovery::{self, LiveFolders};
use crate::shm::directory::{self, JOURNAL};
use crate::shm::folder::{TERMS, directory_folder, remove_if_last};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// File whose lock says who collects.
const COLLECTOR: &str = "collector";
/// How long a collector sleeps when nothing happens.
const PAUSE: Duration = Duration::from_millis(5);
/// How long one that is to end takes for what the disk does not let it do.
const END_MAX: Duration = Duration::from_secs(5);

/// What a collector does beside its work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The directory of the shared-memory file system, as in [`Config::shm_dir`](crate::Config::shm_dir).
    pub shm_dir: PathBuf,
    /// End when no process is left that logs to the directory, and everything is in the files.
    pub exit_when_idle: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { shm_dir: PathBuf::from("/dev/shm"), exit_when_idle: false }
    }
}

/// Collects what is logged to the directory `dir`, until `stop` is set: archives journals, writes the views, compresses,
/// recovers the dead. What there is to say goes to `say`, a sentence at a time.
///
/// Waits for the directory to come, and while another collector is at work there. When `stop` is set, everything logged by
/// then is brought to the files and synced, within 5 s; what the disk does not take stays in shared memory.
///
/// # Errors
/// When the directory cannot be opened. Faults after that are said and tried again.
pub fn collect(dir: &Path, options: &Options, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> io::Result<()> {
    let mut said = BTreeSet::new();
    let mut once = |text: String| {
        if !said.contains(&text) {
            say(&text);
            said.insert(text);
        }
    };
    let stopped = || stop.load(Ordering::Relaxed);
    // Held to the end.
    let mut lock = None;
    while lock.is_none() {
        if stopped() {
            return Ok(());
        }
        match RealDisk::open(dir).and_then(|disk| disk.folder(JOURNAL)) {
            Ok(journals) => {
                lock = journals.lock(COLLECTOR)?;
                if lock.is_none() {
                    once(format!("{}: another collector is at work; waiting to take over", dir.display()));
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if options.exit_when_idle => return Ok(()),
            Err(_) => once(format!("{}: waiting for a logger to start", dir.display())),
        }
        if lock.is_none() {
            std::thread::sleep(UPKEEP_INTERVAL);
        }
    }
    let id = directory::identity(&dir.join(JOURNAL)).map_err(io::Error::other)?;
    let shared = directory_folder(&options.shm_dir, &id);
    once(format!("{}: collecting", dir.display()));
    let mut collector = Collector { dir: dir.to_path_buf(), shared, worker: None, tenancy: None, looked_at: None };
    loop {
        if stopped() {
            return collector.end(&mut once);
        }
        let done = collector.step(&mut once)?;
        if options.exit_when_idle && collector.is_idle(done) {
            return collector.end(&mut once);
        }
        match done {
            Done { fault: true, .. } => std::thread::sleep(PAUSE_AFTER_FAULT),
            Done { more: true, .. } => {}
            Done { .. } => std::thread::sleep(PAUSE),
        }
    }
}

/// The collector of one directory.
struct Collector {
    dir: PathBuf,
    /// The folder of live folders.
    shared: PathBuf,
    /// Made when the first process tells how its directory is to be worked.
    worker: Option<(Worker, Terms)>,
    /// The right to render the directory's views.
    tenancy: Option<Tenancy>,
    looked_at: Option<Instant>,
}

impl Collector {
    fn step(&mut self, once: &mut dyn FnMut(String)) -> io::Result<Done> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= UPKEEP_INTERVAL) {
            self.looked_at = Some(Instant::now());
            self.look(once)?;
        }
        let Some((worker, _)) = &mut self.worker else { return Ok(Done { more: false, fault: false }) };
        let done = worker.step(Wishes::default());
        if let Some(trouble) = worker.trouble() {
            once(format!("{}: {trouble}", self.dir.display()));
        }
        Ok(done)
    }

    /// Attaches to processes that came, and leaves those that died to recovery.
    fn look(&mut self, once: &mut dyn FnMut(String)) -> io::Result<()> {
        let LiveFolders { folders, fault } = recovery::live_folders(&self.dir, Some(&self.shared));
        if let Some(fault) = fault {
            once(fault.to_string());
        }
        if self.worker.is_none() {
            let Some(terms) = folders.iter().find_map(|live| self.terms(live, once)) else { return Ok(()) };
            let config: Config = terms.config(&self.dir).map_err(io::Error::other)?;
            // Who starts with other views while this renders is refused.
            let views = Stored::of(&views::check(&config).map_err(io::Error::other)?);
            match Tenancy::enter(&self.dir.join(JOURNAL), &views) {
                Ok(tenancy) => self.tenancy = Some(tenancy),
                Err(error) => {
                    once(error.to_string());
                    return Ok(());
                }
            }
            let disk = RealDisk::open(&self.dir)?;
            self.worker = Some((Worker::on(disk, &config, &self.dir, Some(&self.shared), None)?, terms));
        }
        for live in &folders {
            let known = |worker: &Worker| live.file_name().is_some_and(|name| worker.tends(name));
            if self.worker.as_ref().is_none_or(|(worker, _)| known(worker)) {
                continue;
            }
            match Attached::to(live) {
                Ok(Some(process)) => self.attach(process, live, once)?,
                Ok(None) => {}
                Err(error) => once(format!("{}: {error}", live.display())),
            }
        }
        if let Some((worker, _)) = &mut self.worker {
            worker.release_dead();
        }
        Ok(())
    }

    fn attach(&mut self, process: Attached, live: &Path, once: &mut dyn FnMut(String)) -> io::Result<()> {
        let theirs = self.terms(live, once);
        let Some((worker, ours)) = &mut self.worker else { return Ok(()) };
        let difference = theirs.map(|theirs| ours.difference(&theirs)).filter(|text| !text.is_empty());
        let remark = difference.map(|difference| {
            format!("the collector works by the settings that it found first: for this process, {difference}")
        });
        if let Some(remark) = &remark {
            once(format!("{}: {remark}", live.display()));
        }
        let first = process.archived();
        worker.tend(Arc::new(process), first, remark.unwrap_or_default())
    }

    /// What the process in `live` was told of its worker.
    fn terms(&self, live: &Path, once: &mut dyn FnMut(String)) -> Option<Terms> {
        let bytes = RealDisk::open(live).and_then(|folder| read_small(&folder, TERMS, terms::BYTES_MAX));
        // None where the process is only just starting, or already gone.
        let bytes = bytes.ok().flatten()?;
        Terms::decode(&bytes)
            .map_err(|error| once(format!("{}: its worker's settings cannot be used: {error}", live.display())))
            .ok()
    }

    /// Whether no process is left, and everything of those that were is in the files.
    fn is_idle(&self, done: Done) -> bool {
        let found = recovery::live_folders(&self.dir, Some(&self.shared));
        let quiet = found.fault.is_none() && found.folders.iter().all(|live| owner(live) == Owner::Unknown);
        quiet && !done.more && !done.fault && self.worker.as_ref().is_none_or(|(worker, _)| worker.is_done())
    }

    /// Brings to the files what was logged by now.
    fn end(mut self, once: &mut dyn FnMut(String)) -> io::Result<()> {
        let Some((worker, _)) = &mut self.worker else { return Ok(()) };
        worker.release_dead();
        worker.recover_next();
        let until = Instant::now() + END_MAX;
        while !worker.finish() {
            if Instant::now() >= until {
                let trouble = worker.trouble().unwrap_or("there was too much");
                once(format!("{}: ended with records left in shared memory: {trouble}", self.dir.display()));
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        remove_if_last(&self.shared);
        Ok(())
    }
}
