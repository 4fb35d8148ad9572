//! A supervised program: a process and its group.
//!
//! The group ends as a whole. What its first process leaves behind when it ends is told to end too, and killed when it does
//! not; only then has the service ended. Until then the first process stays unreaped, so that its number, which is the
//! group's, cannot be another's. What leaves the group (`setsid`) is not followed.

use super::config::Program;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, set_parent_process_death_signal, waitid,
};
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a service manager told us is not meant for our children.
const OURS: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The running instance of a service.
pub(super) struct Process {
    child: Child,
    group: Pid,
    stop_signal: Signal,
    stop_max: Duration,
    /// It was told to end, so that an end by that signal is none with an error.
    told: bool,
    /// When what is left of the group is killed; known once the first process has ended.
    left_until: Option<Instant>,
}

impl Process {
    /// Starts the program, with pipes for its output. By the main thread: the kernel ends children with the thread that
    /// made them.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (name, arguments) =
            program.command.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let mut command = Command::new(name);
        if program.env_clear {
            command.env_clear();
        }
        for name in OURS {
            command.env_remove(name);
        }
        command.args(arguments).envs(&program.env).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(cwd) = &program.cwd {
            command.current_dir(cwd);
        }
        if !program.outlives_supervisor {
            let us = Pid::from_raw(std::process::id().cast_signed());
            let bind = move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // Whoever died before that sends no signal any more.
                if getppid() == us { Ok(()) } else { Err(io::Error::from(rustix::io::Errno::SRCH)) }
            };
            // SAFETY: two system calls, which are async-signal-safe, and an error that takes no memory.
            unsafe { command.pre_exec(bind) };
        }
        let child = command.spawn()?;
        let group = Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::Error::other("it has no number"))?;
        let (stop_signal, stop_max) = (program.stop_signal, program.plan.stop_max);
        Ok(Self { child, group, stop_signal, stop_max, told: false, left_until: None })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Tells the whole group to end.
    pub(super) fn stop(&mut self) {
        self.told = true;
        self.signal(self.stop_signal);
    }

    /// Sends a signal to the whole group; its first process is not reaped, so the number is its own.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    /// How it ended, once nothing of its group is left; to be asked again soon after it said that it [lingers](Self::lingers).
    pub(super) fn ended(&mut self) -> io::Result<Option<Result<(), String>>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.group), options)?.is_none() {
            return Ok(None);
        }
        if others_in(self.group) {
            let now = Instant::now();
            match self.left_until {
                None => {
                    self.signal(self.stop_signal);
                    self.left_until = Some(now + self.stop_max);
                }
                Some(until) if now >= until => self.signal(Signal::KILL),
                Some(_) => {}
            }
            return Ok(None);
        }
        let status = self.child.wait()?;
        Ok(Some(self.judged(status)))
    }

    /// The first process has ended, others of its group have not.
    pub(super) fn lingers(&self) -> bool {
        self.left_until.is_some()
    }

    fn judged(&self, status: ExitStatus) -> Result<(), String> {
        if let Some(number) = status.signal() {
            if self.told && number == self.stop_signal.as_raw() {
                return Ok(());
            }
            let name = signal_hook::low_level::signal_name(number).unwrap_or("of no name");
            return Err(format!("killed by signal {number}, {name}"));
        }
        match status.code() {
            Some(0) => Ok(()),
            Some(code) if self.told && code == 128 + self.stop_signal.as_raw() => Ok(()),
            code => Err(format!("exit status {}", code.unwrap_or(-1))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that could not be ended in time, or whose supervisor fails, is not left behind unseen.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
        }
    }
}

/// Whether the group has members beside its first process: those that are not dead yet.
fn others_in(group: Pid) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|number| *number != group.as_raw_pid()).any(|number| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        is_member(&stat, group.as_raw_pid())
    })
}

/// Whether `/proc/<number>/stat` tells of a living member of the group. The name, in brackets, may hold anything.
fn is_member(stat: &str, group: i32) -> bool {
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let state = fields.next().unwrap_or("Z");
    let theirs = fields.nth(1).and_then(|field| field.parse::<i32>().ok());
    !matches!(state, "Z" | "X") && theirs == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_group_are_told_by_their_state() {
        assert!(is_member("12 (a) b) S 1 77 77 0 -1", 77));
        assert!(
            !is_member("12 (a) Z 1 77 77 0 -1", 77) && !is_member("12 (a) S 77 1 77 0 -1", 77) && !is_member("", 77)
        );
    }
}
