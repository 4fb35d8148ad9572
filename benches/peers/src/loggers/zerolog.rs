//! zerolog-rs, which needs a nightly compiler: a queue per thread, deferred formatting.

use crate::logger::{Logger, Rest};
use std::path::Path;
use zerolog::{QueueFullPolicy, ZeroLogGuard, info};

pub struct Zerolog(ZeroLogGuard);

impl Logger for Zerolog {
    const NAME: &'static str = "zerolog-rs 0.1.1 (nightly)";

    fn start(dir: &Path) -> Self {
        let file = Self::file(dir).to_string_lossy().into_owned();
        let builder = zerolog::builder().level(zerolog::INFO).log_file(file).queue_full_policy(QueueFullPolicy::Block);
        Self(builder.start().expect("zerolog-rs starts"))
    }

    fn prepare_thread(&self) {
        zerolog::thread_buffer::preallocate();
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
