//! Goes over the records that the user asked for.

use crate::args::Args;
use crate::select::Select;
use crate::talk::{self, Talk};
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::RecordRef;

/// Bytes of output that are gathered before they are written.
pub(crate) const OUTPUT_BYTES: usize = 256 << 10;
/// Records go out in the order of time; what comes so much later than the end that was asked for ends the reading. That
/// much older than its time a late record or one of a clock that was set back can be.
const UNTIL_SLACK_NS: i64 = 65_000_000_000;

/// Hands out every record of the log directory, or of `files`, that `select` wants, until `take` has enough.
pub(crate) fn each(
    args: &Args,
    files: &[PathBuf],
    select: &mut Select,
    talk: &mut Talk,
    mut take: impl FnMut(&RecordRef<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let dir = if files.is_empty() { talk::open(&args.dir)? } else { LogDir::files(files.to_vec()) };
    let start = select.since_ns.map_or(Start::First, Start::Since);
    let end_ns = select.until_ns.map_or(i64::MAX, |until| until.saturating_add(UNTIL_SLACK_NS));
    let mut follower = Follower::open(dir, Until::Now, start)?;
    while follower.advance() {
        let Some(record) = follower.current() else { continue };
        if record.unix_ns > end_ns || (select.wants(&record) && take(&record)?.is_break()) {
            talk.seen_enough();
            break;
        }
    }
    talk.about(&follower);
    select.about(talk);
    if files.is_empty() {
        talk::rings(&args.dir, talk);
    }
    Ok(())
}
