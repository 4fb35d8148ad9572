//! CRC-32C of short byte strings.
//!
//! The `crc32c` crate is made for long inputs; a frame is some 50 bytes, of which a loop over the processor's own
//! instruction makes 2 to 5 ns. Same polynomial, same values: a test holds the two against each other.

/// The checksum of what `crc` was the checksum of, followed by `bytes`.
#[inline]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has the instruction, as was just asked.
        return unsafe { with_sse(crc, bytes) };
    }
    crc32c::crc32c_append(crc, bytes)
}

/// The checksum of a frame: of all its words but the four bytes that hold the checksum itself. `each` is called with every
/// word behind the first and with its offset, so that who copies a frame goes over it once.
///
/// What is behind the last whole word is not looked at: frames consist of words.
#[inline(always)]
pub(crate) fn frame(salt: u32, frame: &[u8], each: impl FnMut(usize, [u8; 8])) -> u32 {
    let (words, _) = frame.as_chunks::<8>();
    let Some((head, rest)) = words.split_first() else { return salt };
    let [a, b, c, d, ..] = *head;
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has the instruction, as was just asked.
        return unsafe { frame_with_sse(salt, u32::from_le_bytes([a, b, c, d]), rest, each) };
    }
    let mut each = each;
    rest.iter().enumerate().for_each(|(index, word)| each(8 * (index + 1), *word));
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &[a, b, c, d]), rest.as_flattened())
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn frame_with_sse(salt: u32, head: u32, rest: &[[u8; 8]], mut each: impl FnMut(usize, [u8; 8])) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u32, _mm_crc32_u64};
    let mut crc = u64::from(_mm_crc32_u32(!salt, head));
    for (index, word) in rest.iter().enumerate() {
        each(8 * (index + 1), *word);
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
    }
    !(crc as u32)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
#[inline]
fn with_sse(crc: u32, bytes: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};
    let mut crc = u64::from(!crc);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
    }
    let mut crc = crc as u32;
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        crc = _mm_crc32_u32(crc, u32::from_le_bytes(*half));
    }
    for byte in rest {
        crc = _mm_crc32_u8(crc, *byte);
    }
    !crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn of_a_frame(salt in any::<u32>(), mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            bytes.truncate(bytes.len() / 8 * 8);
            let mut copy = bytes.get(..8).unwrap_or_default().to_vec();
            let crc = super::frame(salt, &bytes, |offset, word| {
                assert_eq!(offset, copy.len());
                copy.extend(word);
            });
            prop_assert_eq!(&copy, &bytes);
            if bytes.len() >= 8 {
                prop_assert_eq!(crc, super::append(super::append(salt, &bytes[..4]), &bytes[8..]));
            }
        }

        #[test]
        fn equals_the_crate(start in any::<u32>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(super::append(start, &bytes), crc32c::crc32c_append(start, &bytes));
        }
    }
}
