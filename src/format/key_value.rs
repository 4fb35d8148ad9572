//! Key-value pairs as logfmt has them: `key=value`, strings quoted where they have to be.

use super::digits::{push_bytes, push_i64, push_u64};
use super::escape::{is_bare, push_quoted};
use super::float::push_float;
use super::line::{DAMAGED, fields, payload, render_value};
use super::{Decoded, Field, Plan, ValueRef};
use crate::reader::record::Body;
use crate::record::bytes::{Cursor, DecodeError};

/// Appends the fields of a record, the first behind `before`, the others behind a space each. `from` is where they begin in the
/// payload, if that is known.
#[inline]
pub(super) fn push_fields(body: &Body<'_>, from: Option<usize>, before: &str, scratch: &mut String, out: &mut Vec<u8>) {
    let Some((site, payload)) = payload(body) else { return };
    if site.plan.is_without_fields() {
        return;
    }
    let begin = out.len();
    if let Some(values) = from.and_then(|from| payload.get(from..))
        && push_known(&site.plan, values, before, scratch, out).is_ok()
    {
        return;
    }
    out.truncate(begin);
    push_fields_but(&[], body, before, scratch, out);
}

/// ` name=`
pub(super) fn key(name: &str) -> Box<[u8]> {
    let mut key = vec![b' '];
    push_key(name, &mut key);
    key.push(b'=');
    key.into()
}

/// Appends the fields whose values begin in `values`.
#[inline]
fn push_known(
    plan: &Plan,
    values: &[u8],
    before: &str,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut bytes = Cursor::new(values);
    let mut skip = usize::from(before.is_empty());
    for (key, field, ty) in plan.keys() {
        push_bytes(key.text.get(std::mem::take(&mut skip)..).unwrap_or_default(), out);
        match key.simple {
            Some(simple) => {
                let mut whole = true;
                simple.push(&mut bytes, out, |text, cut, out| {
                    whole = !cut;
                    push_word(text, out);
                })?;
                if !whole {
                    return Err(DecodeError::Excess);
                }
            }
            None => {
                let value = ValueRef::take(ty, &mut bytes)?;
                push_value(&Field { name: &field.name, debug: field.debug, value }, value, scratch, out);
            }
        }
    }
    Ok(())
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
                return push_u64(number, out);
            }
            Ok(Decoded::I64(number)) => {
                return push_i64(number, out);
            }
            Ok(Decoded::Bool(value)) => {
                return out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Ok(Decoded::Str(text) | Decoded::Formatted(text)) if !text.cut => return push_word(text.text, out),
            Ok(Decoded::F64(number)) => return push_float(number, out),
            Ok(Decoded::Some(inner)) => return push_value(field, inner, scratch, out),
            Ok(_) => {}
            Err(_) => return out.extend_from_slice(DAMAGED.as_bytes()),
        }
    }
    scratch.clear();
    render_value(value, field.debug, scratch);
    push_word(scratch, out);
}

/// Appends a text as one word, quoted where it has to be.
#[inline]
pub(super) fn push_word(text: &str, out: &mut Vec<u8>) {
    if is_bare(text) { push_bytes(text.as_bytes(), out) } else { push_quoted(text, out) }
}
