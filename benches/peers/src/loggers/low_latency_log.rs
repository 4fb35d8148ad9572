//! low_latency_log: a channel of closures, formatted by its thread. Closures are `'static`, so a string has to be cloned.

use crate::logger::{Logger, Rest};
use low_latency_log::{LoggerGuard, RollingCondition, info};
use std::path::{Path, PathBuf};

pub struct LowLatencyLog(LoggerGuard);

impl Logger for LowLatencyLog {
    const NAME: &'static str = "low_latency_log 0.2.0";

    fn start(dir: &Path) -> Self {
        let (folder, name) = (dir.to_string_lossy().into_owned(), "peer.log".to_owned());
        Self(low_latency_log::Logger::new(RollingCondition::new().daily(), folder, name).init().unwrap())
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        info!("Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        let text = text.to_owned();
        info!("Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
    }

    fn finish(self) -> Rest {
        drop(self.0);
        None
    }

    fn file(dir: &Path) -> PathBuf {
        let mut files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.to_string_lossy().contains("peer.log")).unwrap_or_else(|| dir.join("peer.log"))
    }
}
