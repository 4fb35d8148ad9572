//! What the harness asks of a logger.

use std::any::Any;
use std::path::{Path, PathBuf};

/// What a logger still has to do when its lines are in the file.
pub type Rest = Option<Box<dyn Any>>;

/// A logger that writes lines of text to one file.
///
/// Methods are `#[inline(always)]`: the macro of the logger is expanded where the harness calls it, as in a program.
pub trait Logger: Sync + Sized {
    /// Name and version.
    const NAME: &'static str;
    /// Whether there is a file with lines.
    const WRITES: bool = true;

    /// Starts it, set up not to lose records where it can be, and to write into `dir`. Its threads inherit the caller's core.
    fn start(dir: &Path) -> Self;

    /// What a thread can do before its first call.
    fn prepare_thread(&self) {}

    /// `"Logging iteration: {}, int: {}, double: {}"` with `i`, `i ^ 1` and `i as f64`.
    fn numbers(&self, i: u64);

    /// The same, and a string behind it.
    fn text(&self, i: u64, text: &str);

    /// Returns when all lines are in the file; what it returns is dropped when the clock has stopped.
    fn finish(self) -> Rest;

    /// The file.
    fn file(dir: &Path) -> PathBuf {
        dir.join("peer.log")
    }
}
