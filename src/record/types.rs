//! Types as a reader holds them, and their encoding in definitions.
//!
//! ```text
//! type   := tag, 1 │ what the tag asks for
//!             Option, Seq: type      Result: type type      Array: length, 8 │ type
//!             Tuple: types           Struct: name │ shape   Enum: name │ count, 4 │ ( name │ shape ) …
//! types  := count, 4 │ type …
//! shape  := tag, 1 │ Unit: nothing   Tuple: types           Named: count, 4 │ ( name │ type ) …
//! name   := length, 4 │ UTF-8
//! ```

use super::bytes::{Cursor, DecodeError, Sink};
use crate::value::{Shape, Type};

/// How deep types may be nested.
pub const TYPE_DEPTH_MAX: usize = 64;

/// [`Type`], read from bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants are those of `Type`")]
pub enum OwnedType {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    Bool,
    Char,
    Str,
    Formatted,
    Unit,
    Duration,
    Decimal,
    Option(Box<Self>),
    Result(Box<Self>, Box<Self>),
    Seq(Box<Self>),
    Array(Box<Self>, u64),
    Tuple(Vec<Self>),
    Struct(String, OwnedShape),
    Enum(String, Vec<(String, OwnedShape)>),
}

/// [`Shape`], read from bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the variants are those of `Shape`")]
pub enum OwnedShape {
    Unit,
    Tuple(Vec<OwnedType>),
    Named(Vec<(String, OwnedType)>),
}

/// Writes a type. Its depth is that of a type in the source of the program.
pub fn put_type(out: &mut Sink<'_>, ty: &Type) {
    out.put(&[ty.tag()]);
    match ty {
        Type::Option(inner) | Type::Seq(inner) => put_type(out, inner),
        Type::Result(ok, err) => {
            put_type(out, ok);
            put_type(out, err);
        }
        Type::Array(inner, len) => {
            out.put(&(*len as u64).to_le_bytes());
            put_type(out, inner);
        }
        Type::Tuple(fields) => put_types(out, fields),
        Type::Struct(name, shape) => {
            out.name(name);
            put_shape(out, shape);
        }
        Type::Enum(name, variants) => {
            out.name(name);
            out.count(variants.len());
            for (name, shape) in *variants {
                out.name(name);
                put_shape(out, shape);
            }
        }
        _ => {}
    }
}

fn put_types(out: &mut Sink<'_>, types: &[&Type]) {
    out.count(types.len());
    for ty in types {
        put_type(out, ty);
    }
}

fn put_shape(out: &mut Sink<'_>, shape: &Shape) {
    out.put(&[shape.tag()]);
    match shape {
        Shape::Unit => {}
        Shape::Tuple(types) => put_types(out, types),
        Shape::Named(fields) => {
            out.count(fields.len());
            for (name, ty) in *fields {
                out.name(name);
                put_type(out, ty);
            }
        }
    }
}

/// Reads a type. Each type takes at least a byte, so what is built is bounded by the bytes.
///
/// # Errors
///
/// If the bytes are no type, or it is nested deeper than [`TYPE_DEPTH_MAX`].
pub fn read_type(bytes: &mut Cursor<'_>) -> Result<OwnedType, DecodeError> {
    nested(bytes, TYPE_DEPTH_MAX)
}

fn nested(bytes: &mut Cursor<'_>, depth: usize) -> Result<OwnedType, DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let inner = |bytes: &mut Cursor<'_>| nested(bytes, depth).map(Box::new);
    Ok(match bytes.u8()? {
        1 => OwnedType::U8,
        2 => OwnedType::U16,
        3 => OwnedType::U32,
        4 => OwnedType::U64,
        5 => OwnedType::U128,
        6 => OwnedType::I8,
        7 => OwnedType::I16,
        8 => OwnedType::I32,
        9 => OwnedType::I64,
        10 => OwnedType::I128,
        11 => OwnedType::F32,
        12 => OwnedType::F64,
        13 => OwnedType::Bool,
        14 => OwnedType::Char,
        15 => OwnedType::Str,
        16 => OwnedType::Formatted,
        17 => OwnedType::Unit,
        18 => OwnedType::Duration,
        19 => OwnedType::Option(inner(bytes)?),
        20 => OwnedType::Result(inner(bytes)?, inner(bytes)?),
        21 => OwnedType::Seq(inner(bytes)?),
        22 => {
            let len = bytes.u64()?;
            OwnedType::Array(inner(bytes)?, len)
        }
        23 => OwnedType::Tuple(list(bytes, |bytes| nested(bytes, depth))?),
        24 => OwnedType::Struct(bytes.name()?.to_owned(), shape(bytes, depth)?),
        25 => {
            let name = bytes.name()?.to_owned();
            let variants = list(bytes, |bytes| Ok((bytes.name()?.to_owned(), shape(bytes, depth)?)))?;
            OwnedType::Enum(name, variants)
        }
        26 => OwnedType::Decimal,
        _ => return Err(DecodeError::Unknown),
    })
}

fn shape(bytes: &mut Cursor<'_>, depth: usize) -> Result<OwnedShape, DecodeError> {
    Ok(match bytes.u8()? {
        0 => OwnedShape::Unit,
        1 => OwnedShape::Tuple(list(bytes, |bytes| nested(bytes, depth))?),
        2 => OwnedShape::Named(list(bytes, |bytes| Ok((bytes.name()?.to_owned(), nested(bytes, depth)?)))?),
        _ => return Err(DecodeError::Unknown),
    })
}

/// A count and so many items. Nothing is reserved on the word of the count.
pub(super) fn list<T>(
    bytes: &mut Cursor<'_>,
    item: impl Fn(&mut Cursor<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = bytes.u32()?;
    (0..count).map(|_| item(bytes)).collect()
}
