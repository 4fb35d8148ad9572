//! Takes frames out of the bytes of a segment, whoever wrote them and whatever became of them.
//!
//! Any bytes are fit input: nothing panics, nothing is allocated, every undamaged frame is found. Where a frame fails
//! its checksum the scanner steps on by 8 bytes until one passes, so a damaged byte costs the frame it stands in.
//! (The idea of salting checksums per segment is LevelDB's and redb's; the resynchronisation is that of MPEG streams.)

use super::layout::{
    FRAME_BYTES_MAX, FRAME_HEADER_BYTES, Kind, UNIT_BYTES, WRITER_RING, frame_crc, u16_at, u32_at, u64_at,
};

/// One undamaged frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Ring number, or [`WRITER_RING`].
    pub ring: u16,
    /// Tick of the clock.
    pub ticks: u64,
    /// Site number, or the [`Kind`] of a writer's frame.
    pub site: u32,
    /// Low half of the call's number on its ring.
    pub seq: u32,
    /// What follows the header, padding included.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes of the frame in the segment, header included.
    pub fn bytes(&self) -> usize {
        self.payload.len() + FRAME_HEADER_BYTES
    }

    /// What the writer says with this frame; `None` for records.
    pub fn kind(&self) -> Option<Kind> {
        if self.ring == WRITER_RING { Kind::from_u32(self.site) } else { None }
    }
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// An undamaged frame at `offset`.
    Frame {
        /// Offset in the segment.
        offset: u64,
        /// The frame.
        frame: Frame<'a>,
    },
    /// Bytes that belong to no undamaged frame.
    Damage {
        /// Offset in the segment.
        offset: u64,
        /// How many bytes.
        bytes: u64,
    },
}

/// What the end of the given bytes means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// More bytes may follow, and a first word of 0 means "not yet written": the scanner stops there.
    Growing,
    /// More bytes follow in the file: the scanner stops before a frame that is not whole here, zeros are damage.
    Window,
    /// These are the last bytes of a finished segment: what is not a frame is damage.
    Final,
}

/// Iterator over the frames of a part of a segment.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
    salt: u32,
    tail: Tail,
    sifted: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner over `bytes`, which stand at offset `base` (a multiple of 8) of a segment with this `salt`.
    pub fn new(bytes: &'a [u8], base: u64, salt: u32, tail: Tail) -> Self {
        Self { bytes, at: 0, base, salt, tail, sifted: false }
    }

    /// The same over bytes that may come out of a sieve: of a [`Kind::Passed`] frame the header is checked, no more. Not for who
    /// takes the bytes as they are: on disk such a frame is damage.
    #[must_use]
    pub(crate) fn sifted(self) -> Self {
        Self { sifted: true, ..self }
    }

    /// The offset in the segment behind the last item; where to go on with more bytes.
    pub fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The frame at `at`, if an undamaged one stands there.
    #[inline(always)]
    fn frame_at(&self, at: usize) -> Option<(Frame<'a>, usize)> {
        let rest = self.bytes.get(at..)?;
        let bytes = claimed_bytes(rest)?;
        let frame = rest.get(..bytes)?;
        let crc = u32_at(frame, 4);
        let is_passed = self.sifted
            && u16_at(frame, 2) == WRITER_RING
            && u32_at(frame, 16) == Kind::Passed as u32
            && frame_crc(self.salt, frame.get(..FRAME_HEADER_BYTES)?) == crc;
        if !is_passed && frame_crc(self.salt, frame) != crc {
            return None;
        }
        let (head, payload) = frame.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        let frame = Frame {
            ring: u16_at(head, 2),
            ticks: u64_at(head, 8),
            site: u32_at(head, 16),
            seq: u32_at(head, 20),
            payload,
        };
        Some((frame, bytes))
    }

    /// Whether what stands at `at` cannot be judged without more bytes.
    fn undecided(&self, at: usize) -> bool {
        let rest = self.bytes.get(at..).unwrap_or_default();
        match self.tail {
            Tail::Final => false,
            Tail::Growing | Tail::Window if rest.len() < FRAME_HEADER_BYTES => true,
            Tail::Growing | Tail::Window => {
                if self.tail == Tail::Growing && u32_at(rest, 0) == 0 {
                    return true;
                }
                claimed_bytes(rest).is_some_and(|bytes| bytes > rest.len())
            }
        }
    }
}

/// The length that the first word claims, if a frame can have it.
#[inline]
fn claimed_bytes(rest: &[u8]) -> Option<usize> {
    if rest.len() < FRAME_HEADER_BYTES {
        return None;
    }
    let bytes = usize::from(u16_at(rest, 0)) * UNIT_BYTES;
    (FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&bytes).then_some(bytes)
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if let Some((offset, frame)) = self.frame() {
            return Some(Item::Frame { offset, frame });
        }
        self.damage().map(|(offset, bytes)| Item::Damage { offset, bytes })
    }
}

impl<'a> Scanner<'a> {
    /// Takes the undamaged frame that comes next, with its offset; `None` where [`damage`](Self::damage) comes, or the end.
    #[inline(always)]
    pub(crate) fn frame(&mut self) -> Option<(u64, Frame<'a>)> {
        let start = self.at;
        let (frame, bytes) = self.frame_at(start)?;
        self.at += bytes;
        Some((self.base + start as u64, frame))
    }

    /// Takes what comes next and is no frame, up to where one begins: offset and bytes.
    #[cold]
    pub(crate) fn damage(&mut self) -> Option<(u64, u64)> {
        let start = self.at;
        let offset = self.base + start as u64;
        let mut at = start;
        while at < self.bytes.len() {
            if self.undecided(at) {
                break;
            }
            at += UNIT_BYTES;
            if at >= self.bytes.len() {
                at = self.bytes.len();
                break;
            }
            if self.frame_at(at).is_some() {
                break;
            }
        }
        if at == start {
            return None;
        }
        self.at = at;
        Some((offset, (at - start) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::append::encode_frame;

    const SALT: u32 = 77;

    fn segment(sizes: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            encode_frame(&mut bytes, SALT, 3, index as u64 + 1, 9, index as u32, &vec![0xa5; *size]);
        }
        bytes
    }

    fn frames(bytes: &[u8], tail: Tail) -> (Vec<u32>, Vec<(u64, u64)>, u64) {
        let (mut seqs, mut damage) = (Vec::new(), Vec::new());
        let mut scanner = Scanner::new(bytes, 128, SALT, tail);
        for item in scanner.by_ref() {
            match item {
                Item::Frame { frame, .. } => seqs.push(frame.seq),
                Item::Damage { offset, bytes } => damage.push((offset, bytes)),
            }
        }
        (seqs, damage, scanner.position())
    }

    #[test]
    fn whole_frames_come_back() {
        let bytes = segment(&[0, 8, 24, 4096, 16]);
        assert_eq!(frames(&bytes, Tail::Final), (vec![0, 1, 2, 3, 4], vec![], 128 + bytes.len() as u64));
    }

    #[test]
    fn a_growing_segment_ends_at_a_zero_word() {
        let mut bytes = segment(&[8, 8]);
        let end = bytes.len() as u64;
        bytes.extend([0; 64]);
        assert_eq!(frames(&bytes, Tail::Growing), (vec![0, 1], vec![], 128 + end));
        assert_eq!(frames(&bytes, Tail::Final).1, vec![(128 + end, 64)]);
    }

    #[test]
    fn every_flipped_byte_costs_one_frame_and_is_located() {
        let bytes = segment(&[8, 16, 24, 8, 40]);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x41;
            let (seqs, damage, _) = frames(&bad, Tail::Final);
            assert_eq!(seqs.len(), 4, "byte {at}");
            assert_eq!(damage.len(), 1);
            let (from, length) = damage[0];
            assert!((from..from + length).contains(&(128 + at as u64)), "byte {at}: {damage:?}");
        }
    }

    #[test]
    fn every_prefix_gives_the_frames_that_are_whole() {
        let sizes = [8, 16, 24, 8, 40];
        let bytes = segment(&sizes);
        for end in 0..=bytes.len() {
            let whole = sizes
                .iter()
                .scan(0, |sum, size| {
                    *sum += size + FRAME_HEADER_BYTES;
                    Some(*sum)
                })
                .filter(|sum| *sum <= end)
                .count();
            for tail in [Tail::Final, Tail::Growing, Tail::Window] {
                let (seqs, damage, _) = frames(&bytes[..end], tail);
                assert_eq!(seqs.len(), whole, "prefix {end}");
                assert!(tail == Tail::Final || damage.is_empty(), "prefix {end}: a cut frame is no damage yet");
            }
        }
    }

    #[test]
    fn frames_of_another_segment_do_not_pass() {
        let bytes = segment(&[8, 8]);
        let mut scanner = Scanner::new(&bytes, 128, SALT + 1, Tail::Final);
        assert_eq!(scanner.next(), Some(Item::Damage { offset: 128, bytes: bytes.len() as u64 }));
        assert_eq!(scanner.next(), None);
    }
}
