//! Integers and durations.

use super::output::Output;
use super::padding::{Flags, pad, pad_number};
use super::spec::Trait;
use super::text::Text;
use crate::record::bytes::{Cursor, DecodeError};
use crate::value::{NEGATIVE, SCALE_MAX};
use core::fmt::{self, Write};
use core::time::Duration;

/// An integer of any width: its magnitude and sign for decimal, its two's complement for the other bases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integer {
    pub(super) magnitude: u128,
    pub(super) negative: bool,
    pub(super) bits: u128,
}

macro_rules! from {
    ($($signed:ident $unsigned:ident)*) => {$(
        impl From<$unsigned> for Integer {
            fn from(value: $unsigned) -> Self {
                Self { magnitude: value as u128, negative: false, bits: value as u128 }
            }
        }

        impl From<$signed> for Integer {
            fn from(value: $signed) -> Self {
                Self { magnitude: value.unsigned_abs() as u128, negative: value < 0, bits: value as $unsigned as u128 }
            }
        }
    )*};
}

from! { i8 u8 i16 u16 i32 u32 i64 u64 i128 u128 }

/// A number in text on the stack: 128 binary digits at most.
struct Digits {
    bytes: [u8; 128],
    start: usize,
}

impl Digits {
    fn radix(mut bits: u128, shift: u32, upper: bool) -> Self {
        let mut digits = Self { bytes: [b'0'; 128], start: 128 };
        for place in digits.bytes.iter_mut().rev() {
            let digit = (bits & ((1 << shift) - 1)) as u8;
            *place = match digit {
                0..10 => b'0' + digit,
                _ if upper => b'A' + digit - 10,
                _ => b'a' + digit - 10,
            };
            digits.start -= 1;
            bits >>= shift;
            if bits == 0 {
                break;
            }
        }
        digits
    }

    fn as_str(&self) -> &str {
        self.bytes.get(self.start..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

pub(super) fn integer(out: &mut Output<'_>, flags: &Flags, value: Integer) {
    let radix = |out: &mut Output<'_>, shift, upper, prefix| {
        let prefix = if flags.alternate { prefix } else { "" };
        let sign = if flags.plus { "+" } else { "" };
        pad_number(out, flags, sign, prefix, Digits::radix(value.bits, shift, upper).as_str());
    };
    match flags.kind {
        Trait::LowerHex | Trait::DebugLowerHex => radix(out, 4, false, "0x"),
        Trait::UpperHex | Trait::DebugUpperHex => radix(out, 4, true, "0x"),
        Trait::Octal => radix(out, 3, false, "0o"),
        Trait::Binary => radix(out, 1, false, "0b"),
        Trait::LowerExp | Trait::UpperExp => exponent(out, flags, value),
        Trait::Display | Trait::Debug | Trait::Pointer => {
            let mut buffer = itoa::Buffer::new();
            let digits = match u64::try_from(value.magnitude) {
                Ok(small) => buffer.format(small),
                Err(_) => buffer.format(value.magnitude),
            };
            pad_number(out, flags, sign(value.negative, flags), "", digits);
        }
    }
}

/// What stands before a number.
pub(super) fn sign(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus) {
        (true, _) => "-",
        (false, true) => "+",
        (false, false) => "",
    }
}

fn exponent(out: &mut Output<'_>, flags: &Flags, value: Integer) {
    let upper = flags.kind == Trait::UpperExp;
    let text = Text::of(|text| match (flags.precision, upper) {
        (None, false) => write!(text, "{:e}", value.magnitude),
        (None, true) => write!(text, "{:E}", value.magnitude),
        (Some(precision), false) => write!(text, "{:.precision$e}", value.magnitude),
        (Some(precision), true) => write!(text, "{:.precision$E}", value.magnitude),
    });
    pad_number(out, flags, sign(value.negative, flags), "", text.as_str());
}

/// A decimal number: `digits` with the last `scale` of them behind the point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decimal {
    pub(super) digits: u128,
    pub(super) scale: u32,
    pub(super) negative: bool,
}

impl Decimal {
    pub(super) fn take(bytes: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let (digits, word) = (bytes.u128()?, bytes.u32()?);
        let (scale, negative) = (word & !NEGATIVE, word & NEGATIVE != 0);
        if scale > SCALE_MAX { Err(DecodeError::Unknown) } else { Ok(Self { digits, scale, negative }) }
    }
}

impl fmt::Display for Decimal {
    /// As `rust_decimal` does it: a precision cuts and does not round.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.digits);
        let scale = self.scale as usize;
        let whole = digits.len().saturating_sub(scale);
        let precision = f.precision().unwrap_or(scale);
        if self.negative {
            f.write_str("-")?;
        }
        f.write_str(digits.get(..whole).filter(|whole| !whole.is_empty()).unwrap_or("0"))?;
        if precision == 0 {
            return Ok(());
        }
        f.write_str(".")?;
        let leading = scale.saturating_sub(digits.len()).min(precision);
        let behind = digits.get(whole..).unwrap_or_default();
        let behind = behind.get(..precision - leading).unwrap_or(behind);
        for _ in 0..leading {
            f.write_str("0")?;
        }
        f.write_str(behind)?;
        for _ in leading + behind.len()..precision {
            f.write_str("0")?;
        }
        Ok(())
    }
}

pub(super) fn decimal(out: &mut Output<'_>, flags: &Flags, value: Decimal) {
    let text = Text::of(|text| {
        let positive = Decimal { negative: false, ..value };
        match flags.precision {
            None => write!(text, "{positive}"),
            Some(precision) => write!(text, "{positive:.precision$}"),
        }
    });
    pad_number(out, flags, sign(value.negative, flags), "", text.as_str());
}

/// A duration, for which std has the digits and the unit.
pub(super) fn duration(out: &mut Output<'_>, flags: &Flags, value: Duration) {
    let text = Text::of(|text| match (flags.precision, flags.plus) {
        (None, false) => write!(text, "{value:?}"),
        (None, true) => write!(text, "{value:+?}"),
        (Some(precision), false) => write!(text, "{value:.precision$?}"),
        (Some(precision), true) => write!(text, "{value:+.precision$?}"),
    });
    pad(out, flags, text.as_str());
}
