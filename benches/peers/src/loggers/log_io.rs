//! log-io with its non-blocking sink, which waits when its queue is full.

use crate::logger::{Logger, Rest};
use log_io::format::HumanFormat;
use log_io::sink::{NonBlocking, Overflow};
use std::fs::File;
use std::path::Path;

pub struct LogIo(log_io::FlushGuard);

impl Logger for LogIo {
    const NAME: &'static str = "log-io 2.1.0, non-blocking";

    fn start(dir: &Path) -> Self {
        let file = File::create(Self::file(dir)).unwrap();
        let sink = NonBlocking::builder(file, HumanFormat::new()).overflow(Overflow::Block).build().unwrap();
        Self(log_io::init(log_io::Logger::builder().level(log_io::Level::Info).with_sink(sink).build()).unwrap())
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        let (int, double) = (i ^ 1, i as f64);
        log_io::info!("Logging iteration: {i}, int: {int}, double: {double}");
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        let (int, double) = (i ^ 1, i as f64);
        log_io::info!("Logging iteration: {i}, int: {int}, double: {double}, {text}");
    }

    fn finish(self) -> Rest {
        drop(self.0);
        None
    }
}
