//! Floats. The digits are std's: where they are found in another way, it is a faster one to the same digits.

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
}

impl Float for f32 {
    const DIGITS: usize = Self::DIGITS as usize;
}

impl Float for f64 {
    const DIGITS: usize = Self::DIGITS as usize;
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
        } else {
            let mut buffer = zmij::Buffer::new();
            let digits = buffer.format_finite(value);
            let digits = digits.strip_prefix('-').unwrap_or(digits);
            // `Display` never has an exponent, and `Debug` has one earlier.
            let display = flags.kind == Trait::Display;
            let plain = !digits.contains('e') && (display || wide == 0.0 || wide.abs() >= 1e-4);
            if digits.len() <= <F as Float>::DIGITS && plain {
                let whole = if display { digits.strip_suffix(".0") } else { None };
                return pad_number(out, flags, sign, "", whole.unwrap_or(digits));
            }
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

/// Digits behind the point up to which [`fixed`] answers: a mantissa of 53 bits times `10^17` fits 128 bits.
const FIXED_PRECISION_MAX: usize = 17;

/// `value` with `precision` digits behind the point, ties to even as std has them; `None` for values so small or large
/// that 128 bits do not hold them exactly, and for many digits.
///
/// A float is `mantissa / 2^down`. So `mantissa * 10^precision` is shifted down, and what is shifted out says how to
/// round.
fn fixed(value: f64, precision: usize) -> Option<Text> {
    let power = 10_u64.pow(u32::try_from(precision).ok().filter(|_| precision <= FIXED_PRECISION_MAX)?);
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
    let scaled = if value == 0.0 {
        0
    } else {
        let down = u32::try_from(1075 - exponent).ok().filter(|down| *down < 128 && exponent > 0)?;
        let product = u128::from(fraction | 1 << 52) * u128::from(power);
        let (quotient, rest, half) = (product >> down, product & ((1 << down) - 1), (1_u128 << down) >> 1);
        quotient + u128::from(rest > half || (rest == half && half > 0 && quotient & 1 == 1))
    };
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
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        /// Floats of every magnitude, powers of two, decimal prices, and halves, which are ties.
        #[test]
        fn digits_are_std_s(bits: u64, scale in -70_i32..70, units: i32, places in 0_i32..12, precision in 0_usize..25) {
            let near_one = f64::from_bits(bits >> 12 | 1023 << 52);
            let price = f64::from(units) / 10_f64.powi(places);
            let half = f64::from(units) + 0.5;
            let powers = 2_f64.powi(scale);
            for value in [f64::from_bits(bits), near_one * powers, powers, price, half / 1024.0, half] {
                assert_std(value, precision);
                assert_std(value as f32, precision);
            }
        }
    }
}
