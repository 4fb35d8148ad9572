//! Call sites that become known when they log: found by what their metadata says, and by the shape of their fields.
//!
//! Two levels, because a call that is disabled must not have to hand out its fields: a [`Known`] for level, target, module,
//! file and line, with a *gate* that says like a macro's call site whether the levels let it through; and below it a
//! [`Site`] for each shape, which is numbered and defined as any other.
//!
//! Entries are made once, never moved and never freed; their number is bounded. Finding one is a hash, one comparison
//! and no lock.

use super::draft::names;
use crate::callsite::{FieldInfo, Site, SiteInfo};
use crate::level::Level;
use crate::value::{Type, Types};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Definitions, and calls with different metadata.
pub(super) const SITES_MAX: usize = 8192;
/// Twice as many, so that one is found in few steps. A power of two.
const PLACES: usize = 2 * SITES_MAX;
/// A name that is kept.
const NAME_BYTES_MAX: usize = 1024;

static PLACE: [OnceLock<&'static Known>; PLACES] = [const { OnceLock::new() }; PLACES];
static KNOWN: AtomicUsize = AtomicUsize::new(0);
static SHAPES: AtomicUsize = AtomicUsize::new(0);

/// A text, and whether it lives as long as the program: then it is not copied, and compared by its address first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    text: &'a str,
    kept: Option<&'static str>,
}

impl<'a> Name<'a> {
    #[cfg_attr(not(feature = "log"), expect(dead_code, reason = "`tracing` has none that it need ask for"))]
    pub(super) fn new(text: Option<&'a str>, kept: Option<&'static str>) -> Self {
        Self { text: kept.or(text).unwrap_or_default(), kept }
    }

    pub(super) fn passing(text: &'a str) -> Self {
        Self { text, kept: None }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    fn keep(self) -> &'static str {
        self.kept.unwrap_or_else(|| Box::leak(self.text.into()))
    }
}

impl From<&'static str> for Name<'static> {
    fn from(text: &'static str) -> Self {
        Self { text, kept: Some(text) }
    }
}

/// What a call says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) level: Level,
    pub(super) target: Name<'a>,
    pub(super) module: Name<'a>,
    pub(super) file: Name<'a>,
    pub(super) line: u32,
}

impl Origin<'_> {
    fn hash(&self) -> usize {
        // The file is left out: another one has another target, and else a step more is taken.
        let place = u64::from(self.line) << 3 | self.level as u64;
        rapidhash::v3::rapidhash_v3_seeded(self.target.text.as_bytes(), &SECRETS) as usize
            ^ (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
    }

    fn is(&self, info: &SiteInfo) -> bool {
        self.line == info.line
            && self.level == info.level
            && same(self.target.text, info.target.unwrap_or_default())
            && same(self.file.text, info.file)
            && same(self.module.text, info.module)
    }
}

const SECRETS: rapidhash::v3::RapidSecrets = rapidhash::v3::RapidSecrets::seed(0);

#[inline]
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.as_ptr() == b.as_ptr() || a == b)
}

/// A call that logged, or was not let through.
#[derive(Debug)]
pub(super) struct Known {
    /// Never numbered: without fields it stands for no record.
    pub(super) gate: Site,
    first: OnceLock<&'static Shaped>,
}

/// A call with the names and types of its fields.
#[derive(Debug)]
pub(super) struct Shaped {
    shape: Box<[u8]>,
    pub(super) site: Site,
    pub(super) types: &'static Types,
    pub(super) signature: u32,
    next: OnceLock<&'static Self>,
}

/// Finds the call, or makes its place; `None` when there are too many, or a name is too long.
#[inline]
pub(super) fn find(origin: &Origin<'_>) -> Option<&'static Known> {
    let hash = origin.hash();
    for step in 0..PLACES {
        match PLACE.get(hash.wrapping_add(step) % PLACES)?.get() {
            Some(known) if origin.is(&known.gate.info) => return Some(known),
            Some(_) => {}
            None => return make(origin, hash),
        }
    }
    None
}

#[cold]
fn make(origin: &Origin<'_>, hash: usize) -> Option<&'static Known> {
    let names = [&origin.target, &origin.module, &origin.file];
    if names.iter().any(|name| name.text.len() > NAME_BYTES_MAX) || !take(&KNOWN) {
        return None;
    }
    let module = origin.module.keep();
    let target = if same(origin.target.text, module) { module } else { origin.target.keep() };
    let info = SiteInfo {
        level: origin.level,
        target: Some(target),
        module,
        file: origin.file.keep(),
        line: origin.line,
        column: 0,
        format: MESSAGE,
        fields: &[],
    };
    let made: &'static Known = Box::leak(Box::new(Known { gate: Site::new(info), first: OnceLock::new() }));
    for step in 0..PLACES {
        let known = *PLACE.get(hash.wrapping_add(step) % PLACES)?.get_or_init(|| made);
        // Another thread may have been quicker; then ours is left to itself, and was counted.
        if origin.is(&known.gate.info) {
            return Some(known);
        }
    }
    None
}

/// The format string of all of them: the message is formatted by the call.
const MESSAGE: &str = "{}";

impl Known {
    /// Whether there is any shape.
    #[inline]
    pub(super) fn has_recorded(&self) -> bool {
        self.first.get().is_some()
    }

    /// The call with this shape; `None` when it was not seen yet.
    #[inline]
    pub(super) fn find(&self, shape: &[u8]) -> Option<&'static Shaped> {
        let mut next = self.first.get();
        while let Some(shaped) = next {
            if *shaped.shape == *shape {
                return Some(shaped);
            }
            next = shaped.next.get();
        }
        None
    }

    /// Makes it; `None` when there are too many.
    #[cold]
    pub(super) fn make(&self, shape: &[u8]) -> Option<&'static Shaped> {
        if !take(&SHAPES) {
            return None;
        }
        let (mut fields, mut kinds) = (Vec::new(), Vec::new());
        for (kind, name) in names(shape) {
            let name: &'static str = Box::leak(String::from_utf8_lossy(name).into());
            fields.push(FieldInfo { name, debug: false });
            kinds.push(kind.ty());
        }
        let types = [&Type::Formatted].into_iter().chain(kinds);
        let types = types.rev().fold(Types { first: None }, |rest, ty| {
            let rest: &'static Types = Box::leak(Box::new(rest));
            Types { first: Some((ty, rest)) }
        });
        let types: &'static Types = Box::leak(Box::new(types));
        let made: &'static Shaped = Box::leak(Box::new(Shaped {
            shape: shape.into(),
            site: Site::new(SiteInfo { fields: Box::leak(fields.into_boxed_slice()), ..self.gate.info }),
            types,
            signature: types.signature(),
            next: OnceLock::new(),
        }));
        let mut place = &self.first;
        loop {
            let there = *place.get_or_init(|| made);
            if there.shape == made.shape {
                return Some(there);
            }
            place = &there.next;
        }
    }
}

/// Takes one of [`SITES_MAX`].
fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < SITES_MAX).then_some(count + 1)).is_ok()
}
