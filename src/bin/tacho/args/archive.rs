//! What `tacho archive` is told.

use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use tachograph::units::{parse_bytes, parse_span};

#[derive(Subcommand, Debug)]
pub(crate) enum Archive {
    /// What archives there are
    #[command(after_help = "\
Examples:
  tacho archive list
  tacho archive list --json | jq '.archives[].name'

Exit status: 0, also when there are none; 2 when something cannot be read.")]
    List(ArchiveList),
    /// Make an archive of files, which stay where they are
    ///
    /// Each is compressed, written, read back, and compared. Of a file that grows, what it holds now. What is compressed already is
    /// copied: `.gz`, `.zst`, segments of the journal; the last two are extracted as they were.
    #[command(after_help = "\
Examples:
  tacho archive create logs/*.log                 the log files of now
  tacho archive create --name before-upgrade logs/orders.log.*.gz
  tacho archive create /opt/bot/bot.log           a file of another program

Exit status: 0 when all files are in it, 2 when one is not.")]
    Create(ArchiveCreate),
    /// Check that archives hold what they say
    ///
    /// Exit status: 0 when all is well, 1 when something is damaged or missing, 2 when something could not be checked.
    #[command(after_help = "\
Examples:
  tacho archive verify                            all of them
  tacho archive verify emergency_20261120T101500Z")]
    Verify(ArchiveVerify),
    /// Unpack an archive, or some files of it
    #[command(after_help = "\
Examples:
  tacho archive extract emergency_20261120T101500Z --to /tmp/look
  tacho archive extract emergency_20261120T101500Z bot.log.gz --stdout | grep -c ERROR

Exit status: 0 when it was unpacked, 2 when something is damaged, missing, or in the way.")]
    Extract(ArchiveExtract),
    /// Delete archives, the oldest first
    ///
    /// Only what `tacho` made is deleted: archives with a manifest.
    #[command(after_help = "\
Examples:
  tacho archive cleanup --keep 3 --dry-run
  tacho archive cleanup --older-than 30d
  tacho archive cleanup --max-size '5 GB'

Exit status: 0, also when nothing was to be deleted; 2 when something could not be.")]
    Cleanup(ArchiveCleanup),
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveList {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveCreate {
    /// Its name; `archive_` and the time unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How hard to compress, from 1 to 9; what is compressed is stored as it is
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(crate) level: u32,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveVerify {
    /// These archives; all unless given
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveExtract {
    /// The archive
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// These files of it, as `list` and its manifest name them; all unless given
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Where to; the present directory unless given
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) to: PathBuf,
    /// To standard output, one behind the other
    #[arg(long, conflicts_with = "to")]
    pub(crate) stdout: bool,
    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).multiple(true)))]
pub(crate) struct ArchiveCleanup {
    /// Delete those that were made longer ago
    #[arg(long, value_name = "TIME", value_parser = parse_span, group = "what")]
    pub(crate) older_than: Option<Duration>,
    /// Keep so many of the newest
    #[arg(long, value_name = "N", group = "what")]
    pub(crate) keep: Option<usize>,
    /// Keep as many of the newest as take no more than this
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, group = "what")]
    pub(crate) max_size: Option<u64>,
    /// Only say what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
