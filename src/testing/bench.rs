//! The parts of the pipeline one by one, for `benches/`: a ring without its logger, a writer without its thread.

use crate::callsite::Site;
use crate::clock::anchor::{Anchors, RATE_ONE};
use crate::clock::ticks;
use crate::logger::component::LogTo;
use crate::ring::consumer::{Front, STAGE_BYTES};
use crate::ring::handle::Handle;
use crate::ring::memory::Ring;
use crate::ring::pool::Pool;
use crate::ring::protocol::Consumer;
use crate::sampling::Sampler;
use crate::segment::append::frame_bytes;
use crate::segment::layout::{Kind, u32_at};
use crate::segment::live::LiveSegments;
use crate::shm::control::CONTROL_BYTES;
use crate::shm::control_page::ControlPage;
use crate::shm::memory::LiveMemory;
use crate::shm::table::Table;
use crate::shm::words::Words;
use crate::sys::map::Mapping;
use crate::value::Args;
use crate::writer::journal::Origin;
use crate::writer::step::{Ground, Pace, Stamp, Writer};
use std::sync::Arc;

/// Number of every call site here, which is also that in an [`Encoded`](crate::record::encoded::Encoded).
const SITE: u32 = 1;
const TABLE_BYTES: usize = 64 << 10;

/// The tick of now, as a log call reads it.
#[inline(always)]
pub fn now() -> u64 {
    ticks::now()
}

/// Nanoseconds per tick.
pub fn ns_per_tick() -> f64 {
    let begin = (ticks::now(), ticks::monotonic_ns());
    std::thread::sleep(std::time::Duration::from_millis(100));
    let end = (ticks::now(), ticks::monotonic_ns());
    (end.1 - begin.1) as f64 / (end.0 - begin.0) as f64
}

/// The checksum of frames.
pub fn crc(bytes: &[u8]) -> u32 {
    crate::crc::append(1, bytes)
}

fn memory(name: &str, bytes: usize) -> Mapping {
    let memory = LiveMemory::new(None, u64::MAX);
    let file = memory.file(name, bytes).unwrap();
    let mapping = Mapping::shared(&file, bytes).unwrap();
    mapping.populate();
    mapping
}

/// One ring; both of its ends keep it.
fn ring(ring_bytes: usize) -> Arc<Pool> {
    let pool = Pool::new(ring_bytes);
    let memory = LiveMemory::new(None, u64::MAX);
    pool.make(&memory).unwrap();
    let (ring, called) = pool.take(&memory).unwrap();
    ring.arm(std::ptr::null(), 8 << 10, called);
    Arc::new(pool)
}

/// A ring's two ends.
pub fn transfer(ring_bytes: usize) -> (Sender, Receiver) {
    let pool = ring(ring_bytes);
    let consumer = Consumer::attach(only(&pool).header());
    (Sender { pool: Arc::clone(&pool) }, Receiver { pool, consumer, stage: vec![0; STAGE_BYTES] })
}

fn only(pool: &Pool) -> &Ring {
    pool.ring(0).unwrap()
}

/// The end that calls log to: `info!(logger: sender, target: "x", …)`. Waits while the ring is full.
#[derive(Debug)]
pub struct Sender {
    pool: Arc<Pool>,
}

// SAFETY: the handle on the ring's private page has one user: a sender is neither shared nor copied.
unsafe impl Send for Sender {}

impl Sender {
    fn handle(&self) -> &Handle {
        // SAFETY: the page lives as long as the ring, which the pool keeps; `ring` armed it.
        unsafe { &*only(&self.pool).handle() }
    }
}

impl LogTo for Sender {
    #[inline(always)]
    fn takes(&self, _: &'static Site) -> bool {
        true
    }

    #[inline(always)]
    fn take<A: Args>(&self, _: &'static Site, args: A) {
        let handle = self.handle();
        let bytes = frame_bytes(args.bytes());
        let Some(header) = handle.header() else { return };
        loop {
            let fill = |out| {
                // SAFETY: the frame is sized for `args.bytes()`, which is what `encode` writes.
                unsafe { args.encode(out) };
            };
            // SAFETY: as above.
            if unsafe { handle.write(header, bytes, true, SITE, fill) }.is_ok() {
                return;
            }
            while handle.producer.refresh(header, handle.capacity()) < bytes as u64 {
                std::hint::spin_loop();
            }
        }
    }
}

/// The end that the writer has.
#[derive(Debug)]
pub struct Receiver {
    pool: Arc<Pool>,
    consumer: Consumer,
    stage: Vec<u8>,
}

impl Receiver {
    /// Takes what is there: calls `each` with the frames and says how many.
    #[inline]
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> u64 {
        let ring = only(&self.pool);
        let head = self.consumer.available(ring.header(), ring.capacity());
        let batch = ring.committed(self.consumer.tail, head).staged(&mut self.stage);
        let mut records = 0;
        while let Front::Record(waiting) = self.consumer.front(&batch) {
            each(waiting.bytes);
            self.consumer.advance(waiting.bytes.len() as u64, waiting.called);
            self.consumer.release(ring.header(), ring.capacity(), false);
            records += 1;
        }
        self.consumer.release(ring.header(), ring.capacity(), true);
        records
    }
}

/// The number of the call that left this frame.
pub fn seq(frame: &[u8]) -> u32 {
    u32_at(frame, 20)
}

/// A writer with one ring and memory of its own, whose segments are free again as soon as they are full.
#[derive(Debug)]
pub struct Appending {
    sender: Sender,
    pool: Arc<Pool>,
    control: ControlPage,
    segments: LiveSegments,
    table: Table,
    writer: Writer,
}

impl Appending {
    /// With `segments` segments of `segment_bytes`, and a ring of `ring_bytes`.
    pub fn new(ring_bytes: usize, segments: usize, segment_bytes: usize) -> Self {
        let pool = ring(ring_bytes);
        let slots = (0..segments).map(|_| memory("live", segment_bytes)).collect();
        let pace =
            Pace { order_wait: 0, slack: 0, stamp: Stamp::Counter, anchor_busy: u64::MAX, anchor_idle: u64::MAX };
        let origin = Origin { process: [1; 16], boot: [2; 16], ticks_per_s: 1_000_000_000, flags: 0 };
        Self {
            sender: Sender { pool: Arc::clone(&pool) },
            pool,
            control: ControlPage::new(memory("control", CONTROL_BYTES)),
            segments: LiveSegments::new(slots, segment_bytes),
            table: Table::create(memory("table", TABLE_BYTES)),
            writer: Writer::new(origin, 0, Anchors::new(ticks::now(), 0, RATE_ONE), pace),
        }
    }

    /// The same, with sampling: 10 messages with the same arguments per minute.
    #[must_use]
    pub fn sampling(mut self, ticks_per_minute: u64) -> Self {
        let rules = crate::Sampling::new().rules(|_| ticks_per_minute);
        let dimensions = Sampler::dimensions(&rules, 1024, 8 << 10);
        let words = Words::new(memory("sampling", dimensions.bytes()));
        self.writer = self.writer.with_sampling(Sampler::create(words, dimensions, rules));
        self
    }

    /// What calls log to.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Defines the call site that all calls are said to come from.
    pub fn define(&self, encoded: &crate::record::encoded::Encoded) {
        let done = self.table.append(Kind::Site as u32, encoded.definition.len(), |place| {
            place.copy_from_slice(&encoded.definition);
        });
        assert!(done, "the table has room");
    }

    /// One step of the writer, and of the worker that frees what is full; says how many records were taken.
    #[inline]
    pub fn step(&mut self) -> u64 {
        let ground = Ground { control: &self.control, segments: &self.segments, pool: &self.pool, table: &self.table };
        let done = self.writer.step(ground, ticks::now(), || (0, 0));
        for (index, _) in self.segments.slots().enumerate().filter(|(_, slot)| slot.end() != 0) {
            self.segments.free(&self.control, index);
        }
        done.records + done.left_out
    }

    /// Bytes appended so far.
    pub fn bytes(&self) -> u64 {
        self.writer.journal.bytes
    }
}
