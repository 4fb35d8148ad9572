//! The packed form of segments: whatever the bytes are, they come back; whatever a file is, it is unpacked to what was packed, or
//! refused.

use super::segment_recover::Image;
use super::segment_scan::build;
use super::split;
use crate::compress::Codec;
use crate::segment::packed::{Rows, Test, Values, pack, sift_body, unpack, unpack_body};
use std::sync::OnceLock;

/// The largest segment here.
const BYTES_MAX: usize = 256 << 10;

/// The bytes are a recipe for a segment; changes of one, each a place in two bytes and a value; changes of its file. In the rest
/// any bytes are taken for a body.
pub fn segment_pack(data: &[u8]) {
    let (recipe, rest) = split(data);
    let (changes, rest) = split(rest);
    let (damage, rest) = split(rest);
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| Image::new(12 << 10).bytes);

    let built = build(recipe).0;
    for mut segment in [built, image.clone(), recipe.to_vec()] {
        change(&mut segment, changes);
        let level = 1 + u32::from(rest.first().copied().unwrap_or(0) % 9);
        let mut file = pack(&segment, Codec::Gzip(level)).expect("the segment is small");
        assert!(unpack(&file).as_deref() == Some(&segment), "what was packed comes back");
        let before = file.clone();
        change(&mut file, damage);
        let back = unpack(&file);
        assert!(back.is_none_or(|back| back == segment || file == before), "a damaged file gives something else");
    }
    // A body has no checksum: anything may come, of the length that was asked for.
    for bytes in [0, 24, 4096, BYTES_MAX] {
        let body = [b"TACHOPAK", rest].concat();
        let out = unpack_body(&body, 7, bytes);
        assert!(out.as_ref().is_none_or(|out| out.len() == bytes));
        assert!(sift_body(&body, 7, bytes, Rows::All) == out, "who wants all gets all");
        let test = |field, values| Test { field, values };
        let tests = vec![
            test(0, Values::IntegersBut(8, vec![3, 5_000])),
            test(1, Values::Integers(4, vec![0, 1])),
            test(2, Values::Texts(vec![Vec::new(), b"a".to_vec()])),
        ];
        for rows in [Rows::None, Rows::Where(tests)] {
            assert!(sift_body(&body, 7, bytes, rows).is_none_or(|out| out.len() == bytes));
        }
    }
}

/// Each change: a place, and what to flip there.
fn change(bytes: &mut [u8], changes: &[u8]) {
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(byte) = at.checked_rem(bytes.len()).and_then(|at| bytes.get_mut(at)) {
            *byte ^= change[2];
        }
    }
}
