//! fast_log: lines go through a channel, here a bounded one, to its thread.

use crate::logger::{Logger, Rest};
use fast_log::Config;
use log::info;
use std::path::Path;

pub struct FastLog;

impl Logger for FastLog {
    const NAME: &'static str = "fast_log 1.7.10";

    fn start(dir: &Path) -> Self {
        let file = Self::file(dir);
        fast_log::init(Config::new().file(&file.to_string_lossy()).chan_len(Some(100_000))).expect("fast_log starts");
        Self
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
        fast_log::flush().unwrap().wait();
        None
    }
}
