//! The most verbose level that is compiled into the program, from the crate's features.

use crate::level::LevelFilter;

/// Calls above this level vanish from the program.
///
/// As in `log`: `release_max_level_*` decides in builds without debug assertions, `max_level_*` in the others, and in
/// release builds where no `release_` feature is on. If several are on, the least verbose wins.
pub const STATIC_MAX_LEVEL: LevelFilter = match cap() {
    Some(level) => level,
    None => LevelFilter::Trace,
};

macro_rules! first_of {
    ($($feature:literal => $level:ident),*) => {
        $(if cfg!(feature = $feature) { return Some(LevelFilter::$level); })*
    };
}

const fn cap() -> Option<LevelFilter> {
    if !cfg!(debug_assertions) {
        first_of! {
            "release_max_level_off" => Off, "release_max_level_critical" => Critical,
            "release_max_level_error" => Error, "release_max_level_warn" => Warn,
            "release_max_level_info" => Info, "release_max_level_debug" => Debug,
            "release_max_level_trace" => Trace
        }
    }
    first_of! {
        "max_level_off" => Off, "max_level_critical" => Critical, "max_level_error" => Error,
        "max_level_warn" => Warn, "max_level_info" => Info, "max_level_debug" => Debug,
        "max_level_trace" => Trace
    }
    None
}
