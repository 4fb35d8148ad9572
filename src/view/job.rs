//! Slow work that a thread of low priority does: it only makes files aside; names are given by who sent it.

use crate::compress::{self, Codec, Summary};
use crate::disk::{Disk, Identity};
use std::io;
use std::sync::Arc;

/// Work for [`Job::run`], from any thread.
pub enum Job<D: Disk> {
    /// Compress a backup into a file aside.
    Compress(Compress<D>),
}

/// A backup, open, and the file that its compressed copy goes to.
pub struct Compress<D: Disk> {
    pub(crate) view: usize,
    pub(crate) disk: Arc<D>,
    pub(crate) source: D::File,
    pub(crate) identity: Identity,
    pub(crate) mtime_ns: i64,
    pub(crate) sink: D::File,
    pub(crate) codec: Codec,
}

/// What became of a [`Job`].
#[derive(Debug)]
pub struct JobResult<D: Disk> {
    pub(crate) view: usize,
    pub(crate) identity: Identity,
    /// Stays open until the copy has its name: the number of a file that is deleted meanwhile would be given to another
    /// one, which this would be taken for a copy of.
    pub(crate) source: D::File,
    pub(crate) outcome: io::Result<Summary>,
}

impl<D: Disk> JobResult<D> {
    /// Whether the work was done.
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl<D: Disk> Job<D> {
    /// Does the work. The result goes back to [`ViewSet::finished`](super::ViewSet::finished).
    pub fn run(self) -> JobResult<D> {
        let Self::Compress(job) = self;
        let outcome = compress::compress(&*job.disk, &job.source, &job.sink, job.codec).and_then(|summary| {
            job.disk.set_mtime(&job.sink, job.mtime_ns)?;
            Ok(summary)
        });
        JobResult { view: job.view, identity: job.identity, source: job.source, outcome }
    }
}
