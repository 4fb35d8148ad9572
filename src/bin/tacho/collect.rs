//! `tacho collect`: the worker of logging programs, as a process of its own.

use crate::TROUBLE;
use crate::args::{Args, Collect};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tachograph::collect::{Options, collect};

pub(crate) fn run(args: &Args, wanted: &Collect) -> io::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut options = Options::default();
    options.shm_dir.clone_from(&wanted.shm_dir);
    options.exit_when_idle = wanted.exit_when_idle;
    // A disk that hangs holds up its own directory only.
    let ended: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for dir in &wanted.dirs {
            let (stop, options) = (&stop, &options);
            threads.push(scope.spawn(move || {
                let mut say = |text: &str| {
                    if !args.quiet {
                        talk(text);
                    }
                };
                collect(dir, options, stop, &mut say)
                    .inspect_err(|error| talk(&format!("{}: not collected: {error}", dir.display())))
            }));
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked"))))
            .collect()
    });
    Ok(if ended.iter().all(Result::is_ok) { ExitCode::SUCCESS } else { ExitCode::from(TROUBLE) })
}

fn talk(text: &str) {
    let _ = writeln!(io::stderr(), "tacho: {text}");
}
