//! Values as JSON.
//!
//! | value | JSON |
//! |---|---|
//! | integers up to 64 bits | number, exact; see [`Integers`] |
//! | 128-bit integers | number where 64 bits hold it, else a string of its digits |
//! | floats | number, the shortest that reads back as the same value; `"NaN"`, `"inf"`, `"-inf"` |
//! | `char`, strings, formatted values, fields with `:?` | string; what the record had no room for is marked by `…` |
//! | decimal numbers | number with all its digits; see [`Integers`] |
//! | `Duration` | number of seconds with nine decimals |
//! | `Option` | the value, or `null`; `()` is `null` |
//! | `Result` | `{"Ok":…}` or `{"Err":…}` |
//! | slices (bytes too), arrays, tuples | array |
//! | structs and enums | as serde does: object, or array; the only field of a tuple struct; `"Variant"`, `{"Variant":…}` |

use super::decoded::{Items, Text};
use super::digits::{push_bytes, push_i64, push_u64};
use super::escape::push_json;
use super::line::{DAMAGED, render_value};
use super::{CUT_MARK, Decoded, ValueRef};
use crate::record::types::OwnedType;
use std::fmt::Write as _;

/// How integers of 64 bits and more are put. Many readers hold numbers as doubles, which keep 53 bits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integers {
    /// As numbers, exact: for readers that keep 64 bits. The default.
    #[default]
    Numbers,
    /// As strings of their digits, by type: an id is then always a string, never sometimes.
    Strings,
}

/// How values are put, and where that ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) integers: Integers,
    /// A value is given up once `out` is longer than this, because its line will be.
    pub(super) end: usize,
}

/// Appends a value.
pub(super) fn push_value(value: ValueRef<'_>, scratch: &mut String, limits: Limits, out: &mut Vec<u8>) {
    let Ok(decoded) = value.decode() else { return push_json(DAMAGED, out) };
    match decoded {
        Decoded::U64(number) if integers_are_numbers(limits, value.ty()) => return push_u64(number, out),
        Decoded::I64(number) if integers_are_numbers(limits, value.ty()) => return push_i64(number, out),
        Decoded::F64(number) if number.is_finite() => {
            return push_bytes(zmij::Buffer::new().format_finite(number).as_bytes(), out);
        }
        _ => {}
    }
    let mut integer = itoa::Buffer::new();
    let numbers = integers_are_numbers(limits, value.ty());
    match decoded {
        Decoded::U64(number) => push_digits(integer.format(number), numbers, out),
        Decoded::I64(number) => push_digits(integer.format(number), numbers, out),
        Decoded::U128(number) => push_digits(integer.format(number), numbers && u64::try_from(number).is_ok(), out),
        Decoded::I128(number) => {
            let fits = i64::try_from(number).is_ok() || u64::try_from(number).is_ok();
            push_digits(integer.format(number), numbers && fits, out);
        }
        Decoded::F32(number) if number.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Decoded::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Decoded::Char(c) => push_json(c.encode_utf8(&mut [0; 4]), out),
        Decoded::Str(text) | Decoded::Formatted(text) => push_string(text, scratch, out),
        Decoded::Unit | Decoded::None => out.extend_from_slice(b"null"),
        Decoded::Duration(duration) => {
            out.extend_from_slice(integer.format(duration.as_secs()).as_bytes());
            out.push(b'.');
            let nanos = u64::from(duration.subsec_nanos()) + 1_000_000_000;
            out.extend_from_slice(integer.format(nanos).as_bytes().get(1..).unwrap_or_default());
        }
        Decoded::Decimal(number) => {
            scratch.clear();
            // A string takes everything.
            let _ = write!(scratch, "{number}");
            push_digits(scratch, numbers, out);
        }
        Decoded::Some(inner) => push_value(inner, scratch, limits, out),
        Decoded::Ok(inner) => push_tagged("Ok", out, |out| push_value(inner, scratch, limits, out)),
        Decoded::Err(inner) => push_tagged("Err", out, |out| push_value(inner, scratch, limits, out)),
        Decoded::List(items, cut) => push_array(items, cut, scratch, limits, out),
        Decoded::Tuple(items) => push_array(items, false, scratch, limits, out),
        Decoded::Struct(name, items) if items.is_empty() && !items.is_named() => push_json(name, out),
        Decoded::Struct(_, items) => push_items(items, scratch, limits, out),
        Decoded::Variant(name, items) if items.is_empty() => push_json(name, out),
        Decoded::Variant(name, items) => push_tagged(name, out, |out| push_items(items, scratch, limits, out)),
        Decoded::F32(_) | Decoded::F64(_) => push_rendered(value, scratch, out),
    }
}

#[inline]
fn integers_are_numbers(limits: Limits, ty: &OwnedType) -> bool {
    limits.integers == Integers::Numbers || !is_wide(ty)
}

/// Types whose values a double cannot all hold.
fn is_wide(ty: &OwnedType) -> bool {
    matches!(ty, OwnedType::U64 | OwnedType::I64 | OwnedType::U128 | OwnedType::I128 | OwnedType::Decimal)
}

fn push_digits(digits: &str, number: bool, out: &mut Vec<u8>) {
    if number { out.extend_from_slice(digits.as_bytes()) } else { push_json(digits, out) }
}

fn push_string(text: Text<'_>, scratch: &mut String, out: &mut Vec<u8>) {
    if !text.cut {
        return push_json(text.text, out);
    }
    scratch.clear();
    scratch.push_str(text.text);
    scratch.push_str(CUT_MARK);
    push_json(scratch, out);
}

/// Appends a value as its text.
pub(super) fn push_rendered(value: ValueRef<'_>, scratch: &mut String, out: &mut Vec<u8>) {
    scratch.clear();
    render_value(value, true, scratch);
    push_json(scratch, out);
}

fn push_tagged(name: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'{');
    push_json(name, out);
    out.push(b':');
    value(out);
    out.push(b'}');
}

/// The fields of a struct or variant: an object, the one field without a name, or an array.
fn push_items(items: Items<'_>, scratch: &mut String, limits: Limits, out: &mut Vec<u8>) {
    if !items.is_named() {
        let mut both = items.clone();
        return match (both.next(), both.next()) {
            (Some(Ok((_, value))), None) => push_value(value, scratch, limits, out),
            _ => push_array(items, false, scratch, limits, out),
        };
    }
    out.push(b'{');
    let mut separator = None;
    for (name, value) in items.map_while(Result::ok) {
        if out.len() > limits.end {
            break;
        }
        out.extend(separator);
        separator = Some(b',');
        push_json(name.unwrap_or_default(), out);
        out.push(b':');
        push_value(value, scratch, limits, out);
    }
    out.push(b'}');
}

fn push_array(items: Items<'_>, cut: bool, scratch: &mut String, limits: Limits, out: &mut Vec<u8>) {
    out.push(b'[');
    let mut separator = None;
    for (_, value) in items.map_while(Result::ok) {
        if out.len() > limits.end {
            break;
        }
        out.extend(separator);
        separator = Some(b',');
        push_value(value, scratch, limits, out);
    }
    if cut {
        out.extend(separator);
        push_json(CUT_MARK, out);
    }
    out.push(b']');
}
