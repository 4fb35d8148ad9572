//! Shows how the services are to whoever looks from outside: in the process's live folder, for `tacho health`.

use super::machine::Status;
use crate::clock::ticks::{monotonic_ns, unix_ns};
use crate::logger::core::Core;
use crate::logger::global;
use crate::shm::control_page::{Page, Words as _};
use crate::shm::folder::SERVICES;
use crate::shm::services_page::{self, ServicesWords};
use crate::sys::map::Mapping;
use std::sync::atomic::Ordering;

/// A page in the live folder of the logger that runs; without a logger in shared memory nothing is shown.
#[derive(Debug, Default)]
pub struct Board {
    /// The logger whose folder it is in, and the page; `None` where there could be none.
    page: Option<(u64, Option<Page<ServicesWords>>)>,
}

impl Board {
    /// Shows the services; moments in `all` are nanoseconds of the monotonic clock. The first call with a logger makes the page,
    /// which takes memory and system calls.
    pub fn show(&mut self, all: &[Status]) {
        let Some(core) = global::current() else { return };
        if self.page.as_ref().is_none_or(|(id, _)| *id != core.id) {
            self.page = Some((core.id, make(&core)));
        }
        let Some((_, Some(page))) = &self.page else { return };
        let behind = unix_ns().saturating_sub(i64::try_from(monotonic_ns()).unwrap_or(i64::MAX));
        let unix = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX).saturating_add(behind);
        for (words, status) in page.services.iter().zip(all) {
            words.show(status, unix(status.since_ns), status.beat_ns.map(unix));
        }
        let count = all.len().min(services_page::SERVICES_MAX);
        // SYNC POINT with the load in `ServicesWords::read`: the services are there.
        page.count.store(count as u64, Ordering::Release);
    }
}

/// `None` where there is no shared memory left; then the services are shown to the program alone.
fn make(core: &Core) -> Option<Page<ServicesWords>> {
    core.memory.folder()?;
    let file = core.memory.file(SERVICES, ServicesWords::BYTES).ok()?;
    let page = Page::<ServicesWords>::new(Mapping::shared(&file, ServicesWords::BYTES).ok()?);
    page.version.store(services_page::VERSION, Ordering::Relaxed);
    page.magic.store(services_page::MAGIC, Ordering::Release);
    Some(page)
}
