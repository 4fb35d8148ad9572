//! Moves one stream into the journal: large reads, as soon as there is something.

use super::record::Recorder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// How long the end of a line may be awaited; then what there is of it is recorded, as a part. What was read and not
/// recorded dies with the process.
const LINE_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// What is still read of a stream that shall end and does not: more than a pipe holds.
const DRAIN_BYTES_MAX: usize = 2 << 20;

/// Reads until the end of the stream, or until the other end of `stop` is gone and there is nothing more to read at once.
/// What was read is written to `tee` too, while that takes it.
pub(crate) fn pump(
    input: impl AsFd,
    stop: impl AsFd,
    recorder: &mut Recorder,
    mut tee: Option<&mut dyn Write>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut drained = None;
    let result = loop {
        let (readable, stopped) = match wait(&input, &stop, recorder.is_within_line(), drained.is_some()) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(error) => break Err(error.into()),
        };
        if stopped && drained.is_none() {
            drained = Some(0);
            continue;
        }
        if !readable {
            if drained.is_some() {
                break Ok(());
            }
            recorder.cut();
            continue;
        }
        match rustix::io::read(&input, &mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                recorder.push(bytes);
                if tee.as_mut().is_some_and(|out| out.write_all(bytes).and_then(|()| out.flush()).is_err()) {
                    tee = None;
                }
                if let Some(drained) = &mut drained {
                    *drained += count;
                    if *drained >= DRAIN_BYTES_MAX {
                        break Ok(());
                    }
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => break Err(error.into()),
        }
    };
    recorder.finish();
    result
}

/// Waits for something to read or to stop; neither where the time is over.
fn wait(input: &impl AsFd, stop: &impl AsFd, within_line: bool, draining: bool) -> rustix::io::Result<(bool, bool)> {
    let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
    let time = if draining {
        Some(&no_time)
    } else if within_line {
        Some(&LINE_WAIT)
    } else {
        None
    };
    let mut fds = [PollFd::new(input, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    poll(&mut fds, time)?;
    let [input, stop] = fds.map(|fd| !fd.revents().is_empty());
    Ok((input, stop))
}
