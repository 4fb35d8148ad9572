//! The worker as a thread of the logging process, or stepped within its calls.

use super::page::Room;
use super::process::Process;
use super::watch;
use super::{Done, PAUSE, PAUSE_AFTER_FAULT, Worker};
use crate::health::vitals::{self, Life, Now, Rings, Vitals};
use crate::logger::core::{Core, Stepped};
use crate::ring::pool::RINGS_MAX;
use crate::segment::live::LiveSegments;
use crate::shm::control::Control;
use crate::shm::health_page::HealthWords;
use crate::writer::step::{Stamp, Writer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Process for Core {
    fn name(&self) -> &str {
        &self.process_name
    }

    fn control(&self) -> &Control {
        &self.control
    }

    fn segments(&self) -> &LiveSegments {
        &self.segments
    }

    fn health(&self) -> Option<&HealthWords> {
        Some(&self.health)
    }

    fn vitals(&self, now: Now) -> Vitals {
        let rings =
            self.pool.rings().map(|ring| vitals::ring(u32::from(ring.number()), ring.header(), ring.capacity()));
        // Rings that are settled count no more by themselves.
        let rings = Rings { dropped: self.pool.dropped(), ..rings.collect() };
        Vitals::take(&self.process_name, Life::Alive, (self.control(), self.health()), rings, now)
    }

    fn outlives_worker(&self) -> bool {
        false
    }

    fn is_dead(&self) -> bool {
        false
    }

    fn mend(&self, look: bool) -> io::Result<()> {
        watch::mend(self, look)
    }

    fn hold_journal(&self) {
        if let Some(hold) = &self.hold {
            hold.renew();
        }
    }

    fn note_lost(&self, number: u64, records: Option<u64>) {
        let lost = records.unwrap_or(0);
        let all = self.lost.fetch_add(lost, Ordering::Relaxed).saturating_add(lost);
        self.control.worker.lost.store(all, Ordering::Relaxed);
        let how_many = match records {
            Some(records) => format!("{records} of its records are lost to the journal"),
            None => "how many of its records are lost to the journal is not known".to_owned(),
        };
        self.memory.say(format!("live segment {number} was truncated or overwritten by somebody else: {how_many}"));
    }

    fn say(&self, text: String) {
        self.memory.say(text);
    }

    fn page_room(&self) -> Room {
        Room { bytes: self.page_bytes, left: self.memory.left(), group: self.memory.group() }
    }

    fn make_spare_rings(&self) {
        while self.pool.free() < self.config.rings_spare && self.pool.made() < RINGS_MAX {
            if self.pool.make(&self.memory).is_err() {
                break;
            }
        }
    }
}

/// How long a call of a synchronous logger waits for its line, besides `order_wait`.
const INLINE_MAX: Duration = Duration::from_millis(100);

/// Runs until the logger is told to stop and everything is on disk.
pub(crate) fn run(core: &Arc<Core>, mut worker: Worker, cores: &[usize]) {
    crate::logger::lease::own_thread();
    // A failure leaves the host's handlers on this thread, which is no fault of logging.
    let _ = crate::sys::thread::block_signals();
    crate::sys::thread::unpin(cores);
    crate::sys::thread::wake_politely();
    if cores.len() > 1 {
        worker.work_beside();
    }
    let mut done = Done { more: true, fault: false };
    let mut heartbeat = 0;
    loop {
        let pause = match done {
            Done { fault: true, .. } => PAUSE_AFTER_FAULT,
            Done { more: true, .. } => Duration::ZERO,
            Done { .. } => PAUSE,
        };
        let wishes = core.bell.listen(pause);
        if wishes.stop && worker.finish() {
            core.bell.tell();
            return;
        }
        let written = core.control.writer.bytes.load(Ordering::Relaxed);
        done = worker.step(wishes);
        core.bell.tell();
        // While records come, the next look follows at once: what came during this step is waiting.
        done.more |= written != heartbeat;
        heartbeat = written;
    }
}

/// Writer and worker of a synchronous logger, stepped within the calls.
pub(crate) struct Inline {
    writer: Writer,
    worker: Worker,
}

impl std::fmt::Debug for Inline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inline").finish_non_exhaustive()
    }
}

impl Inline {
    pub(crate) fn new(writer: Writer, worker: Worker) -> Self {
        Self { writer, worker }
    }
}

impl Stepped for Inline {
    /// Everything that is in the rings comes into the files.
    fn step(&mut self, core: &Arc<Core>) {
        let wishes = core.bell.listen(Duration::ZERO);
        let begin = core.now();
        // The watermark is a little older than its step, and a call in progress on another thread holds it back.
        let until = Instant::now() + core.config.order_wait + INLINE_MAX;
        loop {
            crate::writer::thread::step(core, &mut self.writer);
            let done = self.worker.step(wishes);
            let rendered = core.control.worker.rendered.load(Ordering::Acquire);
            // A manual clock stands still, and one round takes everything there.
            let reached = core.stamp == Stamp::Manual || rendered >= begin;
            if reached || done.fault || !self.worker.views.is_elected() || Instant::now() >= until {
                return;
            }
        }
    }

    fn finish(&mut self, core: &Arc<Core>) -> bool {
        // Each step may make room for summaries that there was none for.
        let told = (0..100).any(|_| {
            self.step(core);
            self.writer.summarise_all(core.ground(), core.now()) && self.writer.end_flight(core.ground())
        });
        self.writer.finish(core.ground(), core.now());
        (0..100).any(|_| self.worker.finish()) && told
    }
}
