//! The rules of call sites and components, found once for each.

use super::rules::{Class, Rules};
use super::subject::{SiteRule, Subject};
use crate::segment::layout::{FRAME_HEADER_BYTES, SITE_MAX, u16_at, u32_at, u64_at};

/// Numbers beyond this are taken for damage rather than made room for.
const NUMBERS_MAX: u32 = 1 << 20;

/// Finds definitions by number.
pub(crate) trait Definitions {
    /// The definition of a call site, padded.
    fn site(&mut self, number: u32) -> Option<&[u8]>;
    /// The target of a component.
    fn component(&mut self, number: u32) -> Option<&str>;
}

/// What is known of call sites and components so far.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    sites: Vec<Option<SiteRule>>,
    components: Vec<Option<Class>>,
}

impl Catalogue {
    /// What sampling has to know of a record: a frame as it stands in a ring, the number `called` on it. `None` where it is
    /// written whatever the rules: its call site is not known by number.
    pub(crate) fn subject<'a>(
        &'a mut self,
        rules: &Rules,
        known: &mut impl Definitions,
        frame: &'a [u8],
        called: u64,
    ) -> Option<Subject<'a>> {
        let site = u32_at(frame, 16);
        if site >= SITE_MAX.min(NUMBERS_MAX) {
            return None;
        }
        let index = site as usize;
        if self.sites.get(index).is_none_or(Option::is_none) {
            let rule = SiteRule::new(rules, known.site(site)?);
            put(&mut self.sites, index, rule);
        }
        let rule = self.sites.get(index)?.as_ref()?;
        let payload = frame.get(FRAME_HEADER_BYTES..)?;
        let component = rule.component(payload);
        let class = match rule.class {
            Some(class) => class,
            None => class_of(&mut self.components, rules, known, component)?,
        };
        if class == Class::Spared {
            return None;
        }
        Some(Subject {
            class,
            ring: u16_at(frame, 2),
            called,
            ticks: u64_at(frame, 8),
            site,
            component,
            payload,
            identity: rule.identity(payload),
            site_rule: rule,
        })
    }
}

fn class_of(
    components: &mut Vec<Option<Class>>,
    rules: &Rules,
    known: &mut impl Definitions,
    component: u32,
) -> Option<Class> {
    if component >= NUMBERS_MAX {
        return None;
    }
    let index = component as usize;
    if let Some(Some(class)) = components.get(index) {
        return Some(*class);
    }
    let class = rules.class(known.component(component)?);
    put(components, index, class);
    Some(class)
}

fn put<T: Clone>(list: &mut Vec<Option<T>>, index: usize, value: T) {
    if list.len() <= index {
        list.resize(index + 1, None);
    }
    if let Some(place) = list.get_mut(index) {
        *place = Some(value);
    }
}
