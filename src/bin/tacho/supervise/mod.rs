//! `tacho supervise`: programs started in order, restarted when they fail, stopped in reverse; what they print is logged.
//!
//! * [`config`]: the file.
//! * [`process`]: a program, with its process group.
//!
//! What is to be done when is decided by [`tachograph::supervisor::machine`]; this is a loop around it, in the main
//! thread alone.

mod config;
mod process;

use crate::args::{Args, Supervise};
use crate::ingest::child::{self, ENDING, PASSED_ON};
use crate::ingest::{Event, PIPE_BYTES, Session};
use config::Program;
use process::Process;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;
use signal_hook::consts::SIGCHLD;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tachograph::supervisor::machine::{Action, Event as Happened, Machine};
use tachograph::supervisor::{Board, Phase, now_ns, tell};
use tachograph::systemd::{self, Systemd};
use tachograph::{component, info};

/// A service has failed.
const FAILED: u8 = 1;
/// How often a group whose first process has ended is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long output is read on after the end of all.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Args, wanted: &Supervise) -> io::Result<ExitCode> {
    let programs = config::read(&wanted.file)?;
    if wanted.check {
        return Ok(ExitCode::SUCCESS);
    }
    let mut session = Session::start(args, wanted.config.as_deref(), 2 * programs.len())?;
    child::catch(&[&PASSED_ON[..], &[SIGCHLD]].concat(), session.sender())?;
    let plans = programs.iter().map(|program| program.plan.clone()).collect();
    let machine = Machine::new(plans).map_err(io::Error::other)?;
    let processes = programs.iter().map(|_| None).collect();
    let mut crew = Crew { programs, processes, machine, board: Board::default(), systemd: None, is_announced: false };
    crew.work(&mut session)?;
    let failed: Vec<String> = crew.failed().collect();
    drop(crew);
    drain(&mut session);
    session.close();
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stderr(), "tacho: {}", crate::talk::shown(&failed.join("\ntacho: ")))?;
    Ok(ExitCode::from(FAILED))
}

struct Crew {
    programs: Vec<Program>,
    processes: Vec<Option<Process>>,
    machine: Machine,
    board: Board,
    systemd: Option<Systemd>,
    /// The service manager was told that all have started.
    is_announced: bool,
}

impl Crew {
    fn work(&mut self, session: &mut Session) -> io::Result<()> {
        self.step(Happened::Tick, session);
        let mut stops = 0;
        while !self.machine.is_over() {
            self.announce(session);
            match session.wait(self.pause()) {
                Some(Event::Ended) => session.open = session.open.saturating_sub(1),
                Some(Event::Signal(signal)) if ENDING.contains(&signal.number) => {
                    stops += 1;
                    // Who asks twice does not want to wait.
                    self.step(if stops == 1 { Happened::Stop } else { Happened::Kill }, session);
                }
                Some(Event::Signal(signal)) if signal.number != SIGCHLD => {
                    let signal = Signal::from_named_raw(signal.number);
                    let all = self.processes.iter().flatten();
                    signal.into_iter().for_each(|signal| all.clone().for_each(|process| process.signal(signal)));
                }
                Some(Event::Signal(_)) | None => {}
            }
            self.reap(session)?;
            self.step(Happened::Tick, session);
        }
        Ok(())
    }

    /// How long nothing is to be done.
    fn pause(&self) -> Option<Duration> {
        let due = self.machine.next_ns().map(|due| Duration::from_nanos(due.saturating_sub(now_ns())));
        let look = self.processes.iter().flatten().any(Process::lingers).then_some(LOOK);
        due.into_iter().chain(look).min()
    }

    /// Takes the ends that came.
    fn reap(&mut self, session: &mut Session) -> io::Result<()> {
        for number in 0..self.processes.len() {
            let Some(place) = self.processes.get_mut(number) else { continue };
            let end = place.as_mut().map(Process::ended).transpose()?.flatten();
            if let Some(end) = end {
                *place = None;
                self.step(Happened::Ended(number, end), session);
            }
        }
        Ok(())
    }

    fn step(&mut self, happened: Happened, session: &mut Session) {
        let mut waiting = vec![happened];
        while let Some(happened) = waiting.pop() {
            let mut actions = Vec::new();
            self.machine.step(now_ns(), happened, &mut actions);
            for action in actions {
                if let Some(next) = self.act(action, session) {
                    waiting.push(next);
                }
            }
        }
        self.board.show(&self.machine.status().collect::<Vec<_>>());
    }

    fn act(&mut self, action: Action, session: &mut Session) -> Option<Happened> {
        match action {
            Action::Start { service, .. } => {
                let program = self.programs.get(service)?;
                match Process::start(program) {
                    Ok(mut process) => {
                        listen(program, &mut process, session);
                        *self.processes.get_mut(service)? = Some(process);
                    }
                    Err(error) => {
                        let command = program.command.first().map_or("", String::as_str);
                        return Some(Happened::Ended(service, Err(format!("cannot start {command}: {error}"))));
                    }
                }
            }
            Action::Cancel(service) => self.processes.get_mut(service)?.as_mut()?.stop(),
            Action::Kill(service) => self.processes.get(service)?.as_ref()?.signal(Signal::KILL),
            Action::Tell(service, change) => {
                let component = component(&self.programs.get(service)?.plan.name);
                tell(component, &change);
            }
        }
        None
    }

    /// Tells the service manager once all that can be have been started, and how many run.
    fn announce(&mut self, session: &Session) {
        let phases: Vec<Phase> = self.machine.status().map(|status| status.phase).collect();
        if !self.is_announced && !phases.iter().any(|phase| matches!(phase, Phase::Waiting | Phase::Starting)) {
            self.is_announced = true;
            match systemd::ready(session.guard()) {
                Ok(systemd) => self.systemd = Some(systemd),
                Err(error) => session.say(&error.to_string()),
            }
        }
        if let Some(systemd) = self.systemd.as_ref().filter(|systemd| systemd.is_there()) {
            let running = phases.iter().filter(|phase| **phase == Phase::Running).count();
            systemd.status(&format!("{running} of {} services run", phases.len()));
        }
    }

    fn failed(&self) -> impl Iterator<Item = String> + '_ {
        let failed = self.machine.status().filter(|status| status.phase == Phase::Failed);
        failed.map(|status| format!("{} has failed: {}", status.name, status.reason))
    }
}

/// Reads what a program prints into its component.
fn listen(program: &Program, process: &mut Process, session: &mut Session) {
    let name = &program.plan.name;
    info!(logger: component(name), service = name.as_str(), pid = process.child().id(); "runs as a process");
    if let Some(stdout) = process.child().stdout.take() {
        read(session, name, "stdout", program.level, stdout);
    }
    if let Some(stderr) = process.child().stderr.take() {
        read(session, name, "stderr", program.stderr_level, stderr);
    }
}

fn read(session: &mut Session, name: &str, stream: &str, level: tachograph::Level, input: impl AsFd + Send + 'static) {
    let _ = fcntl_setpipe_size(&input, PIPE_BYTES);
    if let Err(error) = session.read(stream, &format!("{name}::{stream}"), level, input, None) {
        session.say(&format!("cannot read {stream} of {name}: {error}"));
    }
}

/// Reads what is still in the streams; what left its group may hold one open for ever.
fn drain(session: &mut Session) {
    let until = Instant::now() + GRACE;
    while session.open > 0 {
        match session.wait(Some(until.saturating_duration_since(Instant::now()))) {
            Some(Event::Ended) => session.open = session.open.saturating_sub(1),
            Some(Event::Signal(_)) => {}
            None => break,
        }
    }
    session.stop();
    // Readers that were stopped end by themselves.
    while session.open > 0 {
        if let Some(Event::Ended) = session.wait(None) {
            session.open = session.open.saturating_sub(1);
        }
    }
}
