//! `tacho monitor`: the programs that log to a directory, on the whole screen.
//!
//! [`look`] reads, [`model`] makes rows of two looks, [`draw`] puts them on the screen, [`state`] knows what the user
//! wants to see. The programs that are watched notice nothing.

mod draw;
mod look;
mod model;
mod recent;
mod state;
mod terminal;

use crate::args::{Args, Monitor};
use crate::{NOTHING, invalid, talk};
use look::Looker;
use model::{Model, Source};
use ratatui::crossterm::event::Event;
use recent::Warnings;
use state::State;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::Screen;

/// How often is looked whether a signal came.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);
/// What a shell says of a program that a signal ended: this, and the signal's number.
const SIGNALLED: u8 = 128;

pub(crate) fn run(args: &Args, monitor: &Monitor) -> io::Result<ExitCode> {
    let mut looker = Looker::new(&args.dir)?;
    if monitor.once {
        return once(args, monitor, &mut looker);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(invalid(
            "monitor draws on a terminal, and this is none; in scripts: tacho monitor --once --json".to_owned(),
        ));
    }
    let warnings = Warnings::follow(talk::open(&args.dir)?)?;
    let mut screen = Screen::open()?;
    let ended = watch(&mut screen, &mut looker, &warnings, monitor.seconds);
    let signal = screen.signal();
    drop(screen);
    match (signal, ended) {
        (Some(signal), _) => Ok(ExitCode::from(SIGNALLED.saturating_add(signal))),
        // The terminal hung up: there is nobody to be told.
        (None, Err(error)) if hung_up(&error) => Ok(ExitCode::SUCCESS),
        (None, ended) => ended.map(|()| ExitCode::SUCCESS),
    }
}

fn hung_up(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(libc::EIO)
}

/// Two looks, so far apart, and what they say.
fn once(args: &Args, monitor: &Monitor, looker: &mut Looker<'_>) -> io::Result<ExitCode> {
    let first = looker.look(None)?;
    let mut before = None;
    let mut now = first;
    // What does not live does not move.
    if now.source == Source::Live {
        std::thread::sleep(monitor.seconds);
        let second = looker.look(Some(&now))?;
        before = Some(std::mem::replace(&mut now, second));
    }
    let model = Model::new(before.as_ref(), &now, recent::last(&talk::open(&args.dir)?)?);
    let mut out = io::stdout().lock();
    if monitor.json {
        serde_json::to_writer(&mut out, &model)?;
        writeln!(out)?;
    } else {
        out.write_all(draw::plain(&model, monitor.seconds).as_bytes())?;
    }
    Ok(if model.processes.is_empty() { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
}

/// Until the user has seen enough.
fn watch(screen: &mut Screen, looker: &mut Looker<'_>, warnings: &Warnings, interval: Duration) -> io::Result<()> {
    let mut state = State::new(interval);
    let mut now = looker.look(None)?;
    let mut model = Model::new(None, &now, warnings.now().0);
    let mut looked = Instant::now();
    let mut stale = true;
    // The first rates come soon, whatever the interval.
    let mut due = state.interval.min(Duration::from_secs(1));
    while !state.over && screen.signal().is_none() {
        if looked.elapsed() >= due && !state.paused {
            let next = looker.look(Some(&now))?;
            looked = Instant::now();
            due = state.interval;
            let before = std::mem::replace(&mut now, next);
            let (last, remark) = warnings.now();
            (model, state.remark) = (Model::new(Some(&before), &now, last), remark);
            state.seen(&model);
            stale = true;
        }
        if stale {
            screen.terminal.draw(|frame| draw::draw(frame, &model, &mut state))?;
            stale = false;
        }
        let wait = due.saturating_sub(looked.elapsed());
        let wait = if state.paused { SIGNAL_INTERVAL } else { wait.min(SIGNAL_INTERVAL) };
        for event in screen.events(wait)? {
            if let Event::Key(key) = event {
                state.key(key);
            }
            due = due.min(state.interval);
            stale = true;
        }
    }
    Ok(())
}
