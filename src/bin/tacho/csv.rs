//! Records as comma-separated values (RFC 4180): a heading, a line for each record, quotes where they have to be.
//!
//! A column is a value of the record's own or a field, or a value that the message names, by its name. Fields that have
//! no column stand in the last one as a JSON object.

use crate::args::Column;
use crate::condition::own;
use tachograph::format::Field;
use tachograph::format::json::JsonFormat;
use tachograph::format::line::LineFormat;
use tachograph::format::time::Clock;
use tachograph::reader::record::{Body, RecordRef};

/// The columns where none are asked for.
const USUAL: [&str; 11] =
    ["timestamp", "level", "target", "thread", "process", "seq", "file", "line", "message", "marks", "fields"];

/// Puts records as lines of CSV.
pub(crate) struct Csv {
    columns: Vec<String>,
    clock: Clock,
    json: JsonFormat,
    scratch: String,
    line: Vec<u8>,
}

impl Csv {
    /// These columns; the usual ones if there are none.
    pub(crate) fn new(columns: &[Column]) -> Self {
        let mut columns: Vec<String> = columns.iter().map(|Column(name)| name.clone()).collect();
        if columns.is_empty() {
            columns = USUAL.map(str::to_owned).to_vec();
        }
        Self { columns, clock: Clock::default(), json: JsonFormat::default(), scratch: String::new(), line: Vec::new() }
    }

    /// The first line.
    pub(crate) fn heading(&self, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            out.extend((index > 0).then_some(b','));
            push_cell(column, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn cell(&mut self, column: &str, record: &RecordRef<'_>) {
        self.scratch.clear();
        if let Some(field) = field(record, column) {
            // What cannot be rendered is damaged; its cell is empty, and the message says so.
            let _ = field.value.render(field.debug, &mut self.scratch);
            return;
        }
        match column {
            "timestamp" => self.clock.push_str(record.unix_ns, &mut self.scratch),
            "message" => self.json.message(&record.body, &mut self.scratch),
            "marks" => {
                let marks = [(record.late, "late"), (record.recovered, "recovered")];
                let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
                self.scratch.push_str(&marks.join(" "));
            }
            "fields" => {
                self.line.clear();
                let columns = &self.columns;
                self.json.object(&record.body, |name| !columns.iter().any(|column| column == name), &mut self.line);
                self.scratch.push_str(&String::from_utf8_lossy(&self.line));
            }
            _ => {
                own(record, column, &mut self.scratch);
            }
        }
    }
}

impl LineFormat for Csv {
    fn line(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let columns = std::mem::take(&mut self.columns);
        self.columns = columns.clone();
        for (index, column) in columns.iter().enumerate() {
            self.cell(column, record);
            out.extend((index > 0).then_some(b','));
            push_cell(&self.scratch, out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The field or named value of that name.
fn field<'a>(record: &RecordRef<'a>, name: &str) -> Option<Field<'a>> {
    let (Body::Message { site, payload } | Body::Suppressed { site, payload, .. }) = record.body else { return None };
    if !site.plan.names().any(|known| known == name) {
        return None;
    }
    let mut named = site.plan.fields(payload).chain(site.plan.arguments(payload)).map_while(Result::ok);
    named.find(|field| field.name == name)
}

/// Appends a cell, quoted where it has to be. What a spreadsheet would take for a formula keeps its first character: it
/// is data, and who opens it elsewhere must have it unchanged.
fn push_cell(text: &str, out: &mut Vec<u8>) {
    let plain = !text.contains([',', '"', '\r', '\n']) && !text.starts_with(' ') && !text.ends_with(' ');
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        out.extend((byte == b'"').then_some(b'"'));
        out.push(byte);
    }
    out.push(b'"');
}
