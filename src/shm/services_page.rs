//! The services that a process supervises, for anybody to read without the process noticing.
//!
//! Stored by the supervising thread alone. Readers trust nothing that stands there. Another layout is another [`VERSION`].

use super::text::Text;
use crate::health::vitals::ServiceState;
use crate::supervisor::{Phase, Status};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// First word of the page.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"TACHOSVC");
/// Version of this layout.
pub(crate) const VERSION: u64 = 1;
/// Bytes of the file.
pub(crate) const SERVICES_BYTES: usize = 96 * 1024;
/// Services of a page.
pub(crate) const SERVICES_MAX: usize = crate::supervisor::plan::SERVICES_MAX;

/// A service.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ServiceWords {
    phase: AtomicU64,
    since_unix_ns: AtomicI64,
    starts: AtomicU64,
    restarts: AtomicU64,
    restarts_max: AtomicU64,
    /// `i64::MIN` without a heartbeat.
    beat_unix_ns: AtomicI64,
    name: Text,
    reason: Text,
}

/// The page.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ServicesWords {
    /// [`MAGIC`], stored last.
    pub(crate) magic: AtomicU64,
    /// [`VERSION`].
    pub(crate) version: AtomicU64,
    /// How many services there are.
    pub(crate) count: AtomicU64,
    /// They, in the order of the program.
    pub(crate) services: [ServiceWords; SERVICES_MAX],
}

const _: () = assert!(size_of::<ServicesWords>() <= SERVICES_BYTES);

impl ServiceWords {
    /// By the supervising thread: how the service is. The words of one service are not one whole: a reader may see a
    /// change half done.
    pub(crate) fn show(&self, status: &Status, since_unix_ns: i64, beat_unix_ns: Option<i64>) {
        if self.name.read() != status.name {
            self.name.say(&status.name);
        }
        if self.reason.read() != status.reason {
            self.reason.say(&status.reason);
        }
        let (restarts, max) = status.restarts;
        self.starts.store(status.starts.into(), Ordering::Relaxed);
        self.restarts.store(restarts.into(), Ordering::Relaxed);
        self.restarts_max.store(max.into(), Ordering::Relaxed);
        self.since_unix_ns.store(since_unix_ns, Ordering::Relaxed);
        self.beat_unix_ns.store(beat_unix_ns.unwrap_or(i64::MIN), Ordering::Relaxed);
        self.phase.store(status.phase as u64, Ordering::Relaxed);
    }

    fn read(&self) -> ServiceState {
        let count = |word: &AtomicU64| u32::try_from(word.load(Ordering::Relaxed)).unwrap_or(0);
        let phase = usize::try_from(self.phase.load(Ordering::Relaxed)).ok();
        ServiceState {
            name: self.name.read(),
            phase: phase.and_then(|phase| Phase::ALL.get(phase)).copied().unwrap_or_default(),
            since_unix_ns: self.since_unix_ns.load(Ordering::Relaxed),
            starts: count(&self.starts),
            restarts: (count(&self.restarts), count(&self.restarts_max)),
            beat_unix_ns: Some(self.beat_unix_ns.load(Ordering::Relaxed)).filter(|beat| *beat != i64::MIN),
            reason: self.reason.read(),
        }
    }
}

impl ServicesWords {
    /// The services; none where the page is not whole, or of another version.
    pub(crate) fn read(&self) -> Vec<ServiceState> {
        if self.magic.load(Ordering::Acquire) != MAGIC || self.version.load(Ordering::Relaxed) != VERSION {
            return Vec::new();
        }
        // SYNC POINT with the store in `supervisor::Board::show`.
        let count = usize::try_from(self.count.load(Ordering::Acquire)).unwrap_or(0);
        self.services.iter().take(count).map(ServiceWords::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_stand_where_their_numbers_say() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
        }
    }
}
