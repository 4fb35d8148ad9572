//! Floating-point numbers that are decimal ones in truth, as prices and quantities are, as integers and a power of ten.
//!
//! `105433.6` has 52 bits that look random, and is `1054336 / 10`. The division gives the same bits on every machine, as IEEE 754
//! says. What is not such a number stands beside the column, bit for bit. (The idea is that of ALP, by Afroozeh, Kuffó and
//! Boncz, 2023.)
//!
//! ```text
//! floats := 255 │ column                                             as bits
//!         │ digits behind the point, 1 │ column │ count │ ( index │ bits, 8 ) …     as integers, zigzag; and those that are none
//! ```

use super::body::Body;
use super::{column, varint};

/// No power of ten.
const BITS: u8 = 255;
/// Powers that are tried: each is exact.
const POWERS: [f64; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
/// Integers are below this: all of them are exact as floats.
const INTEGER_MAX: f64 = (1_u64 << 53) as f64;
/// Values that are looked at to choose the power.
const SAMPLE: usize = 64;
/// One of so many may be no decimal number of the chosen power.
const STRAY_PART: usize = 16;

/// The integer, if the number is exactly that over the power of ten.
fn integer(bits: u64, power: f64) -> Option<i64> {
    let number = f64::from_bits(bits);
    let scaled = (number * power).round();
    if scaled.abs() < INTEGER_MAX && back(scaled as i64, power) == bits { Some(scaled as i64) } else { None }
}

fn back(integer: i64, power: f64) -> u64 {
    (integer as f64 / power).to_bits()
}

/// The least power by which nearly all of a sample are integers.
fn choose(values: &[u64]) -> Option<(u8, f64)> {
    let sample = || values.iter().step_by((values.len() / SAMPLE).max(1));
    let count = sample().count();
    let fit = |power: f64| sample().filter(|bits| integer(**bits, power).is_some()).count();
    let good = |power: &f64| fit(*power) + count / STRAY_PART >= count;
    POWERS.iter().enumerate().find(|(_, power)| good(power)).map(|(digits, power)| (digits as u8, *power))
}

/// Appends a column of floats, given as bits. `values` are used up.
pub(super) fn put(out: &mut Body, values: &mut [u64]) {
    let mut stray = Vec::new();
    if let Some((digits, power)) = choose(values) {
        let mut integers = Vec::with_capacity(values.len());
        let mut last = 0;
        for (index, bits) in values.iter().enumerate() {
            match integer(*bits, power) {
                Some(integer) => last = varint::zigzag(integer.cast_unsigned()),
                // Takes the least room where the one before stands again.
                None => stray.push((index, *bits)),
            }
            integers.push(last);
        }
        if stray.len() <= values.len() / STRAY_PART {
            out.bytes.push(digits);
            column::put(out, &mut integers);
            varint::put(&mut out.bytes, stray.len() as u64);
            for (index, bits) in stray {
                varint::put(&mut out.bytes, index as u64);
                out.bytes.extend_from_slice(&bits.to_le_bytes());
            }
            return;
        }
    }
    out.bytes.push(BITS);
    column::put(out, values);
}

/// Takes a column of `count` floats off the front of `bytes` into `values`, as bits.
pub(super) fn take(bytes: &mut &[u8], count: usize, values: &mut Vec<u64>) -> Option<()> {
    let digits = *varint::take_bytes(bytes, 1)?.first()?;
    column::take(bytes, count, values)?;
    if digits == BITS {
        return Some(());
    }
    let power = *POWERS.get(usize::from(digits))?;
    for value in values.iter_mut() {
        *value = back(varint::unzigzag(*value).cast_signed(), power);
    }
    for _ in 0..varint::take_length(bytes, count)? {
        let index = varint::take_length(bytes, count)?;
        let bits = varint::take_bytes(bytes, 8)?.try_into().ok()?;
        *values.get_mut(index)? = u64::from_le_bytes(bits);
    }
    Some(())
}

/// Passes over a column of `count` floats.
pub(super) fn skip(bytes: &mut &[u8], count: usize) -> Option<()> {
    let digits = *varint::take_bytes(bytes, 1)?.first()?;
    column::skip(bytes, count)?;
    if digits == BITS {
        return Some(());
    }
    for _ in 0..varint::take_length(bytes, count)? {
        varint::take(bytes)?;
        varint::take_bytes(bytes, 8)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(values: &[f64]) -> usize {
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let mut out = Body::default();
        put(&mut out, &mut bits.clone());
        let out = out.bytes;
        let (mut rest, mut back) = (out.as_slice(), Vec::new());
        take(&mut rest, bits.len(), &mut back).unwrap();
        assert!(rest.is_empty() && back == bits);
        let mut rest = out.as_slice();
        assert!(skip(&mut rest, bits.len()).is_some() && rest.is_empty());
        out.len()
    }

    #[test]
    fn prices_are_small_and_what_is_none_is_kept() {
        let walk: Vec<f64> = (0..1000).map(|step| (1_054_336 + step * step % 97) as f64 / 10.0).collect();
        let bytes = bytes_of(&walk);
        assert!(bytes < 2100, "{bytes}");
        let mut odd = walk;
        for (index, value) in
            [f64::NAN, -0.0, f64::INFINITY, 1e300, 0.1 + 0.2, f64::MIN_POSITIVE].into_iter().enumerate()
        {
            odd[index * 100 + 3] = value;
        }
        let bytes = bytes_of(&odd);
        assert!(bytes < 2300, "{bytes}");
        let sines: Vec<f64> = (0..1000).map(|step| f64::from(step).sin()).collect();
        assert!(bytes_of(&sines) > 7000);
    }

    proptest! {
        #[test]
        fn any_floats_come_back(
            bits in prop::collection::vec(prop_oneof![any::<u64>(), (-9999_i64..9999).prop_map(|n| (n as f64 / 100.0).to_bits())], 1..300),
        ) {
            let floats: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
            bytes_of(&floats);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0..300_usize) {
            let _ = take(&mut bytes.as_slice(), count, &mut Vec::new());
        }
    }
}
