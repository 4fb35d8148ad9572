//! Key-value pairs as logfmt has them: `key=value`, strings quoted where they have to be.

use super::escape::{is_bare, push_quoted};
use super::line::{DAMAGED, fields, render_value};
use super::{Decoded, Field, ValueRef};
use crate::reader::record::Body;

/// Appends the fields of a record, the first behind `before`, the others behind a space each.
pub(super) fn push_fields(body: &Body<'_>, before: &str, scratch: &mut String, out: &mut Vec<u8>) {
    push_fields_but(&[], body, before, scratch, out);
}

/// As [`push_fields`]; a key that is one of `own` gets `_` appended.
pub(super) fn push_fields_but(own: &[&str], body: &Body<'_>, before: &str, scratch: &mut String, out: &mut Vec<u8>) {
    let mut separator = before;
    for field in fields(body) {
        out.extend_from_slice(separator.as_bytes());
        separator = " ";
        push_key(field.name, out);
        if own.contains(&field.name) {
            out.push(b'_');
        }
        out.push(b'=');
        push_value(&field, field.value, scratch, out);
    }
}

/// Appends a key, which is one word; what would end it becomes `_`.
fn push_key(name: &str, out: &mut Vec<u8>) {
    if is_bare(name) {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    let safe = |c: char| if is_bare(c.encode_utf8(&mut [0; 4])) { c } else { '_' };
    name.chars().map(safe).for_each(|c| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
    if name.is_empty() {
        out.push(b'_');
    }
}

/// Appends a field's value as one word.
fn push_value(field: &Field<'_>, value: ValueRef<'_>, scratch: &mut String, out: &mut Vec<u8>) {
    if !field.debug {
        match value.decode() {
            Ok(Decoded::U64(number)) => {
                return out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Ok(Decoded::I64(number)) => {
                return out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Ok(Decoded::Bool(value)) => {
                return out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Ok(Decoded::Str(text) | Decoded::Formatted(text)) if !text.cut => return push_word(text.text, out),
            Ok(Decoded::F64(number)) if number.is_finite() => {
                if push_plain_float(number, out) {
                    return;
                }
            }
            Ok(Decoded::Some(inner)) => return push_value(field, inner, scratch, out),
            Ok(_) => {}
            Err(_) => return out.extend_from_slice(DAMAGED.as_bytes()),
        }
    }
    scratch.clear();
    render_value(value, field.debug, scratch);
    push_word(scratch, out);
}

/// Appends a float as `Display` does where that is what the fast way gives but for a `.0`; says whether it did.
fn push_plain_float(number: f64, out: &mut Vec<u8>) -> bool {
    let mut buffer = zmij::Buffer::new();
    let digits = buffer.format_finite(number);
    let plain = !digits.contains('e');
    if plain {
        out.extend_from_slice(digits.strip_suffix(".0").unwrap_or(digits).as_bytes());
    }
    plain
}

/// Appends a text as one word, quoted where it has to be.
pub(super) fn push_word(text: &str, out: &mut Vec<u8>) {
    if is_bare(text) { out.extend_from_slice(text.as_bytes()) } else { push_quoted(text, out) }
}
