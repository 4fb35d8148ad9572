//! What `tacho cleanup` is told.

use clap::{ArgGroup, Args};
use std::path::PathBuf;
use std::time::Duration;
use tachograph::units::{parse_bytes, parse_span};

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).multiple(true)))]
pub(crate) struct Cleanup {
    /// Delete the oldest archived segments and backups until they take no more than this
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, group = "what", conflicts_with = "emergency")]
    pub(crate) vacuum_size: Option<u64>,
    /// Delete archived segments and backups that were last written to longer ago
    #[arg(long, value_name = "TIME", value_parser = parse_span, group = "what", conflicts_with = "emergency")]
    pub(crate) vacuum_time: Option<Duration>,
    /// Delete the oldest archived segments and backups until no more than so many are left
    #[arg(long, value_name = "N", group = "what", conflicts_with = "emergency")]
    pub(crate) vacuum_files: Option<usize>,
    /// Compress giant logs of other programs, and give their space back
    #[arg(long, group = "what")]
    pub(crate) emergency: bool,
    /// Files, or directories with files, instead of the log directory
    #[arg(value_name = "PATH", requires = "emergency")]
    pub(crate) paths: Vec<PathBuf>,
    /// Leave alone what is smaller; files that are named are taken in any case
    #[arg(long, value_name = "BYTES", default_value = "100 MB", value_parser = parse_bytes)]
    pub(crate) larger_than: u64,
    /// How hard to compress, from 1 to 9
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) level: u32,
    /// Empty files where nothing better can be done, although a program may be writing: what it writes at that instant is lost
    #[arg(long)]
    pub(crate) truncate: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
