//! What a journal has defined so far: call sites, threads, components.
//!
//! Definitions are repeated in each segment; equal ones are kept once. Entries refer to them by place. Memory is bounded
//! by the limits below: what is beyond them counts as not defined, and its records are handed out as not understood.

use super::record::{CallSite, Thread};
use crate::record::definition::unpadded;
use crate::segment::layout::{WRITER_RING, u16_at, u32_at};
use std::collections::HashMap;
use std::sync::Arc;

/// The most call sites, and the most components, of a journal.
pub const SITES_MAX: usize = 1 << 16;
/// Numbers of call sites and components must be below this one.
pub const NUMBER_MAX: u32 = 1 << 20;
/// The most bytes that definitions of a journal may take, as encoded.
pub const DEFINITION_BYTES_MAX: usize = 64 << 20;
/// Threads are tidied when there are this many, and again when there are twice as many as then were in use.
const THREADS_TIDY: usize = 1024;

/// A place that nothing stands at.
pub(super) const NONE: u32 = u32::MAX;
/// Place of the thread whose definition is missing.
const THREAD_UNKNOWN: u32 = 0;
/// Place of the logger itself.
pub(super) const THREAD_OWN: u32 = 1;

/// What is known of a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    /// Place of its present thread.
    pub(super) thread: u32,
    /// The greatest key of its entries so far: order within a ring is kept whatever its clock does.
    pub(super) key: u64,
}

struct Site {
    encoded: Box<[u8]>,
    names_target: bool,
    site: Arc<CallSite>,
}

/// The definitions.
pub(super) struct Definitions {
    sites: Vec<Site>,
    site_places: Vec<u32>,
    inline_places: HashMap<Box<[u8]>, u32>,
    components: Vec<Box<str>>,
    component_places: Vec<u32>,
    threads: Vec<Thread>,
    threads_tidy: usize,
    rings: Vec<Ring>,
    bytes: usize,
}

impl Definitions {
    pub(super) fn new() -> Self {
        let thread = |name: &str| Thread { name: name.to_owned(), tid: 0 };
        Self {
            sites: Vec::new(),
            site_places: Vec::new(),
            inline_places: HashMap::new(),
            components: Vec::new(),
            component_places: Vec::new(),
            threads: vec![thread("?"), thread(super::record::OWN_TARGET)],
            threads_tidy: THREADS_TIDY,
            rings: Vec::new(),
            bytes: 0,
        }
    }

    /// The place of a call site by its number, or [`NONE`].
    #[inline]
    pub(super) fn site_place(&self, number: u32) -> u32 {
        self.site_places.get(number as usize).copied().unwrap_or(NONE)
    }

    /// The call site at a place.
    #[inline]
    pub(super) fn site(&self, place: u32) -> Option<&CallSite> {
        self.sites.get(place as usize).map(|site| &*site.site)
    }

    /// Whether the call site at a place says what its records are about; else each of them names its component.
    #[inline]
    pub(super) fn names_target(&self, place: u32) -> Option<bool> {
        self.sites.get(place as usize).map(|site| site.names_target)
    }

    /// The place of a component by its number, or [`NONE`].
    #[inline]
    pub(super) fn component_place(&self, number: u32) -> u32 {
        self.component_places.get(number as usize).copied().unwrap_or(NONE)
    }

    /// The name of the component at a place.
    #[inline]
    pub(super) fn component(&self, place: u32) -> Option<&str> {
        self.components.get(place as usize).map(|name| &**name)
    }

    /// The thread at a place.
    #[inline]
    pub(super) fn thread(&self, place: u32) -> Option<&Thread> {
        self.threads.get(place as usize).or_else(|| self.threads.first())
    }

    /// The state of a ring.
    #[inline]
    pub(super) fn ring(&mut self, ring: u16) -> Option<&mut Ring> {
        let index = usize::from(ring);
        if index >= self.rings.len() {
            let thread = if ring == WRITER_RING { THREAD_OWN } else { THREAD_UNKNOWN };
            self.rings.resize(index + 1, Ring { thread: THREAD_UNKNOWN, key: 0 });
            if let Some(state) = self.rings.get_mut(index) {
                state.thread = thread;
            }
        }
        self.rings.get_mut(index)
    }

    /// Takes a `Kind::Site` payload; says whether it was understood.
    pub(super) fn define_site(&mut self, payload: &[u8]) -> bool {
        let number = u32_at(payload, 0);
        let place = self.site_place(number);
        if self.sites.get(place as usize).is_some_and(|known| *known.encoded == *payload) {
            return true;
        }
        if number >= NUMBER_MAX {
            return false;
        }
        let place = self.add_site(payload, unpadded(payload, CallSite::decode));
        set(&mut self.site_places, number, place);
        place != NONE
    }

    /// The place of a call site that a record carries itself, or [`NONE`].
    pub(super) fn inline_site(&mut self, definition: &[u8]) -> u32 {
        if let Some(place) = self.inline_places.get(definition) {
            return *place;
        }
        let place = self.add_site(definition, unpadded(definition, CallSite::decode));
        if place != NONE {
            self.inline_places.insert(definition.into(), place);
        }
        place
    }

    fn add_site(&mut self, encoded: &[u8], site: Option<CallSite>) -> u32 {
        match site {
            Some(site) if self.sites.len() < SITES_MAX && self.room(encoded.len()) => {
                let names_target = site.def.target.is_some();
                self.sites.push(Site { encoded: encoded.into(), names_target, site: Arc::new(site) });
                self.sites.len() as u32 - 1
            }
            _ => NONE,
        }
    }

    /// Takes a `Kind::Component` payload; says whether it was understood.
    pub(super) fn define_component(&mut self, payload: &[u8]) -> bool {
        let (number, bytes) = (u32_at(payload, 0), u32_at(payload, 4) as usize);
        let Some(name) = payload.get(8..).and_then(|rest| rest.get(..bytes)) else { return false };
        let name = String::from_utf8_lossy(name);
        if self.component(self.component_place(number)) == Some(&*name) {
            return true;
        }
        if number >= NUMBER_MAX || self.components.len() >= SITES_MAX || !self.room(name.len()) {
            return false;
        }
        self.components.push((&*name).into());
        let place = self.components.len() as u32 - 1;
        set(&mut self.component_places, number, place);
        true
    }

    /// Takes a `Kind::Thread` payload; says whether it was understood.
    pub(super) fn define_thread(&mut self, payload: &[u8]) -> bool {
        let (ring, bytes, tid) = (u16_at(payload, 0), usize::from(u16_at(payload, 2)), u32_at(payload, 4));
        let Some(name) = payload.get(8..).and_then(|rest| rest.get(..bytes)) else { return false };
        let name = String::from_utf8_lossy(name);
        let place = self.ring(ring).map_or(THREAD_UNKNOWN, |state| state.thread);
        if place > THREAD_OWN && self.thread(place).is_some_and(|known| known.tid == tid && known.name == name) {
            return true;
        }
        self.threads.push(Thread { name: name.into_owned(), tid });
        let place = self.threads.len() as u32 - 1;
        if let Some(state) = self.ring(ring) {
            state.thread = place;
        }
        true
    }

    /// Whether so many threads have come and gone that [`tidy_threads`](Self::tidy_threads) is worth its while.
    pub(super) fn threads_untidy(&self) -> bool {
        self.threads.len() >= self.threads_tidy
    }

    /// Drops threads that no ring and no entry refers to; `entries` gives the places in use, to be changed.
    pub(super) fn tidy_threads<'a>(&mut self, entries: impl Iterator<Item = &'a mut u32>) {
        let mut moved = vec![NONE; self.threads.len()];
        let mut kept: Vec<Thread> = Vec::new();
        let threads = &mut self.threads;
        let mut keep = |place: &mut u32| {
            let Some(target) = moved.get_mut(*place as usize) else { return };
            if *target == NONE {
                let Some(thread) = threads.get_mut(*place as usize) else { return };
                *target = kept.len() as u32;
                kept.push(Thread { name: std::mem::take(&mut thread.name), tid: thread.tid });
            }
            *place = *target;
        };
        keep(&mut { THREAD_UNKNOWN });
        keep(&mut { THREAD_OWN });
        self.rings.iter_mut().for_each(|ring| keep(&mut ring.thread));
        entries.for_each(keep);
        self.threads_tidy = (kept.len() * 2).max(THREADS_TIDY);
        self.threads = kept;
    }

    fn room(&mut self, bytes: usize) -> bool {
        let room = self.bytes + bytes <= DEFINITION_BYTES_MAX;
        if room {
            self.bytes += bytes;
        }
        room
    }
}

/// Sets an item of a table that grows as needed; the caller has checked `number` against [`NUMBER_MAX`].
fn set(places: &mut Vec<u32>, number: u32, place: u32) {
    let index = number as usize;
    if index >= places.len() {
        places.resize(index + 1, NONE);
    }
    if let Some(slot) = places.get_mut(index) {
        *slot = place;
    }
}
