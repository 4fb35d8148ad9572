//! `tacho rotate`: has files of the views put away.

use crate::args::{Args, Rotate};
use crate::level::{living, nobody};
use crate::talk::shown;
use crate::{NOTHING, TROUBLE};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use tachograph::control::Failure;

/// How long one that does not want to wait waits for an answer.
const NO_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Args, rotate: &Rotate) -> io::Result<ExitCode> {
    let asked = living(&args.dir, &rotate.ask)?;
    if asked.is_empty() {
        return nobody(&args.dir, &rotate.ask);
    }
    let time_max = if rotate.wait { rotate.ask.timeout } else { NO_WAIT.min(rotate.ask.timeout) };
    let (mut done, mut pending, mut failed) = (false, false, false);
    for process in asked {
        match process.rotate(&rotate.unit, time_max) {
            Ok(names) => {
                done = true;
                if !args.quiet {
                    let names = if names.is_empty() { "no view has lines yet" } else { &names };
                    writeln!(io::stdout().lock(), "{}: {}", shown(process.name()), shown(names))?;
                }
            }
            Err(Failure::NotHere) => {}
            Err(Failure::Silent(_)) if !rotate.wait => pending = true,
            Err(failure) => {
                failed = true;
                writeln!(io::stderr(), "tacho: {}: {}", shown(process.name()), shown(&failure.to_string()))?;
            }
        }
    }
    if !args.quiet && !done && pending {
        writeln!(io::stderr(), "tacho: asked for, not done yet; --wait waits for it")?;
    }
    Ok(match () {
        () if failed => ExitCode::from(TROUBLE),
        () if done || pending => ExitCode::SUCCESS,
        () => {
            writeln!(io::stderr(), "tacho: none of the processes renders the views: is tacho collect stopped?")?;
            ExitCode::from(NOTHING)
        }
    })
}
