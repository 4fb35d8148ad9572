//! Numbers in as few bytes as they need: seven bits a byte, the least first; the top bit says that more follow.

/// The longest: 64 bits in sevens.
const BYTES_MAX: u32 = 10;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front of `bytes`; `None` where none stands there.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..BYTES_MAX {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The same as a length, within `max`.
pub(super) fn take_length(bytes: &mut &[u8], max: usize) -> Option<usize> {
    take(bytes).and_then(|number| usize::try_from(number).ok()).filter(|number| *number <= max)
}

/// Takes so many bytes off the front.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

/// Small numbers of either sign as small ones without.
pub(super) const fn zigzag(number: u64) -> u64 {
    number << 1 ^ (number.cast_signed() >> 63).cast_unsigned()
}

/// Back from [`zigzag`].
pub(super) const fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut out = Vec::new();
            numbers.iter().for_each(|number| put(&mut out, *number >> (number % 64)));
            let mut rest = out.as_slice();
            for number in &numbers {
                prop_assert_eq!(take(&mut rest), Some(number >> (number % 64)));
                prop_assert_eq!(unzigzag(zigzag(*number)), *number);
            }
            prop_assert_eq!(take(&mut rest), None);
        }
    }
}
