//! The members of a packed file, found by their indices.
//!
//! Each index says where the next one begins. Where there is none, damage took it, and the file is searched for the next one
//! that is whole. So a damaged byte costs one member, and whatever was cut off or overwritten is known by its place in the
//! segment.

use super::member::{HEAD, Index, MEMBER_HEAD_BYTES};
use super::{BLOCK_BYTES, MEMBER_BYTES_MIN};
use std::io;

/// Bytes that are searched at once.
const SEARCH_BYTES: usize = 64 << 10;
/// A gzip header without an extra field, as far as it is always the same; then comes what differs.
const PLAIN_HEAD: [u8; 4] = [0x1f, 0x8b, 8, 0];

/// A file, or what looks like one.
pub trait ReadAt {
    /// Reads at `offset` into the front of `out`; says how much, 0 only at the end.
    ///
    /// # Errors
    /// That of the system.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads at `offset` until `out` is full or the file ends; says how much.
    ///
    /// # Errors
    /// That of the system.
    fn read_full_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut got = 0;
        while let Some(space) = out.get_mut(got..).filter(|space| !space.is_empty()) {
            match self.read_at(space, offset + got as u64) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }
}

impl ReadAt for std::fs::File {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, offset)
    }
}

/// What the first bytes of a file say of its form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// It is packed.
    Packed,
    /// It is a gzip file of something else.
    Gzip,
    /// Neither: it may be a packed one whose first member is damaged.
    Unclear,
}

/// The form of a file that begins with `head`; [`MEMBER_HEAD_BYTES`] are enough.
pub fn form(head: &[u8]) -> Form {
    if Index::find_at(head).is_some() {
        Form::Packed
    } else if head.starts_with(&PLAIN_HEAD) && head.get(10..HEAD.len()) != HEAD.get(10..) {
        Form::Gzip
    } else {
        Form::Unclear
    }
}

/// A member that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Where it begins in the file.
    pub at: u64,
    /// What it says.
    pub index: Index,
}

/// The members of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// Blocks, in the order of the segment, without overlap. There may be holes between them.
    pub blocks: Vec<Link>,
    /// Header and definitions again.
    pub spare: Option<Link>,
}

impl Chain {
    /// Goes over a file of `bytes` bytes. `None` where no member is in it.
    ///
    /// # Errors
    /// That of the file.
    pub fn walk(file: &impl ReadAt, bytes: u64) -> io::Result<Option<Self>> {
        let mut chain = Self::default();
        // Behind the last member, and where the search for the next one begins.
        let (mut end, mut from) = (0_u64, 0_u64);
        let mut window = Vec::new();
        while from < bytes {
            let Some(link) = find(file, from, &mut window)? else { break };
            if chain.admits(&link, end, bytes) {
                end = link.at + u64::from(link.index.member_bytes);
                from = end;
                if link.index.spare { chain.spare = Some(link) } else { chain.blocks.push(link) }
            } else {
                from = link.at + 1;
            }
        }
        Ok(if chain.blocks.is_empty() && chain.spare.is_none() { None } else { Some(chain) })
    }

    /// Whether a member may follow those that were found, of which the last ends at `end` of the file.
    fn admits(&self, link: &Link, end: u64, bytes: u64) -> bool {
        let Index { segment_bytes, salt, member_bytes, raw_at, spare, .. } = link.index;
        let others = self.blocks.last().or(self.spare.as_ref());
        let same = others.is_none_or(|other| (other.index.segment_bytes, other.index.salt) == (segment_bytes, salt));
        // So many blocks can have been where none was found. Not more than that may be missing, whatever somebody writes there.
        let lost = (link.at - end).div_ceil(MEMBER_BYTES_MIN as u64) * BLOCK_BYTES as u64;
        let before = self.blocks.last().map_or(0, |last| last.index.raw_end());
        let place = u64::from(raw_at).checked_sub(before);
        same && link.at + u64::from(member_bytes) <= bytes && (spare || place.is_some_and(|hole| hole <= lost))
    }

    /// Bytes of the whole segment.
    pub fn segment_bytes(&self) -> u64 {
        let any = self.blocks.first().or(self.spare.as_ref());
        any.map_or(0, |link| u64::from(link.index.segment_bytes))
    }

    /// Whether the blocks are all of the segment.
    pub fn is_whole(&self) -> bool {
        let mut at = 0;
        let joined = self
            .blocks
            .iter()
            .all(|link| std::mem::replace(&mut at, link.index.raw_end()) == u64::from(link.index.raw_at));
        joined && at == self.segment_bytes() && !self.blocks.is_empty()
    }

    /// The block in which the segment's byte `at` stands; or the hole, from its first byte to behind its last.
    pub fn find(&self, at: u64) -> Result<usize, (u64, u64)> {
        let next = self.blocks.partition_point(|link| link.index.raw_end() <= at);
        match self.blocks.get(next) {
            Some(link) if u64::from(link.index.raw_at) <= at => Ok(next),
            found => {
                let before = next.checked_sub(1).and_then(|before| self.blocks.get(before));
                let from = before.map_or(0, |link| link.index.raw_end());
                Err((from, found.map_or(self.segment_bytes(), |link| u64::from(link.index.raw_at))))
            }
        }
    }
}

/// The first member at `from` or behind.
fn find(file: &impl ReadAt, from: u64, window: &mut Vec<u8>) -> io::Result<Option<Link>> {
    let mut head = [0; MEMBER_HEAD_BYTES];
    let got = file.read_full_at(&mut head, from)?;
    if let Some(index) = head.get(..got).and_then(Index::find_at) {
        return Ok(Some(Link { at: from, index }));
    }
    let mut base = from;
    loop {
        window.resize(SEARCH_BYTES, 0);
        let got = file.read_full_at(window, base)?;
        let bytes = window.get(..got).unwrap_or_default();
        if let Some((place, index)) = Index::find(bytes) {
            return Ok(Some(Link { at: base + place as u64, index }));
        }
        if got < SEARCH_BYTES {
            return Ok(None);
        }
        // A head may stand over the end of the window.
        base += (SEARCH_BYTES - MEMBER_HEAD_BYTES + 1) as u64;
    }
}
