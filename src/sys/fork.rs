//! What happens in a forked child: to our descriptors, and how it knows that it is one.
//!
//! A `flock` lives as long as any descriptor of the open file, the copies of forked children included. So a child that
//! never calls exec would keep its dead parent "alive". The handler here closes the copies in the child; it closes and
//! never unlocks, because unlocking would take the lock from the parent too.

use super::map::{Mapping, page_bytes};
use std::io;
use std::os::fd::RawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Tells a process from its forked children by one load: the first call of each call site asks, and `getpid` is a
/// system call.
#[derive(Debug)]
pub(crate) struct Home {
    /// Its first word is the process's number, or what the fork left of it: 0.
    page: Mapping,
}

impl Home {
    /// The calling process.
    pub(crate) fn new() -> io::Result<Self> {
        let home = Self { page: Mapping::wiped_on_fork(page_bytes())? };
        home.word().store(std::process::id(), Ordering::Relaxed);
        Ok(home)
    }

    /// Whether the caller runs in the process that made this.
    pub(crate) fn is_here(&self) -> bool {
        let number = self.word().load(Ordering::Relaxed);
        // Elsewhere no page is wiped, and a system call has to do.
        number != 0 && (cfg!(target_os = "linux") || number == std::process::id())
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped as long as `self`, aligned, and this word of it is only accessed as an atomic.
        unsafe { &*self.page.as_ptr().cast::<AtomicU32>() }
    }
}

/// A logger has four locks; those beyond this number stay open in forked children.
const LOCKS_MAX: usize = 256;
const NONE: i32 = -1;

static LOCKS: [AtomicI32; LOCKS_MAX] = [const { AtomicI32::new(NONE) }; LOCKS_MAX];
static HANDLER: Once = Once::new();
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// A descriptor that is closed in forked children; drop it before the descriptor itself is closed.
#[derive(Debug)]
pub(crate) struct ClosedInChild(Option<&'static AtomicI32>);

/// From now on `descriptor` is closed in the child after a fork.
pub(crate) fn close_in_child(descriptor: RawFd) -> ClosedInChild {
    install();
    let free = |slot: &&AtomicI32| slot.compare_exchange(NONE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    ClosedInChild(LOCKS.iter().find(free))
}

fn install() {
    HANDLER.call_once(|| {
        // SAFETY: the handlers are async-signal-safe: they only touch atomics and call close.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

/// Forks of this process that are over.
pub(crate) fn forks_ended() -> u64 {
    install();
    ENDED.load(Ordering::SeqCst)
}

/// Forks of this process that were begun: as many as had ended at an earlier moment when none was under way since.
pub(crate) fn forks_begun() -> u64 {
    BEGUN.load(Ordering::SeqCst)
}

impl Drop for ClosedInChild {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(NONE, Ordering::Release);
        }
    }
}

/// Has `before` called in the forking thread before each fork, and `child` in its child after it. Both must be
/// async-signal-safe.
pub(crate) fn at_fork(before: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: functions live as long as the program; the callers promise that they are safe to call there.
    unsafe { libc::pthread_atfork(Some(before), None, Some(child)) };
}

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_parent() {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    // In the child no fork is under way.
    ENDED.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    for slot in &LOCKS {
        let descriptor = slot.swap(NONE, Ordering::AcqRel);
        if descriptor >= 0 {
            // SAFETY: the descriptor is the child's copy of one that the parent registered; the child's code never
            // uses it, because a child sees no ring and no logger.
            unsafe { libc::close(descriptor) };
        }
    }
}
