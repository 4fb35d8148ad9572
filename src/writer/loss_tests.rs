//! Losses whose statement finds no room at first.

use super::journal::Origin;
use super::losses::STATEMENTS_BYTES_MAX;
use super::step::{Ground, Pace, Stamp, Writer};
use crate::clock::anchor::{Anchors, RATE_ONE};
use crate::ring::memory::Ring;
use crate::ring::pool::Pool;
use crate::ring::protocol::Cause;
use crate::segment::layout::{
    CAUSE_WITHOUT_RING, FRAME_HEADER_BYTES, HEADER_BYTES, Header, Kind, SITE_THREAD, WRITER_RING, u16_at, u32_at,
    u64_at,
};
use crate::segment::live::LiveSegments;
use crate::segment::scan::{Item, Scanner, Tail};
use crate::shm::control::CONTROL_BYTES;
use crate::shm::control_page::ControlPage;
use crate::shm::memory::LiveMemory;
use crate::shm::table::Table;
use crate::sys::map::Mapping;
use std::sync::atomic::Ordering;

const SEGMENT_BYTES: usize = 64 << 10;
const SLOTS: usize = 2;

/// A writer that two segments are there for, and a ring.
struct Fixture {
    memory: LiveMemory,
    pool: Pool,
    control: ControlPage,
    segments: LiveSegments,
    table: Table,
    writer: Writer,
    now: u64,
}

fn mapping(memory: &LiveMemory, name: &str, bytes: usize) -> Mapping {
    Mapping::shared(&memory.file(name, bytes).unwrap(), bytes).unwrap()
}

fn writer() -> Writer {
    let pace = Pace { order_wait: 0, slack: 0, stamp: Stamp::Counter, anchor_busy: u64::MAX, anchor_idle: u64::MAX };
    let origin = Origin { process: [1; 16], boot: [2; 16], ticks_per_s: 1_000_000_000, flags: 0 };
    Writer::new(origin, 0, Anchors::new(1, 0, RATE_ONE), pace)
}

impl Fixture {
    fn new() -> Self {
        let memory = LiveMemory::new(None, u64::MAX);
        let pool = Pool::new(64 << 10);
        pool.make(&memory).unwrap();
        let (ring, called) = pool.take(&memory).unwrap();
        ring.arm(std::ptr::null(), 8 << 10, called);
        Self {
            control: ControlPage::new(mapping(&memory, "control", CONTROL_BYTES)),
            segments: LiveSegments::new(
                (0..SLOTS).map(|_| mapping(&memory, "live", SEGMENT_BYTES)).collect(),
                SEGMENT_BYTES,
            ),
            table: Table::create(mapping(&memory, "table", 64 << 10)),
            writer: writer(),
            memory,
            pool,
            now: 1_000,
        }
    }

    fn ring(&self) -> &Ring {
        self.pool.ring(0).unwrap()
    }

    fn record(&self) {
        // SAFETY: the page lives as long as the ring, which is armed.
        let handle = unsafe { &*self.ring().handle() };
        // SAFETY: nothing is written behind the frame's header.
        unsafe { handle.write(self.ring().header(), FRAME_HEADER_BYTES, true, 1, |_| ()) }.unwrap();
        handle.producer.refresh(self.ring().header(), self.ring().capacity());
    }

    fn drop_one(&self, cause: Cause) {
        // SAFETY: as above.
        let handle = unsafe { &*self.ring().handle() };
        handle.producer.drop_one(self.ring().header(), cause);
    }

    /// One step; whether everything is in the journal by then.
    fn step(&mut self) -> bool {
        self.now += 1_000;
        let ground = Ground { control: &self.control, segments: &self.segments, pool: &self.pool, table: &self.table };
        let done = self.writer.step(ground, self.now, || (0, 0));
        assert_eq!(done.starved, !self.writer.is_drained(ground));
        !done.starved
    }

    /// Fills both segments, the second until no loss can be stated in it.
    fn fill(&mut self) {
        while self.control.writer.segment.load(Ordering::Relaxed) < 2 || self.writer.journal.fits(STATEMENTS_BYTES_MAX)
        {
            self.record();
            assert!(self.step());
        }
    }

    /// The worker has put the first segment on disk.
    fn free_first(&self) {
        let first = self.control.slots.iter().find(|slot| slot.holds(1)).unwrap();
        first.free();
    }

    /// Calls `each` with the kind and payload of all that the writer said.
    fn said(&self, mut each: impl FnMut(Kind, &[u8])) {
        for slot in 0..SLOTS {
            let bytes = self.segments.dead_bytes(slot);
            let Ok(header) = Header::decode(bytes) else { continue };
            for item in Scanner::new(&bytes[HEADER_BYTES..], HEADER_BYTES as u64, header.salt, Tail::Final) {
                if let Item::Frame { frame, .. } = item
                    && frame.ring == WRITER_RING
                    && let Some(kind) = frame.kind()
                {
                    each(kind, frame.payload);
                }
            }
        }
    }

    /// What is stated: ring, cause, count.
    fn stated(&self) -> Vec<(u16, u32, u64)> {
        let mut stated = Vec::new();
        self.said(|kind, payload| {
            if kind == Kind::Dropped {
                stated.push((u16_at(payload, 0), u32_at(payload, 4), u64_at(payload, 8)));
            }
        });
        stated
    }
}

/// Its name took a call's number, which would be missing else.
#[test]
fn a_thread_of_which_a_loss_is_all_that_is_said_has_its_name_before_it() {
    let mut fixture = Fixture::new();
    // SAFETY: the page lives as long as the ring, which is armed.
    let handle = unsafe { &*fixture.ring().handle() };
    let name = |out: *mut u8| {
        // SAFETY: so many bytes are behind the frame's header.
        unsafe { out.write_bytes(b'n', 16) };
    };
    // SAFETY: as above.
    unsafe { handle.write(fixture.ring().header(), FRAME_HEADER_BYTES + 16, true, SITE_THREAD, name) }.unwrap();
    fixture.drop_one(Cause::Full);
    (0..3).for_each(|_| assert!(fixture.step()));
    let mut said = Vec::new();
    fixture.said(|kind, payload| {
        if matches!(kind, Kind::Thread | Kind::Dropped) {
            said.push((kind, payload[8..].to_vec()));
        }
    });
    assert_eq!(said, [(Kind::Thread, vec![b'n'; 8]), (Kind::Dropped, 1_u64.to_le_bytes().to_vec())]);
}

#[test]
fn a_loss_without_room_for_its_statement_is_stated_when_there_is_room() {
    let mut fixture = Fixture::new();
    fixture.fill();
    (0..3).for_each(|_| fixture.drop_one(Cause::TooLarge));
    fixture.drop_one(Cause::Full);
    fixture.control.request.dropped_without_ring.store(5, Ordering::Relaxed);
    for _ in 0..3 {
        assert!(!fixture.step());
        assert!(fixture.stated().iter().all(|stated| stated.0 == WRITER_RING));
    }
    fixture.free_first();
    assert!(fixture.step());
    assert!(fixture.step());
    let mut stated = fixture.stated();
    stated.sort_unstable();
    let (full, large) = (Cause::Full as u32, Cause::TooLarge as u32);
    assert_eq!(stated, [(0, full, 1), (0, large, 3), (WRITER_RING, CAUSE_WITHOUT_RING, 5)]);
    assert_eq!(fixture.control.writer.dropped.load(Ordering::Relaxed), 9);
    assert!(fixture.memory.folder().is_none());
}

#[test]
fn a_loss_before_a_record_waits_with_it_for_room() {
    let mut fixture = Fixture::new();
    fixture.fill();
    (0..3).for_each(|_| fixture.drop_one(Cause::TooLarge));
    fixture.record();
    assert!(!fixture.step());
    fixture.free_first();
    assert!(fixture.step());
    assert_eq!(fixture.stated(), [(0, Cause::TooLarge as u32, 3)]);
}
