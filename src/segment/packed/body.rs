//! The body of a block while it is put together, and the deflate stream that is made of it.
//!
//! Columns are not alike: the low bytes of ids and prices are noise, flags are two values, texts repeat. One table of codes for all
//! of them is a good one for none, and to search noise for what came before is lost time. So a body notes where its parts begin,
//! and each large one becomes blocks of its own in the stream: noise as it is, the rest with its own table. It is one stream all
//! the same, and a reader needs none of this.

use flate2::{Compress, FlushCompress, Status};
use std::io;
use std::ops::Range;

/// A body.
#[derive(Default)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Where something begins that is unlike what stands before it.
    cuts: Vec<usize>,
}

impl Body {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.cuts.clear();
    }

    /// What is appended next is unlike what stands here.
    pub(super) fn cut(&mut self) {
        if self.cuts.last() != Some(&self.bytes.len()) {
            self.cuts.push(self.bytes.len());
        }
    }

    /// Appends a part that is unlike what stands before and behind it.
    pub(super) fn part(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.cut();
        self.bytes.extend(bytes);
        self.cut();
    }

    pub(super) fn cuts(&self) -> &[usize] {
        &self.cuts
    }
}

/// A part that is smaller goes with the one beside it: it would not pay for a table of its own.
const PART_BYTES_MIN: usize = 2 << 10;
/// What a table of codes for all bytes takes, about.
const TABLE_BYTES: usize = 120;
/// Of so many places in noise, at most one may begin what was there before.
const REPEATS_PART: usize = 16;
/// Places that are remembered to find repeats, a power of two.
const PLACES: usize = 1 << 12;
/// A block that is stored as it is has at most so many bytes.
const STORED_BYTES_MAX: usize = 0xffff;
/// What is reserved for deflated bytes at once.
const RESERVE_BYTES: usize = 64 << 10;

/// Appends `bytes`, whose parts begin at `cuts`, as a whole deflate stream. What cannot be deflated becomes larger, at level
/// 1 by an eighth.
pub(super) fn deflate(deflater: &mut Compress, bytes: &[u8], cuts: &[usize], out: &mut Vec<u8>) -> io::Result<()> {
    let parts = parts(bytes, cuts);
    let mut fresh = false;
    for (number, (range, noise)) in parts.iter().enumerate() {
        let part = bytes.get(range.clone()).unwrap_or_default();
        let next = parts.get(number + 1);
        if *noise {
            store(part, next.is_none(), out);
            fresh = false;
            continue;
        }
        if !fresh {
            // It has not seen what was stored, so its distances would be wrong.
            deflater.reset();
            fresh = true;
        }
        let flush = match next {
            None => FlushCompress::Finish,
            // To the end of a byte.
            Some((_, true)) => FlushCompress::Sync,
            Some(_) => FlushCompress::Partial,
        };
        deflate_part(deflater, part, flush, out)?;
    }
    Ok(())
}

/// The parts of a stream, each with whether it is noise; at least one.
fn parts(bytes: &[u8], cuts: &[usize]) -> Vec<(Range<usize>, bool)> {
    let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        let range = from..to;
        from = to;
        if range.is_empty() {
            continue;
        }
        let noise = range.len() >= PART_BYTES_MIN && is_noise(bytes.get(range.clone()).unwrap_or_default());
        match parts.last_mut() {
            Some((last, false)) if !noise && last.len().min(range.len()) < PART_BYTES_MIN => last.end = to,
            _ => parts.push((range, noise)),
        }
    }
    if parts.is_empty() {
        parts.push((0..0, false));
    }
    parts
}

/// Whether deflate would gain nothing: neither by shorter codes for frequent bytes nor by what came before.
fn is_noise(bytes: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = bytes.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count))
        .map(|count| count * (all / count).log2())
        .sum();
    bits / 8.0 + TABLE_BYTES as f64 >= all && !repeats(bytes)
}

/// Whether much of it came before.
fn repeats(bytes: &[u8]) -> bool {
    let mut places = vec![[0_u8; 4]; PLACES];
    let mut found = 0;
    for four in bytes.windows(4).filter_map(|four| four.first_chunk::<4>()) {
        let hash = u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> 20;
        if let Some(place) = places.get_mut(hash as usize) {
            found += usize::from(place == four);
            *place = *four;
        }
    }
    found * REPEATS_PART > bytes.len()
}

/// Appends blocks of bytes as they are. What stands before ends with a byte.
fn store(bytes: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut blocks = bytes.chunks(STORED_BYTES_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(last && blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

fn deflate_part(deflater: &mut Compress, mut part: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> io::Result<()> {
    loop {
        out.reserve(RESERVE_BYTES);
        let before = deflater.total_in();
        let status = deflater.compress_vec(part, out, flush)?;
        part = part.get((deflater.total_in() - before) as usize..).unwrap_or_default();
        // With room left, all of it is out.
        let over = part.is_empty() && out.len() < out.capacity();
        if status == Status::StreamEnd || (over && !matches!(flush, FlushCompress::Finish)) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn noise(bytes: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn deflated(parts: &[Vec<u8>], level: u32) -> Vec<u8> {
        let mut body = Body::default();
        parts.iter().for_each(|part| body.part(part.iter().copied()));
        let mut deflater = Compress::new(Compression::new(level), false);
        // What it did before is forgotten.
        deflate(&mut deflater, b"something else", &[], &mut Vec::new()).unwrap();
        let mut out = Vec::new();
        deflate(&mut deflater, &body.bytes, body.cuts(), &mut out).unwrap();
        let mut back = Vec::new();
        let mut decoder = DeflateDecoder::new(out.as_slice());
        decoder.read_to_end(&mut back).unwrap();
        assert!(back == parts.concat());
        assert_eq!(decoder.total_in(), out.len() as u64, "the stream ends at its end");
        out
    }

    #[test]
    fn noise_is_stored_and_what_repeats_is_not() {
        assert!(is_noise(&noise(5000, 1)));
        assert!(!is_noise(&noise(5000, 1).iter().map(|byte| byte & 0x7f).collect::<Vec<_>>()));
        // Each byte is as frequent as any other, and all of it was there before.
        assert!(!is_noise(&noise(2500, 1).repeat(2)));
        assert!(!is_noise(&(0..=255).cycle().take(5000).collect::<Vec<u8>>()));
        let (one, flags) = (noise(5000, 1), vec![1; 5000]);
        let bytes = deflated(&[one.clone(), flags.clone(), one.clone()], 3).len();
        assert!(bytes < 10_100, "{bytes}");
    }

    #[test]
    fn large_parts_of_any_order_come_back() {
        let text = b"order 42 filled ".repeat(5000);
        for order in 0..27 {
            let parts: Vec<Vec<u8>> = [order % 3, order / 3 % 3, order / 9]
                .into_iter()
                .map(|kind| match kind {
                    0 => noise(70_000, order as u64),
                    1 => text.clone(),
                    _ => noise(10, 3),
                })
                .collect();
            (1..=9).for_each(|level| drop(deflated(&parts, level)));
        }
        assert!(deflated(&[], 3).len() < 10);
    }

    proptest! {
        #[test]
        fn any_parts_come_back(parts in prop::collection::vec((any::<u8>(), 0..9000_usize, any::<u64>()), 0..6), level in 1..10_u32) {
            let parts: Vec<Vec<u8>> =
                parts.iter().map(|(mask, bytes, seed)| noise(*bytes, *seed).iter().map(|byte| byte & mask).collect()).collect();
            deflated(&parts, level);
        }
    }
}
