//! Call sites and components become known to a logger; levels decide which of them are enabled.

use super::component;
use super::core::{Core, clear, is_set, test_and_set};
use super::{followers, global};
use crate::callsite::{self, Numbered, Site};
use crate::flight::Fate;
use crate::level::LevelFilter;
use crate::levels::Levels;
use crate::record::definition::encode_site;
use crate::segment::layout::{Kind, PAYLOAD_BYTES_MAX, REMEMBERED, SITE_INLINE, SITE_INLINE_REMEMBERED};
use crate::value::Types;
use crate::writer::definitions::DYNAMIC_TARGET;
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// Of the table's bytes, one in so many is kept for components: a record can carry its site's definition, but not that of its component.
const COMPONENTS_SHARE: usize = 8;

/// What a call on the cold path finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Registered {
    /// The levels say no.
    Disabled,
    /// The record goes under this number, which bears the mark of a record that is remembered if it is.
    Number(u32),
    /// There is no number or no room for the definition: the record carries it, and goes under this number.
    Inline(u32),
}

impl Registered {
    /// `number` is `None` where the record carries its definition.
    fn of(fate: Fate, number: Option<u32>) -> Self {
        match (fate, number) {
            (Fate::Disabled, _) => Self::Disabled,
            (Fate::Written, Some(number)) => Self::Number(number),
            (Fate::Remembered, Some(number)) => Self::Number(number | REMEMBERED),
            (Fate::Written, None) => Self::Inline(SITE_INLINE),
            (Fate::Remembered, None) => Self::Inline(SITE_INLINE_REMEMBERED),
        }
    }
}

/// Makes a call site known to `core` and tells how its records are written. `target` is that of this call.
///
/// No lock that could wait, no allocation, no system call.
pub(crate) fn site(
    core: &Core,
    site: &'static Site,
    types: &'static Types,
    signature: u32,
    target: Option<&str>,
) -> Registered {
    let Some(numbered) = site.numbered(types, signature) else {
        let fate = core.levels.try_read().map_or(Fate::Written, |levels| fate_at(core, &levels, site, target));
        return Registered::of(fate, None);
    };
    let defined = define_site(core, &numbered);
    // Whoever changes levels holds the lock for an instant; this call is then let through unasked, and the next asks.
    let Ok(levels) = core.levels.try_read() else { return Registered::Inline(SITE_INLINE) };
    let closed = core.closing.is_closed();
    let fates =
        if closed { [Fate::Disabled; 2] } else { [fate(core, &levels, site), fate_at(core, &levels, site, target)] };
    let [of_site, of_call] = fates;
    if numbered.own && defined && global::is_global(core) {
        site.set_fate(of_site);
    }
    Registered::of(of_call, defined.then_some(numbered.number))
}

/// Decides, before any argument is evaluated, whether a site that has no number yet is recorded; a site that is not stays
/// disabled, so that further calls cost one load, until levels or loggers change.
#[cold]
#[inline(never)]
pub(crate) fn is_wanted(site: &'static Site) -> bool {
    // First, so that a change of levels from here on finds it.
    site.join_list();
    let Some(core) = global::current_if_free() else {
        // Somebody starts or ends a logger at this instant, or there is none.
        global::if_none(|| site.disable());
        return site.state() != 0;
    };
    // Whoever changes levels holds the lock for an instant; the call then finds out later.
    let Ok(levels) = core.levels.try_read() else { return true };
    let wanted = !core.closing.is_closed() && fate(&core, &levels, site) != Fate::Disabled;
    if !wanted && global::is_global(&core) {
        site.disable();
    }
    wanted
}

/// A call while no logger is running: the site is numbered and disabled, so that further calls cost one load.
pub(crate) fn without_logger(site: &'static Site, types: &'static Types, signature: u32) {
    let numbered = site.numbered(types, signature);
    if numbered.is_some_and(|numbered| numbered.own) {
        global::if_none(|| site.disable());
    }
}

/// Puts the definition of a call site into the table, once. `false` when the table is full.
fn define_site(core: &Core, numbered: &Numbered) -> bool {
    is_set(&core.defined_sites, numbered.number) || append_site(core, numbered)
}

fn append_site(core: &Core, numbered: &Numbered) -> bool {
    let info = &numbered.site.info;
    let bytes = encode_site(numbered.number, info, numbered.types, &mut []);
    let kind = Kind::Site as u32 | if info.target.is_none() { DYNAMIC_TARGET } else { 0 };
    let append = || {
        bytes <= definition_bytes_max(core)
            && core.table.room() > bytes + core.config.table_bytes / COMPONENTS_SHARE
            && core.table.append(kind, bytes, |place| {
                encode_site(numbered.number, info, numbered.types, place);
            })
    };
    // Two threads may both append it; the writer takes either.
    core.table.define(append, || {
        test_and_set(&core.defined_sites, numbered.number);
    })
}

/// Puts the definition of a component into the table, once.
pub(crate) fn define_component(core: &Core, number: u32, name: &str) -> bool {
    is_set(&core.defined_components, number) || append_component(core, number, name)
}

fn append_component(core: &Core, number: u32, name: &str) -> bool {
    let append = || {
        core.table.append(Kind::Component as u32, 8 + name.len(), |place| {
            let (head, text) = place.split_at_mut(8);
            let word = u64::from(number) | (name.len() as u64) << 32;
            head.copy_from_slice(&word.to_le_bytes());
            text.copy_from_slice(name.as_bytes());
        })
    };
    core.table.define(append, || {
        test_and_set(&core.defined_components, number);
    })
}

/// Puts all definitions into the table once more: others truncated or overwrote it. For the writer's thread.
///
/// A site that the table has no room for any more is defined in its records from now on.
#[cold]
pub(crate) fn redefine(core: &Core) {
    core.table.begin_again();
    callsite::for_each(|numbered| {
        if is_set(&core.defined_sites, numbered.number) && !append_site(core, &numbered) {
            clear(&core.defined_sites, numbered.number);
            if numbered.own && numbered.site.state() != 0 && global::is_global(core) {
                numbered.site.set_undecided();
            }
        }
    });
    component::for_each(|info| {
        if is_set(&core.defined_components, info.number) && !append_component(core, info.number, &info.name) {
            clear(&core.defined_components, info.number);
        }
    });
}

/// Definitions larger than this travel in their records, so that a segment always has room for a record and all its
/// definitions.
fn definition_bytes_max(core: &Core) -> usize {
    (core.config.segment_bytes / 4).min(PAYLOAD_BYTES_MAX)
}

/// What becomes of all calls of a site.
fn fate(core: &Core, levels: &Levels, site: &Site) -> Fate {
    fate_at(core, levels, site, None)
}

/// What becomes of a call of a site with this target.
fn fate_at(core: &Core, levels: &Levels, site: &Site, target: Option<&str>) -> Fate {
    // A site whose target comes with the call is open; its component decides.
    let target = site.info.target.or(target);
    target.map_or(Fate::Written, |target| Fate::of(site.info.level, levels.of(target), core.config.reach()))
}

/// Enables or disables a site; one that the table has no room for takes the cold path at each call that the levels allow.
fn decide(core: &Core, site: &Site, defined: bool, levels: &Levels) {
    match (fate(core, levels, site), defined) {
        (Fate::Remembered | Fate::Written, false) => site.set_undecided(),
        (fate, _) => site.set_fate(fate),
    }
}

/// Defines everything that is known by now, and enables it as the levels of `core` say. For a logger that has just become the global one.
pub(crate) fn adopt_all(core: &Core) {
    let levels = core.levels.write().unwrap_or_else(PoisonError::into_inner);
    callsite::for_each(|numbered| {
        let defined = define_site(core, &numbered);
        if numbered.own {
            decide(core, numbered.site, defined, &levels);
        }
    });
    callsite::for_each_unnumbered(Site::set_undecided);
    component::for_each(|info| {
        define_component(core, info.number, &info.name);
        info.set_level(levels.of(&info.name), core.config.reach());
    });
}

/// Disables everything: the global logger closes.
pub(crate) fn disable_all(core: &Core) {
    let _levels = core.levels.write().unwrap_or_else(PoisonError::into_inner);
    core.closing.close();
    if global::is_global(core) {
        callsite::for_each(|numbered| {
            if numbered.own {
                numbered.site.disable();
            }
        });
        component::for_each(|info| info.set_level(LevelFilter::Off, LevelFilter::Off));
    }
}

/// How many names a refusal lists.
const LISTED_MAX: usize = 20;

/// Carries out a request to change levels: directives as in [`Config::levels`](crate::Config::levels). Behind a `!`
/// targets are taken that nothing was logged to yet. Tells the levels in force, or why nothing was changed.
#[cold]
pub(crate) fn level_asked(core: &Core, words: &str) -> Result<String, String> {
    let (directives, any) = words.strip_prefix('!').map_or((words, false), |rest| (rest, true));
    // Only to see whether it can be understood.
    let wanted = Levels::parse(directives, LevelFilter::Off).map_err(|error| error.to_string())?;
    let known = known_targets();
    let below = |name: &str, target: &str| {
        name.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let unknown = wanted.targets().find(|target| !any && !known.iter().any(|name| below(name, target)));
    if let Some(target) = unknown {
        let listed: Vec<&str> = known.iter().map(String::as_str).take(LISTED_MAX).collect();
        let more = known.len().saturating_sub(LISTED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(format!("nothing was logged to {target:?} yet; there is {}{more}", listed.join(", ")));
    }
    let mut levels = String::new();
    let mut refused = None;
    set_levels(core, |all| {
        match Levels::parse(&format!("{all},{directives}"), LevelFilter::Info) {
            Ok(merged) => *all = merged,
            Err(error) => refused = Some(error.to_string()),
        }
        levels = all.to_string();
    });
    refused.map_or(Ok(levels), Err)
}

/// The targets of all calls that were reached by now, and all components.
fn known_targets() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    callsite::for_each(|numbered| known.extend(numbered.site.info.target.map(str::to_owned)));
    callsite::for_each_unnumbered(|site| known.extend(site.info.target.map(str::to_owned)));
    component::for_each(|info| {
        known.insert(info.name.to_string());
    });
    known
}

/// Replaces the levels while the logger runs.
pub(crate) fn set_levels(core: &Core, change: impl FnOnce(&mut Levels)) {
    if replace_levels(core, change) {
        followers::tell();
    }
}

/// `false` where nobody but the logger itself goes by its levels.
fn replace_levels(core: &Core, change: impl FnOnce(&mut Levels)) -> bool {
    let mut levels = core.levels.write().unwrap_or_else(PoisonError::into_inner);
    change(&mut levels);
    if core.closing.is_closed() || !global::is_global(core) {
        return false;
    }
    callsite::for_each(|numbered| {
        if numbered.own {
            decide(core, numbered.site, is_set(&core.defined_sites, numbered.number), &levels);
        }
    });
    callsite::for_each_unnumbered(Site::set_undecided);
    component::for_each(|info| info.set_level(levels.of(&info.name), core.config.reach()));
    true
}
