//! The ring that a thread holds, from its first call to its end.
//!
//! The hot path sees one thread-local pointer. It points to the handle of the thread's ring, or to one that is all
//! zeros, whose calls take the cold path: before the first call, after the thread's locals were destroyed, and in a
//! forked child (where the handle's own page was wiped).

use super::core::Core;
use super::{global, start};
use crate::config::Mode;
use crate::ring::handle::Handle;
use crate::segment::append::frame_bytes;
use crate::segment::layout::SITE_THREAD;
use crate::sys;
use crate::sys::thread::OrdinaryMask;
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Once};

/// Bytes of a thread's name that are recorded.
const NAME_BYTES_MAX: usize = 128;

#[repr(C, align(64))]
struct Zeros([AtomicU64; size_of::<Handle>() / 8]);

static NO_RING: Zeros = Zeros([const { AtomicU64::new(0) }; size_of::<Handle>() / 8]);

thread_local! {
    static HANDLE: Cell<*const Handle> = const { Cell::new((&raw const NO_RING).cast()) };
    static LEASE: RefCell<Option<Lease>> = const { RefCell::new(None) };
    static ISOLATED: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
    static RUNNING: Cell<*const Running> = const { Cell::new(ptr::null()) };
    static FORKING: Cell<[(*mut u8, usize); NESTED_MAX]> = const { Cell::new([(ptr::null_mut(), 0); NESTED_MAX]) };
    static OWN_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread's handle for the global logger.
#[inline(always)]
pub(crate) fn current() -> &'static Handle {
    let handle = HANDLE.get();
    // SAFETY: the zeros above, for which a handle without a ring is a valid reading and which nobody stores to, or the
    // page of a ring that this thread's lease keeps mapped until it points the handle elsewhere. The reference is not
    // kept beyond the call.
    unsafe { &*handle }
}

/// Calls within calls, by values that log, on so many loggers are told apart when one of them forks.
const NESTED_MAX: usize = 8;

/// A call on the cold path, as long as it lives; on the thread's stack.
struct Running {
    handle: *const Handle,
    outer: *const Running,
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.outer);
    }
}

/// Calls `f`; a fork within it finds the lease.
fn run<T>(lease: &Lease, f: impl FnOnce(&Lease) -> T) -> T {
    let running = Running { handle: lease.handle, outer: RUNNING.get() };
    RUNNING.set(&raw const running);
    f(lease)
}

/// From now on a child that is forked in the midst of a log call finishes that call in memory of its own. It knows
/// its ring by then: the wiped handle comes too late.
pub(crate) fn guard_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| sys::fork::at_fork(before_fork, in_child));
}

/// Notes on which rings the forking thread is in the midst of a call.
extern "C" fn before_fork() {
    let mut found = [(ptr::null_mut(), 0); NESTED_MAX];
    let mut places = found.iter_mut();
    let mut note = |handle: &Handle| {
        if let (Some(mapping), Some(place)) = (handle.in_use(), places.next()) {
            *place = mapping;
        }
    };
    note(current());
    let mut next = RUNNING.get();
    // SAFETY: null, or a call further down this thread's stack, which takes itself off the list when it ends.
    while let Some(running) = unsafe { next.as_ref() } {
        // SAFETY: the handle of the lease that the call runs on.
        note(unsafe { &*running.handle });
        next = running.outer;
    }
    FORKING.set(found);
}

extern "C" fn in_child() {
    for (base, bytes) in FORKING.get() {
        if !base.is_null() {
            // SAFETY: a ring's mapping, of which the child has nothing but the call that it is in the midst of.
            unsafe { sys::map::replace_by_private(base, bytes) };
        }
    }
}

/// Marks the calling thread as one of ours: its own log calls never wait for room, which nobody else could make.
pub(crate) fn own_thread() {
    OWN_THREAD.set(true);
}

/// Whether [`own_thread`] was called on this thread.
pub(crate) fn is_own_thread() -> bool {
    OWN_THREAD.get()
}

/// A ring in the hands of a thread.
#[derive(Debug)]
pub(crate) struct Lease {
    core: Arc<Core>,
    number: u16,
    handle: *const Handle,
    /// In synchronous mode: by this a signal handler is noticed.
    ordinary: Option<OrdinaryMask>,
}

impl Lease {
    /// Takes a ring of `core` and writes the thread's name into it. In a forked child there is none: its copy of the pool
    /// would hand out rings that the parent's threads have.
    pub(crate) fn take(core: Arc<Core>) -> Option<Self> {
        if core.is_forked() {
            return None;
        }
        let (ring, called) = core.pool.take(&core.memory).ok()?;
        ring.arm(core.clock_word(), core.config.record_bytes_max as u32, called);
        let (number, handle) = (ring.number(), ring.handle());
        let ordinary = (core.config.mode == Mode::Synchronous).then(OrdinaryMask::now);
        let lease = Self { core, number, handle, ordinary };
        // A close that looked at the rings before this one was armed set its flag before that: one of the two sees the
        // other, so that no thread goes on filling a ring that nobody reads.
        fence(Ordering::SeqCst);
        if lease.core.closing.is_closed() {
            lease.handle().producer.close();
        }
        lease.announce();
        Some(lease)
    }

    /// The logger.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The producer's side of the ring.
    pub(crate) fn handle(&self) -> &Handle {
        // SAFETY: the handle stands on a page of a ring that lives as long as the core, which `self` keeps.
        unsafe { &*self.handle }
    }

    /// Whether calls on this lease can still be recorded: not in a closed logger, nor on a ring whose memory was lost.
    fn is_live(&self) -> bool {
        let handle = self.handle();
        handle.header().is_some() && !handle.producer.is_closed() && !self.core.closing.is_closed()
    }

    /// Tells the writer whose records follow.
    fn announce(&self) {
        let handle = self.handle();
        let Some(header) = handle.header() else { return };
        let name = thread_name();
        let name = name.get(..name.len().min(NAME_BYTES_MAX)).unwrap_or_default();
        let payload_bytes = 8 + name.len();
        let bytes = frame_bytes(payload_bytes);
        handle.producer.refresh(header, handle.capacity());
        // A ring that its last thread left full has no room; the records then bear that thread's name until this thread's next lease.
        let head = u64::from(self.number) | (name.len() as u64) << 16 | u64::from(sys::thread::thread_id()) << 32;
        let fill = |out: *mut u8| {
            // SAFETY: the frame is sized for the eight bytes and the name.
            unsafe { out.cast::<[u8; 8]>().write(head.to_le_bytes()) };
            // SAFETY: as above.
            unsafe { out.wrapping_add(8).copy_from_nonoverlapping(name.as_ptr(), name.len()) };
        };
        // SAFETY: as above.
        let written = unsafe { handle.write(header, bytes, true, SITE_THREAD, fill) };
        if written.is_ok()
            && let Some(ring) = self.core.pool.ring(usize::from(self.number))
        {
            ring.count_announced();
        }
        if self.ordinary.is_some() {
            handle.producer.shut();
        }
    }

    /// What is to be done behind a call of the cold path.
    pub(crate) fn after_slow_call(&self) {
        let Some(ordinary) = &self.ordinary else { return };
        self.handle().producer.shut();
        // What a signal handler logs stays in the ring for the thread's next call: memory and files are not for handlers.
        if !ordinary.is_in_handler() {
            start::step_inline(&self.core);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if HANDLE.get() == self.handle {
            HANDLE.set((&raw const NO_RING).cast());
        }
        // In a forked child the handle is wiped and the ring the parent's.
        if self.handle().header().is_none() {
            return;
        }
        if self.handle().producer.is_busy() {
            // From within a call of this thread, by a value that closes the logger or a signal handler: the call goes on
            // storing into the ring. So neither the ring nor the memory below it is ever given back.
            std::mem::forget(Arc::clone(&self.core));
            return;
        }
        let producer = &self.handle().producer;
        if producer.is_closed()
            && !self.core.closing.is_closed()
            && let Some(ring) = self.core.pool.ring(usize::from(self.number))
        {
            // Closed by itself, because its words were wrong.
            ring.mark_lost();
        }
        self.core.pool.give_back(self.number, producer.called(), producer.head());
    }
}

/// What [`with_global`] found.
pub(crate) enum Found<T> {
    /// A ring; here is what was done with it.
    Yes(T),
    /// No logger is running.
    NoLogger,
    /// A logger, if it could be told, but no ring for this call.
    NoRing(Option<Arc<Core>>),
}

/// Calls `f` with the thread's lease of the global logger, taken now if need be.
pub(crate) fn with_global<T>(f: impl FnOnce(&Lease) -> T) -> Found<T> {
    let mut f = Some(f);
    let found = LEASE.try_with(|slot| {
        // A signal handler has interrupted this path: the ring serves it as well, unless it is just being taken.
        let Ok(mut slot) = slot.try_borrow_mut() else {
            return match found(&mut f) {
                Found::NoRing(None) => Found::NoRing(global::current_if_free()),
                found => found,
            };
        };
        if slot.as_ref().is_none_or(|lease| !lease.is_live()) {
            *slot = None;
            let Some(core) = global::current() else { return Found::NoLogger };
            let Some(lease) = Lease::take(Arc::clone(&core)) else { return Found::NoRing(Some(core)) };
            if core.config.mode != Mode::Synchronous {
                HANDLE.set(lease.handle);
            }
            *slot = Some(lease);
        }
        // The borrow ends before the call: logging from within it must find the lease free.
        drop(slot);
        found(&mut f)
    });
    match found {
        Ok(found) => found,
        // The thread's locals are gone: a ring for this one call.
        Err(_) => match (global::current(), f.take()) {
            (Some(core), Some(f)) => {
                let lease = Lease::take(Arc::clone(&core));
                lease.map_or(Found::NoRing(Some(core)), |lease| Found::Yes(run(&lease, f)))
            }
            _ => Found::NoLogger,
        },
    }
}

fn found<T>(f: &mut Option<impl FnOnce(&Lease) -> T>) -> Found<T> {
    LEASE.with(|slot| match (slot.try_borrow(), f.take()) {
        (Ok(slot), Some(f)) => slot.as_ref().map_or(Found::NoRing(None), |lease| Found::Yes(run(lease, f))),
        _ => Found::NoRing(None),
    })
}

/// Calls `f` with the thread's lease of an isolated logger, taken now if need be.
pub(crate) fn with_isolated<T>(core: &Arc<Core>, f: impl FnOnce(&Lease) -> T) -> Option<T> {
    let taken = ISOLATED.try_with(|leases| {
        let Ok(mut leases) = leases.try_borrow_mut() else { return Some(()) };
        leases.retain(Lease::is_live);
        if !leases.iter().any(|lease| lease.core.id == core.id) {
            leases.push(Lease::take(Arc::clone(core))?);
        }
        Some(())
    });
    match taken {
        Ok(Some(())) => ISOLATED.with(|leases| {
            let leases = leases.try_borrow().ok()?;
            leases.iter().find(|lease| lease.core.id == core.id).map(|lease| run(lease, f))
        }),
        Ok(None) => None,
        Err(_) => Lease::take(Arc::clone(core)).map(|lease| run(&lease, f)),
    }
}

/// Gives back what the calling thread holds of `core`.
pub(crate) fn release(core: &Core) {
    let _ = LEASE.try_with(|slot| {
        if let Ok(mut slot) = slot.try_borrow_mut()
            && slot.as_ref().is_some_and(|lease| lease.core.id == core.id)
        {
            *slot = None;
        }
    });
    let _ = ISOLATED.try_with(|leases| {
        if let Ok(mut leases) = leases.try_borrow_mut() {
            leases.retain(|lease| lease.core.id != core.id);
        }
    });
}

/// The name of the calling thread: the one that Rust knows, else the operating system's.
fn thread_name() -> String {
    let known = LEASE.try_with(|_| std::thread::current().name().map(str::to_owned)).ok().flatten();
    known.unwrap_or_else(sys::thread::name)
}
