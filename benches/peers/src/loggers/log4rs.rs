//! log4rs, which is synchronous: each call writes its line.

use crate::logger::{Logger, Rest};
use log::LevelFilter;
use log::info;
use log4rs::Config;
use log4rs::append::file::FileAppender;
use log4rs::config::{Appender, Root};
use std::path::Path;

pub struct Log4rs;

impl Logger for Log4rs {
    const NAME: &'static str = "log4rs 1.4.0";

    fn start(dir: &Path) -> Self {
        let file = FileAppender::builder().build(Self::file(dir)).unwrap();
        let appender = Appender::builder().build("file", Box::new(file));
        let root = Root::builder().appender("file").build(LevelFilter::Info);
        log4rs::init_config(Config::builder().appender(appender).build(root).unwrap()).expect("log4rs starts");
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
        log::logger().flush();
        None
    }
}
