//! A value of any type, as its trait renders it: `Debug` of what is nested as `derive(Debug)` and std's builders do it.

use super::CUT_MARK;
use super::float::float;
use super::number::{self, Decimal, Integer};
use super::output::Output;
use super::padding::{Flags, pad_text};
use super::spec::Trait;
use crate::record::bytes::{Cursor, DecodeError};
use crate::record::skip::boolean;
use crate::record::types::{OwnedShape, OwnedType};
use crate::value::{CUT, EMPTY_ELEMENTS_MAX};
use core::fmt::Write;
use core::time::Duration;

/// A string's bytes behind its count, and whether it was cut.
pub(super) fn text<'a>(bytes: &mut Cursor<'a>) -> Result<(&'a str, bool), DecodeError> {
    let count = bytes.u32()?;
    Ok((bytes.text((count & !CUT) as usize)?, count & CUT != 0))
}

pub(super) fn duration(bytes: &mut Cursor<'_>) -> Result<Duration, DecodeError> {
    let (seconds, nanos) = (bytes.u64()?, bytes.u32()?);
    if nanos < 1_000_000_000 { Ok(Duration::new(seconds, nanos)) } else { Err(DecodeError::Unknown) }
}

pub(super) fn character(bytes: &mut Cursor<'_>) -> Result<char, DecodeError> {
    char::from_u32(bytes.u32()?).ok_or(DecodeError::Unknown)
}

/// Elements without bytes that one rendering may visit; the others are bounded by the bytes.
pub(super) const EMPTY_VISITS_MAX: usize = EMPTY_ELEMENTS_MAX;

/// Renders a value and moves `bytes` behind it. Types nest no deeper than their definition allowed.
pub(super) fn value(
    out: &mut Output<'_>,
    flags: &Flags,
    ty: &OwnedType,
    bytes: &mut Cursor<'_>,
) -> Result<(), DecodeError> {
    Renderer { out, flags, empty: EMPTY_VISITS_MAX }.value(ty, bytes)
}

struct Renderer<'r, 'o> {
    out: &'r mut Output<'o>,
    flags: &'r Flags,
    /// How many more elements without bytes may be visited.
    empty: usize,
}

impl Renderer<'_, '_> {
    fn value(&mut self, ty: &OwnedType, bytes: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let flags = self.flags;
        match ty {
            OwnedType::U8 => self.integer(bytes.u8()?),
            OwnedType::U16 => self.integer(bytes.u16()?),
            OwnedType::U32 => self.integer(bytes.u32()?),
            OwnedType::U64 => self.integer(bytes.u64()?),
            OwnedType::U128 => self.integer(bytes.u128()?),
            OwnedType::I8 => self.integer(bytes.i8()?),
            OwnedType::I16 => self.integer(bytes.i16()?),
            OwnedType::I32 => self.integer(bytes.i32()?),
            OwnedType::I64 => self.integer(bytes.i64()?),
            OwnedType::I128 => self.integer(bytes.i128()?),
            OwnedType::F32 => float(self.out, flags, bytes.f32()?),
            OwnedType::F64 => float(self.out, flags, bytes.f64()?),
            OwnedType::Bool => pad_text(self.out, flags, if boolean(bytes)? { "true" } else { "false" }),
            OwnedType::Char => self.character(character(bytes)?),
            OwnedType::Str => self.string(text(bytes)?),
            OwnedType::Formatted => self.formatted(text(bytes)?),
            OwnedType::Unit => pad_text(self.out, flags, "()"),
            OwnedType::Duration => number::duration(self.out, flags, duration(bytes)?),
            OwnedType::Decimal => number::decimal(self.out, flags, Decimal::take(bytes)?),
            OwnedType::Option(inner) => match boolean(bytes)? {
                false => self.out.push_str("None"),
                true => self.wrapped("Some", inner, bytes)?,
            },
            OwnedType::Result(ok, err) => match boolean(bytes)? {
                false => self.wrapped("Ok", ok, bytes)?,
                true => self.wrapped("Err", err, bytes)?,
            },
            OwnedType::Seq(inner) => {
                let count = bytes.u32()?;
                self.list(inner, u64::from(count & !CUT), count & CUT != 0, bytes)?;
            }
            OwnedType::Array(inner, len) => self.list(inner, *len, false, bytes)?,
            OwnedType::Tuple(types) => self.tuple("", types.iter(), bytes)?,
            OwnedType::Struct(name, shape) => self.shape(name, shape, bytes)?,
            OwnedType::Enum(_, variants) => {
                let index = bytes.u32()?;
                let (name, shape) = variants.get(index as usize).ok_or(DecodeError::Unknown)?;
                self.shape(name, shape, bytes)?;
            }
        }
        Ok(())
    }

    fn debug(&self) -> bool {
        matches!(self.flags.kind, Trait::Debug | Trait::DebugLowerHex | Trait::DebugUpperHex)
    }

    fn integer(&mut self, value: impl Into<Integer>) {
        number::integer(self.out, self.flags, value.into());
    }

    fn character(&mut self, c: char) {
        if self.debug() {
            // Infallible, as the output is.
            let _ = write!(self.out, "{c:?}");
        } else {
            pad_text(self.out, self.flags, c.encode_utf8(&mut [0; 4]));
        }
    }

    fn string(&mut self, (text, cut): (&str, bool)) {
        if self.debug() {
            let _ = write!(self.out, "{text:?}");
        } else {
            pad_text(self.out, self.flags, text);
        }
        self.mark(cut);
    }

    fn formatted(&mut self, (text, cut): (&str, bool)) {
        self.out.push_str(text);
        self.mark(cut);
    }

    fn mark(&mut self, cut: bool) {
        if cut {
            self.out.push_str(CUT_MARK);
        }
    }

    fn shape(&mut self, name: &str, shape: &OwnedShape, bytes: &mut Cursor<'_>) -> Result<(), DecodeError> {
        match shape {
            OwnedShape::Unit => self.out.push_str(name),
            OwnedShape::Tuple(types) => self.tuple(name, types.iter(), bytes)?,
            OwnedShape::Named(fields) => {
                self.out.push_str(name);
                let mut list = Entries::open(self, if self.flags.alternate { " {" } else { " { " });
                for (field, ty) in fields {
                    list.next(self);
                    self.out.push_str(field);
                    self.out.push_str(": ");
                    self.value(ty, bytes)?;
                    list.end(self);
                }
                self.out.push_str(if self.flags.alternate { "}" } else { " }" });
            }
        }
        Ok(())
    }

    fn wrapped(&mut self, name: &str, ty: &OwnedType, bytes: &mut Cursor<'_>) -> Result<(), DecodeError> {
        self.tuple(name, core::iter::once(ty), bytes)
    }

    fn tuple<'t>(
        &mut self,
        name: &str,
        types: impl ExactSizeIterator<Item = &'t OwnedType>,
        bytes: &mut Cursor<'_>,
    ) -> Result<(), DecodeError> {
        // `(1,)` has a comma to be no mere parenthesis.
        let single = name.is_empty() && types.len() == 1 && !self.flags.alternate;
        self.out.push_str(name);
        if types.len() == 0 {
            return Ok(());
        }
        let mut list = Entries::open(self, "(");
        for ty in types {
            list.next(self);
            self.value(ty, bytes)?;
            list.end(self);
        }
        self.out.push_str(if single { ",)" } else { ")" });
        Ok(())
    }

    fn list(&mut self, ty: &OwnedType, count: u64, cut: bool, bytes: &mut Cursor<'_>) -> Result<(), DecodeError> {
        let mut list = Entries::open(self, "[");
        for _ in 0..count {
            let before = bytes.rest().len();
            list.next(self);
            self.value(ty, bytes)?;
            list.end(self);
            if bytes.rest().len() == before {
                self.empty = self.empty.checked_sub(1).ok_or(DecodeError::TooMany)?;
            }
        }
        if cut {
            list.next(self);
            self.out.push_str(CUT_MARK);
            list.end(self);
        }
        self.out.push_str("]");
        Ok(())
    }
}

/// The entries between brackets: behind commas on one line, or each on its own.
struct Entries {
    first: bool,
}

impl Entries {
    fn open(renderer: &mut Renderer<'_, '_>, bracket: &str) -> Self {
        renderer.out.push_str(bracket);
        Self { first: true }
    }

    fn next(&mut self, renderer: &mut Renderer<'_, '_>) {
        if renderer.flags.alternate {
            if self.first {
                renderer.out.push_str("\n");
            }
            renderer.out.indent();
        } else if !self.first {
            renderer.out.push_str(", ");
        }
        self.first = false;
    }

    fn end(&self, renderer: &mut Renderer<'_, '_>) {
        if renderer.flags.alternate {
            renderer.out.push_str(",\n");
            renderer.out.unindent();
        }
    }
}
