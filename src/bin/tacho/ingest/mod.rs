//! What foreign programs print, logged as if they linked the library: the part that `tacho run`, `tacho pipe` and `tacho supervise`
//! share.
//!
//! * [`lines`], [`level`]: lines of a stream, the level of a line. Pure.
//! * [`record`]: how a line stands in the journal, and how it comes back byte for byte.
//! * [`pump`]: moves one stream into the journal.
//! * [`child`]: signals, and the child that they are meant for.

pub(crate) mod child;
mod level;
mod lines;
pub(crate) mod pump;
pub(crate) mod record;

use crate::args::Args;
use crate::talk::shown;
use record::{RECORD_BYTES_MAX, Recorder};
use rustix::io::Errno;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tachograph::{Config, Guard, Level, LevelFilter, Overflow, WriterCore, component, start};

/// How long a line waits for room before it is dropped: the most that the library allows.
const BLOCK_MAX: Duration = Duration::from_secs(60);
/// How long the end waits for the files; what is not in them by then is in shared memory.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// Bytes of a live segment, of which there are 8: a tool beside a trading process takes little shared memory.
const SEGMENT_BYTES: usize = 4 << 20;
/// Bytes that are asked for a child's pipes, so that it need not wait for every read.
pub(crate) const PIPE_BYTES: usize = 1 << 20;
/// Bytes of a stream's ring.
const RING_BYTES: usize = 1 << 20;

/// What happens while streams are read.
pub(crate) enum Event {
    /// A stream has ended, or cannot be read.
    Ended,
    /// A signal came.
    Signal(child::Signal),
}

/// A logger, and the streams that are read into it.
pub(crate) struct Session {
    guard: Guard,
    quiet: bool,
    stop: Option<(PipeReader, PipeWriter)>,
    sender: Sender<Event>,
    pub(crate) events: Receiver<Event>,
    /// Streams that have not ended.
    pub(crate) open: usize,
}

impl Session {
    /// Starts the logger, by the file of its configuration if there is one, with rings for so many streams.
    pub(crate) fn start(args: &Args, file: Option<&Path>, streams: usize) -> io::Result<Self> {
        let guard = start(config(args, file, streams)?).map_err(io::Error::other)?;
        let (sender, events) = channel();
        let session = Self { guard, quiet: args.quiet, stop: Some(io::pipe()?), sender, events, open: 0 };
        if !session.guard.health().survives_kill {
            session.say("shared memory could not be had: what is not in the files yet would die with this process");
        }
        Ok(session)
    }

    /// The logger.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What happens next; `None` when nothing did within `time`.
    pub(crate) fn wait(&self, time: Option<Duration>) -> Option<Event> {
        match time {
            // It never fails: a sender is kept here.
            None => self.events.recv().ok(),
            Some(time) => self.events.recv_timeout(time).ok(),
        }
    }

    /// Where events are sent to.
    pub(crate) fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// Reads a stream in a thread of its own, which has the stream's name.
    pub(crate) fn read(
        &mut self,
        name: &str,
        target: &str,
        level: Level,
        input: impl AsFd + Send + 'static,
        mut tee: Option<Box<dyn Write + Send>>,
    ) -> io::Result<()> {
        let stop = match &self.stop {
            Some((stop, _)) => stop.try_clone()?,
            None => return Ok(()),
        };
        let mut recorder = Recorder::new(component(target), level);
        let (sender, quiet, title) = (self.sender(), self.quiet, name.to_owned());
        let work = move || {
            let tee: Option<&mut dyn Write> = tee.as_mut().map(|tee| tee as &mut dyn Write);
            if let Err(error) = pump::pump(input, stop, &mut recorder, tee)
                && !quiet
            {
                talk(&format!("cannot read {title} any further: {error}"));
            }
            let _ = sender.send(Event::Ended);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.open += 1;
        Ok(())
    }

    /// Ends the reading of all streams: what is in them already is still read.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// Writes everything, and says what did not come through.
    pub(crate) fn close(self) {
        let quiet = self.quiet;
        let dropped = self.guard.health().dropped;
        if dropped > 0 {
            talk(&format!("{dropped} lines were dropped: the disk was behind for longer than {BLOCK_MAX:?}"));
        }
        if let Err(error) = self.guard.close(CLOSE_MAX)
            && !quiet
        {
            talk(&format!("{error}; what is missing is in shared memory, and the next logger there writes it"));
        }
    }

    /// Says something, unless it is not wanted.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            talk(text);
        }
    }
}

fn talk(text: &str) {
    let _ = writeln!(io::stderr(), "tacho: {}", shown(text));
}

/// The file's configuration, or one that keeps every line; both wait rather than drop, and have room for a line.
fn config(args: &Args, file: Option<&Path>, streams: usize) -> io::Result<Config> {
    let config = match file {
        Some(path) => Config::from_file(path).map_err(io::Error::other)?,
        None => Config::new(&args.dir)
            .level(LevelFilter::Trace)
            .segment_bytes(SEGMENT_BYTES)
            .ring_bytes(RING_BYTES)
            .rings_spare(streams)
            .writer_core(WriterCore::Unpinned),
    };
    Ok(config.overflow(Overflow::Block).block_max(BLOCK_MAX).record_bytes_max(RECORD_BYTES_MAX))
}

/// Standard output or error as `--tee` writes to it: at once, past the buffers of this process.
pub(crate) struct Unbuffered<F>(pub(crate) F);

impl<F: AsFd> Write for Unbuffered<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                // Somebody made it non-blocking: wait until it takes more.
                Err(Errno::AGAIN) => {
                    let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::OUT)];
                    let _ = rustix::event::poll(&mut fds, None);
                }
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
