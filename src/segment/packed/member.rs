//! A block as a member of a gzip file, with an index that can be read without inflating it.
//!
//! ```text
//! gzip     0    3    4        10      12    14     16                      112
//!         ┌────┬────┬────────┬───────┬─────┬──────┬───────────────────────┬──────────┬───────┬───────┐
//!         │1f 8b 08│04 0…    │100    │"TP" │96    │ index                 │ deflated │ crc32 │ bytes │
//!         └────┴────┴────────┴───────┴─────┴──────┴───────────────────────┴──────────┴───────┴───────┘
//! index    0       2       4           8        12       16       20       24       28       32
//!         ┌───────┬───────┬───────────┬────────┬────────┬────────┬────────┬────────┬────────┐
//!         │version│flags  │member     │raw at  │raw     │segment │salt    │raw crc │records │
//!         ├───────┴───────┴───────────┼────────┴────────┼────────┼────────┼────────┼────────┤
//!      32 │ least ticks               │ greatest ticks  │body    │levels  │ watermark       │ 64
//!         ├─────────────────┬─────────┴───────┬─────────┴───────┬┴────────┼────────┬────────┘
//!      64 │ anchor: ticks   │ unix_ns         │ rate            │ zero    │ crc    │ 96
//!         └─────────────────┴─────────────────┴─────────────────┴─────────┴────────┘
//! ```
//!
//! `member`, `raw`, `segment` and `body` are bytes: of the whole member, of the segment's piece, of the whole segment, of the body
//! before it was deflated. A member of a zstd file has a frame that zstd skips instead of the header, and no trailer, since zstd has a
//! checksum of its own:
//!
//! ```text
//! zstd     0             4      8      12    14     16                      112
//!         ┌─────────────┬──────┬──────┬─────┬──────┬───────────────────────┬───────────────────┐
//!         │54 2a 4d 18  │104   │zero  │"TP" │96    │ index                 │ a frame of zstd   │
//!         └─────────────┴──────┴──────┴─────┴──────┴───────────────────────┴───────────────────┘
//! ```
//!
//! `raw crc` is the CRC-32C of the piece, `crc` that of the index. Flags: 1, the body is packed, else it is
//! the piece itself; 2, the piece is no part of the segment, but its header and definitions again. `levels`, `watermark` and
//! `anchor` as in [`Outline`](super::Outline).

use super::BLOCK_BYTES;
use super::body::{Body, deflate};
use super::pack::{Outline, Stated};
use super::sieve::Sieve;
use super::unpack;
use crate::compress::{Codec, without_zstd};
use crate::crc;
use crate::segment::layout::{array, u16_at, u32_at, u64_at};
use flate2::{Compress, Compression, Crc, Decompress, FlushDecompress, Status};
use std::io;

/// Version of the packed form.
const VERSION: u16 = 1;
/// Bytes of the index.
pub const INDEX_BYTES: usize = 96;
/// Bytes of the extra field's head, and of the index.
const INDEX_FIELD_BYTES: usize = 4 + INDEX_BYTES;
/// Bytes before the deflated body.
pub const MEMBER_HEAD_BYTES: usize = 12 + INDEX_FIELD_BYTES;
/// The least bytes of a member.
pub const MEMBER_BYTES_MIN: usize = MEMBER_HEAD_BYTES + TRAILER_BYTES;
/// Bytes behind it.
const TRAILER_BYTES: usize = 8;
/// What every member of a gzip file begins with.
pub(super) const HEAD: [u8; 16] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, INDEX_FIELD_BYTES as u8, 0, b'T', b'P', INDEX_BYTES as u8, 0];
/// The same of a zstd file.
const HEAD_ZSTD: [u8; 16] =
    [0x54, 0x2a, 0x4d, 0x18, INDEX_FIELD_BYTES as u8 + 4, 0, 0, 0, 0, 0, 0, 0, b'T', b'P', INDEX_BYTES as u8, 0];
const FLAG_PACKED: u16 = 1;
const FLAG_SPARE: u16 = 2;
/// A body is no larger than its piece, but for its own magic and counts: else the piece itself is stored.
const BODY_BYTES_MAX: usize = BLOCK_BYTES;

/// What is known of a block without inflating it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Index {
    /// The member is a frame of zstd.
    pub zstd: bool,
    /// The body is packed, else it is the piece itself.
    pub packed: bool,
    /// The piece is header and definitions of the segment, a second time.
    pub spare: bool,
    /// Bytes of the member, from its head to its trailer.
    pub member_bytes: u32,
    /// Where the piece stands in the segment.
    pub raw_at: u32,
    /// Bytes of the piece.
    pub raw_bytes: u32,
    /// Bytes of the whole segment.
    pub segment_bytes: u32,
    /// The segment's salt.
    pub salt: u32,
    /// CRC-32C of the piece.
    pub raw_crc: u32,
    /// Bytes of the body.
    pub body_bytes: u32,
    /// What stands in the piece.
    pub outline: Outline,
}

impl Index {
    fn encode(&self) -> [u8; INDEX_BYTES] {
        let mut bytes = Vec::with_capacity(INDEX_BYTES);
        let flags = if self.packed { FLAG_PACKED } else { 0 } | if self.spare { FLAG_SPARE } else { 0 };
        let Outline { records, ticks, levels, watermark, anchor } = self.outline;
        [VERSION, flags].iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        let words =
            [self.member_bytes, self.raw_at, self.raw_bytes, self.segment_bytes, self.salt, self.raw_crc, records];
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        [ticks.0, ticks.1].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        [self.body_bytes, levels].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        let Stated { ticks, unix_ns, rate } = anchor;
        [watermark, ticks, unix_ns.cast_unsigned(), rate, 0].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.truncate(INDEX_BYTES - 4);
        bytes.extend(crc::append(0, &bytes).to_le_bytes());
        array(&bytes, 0)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..INDEX_BYTES)?;
        if u32_at(bytes, INDEX_BYTES - 4) != crc::append(0, bytes.get(..INDEX_BYTES - 4)?)
            || u16_at(bytes, 0) != VERSION
        {
            return None;
        }
        let flags = u16_at(bytes, 2);
        let index = Self {
            zstd: false,
            packed: flags & FLAG_PACKED != 0,
            spare: flags & FLAG_SPARE != 0,
            member_bytes: u32_at(bytes, 4),
            raw_at: u32_at(bytes, 8),
            raw_bytes: u32_at(bytes, 12),
            segment_bytes: u32_at(bytes, 16),
            salt: u32_at(bytes, 20),
            raw_crc: u32_at(bytes, 24),
            body_bytes: u32_at(bytes, 48),
            outline: Outline {
                records: u32_at(bytes, 28),
                ticks: (u64_at(bytes, 32), u64_at(bytes, 40)),
                levels: u32_at(bytes, 52),
                watermark: u64_at(bytes, 56),
                anchor: Stated {
                    ticks: u64_at(bytes, 64),
                    unix_ns: u64_at(bytes, 72).cast_signed(),
                    rate: u64_at(bytes, 80),
                },
            },
        };
        index.is_possible().then_some(index)
    }

    /// A checksum is no proof against bytes that somebody made.
    fn is_possible(&self) -> bool {
        let end = self.raw_at.checked_add(self.raw_bytes);
        self.member_bytes as usize >= MEMBER_BYTES_MIN
            && self.member_bytes as usize <= 2 * BLOCK_BYTES
            && self.raw_bytes as usize <= BLOCK_BYTES
            && (self.raw_bytes > 0 || self.segment_bytes == 0)
            && self.body_bytes as usize <= BODY_BYTES_MAX
            && (self.spare || end.is_some_and(|end| end <= self.segment_bytes))
    }

    /// The index of the member that begins with these bytes, if one does.
    pub fn find_at(bytes: &[u8]) -> Option<Self> {
        let (head, index) = bytes.split_first_chunk::<{ HEAD.len() }>()?;
        let zstd = *head == HEAD_ZSTD;
        if *head != HEAD && !zstd {
            return None;
        }
        Self::decode(index).map(|index| Self { zstd, ..index })
    }

    /// The first place in `bytes` at which a member begins.
    pub fn find(bytes: &[u8]) -> Option<(usize, Self)> {
        let mut from = 0;
        while let Some(rest) = bytes.get(from..).filter(|rest| rest.len() >= MEMBER_HEAD_BYTES) {
            let step = rest.iter().position(|byte| *byte == 0x1f || *byte == 0x54)?;
            from += step;
            if let Some(index) = bytes.get(from..).and_then(Self::find_at) {
                return Some((from, index));
            }
            from += 1;
        }
        None
    }

    /// Where the piece ends in the segment.
    pub fn raw_end(&self) -> u64 {
        u64::from(self.raw_at) + u64::from(self.raw_bytes)
    }
}

/// The bytes of a member.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    index: Index,
    deflated: &'a [u8],
    /// CRC-32 of the body.
    crc: u32,
}

impl<'a> Member<'a> {
    /// The member with this index; `None` where the bytes are not as many as it says, or its trailer says otherwise.
    pub fn new(index: Index, member: &'a [u8]) -> Option<Self> {
        if member.len() != index.member_bytes as usize {
            return None;
        }
        if index.zstd {
            return Some(Self { index, deflated: member.get(MEMBER_HEAD_BYTES..)?, crc: 0 });
        }
        let deflated = member.get(MEMBER_HEAD_BYTES..member.len().checked_sub(TRAILER_BYTES)?)?;
        let trailer = member.get(member.len() - TRAILER_BYTES..)?;
        (u32_at(trailer, 4) == index.body_bytes).then_some(Self { index, deflated, crc: u32_at(trailer, 0) })
    }

    /// Appends what a sieve wants of the segment's piece to `out`, and frames that say nothing in the place of the rest; as
    /// [`unpack`](Self::unpack), but for the checksum over the piece: that over the body was checked.
    pub fn sift(&self, sieve: &mut dyn Sieve, out: &mut Vec<u8>) -> Option<()> {
        if !self.index.packed {
            return self.unpack(out);
        }
        unpack::unpack(&self.inflate()?, self.index.salt, self.index.raw_bytes as usize, Some(sieve), out)
    }

    /// Appends the segment's piece to `out`; `None`, and `out` as it was, where the member is damaged.
    pub fn unpack(&self, out: &mut Vec<u8>) -> Option<()> {
        let body = self.inflate()?;
        let (start, bytes) = (out.len(), self.index.raw_bytes as usize);
        if self.index.packed {
            unpack::unpack(&body, self.index.salt, bytes, None, out)?;
        } else {
            out.extend_from_slice(&body);
        }
        let whole =
            out.get(start..).is_some_and(|piece| piece.len() == bytes && crc32c::crc32c(piece) == self.index.raw_crc);
        if !whole {
            out.truncate(start);
        }
        whole.then_some(())
    }

    fn inflate(&self) -> Option<Vec<u8>> {
        let bytes = self.index.body_bytes as usize;
        if self.index.zstd {
            return by_zstd(self.deflated, bytes);
        }
        let mut body = Vec::with_capacity(bytes);
        let mut inflater = Decompress::new(false);
        let done = inflater.decompress_vec(self.deflated, &mut body, FlushDecompress::Finish).ok()?;
        let mut crc = Crc::new();
        crc.update(&body);
        let whole = done == Status::StreamEnd
            && inflater.total_in() == self.deflated.len() as u64
            && body.len() == bytes
            && crc.sum() == self.crc;
        whole.then_some(body)
    }
}

#[cfg(feature = "zstd")]
fn by_zstd(frame: &[u8], bytes: usize) -> Option<Vec<u8>> {
    ::zstd::bulk::decompress(frame, bytes).ok().filter(|body| body.len() == bytes)
}

/// Whoever opens a file asks [`readable`] first.
#[cfg(not(feature = "zstd"))]
fn by_zstd(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}

/// Whether members of this kind can be read by this build.
///
/// # Errors
/// What is missing.
pub fn readable(index: &Index) -> io::Result<()> {
    if index.zstd && cfg!(not(feature = "zstd")) { Err(without_zstd()) } else { Ok(()) }
}

/// Makes members.
pub(super) enum Maker {
    Gzip(Box<Compress>),
    #[cfg(feature = "zstd")]
    Zstd(Box<::zstd::bulk::Compressor<'static>>),
}

impl Maker {
    pub(super) fn new(codec: Codec) -> io::Result<Self> {
        match codec {
            Codec::Gzip(level) => Ok(Self::Gzip(Box::new(Compress::new(Compression::new(level.clamp(1, 9)), false)))),
            #[cfg(feature = "zstd")]
            Codec::Zstd(level) => {
                let mut compressor = ::zstd::bulk::Compressor::new(level.clamp(1, 19))?;
                compressor.include_checksum(true)?;
                Ok(Self::Zstd(Box::new(compressor)))
            }
            #[cfg(not(feature = "zstd"))]
            Codec::Zstd(_) => Err(without_zstd()),
        }
    }

    /// Appends the member with `body`, which holds `piece`, to `out`. What is said of sizes and checksums in `index` is filled in.
    pub(super) fn put(&mut self, index: Index, body: &Body, piece: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let packed = index.packed && body.bytes.len() < piece.len();
        let (body, cuts) = if packed { (body.bytes.as_slice(), body.cuts()) } else { (piece, &[][..]) };
        let start = out.len();
        match self {
            Self::Gzip(deflater) => {
                out.extend_from_slice(&HEAD);
                out.extend_from_slice(&[0; INDEX_BYTES]);
                deflate(deflater, body, cuts, out)?;
                let mut crc = Crc::new();
                crc.update(body);
                out.extend_from_slice(&crc.sum().to_le_bytes());
                out.extend_from_slice(&(body.len() as u32).to_le_bytes());
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(compressor) => {
                out.extend_from_slice(&HEAD_ZSTD);
                out.extend_from_slice(&[0; INDEX_BYTES]);
                out.extend_from_slice(&compressor.compress(body)?);
            }
        }
        let index = Index {
            packed,
            member_bytes: (out.len() - start) as u32,
            raw_bytes: piece.len() as u32,
            raw_crc: crc32c::crc32c(piece),
            body_bytes: body.len() as u32,
            ..index
        };
        let place = start + HEAD.len();
        if let Some(slot) = out.get_mut(place..place + INDEX_BYTES) {
            slot.copy_from_slice(&index.encode());
        }
        Ok(())
    }
}

/// A member that claims to be of zstd, and holds nothing.
#[cfg(all(test, not(feature = "zstd")))]
pub(super) fn zstd_head() -> Vec<u8> {
    let index = Index { member_bytes: MEMBER_BYTES_MIN as u32, ..Index::default() };
    [&HEAD_ZSTD[..], &index.encode(), &[0; TRAILER_BYTES]].concat()
}
