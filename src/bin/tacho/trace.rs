//! `tacho trace`: what happened to one order, over all components and processes.

use crate::args::{Args, Output, Trace};
use crate::condition::Conditions;
use crate::journal::{OUTPUT_BYTES, each};
use crate::select::Select;
use crate::talk::Talk;
use crate::{invalid, line};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

/// The most that the lines of a trace may take: they are sorted, late and recovered ones too, before the first is shown.
const TRACE_BYTES_MAX: usize = 512 << 20;

pub(crate) fn run(args: &Args, trace: &Trace) -> io::Result<ExitCode> {
    let mut conditions = Conditions::default();
    for text in &trace.conditions {
        if !conditions.take(text).map_err(invalid)? {
            return Err(invalid(format!("{text:?} is no condition; write KEY=VALUE, such as order_id=12345")));
        }
    }
    let mut select = Select::new(&trace.filter)?.only_messages(trace.show.output);
    select.only_with(conditions.values());
    let mut format = line::format(&trace.show)?;
    let mut talk = Talk::new(args);
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let (mut components, mut processes) = (BTreeSet::new(), BTreeSet::new());
    each(args, &[], &mut select, &mut talk, |record| {
        if !conditions.hold(record) {
            return Ok(ControlFlow::Continue(()));
        }
        let mut text = Vec::new();
        format.line(record, &mut text);
        bytes += text.len();
        if bytes > TRACE_BYTES_MAX {
            let what = trace.conditions.join(" ");
            return Err(invalid(format!(
                "trace of {what}: more than {} MiB of records; ask for less with --since and --until, or use tacho grep",
                TRACE_BYTES_MAX >> 20
            )));
        }
        lines.push((record.unix_ns, text));
        let component = record.target.split("::").next().unwrap_or_default();
        if !components.contains(component) {
            components.insert(component.to_owned());
        }
        if !processes.contains(record.process) {
            processes.insert(record.process.to_owned());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    lines.sort_by_key(|(unix_ns, _)| *unix_ns);
    show(&lines, trace.show.output)?;
    if let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) {
        talk.say(format!(
            "{}: {}, {}, {}, {} from first to last",
            trace.conditions.join(" "),
            counted(lines.len(), "record"),
            counted(components.len(), "component"),
            counted(processes.len(), "process"),
            span(last.saturating_sub(*first))
        ));
    }
    Ok(talk.code_of_search(!lines.is_empty()))
}

/// Shows lines with the time since the first and since the one before.
fn show(lines: &[(i64, Vec<u8>)], output: Output) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let first = lines.first().map_or(0, |(unix_ns, _)| *unix_ns);
    let mut previous = first;
    for (unix_ns, line) in lines {
        let (since_first, since_previous) = (unix_ns.saturating_sub(first), unix_ns.saturating_sub(previous));
        previous = *unix_ns;
        match output {
            Output::Text => {
                write!(out, "{:>11} {:>11}  ", span(since_first), format!("+{}", span(since_previous)))?;
                out.write_all(line)?;
            }
            Output::Json | Output::Ecs => {
                out.write_all(line.strip_suffix(b"}\n").unwrap_or(line))?;
                writeln!(out, r#","since_first_ns":{since_first},"since_previous_ns":{since_previous}}}"#)?;
            }
            Output::Logfmt => {
                out.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
                writeln!(out, " since_first_ns={since_first} since_previous_ns={since_previous}")?;
            }
            Output::Raw => out.write_all(line)?,
        }
    }
    out.flush()
}

/// A number of things.
fn counted(count: usize, what: &str) -> String {
    let plural = match (count, what.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {what}{plural}")
}

/// A span of nanoseconds in the unit that suits it, with three decimals.
fn span(ns: i64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    match UNITS.into_iter().find(|(unit, _)| ns >= *unit) {
        None => format!("{sign}{ns} ns"),
        Some((unit, name)) => format!("{sign}{}.{:03} {name}", ns / unit, ns % unit / (unit / 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::{counted, span};

    #[test]
    fn spans_and_counts_are_readable() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.000 µs"),
            (1_234_567, "1.234 ms"),
            (61_000_000_000, "61.000 s"),
            (-1_500, "-1.500 µs"),
        ] {
            assert_eq!(span(ns), text);
        }
        assert_eq!((counted(1, "process"), counted(2, "process")), ("1 process".into(), "2 processes".into()));
        assert_eq!((counted(1, "record"), counted(0, "record")), ("1 record".into(), "0 records".into()));
    }
}
