//! The fast way from a payload to a line, for what most calls log: plain placeholders, numbers, strings.
//!
//! Made once for each call site: the text between the values, already harmless for the kind of line, and for each value what
//! is to be done. A line is then one pass over the payload into the line's buffer. What is not plain takes the general way,
//! value by value; both ways give the same bytes, which a property test holds against each other.

use super::digits::{Short, push_bytes, push_i64, push_u64};
use super::escape::{push_json_text, push_text};
use super::float::{push_fixed, push_float};
use super::line::LINE_BYTES_MAX;
use super::output::Output;
use super::padding::Flags;
use super::spec::Trait;
use super::{CUT_MARK, render};
use crate::record::bytes::{Cursor, DecodeError};
use crate::record::skip::boolean;
use crate::record::types::OwnedType;

/// A value that is put without the general way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Simple {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    /// With so many digits behind the point.
    FixedF32(usize),
    FixedF64(usize),
    Bool,
    Str,
}

impl Simple {
    /// How `{}` puts a value of this type, if that is simple.
    pub(super) const fn of(ty: &OwnedType) -> Option<Self> {
        Some(match ty {
            OwnedType::U8 => Self::U8,
            OwnedType::U16 => Self::U16,
            OwnedType::U32 => Self::U32,
            OwnedType::U64 => Self::U64,
            OwnedType::I8 => Self::I8,
            OwnedType::I16 => Self::I16,
            OwnedType::I32 => Self::I32,
            OwnedType::I64 => Self::I64,
            OwnedType::F32 => Self::F32,
            OwnedType::F64 => Self::F64,
            OwnedType::Bool => Self::Bool,
            OwnedType::Str => Self::Str,
            _ => return None,
        })
    }

    /// The same for a placeholder with flags.
    pub(super) fn with(flags: &Flags, ty: &OwnedType) -> Option<Self> {
        if flags.kind != Trait::Display || flags.width.is_some() || flags.plus {
            return None;
        }
        match (Self::of(ty)?, flags.precision) {
            (simple, None) => Some(simple),
            (Self::F32, Some(digits)) => Some(Self::FixedF32(digits)),
            (Self::F64, Some(digits)) => Some(Self::FixedF64(digits)),
            (Self::Bool | Self::Str, Some(_)) => None,
            // Integers take no notice of it.
            (simple, Some(_)) => Some(simple),
        }
    }

    /// Takes a value off `bytes` and appends it; strings by `text`, which is told whether they were cut.
    #[inline(always)]
    pub(super) fn push<'a>(
        self,
        bytes: &mut Cursor<'a>,
        out: &mut Vec<u8>,
        text: impl FnOnce(&'a str, bool, &mut Vec<u8>),
    ) -> Result<(), DecodeError> {
        match self {
            Self::U64 => push_u64(bytes.u64()?, out),
            Self::F64 => push_float(bytes.f64()?, out),
            Self::I64 => push_i64(bytes.i64()?, out),
            Self::U32 => push_u64(bytes.u32()?.into(), out),
            Self::I32 => push_i64(bytes.i32()?.into(), out),
            Self::Str => {
                let (part, cut) = render::text(bytes)?;
                text(part, cut, out);
            }
            Self::FixedF64(digits) => push_fixed(bytes.f64()?, digits, out),
            Self::Bool => push_bytes(if boolean(bytes)? { b"true" } else { b"false" }, out),
            Self::U8 => push_u64(bytes.u8()?.into(), out),
            Self::U16 => push_u64(bytes.u16()?.into(), out),
            Self::I8 => push_i64(bytes.i8()?.into(), out),
            Self::I16 => push_i64(bytes.i16()?.into(), out),
            Self::F32 => push_float(bytes.f32()?, out),
            Self::FixedF32(digits) => push_fixed(bytes.f32()?, digits, out),
        }
        Ok(())
    }
}

/// A part of a message: text, and the value behind it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// As it stands in a text line.
    text: Short,
    /// As it stands in a JSON string.
    json: Short,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    /// The message ends with its text.
    Nothing,
    /// A simple value.
    Simple(Simple),
    /// A value that is put by the general way.
    General { flags: Flags, ty: OwnedType },
}

impl Step {
    fn new(literal: &str, value: Value) -> Self {
        let (mut text, mut json) = (Vec::new(), Vec::new());
        push_text(literal, &mut text);
        push_json_text(literal, &mut json);
        Self { text: Short::of(&text), json: Short::of(&json), value }
    }

    /// The end of a message.
    pub(super) fn end(literal: &str) -> Self {
        Self::new(literal, Value::Nothing)
    }

    /// A value, and the text before it.
    pub(super) fn value(literal: &str, flags: Flags, ty: &OwnedType) -> Self {
        let value = Simple::with(&flags, ty).map_or_else(|| Value::General { flags, ty: ty.clone() }, Value::Simple);
        Self::new(literal, value)
    }
}

/// Appends a message, escaped for a text line or within a JSON string; says how many bytes of the payload it took. `None`, and
/// nothing is appended, where the general way has to find out what is to be said.
#[inline]
pub(super) fn message<const JSON: bool>(
    steps: &[Step],
    payload: &[u8],
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let begin = out.len();
    let mut bytes = Cursor::new(payload);
    for Step { text, json, value } in steps {
        if JSON { json } else { text }.push(out);
        let done = match value {
            Value::Simple(simple) => simple.push(&mut bytes, out, push_part::<JSON>),
            Value::Nothing => Ok(()),
            Value::General { flags, ty } => general::<JSON>(flags, ty, &mut bytes, scratch, out),
        };
        if done.is_err() || out.len() - begin > LINE_BYTES_MAX {
            out.truncate(begin);
            return None;
        }
    }
    Some(payload.len() - bytes.rest().len())
}

#[inline]
fn push_part<const JSON: bool>(text: &str, cut: bool, out: &mut Vec<u8>) {
    if JSON {
        push_json_text(text, out)
    } else {
        push_text(text, out)
    }
    if cut {
        out.extend_from_slice(CUT_MARK.as_bytes());
    }
}

#[inline(never)]
fn general<const JSON: bool>(
    flags: &Flags,
    ty: &OwnedType,
    bytes: &mut Cursor<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    scratch.clear();
    render::value(&mut Output::new(scratch), flags, ty, bytes)?;
    push_part::<JSON>(scratch, false, out);
    Ok(())
}
