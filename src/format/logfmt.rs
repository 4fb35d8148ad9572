//! Records as logfmt: a line of `key=value` pairs.
//!
//! ```text
//! ts=2026-11-20T13:02:37.123456789Z level=info logger=order_watcher thread=market-data seq=7 msg="order filled" order_id=42 price=105433.6
//! ```
//!
//! The order is fixed: `ts`, `level` (in lower case), `logger`, `thread`, `seq`, `msg`, the fields, then `late=true` and
//! `recovered=true` where they hold. Values are quoted where they have to be. A field that bears a name of the record's
//! own gets `_` appended.

use super::key_value::{push_fields_but, push_word};
use super::line::{LINE_BYTES_MAX, LineFormat, message};
use super::marks::push_marks;
use super::time::{Clock, Precision};
use crate::level::Level;
use crate::reader::record::RecordRef;

/// Names that fields may not have.
const OWN: [&str; 8] = ["ts", "level", "logger", "thread", "seq", "msg", "late", "recovered"];

/// Puts records as logfmt lines.
#[derive(Clone, Default, Debug)]
pub struct LogfmtFormat {
    clock: Clock,
    since: Clock,
    scratch: String,
}

impl LineFormat for LogfmtFormat {
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(b"ts=");
        self.clock.push(record.unix_ns, Precision::Nanos, out);
        out.extend_from_slice(b" level=");
        out.extend_from_slice(lower(record.level).as_bytes());
        out.extend_from_slice(b" logger=");
        push_word(record.target, out);
        out.extend_from_slice(b" thread=");
        push_word(&record.thread.name, out);
        out.extend_from_slice(b" seq=");
        out.extend_from_slice(itoa::Buffer::new().format(record.seq).as_bytes());
        out.extend_from_slice(b" msg=");
        self.scratch.clear();
        message(&record.body, &mut self.since, &mut self.scratch);
        push_word(&self.scratch, out);
        push_fields_but(&OWN, &record.body, " ", &mut self.scratch, out);
        push_marks(record, (" ", "=true"), (begin, LINE_BYTES_MAX), out);
    }
}

const fn lower(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
