//! What every line format has in common.
//!
//! A format turns one record into one line with its newline, whatever the record's strings hold, and never into more
//! than [`LINE_BYTES_MAX`] bytes. It keeps its buffers between lines, so a line costs no allocation.

use super::escape::push_grouped;
use super::time::Clock;
use super::{CUT_MARK, Field, ValueRef};
use crate::reader::record::{Body, CallSite, RecordRef};

/// The longest line, newline included; what is longer is cut and says so.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Puts records as lines.
pub trait LineFormat: Send {
    /// Appends the record's line to `out`, newline included.
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>);
}

/// Why records were dropped, in words.
pub fn cause(cause: u32) -> &'static str {
    match cause {
        0 => "ring full",
        1 => "record too large",
        2 => "log call within a log call",
        3 => "a value of the caller panicked",
        4 => "no ring for the thread",
        5 => "the process ended in the midst of the call",
        6 => "shared memory truncated or overwritten by others",
        _ => "unknown cause",
    }
}

/// The payload that a record has fields in.
pub(super) fn payload<'a>(body: &Body<'a>) -> Option<(&'a CallSite, &'a [u8])> {
    match *body {
        Body::Message { site, payload } | Body::Suppressed { site, payload, .. } => Some((site, payload)),
        Body::Dropped { .. } | Body::Note { .. } | Body::Damage { .. } | Body::Unknown { .. } => None,
    }
}

/// The fields of a record; one whose bytes are damaged ends them.
pub(super) fn fields<'a>(body: &Body<'a>) -> impl Iterator<Item = Field<'a>> {
    payload(body).into_iter().flat_map(|(site, payload)| site.plan.fields(payload).map_while(Result::ok))
}

/// Appends what the record says, not yet escaped.
pub(super) fn message(body: &Body<'_>, clock: &mut Clock, out: &mut String) {
    match *body {
        Body::Message { site, payload } => render(site, payload, out),
        Body::Dropped { count, cause: number } => {
            push_grouped(count, out);
            out.push_str(" records dropped here: ");
            out.push_str(cause(number));
        }
        Body::Suppressed { site, cause, payload, count, since_ns } => {
            let (done, what, of) = match cause {
                0 => ("suppressed ", " repeats since ", " of: "),
                _ => ("sampled out ", " records since ", ", one of them: "),
            };
            out.push_str(done);
            push_grouped(count, out);
            out.push_str(what);
            clock.push_str(since_ns, out);
            out.push_str(of);
            render(site, payload, out);
        }
        Body::Note { text } => out.push_str(text),
        Body::Damage { bytes } => {
            push_grouped(bytes, out);
            out.push_str(" bytes of the journal are damaged here");
        }
        Body::Unknown { reason } => out.push_str(reason),
    }
}

fn render(site: &CallSite, payload: &[u8], out: &mut String) {
    if site.plan.message(payload, out).is_err() {
        out.push_str(DAMAGED);
    }
}

/// Stands for a value whose bytes are none of its type.
pub(super) const DAMAGED: &str = "<damaged>";

/// Appends a value as text.
pub(super) fn render_value(value: ValueRef<'_>, debug: bool, out: &mut String) {
    if value.render(debug, out).is_err() {
        out.push_str(DAMAGED);
    }
}

/// Cuts what stands in `out` from `begin` on to `room` bytes, mark included, if it is longer.
pub(super) fn cut(begin: usize, room: usize, out: &mut Vec<u8>) {
    if out.len() - begin <= room {
        return;
    }
    let line = out.get(begin..).unwrap_or_default();
    let end = room - CUT_MARK.len();
    let keep = std::str::from_utf8(line).map_or(end, |text| prefix(text, end).len());
    out.truncate(begin + keep);
    out.extend_from_slice(CUT_MARK.as_bytes());
}

/// The longest prefix of `text` of at most `bytes_max` bytes that ends between characters.
pub(super) fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
