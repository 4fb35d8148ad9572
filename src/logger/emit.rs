//! The hot path, from the macro to the committed record, and the cold path behind it.
//!
//! Hot: compare the signature, find the thread's handle, claim, read the clock, store, commit. Everything else is
//! [`slow`]: a site's or a thread's first call, a full ring, a long record, a closed logger. It is one function for all
//! call sites, so that a call site stays small.

use super::component::ComponentInfo;
use super::core::Core;
use super::lease::{self, Lease};
use super::register::{self, Registered};
use crate::callsite::{Site, SiteInfo};
use crate::clock::ticks;
use crate::ring::handle::Handle;
use crate::ring::protocol::{Cause, Refusal, RingHeader};
use crate::segment::append::frame_bytes;
use crate::segment::layout::{PAYLOAD_BYTES_MAX, SITE_INLINE, UNIT_BYTES};
use crate::value::{Args, Encode, TARGET_BYTES, Types};
use std::sync::atomic::Ordering;

/// Payloads up to this size are written by the hot path; larger ones are first held against the limit.
const HOT_BYTES_MAX: usize = 1024;
/// A writer that has not taken a step for so long does not live, as far as waiting for it goes.
const HEARTBEAT_STALE_MS: u64 = 500;

/// Records a call of an enabled site; `state` is its state word, which was not 0.
#[inline(always)]
pub fn emit<A: Args>(site: &'static Site, state: u64, args: A) {
    if !is_written(state, &Erased(&args)) {
        slow_args(site, args);
    }
}

/// [`slow`], which gets the arguments by value: whose address the cold path took would be stored to memory on the hot one as well,
/// and what a call stores is what it waits for when the ring's lines come from another core.
#[cold]
#[inline(never)]
fn slow_args<A: Args>(site: &'static Site, args: A) {
    slow(site, &Erased(&args));
}

/// The plain case; `false`, and nothing done, where it is another, which is [`slow`].
#[inline(always)]
pub(crate) fn is_written<P: Payload>(state: u64, payload: &P) -> bool {
    if (state >> 32) as u32 == payload.signature() {
        // Held against the limit before it is rounded: a size that says "too much" must not wrap to a small one.
        let payload_bytes = payload.bytes();
        if payload_bytes <= HOT_BYTES_MAX {
            let bytes = frame_bytes(payload_bytes);
            let handle = lease::current();
            if let Some(header) = handle.header() {
                let fill = |out| {
                    // SAFETY: `write` gives room for the frame's payload, which is at least `payload.bytes()`.
                    unsafe { payload.encode(out) };
                };
                // SAFETY: `encode` writes exactly `payload.bytes()` bytes, for which the frame was sized.
                let written = unsafe { handle.write(header, bytes, payload.is_padded(), state as u32, fill) };
                return written.is_ok();
            }
        }
    }
    false
}

/// The arguments of a call without their type.
pub(crate) trait Payload {
    fn types(&self) -> &'static Types;
    fn target(&self) -> Option<&'static str>;
    fn signature(&self) -> u32;
    fn bytes(&self) -> usize;
    fn bytes_min(&self) -> usize;
    /// Whether bytes may be left behind the payload in its last word.
    #[inline(always)]
    fn is_padded(&self) -> bool {
        true
    }
    /// # Safety
    /// `out` is valid for writes of `bytes()` bytes.
    unsafe fn encode(&self, out: *mut u8);
    /// # Safety
    /// `out` is valid for writes of `bytes_min() + spare` bytes.
    unsafe fn encode_cut(&self, out: *mut u8, spare: usize);
}

pub(crate) struct Erased<'a, A>(pub(crate) &'a A);

impl<A: Args> Payload for Erased<'_, A> {
    fn types(&self) -> &'static Types {
        A::TYPES
    }

    fn target(&self) -> Option<&'static str> {
        self.0.target()
    }

    #[inline(always)]
    fn signature(&self) -> u32 {
        A::SIGNATURE
    }

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn bytes_min(&self) -> usize {
        self.0.bytes_min()
    }

    #[inline(always)]
    fn is_padded(&self) -> bool {
        A::FIXED.is_none_or(|bytes| !bytes.is_multiple_of(UNIT_BYTES))
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) {
        // SAFETY: the caller gives room for `bytes()`.
        unsafe { self.0.encode(out) };
    }

    unsafe fn encode_cut(&self, out: *mut u8, mut spare: usize) {
        // SAFETY: the caller gives room for `bytes_min() + spare`.
        unsafe { self.0.encode_cut(out, &mut spare) };
    }
}

/// Arguments behind the number of the component that the record belongs to.
pub(crate) struct OfComponent<A>(pub(crate) &'static ComponentInfo, pub(crate) A);

// SAFETY: a number of four bytes before what `A` promises to write.
unsafe impl<A: Encode> Encode for OfComponent<A> {
    const FIXED: Option<usize> = match A::FIXED {
        Some(bytes) => Some(bytes + 4),
        None => None,
    };

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.1.bytes().saturating_add(4)
    }

    fn bytes_min(&self) -> usize {
        self.1.bytes_min().saturating_add(4)
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the caller gives room for four bytes and those of the arguments.
        unsafe { out.cast::<[u8; 4]>().write(self.0.number.to_le_bytes()) };
        // SAFETY: as above.
        unsafe { self.1.encode(out.wrapping_add(4)) }
    }

    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        // SAFETY: the caller gives room for four bytes and those of the arguments.
        unsafe { out.cast::<[u8; 4]>().write(self.0.number.to_le_bytes()) };
        // SAFETY: as above.
        unsafe { self.1.encode_cut(out.wrapping_add(4), spare) }
    }
}

impl<A: Args> Args for OfComponent<A> {
    const TYPES: &'static Types = A::TYPES;
    const SIGNATURE: u32 = A::SIGNATURE;

    fn target(&self) -> Option<&'static str> {
        Some(&self.0.name)
    }
}

/// Everything that is not the plain case, for the global logger.
#[cold]
#[inline(never)]
pub(crate) fn slow(site: &'static Site, payload: &dyn Payload) {
    match lease::with_global(|lease| record(lease, site, payload)) {
        lease::Found::Yes(()) => {}
        lease::Found::NoLogger => register::without_logger(site, payload.types(), payload.signature()),
        // A signal handler interrupted this path, or no ring is to be had.
        lease::Found::NoRing(core) => {
            if let Some(core) = core {
                core.drop_without_ring();
            }
        }
    }
}

/// Records a call on a thread that has a ring.
pub(crate) fn record(lease: &Lease, site: &'static Site, payload: &dyn Payload) {
    let core = lease.core();
    let handle = lease.handle();
    let Some(header) = handle.header() else { return };
    let Some(cold_call) = core.closing.enter() else { return };
    if handle.producer.is_busy() {
        handle.producer.drop_one(header, Cause::Reentrant);
        return;
    }
    let fits = match register::site(core, site, payload.types(), payload.signature(), payload.target()) {
        Registered::Disabled => return,
        Registered::Number(number) => write_numbered(core, handle, header, number, payload),
        Registered::Inline(number) => write_inline(core, handle, header, number, site, payload),
    };
    if let Err(cause) = fits {
        handle.producer.drop_one(header, cause);
    }
    drop(cold_call);
    lease.after_slow_call();
}

fn write_numbered(
    core: &Core,
    handle: &Handle,
    header: &RingHeader,
    number: u32,
    payload: &dyn Payload,
) -> Result<(), Cause> {
    let bytes = payload.bytes();
    let bytes_max = handle.payload_bytes_max as usize;
    if bytes <= bytes_max {
        let fill = |out| {
            // SAFETY: the frame is sized for `bytes`, which is what `encode` writes.
            unsafe { payload.encode(out) };
        };
        // SAFETY: as above.
        return persist(core, handle, header, bytes, |size| unsafe { handle.write(header, size, true, number, fill) });
    }
    let spare = bytes_max.checked_sub(payload.bytes_min()).ok_or(Cause::TooLarge)?;
    let fill = |out: *mut u8| {
        // What is cut can leave bytes unwritten; padding is zero.
        // SAFETY: the frame is sized for `bytes_max`.
        unsafe { out.write_bytes(0, bytes_max) };
        // SAFETY: as above, and `bytes_max` is `bytes_min() + spare`.
        unsafe { payload.encode_cut(out, spare) };
    };
    // SAFETY: as above.
    persist(core, handle, header, bytes_max, |size| unsafe { handle.write(header, size, true, number, fill) })
}

/// The record with its definition before it, for a site that the table has no room for.
fn write_inline(
    core: &Core,
    handle: &Handle,
    header: &RingHeader,
    number: u32,
    site: &'static Site,
    payload: &dyn Payload,
) -> Result<(), Cause> {
    let info = &site.info;
    // A target that comes with the call becomes the definition's own: the table may have no room for that either.
    let info = &SiteInfo { target: payload.target().or(info.target), ..*info };
    let skipped = if payload.target().is_some() { TARGET_BYTES } else { 0 };
    let definition = crate::record::definition::encode_site(SITE_INLINE, info, payload.types(), &mut []);
    let head = (4 + definition).next_multiple_of(8);
    let room = PAYLOAD_BYTES_MAX.min(core.config.segment_bytes / 4);
    let wanted = payload.bytes().min(handle.payload_bytes_max as usize);
    let bytes = head + wanted - skipped;
    let spare = wanted.checked_sub(payload.bytes_min()).filter(|_| bytes <= room).ok_or(Cause::TooLarge)?;
    let fill = |out: *mut u8| {
        // SAFETY: the frame is sized for `bytes`.
        unsafe { out.write_bytes(0, bytes) };
        // SAFETY: `wanted` bytes are left behind the head, the skipped ones included, which the head then overwrites.
        unsafe { payload.encode_cut(out.wrapping_add(head - skipped), spare) };
        // SAFETY: the bytes are the head of the frame's payload, initialised just now.
        let place = unsafe { std::slice::from_raw_parts_mut(out, head) };
        place.fill(0);
        let (length, place) = place.split_at_mut(4);
        length.copy_from_slice(&((head - 4) as u32).to_le_bytes());
        crate::record::definition::encode_site(SITE_INLINE, info, payload.types(), place);
    };
    // SAFETY: `fill` stays within `bytes`.
    persist(core, handle, header, bytes, |size| unsafe { handle.write(header, size, true, number, fill) })
}

/// Tries to write until there is room, or the policy or the time says to stop.
fn persist(
    core: &Core,
    handle: &Handle,
    header: &RingHeader,
    payload_bytes: usize,
    mut write: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<(), Cause> {
    let bytes = frame_bytes(payload_bytes);
    if bytes as u64 > handle.capacity() {
        return Err(Cause::TooLarge);
    }
    let mut patience = None;
    loop {
        match write(bytes) {
            Ok(()) => return Ok(()),
            Err(Refusal::Reentrant) => return Err(Cause::Reentrant),
            Err(Refusal::Full) => {}
        }
        if handle.producer.refresh(header, handle.capacity()) >= bytes as u64 {
            continue;
        }
        if !core.blocks() || lease::is_own_thread() || handle.producer.is_closed() {
            return Err(Cause::Full);
        }
        if !patience.get_or_insert_with(|| Patience::new(core)).wait(core) {
            return Err(Cause::Full);
        }
    }
}

/// Waiting for room, with an end.
struct Patience {
    until: u64,
    stale: u64,
    rounds: u32,
}

impl Patience {
    fn new(core: &Core) -> Self {
        let now = ticks::now();
        // At least, because on a machine with more work than cores a living writer can be held up as long.
        let stale = core.ticks_in(core.config.block_max.max(std::time::Duration::from_millis(HEARTBEAT_STALE_MS)));
        Self { until: now.saturating_add(core.ticks_in(core.config.block_max)), stale, rounds: 0 }
    }

    /// Waits a little; `false` when the time is over or the writer does not live.
    fn wait(&mut self, core: &Core) -> bool {
        let now = ticks::now();
        let beat = core.control.writer.alive.load(Ordering::Relaxed);
        // A page that others took away and that was made again has no beat yet.
        if now >= self.until || (beat != 0 && now.saturating_sub(beat) > self.stale) {
            return false;
        }
        self.rounds += 1;
        if self.rounds.is_multiple_of(64) {
            std::thread::yield_now()
        } else {
            std::hint::spin_loop()
        }
        true
    }
}
