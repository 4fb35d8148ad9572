//! Handles for targets that are not known when the program is compiled.

use super::core::Core;
use super::emit::{Erased, OfComponent, emit, record};
use super::guard::Logger;
use super::{global, lease, register};
use crate::callsite::Site;
use crate::flight::Fate;
use crate::level::LevelFilter;
use crate::segment::layout::REMEMBERED;
use crate::value::Args;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Components of one program at most; later names share the last one's number and are called `overflow`.
pub(crate) const COMPONENTS_MAX: usize = 10_000;
/// Bytes of a component's name; what is longer is cut.
const NAME_BYTES_MAX: usize = 1024;
const OVERFLOW: &str = "overflow";

static COMPONENTS: Mutex<Vec<&'static ComponentInfo>> = Mutex::new(Vec::new());

/// What is known of a component; lives as long as the program.
#[derive(Debug)]
pub(crate) struct ComponentInfo {
    pub(crate) number: u32,
    pub(crate) name: String,
    /// What is written.
    level: AtomicU8,
    /// What is written or remembered.
    reach: AtomicU8,
}

impl ComponentInfo {
    /// What is written, and what the flight recorder remembers beyond that.
    pub(crate) fn set_level(&self, level: LevelFilter, reach: LevelFilter) {
        let reach = if level == LevelFilter::Off { level } else { reach.max(level) };
        self.level.store(level as u8, Ordering::Relaxed);
        self.reach.store(reach as u8, Ordering::Relaxed);
    }

    /// The state of a site, with the mark of a record that is remembered if the component's level says so.
    #[inline(always)]
    fn state(&self, site: &Site) -> u64 {
        let remembered = site.info.level as u8 > self.level.load(Ordering::Relaxed);
        site.state() | (u64::from(remembered) * u64::from(REMEMBERED))
    }
}

/// A part of the program with a name of its own, for `logger:`; copies are the same component.
///
/// The records of a component have its name as target, and so stand in its file. A call costs a comparison and four bytes more than
/// one with a `target:`.
///
/// ```
/// let risk = tachograph::component("risk_manager");
/// tachograph::warn!(logger: risk, order_id = 42; "limit at {:.0} %", 93.5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Component(&'static ComponentInfo);

impl Component {
    /// The name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }
}

/// The component called `name`, made when it is asked for the first time: that takes a lock and memory, so do it
/// ahead of the hot path. Before `start` too.
pub fn component(name: &str) -> Component {
    let info = interned(name);
    // After it joined the list, so that a logger that starts meanwhile finds it there or is found here.
    if let Some(core) = global::current() {
        register::define_component(&core, info.number, &info.name);
        if let Ok(levels) = core.levels.read()
            && !core.closing.is_closed()
        {
            info.set_level(levels.of(&info.name), core.config.reach());
        }
    }
    Component(info)
}

fn interned(name: &str) -> &'static ComponentInfo {
    let mut components = COMPONENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = if components.len() >= COMPONENTS_MAX { OVERFLOW } else { name };
    let cut = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|at| name.is_char_boundary(*at));
    let name = cut.and_then(|cut| name.get(..cut)).unwrap_or(name);
    if let Some(info) = components.iter().find(|info| info.name == name) {
        return info;
    }
    let number = u32::try_from(components.len()).unwrap_or(u32::MAX);
    let info = ComponentInfo { number, name: name.to_owned(), level: AtomicU8::new(0), reach: AtomicU8::new(0) };
    let info: &'static ComponentInfo = Box::leak(Box::new(info));
    components.push(info);
    info
}

/// Calls `each` with every component.
pub(crate) fn for_each(each: impl FnMut(&'static ComponentInfo)) {
    COMPONENTS.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().for_each(each);
}

/// What can stand behind `logger:`: a [`Component`] or a [`Logger`].
pub trait LogTo: sealed::Sealed {
    /// Whether a call of `site` is recorded.
    #[doc(hidden)]
    fn takes(&self, site: &'static Site) -> bool;
    /// Records it.
    #[doc(hidden)]
    fn take<A: Args>(&self, site: &'static Site, args: A)
    where
        Self: Sized;
}

mod sealed {
    pub trait Sealed {}
    #[cfg(any(test, fuzzing, feature = "testing"))]
    impl Sealed for crate::testing::bench::Sender {}
    #[cfg(any(test, fuzzing, feature = "testing"))]
    impl Sealed for crate::testing::simulator::Producer {}
    impl Sealed for super::Component {}
    impl Sealed for super::Logger {}
    impl Sealed for crate::Guard {}
    impl Sealed for crate::Capture {}
    impl<T: Sealed> Sealed for &T {}
}

impl LogTo for Component {
    #[inline(always)]
    fn takes(&self, site: &'static Site) -> bool {
        site.state() != 0 && site.info.level as u8 <= self.0.reach.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn take<A: Args>(&self, site: &'static Site, args: A) {
        if site.info.target.is_some() {
            emit(site, self.0.state(site), args);
        } else {
            emit(site, self.0.state(site), OfComponent(self.0, args));
        }
    }
}

impl LogTo for Logger {
    fn takes(&self, site: &'static Site) -> bool {
        let target = site.info.target.unwrap_or(self.default_component().name());
        !self.core().closing.is_closed()
            // Whoever changes levels holds the lock for an instant; this call is then let through.
            && self.core().levels.try_read().map_or(true, |levels| {
                Fate::of(site.info.level, levels.of(target), self.core().config.reach()) != Fate::Disabled
            })
    }

    fn take<A: Args>(&self, site: &'static Site, args: A) {
        let core: &Arc<Core> = self.core();
        let number = self.default_component().0.number;
        let done = lease::with_isolated(core, |lease| {
            if site.info.target.is_some() {
                record(lease, site, &Erased(&args));
            } else {
                register::define_component(core, number, self.default_component().name());
                record(lease, site, &Erased(&OfComponent(self.default_component().0, args)));
            }
        });
        if done.is_none() && !core.is_forked() {
            core.drop_without_ring();
        }
    }
}

impl LogTo for crate::Guard {
    fn takes(&self, site: &'static Site) -> bool {
        self.logger().takes(site)
    }

    fn take<A: Args>(&self, site: &'static Site, args: A) {
        self.logger().take(site, args);
    }
}

impl LogTo for crate::Capture {
    fn takes(&self, site: &'static Site) -> bool {
        self.logger().takes(site)
    }

    fn take<A: Args>(&self, site: &'static Site, args: A) {
        self.logger().take(site, args);
    }
}

impl<T: LogTo> LogTo for &T {
    #[inline(always)]
    fn takes(&self, site: &'static Site) -> bool {
        (**self).takes(site)
    }

    #[inline(always)]
    fn take<A: Args>(&self, site: &'static Site, args: A) {
        (**self).take(site, args);
    }
}
