//! Floats. The digits are std's: where they are found in another way, it is a faster one to the same digits.

use super::digits::{push_bytes, push_i64, push_last, push_u64};
use super::number::sign;
use super::output::Output;
use super::padding::{Flags, pad_number};
use super::spec::Trait;
use super::text::Text;
use core::fmt::{self, Write};

/// What `f32` and `f64` have in common here.
pub(super) trait Float:
    fmt::Display + fmt::Debug + fmt::LowerExp + fmt::UpperExp + Copy + Into<f64> + zmij::Float
{
    /// Decimals of so many digits all differ as floats. Only beyond them can a float lie halfway between its two
    /// shortest decimals, of which std takes the greater and `zmij` the even one.
    const DIGITS: usize;
    /// All whole numbers below this one are floats of the type, and none of them has a shorter neighbour.
    const WHOLE: u64 = 1 << Self::MANTISSA_BITS;
    /// Bits of the mantissa.
    const MANTISSA_BITS: u32;
}

impl Float for f32 {
    const DIGITS: usize = Self::DIGITS as usize;
    const MANTISSA_BITS: u32 = Self::MANTISSA_DIGITS;
}

impl Float for f64 {
    const DIGITS: usize = Self::DIGITS as usize;
    const MANTISSA_BITS: u32 = Self::MANTISSA_DIGITS;
}

/// Renders a float; sign and padding stand around its digits.
pub(super) fn float<F: Float>(out: &mut Output<'_>, flags: &Flags, value: F) {
    let wide: f64 = value.into();
    let negative = wide.is_sign_negative() && !wide.is_nan();
    let sign = sign(negative, &Flags { plus: flags.plus && !wide.is_nan(), ..*flags });
    let decimal = !matches!(flags.kind, Trait::LowerExp | Trait::UpperExp);
    if decimal && wide.is_finite() {
        if let Some(precision) = flags.precision {
            if let Some(text) = fixed(wide.abs(), precision) {
                return pad_number(out, flags, sign, "", text.as_str());
            }
        } else if let Some(digits) = shortest(value, flags.kind == Trait::Display, &mut zmij::Buffer::new()) {
            return pad_number(out, flags, sign, "", digits);
        }
    }
    let text = Text::of(|text| match (flags.precision, flags.kind) {
        (None, Trait::LowerExp) => write!(text, "{value:e}"),
        (None, Trait::UpperExp) => write!(text, "{value:E}"),
        (None, Trait::Debug | Trait::DebugLowerHex | Trait::DebugUpperHex) => write!(text, "{value:?}"),
        (None, _) => write!(text, "{value}"),
        (Some(precision), Trait::LowerExp) => write!(text, "{value:.precision$e}"),
        (Some(precision), Trait::UpperExp) => write!(text, "{value:.precision$E}"),
        (Some(precision), _) => write!(text, "{value:.precision$}"),
    });
    let digits = text.as_str();
    pad_number(out, flags, sign, "", digits.strip_prefix('-').unwrap_or(digits));
}

/// The digits of a finite float, without its sign, as `Display` or `Debug` shows them; `None` where std has to be asked.
#[inline]
fn shortest<F: Float>(value: F, display: bool, buffer: &mut zmij::Buffer) -> Option<&str> {
    let wide: f64 = value.into();
    let digits = buffer.format_finite(value);
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    // `Display` never has an exponent, and `Debug` has one earlier.
    let plain =
        (1e-4..1e15).contains(&wide.abs()) || (!digits.contains('e') && (display || wide == 0.0 || wide.abs() >= 1e-4));
    if !plain || (digits.len() > <F as Float>::DIGITS && may_be_halfway(wide)) {
        return None;
    }
    let whole = if display { digits.strip_suffix(".0") } else { None };
    Some(whole.unwrap_or(digits))
}

/// Bits behind the point beyond which a float lies halfway between no two decimals that are as short as its own: with so
/// many bits it has more than 18 digits in all, the last of them a 5 that no shorter decimal ends in.
const HALFWAY_BITS_MAX: i32 = 26;

/// Whether a finite float may lie halfway between its two shortest decimals. Nearly none does.
fn may_be_halfway(value: f64) -> bool {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
    // Subnormal ones have even more bits.
    let mantissa = fraction | u64::from(exponent > 0) << 52;
    1075 - exponent.max(1) - mantissa.trailing_zeros() as i32 <= HALFWAY_BITS_MAX
}

/// Appends a float as `{}` shows it.
#[inline]
pub(super) fn push_float<F: Float>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    let whole = wide as i64;
    if whole as f64 == wide && whole.unsigned_abs() < F::WHOLE && (whole != 0 || wide.is_sign_positive()) {
        return push_i64(whole, out);
    }
    if wide.is_finite()
        && let Some(digits) = shortest(value, true, &mut zmij::Buffer::new())
    {
        if wide.is_sign_negative() {
            out.push(b'-');
        }
        return push_bytes(digits.as_bytes(), out);
    }
    push_general(value, Flags::DISPLAY, out);
}

/// Appends a float as `{:.N}` shows it.
#[inline]
pub(super) fn push_fixed<F: Float>(value: F, precision: usize, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    let power = 10_u64.pow(precision.min(8) as u32);
    match scaled(wide.abs(), power).and_then(|scaled| u64::try_from(scaled).ok()) {
        Some(scaled) if wide.is_finite() && precision <= 8 => {
            if wide.is_sign_negative() {
                out.push(b'-');
            }
            push_u64(scaled / power, out);
            if precision > 0 {
                out.push(b'.');
                push_last(scaled % power, precision, out);
            }
        }
        _ => push_general(value, Flags { precision: Some(precision), ..Flags::DISPLAY }, out),
    }
}

#[cold]
fn push_general<F: Float>(value: F, flags: Flags, out: &mut Vec<u8>) {
    let mut text = String::new();
    float(&mut Output::new(&mut text), &flags, value);
    out.extend_from_slice(text.as_bytes());
}

/// Digits behind the point up to which [`fixed`] answers: a mantissa of 53 bits times `10^17` fits 128 bits.
const FIXED_PRECISION_MAX: usize = 17;

/// `value` times `power`, rounded, ties to even as std has them; `None` for values so small or large that 128 bits do not
/// hold them exactly.
///
/// A float is `mantissa / 2^down`. So `mantissa * power` is shifted down, and what is shifted out says how to round.
#[inline]
fn scaled(value: f64, power: u64) -> Option<u128> {
    if value == 0.0 {
        return Some(0);
    }
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
    let down = u32::try_from(1075 - exponent).ok().filter(|down| *down < 128 && exponent > 0)?;
    let product = u128::from(fraction | 1 << 52) * u128::from(power);
    let (quotient, rest, half) = (product >> down, product & ((1 << down) - 1), (1_u128 << down) >> 1);
    Some(quotient + u128::from(rest > half || (rest == half && half > 0 && quotient & 1 == 1)))
}

/// `value` with `precision` digits behind the point; `None` where [`scaled`] has none, and for many digits.
fn fixed(value: f64, precision: usize) -> Option<Text> {
    let power = 10_u64.pow(u32::try_from(precision).ok().filter(|_| precision <= FIXED_PRECISION_MAX)?);
    let scaled = scaled(value, power)?;
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(scaled) {
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(scaled),
    };
    Some(Text::of(|text| {
        if precision == 0 {
            return text.write_str(digits);
        }
        if let Some((whole, rest)) = digits.len().checked_sub(precision).and_then(|at| digits.split_at_checked(at)) {
            text.write_str(if whole.is_empty() { "0" } else { whole })?;
            text.write_str(".")?;
            return text.write_str(rest);
        }
        text.write_str("0.")?;
        for _ in digits.len()..precision {
            text.write_str("0")?;
        }
        text.write_str(digits)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered<F: Float>(value: F, kind: Trait, precision: Option<usize>) -> String {
        let mut text = String::new();
        float(&mut Output::new(&mut text), &Flags { kind, precision, ..Flags::DISPLAY }, value);
        text
    }

    fn assert_std<F: Float>(value: F, precision: usize) {
        assert_eq!(rendered(value, Trait::Display, None), format!("{value}"));
        assert_eq!(rendered(value, Trait::Debug, None), format!("{value:?}"));
        assert_eq!(rendered(value, Trait::Display, Some(precision)), format!("{value:.precision$}"));
        let mut pushed = Vec::new();
        push_float(value, &mut pushed);
        assert_eq!(String::from_utf8_lossy(&pushed), format!("{value}"));
        pushed.clear();
        push_fixed(value, precision, &mut pushed);
        assert_eq!(String::from_utf8_lossy(&pushed), format!("{value:.precision$}"));
    }

    #[test]
    #[allow(clippy::excessive_precision, reason = "the digits show what lies halfway")]
    fn a_float_halfway_between_its_shortest_decimals_is_std_s() {
        // The exact value has one digit more than the shortest decimals, and that is a 5.
        for value in [9007199254740993.0 + 0.5, 4503599627370497.5, 562949953421312.125, 1125899906842624.125, 5e-324] {
            assert_std::<f64>(value, 3);
            assert_std::<f64>(-value, 3);
        }
        for (value, halfway) in [(0.5, true), (0.1, false), (0.1 + 0.2, false), (f64::MIN_POSITIVE, false)] {
            assert_eq!(may_be_halfway(value), halfway, "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN_POSITIVE] {
            assert_std(value, 2);
            assert_std(value as f32, 2);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        /// Floats of every magnitude, powers of two, decimal prices, and halves, which are ties.
        #[test]
        fn digits_are_std_s(bits: u64, scale in -70_i32..70, units: i32, places in 0_i32..12, precision in 0_usize..25) {
            let near_one = f64::from_bits(bits >> 12 | 1023 << 52);
            let price = f64::from(units) / 10_f64.powi(places);
            let half = f64::from(units) + 0.5;
            // As many digits as a float can be halfway with.
            let eighth = (f64::from(units).abs() + 4_398_046_511_104.0 * f64::from(scale.abs())) + (bits % 1024) as f64 / 1024.0;
            let powers = 2_f64.powi(scale);
            for value in [f64::from_bits(bits), near_one * powers, powers, price, half / 1024.0, half, eighth] {
                assert_std(value, precision);
                assert_std(value as f32, precision);
            }
        }
    }
}
