//! Who keeps something in step with the levels: the facades, whose own switches decide before a call reaches us.
//!
//! They are told behind every change, with no lock of ours held, because what they do then may ask for the levels again.

use super::core::Core;
use super::global;
use crate::flight::Fate;
use crate::level::{Level, LevelFilter};
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};

/// One for each facade.
const FOLLOWERS_MAX: usize = 2;

static FOLLOWERS: [OnceLock<fn()>; FOLLOWERS_MAX] = [const { OnceLock::new() }; FOLLOWERS_MAX];

/// From now on `follower` is called when levels change, and when a global logger comes or goes; at once, too.
#[cfg_attr(not(any(feature = "log", feature = "tracing")), expect(dead_code, reason = "for the facades"))]
pub(crate) fn follow(follower: fn()) {
    for place in &FOLLOWERS {
        if *place.get_or_init(|| follower) as usize == follower as usize {
            break;
        }
    }
    follower();
}

/// Tells all of them.
#[cold]
pub(crate) fn tell() {
    for follower in FOLLOWERS.iter().filter_map(OnceLock::get) {
        // It runs code of others, a subscriber's, and this may be the worker's thread.
        let _ = catch_unwind(follower);
    }
}

/// The most verbose level that any call can have and be recorded, or remembered; `Off` without a logger.
#[cfg_attr(not(any(feature = "log", feature = "tracing")), expect(dead_code, reason = "for the facades"))]
pub(crate) fn level_max() -> LevelFilter {
    let Some(core) = running() else { return LevelFilter::Off };
    match core.levels.read().map_or(LevelFilter::Off, |levels| levels.max()) {
        LevelFilter::Off => LevelFilter::Off,
        written => written.max(core.config.reach()),
    }
}

/// Whether a call would be recorded, or remembered.
#[cfg_attr(not(any(feature = "log", feature = "tracing")), expect(dead_code, reason = "for the facades"))]
pub(crate) fn is_wanted(level: Level, target: &str) -> bool {
    running().is_some_and(|core| {
        let levels = core.levels.read();
        levels.is_ok_and(|levels| Fate::of(level, levels.of(target), core.config.reach()) != Fate::Disabled)
    })
}

fn running() -> Option<Arc<Core>> {
    global::current().filter(|core| !core.closing.is_closed())
}
