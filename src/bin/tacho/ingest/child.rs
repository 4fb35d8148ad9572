//! Signals, and the child that they are meant for.
//!
//! Handlers are in place before the child is started, so that no signal and no end of it goes unseen. Exec gives the child
//! the defaults back; what was ignored before (`nohup`) is left ignored, for the child too. One thread both waits for
//! the child and signals it: a number that was given to another process is never signalled.

use super::Event;
use rustix::process::{Pid, Signal as Number, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::Sender;

/// Signals that ask for an end.
pub(crate) const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];
/// Signals that are passed on.
pub(crate) const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// What is added to a signal's number for an exit status.
const KILLED: i32 = 128;

/// A signal that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    pub(crate) number: i32,
    /// The terminal sent it, to the child as well.
    pub(crate) by_terminal: bool,
}

impl Signal {
    /// How a process ends by it.
    pub(crate) fn code(self) -> u8 {
        u8::try_from(KILLED + self.number).unwrap_or(u8::MAX)
    }

    /// Whether a child of this process has to be told.
    fn has_to_be_passed_on(self) -> bool {
        PASSED_ON.contains(&self.number) && !self.by_terminal
    }
}

/// Sends these signals as events from now on; a thread waits for them.
pub(crate) fn catch(wanted: &[i32], sender: Sender<Event>) -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let is_wanted = |number: &&i32| **number == SIGCHLD || ignored & 1 << (**number - 1) == 0;
    let mut signals = SignalsInfo::<WithRawSiginfo>::new(wanted.iter().filter(is_wanted))?;
    let work = move || {
        for info in signals.forever() {
            // The kernel itself sends these only from the terminal, to the whole foreground group.
            let by_terminal = info.si_code > 0 && [SIGINT, SIGQUIT].contains(&info.si_signo);
            if sender.send(Event::Signal(Signal { number: info.si_signo, by_terminal })).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(())
}

/// The signals that are ignored, from the text of `/proc/self/status`: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}

/// A child that signals are passed on to.
pub(crate) struct Charge {
    child: Child,
    status: Option<ExitStatus>,
}

impl Charge {
    pub(crate) fn new(child: Child) -> Self {
        Self { child, status: None }
    }

    /// How the child ended, once it has.
    pub(crate) fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// Passes a signal on; nothing happens where the child has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (None, true, Some(pid), Some(number)) =
            (self.status, signal.has_to_be_passed_on(), pid, Number::from_named_raw(signal.number))
        {
            // A child that ended meanwhile is not waited for yet, so the number is still its own.
            let _ = kill_process(pid, number);
        }
    }
}

/// A child's end as this process repeats it: its code, or 128 and the signal's number.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let killed = || status.signal().map_or(KILLED, |number| KILLED + number);
    u8::try_from(status.code().unwrap_or_else(killed)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_repeated() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
        // With a core dump.
        assert_eq!(code(ExitStatus::from_raw(0x80 | 6)), 134);
    }

    #[test]
    fn ignored_signals_are_known() {
        let mask = ignored("Name:\ttacho\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        assert_eq!(mask, 1 << (SIGHUP - 1) | 1 << 12);
        assert_eq!(ignored(""), 0);
    }

    #[test]
    fn what_the_terminal_sent_is_not_sent_again() {
        let passed_on = |number, by_terminal| Signal { number, by_terminal }.has_to_be_passed_on();
        assert!(passed_on(SIGINT, false) && passed_on(SIGUSR2, false));
        assert!(!passed_on(SIGINT, true) && !passed_on(SIGCHLD, false));
    }
}
