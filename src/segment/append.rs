//! Puts frames into a segment.
//!
//! How the writer of a live segment publishes frames is told in [`live`](super::live).

use super::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, UNIT_BYTES, frame_crc};

/// Appends one whole frame to `out`; for archives made by recovery, and for tests.
///
/// The payload is padded with zeros to a multiple of 8 bytes. A payload longer than a frame can hold is cut.
pub fn encode_frame(out: &mut Vec<u8>, salt: u32, ring: u16, ticks: u64, site: u32, seq: u32, payload: &[u8]) {
    let payload = payload.get(..payload.len().min(FRAME_BYTES_MAX - FRAME_HEADER_BYTES)).unwrap_or_default();
    let bytes = frame_bytes(payload.len());
    let start = out.len();
    out.extend_from_slice(&first_word(bytes, ring).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&ticks.to_le_bytes());
    out.extend_from_slice(&site.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(start + bytes, 0);
    let crc = frame_crc(salt, out.get(start..).unwrap_or_default());
    if let Some(slot) = out.get_mut(start + 4..start + 8) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Bytes of the frame around a payload of `payload_bytes`.
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(UNIT_BYTES)
}

/// The first word of a frame of `bytes` from `ring`.
#[inline(always)]
pub const fn first_word(bytes: usize, ring: u16) -> u32 {
    (bytes / UNIT_BYTES) as u32 | (ring as u32) << 16
}
