//! `tacho cat`: the whole journal.

use crate::args::{Args, Cat};
use crate::journal::{OUTPUT_BYTES, each};
use crate::line;
use crate::select::Select;
use crate::talk::Talk;
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

pub(crate) fn run(args: &Args, cat: &Cat) -> io::Result<ExitCode> {
    let mut select = Select::new(&cat.filter)?.only_messages(cat.show.output);
    let mut format = line::format(&cat.show)?;
    let mut talk = Talk::new(args);
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let mut text = Vec::new();
    each(args, &cat.files, &mut select, &mut talk, |record| {
        text.clear();
        format.line(record, &mut text);
        out.write_all(&text)?;
        Ok(ControlFlow::Continue(()))
    })?;
    out.flush()?;
    Ok(talk.code())
}
