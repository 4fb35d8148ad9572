//! How records are shown.

use crate::args::{Output, Show};
use crate::ingest::record::{Shape, push_exact};
use std::io::{self, ErrorKind, IsTerminal as _};
use tachograph::format::escape::push_text;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::logfmt::LogfmtFormat;
use tachograph::format::pattern::{DEFAULT_PATTERN, Pattern, TextFormat};
use tachograph::format::time::Zone;
use tachograph::reader::record::{Body, RecordRef};

/// The pattern of text lines with local times.
const LOCAL_PATTERN: &str = "{local} {level} {target} [{thread}] {message} {fields}";

/// The format that the user chose.
pub(crate) fn format(show: &Show) -> io::Result<Box<dyn LineFormat>> {
    Ok(match show.output {
        Output::Text => Box::new(text(show)?.colored(show.color.is_on())),
        Output::Json => Box::new(JsonFormat::default()),
        Output::Ecs => Box::new(JsonFormat::ecs()),
        Output::Logfmt => Box::new(LogfmtFormat::default()),
        Output::Raw => Box::new(Raw { message: String::new(), visible: io::stdout().is_terminal() }),
    })
}

/// Text lines, without colours.
pub(crate) fn text(show: &Show) -> io::Result<TextFormat> {
    if show.local { Ok(pattern(LOCAL_PATTERN)?.zone(Zone::system())) } else { pattern(DEFAULT_PATTERN) }
}

/// A text format of this pattern.
pub(crate) fn pattern(text: &str) -> io::Result<TextFormat> {
    let pattern = text.parse::<Pattern>();
    Ok(TextFormat::new(pattern.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))?))
}

/// The record, its marks taken off.
pub(crate) fn unmarked<'a>(record: &RecordRef<'a>) -> RecordRef<'a> {
    RecordRef { late: false, recovered: false, flight: false, ..*record }
}

/// The message and nothing else: exact, but for a terminal, which must not take it for commands.
struct Raw {
    message: String,
    visible: bool,
}

impl LineFormat for Raw {
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let Body::Message { site, payload } = record.body else { return };
        self.message.clear();
        if site.plan.message(payload, &mut self.message).is_err() {
            self.message.push_str("<damaged>");
        }
        if self.visible {
            push_text(&self.message, out);
            out.push(b'\n');
        } else {
            push_exact(&self.message, Shape::of(site.plan.fields(payload).map_while(Result::ok)), out);
        }
    }
}
