//! Shared memory as a slice of atomic words, for state that one thread keeps and its successor takes over.

use crate::sync::AtomicU64;
use crate::sys::map::Mapping;
use std::ops::Deref;

/// A mapping, word by word.
#[derive(Debug)]
pub(crate) struct Words(Mapping);

impl Words {
    /// The words of fresh memory, every page present.
    pub(crate) fn new(memory: Mapping) -> Self {
        memory.populate();
        memory.lock();
        Self(memory)
    }

    /// The words that a dead process left.
    pub(crate) fn adopt(memory: Mapping) -> Self {
        Self(memory)
    }

    /// Their memory.
    pub(crate) fn memory(&self) -> &Mapping {
        &self.0
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        let words = self.0.bytes() / size_of::<AtomicU64>();
        // SAFETY: the mapping is page-aligned and holds so many words for as long as `self` lives; they are only
        // accessed as atomics, for which any bytes are valid.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<AtomicU64>(), words) }
    }
}
