//! No loggers: what a call costs at the least.

use crate::logger::{Logger, Rest};
use crate::ticks::now;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::path::Path;

/// A bare read of the counter.
pub struct Tsc;

impl Logger for Tsc {
    const NAME: &'static str = "TSC read";
    const WRITES: bool = false;

    fn start(_: &Path) -> Self {
        Self
    }

    #[inline(always)]
    fn numbers(&self, _: u64) {
        black_box(now());
    }

    #[inline(always)]
    fn text(&self, _: u64, _: &str) {
        black_box(now());
    }

    fn finish(self) -> Rest {
        None
    }
}

const WORDS: usize = 1 << 19;

/// A read of the counter and a store of the same bytes into a ring that nobody reads.
pub struct Store(UnsafeCell<(usize, Box<[u64]>)>);

// SAFETY: without a file there is no run with several threads; the harness calls it from one.
unsafe impl Sync for Store {}

impl Store {
    #[inline(always)]
    fn store<const N: usize>(&self, words: [u64; N]) {
        // SAFETY: one thread calls, and no reference outlives a call.
        let (at, ring) = unsafe { &mut *self.0.get() };
        ring[*at..*at + N].copy_from_slice(&words);
        *at = if *at + 2 * N > WORDS { 0 } else { *at + N };
        black_box(&mut *ring);
    }
}

impl Logger for Store {
    const NAME: &'static str = "bare store + TSC";
    const WRITES: bool = false;

    fn start(_: &Path) -> Self {
        Self(UnsafeCell::new((0, vec![1; WORDS].into())))
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        self.store([6, now(), i, i, i ^ 1, (i as f64).to_bits()]);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        let mut words = [0; 11];
        words[..6].copy_from_slice(&[6, now(), i, i, i ^ 1, (i as f64).to_bits()]);
        words[6] = text.len() as u64;
        for (word, bytes) in words[7..].iter_mut().zip(text.as_bytes().chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().unwrap());
        }
        self.store(words);
    }

    fn finish(self) -> Rest {
        None
    }
}
