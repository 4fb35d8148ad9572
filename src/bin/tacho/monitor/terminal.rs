//! The terminal, drawn on as a whole, and given back as it was: at the end, on a panic, on a signal, and when it hangs up.
//!
//! A terminal that hung up must not be read: `crossterm` would try for ever. So it is looked at first, and should it hang up
//! in that instant, a thread that waits for signals ends the process.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Stdout};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long a signal may wait to be seen, before the process is ended in the midst of what it does.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// The terminal of the process, in use.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    /// The signal that came; 0 before.
    signal: Arc<AtomicI32>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it is none, or does not answer.
    pub(crate) fn open() -> io::Result<Self> {
        let signal = Arc::new(AtomicI32::new(0));
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let seen = Arc::clone(&signal);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for number in &mut signals {
                seen.store(number, Ordering::Relaxed);
                std::thread::sleep(END_TIME_MAX);
                give_back();
                let _ = signal_hook::low_level::emulate_default_handler(number);
            }
        })?;
        // What a panic says would vanish with the other screen.
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            usual(panic);
        }));
        enable_raw_mode()?;
        // From here on it is given back, whatever comes.
        let opened = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal, signal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// The signal that asks to end, if one came.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }

    /// What the user did, waiting for so long at most. A change of size is an event too.
    ///
    /// # Errors
    /// `UnexpectedEof` when the terminal hung up.
    pub(crate) fn events(&self, wait: Duration) -> io::Result<Vec<Event>> {
        let stdin = io::stdin();
        let mut terminal = [PollFd::new(&stdin, PollFlags::IN)];
        match rustix::event::poll(&mut terminal, Timespec::try_from(wait).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if terminal.iter().any(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut events = Vec::new();
        while event::poll(Duration::ZERO)? {
            events.push(event::read()?);
        }
        Ok(events)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Twice does no harm. A terminal that is gone needs nothing.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}
