//! `tacho level`: changes levels of running programs.

use crate::args::{Args, Ask, SetLevel};
use crate::talk::shown;
use crate::{NOTHING, TROUBLE};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tachograph::control::{Process, processes};

pub(crate) fn run(args: &Args, level: &SetLevel) -> io::Result<ExitCode> {
    let asked = living(&args.dir, &level.ask)?;
    if asked.is_empty() {
        return nobody(&args.dir, &level.ask);
    }
    let (mut out, mut failed) = (io::stdout().lock(), false);
    for process in asked {
        match process.set_levels(&level.directives, level.any, level.ask.timeout) {
            Ok(levels) if args.quiet => drop(levels),
            Ok(levels) => writeln!(out, "{}: {}", shown(process.name()), shown(&levels))?,
            Err(failure) => {
                failed = true;
                writeln!(io::stderr(), "tacho: {}: {}", shown(process.name()), shown(&failure.to_string()))?;
            }
        }
    }
    Ok(if failed { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
}

/// The living processes that are asked.
pub(crate) fn living(dir: &Path, ask: &Ask) -> io::Result<Vec<Process>> {
    let mut all = processes(dir).map_err(|error| {
        let advice = "give the directory that the program logs to with -D DIR, or set TACHO_DIR";
        io::Error::new(error.kind(), format!("cannot look for processes in {}: {error}\n{advice}", dir.display()))
    })?;
    all.retain(|process| ask.process.as_ref().is_none_or(|name| process.is_called(name)));
    Ok(all)
}

/// Says that there is nobody to ask.
pub(crate) fn nobody(dir: &Path, ask: &Ask) -> io::Result<ExitCode> {
    let which = ask.process.as_ref().map_or_else(|| "no process".to_owned(), |name| format!("no process {name}"));
    let text = format!("{which} is alive that logs to {}; tacho health tells of those that died", dir.display());
    writeln!(io::stderr(), "tacho: {}", shown(&text))?;
    Ok(ExitCode::from(NOTHING))
}
