//! `tacho pipe`: logs what comes on standard input.

use crate::args::{Args, Ingest};
use crate::ingest::child::{self, ENDING};
use crate::ingest::{Event, Session, Unbuffered};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn run(args: &Args, ingest: &Ingest) -> io::Result<ExitCode> {
    let mut session = Session::start(args, ingest.config.as_deref(), 1)?;
    child::catch(&ENDING, session.sender())?;
    let tee = ingest.tee.then(|| Box::new(Unbuffered(io::stdout())) as Box<dyn Write + Send>);
    session.read("stdin", &ingest.component, ingest.level, io::stdin(), tee)?;
    let code = wait(&mut session, ingest);
    session.close();
    Ok(code)
}

/// Waits for the end of the input; after a signal for so long only, because who is interrupted has last words.
fn wait(session: &mut Session, ingest: &Ingest) -> ExitCode {
    let mut until: Option<Instant> = None;
    let mut code = ExitCode::SUCCESS;
    while session.open > 0 {
        let event = match until {
            None => session.events.recv().map_err(|_| ()),
            Some(until) => session.events.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|_| ()),
        };
        match event {
            Ok(Event::Ended) => session.open -= 1,
            Ok(Event::Signal(signal)) if until.is_none() => {
                code = ExitCode::from(signal.code());
                until = Instant::now().checked_add(ingest.grace);
            }
            // A second signal, or the time is over.
            Ok(Event::Signal(_)) | Err(()) => {
                session.stop();
                until = None;
            }
        }
    }
    code
}
