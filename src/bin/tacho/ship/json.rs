//! OTLP as JSON: a line for each request, as the Collector's file exporter writes it and its file receiver reads it.
//!
//! 64-bit integers are strings of their digits there, bytes are base64 (`opentelemetry/proto`, "OTLP/JSON").

use super::batch::Batch;
use super::convert::{Convert, encoded, uid};
use super::otlp::{AnyValue, KeyValue, LogRecord, Request, Value};
use prost::Message as _;
use serde_json::{Map, Value as Json, json};
use tachograph::reader::record::RecordRef;

/// Records in a line.
const LINE_RECORDS: usize = 512;

/// `tacho export --format otlp-json`.
#[derive(Default)]
pub(crate) struct Export {
    convert: Convert,
    batch: Batch,
}

impl Export {
    /// Takes a record; appends a line to `out` when there are enough.
    pub(crate) fn push(&mut self, record: &RecordRef<'_>, out: &mut Vec<u8>) {
        let bytes = encoded(&self.convert.record(record));
        self.batch.push(record.process, record.target, record.level, uid(record), bytes);
        if self.batch.len() >= LINE_RECORDS {
            self.finish(out);
        }
    }

    /// Appends what is left.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            let resource = |process: &str| vec![KeyValue::string("service.instance.id", process)];
            out.extend_from_slice(request(&batch.request(resource)).to_string().as_bytes());
            out.push(b'\n');
        }
    }
}

/// A request as JSON. Records that are none are left out.
pub(super) fn request(request: &Request) -> Json {
    let resource_logs = request.resource_logs.iter().map(|logs| {
        let resource = logs.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let scope_logs = logs.scope_logs.iter().map(|scope| {
            let records = scope.log_records.iter().filter_map(|bytes| LogRecord::decode(bytes.clone()).ok());
            json!({
                "scope": {"name": scope.scope.as_ref().map_or("", |scope| scope.name.as_str())},
                "logRecords": records.map(|record| log_record(&record)).collect::<Vec<_>>(),
            })
        });
        json!({
            "resource": {"attributes": attributes(resource)},
            "scopeLogs": scope_logs.collect::<Vec<_>>(),
        })
    });
    json!({"resourceLogs": resource_logs.collect::<Vec<_>>()})
}

fn log_record(record: &LogRecord) -> Json {
    json!({
        "timeUnixNano": record.time_unix_nano.to_string(),
        "observedTimeUnixNano": record.observed_time_unix_nano.to_string(),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "body": record.body.as_ref().map_or_else(|| json!({}), any),
        "attributes": attributes(&record.attributes),
    })
}

fn attributes(all: &[KeyValue]) -> Json {
    let one = |pair: &KeyValue| json!({"key": pair.key, "value": pair.value.as_ref().map_or_else(|| json!({}), any)});
    all.iter().map(one).collect()
}

fn any(value: &AnyValue) -> Json {
    let Some(value) = &value.value else { return json!({}) };
    let (name, value) = match value {
        Value::String(text) => ("stringValue", json!(text)),
        Value::Bool(value) => ("boolValue", json!(value)),
        Value::Int(number) => ("intValue", json!(number.to_string())),
        Value::Double(number) => ("doubleValue", double(*number)),
        Value::Array(list) => ("arrayValue", json!({"values": list.values.iter().map(any).collect::<Vec<_>>()})),
        Value::Kvlist(list) => ("kvlistValue", json!({"values": attributes(&list.values)})),
        Value::Bytes(bytes) => ("bytesValue", json!(base64(bytes))),
    };
    Json::Object(Map::from_iter([(name.to_owned(), value)]))
}

/// As the JSON mapping of Protocol Buffers has it.
fn double(number: f64) -> Json {
    match number {
        _ if number.is_finite() => json!(number),
        _ if number.is_nan() => json!("NaN"),
        _ if number > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if place <= three.len() { digit.into() } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (text, code) in pairs {
            assert_eq!(base64(text.as_bytes()), code);
        }
    }

    #[test]
    fn integers_are_exact_strings_and_floats_that_are_no_numbers_have_names() {
        assert_eq!(any(&Value::Int(i64::MAX).into()), json!({"intValue": "9223372036854775807"}));
        assert_eq!(any(&Value::Double(f64::NEG_INFINITY).into()), json!({"doubleValue": "-Infinity"}));
        assert_eq!(any(&AnyValue { value: None }), json!({}));
    }
}
