//! `tacho grep`: the records that match, with what stands around them.

use crate::args::{Args, Grep, Output};
use crate::condition::Conditions;
use crate::journal::{OUTPUT_BYTES, each};
use crate::matcher::{Manner, Matcher};
use crate::select::Select;
use crate::talk::Talk;
use crate::{invalid, line};
use std::collections::VecDeque;
use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use tachograph::format::line::LineFormat;
use tachograph::reader::record::RecordRef;

/// What terminals are told before and behind a match: as `grep` does.
const MATCH: [&[u8]; 2] = [b"\x1b[1;31m", b"\x1b[0m"];

pub(crate) fn run(args: &Args, grep: &Grep) -> io::Result<ExitCode> {
    let mut select = Select::new(&grep.filter)?.only_messages(grep.show.output);
    let mut terms = Terms::new(grep)?;
    let mut printer = Printer::new(grep)?;
    // Around a match, others are shown.
    if !grep.invert_match && (printer.after, printer.before) == (0, 0) {
        select.only_with(terms.conditions.values());
    }
    let mut talk = Talk::new(args);
    let (mut found, found_max) = (0_u64, grep.max_count.unwrap_or(u64::MAX));
    let (count, silent) = (grep.count, args.quiet && !grep.count);
    each(args, &[], &mut select, &mut talk, |record| {
        if found >= found_max {
            // What stands behind the last match is still to be shown.
            return printer.behind(record);
        }
        if terms.match_it(record) == grep.invert_match {
            if !count && !silent {
                printer.passed(record)?;
            }
            return Ok(ControlFlow::Continue(()));
        }
        found += 1;
        if silent {
            return Ok(ControlFlow::Break(()));
        }
        if !count {
            printer.matched(record, (!grep.invert_match).then_some(&terms.regexes))?;
        }
        let last = found == found_max && (count || printer.after == 0);
        Ok(if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if count {
        writeln!(printer.out, "{found}")?;
    }
    printer.out.flush()?;
    Ok(talk.code_of_search(found > 0))
}

/// What is searched for.
struct Terms {
    conditions: Conditions,
    regexes: Matcher,
}

impl Terms {
    fn new(grep: &Grep) -> io::Result<Self> {
        let manner = Manner { ignore_case: grep.ignore_case, fixed: grep.fixed_strings };
        let mut terms = Self { conditions: Conditions::default(), regexes: Matcher::new()? };
        let mut add = |alternatives: &[&str]| {
            let advice = "-F takes it as plain text";
            let why = |why| invalid(format!("search for {}: {why}\n{advice}", alternatives.join(" or ")));
            terms.regexes.add(alternatives, manner).map_err(why)
        };
        if !grep.regexps.is_empty() {
            add(&grep.regexps.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        for term in &grep.terms {
            if !terms.conditions.take(term).map_err(invalid)? {
                add(&[term])?;
            }
        }
        Ok(terms)
    }

    fn match_it(&mut self, record: &RecordRef<'_>) -> bool {
        self.conditions.hold(record) && self.regexes.matches(record)
    }
}

/// Shows matches and their surroundings.
struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    format: Box<dyn LineFormat>,
    colored: bool,
    /// Groups that are apart are shown apart.
    separated: bool,
    after: usize,
    before: usize,
    /// Lines before the next match, the oldest first.
    held: VecDeque<Vec<u8>>,
    /// How many lines behind the last match are still to be shown.
    due: usize,
    shown: bool,
    /// Something was passed over since the last line that was shown.
    gap: bool,
    line: Vec<u8>,
}

impl Printer {
    fn new(grep: &Grep) -> io::Result<Self> {
        let context = grep.context.unwrap_or(0);
        let (after, before) = (grep.after_context.unwrap_or(context), grep.before_context.unwrap_or(context));
        let text = grep.show.output == Output::Text;
        let colored = text && grep.show.color.is_on();
        Ok(Self {
            out: BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock()),
            // Matches are what is coloured here.
            format: if text { Box::new(line::text(&grep.show)?) } else { line::format(&grep.show)? },
            colored,
            separated: (after > 0 || before > 0) && matches!(grep.show.output, Output::Text | Output::Raw),
            after,
            before,
            held: VecDeque::new(),
            due: 0,
            shown: false,
            gap: false,
            line: Vec::new(),
        })
    }

    /// A record that does not match.
    fn passed(&mut self, record: &RecordRef<'_>) -> io::Result<()> {
        if self.due > 0 {
            self.due -= 1;
            self.show(record, None)?;
        } else if self.before > 0 {
            let mut line = Vec::new();
            if self.held.len() >= self.before {
                line = self.held.pop_front().unwrap_or_default();
                line.clear();
                self.gap = true;
            }
            self.format.line(record, &mut line);
            self.held.push_back(line);
        } else {
            self.gap = true;
        }
        Ok(())
    }

    /// A record behind the last match that was asked for.
    fn behind(&mut self, record: &RecordRef<'_>) -> io::Result<ControlFlow<()>> {
        if self.due > 0 {
            self.passed(record)?;
        }
        Ok(if self.due == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn matched(&mut self, record: &RecordRef<'_>, regexes: Option<&Matcher>) -> io::Result<()> {
        if self.separated && self.shown && self.gap {
            self.out.write_all(b"--\n")?;
        }
        self.gap = false;
        for line in self.held.drain(..) {
            self.out.write_all(&line)?;
        }
        self.due = self.after;
        self.show(record, regexes)
    }

    fn show(&mut self, record: &RecordRef<'_>, regexes: Option<&Matcher>) -> io::Result<()> {
        self.shown = true;
        self.line.clear();
        self.format.line(record, &mut self.line);
        let places = regexes.filter(|_| self.colored).map(|regexes| regexes.places(&self.line)).unwrap_or_default();
        let mut at = 0;
        for place in places {
            let [on, off] = MATCH;
            for part in [self.line.get(at..place.start), Some(on), self.line.get(place.clone()), Some(off)] {
                self.out.write_all(part.unwrap_or_default())?;
            }
            at = place.end;
        }
        self.out.write_all(self.line.get(at..).unwrap_or_default())
    }
}
