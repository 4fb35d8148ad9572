//! ftlog: messages go through a channel to its thread; it waits when the channel is full.

use crate::logger::{Logger, Rest};
use ftlog::LoggerGuard;
use ftlog::appender::FileAppender;
use log::info;
use std::path::Path;

pub struct Ftlog(LoggerGuard);

impl Logger for Ftlog {
    const NAME: &'static str = "ftlog 0.2.18";

    fn start(dir: &Path) -> Self {
        let file = FileAppender::builder().path(Self::file(dir)).build();
        Self(ftlog::builder().root(file).bounded(100_000, true).utc().try_init().expect("ftlog starts"))
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
