//! The packed form of a finished segment: the same bytes, taken apart so that deflate finds what is alike.
//!
//! A segment is made to be written fast: checksum, ticks, number and binary fields of a frame stand one behind the other, and
//! deflate makes little of that. In the packed form checksums are left out, because they can be computed; ticks and numbers are
//! differences; the fields of each call site's records stand in columns. What is not an undamaged frame is carried as it is. So
//! [`unpack`](Member::unpack) gives exactly the bytes that [`Packer`] got, whatever they were, and a checksum over them says so.
//!
//! ```text
//! file    := member …                      each a member of a gzip file: `gzip -t` passes, `zcat` gives the bodies
//! member  := gzip header with index │ deflated body │ gzip trailer          or the same as frames of zstd
//! index   := an extra field "TP" of the gzip header, not compressed; drawn in `member`
//! body    := "TACHOPAK" │ gaps │ heads │ groups
//! gaps    := frames │ gaps │ ( frames before it │ bytes ) …    │ the bytes …          what is no frame
//! heads   := rings │ ( ring │ ticks, zigzag of the difference │ number before ) …
//!            column of groups │ column of rings: 0, the one of the group's last record; else 1 + its place in that list
//!            column of numbers, zigzag of the step from the next one of the ring
//!            for each ring: column of ticks, zigzag of the step on the ring
//! groups  := groups │ ( site · 2 + is the writer's │ fields │ their types, 1 … │ column of units ) …
//!            for each group: for each field: field;   the rest of each record
//! field   := 0 │ column, floats or texts                1 + number of a field before it │ nothing: the values are the same
//! ```
//!
//! Numbers without a size are varints (`varint.rs`); `column.rs`, `decimal.rs` and `texts.rs` draw columns, floats and texts. Blocks of at
//! most [`BLOCK_BYTES`] stand for themselves, so that damage costs one of them, and one can be read without those before. The
//! last member, where there are several blocks, has header and definitions again: with them records are readable when the block that
//! has the definitions is damaged.
//!
//! Pure. Memory: a small multiple of a block.

mod body;
mod chain;
mod column;
mod decimal;
mod member;
mod pack;
mod shape;
mod sieve;
mod texts;
mod unpack;
mod varint;

pub use chain::{Chain, Form, Link, ReadAt, form};
pub use member::{INDEX_BYTES, Index, MEMBER_BYTES_MIN, MEMBER_HEAD_BYTES, Member, readable};
pub use pack::{Outline, SAID, Stated};
pub use shape::field_of;
pub use sieve::{Rows, Sieve, Test, Values};

use super::layout::{HEADER_BYTES, Header, Kind, SALT_AT, WRITER_RING, u64_at};
use super::salvage::find_salt;
use super::scan::{Item, Scanner, Tail};
use crate::compress::Codec;
use body::Body;
use shape::Sites;
use std::io;

/// First bytes of a body.
const BODY_MAGIC: [u8; 8] = *b"TACHOPAK";
/// Bytes of a segment in one block, at most: large enough for columns, small enough to lose and to hold in memory.
pub const BLOCK_BYTES: usize = 1 << 20;
/// Definitions that are kept a second time take at most so many bytes.
const SPARE_BYTES_MAX: usize = BLOCK_BYTES / 2;
/// The largest segment that is packed: offsets have 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;

/// Packs one segment, block by block.
pub struct Packer {
    segment_bytes: u32,
    at: u32,
    salt: Option<u32>,
    sites: Sites,
    /// Header and definitions.
    spare: Vec<u8>,
    blocks: u32,
    member: member::Maker,
    body: Body,
}

impl Packer {
    /// A packer for a segment of so many bytes. `None` where it is too large.
    ///
    /// # Errors
    /// Where the codec is not to be had.
    pub fn new(segment_bytes: u64, codec: Codec) -> io::Result<Option<Self>> {
        let Ok(segment_bytes) = u32::try_from(segment_bytes) else { return Ok(None) };
        Ok(Some(Self {
            segment_bytes,
            at: 0,
            salt: None,
            sites: Sites::default(),
            spare: Vec::new(),
            blocks: 0,
            member: member::Maker::new(codec)?,
            body: Body::default(),
        }))
    }

    /// Packs the front of `bytes`, which go on where the last call stopped; appends a member to `out`, and says how many
    /// bytes it holds. All of the segment that is left must be given, or at least [`BLOCK_BYTES`].
    ///
    /// # Errors
    /// What the codec says; none is known.
    pub fn block(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let left = (self.segment_bytes - self.at) as usize;
        let bytes = bytes.get(..bytes.len().min(left).min(BLOCK_BYTES)).unwrap_or(bytes);
        let last = bytes.len() == left;
        let head = if self.at == 0 { HEADER_BYTES.min(bytes.len()) } else { 0 };
        if self.salt.is_none() {
            self.salt = salt(bytes, head);
        }
        self.body.clear();
        // Without a salt nothing is a frame.
        let (head, salt) = self.salt.map_or((bytes.len(), 0), |salt| (head, salt));
        let (mut taken, outline) = pack::pack(bytes, head, salt, last, &mut self.sites, &mut self.body);
        let mut outline = outline;
        if taken == 0 {
            // No frame ends within a block: what is that long is none.
            self.body.clear();
            (taken, outline) = pack::pack(bytes, bytes.len(), salt, last, &mut self.sites, &mut self.body);
        }
        let block = bytes.get(..taken).unwrap_or_default();
        self.spare(block, head, salt);
        let index = Index {
            packed: true,
            spare: false,
            raw_at: self.at,
            segment_bytes: self.segment_bytes,
            salt,
            outline,
            ..Index::default()
        };
        self.member.put(index, &self.body, block, out)?;
        self.at += taken as u32;
        self.blocks += 1;
        Ok(taken)
    }

    /// Whether all of the segment is packed.
    pub fn is_done(&self) -> bool {
        self.at == self.segment_bytes
    }

    /// Appends the last member, where there has to be one.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let spare = std::mem::take(&mut self.spare);
        if self.blocks < 2 || spare.is_empty() {
            return Ok(());
        }
        let salt = self.salt.unwrap_or_default();
        self.body.clear();
        let (_, outline) =
            pack::pack(&spare, HEADER_BYTES.min(spare.len()), salt, true, &mut self.sites, &mut self.body);
        let index =
            Index { packed: true, spare: true, segment_bytes: self.segment_bytes, salt, outline, ..Index::default() };
        self.member.put(index, &self.body, &spare, out)
    }

    /// Keeps header and definitions of a block.
    fn spare(&mut self, block: &[u8], head: usize, salt: u32) {
        if self.at == 0 && self.salt.is_some() {
            self.spare.extend_from_slice(block.get(..head).unwrap_or_default());
        }
        if self.spare.is_empty() {
            return;
        }
        for item in Scanner::new(block.get(head..).unwrap_or_default(), head as u64, salt, Tail::Final) {
            let Item::Frame { offset, frame } = item else { continue };
            let wanted = match frame.kind() {
                Some(Kind::Site | Kind::Component) => true,
                // Of later blocks they would come too early.
                Some(Kind::Thread | Kind::Anchor | Kind::Recovered) => self.at == 0,
                _ => false,
            };
            if frame.ring == WRITER_RING && wanted && self.spare.len() + frame.bytes() <= SPARE_BYTES_MAX {
                let from = offset as usize;
                self.spare.extend_from_slice(block.get(from..from + frame.bytes()).unwrap_or_default());
            }
        }
    }
}

/// The salt of a segment by its front, as readers find it.
fn salt(bytes: &[u8], head: usize) -> Option<u32> {
    if let Ok(header) = Header::decode(bytes) {
        return Some(header.salt);
    }
    let hint = bytes.get(..head).filter(|head| !head.is_empty()).map(|head| u64_at(head, SALT_AT) as u32);
    find_salt(bytes.get(head..).unwrap_or_default(), hint)
}

/// Packs a whole segment that is in memory.
///
/// # Errors
/// Where the codec is not to be had, or the segment is larger than [`SEGMENT_BYTES_MAX`].
pub fn pack(segment: &[u8], codec: Codec) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "the segment is too large to be packed");
    let mut packer = Packer::new(segment.len() as u64, codec)?.ok_or_else(too_large)?;
    let (mut out, mut rest) = (Vec::new(), segment);
    loop {
        let taken = packer.block(rest, &mut out)?;
        rest = rest.get(taken..).unwrap_or_default();
        if packer.is_done() {
            break;
        }
    }
    packer.finish(&mut out)?;
    Ok(out)
}

/// Unpacks the body of a block of `bytes` bytes, without the checksums that tell whether it is whole; for tests.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn unpack_body(body: &[u8], salt: u32, bytes: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    unpack::unpack(body, salt, bytes, None, &mut out).map(|()| out)
}

/// The same with a sieve that wants these rows of each call site; for tests.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn sift_body(body: &[u8], salt: u32, bytes: usize, rows: Rows) -> Option<Vec<u8>> {
    struct Each(Rows);
    impl Sieve for Each {
        fn hear(&mut self, _: Option<Kind>, _: &[u8]) {}
        fn rows(&mut self, _: u32) -> Rows {
            self.0.clone()
        }
    }
    let mut out = Vec::new();
    unpack::unpack(body, salt, bytes, Some(&mut Each(rows)), &mut out).map(|()| out)
}

/// Unpacks a whole file that is in memory, of which every member is whole; `None` where it is not.
pub fn unpack(mut file: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut all = None;
    while !file.is_empty() {
        let index = Index::find_at(file)?;
        let (member, rest) = file.split_at_checked(index.member_bytes as usize)?;
        file = rest;
        all = Some(index.segment_bytes);
        if !index.spare {
            Member::new(index, member)?.unpack(&mut out)?;
        }
    }
    (all.map(|bytes| bytes as usize) == Some(out.len())).then_some(out)
}

/// What tests of builds without zstd need.
#[cfg(all(test, not(feature = "zstd")))]
pub(crate) mod testing {
    /// A file that claims to be one of zstd.
    pub(crate) fn zstd_head() -> Vec<u8> {
        super::member::zstd_head()
    }
}

#[cfg(test)]
mod tests;
