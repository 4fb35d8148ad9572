//! Finds the salt of a segment whose header is damaged, in its frames.
//!
//! A checksum can be run backwards: from a frame's bytes and its crc follows the salt that it was started with. Bytes
//! that are no frame give a salt too, a random one; so a salt counts when the frame behind passes with it, or, if it is
//! the one in the header's remains, when any frame does.

use super::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, UNIT_BYTES, frame_crc, u16_at, u32_at};

/// Bytes over which checksums are run at most, for each byte given: bounds the time for bytes made to waste it.
const EFFORT: usize = 64;

/// The salt of the frames in `bytes`, which stand at a multiple of 8 of their segment; `hint` is one to try first.
pub fn find_salt(bytes: &[u8], hint: Option<u32>) -> Option<u32> {
    let effort_max = bytes.len().saturating_mul(EFFORT).max(4 * FRAME_BYTES_MAX);
    let starts = || (0..bytes.len()).step_by(UNIT_BYTES);
    let frame_at = |at: usize| {
        let rest = bytes.get(at..)?;
        let claimed = usize::from(u16_at(rest, 0)) * UNIT_BYTES;
        if claimed < FRAME_HEADER_BYTES { None } else { rest.get(..claimed) }
    };
    if let Some(salt) = hint {
        let mut effort = effort_max;
        for frame in starts().filter_map(frame_at) {
            if frame_crc(salt, frame) == u32_at(frame, 4) {
                return Some(salt);
            }
            effort = effort.saturating_sub(frame.len());
            if effort == 0 {
                break;
            }
        }
    }
    let mut effort = effort_max;
    for (at, frame) in starts().filter_map(|at| Some((at, frame_at(at)?))) {
        let Some(behind) = frame_at(at + frame.len()) else { continue };
        let salt = salt_of(frame);
        if frame_crc(salt, behind) == u32_at(behind, 4) {
            return Some(salt);
        }
        effort = effort.saturating_sub(frame.len() + behind.len());
        if effort == 0 {
            break;
        }
    }
    None
}

/// The salt with which the frame's checksum is right.
fn salt_of(frame: &[u8]) -> u32 {
    let rest = unwind(u32_at(frame, 4), frame.get(8..).unwrap_or_default());
    unwind(rest, frame.get(..4).unwrap_or_default())
}

const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What one byte does to the checksum's state.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut state = index as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 { state >> 1 ^ POLYNOMIAL } else { state >> 1 };
            bit += 1;
        }
        #[allow(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            table[index] = state;
        }
        index += 1;
    }
    table
};

/// By the high byte of a state: the one index whose entry put it there.
const BACK: [u8; 256] = {
    let mut back = [0; 256];
    let mut index = 0;
    while index < 256 {
        #[allow(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
        {
            back[(TABLE[index] >> 24) as usize] = index as u8;
        }
        index += 1;
    }
    back
};

/// The checksum that, continued over `bytes`, gives `crc`.
fn unwind(crc: u32, bytes: &[u8]) -> u32 {
    let mut state = !crc;
    for byte in bytes.iter().rev() {
        let index = BACK.get((state >> 24) as usize).copied().unwrap_or(0);
        let entry = TABLE.get(usize::from(index)).copied().unwrap_or(0);
        state = (state ^ entry) << 8 | u32::from(index ^ byte);
    }
    !state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::append::encode_frame;
    use proptest::prelude::*;

    fn frames(salt: u32, sizes: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (seq, size) in sizes.iter().enumerate() {
            encode_frame(&mut bytes, salt, 1, 5, 7, seq as u32, &vec![seq as u8; *size]);
        }
        bytes
    }

    proptest! {
        #[test]
        fn a_checksum_runs_backwards(salt: u32, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(unwind(crate::crc::append(salt, &bytes), &bytes), salt);
        }

        #[test]
        fn two_frames_in_a_row_tell_their_salt(salt: u32, before in proptest::collection::vec(any::<u8>(), 0..20)) {
            let before = [before.as_slice(), &vec![0; before.len().next_multiple_of(8) - before.len()]].concat();
            let bytes = [before, frames(salt, &[8, 30])].concat();
            prop_assert_eq!(find_salt(&bytes, None), Some(salt));
        }

        #[test]
        fn other_bytes_tell_none(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            prop_assert_eq!(find_salt(&bytes, Some(3)), None);
        }
    }

    #[test]
    fn one_frame_confirms_a_hint_and_is_not_enough_without() {
        let bytes = frames(77, &[24]);
        assert_eq!(find_salt(&bytes, Some(77)), Some(77));
        assert_eq!(find_salt(&bytes, Some(78)), None);
    }
}
