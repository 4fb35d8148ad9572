//! Goes over the records that the user asked for.

use crate::args::Args;
use crate::invalid;
use crate::select::Select;
use crate::talk::{self, Talk};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tachograph::reader::archive::{Archive, segment_number};
use tachograph::reader::dir::LogDir;
use tachograph::reader::follow::{Follower, Start, Until};
use tachograph::reader::record::RecordRef;
use tachograph::segment::layout::HeaderError;

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
    files.iter().try_for_each(|file| is_segment(file))?;
    let dir = if files.is_empty() { talk::open(&args.dir)? } else { LogDir::files(files.to_vec()) };
    let start = select.since_ns.map_or(Start::First, Start::Since);
    let end_ns = select.until_ns.map_or(i64::MAX, |until| until.saturating_add(UNTIL_SLACK_NS));
    let mut follower = Follower::open(dir, Until::Now, start)?;
    follower.set_wanted(select.wanted());
    while follower.advance() {
        let Some(record) = follower.current() else { continue };
        if record.unix_ns > end_ns || (select.wants(&record) && take(&record)?.is_break()) {
            talk.seen_enough();
            break;
        }
    }
    talk.about(&follower);
    select.about(talk);
    select.about_units(talk);
    if files.is_empty() {
        talk::rings(&args.dir, talk);
    }
    Ok(())
}

/// Refuses a file that is no segment, be it a damaged one: neither its bytes nor its name say so.
fn is_segment(path: &Path) -> io::Result<()> {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| segment_number(name).is_some());
    let header = Archive::files(BTreeMap::from([(1, path.to_owned())])).header(1)?;
    if !named && matches!(header, Some(Err(HeaderError::Magic | HeaderError::Short))) {
        let forms = "00000042.seg, .seg.gz or .seg.zst in logs/.journal/<process>/";
        return Err(invalid(format!("{}: it is no segment of a journal; those are {forms}", path.display())));
    }
    Ok(())
}
