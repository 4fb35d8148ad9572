//! `tacho run`: starts a program and logs what it prints.

use crate::args::{Args, Run};
use crate::ingest::child::{self, Charge, ENDING, PASSED_ON};
use crate::ingest::{Event, PIPE_BYTES, Session, Unbuffered};
use crate::talk::shown;
use rustix::pipe::fcntl_setpipe_size;
use signal_hook::consts::SIGCHLD;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

/// Nothing was started, for a reason of our own; the next two as shells have them.
const NOT_STARTED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(crate) fn run(args: &Args, run: &Run) -> io::Result<ExitCode> {
    match started(args, run) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err((code, error)) => {
            writeln!(io::stderr(), "tacho: {}", shown(&error.to_string()))?;
            Ok(ExitCode::from(code))
        }
    }
}

fn started(args: &Args, run: &Run) -> Result<u8, (u8, io::Error)> {
    let ours = |error| (NOT_STARTED, error);
    let mut session = Session::start(args, run.ingest.config.as_deref(), 2).map_err(ours)?;
    child::catch(&[&PASSED_ON[..], &[SIGCHLD]].concat(), session.sender()).map_err(ours)?;
    let (program, arguments) =
        run.command.split_first().ok_or_else(|| ours(io::Error::new(ErrorKind::InvalidInput, "no command")))?;
    let child = Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        (code, io::Error::new(error.kind(), format!("cannot start {}: {error}", program.to_string_lossy())))
    })?;
    let name = &run.ingest.component;
    if let Some(stdout) = child.stdout.take() {
        let tee = run.ingest.tee.then(|| Box::new(Unbuffered(io::stdout())) as Box<dyn Write + Send>);
        let _ = fcntl_setpipe_size(&stdout, PIPE_BYTES);
        read(&mut session, "stdout", name, run.ingest.level, stdout, tee);
    }
    if let Some(stderr) = child.stderr.take() {
        let tee = run.ingest.tee.then(|| Box::new(Unbuffered(io::stderr())) as Box<dyn Write + Send>);
        let _ = fcntl_setpipe_size(&stderr, PIPE_BYTES);
        read(&mut session, "stderr", name, run.stderr_level, stderr, tee);
    }
    let status = wait(&mut session, Charge::new(child), run).map_err(ours)?;
    session.close();
    Ok(child::code(status))
}

/// A stream that cannot be read is closed by that, and said; the child runs already.
fn read(
    session: &mut Session,
    name: &str,
    component: &str,
    level: tachograph::Level,
    input: impl AsFd + Send + 'static,
    tee: Option<Box<dyn Write + Send>>,
) {
    if let Err(error) = session.read(name, &format!("{component}::{name}"), level, input, tee) {
        session.say(&format!("cannot read {name}: {error}"));
    }
}

/// Waits for the end of the child, then for that of its streams; the latter for so long only.
fn wait(session: &mut Session, mut charge: Charge, run: &Run) -> io::Result<ExitStatus> {
    let mut until: Option<Instant> = None;
    let mut stopped = false;
    loop {
        let status = charge.status()?;
        if let Some(status) = status {
            if session.open == 0 {
                return Ok(status);
            }
            until = until.or_else(|| Instant::now().checked_add(run.ingest.grace));
        }
        // Readers that were stopped end by themselves.
        let event = match until.filter(|_| !stopped) {
            None => session.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => session.events.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        match event {
            Ok(Event::Ended) => session.open -= 1,
            Ok(Event::Signal(signal)) if status.is_none() => charge.signal(signal),
            // The child has ended, so it is us who are meant.
            Ok(Event::Signal(signal)) => stopped |= ENDING.contains(&signal.number),
            Err(_) => {
                session.say("the program has ended, another process holds its output: what that writes is not logged");
                stopped = true;
            }
        }
        if stopped {
            session.stop();
        }
    }
}
