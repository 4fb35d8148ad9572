//! The thread that compresses, at the lowest priority, so that neither trading nor the worker waits for it.

use super::pack;
use crate::compress::Codec;
use crate::config::Mode;
use crate::disk::Disk;
use crate::view::{self, JobResult};
use crossbeam_channel::{Receiver, Sender, TryIter, unbounded};
use std::io;
use std::thread::JoinHandle;

/// Work.
pub(super) enum Job<D: Disk> {
    /// A backup of a view.
    View(view::Job<D>),
    /// A finished segment of the journal.
    Segment(Segment<D>),
}

/// A finished segment that is to be compressed.
pub(super) struct Segment<D> {
    /// The folder of its process.
    pub(super) folder: D,
    pub(super) name: String,
    pub(super) codec: Codec,
}

/// What became of it.
pub(super) enum Result<D: Disk> {
    View(JobResult<D>),
    Segment(Segment<D>, io::Result<()>),
}

/// The thread, made when the first job comes.
pub(super) struct Slow<D: Disk> {
    jobs: Option<Sender<Job<D>>>,
    results: (Sender<Result<D>>, Receiver<Result<D>>),
    thread: Option<JoinHandle<()>>,
    inline: bool,
}

impl<D: Disk<File: 'static> + 'static> Slow<D> {
    /// No thread yet; none at all in synchronous mode, where the caller does the work.
    pub(super) fn new(mode: Mode) -> Self {
        Self { jobs: None, results: unbounded(), thread: None, inline: mode == Mode::Synchronous }
    }

    /// Has `job` done, some time.
    pub(super) fn send(&mut self, job: Job<D>) {
        if self.inline {
            let _ = self.results.0.send(job.run());
            return;
        }
        if self.jobs.is_none() {
            let (jobs, todo) = unbounded::<Job<D>>();
            let results = self.results.0.clone();
            let body = move || {
                let _ = crate::sys::thread::block_signals();
                crate::sys::thread::lower_priority();
                for job in todo {
                    let _ = results.send(job.run());
                }
            };
            // Without a thread the jobs are lost with the channel; the files stay plain, and are found again by the next logger.
            self.thread = std::thread::Builder::new().name("tacho-gzip".to_owned()).spawn(body).ok();
            self.jobs = Some(jobs);
        }
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// What has been done since.
    pub(super) fn take_results(&self) -> TryIter<'_, Result<D>> {
        self.results.1.try_iter()
    }
}

impl<D: Disk> Job<D> {
    fn run(self) -> Result<D> {
        match self {
            Self::View(job) => Result::View(job.run()),
            Self::Segment(segment) => {
                let outcome = segment.compress();
                Result::Segment(segment, outcome)
            }
        }
    }
}

impl<D: Disk> Segment<D> {
    /// The name of its compressed form.
    pub(super) fn packed_name(&self) -> String {
        format!("{}{}", self.name, self.codec.suffix())
    }

    /// Makes `<name>.gz` or `<name>.zst`, packed, whole and synced before it has its name.
    fn compress(&self) -> io::Result<()> {
        let packed = self.packed_name();
        let make = || pack::pack_aside(&self.folder, &self.name, &packed, self.codec).map(drop);
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A crash came before the plain one was deleted; or the compressed one was spoilt since.
                if !pack::is_copy(&self.folder, &packed, &self.name)? {
                    self.folder.unlink(&packed)?;
                    return make();
                }
                Ok(())
            }
            done => done,
        }
    }
}
