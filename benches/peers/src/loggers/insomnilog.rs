//! insomnilog: a queue per thread, deferred formatting. It drops when a queue is full and cannot be told to wait: the queue
//! is made large enough for a whole run, 64 MiB instead of 128 KiB.

use crate::logger::{Logger, Rest};
use insomnilog::{BackendOptions, ContinuousFileSink, LogLevel, PatternFormatter, ShutdownGuard, log_info};
use std::path::Path;
use std::sync::Arc;

pub struct Insomnilog {
    logger: Arc<insomnilog::Logger>,
    guard: ShutdownGuard,
}

impl Logger for Insomnilog {
    const NAME: &'static str = "insomnilog 0.3.0";

    fn start(dir: &Path) -> Self {
        let options = BackendOptions { queue_capacity: 64 << 20, ..BackendOptions::default() };
        let guard = insomnilog::start(options).expect("insomnilog starts");
        let sink = ContinuousFileSink::try_new(PatternFormatter::default(), LogLevel::Info, Self::file(dir)).unwrap();
        let logger = insomnilog::create_logger("peer", vec![Arc::new(sink)], LogLevel::Info).unwrap();
        Self { logger, guard }
    }

    fn prepare_thread(&self) {
        insomnilog::preallocate_thread();
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        log_info!(self.logger, "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        log_info!(self.logger, "Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
    }

    fn finish(self) -> Rest {
        drop(self.guard);
        None
    }
}
