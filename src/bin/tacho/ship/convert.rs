//! A record as OTLP has it.
//!
//! | Tachograph | OTLP |
//! |---|---|
//! | time | `timeUnixNano`; `observedTimeUnixNano` is when it was read |
//! | level | `severityNumber` 1 (TRACE), 5, 9, 13, 17 (ERROR), 21 (CRITICAL, which is FATAL there); `severityText` |
//! | message | `body`, a string |
//! | target | the scope's name |
//! | fields, and named values of the message | attributes |
//! | integers | int; what 64 signed bits do not hold is a string of its digits |
//! | floats | double |
//! | strings, characters, formatted values, decimals | string |
//! | `Duration` | string, as `Debug` writes it |
//! | `Option` | the value, or an empty value |
//! | lists of bytes | bytes |
//! | lists, tuples | array |
//! | structs, enums | as JSON has them: key-value list, array, or string |
//! | process, segment, offset | `log.record.uid`, by which a receiver can tell what came twice |

use super::otlp::{AnyValue, ArrayValue, KeyValue, KeyValueList, LogRecord, Value};
use bytes::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};
use tachograph::Level;
use tachograph::format::decoded::{Items, Text};
use tachograph::format::json::JsonFormat;
use tachograph::format::{Decoded, Field, ValueRef};
use tachograph::reader::record::{Body, RecordRef};
use tachograph::record::types::OwnedType;

/// Turns records into those of OTLP; keeps its buffers.
#[derive(Default)]
pub(super) struct Convert {
    message: JsonFormat,
}

impl Convert {
    pub(super) fn record(&mut self, record: &RecordRef<'_>) -> LogRecord {
        let mut body = String::new();
        self.message.message(&record.body, &mut body);
        LogRecord {
            time_unix_nano: u64::try_from(record.unix_ns).unwrap_or(0),
            severity_number: severity(record.level),
            severity_text: record.level.as_str().to_owned(),
            body: Some(Value::String(body).into()),
            attributes: attributes(record),
            observed_time_unix_nano: now_unix_ns(),
        }
    }
}

fn now_unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

const fn severity(level: Level) -> i32 {
    match level {
        Level::Trace => 1,
        Level::Debug => 5,
        Level::Info => 9,
        Level::Warn => 13,
        Level::Error => 17,
        Level::Critical => 21,
    }
}

/// What tells this record from all others, whenever and by whomever it is sent.
pub(super) fn uid(record: &RecordRef<'_>) -> String {
    format!("{}/{}/{}", record.process, record.position.segment, record.position.offset)
}

fn attributes(record: &RecordRef<'_>) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::string("log.record.uid", &uid(record)),
        KeyValue::string("thread.name", &record.thread.name),
        KeyValue::new("thread.id", Value::Int(record.thread.tid.into())),
        KeyValue::new("tachograph.seq", Value::Int(record.seq.into())),
    ];
    for (name, set) in [
        ("tachograph.late", record.late),
        ("tachograph.recovered", record.recovered),
        ("tachograph.flight", record.flight),
    ] {
        if set {
            all.push(KeyValue::new(name, Value::Bool(true)));
        }
    }
    let (Body::Message { site, payload } | Body::Suppressed { site, payload, .. }) = record.body else { return all };
    all.push(KeyValue::string("code.file.path", &site.def.file));
    all.push(KeyValue::new("code.line.number", Value::Int(site.def.line.into())));
    let own = all.len();
    let named =
        site.plan.fields(payload).map_while(Result::ok).chain(site.plan.arguments(payload).map_while(Result::ok));
    for Field { name, value, debug, .. } in named {
        let of_call = all.get(own..).unwrap_or_default();
        if of_call.iter().any(|known| known.key == name) {
            // A field goes before a value of the message with its name.
            continue;
        }
        let value = if debug { Value::String(rendered(value, true)).into() } else { any(value) };
        // A field of the user's may be called as one of ours: then it has the underscore that it has in JSON.
        let taken = all.iter().any(|known| known.key == name);
        let key = if taken { format!("{name}_") } else { name.to_owned() };
        all.push(KeyValue { key, value: Some(value) });
    }
    all
}

fn any(value: ValueRef<'_>) -> AnyValue {
    let Ok(decoded) = value.decode() else { return Value::String("<damaged>".to_owned()).into() };
    let value = match decoded {
        Decoded::U64(number) => integer(number),
        Decoded::I64(number) => Value::Int(number),
        Decoded::U128(number) => integer(number),
        Decoded::I128(number) => integer(number),
        Decoded::F32(number) => Value::Double(number.into()),
        Decoded::F64(number) => Value::Double(number),
        Decoded::Bool(value) => Value::Bool(value),
        Decoded::Char(c) => Value::String(c.into()),
        Decoded::Str(text) | Decoded::Formatted(text) => Value::String(cut(text)),
        Decoded::Unit | Decoded::None => return AnyValue { value: None },
        Decoded::Some(inner) => return any(inner),
        Decoded::Ok(inner) => tagged("Ok", any(inner)),
        Decoded::Err(inner) => tagged("Err", any(inner)),
        Decoded::List(items, false) if is_bytes(value.ty()) => bytes(items),
        Decoded::List(items, was_cut) => {
            let mut values = list(items);
            if was_cut {
                values.push(Value::String("…".to_owned()).into());
            }
            Value::Array(ArrayValue { values })
        }
        Decoded::Tuple(items) => Value::Array(ArrayValue { values: list(items) }),
        Decoded::Struct(name, items) if items.is_empty() && !items.is_named() => Value::String(name.to_owned()),
        Decoded::Struct(_, items) => return shape(items),
        Decoded::Variant(name, items) if items.is_empty() => Value::String(name.to_owned()),
        Decoded::Variant(name, items) => tagged(name, shape(items)),
        _ => Value::String(rendered(value, false)),
    };
    value.into()
}

fn integer<N: TryInto<i64> + ToString + Copy>(number: N) -> Value {
    number.try_into().map_or_else(|_| Value::String(number.to_string()), Value::Int)
}

fn cut(text: Text<'_>) -> String {
    if text.cut { format!("{}…", text.text) } else { text.text.to_owned() }
}

fn rendered(value: ValueRef<'_>, debug: bool) -> String {
    let mut out = String::new();
    if value.render(debug, &mut out).is_err() {
        out.push_str("<damaged>");
    }
    out
}

fn tagged(name: &str, value: AnyValue) -> Value {
    Value::Kvlist(KeyValueList { values: vec![KeyValue { key: name.to_owned(), value: Some(value) }] })
}

fn is_bytes(ty: &OwnedType) -> bool {
    match ty {
        OwnedType::Seq(of) | OwnedType::Array(of, _) => **of == OwnedType::U8,
        _ => false,
    }
}

fn bytes(items: Items<'_>) -> Value {
    let byte = |value: ValueRef<'_>| match value.decode() {
        Ok(Decoded::U64(byte)) => u8::try_from(byte).ok(),
        _ => None,
    };
    Value::Bytes(items.map_while(Result::ok).filter_map(|(_, value)| byte(value)).collect::<Vec<u8>>().into())
}

fn list(items: Items<'_>) -> Vec<AnyValue> {
    items.map_while(Result::ok).map(|(_, value)| any(value)).collect()
}

/// Fields of a struct or variant: by name, or in order; a single one without a name is itself.
fn shape(items: Items<'_>) -> AnyValue {
    if items.is_named() {
        let named = items.map_while(Result::ok);
        let values = named.map(|(name, value)| KeyValue::new(name.unwrap_or_default(), any(value))).collect();
        return Value::Kvlist(KeyValueList { values }).into();
    }
    let mut values = list(items);
    match (values.pop(), values.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            values.extend(last);
            Value::Array(ArrayValue { values }).into()
        }
    }
}

/// Bytes of a record as they are sent.
pub(super) fn encoded(record: &LogRecord) -> Bytes {
    use prost::Message as _;
    record.encode_to_vec().into()
}
