//! tracing with tracing-appender's thread, which keeps what does not fit into its queue waiting.

use crate::logger::{Logger, Rest};
use std::fs::File;
use std::path::Path;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

pub struct Tracing(WorkerGuard);

impl Logger for Tracing {
    const NAME: &'static str = "tracing + tracing-appender 0.2";

    fn start(dir: &Path) -> Self {
        let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(File::create(Self::file(dir)).unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Self(guard)
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        tracing::info!("Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        tracing::info!("Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
    }

    fn finish(self) -> Rest {
        drop(self.0);
        None
    }
}
