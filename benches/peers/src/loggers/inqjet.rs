//! InqJet: one ring for all threads, deferred formatting. The ring has the 1 MiB that its README recommends for bursts.

use crate::logger::{Logger, Rest};
use inqjet::{ColorMode, InqJetBuilder, InqJetGuard, LevelFilter};
use std::fs::File;
use std::path::Path;

pub struct Inqjet(InqJetGuard);

impl Logger for Inqjet {
    const NAME: &'static str = "inqjet 1.2.0";

    fn start(dir: &Path) -> Self {
        let guard = InqJetBuilder::default()
            .with_writer(File::create(Self::file(dir)).unwrap())
            .with_log_level(LevelFilter::Info)
            .with_color_mode(ColorMode::Never)
            .with_buffer_size(1 << 20)
            .build();
        Self(guard.expect("InqJet starts"))
    }

    #[inline(always)]
    fn numbers(&self, i: u64) {
        inqjet::info!("Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
    }

    #[inline(always)]
    fn text(&self, i: u64, text: &str) {
        inqjet::info!("Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
    }

    fn finish(self) -> Rest {
        drop(self.0);
        None
    }
}
