//! Passing over values without decoding them.

use super::bytes::{Cursor, DecodeError};
use super::types::{OwnedShape, OwnedType};
use crate::value::CUT;

/// Moves `bytes` behind a value. Each element without bytes takes one off `empty`, so that no count, however large or
/// nested, makes more work than the bytes and this limit allow.
pub(crate) fn skip(ty: &OwnedType, bytes: &mut Cursor<'_>, empty: &mut usize) -> Result<(), DecodeError> {
    if let Some(size) = fixed(ty) {
        return bytes.take(size).map(drop);
    }
    match ty {
        OwnedType::Str | OwnedType::Formatted => {
            let count = bytes.u32()?;
            bytes.take((count & !CUT) as usize).map(drop)
        }
        OwnedType::Option(inner) => {
            if boolean(bytes)? {
                skip(inner, bytes, empty)
            } else {
                Ok(())
            }
        }
        OwnedType::Result(ok, err) => skip(if boolean(bytes)? { err } else { ok }, bytes, empty),
        OwnedType::Seq(inner) => {
            let count = bytes.u32()? & !CUT;
            skip_list(inner, u64::from(count), bytes, empty)
        }
        OwnedType::Array(inner, len) => skip_list(inner, *len, bytes, empty),
        OwnedType::Tuple(types) => types.iter().try_for_each(|ty| skip(ty, bytes, empty)),
        OwnedType::Struct(_, shape) => skip_shape(shape, bytes, empty),
        OwnedType::Enum(_, variants) => {
            let index = bytes.u32()?;
            skip_shape(&variants.get(index as usize).ok_or(DecodeError::Unknown)?.1, bytes, empty)
        }
        _ => Ok(()),
    }
}

fn skip_shape(shape: &OwnedShape, bytes: &mut Cursor<'_>, empty: &mut usize) -> Result<(), DecodeError> {
    match shape {
        OwnedShape::Unit => Ok(()),
        OwnedShape::Tuple(types) => types.iter().try_for_each(|ty| skip(ty, bytes, empty)),
        OwnedShape::Named(fields) => fields.iter().try_for_each(|(_, ty)| skip(ty, bytes, empty)),
    }
}

fn skip_list(ty: &OwnedType, count: u64, bytes: &mut Cursor<'_>, empty: &mut usize) -> Result<(), DecodeError> {
    if let Some(size) = fixed(ty).filter(|size| *size > 0) {
        let all = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
        return bytes.take(all.ok_or(DecodeError::Truncated)?).map(drop);
    }
    for _ in 0..count {
        let before = bytes.rest().len();
        skip(ty, bytes, empty)?;
        if bytes.rest().len() == before {
            *empty = empty.checked_sub(1).ok_or(DecodeError::TooMany)?;
        }
    }
    Ok(())
}

/// The size of a scalar.
const fn fixed(ty: &OwnedType) -> Option<usize> {
    Some(match ty {
        OwnedType::U8 | OwnedType::I8 | OwnedType::Bool => 1,
        OwnedType::U16 | OwnedType::I16 => 2,
        OwnedType::U32 | OwnedType::I32 | OwnedType::F32 | OwnedType::Char => 4,
        OwnedType::U64 | OwnedType::I64 | OwnedType::F64 => 8,
        OwnedType::U128 | OwnedType::I128 => 16,
        OwnedType::Duration => 12,
        OwnedType::Decimal => 20,
        OwnedType::Unit => 0,
        _ => return None,
    })
}

/// Takes a `bool` off the front of `bytes`.
pub(crate) fn boolean(bytes: &mut Cursor<'_>) -> Result<bool, DecodeError> {
    match bytes.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Unknown),
    }
}
