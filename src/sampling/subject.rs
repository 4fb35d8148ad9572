//! What sampling has to know of a record: its rule, and the bytes that make it the same as another.

use super::memory::Memory;
use super::rules::{Class, Rules, Sameness};
use crate::record::bytes::Cursor;
use crate::record::definition::{decode_site, unpadded};
use crate::record::skip::skip;
use crate::record::types::OwnedType;
use crate::segment::layout::u32_at;
use crate::value::EMPTY_ELEMENTS_MAX;
use std::ops::Range;

/// A record, as sampling sees it.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    /// By which rule it is judged.
    pub(crate) class: Class,
    /// Its ring.
    pub(crate) ring: u16,
    /// Number of calls on the ring up to and including it.
    pub(crate) called: u64,
    /// Its tick.
    pub(crate) ticks: u64,
    /// Its call site.
    pub(crate) site: u32,
    /// Its component, where that is no part of the call site; else 0.
    pub(crate) component: u32,
    /// All of its payload, padded.
    pub(crate) payload: &'a [u8],
    /// What of the payload tells it from others of its call site and component.
    pub(crate) identity: &'a [u8],
    /// How that was found.
    pub(crate) site_rule: &'a SiteRule,
}

impl Subject<'_> {
    /// Whether an entry of the same call site is the same message. `other` is scratch.
    pub(super) fn same(&self, memory: &Memory, entry: usize, other: &mut Vec<u8>) -> bool {
        if self.identity.len() == self.payload.len() {
            return memory.holds(entry, self.payload);
        }
        other.clear();
        memory.payload(entry, other);
        self.site_rule.component(other) == self.component && self.site_rule.identity(other) == self.identity
    }
}

/// What holds for all records of a call site.
#[derive(Clone, Debug)]
pub(crate) struct SiteRule {
    /// The class; `None` where that of the record's component holds.
    pub(super) class: Option<Class>,
    /// Records name their component in the first four bytes of the payload.
    dynamic: bool,
    identity: Identity,
}

#[derive(Clone, Debug)]
enum Identity {
    Arguments,
    Site,
    /// The value with this index, behind values of the types before it.
    Field(Box<[OwnedType]>),
}

impl SiteRule {
    /// The rule of a call site with this definition, padded; what cannot be read is spared.
    pub(crate) fn new(rules: &Rules, definition: &[u8]) -> Self {
        let spared = Self { class: Some(Class::Spared), dynamic: false, identity: Identity::Arguments };
        let Some(def) = unpadded(definition, |bytes| decode_site(bytes).ok()) else { return spared };
        if rules.spares(def.level) {
            return spared;
        }
        let class = def.target.as_deref().map(|target| rules.class(target));
        let identity = match &rules.sameness {
            Sameness::Arguments => Identity::Arguments,
            Sameness::Site => Identity::Site,
            Sameness::Field(name) => match def.fields.iter().rposition(|field| field.name == *name) {
                None => Identity::Arguments,
                Some(from_end) => {
                    let behind = def.fields.len() - from_end - 1;
                    let mut types = def.types;
                    types.truncate(types.len().saturating_sub(behind));
                    Identity::Field(types.into())
                }
            },
        };
        Self { class, dynamic: def.target.is_none(), identity }
    }

    /// The component that a payload names, else 0.
    pub(crate) fn component(&self, payload: &[u8]) -> u32 {
        if self.dynamic { u32_at(payload, 0) } else { 0 }
    }

    /// The bytes of a payload that tell its record from others of the call site and component.
    pub(crate) fn identity<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        match &self.identity {
            Identity::Arguments => payload,
            Identity::Site => &[],
            Identity::Field(types) => {
                let values = payload.get(if self.dynamic { 4 } else { 0 }..).unwrap_or_default();
                // Bytes that are no values cannot come from a macro; all of them are the identity then.
                last_value(types, values).and_then(|range| values.get(range)).unwrap_or(payload)
            }
        }
    }
}

/// Where the last of values of these types stands.
fn last_value(types: &[OwnedType], values: &[u8]) -> Option<Range<usize>> {
    let mut bytes = Cursor::new(values);
    let mut empty = EMPTY_ELEMENTS_MAX;
    let mut range = 0..0;
    for ty in types {
        let begin = values.len() - bytes.rest().len();
        skip(ty, &mut bytes, &mut empty).ok()?;
        range = begin..values.len() - bytes.rest().len();
    }
    Some(range)
}
