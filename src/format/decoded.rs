//! Values within a payload: to render, or to walk one level at a time (JSON, comparisons).

use super::number::Decimal;
use super::output::Output;
use super::padding::Flags;
use super::render;
use crate::record::bytes::{Cursor, DecodeError};
use crate::record::skip::{boolean, skip};
use crate::record::types::{OwnedShape, OwnedType};
use crate::value::{CUT, EMPTY_ELEMENTS_MAX};
use core::time::Duration;

/// A value in a payload: its type and exactly its bytes.
#[derive(Clone, Copy, Debug)]
pub struct ValueRef<'a> {
    ty: &'a OwnedType,
    bytes: &'a [u8],
}

/// What a value is, one level deep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Decoded<'a> {
    /// An unsigned integer of at most 64 bits.
    U64(u64),
    /// A signed integer of at most 64 bits.
    I64(i64),
    /// `u128`
    U128(u128),
    /// `i128`
    I128(i128),
    /// `f32`
    F32(f32),
    /// `f64`
    F64(f64),
    /// `bool`
    Bool(bool),
    /// `char`
    Char(char),
    /// A string.
    Str(Text<'a>),
    /// Text that the call site formatted.
    Formatted(Text<'a>),
    /// `()`
    Unit,
    /// A duration.
    Duration(Duration),
    /// A decimal number.
    Decimal(Decimal),
    /// `None`
    None,
    /// `Some`
    Some(ValueRef<'a>),
    /// `Ok`
    Ok(ValueRef<'a>),
    /// `Err`
    Err(ValueRef<'a>),
    /// A slice, vector or array; whether elements were cut off.
    List(Items<'a>, bool),
    /// A tuple.
    Tuple(Items<'a>),
    /// A struct: its name and fields.
    Struct(&'a str, Items<'a>),
    /// The variant of an enum: its name and fields.
    Variant(&'a str, Items<'a>),
}

/// A text, and whether its end was cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text<'a> {
    /// What there is of it.
    pub text: &'a str,
    /// Whether the record had no room for more.
    pub cut: bool,
}

impl<'a> ValueRef<'a> {
    /// Takes a value off the front of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes end within it, or it has more elements without bytes than the limit.
    pub(crate) fn take(ty: &'a OwnedType, bytes: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let whole = *bytes;
        skip(ty, bytes, &mut { EMPTY_ELEMENTS_MAX })?;
        let len = whole.rest().len() - bytes.rest().len();
        Ok(Self { ty, bytes: { whole }.take(len)? })
    }

    /// The type.
    pub const fn ty(&self) -> &'a OwnedType {
        self.ty
    }

    /// What the value is.
    ///
    /// # Errors
    ///
    /// If its bytes say nothing that the type can be.
    pub fn decode(&self) -> Result<Decoded<'a>, DecodeError> {
        let bytes = &mut Cursor::new(self.bytes);
        Ok(match self.ty {
            OwnedType::U8 => Decoded::U64(bytes.u8()?.into()),
            OwnedType::U16 => Decoded::U64(bytes.u16()?.into()),
            OwnedType::U32 => Decoded::U64(bytes.u32()?.into()),
            OwnedType::U64 => Decoded::U64(bytes.u64()?),
            OwnedType::U128 => Decoded::U128(bytes.u128()?),
            OwnedType::I8 => Decoded::I64(bytes.i8()?.into()),
            OwnedType::I16 => Decoded::I64(bytes.i16()?.into()),
            OwnedType::I32 => Decoded::I64(bytes.i32()?.into()),
            OwnedType::I64 => Decoded::I64(bytes.i64()?),
            OwnedType::I128 => Decoded::I128(bytes.i128()?),
            OwnedType::F32 => Decoded::F32(bytes.f32()?),
            OwnedType::F64 => Decoded::F64(bytes.f64()?),
            OwnedType::Bool => Decoded::Bool(boolean(bytes)?),
            OwnedType::Char => Decoded::Char(render::character(bytes)?),
            OwnedType::Str => Decoded::Str(text(bytes)?),
            OwnedType::Formatted => Decoded::Formatted(text(bytes)?),
            OwnedType::Unit => Decoded::Unit,
            OwnedType::Duration => Decoded::Duration(render::duration(bytes)?),
            OwnedType::Decimal => Decoded::Decimal(Decimal::take(bytes)?),
            OwnedType::Option(inner) => match boolean(bytes)? {
                false => Decoded::None,
                true => Decoded::Some(Self { ty: inner, bytes: bytes.rest() }),
            },
            OwnedType::Result(ok, err) => match boolean(bytes)? {
                false => Decoded::Ok(Self { ty: ok, bytes: bytes.rest() }),
                true => Decoded::Err(Self { ty: err, bytes: bytes.rest() }),
            },
            OwnedType::Seq(inner) => {
                let count = bytes.u32()?;
                Decoded::List(Items::repeated(inner, u64::from(count & !CUT), *bytes), count & CUT != 0)
            }
            OwnedType::Array(inner, len) => Decoded::List(Items::repeated(inner, *len, *bytes), false),
            OwnedType::Tuple(types) => Decoded::Tuple(Items { kind: Kind::Tuple(types), bytes: *bytes }),
            OwnedType::Struct(name, shape) => Decoded::Struct(name, Items::of(shape, *bytes)),
            OwnedType::Enum(_, variants) => {
                let index = bytes.u32()?;
                let (name, shape) = variants.get(index as usize).ok_or(DecodeError::Unknown)?;
                Decoded::Variant(name, Items::of(shape, *bytes))
            }
        })
    }

    /// Appends the value as `{:?}` would show it, or, if `debug` is not asked for and the type has it, as `{}` would.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode); what was rendered before stays.
    pub fn render(&self, debug: bool, out: &mut String) -> Result<(), DecodeError> {
        let flags = if debug || !has_display(self.ty) { &Flags::DEBUG } else { &Flags::DISPLAY };
        render::value(&mut Output::new(out), flags, self.ty, &mut Cursor::new(self.bytes))
    }
}

fn text<'a>(bytes: &mut Cursor<'a>) -> Result<Text<'a>, DecodeError> {
    let (text, cut) = render::text(bytes)?;
    Ok(Text { text, cut })
}

const fn has_display(ty: &OwnedType) -> bool {
    use OwnedType::{Array, Duration, Enum, Option, Result, Seq, Struct, Tuple, Unit};
    !matches!(ty, Unit | Duration | Option(_) | Result(..) | Seq(_) | Array(..) | Tuple(_) | Struct(..) | Enum(..))
}

/// The elements of a list or the fields of a struct, with their names if they have any.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    kind: Kind<'a>,
    bytes: Cursor<'a>,
}

#[derive(Clone, Debug)]
enum Kind<'a> {
    Repeated(&'a OwnedType, u64),
    Tuple(&'a [OwnedType]),
    Named(&'a [(String, OwnedType)]),
}

impl<'a> Items<'a> {
    const fn repeated(ty: &'a OwnedType, count: u64, bytes: Cursor<'a>) -> Self {
        Self { kind: Kind::Repeated(ty, count), bytes }
    }

    fn of(shape: &'a OwnedShape, bytes: Cursor<'a>) -> Self {
        let kind = match shape {
            OwnedShape::Unit => Kind::Tuple(&[]),
            OwnedShape::Tuple(types) => Kind::Tuple(types),
            OwnedShape::Named(fields) => Kind::Named(fields),
        };
        Self { kind, bytes }
    }

    /// Whether there are no more.
    pub const fn is_empty(&self) -> bool {
        match self.kind {
            Kind::Repeated(_, count) => count == 0,
            Kind::Tuple(types) => types.is_empty(),
            Kind::Named(fields) => fields.is_empty(),
        }
    }

    /// Whether they have names.
    pub const fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Named(_))
    }

    fn end(&mut self) {
        self.kind = Kind::Tuple(&[]);
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(Option<&'a str>, ValueRef<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (name, ty) = match &mut self.kind {
            Kind::Repeated(ty, count) => {
                *count = count.checked_sub(1)?;
                (None, *ty)
            }
            Kind::Tuple(types) => {
                let (ty, rest) = types.split_first()?;
                *types = rest;
                (None, ty)
            }
            Kind::Named(fields) => {
                let ((name, ty), rest) = fields.split_first()?;
                *fields = rest;
                (Some(name.as_str()), ty)
            }
        };
        let value = ValueRef::take(ty, &mut self.bytes);
        if value.is_err() {
            self.end();
        }
        Some(value.map(|value| (name, value)))
    }
}
