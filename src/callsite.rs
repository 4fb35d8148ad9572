//! Static call sites.
//!
//! Each log macro expands to one `static` [`Site`]. Its state word answers three questions with one relaxed load:
//! is the call enabled, under which number does the journal know the site, and for which argument types.
//!
//! State word: `0` is disabled; else the low half is the site's number (never 0) and the high half the signature of
//! the argument types under which it was registered (never 0). Before registration the low half is
//! [`UNREGISTERED`] and the high half 0, so that the comparison of signatures alone leads to the cold path. Where records
//! are to be remembered instead of written, the number bears a mark ([`REMEMBERED`]).
//!
//! A site registers itself at its first call, without lock, allocation or system call: it takes a number and joins a
//! list, by which levels can be changed later and a logger that starts later learns of it. (The idea of a list of
//! static call sites is that of `tracing-core`.) A site in a generic function has one list of types for each
//! instance; the first is the site's own, the others stand in a table of fixed size (`INSTANCES`).

use crate::flight::Fate;
use crate::level::Level;
use crate::segment::layout::REMEMBERED;
use crate::value::Types;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// What is known of a call site when the program is compiled.
#[derive(Debug)]
pub struct SiteInfo {
    /// The level of the macro.
    pub level: Level,
    /// The target; `None` where it is taken from the `logger:` argument at each call.
    pub target: Option<&'static str>,
    /// `module_path!()`.
    pub module: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()`, from 1.
    pub line: u32,
    /// `column!()`, from 1.
    pub column: u32,
    /// The format string as written.
    pub format: &'static str,
    /// The key-value fields, in the order of the payload, behind the arguments of the message. Those follow from the
    /// format string alone ([`captures`](crate::format::spec::captures)).
    pub fields: &'static [FieldInfo],
}

/// A key-value field.
#[derive(Debug)]
pub struct FieldInfo {
    /// The key.
    pub name: &'static str,
    /// Whether the field asks for its `Debug` form (`?`).
    pub debug: bool,
}

/// Number of a site that was not registered yet.
pub const UNREGISTERED: u64 = 0xffff_ffff;
/// Sites of one program at most; those beyond carry their definition in each record.
pub const SITES_MAX: u32 = 1 << 16;
/// Instances of generic call sites, beyond the first of each, that are told apart by number.
const INSTANCES_MAX: usize = 4096;

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);
static NEWEST: AtomicPtr<Site> = AtomicPtr::new(ptr::null_mut());
static INSTANCES: [Instance; INSTANCES_MAX] = [const { Instance::EMPTY }; INSTANCES_MAX];

/// One log call in the source.
#[derive(Debug)]
pub struct Site {
    /// What the compiler knew.
    pub info: SiteInfo,
    state: AtomicU64,
    number: AtomicU32,
    signature: AtomicU32,
    types: AtomicPtr<Types>,
    older: AtomicPtr<Site>,
    listed: AtomicBool,
}

/// A further instance of a generic call site.
#[derive(Debug)]
struct Instance {
    site: AtomicPtr<Site>,
    signature: AtomicU32,
    number: AtomicU32,
    types: AtomicPtr<Types>,
}

impl Instance {
    // Only ever copied into the elements of the table.
    #[allow(clippy::declare_interior_mutable_const)]
    const EMPTY: Self = Self {
        site: AtomicPtr::new(ptr::null_mut()),
        signature: AtomicU32::new(0),
        number: AtomicU32::new(0),
        types: AtomicPtr::new(ptr::null_mut()),
    };
}

/// A call site with the types of one instance of it, as the journal numbers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered {
    pub(crate) site: &'static Site,
    pub(crate) types: &'static Types,
    pub(crate) number: u32,
    /// The site's state word is about this instance.
    pub(crate) own: bool,
}

impl Site {
    /// A site as the macros lay it out.
    pub const fn new(info: SiteInfo) -> Self {
        Self {
            info,
            state: AtomicU64::new(UNREGISTERED),
            number: AtomicU32::new(0),
            signature: AtomicU32::new(0),
            types: AtomicPtr::new(ptr::null_mut()),
            older: AtomicPtr::new(ptr::null_mut()),
            listed: AtomicBool::new(false),
        }
    }

    /// The state word; 0 is disabled. One relaxed load.
    ///
    /// Relaxed suffices: the number leads only the writer to the definition, and it looks again when it does not find it.
    #[inline(always)]
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::Relaxed)
    }

    /// Calls are recorded no more. Callers hold the lock of the levels that decide it.
    pub(crate) fn disable(&self) {
        self.set_fate(Fate::Disabled);
    }

    /// Sets what becomes of calls. Callers hold the lock of the levels that decide it.
    pub(crate) fn set_fate(&self, fate: Fate) {
        let number = self.number.load(Ordering::Acquire);
        let signature = self.signature.load(Ordering::Acquire);
        let known = number != 0 && signature != 0;
        let state = if known { u64::from(number) | u64::from(signature) << 32 } else { UNREGISTERED };
        let state = match fate {
            Fate::Disabled => 0,
            Fate::Remembered if known => state | u64::from(REMEMBERED),
            Fate::Remembered | Fate::Written => state,
        };
        self.state.store(state, Ordering::Release);
    }

    /// Lets every call take the cold path, which finds out anew whether it is recorded, and how.
    pub(crate) fn set_undecided(&self) {
        self.state.store(UNREGISTERED, Ordering::Release);
    }

    /// Gives the site, in the instance with these types, its number. `None` when there are too many.
    pub(crate) fn numbered(&'static self, types: &'static Types, signature: u32) -> Option<Numbered> {
        let mine = Numbered { site: self, types, number: 0, own: true };
        match self.signature.compare_exchange(0, signature, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                let number = next_number()?;
                self.types.store(ptr::from_ref(types).cast_mut(), Ordering::Release);
                self.number.store(number, Ordering::Release);
                self.join_list();
                Some(Numbered { number, ..mine })
            }
            Err(first) if first == signature => {
                // 0 while another thread is between the exchange and the store; its caller falls back for this call.
                let number = self.number.load(Ordering::Acquire);
                (number != 0).then_some(Numbered { number, ..mine })
            }
            Err(_) => self.instance(types, signature).map(|number| Numbered { number, own: false, ..mine }),
        }
    }

    /// Once; a site that is not in the list must not be disabled, because nobody could enable it again.
    pub(crate) fn join_list(&'static self) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut newest = NEWEST.load(Ordering::Acquire);
        loop {
            self.older.store(newest, Ordering::Relaxed);
            let this = ptr::from_ref(self).cast_mut();
            match NEWEST.compare_exchange_weak(newest, this, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Finds or takes a place among the further instances.
    fn instance(&'static self, types: &'static Types, signature: u32) -> Option<u32> {
        let this = ptr::from_ref(self).cast_mut();
        let start = (this as usize / 64).wrapping_mul(31).wrapping_add(signature as usize);
        for step in 0..INSTANCES_MAX {
            let place = INSTANCES.get(start.wrapping_add(step) % INSTANCES_MAX)?;
            match place.site.compare_exchange(ptr::null_mut(), this, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let number = next_number()?;
                    place.types.store(ptr::from_ref(types).cast_mut(), Ordering::Release);
                    place.number.store(number, Ordering::Release);
                    // Stored last: who finds the signature finds the number.
                    place.signature.store(signature, Ordering::Release);
                    return Some(number);
                }
                Err(taken) if taken == this && place.signature.load(Ordering::Acquire) == signature => {
                    return Some(place.number.load(Ordering::Acquire));
                }
                Err(_) => {}
            }
        }
        None
    }
}

fn next_number() -> Option<u32> {
    let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
    if number < SITES_MAX {
        return Some(number);
    }
    // Keep the counter from wrapping round.
    NEXT_NUMBER.store(SITES_MAX, Ordering::Relaxed);
    None
}

/// Calls `each` with every site in the list that has no number yet: none of its calls was ever recorded.
pub(crate) fn for_each_unnumbered(mut each: impl FnMut(&'static Site)) {
    let mut next = NEWEST.load(Ordering::Acquire);
    // SAFETY: the list holds nothing but addresses of statics, put there by `join_list`.
    while let Some(site) = unsafe { next.cast_const().as_ref() } {
        if site.number.load(Ordering::Acquire) == 0 {
            each(site);
        }
        next = site.older.load(Ordering::Acquire);
    }
}

/// Calls `each` with every instance of every site that has a number.
pub(crate) fn for_each(mut each: impl FnMut(Numbered)) {
    let mut next = NEWEST.load(Ordering::Acquire);
    // SAFETY: the list holds nothing but addresses of statics, put there by `join_list`.
    while let Some(site) = unsafe { next.cast_const().as_ref() } {
        let (number, signature) = (site.number.load(Ordering::Acquire), site.signature.load(Ordering::Acquire));
        each_with(site, &site.types, number, signature, true, &mut each);
        next = site.older.load(Ordering::Acquire);
    }
    for place in &INSTANCES {
        // SAFETY: null, or the address of a static, put there by `instance`.
        if let Some(site) = unsafe { place.site.load(Ordering::Acquire).cast_const().as_ref() } {
            let signature = place.signature.load(Ordering::Acquire);
            each_with(site, &place.types, place.number.load(Ordering::Acquire), signature, false, &mut each);
        }
    }
}

fn each_with(
    site: &'static Site,
    types: &AtomicPtr<Types>,
    number: u32,
    signature: u32,
    own: bool,
    each: &mut impl FnMut(Numbered),
) {
    // SAFETY: null, or the address of a constant of the program.
    let types = unsafe { types.load(Ordering::Acquire).cast_const().as_ref() };
    if let Some(types) = types
        && number != 0
        && signature != 0
    {
        each(Numbered { site, types, number, own });
    }
}
