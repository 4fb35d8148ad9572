//! What no logger can beat on this machine: the same bytes moved by the plainest code there is.

use super::common::machine::{cores, pin};
use super::common::numbers_line;
use super::{Run, timed};
use memmap2::MmapMut;
use std::fs::File;
use std::hint::black_box;
use std::io::{Seek as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a record with two integers and a float: its length, its time, its site and number, its arguments.
const WORDS: usize = 6;
type Record = [u64; WORDS];

fn record(i: u64) -> Record {
    [WORDS as u64, i, i << 32 | 7, i, i ^ 1, (i as f64).to_bits()]
}

/// Records copied one by one into memory of a file in shared memory, all of whose pages were touched before.
pub(crate) fn memcpy(count: u64) -> Run {
    const BYTES: usize = 64 << 20;
    let file = tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap();
    file.set_len(BYTES as u64).unwrap();
    // SAFETY: the file has no name, so nobody else changes or cuts it.
    let mut mapping = unsafe { MmapMut::map_mut(&file) }.unwrap();
    mapping.fill(1);
    let bytes = WORDS * 8;
    let (run, ()) = timed(|| {
        let mut at = 0;
        for i in 0..count {
            let words = black_box(record(i));
            for (place, word) in mapping[at..at + bytes].chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            at = if at + 2 * bytes > BYTES { 0 } else { at + bytes };
        }
        black_box(&mut mapping);
    });
    let last = mapping.chunks_exact(bytes).nth(((count - 1) % (BYTES / bytes) as u64) as usize).unwrap();
    assert_eq!(u64::from_le_bytes(last[24..32].try_into().unwrap()), count - 1, "what was copied is there");
    run
}

/// A ring between two threads: indices on lines of their own, each side with a copy of the other's.
struct Ring {
    words: Box<[AtomicU64]>,
    head: Line,
    tail: Line,
}

#[repr(align(128))]
struct Line(AtomicU64);

/// Words of the ring; 4 MiB, as much as a thread's ring has by default.
const RING_WORDS: u64 = 1 << 19;

/// Records from one core to another, read there word for word.
pub(crate) fn transfer(count: u64) -> Run {
    let ring = Ring {
        words: (0..RING_WORDS).map(|_| AtomicU64::new(1)).collect(),
        head: Line(AtomicU64::new(0)),
        tail: Line(AtomicU64::new(0)),
    };
    let (run, sum) = timed(|| {
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                pin(cores().1.unwrap_or(cores().0));
                receive(&ring, count)
            });
            send(&ring, count);
            reader.join().unwrap()
        })
    });
    assert_eq!(sum, count * (count - 1) / 2, "every record arrived");
    run
}

fn send(ring: &Ring, count: u64) {
    let (mut head, mut limit) = (0, RING_WORDS);
    for i in 0..count {
        while head + WORDS as u64 > limit {
            // SYNC POINT with the store in `receive`: what it read may be overwritten.
            limit = ring.tail.0.load(Ordering::Acquire) + RING_WORDS;
            std::hint::spin_loop();
        }
        for word in record(i) {
            ring.words[(head % RING_WORDS) as usize].store(word, Ordering::Relaxed);
            head += 1;
        }
        // SYNC POINT with the load in `receive`: the words of the record.
        ring.head.0.store(head, Ordering::Release);
    }
}

fn receive(ring: &Ring, count: u64) -> u64 {
    let (mut tail, mut sum, end) = (0, 0, count * WORDS as u64);
    while tail < end {
        // SYNC POINT with the store in `send`.
        let head = ring.head.0.load(Ordering::Acquire);
        if head == tail {
            std::hint::spin_loop();
        }
        while tail < head {
            let mut words = [0; WORDS];
            for word in &mut words {
                *word = ring.words[(tail % RING_WORDS) as usize].load(Ordering::Relaxed);
                tail += 1;
            }
            sum += black_box(words)[3];
        }
        // SYNC POINT with the load in `send`.
        ring.tail.0.store(tail, Ordering::Release);
    }
    sum
}

/// Lines as a view has them, made before the clock starts, written to a file by calls of about so many bytes.
pub(crate) fn write(count: u64, bytes: usize) -> Run {
    let line = |i| format!("2026-11-20T14:37:58.609812260Z INFO     bench [main] {}\n", numbers_line(i));
    let mut chunks = vec![Vec::new()];
    for i in 0..count {
        let line = line(i);
        if chunks.last().is_some_and(|chunk: &Vec<u8>| !chunk.is_empty() && chunk.len() + line.len() > bytes) {
            chunks.push(Vec::new());
        }
        chunks.last_mut().unwrap().extend(line.as_bytes());
    }
    let total: usize = chunks.iter().map(Vec::len).sum();
    let mut file: File = tempfile::tempfile().unwrap();
    let (run, ()) = timed(|| chunks.iter().for_each(|chunk| file.write_all(chunk).unwrap()));
    assert_eq!(file.stream_position().unwrap(), total as u64);
    run
}
