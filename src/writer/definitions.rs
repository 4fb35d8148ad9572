//! Finds definitions in the process's table, and knows which of them the present segment has already.
//!
//! They are copied when they are found: what others do to the table from then on takes nothing away.

use super::census::{Census, Place};
use crate::level::Level;
use crate::record::definition::level_and_target;
use crate::segment::layout::{Kind, u32_at};
use crate::shm::table::{Entry, Table};

/// Added to the kind of a call site's entry in the table when its target comes from a component: the payload of its
/// records then begins with the component's number.
pub(crate) const DYNAMIC_TARGET: u32 = 0x100;

/// Where a definition stands in [`Definitions::bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Copied {
    start: usize,
    /// Bytes.
    pub(crate) length: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The copy, none while it is empty.
    copy: Copied,
    /// The segment that defined it last.
    defined_in: u64,
    dynamic: bool,
    /// Where its records are counted.
    place: Place,
}

/// Index over a table, extended as the table grows.
#[derive(Debug)]
pub(crate) struct Definitions {
    sites: Vec<Known>,
    components: Vec<Known>,
    bytes: Vec<u8>,
    at: usize,
    /// Entries that a thread was still writing when they were passed.
    unfinished: Vec<usize>,
    /// What is counted of the records.
    pub(crate) census: Census,
}

/// What the segment must get before a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// The segment has it.
    Nothing,
    /// This definition.
    Definition(Copied),
    /// Nobody defined this number; the record is written all the same, and readers say so.
    Unknown,
}

/// Numbers beyond this are taken for damage rather than made room for.
const NUMBERS_MAX: usize = 1 << 20;
/// A segment that defines nothing.
const NO_SEGMENT: u64 = u64::MAX;

impl Definitions {
    pub(crate) fn new() -> Self {
        let known = || Vec::with_capacity(1024);
        Self {
            sites: known(),
            components: known(),
            bytes: Vec::with_capacity(64 << 10),
            at: Table::start(),
            unfinished: Vec::with_capacity(16),
            census: Census::new(),
        }
    }

    /// A definition's payload.
    pub(crate) fn payload(&self, copied: Copied) -> &[u8] {
        self.bytes.get(copied.start..copied.start + copied.length).unwrap_or_default()
    }

    /// What segment `number` lacks for a record of `site`, and whether the site's target is dynamic.
    #[inline]
    pub(crate) fn site(&mut self, table: &Table, site: u32, number: u64) -> (Need, bool) {
        if self.sites.get(site as usize).is_none_or(|known| known.copy.length == 0) {
            self.walk(table);
        }
        let known = self.sites.get(site as usize);
        (need(known, number), known.is_some_and(|known| known.dynamic))
    }

    /// The level of a call site, as a number; 0 where it is not known.
    #[inline]
    pub(crate) fn level(&mut self, table: &Table, site: u32) -> u8 {
        if self.sites.get(site as usize).is_none_or(|known| known.copy.length == 0) {
            self.walk(table);
        }
        self.sites.get(site as usize).map_or(0, |known| known.place.level)
    }

    /// Counts a record of `site`, and of `component` where the site's target is dynamic.
    #[inline]
    pub(crate) fn count(&mut self, site: u32, component: Option<u32>, bytes: usize, ticks: u64) {
        let mut place = self.sites.get(site as usize).map_or(Place::default(), |known| known.place);
        if let Some(component) = component {
            place.target = self.components.get(component as usize).map_or(0, |known| known.place.target);
        }
        self.census.record(place, bytes, ticks);
    }

    /// Where records of `site` are counted, if segment `number` has all that they need of it and its target is its own.
    #[inline]
    pub(crate) fn place_in(&self, site: u32, number: u64) -> Option<Place> {
        let known = self.sites.get(site as usize).filter(|known| !known.dynamic && known.copy.length != 0);
        known.filter(|known| known.defined_in == number).map(|known| known.place)
    }

    /// What segment `number` lacks for a record of `component`.
    pub(crate) fn component(&mut self, table: &Table, component: u32, number: u64) -> Need {
        if self.components.get(component as usize).is_none_or(|known| known.copy.length == 0) {
            self.walk(table);
        }
        need(self.components.get(component as usize), number)
    }

    /// The definition of a call site as the table has it.
    pub(crate) fn site_payload(&mut self, table: &Table, site: u32) -> Option<&[u8]> {
        let (need, _) = self.site(table, site, NO_SEGMENT);
        self.needed(need)
    }

    /// The definition of a component as the table has it.
    pub(crate) fn component_payload(&mut self, table: &Table, component: u32) -> Option<&[u8]> {
        let need = self.component(table, component, NO_SEGMENT);
        self.needed(need)
    }

    fn needed(&self, need: Need) -> Option<&[u8]> {
        match need {
            Need::Definition(copied) => Some(self.payload(copied)),
            Need::Nothing | Need::Unknown => None,
        }
    }

    /// The segment `number` has the site now.
    pub(crate) fn site_defined(&mut self, site: u32, number: u64) {
        if let Some(known) = self.sites.get_mut(site as usize) {
            known.defined_in = number;
        }
    }

    /// The segment `number` has the component now.
    pub(crate) fn component_defined(&mut self, component: u32, number: u64) {
        if let Some(known) = self.components.get_mut(component as usize) {
            known.defined_in = number;
        }
    }

    #[cold]
    fn walk(&mut self, table: &Table) {
        let unfinished = std::mem::take(&mut self.unfinished);
        for offset in unfinished {
            self.take(table, offset);
        }
        while let Some(next) = self.take(table, self.at) {
            self.at = next;
        }
    }

    /// Where the records of what `payload` defines are counted.
    fn place(&mut self, kind: Option<Kind>, payload: &[u8]) -> Place {
        match kind {
            Some(Kind::Site) => {
                let Some((level, target)) = level_and_target(payload) else { return Place::default() };
                let target = target.map_or(0, |target| self.census.target(target));
                Place { target, level: Level::from_u8(level).map_or(0, |level| level as u8) }
            }
            Some(Kind::Component) => {
                Place { target: component_name(payload).map_or(0, |name| self.census.target(name)), level: 0 }
            }
            _ => Place::default(),
        }
    }

    /// Indexes the entry at `offset`; returns where the next one is.
    fn take(&mut self, table: &Table, offset: usize) -> Option<usize> {
        match table.entry(offset) {
            Entry::End => None,
            Entry::Unfinished { next } => {
                self.unfinished.push(offset);
                Some(next)
            }
            Entry::Whole { kind, payload, next } => {
                let id = u32_at(payload, 0) as usize;
                let dynamic = kind & DYNAMIC_TARGET != 0;
                let place = self.place(Kind::from_u32(kind & !DYNAMIC_TARGET), payload);
                let list = match Kind::from_u32(kind & !DYNAMIC_TARGET) {
                    Some(Kind::Site) => Some(&mut self.sites),
                    Some(Kind::Component) => Some(&mut self.components),
                    _ => None,
                };
                if let Some(list) = list.filter(|_| id < NUMBERS_MAX) {
                    if list.len() <= id {
                        list.resize(id + 1, Known::default());
                    }
                    if let Some(known) = list.get_mut(id) {
                        let same =
                            self.bytes.get(known.copy.start..known.copy.start + known.copy.length) == Some(payload);
                        if !same {
                            known.copy = Copied { start: self.bytes.len(), length: payload.len() };
                            self.bytes.extend_from_slice(payload);
                        }
                        known.dynamic = dynamic;
                        known.place = place;
                    }
                }
                Some(next)
            }
        }
    }
}

/// The name in the definition of a component.
pub(super) fn component_name(payload: &[u8]) -> Option<&str> {
    let bytes = u32_at(payload, 4) as usize;
    std::str::from_utf8(payload.get(8..)?.get(..bytes)?).ok()
}

#[inline]
fn need(known: Option<&Known>, number: u64) -> Need {
    match known {
        Some(known) if known.defined_in == number => Need::Nothing,
        Some(known) if known.copy.length != 0 => Need::Definition(known.copy),
        _ => Need::Unknown,
    }
}
