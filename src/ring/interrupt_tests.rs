//! A log call that a signal handler interrupts, which logs too: at each of its instructions in turn.
#![cfg(all(not(loom), target_os = "linux", target_arch = "x86_64"))]

#[path = "../../tests/support/interrupt.rs"]
mod interrupt;

use super::consumer::Front;
use super::memory::Ring;
use super::protocol::{Cause, Consumer, Refusal};
use crate::segment::layout::FRAME_HEADER_BYTES;
use crate::shm::memory::LiveMemory;
use interrupt::interrupted;
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 4 << 10;
const FRAME: usize = FRAME_HEADER_BYTES;

/// A ring, who logs to it, and who reads it.
struct Scene {
    ring: Ring,
    consumer: RefCell<Consumer>,
    /// An atomic, because the handler counts in the midst of the call's counting.
    written: AtomicU64,
    read: Cell<u64>,
    missing: Cell<u64>,
}

impl Scene {
    fn new() -> Self {
        let memory = LiveMemory::new(None, u64::MAX);
        let file = memory.file("ring", super::memory::file_bytes(CAPACITY)).unwrap();
        let ring = Ring::create(&file, CAPACITY, 1).unwrap();
        ring.arm(ptr::null(), 8 << 10, 0);
        let consumer = RefCell::new(Consumer::attach(ring.header()));
        Self { ring, consumer, written: AtomicU64::new(0), read: Cell::new(0), missing: Cell::new(0) }
    }

    /// What a log call does that waits for room only if it is there already.
    fn log(&self) {
        // SAFETY: the page lives as long as the ring, which is armed.
        let handle = unsafe { &*self.ring.handle() };
        let (producer, header) = (&handle.producer, self.ring.header());
        loop {
            // SAFETY: nothing is written behind the frame's header.
            match unsafe { handle.write(header, FRAME, true, 1, |_| ()) } {
                Ok(()) => {
                    self.written.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(Refusal::Reentrant) => return producer.drop_one(header, Cause::Reentrant),
                Err(Refusal::Full) => {}
            }
            if producer.refresh(header, handle.capacity()) < FRAME as u64 {
                return producer.drop_one(header, Cause::Full);
            }
        }
    }

    fn fill(&self) {
        let dropped = &self.ring.header().refused.dropped[Cause::Full as usize];
        while dropped.load(Ordering::Relaxed) == 0 {
            self.log();
        }
    }

    /// What the writer does: takes all that is there.
    fn take(&self) {
        let (header, capacity) = (self.ring.header(), self.ring.capacity());
        let mut consumer = self.consumer.borrow_mut();
        let batch = self.ring.committed(consumer.tail, consumer.available(header, capacity));
        loop {
            match consumer.front(&batch) {
                Front::Empty => break,
                Front::Record(record) => {
                    assert!(record.called > consumer.called, "call numbers ascend");
                    self.missing.set(self.missing.get() + record.hole);
                    self.read.set(self.read.get() + 1);
                    let (bytes, called) = (record.bytes.len() as u64, record.called);
                    consumer.advance(bytes, called);
                }
                Front::Lost { bytes } => panic!("{bytes} bytes of the ring are no record"),
            }
        }
        consumer.release(header, capacity, true);
    }

    /// Every call left a record that was read, or is counted, and the ring goes on.
    fn check(&self, what: &str) {
        // SAFETY: as in `log`.
        let producer = unsafe { &(*self.ring.handle()).producer };
        assert!(!producer.is_closed(), "{what}: the ring was given up");
        assert!(!producer.is_busy(), "{what}");
        self.take();
        self.log();
        self.take();
        let trailing = self.consumer.borrow().trailing_drops(self.ring.header(), false);
        let dropped: u64 = self.ring.header().refused.dropped.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        assert_eq!(self.read.get(), self.written.load(Ordering::Relaxed), "{what}");
        assert_eq!(self.missing.get() + trailing, dropped, "{what}");
        assert_eq!(producer.called(), self.written.load(Ordering::Relaxed) + dropped, "{what}");
    }
}

/// Tries `interrupt` at every instruction of a log call on a ring that `prepare` left.
fn everywhere(what: &str, prepare: impl Fn(&Scene), interrupt: impl Fn(&Scene)) {
    let mut instructions = 0;
    loop {
        let scene = Scene::new();
        prepare(&scene);
        let was_interrupted = interrupted(instructions + 1, || scene.log(), &|| interrupt(&scene));
        scene.check(&format!("{what}, instruction {}", instructions + 1));
        if !was_interrupted {
            break;
        }
        instructions += 1;
    }
    assert!(instructions > 30, "{what}: only {instructions} instructions were stepped");
    println!("{what}: interrupted at each of {instructions} instructions");
}

#[test]
fn a_handler_may_log_at_every_instruction_of_a_call() {
    let log_twice = |scene: &Scene| (0..2).for_each(|_| scene.log());
    let take_and_log = |scene: &Scene| {
        scene.take();
        log_twice(scene);
    };
    let refill = |scene: &Scene| {
        scene.take();
        (0..=CAPACITY / FRAME).for_each(|_| scene.log());
    };
    let emptied = |scene: &Scene| {
        scene.fill();
        scene.take();
    };
    everywhere("an empty ring", |_| (), log_twice);
    everywhere("an empty ring that is read", |_| (), take_and_log);
    everywhere("a full ring", Scene::fill, log_twice);
    everywhere("a full ring that is read", Scene::fill, take_and_log);
    everywhere("a full ring that is read and filled again", Scene::fill, refill);
    everywhere("a ring that was read when it was full", emptied, log_twice);
    everywhere("a ring that was read when it was full, and again", emptied, take_and_log);
    everywhere("a ring that was read when it was full, and is filled again", emptied, refill);
}
