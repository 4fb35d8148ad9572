//! ticklog: a ring of 1 MiB per thread, deferred formatting.

use crate::logger::{Logger, Rest};
use std::path::Path;
use ticklog::{Backpressure, FileSink, Guard, info};

/// What `configure!` defines for the calls in the crate's root, here for those of this module.
macro_rules! __ticklog_max_level {
    () => {
        ticklog::Level::Info
    };
}
macro_rules! __ticklog_backpressure {
    () => {
        Backpressure::Block
    };
}

pub struct Ticklog(Guard);

impl Logger for Ticklog {
    const NAME: &'static str = "ticklog 0.1.2";

    fn start(dir: &Path) -> Self {
        let guard = ticklog::configure! {
            sink: FileSink::new(Self::file(dir)).unwrap(),
            backpressure: Backpressure::Block,
        };
        Self(guard.expect("ticklog starts"))
    }

    fn prepare_thread(&self) {
        ticklog::warm_up().expect("a ring for this thread");
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        info!("Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        info!("Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
    }

    fn finish(self) -> Rest {
        drop(self.0);
        None
    }
}
