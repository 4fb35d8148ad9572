//! Formatting at the call site: the way for types that cannot be copied as bytes.
//!
//! Each thread has a fixed area that grows like a stack. It needs no destructor, so it works while thread-locals are
//! being destroyed; it never allocates; and a `Display` that itself logs simply uses the area above. What does not fit
//! is cut at a character and marked.

use super::{Encode, Text, Type, Typed};
use core::cell::{Cell, UnsafeCell};
use core::fmt::{self, Write};
use core::sync::atomic::{Ordering, compiler_fence};

/// How much text all arguments of one call may give that are formatted at the call site.
pub const SCRATCH_BYTES: usize = 8 * 1024;

struct Scratch {
    /// How much of the area is in use, at most its size.
    used: Cell<usize>,
    area: UnsafeCell<[u8; SCRATCH_BYTES]>,
}

thread_local! {
    static SCRATCH: Scratch = const { Scratch { used: Cell::new(0), area: UnsafeCell::new([0; SCRATCH_BYTES]) } };
}

/// Touches every page of the calling thread's area, so that its first use meets no page fault.
pub(crate) fn touch_scratch() {
    SCRATCH.with(|scratch| {
        let area = scratch.area.get().cast::<u8>();
        for offset in (0..SCRATCH_BYTES).step_by(4096).chain([SCRATCH_BYTES - 1]) {
            let byte = area.wrapping_add(offset);
            // SAFETY: the byte lies within this thread's area, which is initialised.
            let value = unsafe { byte.read() };
            // SAFETY: as above; storing what stands there changes nothing, and being volatile it is not left out.
            unsafe { byte.write_volatile(value) };
        }
    });
}

/// An argument that was formatted in the thread's scratch area, which it releases when dropped.
///
/// All reads and writes are copies through raw pointers on the one thread, so even an order of drops that no macro
/// produces can only mix up text.
#[derive(Debug)]
pub struct Formatted {
    /// Within the area of this thread, which a raw pointer cannot leave.
    start: *const u8,
    len: usize,
    cut: bool,
}

impl Formatted {
    /// Formats `arguments`. A `Display` that fails leaves what it wrote before.
    #[cold]
    #[inline(never)]
    pub fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut area = Area { start: SCRATCH.with(|scratch| scratch.used.get()), len: 0, cut: false };
        // The error is the cut, or the type's own; both leave a text that is worth having.
        let _ = area.write_fmt(arguments);
        let start = SCRATCH.with(|scratch| scratch.area.get()).cast::<u8>().wrapping_add(area.start);
        let formatted = Self { start, len: area.len, cut: area.cut };
        core::mem::forget(area);
        formatted
    }

    fn text(&self) -> Text<'_> {
        // SAFETY: `start` and `len` lie within this thread's area, which is initialised and lives as long as the
        // thread; nothing writes to the area while a record is encoded from it, which runs no code of the user.
        Text::from_bytes(unsafe { core::slice::from_raw_parts(self.start, self.len) })
    }
}

impl Drop for Formatted {
    fn drop(&mut self) {
        SCRATCH.with(|scratch| {
            let start = self.start as usize - scratch.area.get() as usize;
            // The least of all, because the arguments of a call are dropped from the first to the last.
            scratch.used.set(scratch.used.get().min(start));
        });
    }
}

/// The text being written, which a panicking `Display` gives back.
struct Area {
    start: usize,
    len: usize,
    cut: bool,
}

impl Write for Area {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let at = self.start + self.len;
        let len = Text::from_bytes(text.as_bytes()).boundary(SCRATCH_BYTES - at);
        SCRATCH.with(|scratch| {
            // Taken before it is written: a signal handler that logs in between uses what is above.
            scratch.used.set(at + len);
            compiler_fence(Ordering::SeqCst);
            let out = scratch.area.get().cast::<u8>();
            // SAFETY: `at` is at most the size of the area.
            let out = unsafe { out.add(at) };
            // SAFETY: `len` bytes remain behind `at`. No reference into the area exists while user code runs, and
            // `text` cannot be one.
            unsafe { out.copy_from_nonoverlapping(text.as_ptr(), len) };
        });
        self.len += len;
        self.cut = len < text.len();
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        SCRATCH.with(|scratch| scratch.used.set(self.start));
    }
}

// SAFETY: as the text, which does not change while the argument lives on this thread's stack.
unsafe impl Encode for Formatted {
    const FIXED: Option<usize> = None;

    fn bytes(&self) -> usize {
        4 + self.len
    }

    fn bytes_min(&self) -> usize {
        4
    }

    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the caller vouches for `bytes()`, which is `4 + len`.
        unsafe { self.text().encode_first(out, self.len, self.cut) }
    }

    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        let text = self.text();
        let len = text.boundary(*spare);
        *spare -= len;
        // SAFETY: the caller vouches for `4 + spare` bytes, and `len` was at most `spare` and the length of the text.
        unsafe { text.encode_first(out, len, self.cut || len < self.len) }
    }
}

impl Typed for Formatted {
    const TYPE: &'static Type = &Type::Formatted;
}
