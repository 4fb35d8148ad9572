//! A column: the same field of many records, as integers, in the form in which deflate makes the least of it.
//!
//! ```text
//! column  := 0 │ value                                 all are equal
//!          │ 1 │ numbers                               as they are
//!          │ 2 │ first │ numbers                       as differences to the one before, zigzag
//!          │ 3 │ count │ value … │ index, 1 …          few distinct ones
//! numbers := least │ divisor │ width, 1 │ plane …      number = least + divisor · x; x in planes: all first bytes, all second …
//! ```
//!
//! Values, counts, `least` and `divisor` are [`varint`]s. Which form it is, is guessed from a sample, by the bits that the numbers
//! need. How many there are is known to the reader.

use super::body::Body;
use super::varint::{self, unzigzag, zigzag};
use std::collections::HashMap;

/// Forms.
const EQUAL: u8 = 0;
const PLAIN: u8 = 1;
const DIFFERENCES: u8 = 2;
const FEW: u8 = 3;

/// Values that are looked at to choose a form: so many stretches of so many.
const STRETCHES: usize = 4;
const STRETCH: usize = 64;
/// The most distinct values of the form that lists them.
const FEW_MAX: usize = 256;
/// Of the sample, at most this part may be distinct.
const FEW_PART: usize = 4;

/// Appends a column. `values` are used up.
pub(super) fn put(out: &mut Body, values: &mut [u64]) {
    let Some(first) = values.first().copied() else { return };
    if values.iter().all(|value| *value == first) {
        out.bytes.push(EQUAL);
        return varint::put(&mut out.bytes, first);
    }
    match choose(values) {
        FEW => {
            if put_few(out, values) {
                return;
            }
            out.bytes.push(PLAIN);
        }
        DIFFERENCES => {
            out.bytes.push(DIFFERENCES);
            varint::put(&mut out.bytes, first);
            let mut before = first;
            for value in values.iter_mut() {
                let difference = zigzag(value.wrapping_sub(before));
                before = std::mem::replace(value, difference);
            }
            return put_numbers(out, values.get_mut(1..).unwrap_or_default());
        }
        _ => out.bytes.push(PLAIN),
    }
    put_numbers(out, values);
}

/// The form that is likely to need the fewest bits.
fn choose(values: &[u64]) -> u8 {
    let step = (values.len() / STRETCHES).max(STRETCH);
    let stretches = || values.chunks(step).map(|part| part.get(..STRETCH).unwrap_or(part));
    let least = stretches().flatten().min().copied().unwrap_or(0);
    let bits = |value: u64| u64::from(64 - value.leading_zeros());
    let (mut plain, mut differences, mut count) = (0, 0, 0);
    for part in stretches() {
        let before = std::iter::once(part.first()).chain(part.iter().map(Some));
        for (value, before) in part.iter().zip(before.flatten()) {
            plain += bits(value - least);
            differences += bits(zigzag(value.wrapping_sub(*before)));
            count += 1;
        }
    }
    let mut sample: Vec<u64> = stretches().flatten().copied().collect();
    sample.sort_unstable();
    sample.dedup();
    if sample.len() <= (count / FEW_PART).max(2)
        && bits(sample.len() as u64 - 1) * (count as u64) < plain.min(differences)
    {
        FEW
    } else if differences < plain {
        DIFFERENCES
    } else {
        PLAIN
    }
}

/// As a list of distinct values and an index for each, if they are few enough.
fn put_few(out: &mut Body, values: &[u64]) -> bool {
    let mut places: HashMap<u64, u8> = HashMap::new();
    let (mut list, mut indices) = (Vec::new(), Vec::with_capacity(values.len()));
    let mut last = None;
    for value in values {
        let index = match last {
            Some((before, index)) if before == *value => index,
            _ => match places.get(value) {
                Some(index) => *index,
                None if list.len() == FEW_MAX => return false,
                None => {
                    let index = list.len() as u8;
                    places.insert(*value, index);
                    list.push(*value);
                    index
                }
            },
        };
        last = Some((*value, index));
        indices.push(index);
    }
    out.bytes.push(FEW);
    varint::put(&mut out.bytes, list.len() as u64);
    list.iter().for_each(|value| varint::put(&mut out.bytes, *value));
    out.part(indices);
    true
}

fn put_numbers(out: &mut Body, values: &mut [u64]) {
    let least = values.iter().min().copied().unwrap_or(0);
    let (mut divisor, mut all) = (0, 0);
    for value in values.iter_mut() {
        *value -= least;
        all |= *value;
        if divisor != 1 && *value != 0 {
            divisor = common(*value, divisor);
        }
    }
    let divisor = divisor.max(1);
    if divisor > 1 {
        all = 0;
        for value in values.iter_mut() {
            *value /= divisor;
            all |= *value;
        }
    }
    let width = (64 - all.leading_zeros()).div_ceil(8);
    varint::put(&mut out.bytes, least);
    varint::put(&mut out.bytes, divisor);
    out.bytes.push(width as u8);
    for plane in 0..width {
        out.part(values.iter().map(|value| (value >> (8 * plane)) as u8));
    }
}

/// The greatest common divisor; that of a number and 0 is the number.
fn common(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Takes a column of `count` values off the front of `bytes` into `values`, which is emptied first.
pub(super) fn take(bytes: &mut &[u8], count: usize, values: &mut Vec<u64>) -> Option<()> {
    values.clear();
    if count == 0 {
        return Some(());
    }
    match *varint::take_bytes(bytes, 1)?.first()? {
        EQUAL => {
            let value = varint::take(bytes)?;
            values.resize(count, value);
        }
        PLAIN => take_numbers(bytes, count, values)?,
        DIFFERENCES => {
            let mut value = varint::take(bytes)?;
            values.push(value);
            take_numbers(bytes, count - 1, values)?;
            for difference in values.get_mut(1..)? {
                value = value.wrapping_add(unzigzag(*difference));
                *difference = value;
            }
        }
        FEW => {
            let length = varint::take_length(bytes, FEW_MAX)?;
            let list: Vec<u64> = (0..length).map(|_| varint::take(bytes)).collect::<Option<_>>()?;
            for index in varint::take_bytes(bytes, count)? {
                values.push(*list.get(usize::from(*index))?);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Passes over a column of `count` values.
pub(super) fn skip(bytes: &mut &[u8], count: usize) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    match *varint::take_bytes(bytes, 1)?.first()? {
        EQUAL => _ = varint::take(bytes)?,
        PLAIN => skip_numbers(bytes, count)?,
        DIFFERENCES => {
            varint::take(bytes)?;
            skip_numbers(bytes, count - 1)?;
        }
        FEW => {
            for _ in 0..varint::take_length(bytes, FEW_MAX)? {
                varint::take(bytes)?;
            }
            varint::take_bytes(bytes, count)?;
        }
        _ => return None,
    }
    Some(())
}

fn skip_numbers(bytes: &mut &[u8], count: usize) -> Option<()> {
    varint::take(bytes)?;
    varint::take(bytes)?;
    let width = *varint::take_bytes(bytes, 1)?.first()?;
    varint::take_bytes(bytes, count.checked_mul(usize::from(width))?).map(|_| ())
}

/// Appends `count` numbers to `values`.
fn take_numbers(bytes: &mut &[u8], count: usize, values: &mut Vec<u64>) -> Option<()> {
    let (least, divisor) = (varint::take(bytes)?, varint::take(bytes)?);
    let width = *varint::take_bytes(bytes, 1)?.first()?;
    if width > 8 {
        return None;
    }
    let planes = varint::take_bytes(bytes, count * usize::from(width))?;
    let start = values.len();
    values.resize(start + count, 0);
    let numbers = values.get_mut(start..)?;
    for (place, plane) in planes.chunks_exact(count.max(1)).enumerate() {
        for (number, byte) in numbers.iter_mut().zip(plane) {
            *number |= u64::from(*byte) << (8 * place);
        }
    }
    if (least, divisor) != (0, 1) {
        numbers.iter_mut().for_each(|number| *number = number.wrapping_mul(divisor).wrapping_add(least));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form_of(values: &[u64]) -> (u8, usize) {
        let mut out = Body::default();
        put(&mut out, &mut values.to_vec());
        let out = out.bytes;
        let (mut rest, mut back) = (out.as_slice(), vec![7]);
        take(&mut rest, values.len(), &mut back).unwrap();
        assert!(rest.is_empty() && back == values);
        let mut rest = out.as_slice();
        assert!(skip(&mut rest, values.len()).is_some() && rest.is_empty());
        (out[0], out.len())
    }

    #[test]
    fn each_kind_of_field_finds_its_form() {
        assert_eq!(form_of(&[9; 1000]), (EQUAL, 2));
        // A number that counts up, in whatever steps, takes no byte for each.
        let count: Vec<u64> = (0..1000).map(|index| (1 << 40) | (index * 26)).collect();
        let (form, bytes) = form_of(&count);
        assert!((form, bytes < 16) == (DIFFERENCES, true), "{bytes}");
        let few: Vec<u64> = (0..1000_u64).map(|index| [u64::MAX, 5, 1 << 50][index as usize % 3]).collect();
        assert_eq!(form_of(&few).0, FEW);
        let small: Vec<u64> = (0..1000_u64).map(|index| index * 7919 % 241).collect();
        assert_eq!(form_of(&small).0, PLAIN);
    }

    #[test]
    fn what_looks_few_and_is_not() {
        let mut values = vec![1 << 60; 200_000];
        (0..300).for_each(|index| values[100_000 + index] = index as u64);
        values[0] = 3;
        assert_ne!(form_of(&values).0, FEW);
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in prop::collection::vec((any::<u64>(), 0..64_u32), 0..700), step: u64) {
            let values: Vec<u64> = values.iter().enumerate()
                .map(|(index, (value, shift))| (value >> shift).wrapping_add((index as u64).wrapping_mul(step))).collect();
            if !values.is_empty() {
                form_of(&values);
            }
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0..300_usize) {
            let mut values = Vec::new();
            let (mut taken, mut skipped) = (bytes.as_slice(), bytes.as_slice());
            let is_skipped = skip(&mut skipped, count).is_some();
            if take(&mut taken, count, &mut values).is_some() {
                prop_assert_eq!(values.len(), count);
                prop_assert!(is_skipped && taken.len() == skipped.len());
            }
        }
    }
}
