//! How far long work is, for who waits at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;

/// A bar on standard error; nothing where that is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of work on a file of so many bytes.
    pub(crate) fn new(quiet: bool, path: &Path, bytes: u64) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        Self { bar }
    }

    /// So much more is done.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// All is done.
    pub(crate) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
