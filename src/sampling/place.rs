//! Where the state of sampling stands, for the two that have to do with it: the writer, whose state it is, and the worker,
//! which looks whether others took its file away, and then offers another. The writer moves between two rounds, so that
//! nobody ever works on half a state.

use crate::shm::words::Words;
use crate::sys::map::Mapping;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The words, and what is offered in their place.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) words: Words,
    is_offered: AtomicBool,
    offer: Mutex<Option<File>>,
}

impl Place {
    pub(super) fn new(words: Words) -> Self {
        Self { words, is_offered: AtomicBool::new(false), offer: Mutex::new(None) }
    }

    fn memory(&self) -> &Mapping {
        self.words.memory()
    }

    /// Whether the file at `path` is no more the one that is used, or was truncated.
    pub(crate) fn is_torn(&self, path: &Path) -> bool {
        self.memory().is_lost() || !self.memory().is_at(path)
    }

    /// Has the writer move to a file that `make` makes, allocated with as many bytes; nothing while it has not moved to the
    /// one before.
    pub(crate) fn offer(&self, make: impl FnOnce(usize) -> io::Result<File>) -> io::Result<()> {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        if offer.is_none() {
            *offer = Some(make(self.memory().bytes())?);
            self.is_offered.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether pages were truncated away, and are zeros since.
    pub(super) fn is_lost(&self) -> bool {
        self.memory().is_lost()
    }

    /// Moves to what is offered: the words are zeros then. Gives back what stood there, if all of it did; `None` where
    /// nothing is offered, or it cannot be mapped.
    pub(super) fn take_offer(&self) -> Option<Option<Vec<u64>>> {
        if !self.is_offered.load(Ordering::Acquire) {
            return None;
        }
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_offered.store(false, Ordering::Relaxed);
        let file = offer.take()?;
        let words: Vec<u64> = self.words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        // Asked behind the copy, which has touched every page.
        let words = (!self.is_lost()).then_some(words);
        self.memory().renew(&file).ok()?;
        self.memory().lock();
        Some(words)
    }

    /// Puts back what stood there before a move: the word that makes it a state comes last.
    pub(super) fn put_back(&self, words: &[u64]) {
        for (word, value) in self.words.iter().zip(words).rev() {
            word.store(*value, Ordering::Release);
        }
    }
}
