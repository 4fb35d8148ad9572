//! What the expansions of the macros name. No part of the interface.

pub use crate::callsite::{FieldInfo, Site, SiteInfo};
pub use crate::level::Level;
pub use crate::level_cap::STATIC_MAX_LEVEL;
pub use crate::record::encoded::{Encoded, encoded};
pub use crate::value::{Either, Shape, Take, Type, Value, count, error};

/// The traits by which an expansion asks for the best way to take an argument, without their names.
pub mod traits {
    pub use crate::value::{
        CaptureDebug as _, CaptureDisplay as _, CaptureExp as _, CaptureField as _, CaptureFieldDebug as _,
        CaptureFieldDisplay as _, CaptureInPlace as _, CaptureRadix as _,
    };
}

use crate::value::Args;

pub use crate::logger::component::LogTo;
pub use crate::logger::emit::emit;

/// Whether a call is to be recorded, from the state word of its site; nothing was evaluated yet.
#[inline(always)]
pub fn is_on(site: &'static Site, state: u64) -> bool {
    // A registered site has its signature in the high half.
    state > crate::callsite::UNREGISTERED || (state != 0 && crate::logger::register::is_wanted(site))
}

/// Records a call through a logger or component, after [`enabled_for`].
#[inline(always)]
pub fn emit_for<L: LogTo, A: Args>(logger: &L, site: &'static Site, args: A) {
    logger.take(site, args);
}

/// Whether `logger` takes what the site says.
#[inline(always)]
pub fn enabled_for<L: LogTo>(logger: &L, site: &'static Site) -> bool {
    logger.takes(site)
}
