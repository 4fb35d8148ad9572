//! Control and health page as their owner maps them, or whoever has a copy of their bytes; of a ring, its header.

use super::control::{CONTROL_BYTES, Control};
use super::health_page::{HEALTH_BYTES, HealthWords};
use super::services_page::{SERVICES_BYTES, ServicesWords};
use crate::ring::protocol::RingHeader;
use crate::sys::file::memory_file;
use crate::sys::map::Mapping;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt as _;

/// What can stand in shared memory.
///
/// # Safety
/// The type consists of atomics only, laid out as in C, so that any bytes are a value of it, and it takes at most
/// [`BYTES`](Self::BYTES), a multiple of the page size.
pub(crate) unsafe trait Words {
    /// Bytes of the file.
    const BYTES: usize;
}

// SAFETY: all fields are atomics; its module asserts its size.
unsafe impl Words for Control {
    const BYTES: usize = CONTROL_BYTES;
}

// SAFETY: as above.
unsafe impl Words for HealthWords {
    const BYTES: usize = HEALTH_BYTES;
}

// SAFETY: as above.
unsafe impl Words for ServicesWords {
    const BYTES: usize = SERVICES_BYTES;
}

// SAFETY: as above; `ring::memory` asserts its size.
unsafe impl Words for RingHeader {
    const BYTES: usize = 4096;
}

/// A mapped page of such words.
#[derive(Debug)]
pub(crate) struct Page<T>(Mapping, PhantomData<fn() -> T>);

/// The mapped control page.
pub(crate) type ControlPage = Page<Control>;
/// The mapped health page.
pub(crate) type HealthPage = Page<HealthWords>;

impl<T: Words> Page<T> {
    /// A page in zeroed memory of [`Words::BYTES`].
    pub(crate) fn new(memory: Mapping) -> Self {
        memory.populate();
        Self::adopt(memory)
    }

    /// The page that a dead process left, of [`Words::BYTES`]. Its numbers are to be checked before use.
    pub(crate) fn adopt(memory: Mapping) -> Self {
        debug_assert!(memory.bytes() >= T::BYTES);
        Self(memory, PhantomData)
    }

    /// A copy of what stands in `file`, for who only wants to look; what is not there is zeros.
    pub(crate) fn copy(file: &File) -> io::Result<Self> {
        let mut bytes = vec![0; T::BYTES];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let copy = memory_file(c"copy", T::BYTES)?;
        copy.write_all_at(&bytes, 0)?;
        Ok(Self::adopt(Mapping::shared(&copy, T::BYTES)?))
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> &Mapping {
        &self.0
    }
}

impl<T: Words> std::ops::Deref for Page<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is page-aligned and at least as large as the type (its only constructor makes it so), which
        // any bytes are a value of.
        unsafe { &*self.0.as_ptr().cast::<T>() }
    }
}
