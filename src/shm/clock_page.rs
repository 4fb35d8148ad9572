//! What time a tick is, in shared memory: one page for all processes of a log directory and user, so that equal ticks are
//! equal times in all of them.
//!
//! Each writer reads it; the one that finds its last anchor too old claims the page, measures, and puts the next there. A
//! checksum says whether what was read is whole: who reads meanwhile, or after a death in the midst of it, goes on with
//! what it knows. Who finds the page truncated or removed goes on alone, until its worker has mapped the file anew, which the
//! first to come makes again ([`mend`](ClockPage::mend)).

use super::words::Words;
use crate::clock::line::{Line, LineWords};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::file::{allocate, open_or_create, share};
use crate::sys::map::{Mapping, page_bytes};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// Name of the page's file, beside the live folders.
pub(crate) const CLOCK: &str = "clock";
/// Part of the checksum, so that another layout's page is none.
const VERSION: u32 = 1;
/// Words of the page: the claim, the checksum, the line.
const CLAIM: usize = 0;
const CHECKSUM: usize = 1;
const LINE: usize = 2;

/// Bytes of the file.
pub(crate) fn bytes() -> usize {
    page_bytes()
}

/// The mapped page.
#[derive(Debug)]
pub(crate) struct ClockPage<W = Words> {
    words: W,
    boot: [u8; 16],
}

impl ClockPage {
    /// The page in the folder of all live folders, made if it is absent. `boot` is whose ticks are counted; `group` may
    /// look.
    pub(crate) fn open(folder: &Path, boot: [u8; 16], group: Option<u32>) -> io::Result<Self> {
        Ok(Self { words: Words::new(Mapping::shared(&file(folder, group)?, bytes())?), boot })
    }

    /// Maps what all others map by now, should somebody have truncated or removed the file; says whether it had to. Who reads
    /// meanwhile finds nothing, and goes on with what it knows.
    pub(crate) fn mend(&self, folder: &Path, group: Option<u32>) -> io::Result<bool> {
        let memory = self.words.memory();
        if !memory.is_lost() && memory.is_at(&folder.join(CLOCK)) {
            return Ok(false);
        }
        memory.renew(&file(folder, group)?)?;
        memory.lock();
        Ok(true)
    }
}

/// The file in the folder of all live folders, made if it is absent.
fn file(folder: &Path, group: Option<u32>) -> io::Result<File> {
    let file = open_or_create(&folder.join(CLOCK))?;
    if let Some(group) = group {
        share(&file, group)?;
    }
    // Before it is mapped, by everybody: the one that made it may not have come so far.
    allocate(&file, bytes())?;
    Ok(file)
}

impl<W: Deref<Target = [AtomicU64]>> ClockPage<W> {
    fn word(&self, index: usize) -> Option<&AtomicU64> {
        self.words.get(index)
    }

    /// Number of the line there; one load.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.word(LINE).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// The line; `None` where there is none, or half of one.
    #[cold]
    pub(crate) fn read(&self) -> Option<Line> {
        let checksum = self.word(CHECKSUM)?.load(Ordering::Acquire);
        let mut words: LineWords = [0; _];
        for (value, word) in words.iter_mut().zip(self.words.iter().skip(LINE)) {
            *value = word.load(Ordering::Acquire);
        }
        (checksum == self.checksum(&words)).then(|| Line::from_words(&words)).flatten()
    }

    /// Takes the right to publish at the tick `now`, unless another took it less than `patience` ticks ago.
    #[cold]
    pub(crate) fn claim(&self, now: u64, patience: u64) -> Option<Claim<'_, W>> {
        let word = self.word(CLAIM)?;
        let before = word.load(Ordering::Relaxed);
        if before != 0 && now.abs_diff(before) < patience {
            return None;
        }
        let stamp = now.max(1);
        // SYNC POINT with the exchange in `drop`: who has the claim sees what was published under the one before.
        let taken = word.compare_exchange(before, stamp, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(Claim { page: self, stamp })
    }

    fn checksum(&self, words: &LineWords) -> u64 {
        let seed = crc32c::crc32c_append(VERSION, &self.boot);
        u64::from(words.iter().fold(seed, |sum, word| crc32c::crc32c_append(sum, &word.to_le_bytes()))) | 1 << 32
    }
}

/// The right to publish; given back when it is dropped.
pub(crate) struct Claim<'a, W: Deref<Target = [AtomicU64]> = Words> {
    page: &'a ClockPage<W>,
    stamp: u64,
}

impl<W: Deref<Target = [AtomicU64]>> Claim<'_, W> {
    /// Puts a line there.
    pub(crate) fn publish(&self, line: &Line) {
        let words = line.words();
        for (word, value) in self.page.words.iter().skip(LINE).zip(words) {
            word.store(value, Ordering::Release);
        }
        if let Some(word) = self.page.word(CHECKSUM) {
            word.store(self.page.checksum(&words), Ordering::Release);
        }
    }
}

impl<W: Deref<Target = [AtomicU64]>> Drop for Claim<'_, W> {
    fn drop(&mut self) {
        if let Some(word) = self.page.word(CLAIM) {
            // SYNC POINT with the exchange in `claim`. Not when it was taken from us because we stood still.
            let _ = word.compare_exchange(self.stamp, 0, Ordering::Release, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    //! `RUSTFLAGS="--cfg loom" cargo test --lib --release models`

    use super::*;
    use crate::clock::anchor::RATE_ONE;
    use loom::sync::Arc;
    use loom::thread;

    type Model = ClockPage<Box<[AtomicU64]>>;

    /// As `writer::time`: claims, looks what is there, and goes on from it; whether it did.
    fn go_on(page: &Model, now: u64) -> bool {
        let Some(claim) = page.claim(now, 100) else { return false };
        let number = page.read().map_or(0, |line| line.number);
        let mut line = Line::new(5, 7, RATE_ONE);
        line.number = number + 1;
        claim.publish(&line);
        true
    }

    #[test]
    fn models_who_publishes_goes_on_from_what_was_published_last() {
        loom::model(|| {
            let words = (0..LINE + size_of::<LineWords>() / 8).map(|_| AtomicU64::new(0)).collect();
            let shared = Arc::new(Model { words, boot: [1; 16] });
            let theirs = Arc::clone(&shared);
            let other = thread::spawn(move || go_on(&theirs, 10));
            let published = u64::from(go_on(&shared, 11)) + u64::from(other.join().unwrap());
            assert_eq!(shared.read().map(|line| line.number), Some(published), "no line is lost to another");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::anchor::RATE_ONE;

    #[test]
    fn all_see_what_one_publishes_and_nobody_half_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = |boot| ClockPage::open(dir.path(), [boot; 16], None).unwrap();
        let (one, two) = (open(1), open(1));
        assert_eq!(one.read(), None);
        let line = Line::new(5, 7, RATE_ONE);
        one.claim(10, 100).unwrap().publish(&line);
        assert_eq!((two.read(), two.number()), (Some(line), 1));
        assert_eq!(open(2).read(), None, "ticks of another boot");
        for index in LINE..LINE + line.words().len() {
            let word = one.word(index).unwrap();
            let value = word.fetch_xor(1, Ordering::Relaxed);
            assert_eq!(two.read(), None, "word {index}");
            word.store(value, Ordering::Relaxed);
        }
        assert_eq!(two.read(), Some(line));
    }

    #[test]
    fn a_page_that_was_cut_or_removed_is_shared_again_by_all() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join(CLOCK);
        let open = || ClockPage::open(dir.path(), [1; 16], None).unwrap();
        let pages = [open(), open(), open()];
        let mut line = Line::new(5, 7, RATE_ONE);
        let cut = |path: &Path| File::options().write(true).open(path).unwrap().set_len(0).unwrap();
        let damages: [&dyn Fn(&Path); 3] = [&|path| std::fs::remove_file(path).unwrap(), &cut, &|path| {
            cut(path);
            std::fs::remove_file(path).unwrap();
        }];
        for damage in damages {
            damage(&path);
            let mended = pages.iter().filter(|page| page.mend(dir.path(), None).unwrap()).count();
            assert!(mended > 0);
            assert!(pages.iter().all(|page| !page.mend(dir.path(), None).unwrap()));
            line.number += 1;
            pages[0].claim(10, 100).unwrap().publish(&line);
            assert!(pages.iter().chain([&open()]).all(|page| page.read() == Some(line)));
        }
    }

    #[test]
    fn one_at_a_time_publishes_and_a_dead_one_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let page = ClockPage::open(dir.path(), [1; 16], None).unwrap();
        let claim = page.claim(10, 100).unwrap();
        assert!(page.claim(109, 100).is_none());
        let taken = page.claim(110, 100).unwrap();
        drop(claim);
        assert!(page.claim(111, 100).is_none(), "who stood still gives back nothing");
        drop(taken);
        assert!(page.claim(112, 100).is_some());
    }
}
