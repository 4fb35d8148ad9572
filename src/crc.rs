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
        fn equals_the_crate(start in any::<u32>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(super::append(start, &bytes), crc32c::crc32c_append(start, &bytes));
        }
    }
}
