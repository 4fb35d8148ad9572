//! Decimal digits and short texts, straight into a line.
//!
//! Eight digits are made at a time, by multiplications over all of them at once and without a loop, and stand in one
//! word that is stored whole; so are texts of a few bytes. A call to copy three bytes costs more than they do.

/// `0` in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const E4: u64 = 10_000;
const E8: u64 = 100_000_000;
const E16: u64 = E8 * E8;

/// The eight decimal digits of a number below 10^8, the first in the lowest byte, as numbers.
#[inline(always)]
const fn eight(number: u64) -> u64 {
    let halves = (number / E4) | ((number % E4) << 32);
    // 10,486 / 2^20 is just above 1/100, 103 / 2^10 just above 1/10: exact for so few digits.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((halves - 100 * hundreds) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - 10 * tens) << 8)
}

/// Appends the first `bytes` of a word.
#[inline(always)]
fn push_word(word: u64, bytes: usize, out: &mut Vec<u8>) {
    let end = out.len() + bytes;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

/// How many digits a number below 10^8 has; 0 has one.
#[inline(always)]
fn digits_of(number: u64) -> usize {
    const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let number = number | 1;
    // 1,233 / 4,096 is just above the logarithm of 2.
    let guess = ((64 - number.leading_zeros() as usize) * 1_233) >> 12;
    guess + usize::from(POWERS.get(guess).is_some_and(|power| number >= *power))
}

/// Appends a number below 10^8 without leading zeros.
#[inline(always)]
fn push_below_e8(number: u64, out: &mut Vec<u8>) {
    // Counted apart, and not by the digits: what is put behind need not wait for them.
    let digits = digits_of(number);
    push_word((eight(number) | ZEROS) >> ((8 * (8 - digits)) & 63), digits, out);
}

/// Appends a number below 10^8 in eight digits.
#[inline(always)]
fn push_eight(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(eight(number) | ZEROS).to_le_bytes());
}

/// Appends a number.
#[inline(always)]
pub(super) fn push_u64(number: u64, out: &mut Vec<u8>) {
    if number < E8 { push_below_e8(number, out) } else { push_large(number, out) }
}

#[inline(never)]
fn push_large(number: u64, out: &mut Vec<u8>) {
    if number < E16 {
        push_below_e8(number / E8, out);
    } else {
        push_below_e8(number / E16, out);
        push_eight(number / E8 % E8, out);
    }
    push_eight(number % E8, out);
}

/// Appends a number.
#[inline]
pub(super) fn push_i64(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    push_u64(number.unsigned_abs(), out);
}

/// Appends the last `digits` digits of a number below 10^8, at most eight.
#[inline]
pub(super) fn push_last(number: u64, digits: usize, out: &mut Vec<u8>) {
    let digits = digits.min(8);
    if digits > 0 {
        push_word((eight(number) | ZEROS) >> (8 * (8 - digits)), digits, out);
    }
}

/// The nine digits of a number below 10^9.
#[inline(always)]
pub(super) fn nine(number: u32) -> [u8; 9] {
    let number = u64::from(number);
    let [b, c, d, e, f, g, h, i] = (eight(number % E8) | ZEROS).to_le_bytes();
    [b'0' + (number / E8) as u8, b, c, d, e, f, g, h, i]
}

/// A text that is appended often: one of at most 32 bytes by two stores, whatever its length.
#[derive(Clone, Debug)]
pub(super) struct Short {
    first: [u8; 32],
    bytes: usize,
    /// A longer one, all of it.
    long: Box<[u8]>,
}

impl Short {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut first = [0; 32];
        let fits = first.get_mut(..text.len()).map(|place| place.copy_from_slice(text)).is_some();
        Self { first, bytes: text.len(), long: if fits { Box::default() } else { text.into() } }
    }

    #[inline(always)]
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        if self.bytes > 32 {
            return out.extend_from_slice(&self.long);
        }
        let end = out.len() + self.bytes;
        out.extend_from_slice(&self.first);
        out.truncate(end);
    }
}

/// Appends a text of any length; one of at most 32 bytes without a call.
#[inline(always)]
pub(super) fn push_bytes(text: &[u8], out: &mut Vec<u8>) {
    let (bytes, end) = (text.len(), out.len() + text.len());
    if bytes > 32 {
        return out.extend_from_slice(text);
    }
    // First and last bytes overlap, and are the same where they do.
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        out.extend_from_slice(first);
        let rest = u128::from_le_bytes(*last).checked_shr(8 * (32 - bytes) as u32).unwrap_or(0);
        out.extend_from_slice(&rest.to_le_bytes());
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let word = u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (bytes - 8));
        out.extend_from_slice(&word.to_le_bytes());
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let word = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (bytes - 4));
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        for byte in text {
            out.push(*byte);
        }
    }
    out.truncate(end);
}

/// Whether two texts are the same; short ones are compared without a call.
#[inline(always)]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.len() > 32 {
        return one == other;
    }
    if let (Some(a), Some(b), Some(c), Some(d)) =
        (one.first_chunk::<16>(), one.last_chunk::<16>(), other.first_chunk::<16>(), other.last_chunk::<16>())
    {
        let (first, last) =
            (u128::from_le_bytes(*a) ^ u128::from_le_bytes(*c), u128::from_le_bytes(*b) ^ u128::from_le_bytes(*d));
        return first | last == 0;
    }
    match (one.first_chunk::<8>(), one.last_chunk::<8>(), other.first_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(a), Some(b), Some(c), Some(d)) => {
            (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*c)) | (u64::from_le_bytes(*b) ^ u64::from_le_bytes(*d)) == 0
        }
        _ => match (one.first_chunk::<4>(), one.last_chunk::<4>(), other.first_chunk::<4>(), other.last_chunk::<4>()) {
            (Some(a), Some(b), Some(c), Some(d)) => {
                (u32::from_le_bytes(*a) ^ u32::from_le_bytes(*c)) | (u32::from_le_bytes(*b) ^ u32::from_le_bytes(*d))
                    == 0
            }
            _ => one.iter().zip(other).all(|(a, b)| a == b),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"x".to_vec();
        push(&mut out);
        String::from_utf8(out).unwrap().split_off(1)
    }

    #[test]
    fn numbers_around_every_power_of_ten() {
        for power in (0..20).map(|digits| 10_u64.pow(digits)).chain([u64::MAX, 0]) {
            for number in [power.wrapping_sub(1), power, power.wrapping_add(1)] {
                assert_eq!(text(|out| push_u64(number, out)), number.to_string());
            }
        }
        for number in [i64::MIN, i64::MAX, -1, 0, -10] {
            assert_eq!(text(|out| push_i64(number, out)), number.to_string());
        }
        assert_eq!(nine(7), *b"000000007");
        assert_eq!(nine(999_999_999), *b"999999999");
    }

    proptest! {
        #[test]
        fn numbers_are_std_s(number: u64, shift in 0_u32..64, nanos in 0_u32..1_000_000_000) {
            let number = number >> shift;
            prop_assert_eq!(text(|out| push_u64(number, out)), number.to_string());
            prop_assert_eq!(text(|out| push_i64(number as i64, out)), (number as i64).to_string());
            prop_assert_eq!(nine(nanos).to_vec(), format!("{nanos:09}").into_bytes());
            let last = number % E8;
            for digits in 0..=8 {
                prop_assert_eq!(text(|out| push_last(last, digits, out)), &format!("{last:08}")[8 - digits..]);
            }
        }

        #[test]
        fn texts_are_copied_and_compared(bytes in prop::collection::vec(any::<u8>(), 0..50), at: prop::sample::Index) {
            let mut out = b"before".to_vec();
            push_bytes(&bytes, &mut out);
            prop_assert_eq!(&out, &[b"before", bytes.as_slice()].concat());
            out.truncate(6);
            Short::of(&bytes).push(&mut out);
            prop_assert_eq!(out, [b"before", bytes.as_slice()].concat());
            prop_assert!(is_same(&bytes, &bytes.clone()));
            if !bytes.is_empty() {
                let mut other = bytes.clone();
                other[at.index(bytes.len())] ^= 1;
                prop_assert!(!is_same(&bytes, &other));
                prop_assert!(!is_same(&bytes, &bytes[1..]));
            }
        }
    }
}
