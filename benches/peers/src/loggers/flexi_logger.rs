//! flexi_logger with its asynchronous mode, whose channel has no bound.

use crate::logger::{Logger, Rest};
use flexi_logger::{FileSpec, LoggerHandle, WriteMode};
use log::info;
use std::path::Path;

pub struct FlexiLogger(LoggerHandle);

impl Logger for FlexiLogger {
    const NAME: &'static str = "flexi_logger 0.31, async";

    fn start(dir: &Path) -> Self {
        let file = FileSpec::try_from(Self::file(dir)).unwrap();
        let logger = flexi_logger::Logger::try_with_str("info").unwrap().log_to_file(file).write_mode(WriteMode::Async);
        Self(logger.start().expect("flexi_logger starts"))
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
        self.0.shutdown();
        None
    }
}
