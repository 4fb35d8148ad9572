//! One file per logger.

#[cfg(feature = "stable")]
mod fast_log;
#[cfg(feature = "stable")]
mod flexi_logger;
#[cfg(feature = "stable")]
mod floor;
#[cfg(feature = "stable")]
mod ftlog;
#[cfg(feature = "stable")]
mod inqjet;
#[cfg(feature = "stable")]
mod insomnilog;
#[cfg(feature = "stable")]
mod log4rs;
#[cfg(feature = "stable")]
mod log_io;
#[cfg(feature = "stable")]
mod low_latency_log;
#[cfg(feature = "stable")]
mod spdlog;
#[cfg(feature = "stable")]
mod tachograph;
#[cfg(feature = "stable")]
mod ticklog;
#[cfg(feature = "stable")]
mod tracing;
#[cfg(feature = "nightly")]
mod zerolog;

use crate::child::{Order, run};
use crate::logger::Logger;

type Entry = (&'static str, fn(&Order) -> serde_json::Value);

const fn entry<L: Logger>() -> Entry {
    (L::NAME, run::<L>)
}

#[cfg(feature = "stable")]
const ALL: &[Entry] = &[
    entry::<floor::Tsc>(),
    entry::<floor::Store>(),
    entry::<tachograph::Counter>(),
    entry::<tachograph::Coarse>(),
    entry::<ticklog::Ticklog>(),
    entry::<insomnilog::Insomnilog>(),
    entry::<inqjet::Inqjet>(),
    entry::<low_latency_log::LowLatencyLog>(),
    entry::<spdlog::Spdlog>(),
    entry::<log_io::LogIo>(),
    entry::<tracing::Tracing>(),
    entry::<fast_log::FastLog>(),
    entry::<ftlog::Ftlog>(),
    entry::<flexi_logger::FlexiLogger>(),
    entry::<log4rs::Log4rs>(),
];

/// What only the other build has.
#[cfg(not(feature = "stable"))]
const ALL: &[Entry] = &[entry::<zerolog::Zerolog>()];

pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

pub fn named(name: &str) -> Entry {
    *ALL.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}: no such logger"))
}
