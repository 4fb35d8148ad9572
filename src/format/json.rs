//! Records as JSON, one object in a line.
//!
//! ```text
//! {"timestamp":"2026-11-20T13:02:37.123456789Z","level":"INFO","message":"order filled","logger":"order_watcher",
//!  "thread":"market-data","seq":7,"order_id":42,"price":105433.6}
//! ```
//!
//! The order is fixed: `timestamp`, `level`, `message`, `logger`, `thread`, `seq`, the fields, then `flight`, `late`
//! and `recovered` where they hold. A summary of sampling has `suppressed` or `sampled_out`, a number, and `since`, a time,
//! before the fields of one of the records that it stands for; a loss has `dropped`, a number. A field whose name is
//! taken gets `_` appended until it is not. Values are put as `json_value.rs` says: integers exact, floats as the
//! shortest number that reads back as the same value.
//!
//! [`JsonFormat::ecs`] puts the same with the names of the [Elastic Common Schema](https://www.elastic.co/guide/en/ecs/current/),
//! in the order of its [logging specification](https://github.com/elastic/ecs-logging/blob/main/spec/spec.json):
//!
//! ```text
//! {"@timestamp":"2026-11-20T13:02:37.123456789Z","log.level":"INFO","message":"order filled","ecs.version":"8.11.0",
//!  "log.logger":"order_watcher","process.thread.name":"market-data","event.sequence":7,"process.thread.id":99,
//!  "log.origin.file.name":"src/orders.rs","log.origin.file.line":42,"order_id":42,"price":105433.6}
//! ```
//!
//! There `flight`, `late` and `recovered` are `tags`, and names of the schema's top level (`error`, `event`, `user` and so on) are
//! taken. A field with a dot in its name, such as `trace.id`, stands under that name.

use super::ValueRef;
use super::digits::{push_bytes, push_u64};
use super::escape::push_json;
use super::heads::Heads;
use super::json_value::{Limits, push_rendered, push_value};
use super::line::{LINE_BYTES_MAX, LineFormat, fields, message, payload, prefix};
use super::marks::marks;
use super::time::Clock;
use crate::reader::record::{Body, CallSite, RecordRef};
use crate::record::bytes::{Cursor, DecodeError};

pub use super::json_value::Integers;

/// The names of the record's own values.
#[derive(Debug)]
struct Names {
    timestamp: &'static str,
    level: &'static str,
    logger: &'static str,
    thread: &'static str,
    seq: &'static str,
    /// Names that fields may not have, besides.
    reserved: &'static [&'static str],
}

impl Names {
    fn has(&self, name: &str) -> bool {
        let own = [self.timestamp, self.level, self.logger, self.thread, self.seq];
        own.contains(&name) || self.reserved.contains(&name)
    }
}

const FLAT: Names = Names {
    timestamp: "timestamp",
    level: "level",
    logger: "logger",
    thread: "thread",
    seq: "seq",
    reserved: &["message", "flight", "late", "recovered", "cut"],
};

/// Version of the schema whose names are used.
const ECS_VERSION: &str = "8.11.0";

const ECS: Names = Names {
    timestamp: "@timestamp",
    level: "log.level",
    logger: "log.logger",
    thread: "process.thread.name",
    seq: "event.sequence",
    reserved: &[
        "agent",
        "client",
        "cloud",
        "container",
        "data_stream",
        "destination",
        "device",
        "dll",
        "dns",
        "ecs",
        "ecs.version",
        "email",
        "error",
        "event",
        "faas",
        "file",
        "group",
        "host",
        "http",
        "labels",
        "log",
        "log.origin.file.line",
        "log.origin.file.name",
        "message",
        "network",
        "observer",
        "orchestrator",
        "organization",
        "package",
        "process",
        "process.thread.id",
        "registry",
        "related",
        "rule",
        "server",
        "service",
        "source",
        "span",
        "tags",
        "threat",
        "tls",
        "trace",
        "transaction",
        "url",
        "user",
        "user_agent",
        "volume",
        "vulnerability",
    ],
};

/// How much of the message is kept where the line would be too long; escaped it takes six times as much at most.
const CUT_MESSAGE_BYTES: usize = 64 * 1024;
/// The same for target and thread.
const CUT_NAME_BYTES: usize = 1024;

/// Puts records as JSON lines.
#[derive(Clone, Default, Debug)]
pub struct JsonFormat {
    ecs: bool,
    integers: Integers,
    clock: Clock,
    since: Clock,
    scratch: String,
    taken: Taken,
    heads: Heads,
}

impl JsonFormat {
    /// Lines with the names of the Elastic Common Schema.
    pub fn ecs() -> Self {
        Self { ecs: true, ..Self::default() }
    }

    /// How wide integers are put.
    #[must_use]
    pub fn integers(mut self, integers: Integers) -> Self {
        self.integers = integers;
        self
    }
}

impl JsonFormat {
    /// Appends the message alone, as it is.
    pub fn message(&mut self, body: &Body<'_>, out: &mut String) {
        message(body, &mut self.since, out);
    }

    /// Appends an object of the fields alone, of those that are `wanted`.
    pub fn object(&mut self, body: &Body<'_>, wanted: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
        let begin = out.len();
        self.fields(body, begin, &wanted, out);
        match out.get_mut(begin) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
    }
}

impl LineFormat for JsonFormat {
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        if let Body::Message { site, payload } = record.body
            && let Some(fields_at) = self.quick_head(record, site, payload, out)
            && self.quick_fields(site, payload.get(fields_at..).unwrap_or_default(), begin, out).is_ok()
            && out.len() - begin <= LINE_BYTES_MAX - 64
        {
            self.marks(marks(record), out);
            return out.extend_from_slice(b"}\n");
        }
        out.truncate(begin);
        self.scratch.clear();
        message(&record.body, &mut self.since, &mut self.scratch);
        if self.scratch.len() < LINE_BYTES_MAX {
            self.head(record, usize::MAX, out);
            self.fields(&record.body, begin, &|_| true, out);
        }
        let whole = (1..=LINE_BYTES_MAX - 64).contains(&(out.len() - begin));
        if !whole {
            out.truncate(begin);
            self.scratch.clear();
            message(&record.body, &mut self.since, &mut self.scratch);
            self.head(record, CUT_MESSAGE_BYTES, out);
        }
        self.marks((!whole).then_some("cut").into_iter().chain(marks(record)), out);
        out.extend_from_slice(b"}\n");
    }
}

impl JsonFormat {
    const fn names(&self) -> &'static Names {
        if self.ecs { &ECS } else { &FLAT }
    }

    /// The same as [`head`](Self::head) in one pass over the payload; says where the fields begin in it. `None` where that
    /// does not do.
    #[inline]
    fn quick_head(
        &mut self,
        record: &RecordRef<'_>,
        site: &CallSite,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let (names, ecs) = (self.names(), self.ecs);
        let mut texts = self.heads.of(record, |out, ends| {
            out.extend_from_slice(b"\"");
            push_text(names.level, record.level.as_str(), out);
            push_name("message", out);
            out.push(b'"');
            ends.push(out.len());
            out.push(b'"');
            if ecs {
                push_text("ecs.version", ECS_VERSION, out);
            }
            push_text(names.logger, record.target, out);
            push_text(names.thread, &record.thread.name, out);
            push_name(names.seq, out);
            ends.push(out.len());
        });
        push_bytes(b"{\"", out);
        push_bytes(names.timestamp.as_bytes(), out);
        push_bytes(b"\":\"", out);
        out.extend_from_slice(self.clock.utc(record.unix_ns));
        texts.push_next(out);
        let fields_at = site.plan.line_message::<true>(payload, &mut self.scratch, out)?;
        texts.push_next(out);
        push_u64(record.seq.into(), out);
        if ecs {
            push_number("process.thread.id", record.thread.tid.into(), out);
            push_text("log.origin.file.name", &site.def.file, out);
            push_number("log.origin.file.line", site.def.line.into(), out);
        }
        Some(fields_at)
    }

    /// The same as [`fields`](Self::fields) for those whose values begin in `values`.
    #[inline]
    fn quick_fields(
        &mut self,
        site: &CallSite,
        values: &[u8],
        begin: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let limits = Limits { integers: self.integers, end: begin + 2 * LINE_BYTES_MAX };
        let mut bytes = Cursor::new(values);
        for (key, field, ty) in site.plan.keys() {
            if out.len() - begin > LINE_BYTES_MAX {
                return Err(DecodeError::TooMany);
            }
            push_bytes(if self.ecs { &key.ecs } else { &key.json }, out);
            let value = ValueRef::take(ty, &mut bytes)?;
            if field.debug {
                push_rendered(value, &mut self.scratch, out);
            } else {
                push_value(value, &mut self.scratch, limits, out);
            }
        }
        Ok(())
    }

    /// The record's own names; the message stands in `scratch`.
    fn head(&mut self, record: &RecordRef<'_>, message_bytes_max: usize, out: &mut Vec<u8>) {
        let names = self.names();
        let name_bytes_max = if message_bytes_max == usize::MAX { usize::MAX } else { CUT_NAME_BYTES };
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(names.timestamp.as_bytes());
        out.extend_from_slice(b"\":\"");
        out.extend_from_slice(self.clock.utc(record.unix_ns));
        out.push(b'"');
        push_text(names.level, record.level.as_str(), out);
        push_text("message", prefix(&self.scratch, message_bytes_max), out);
        if self.ecs {
            push_text("ecs.version", ECS_VERSION, out);
        }
        push_text(names.logger, prefix(record.target, name_bytes_max), out);
        push_text(names.thread, prefix(&record.thread.name, name_bytes_max), out);
        push_number(names.seq, record.seq.into(), out);
        if self.ecs {
            push_number("process.thread.id", record.thread.tid.into(), out);
            if let Some((site, _)) = payload(&record.body) {
                push_text("log.origin.file.name", prefix(&site.def.file, name_bytes_max), out);
                push_number("log.origin.file.line", site.def.line.into(), out);
            }
        }
    }

    fn fields(&mut self, body: &Body<'_>, begin: usize, wanted: &dyn Fn(&str) -> bool, out: &mut Vec<u8>) {
        let names = self.names();
        self.taken.clear();
        let own = match *body {
            Body::Dropped { count, .. } => Some(("dropped", count)),
            Body::Suppressed { count, cause: 0, .. } => Some(("suppressed", count)),
            Body::Suppressed { count, .. } => Some(("sampled_out", count)),
            Body::Damage { bytes } => Some(("damaged_bytes", bytes)),
            Body::Message { .. } | Body::Note { .. } | Body::Unknown { .. } => None,
        };
        if let Some((name, number)) = own {
            self.taken.push(name, names, out);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        let limits = Limits { integers: self.integers, end: begin + 2 * LINE_BYTES_MAX };
        if let Body::Suppressed { since_ns, .. } = *body {
            self.taken.push("since", names, out);
            out.push(b'"');
            out.extend_from_slice(self.since.utc(since_ns));
            out.push(b'"');
        }
        for field in fields(body).filter(|field| wanted(field.name)) {
            if out.len() - begin > LINE_BYTES_MAX {
                return;
            }
            self.taken.push(field.name, names, out);
            if field.debug {
                push_rendered(field.value, &mut self.scratch, out);
            } else {
                push_value(field.value, &mut self.scratch, limits, out);
            }
        }
    }

    /// What holds of the record, by name: members, or tags.
    fn marks(&self, marks: impl Iterator<Item = &'static str>, out: &mut Vec<u8>) {
        let mut tags = "";
        for mark in marks {
            out.extend_from_slice(match (self.ecs, tags) {
                (false, _) => b",",
                (true, "") => b",\"tags\":[",
                (true, _) => b",",
            });
            tags = "]";
            push_json(mark, out);
            if !self.ecs {
                out.extend_from_slice(b":true");
            }
        }
        if self.ecs {
            out.extend_from_slice(tags.as_bytes());
        }
    }
}

/// Appends `,"name":"text"`; the name needs no escape.
fn push_text(name: &str, text: &str, out: &mut Vec<u8>) {
    push_name(name, out);
    push_json(text, out);
}

/// Appends `,"name":number`; the name needs no escape.
fn push_number(name: &str, number: u64, out: &mut Vec<u8>) {
    push_name(name, out);
    push_u64(number, out);
}

fn push_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Two functions that say for the fields of a call site, one after the other, what stands before a value: `,"name":` in
/// a plain line, and in one with the names of the Elastic Common Schema.
pub(super) fn unique_keys() -> [impl FnMut(&str) -> Box<[u8]>; 2] {
    [&FLAT, &ECS].map(|own| {
        let mut taken = Taken::default();
        move |name: &str| {
            let mut key = Vec::new();
            taken.push(name, own, &mut key);
            key.into()
        }
    })
}

/// The names that a line has so far, one behind the other.
#[derive(Clone, Default, Debug)]
struct Taken {
    text: String,
    ends: Vec<usize>,
}

impl Taken {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Whether what stands in `text` from `begin` on is one of the names before it, or the record's own.
    fn is_taken(&self, begin: usize, own: &Names) -> bool {
        let name = self.text.get(begin..).unwrap_or_default();
        let mut from = 0;
        let mut seen = self.ends.iter().map(|&end| {
            let known = self.text.get(from..end);
            from = end;
            known
        });
        own.has(name) || seen.any(|known| known == Some(name))
    }

    /// Appends `,"name":`, with as many `_` as make the name new.
    fn push(&mut self, name: &str, own: &Names, out: &mut Vec<u8>) {
        let begin = self.text.len();
        self.text.push_str(name);
        while self.is_taken(begin, own) {
            self.text.push('_');
        }
        self.ends.push(self.text.len());
        out.push(b',');
        push_json(self.text.get(begin..).unwrap_or_default(), out);
        out.push(b':');
    }
}
