//! Records: any definition with any payload gives a bounded text or an error, and lines that do no harm.

use super::split;
use crate::format::json::JsonFormat;
use crate::format::line::LineFormat;
use crate::format::pattern::TextFormat;
use crate::format::{CUT_MARK, Decoded, TEXT_BYTES_MAX, ValueRef};
use crate::level::Level;
use crate::reader::record::{Body, CallSite, Position, RecordRef, Thread};
use crate::record::bytes::DecodeError;

/// The bytes are a definition behind its length, and a payload.
pub fn record_decode(data: &[u8]) {
    let (definition, payload) = split(data);
    let Some(site) = CallSite::decode(definition) else { return };
    let (mut text, mut again) = (String::new(), String::new());
    let rendered = site.plan.message(payload, &mut text);
    assert_eq!(rendered, site.plan.message(payload, &mut again));
    assert_eq!(text, again, "the same bytes give the same text");
    assert!(text.len() <= TEXT_BYTES_MAX + CUT_MARK.len());
    for field in site.plan.fields(payload) {
        let Ok(field) = field else { break };
        // Walking a value one level at a time and rendering it agree on whether it is one.
        let mut text = String::new();
        let rendered = field.value.render(true, &mut text);
        assert_eq!(rendered.is_ok(), walk(field.value).is_ok(), "{:?}", field.value.ty());
    }
    if rendered.is_ok() {
        let walked = site.plan.arguments(payload).try_for_each(|argument| walk(argument?.value));
        assert_eq!(walked, Ok(()), "what is rendered can be walked");
    }
    lines(&site, payload);
}

fn walk(value: ValueRef<'_>) -> Result<(), DecodeError> {
    match value.decode()? {
        Decoded::Some(value) | Decoded::Ok(value) | Decoded::Err(value) => walk(value),
        Decoded::List(mut items, _)
        | Decoded::Tuple(mut items)
        | Decoded::Struct(_, mut items)
        | Decoded::Variant(_, mut items) => items.try_for_each(|item| walk(item?.1)),
        _ => Ok(()),
    }
}

/// One record is one line of clean UTF-8, in every format.
fn lines(site: &CallSite, payload: &[u8]) {
    let thread = Thread { name: "t".to_owned(), tid: 1 };
    let record = RecordRef {
        unix_ns: 0,
        ticks: 0,
        level: Level::Info,
        target: site.def.target.as_deref().unwrap_or("t"),
        process: "p",
        thread: &thread,
        ring: 0,
        seq: 0,
        position: Position::default(),
        late: false,
        flight: false,
        recovered: false,
        body: Body::Message { site, payload },
    };
    let formats: [&mut dyn LineFormat; 2] = [&mut TextFormat::default(), &mut JsonFormat::default()];
    for format in formats {
        let mut line = Vec::new();
        format.line(&record, &mut line);
        let line = str::from_utf8(&line).expect("a line is UTF-8");
        let (end, body) = line.as_bytes().split_last().expect("a line has an end");
        assert!(*end == b'\n' && !body.iter().any(|byte| *byte < b' ' || *byte == 0x7f), "{line:?}");
    }
}
