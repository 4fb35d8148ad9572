//! Which records of a packed segment somebody wants, by what the journal says of its call sites and components.
//!
//! What is not known for sure to be unwanted is wanted.

use super::wanted::{Value, Wanted};
use crate::format::Plan;
use crate::record::definition::{SiteDef, decode_site, unpadded};
use crate::record::types::OwnedType;
use crate::segment::layout::{Kind, SITE_INLINE, bare_site, u32_at};
use crate::segment::packed::{Rows, Sieve, Test, Values, field_of};
use std::collections::HashMap;
use std::sync::Arc;

/// The most components and call sites that are known; the records of others are wanted.
const KNOWN_MAX: usize = 1 << 16;

/// What is known of a journal.
#[derive(Debug)]
pub(super) struct Rules {
    wanted: Arc<Wanted>,
    sites: HashMap<u32, Rule>,
    /// Numbers of components of which nothing is wanted, in order.
    unwanted: Vec<u64>,
}

/// What is wanted of a call site.
#[derive(Debug)]
struct Rule {
    rows: Rows,
    /// Its records name their component, in the first field.
    is_dynamic: bool,
}

impl Rules {
    pub(super) fn new(wanted: Arc<Wanted>) -> Self {
        Self { wanted, sites: HashMap::new(), unwanted: Vec::new() }
    }

    pub(super) fn is_for(&self, wanted: &Arc<Wanted>) -> bool {
        Arc::ptr_eq(&self.wanted, wanted)
    }

    fn define_component(&mut self, payload: &[u8]) {
        let (number, bytes) = (u64::from(u32_at(payload, 0)), u32_at(payload, 4) as usize);
        let Some(name) = payload.get(8..).and_then(|rest| rest.get(..bytes)) else { return };
        let wants = self.wanted.takes_target(&String::from_utf8_lossy(name));
        match self.unwanted.binary_search(&number) {
            Ok(place) if wants => _ = self.unwanted.remove(place),
            Err(place) if !wants && self.unwanted.len() < KNOWN_MAX => self.unwanted.insert(place, number),
            _ => {}
        }
    }

    fn define_site(&mut self, payload: &[u8]) {
        let Some(site) = unpadded(payload, |bytes| decode_site(bytes).ok()) else { return };
        if self.sites.len() >= KNOWN_MAX && !self.sites.contains_key(&site.id) {
            return;
        }
        let of_target = site.target.as_ref().is_none_or(|target| self.wanted.takes_target(target));
        let rows = if of_target && self.wanted.level.passes(site.level) { self.rows_of(&site) } else { Rows::None };
        self.sites.insert(site.id, Rule { rows, is_dynamic: site.target.is_none() });
    }

    /// By the values that are wanted.
    fn rows_of(&self, site: &SiteDef) -> Rows {
        if self.wanted.values.is_empty() {
            return Rows::All;
        }
        let Ok(plan) = Plan::new(site) else { return Rows::All };
        let mut tests = Vec::new();
        for value in &self.wanted.values {
            let slots: Vec<usize> = plan.slots_of(&value.name).collect();
            match slots.as_slice() {
                [] => return Rows::None,
                [slot] => tests.extend(test(site, *slot, value)),
                _ => {}
            }
        }
        if tests.is_empty() { Rows::All } else { Rows::Where(tests) }
    }
}

impl Sieve for Rules {
    fn hear(&mut self, kind: Option<Kind>, payload: &[u8]) {
        match kind {
            Some(Kind::Site) => self.define_site(payload),
            Some(Kind::Component) => self.define_component(payload),
            _ => {}
        }
    }

    fn rows(&mut self, site: u32) -> Rows {
        let Some(rule) = self.sites.get(&bare_site(site)).filter(|_| bare_site(site) != SITE_INLINE) else {
            return Rows::All;
        };
        let component = || Test { field: 0, values: Values::IntegersBut(4, self.unwanted.clone()) };
        let component = (rule.is_dynamic && !self.unwanted.is_empty()).then(component);
        match (&rule.rows, component) {
            (rows, None) => rows.clone(),
            (Rows::None, _) => Rows::None,
            (Rows::All, Some(component)) => Rows::Where(vec![component]),
            (Rows::Where(tests), Some(component)) => {
                Rows::Where(std::iter::once(component).chain(tests.iter().cloned()).collect())
            }
        }
    }
}

/// The test for a value that is an integer or a text; `None` where there is none that is sure.
fn test(site: &SiteDef, slot: usize, value: &Value) -> Option<Test> {
    let (field, 1) = field_of(site, slot)? else { return None };
    let bits: u32 = match site.types.get(slot)? {
        OwnedType::Str => {
            let texts = value.texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            return Some(Test { field, values: Values::Texts(texts) });
        }
        OwnedType::U8 | OwnedType::I8 => 8,
        OwnedType::U16 | OwnedType::I16 => 16,
        OwnedType::U32 | OwnedType::I32 => 32,
        OwnedType::U64 | OwnedType::I64 => 64,
        _ => return None,
    };
    let is_signed = matches!(site.types.get(slot)?, OwnedType::I8 | OwnedType::I16 | OwnedType::I32 | OwnedType::I64);
    let (least, greatest) =
        if is_signed { (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1) } else { (0, (1_i128 << bits) - 1) };
    let mut integers = Vec::new();
    for text in &value.texts {
        match text.parse::<i128>() {
            Ok(integer) if (least..=greatest).contains(&integer) => {
                integers.push((integer & ((1_i128 << bits) - 1)) as u64);
            }
            Ok(_) => {}
            // `5.0` and `1e3` are numbers as well.
            Err(_) if text.parse::<f64>().is_ok() => return None,
            Err(_) => {}
        }
    }
    Some(Test { field, values: Values::Integers((bits / 8) as u8, integers) })
}
