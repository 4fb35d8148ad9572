//! Tachograph, with its defaults but for: waits when a ring is full, and keeps one file.

use crate::logger::{Logger, Rest};
use crate::machine::cores;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tachograph::{Clock, Config, Guard, Idle, Overflow, WriterCore, info, prepare_thread, start};

fn config(dir: &Path) -> Config {
    Config::new(dir)
        .overflow(Overflow::Block)
        .block_max(Duration::from_secs(60))
        .view_bytes_max(1_u64 << 32)
        .writer_core(cores().1.map_or(WriterCore::Unpinned, WriterCore::Core))
}

fn finish(tacho: Guard) -> Rest {
    tacho.flush(Duration::from_secs(60)).expect("all lines are in the file");
    // Closing seals and compresses the archive, which no other logger has.
    Some(Box::new(tacho))
}

macro_rules! logger {
    ($name:ident, $text:literal, $config:expr) => {
        pub struct $name(Guard);

        impl Logger for $name {
            const NAME: &'static str = $text;

            fn start(dir: &Path) -> Self {
                let config: fn(Config) -> Config = $config;
                Self(start(config(self::config(dir))).expect("Tachograph starts"))
            }

            fn prepare_thread(&self) {
                prepare_thread();
            }

            #[inline(always)]
            fn numbers(&self, i: u64) {
                info!(target: "peer", "Logging iteration: {}, int: {}, double: {}", i, i ^ 1, i as f64);
            }

            #[inline(always)]
            fn text(&self, i: u64, text: &str) {
                info!(target: "peer", "Logging iteration: {}, int: {}, double: {}, {}", i, i ^ 1, i as f64, text);
            }

            fn finish(self) -> Rest {
                finish(self.0)
            }

            fn file(dir: &Path) -> PathBuf {
                dir.join("peer.log")
            }
        }
    };
}

logger!(Counter, "tachograph", |config| config);
// A coarse clock needs a writer that does not sleep.
logger!(Coarse, "tachograph, coarse clock", |config| config.clock(Clock::Coarse).idle(Idle::Yield));
