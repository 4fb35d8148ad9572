//! Steers running programs from outside, through their control pages: levels, rotation. No socket, no signal.
//!
//! A request is words in shared memory, which the program's writer or worker takes with its next step, and answers there.
//! One at a time is asked of a process; whoever asks holds the lock of the page's file meanwhile.

use crate::health::look::live_folders;
use crate::reader::live::{Owner, owner};
use crate::shm::control::{Ask, Control};
use crate::shm::folder::CONTROL;
use crate::shm::foreign::control_of;
use crate::sys::file::open_existing;
use crate::sys::lock::Lock;
use crate::worker::views::NOT_THE_RENDERER;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// Why a request was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// The program says why not, and what there is.
    Refused(String),
    /// Another process does it.
    NotHere,
    /// The process died before it answered.
    Died,
    /// There was no answer within this time; the request stands, and may be carried out yet.
    Silent(Duration),
    /// The control page cannot be used.
    Io(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::NotHere => f.write_str(NOT_THE_RENDERER),
            Self::Died => f.write_str("it died before it answered"),
            Self::Silent(time) => write!(
                f,
                "no answer within {time:?}: is it stopped, has it no tacho collect, or does the disk hang? What was asked for is \
                 done when it goes on"
            ),
            Self::Io(error) => write!(f, "cannot use its control page: {error}; be the user that it runs as"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A living process that logs to a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    name: String,
    live: PathBuf,
}

/// The living processes that log to the directory `dir`, in the order of their start.
///
/// # Errors
/// When the directory, or its folder of journals, cannot be listed.
pub fn processes(dir: &Path) -> io::Result<Vec<Process>> {
    let all = live_folders(dir)?.into_iter().map(|(name, live)| Process { name, live });
    Ok(all.filter(|process| owner(&process.live) == Owner::Alive).collect())
}

impl Process {
    /// Name of its journal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `name` is the journal's name or the process's number.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.split('-').nth(1) == Some(name)
    }

    /// Has levels changed: directives as in [`Config::levels`](crate::Config::levels). With `any` also of targets that nothing
    /// was logged to yet. Returns the levels in force.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn set_levels(&self, directives: &str, any: bool, time_max: Duration) -> Result<String, Failure> {
        let words = format!("{}{directives}", if any { "!" } else { "" });
        self.ask(&words, time_max, |control| &control.request.level)
    }

    /// Has the active file of a view put away, named by the view, its component or a target; an empty name is for all of
    /// them. Returns the names of the views.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn rotate(&self, name: &str, time_max: Duration) -> Result<String, Failure> {
        self.ask(name, time_max, |control| &control.request.rotate).map_err(|failure| match failure {
            Failure::Refused(why) if why == NOT_THE_RENDERER => Failure::NotHere,
            failure => failure,
        })
    }

    fn ask(&self, words: &str, time_max: Duration, place: impl Fn(&Control) -> &Ask) -> Result<String, Failure> {
        if words.len() > crate::shm::text::TEXT_BYTES_MAX {
            return Err(Failure::Refused(format!("{} bytes are too many", words.len())));
        }
        let until = Instant::now() + time_max;
        let control = control_of(&self.live)?;
        let page = self.live.join(CONTROL);
        // Held until the answer is there.
        let _alone = loop {
            match Lock::take(false, || open_existing(&page, true))? {
                Some(lock) => break lock,
                None if Instant::now() >= until => return Err(Failure::Silent(time_max)),
                None => std::thread::sleep(LOOK),
            }
        };
        let ask = place(&control);
        let number = ask.put(words);
        loop {
            // Looked at before the answer: who has answered may have ended since.
            let alive = owner(&self.live) == Owner::Alive;
            if let Some(answer) = ask.answer_to(number) {
                return answer.map_err(Failure::Refused);
            }
            let closed = control.identity.state.load(Ordering::Relaxed) == crate::shm::control::state::CLOSED;
            if !alive || closed {
                return Err(Failure::Died);
            }
            if Instant::now() >= until {
                return Err(Failure::Silent(time_max));
            }
            std::thread::sleep(LOOK);
        }
    }
}
