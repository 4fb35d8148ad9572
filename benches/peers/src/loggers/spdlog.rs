//! spdlog-rs with its asynchronous sink, which waits when its queue is full.

use crate::logger::{Logger, Rest};
use spdlog::sink::{AsyncPoolSink, FileSink, OverflowPolicy};
use spdlog::{ThreadPool, info};
use std::path::Path;
use std::sync::Arc;

pub struct Spdlog(Arc<ThreadPool>);

impl Logger for Spdlog {
    const NAME: &'static str = "spdlog-rs 0.5.3, async";

    fn start(dir: &Path) -> Self {
        let file = FileSink::builder().path(Self::file(dir)).build_arc().unwrap();
        let pool = ThreadPool::builder().build_arc().unwrap();
        let sink = AsyncPoolSink::builder()
            .sink(file)
            .thread_pool(Arc::clone(&pool))
            .overflow_policy(OverflowPolicy::Block)
            .build_arc()
            .unwrap();
        spdlog::set_default_logger(Arc::new(spdlog::Logger::builder().sink(sink).build().unwrap()));
        Self(pool)
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
        spdlog::default_logger().flush();
        drop(spdlog::swap_default_logger(Arc::new(spdlog::Logger::builder().build().unwrap())));
        // The last of the pool: waits for its thread, and the file closes with its last task.
        drop(self.0);
        None
    }
}
