//! A packed segment, read block by block. What is damaged reads as zeros, which are no frame to anybody, at its place of the
//! segment; header and definitions stand there once more, if there is room, so that what is whole behind can be read.

use super::file::context;
use super::sieve::Rules;
use super::source::Extent;
use crate::segment::layout::HEADER_BYTES;
use crate::segment::packed::{Chain, Index, Link, Member, ReadAt as _, readable};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug)]
pub(super) struct Packed {
    file: File,
    path: PathBuf,
    chain: Chain,
    /// The piece that was read last: its place in the segment, and its bytes. A hole has what stands in its stead.
    piece: Option<(u64, u64, Vec<u8>)>,
    /// Blocks, by their number, that turned out to be damaged.
    damaged: HashSet<usize>,
    /// The bytes of a member.
    buffer: Vec<u8>,
}

impl Packed {
    /// The file as a packed one; gives it back where no block is in it.
    pub(super) fn open(file: File, path: &Path) -> io::Result<Result<Self, File>> {
        let bytes = file.metadata().map_err(|error| context(&error, "look at", path))?.len();
        let chain = Chain::walk(&file, bytes).map_err(|error| context(&error, "read", path))?;
        Ok(match chain {
            Some(chain) => {
                let link = chain.blocks.first().or(chain.spare.as_ref());
                link.map_or(Ok(()), |link| readable(&link.index)).map_err(|error| context(&error, "read", path))?;
                Ok(Self {
                    file,
                    path: path.to_owned(),
                    chain,
                    piece: None,
                    damaged: HashSet::new(),
                    buffer: Vec::new(),
                })
            }
            None => Err(file),
        })
    }

    /// As [`Source::read`](super::source::Source::read).
    pub(super) fn read(
        &mut self,
        offset: u64,
        bytes_max: usize,
        rules: &mut Option<Rules>,
        out: &mut Vec<u8>,
    ) -> io::Result<Extent> {
        let all = self.chain.segment_bytes();
        let start = out.len();
        loop {
            let at = offset.saturating_add((out.len() - start) as u64);
            if at >= all {
                return Ok(Extent::End);
            }
            let room = bytes_max - (out.len() - start);
            if room == 0 {
                return Ok(Extent::More);
            }
            if self.piece.as_ref().is_none_or(|(from, to, _)| !(*from..*to).contains(&at)) {
                self.piece = Some(self.load(at, rules)?);
            }
            let Some((from, to, bytes)) = &self.piece else { return Ok(Extent::End) };
            let given = bytes.get((at - from) as usize..).unwrap_or_default();
            if given.is_empty() {
                if *to >= all {
                    return Ok(Extent::Broken { lost: all - at });
                }
                let zeros = usize::try_from(to - at).unwrap_or(room).min(room);
                out.resize(out.len() + zeros, 0);
                continue;
            }
            out.extend_from_slice(given.get(..room).unwrap_or(given));
        }
    }

    /// The first block that begins at the segment's byte `at` or behind it, where what is before it needs no search.
    pub(super) fn block_from(&self, at: u64) -> Option<Index> {
        let next = self.chain.blocks.partition_point(|link| u64::from(link.index.raw_at) < at);
        self.chain.blocks.get(next).map(|link| link.index)
    }

    /// The piece in which the segment's byte `at` stands.
    fn load(&mut self, at: u64, rules: &mut Option<Rules>) -> io::Result<(u64, u64, Vec<u8>)> {
        let mut bytes = self.piece.take().map(|(_, _, bytes)| bytes).unwrap_or_default();
        bytes.clear();
        let (from, to) = match self.chain.find(at) {
            Ok(number) => {
                let Some(link) = self.chain.blocks.get(number).copied() else { return Ok((at, at, bytes)) };
                let place = (u64::from(link.index.raw_at), link.index.raw_end());
                if !self.damaged.contains(&number) {
                    if self.unpack(&link, rules, &mut bytes)? {
                        return Ok((place.0, place.1, bytes));
                    }
                    self.damaged.insert(number);
                }
                place
            }
            Err(hole) => hole,
        };
        self.substitute(from, to, rules, &mut bytes)?;
        Ok((from, to, bytes))
    }

    /// What stands in the stead of a hole: definitions, behind the header where that is missing.
    fn substitute(&mut self, from: u64, to: u64, rules: &mut Option<Rules>, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(spare) = self.chain.spare else { return Ok(()) };
        let behind = to == self.chain.segment_bytes();
        if behind || !self.unpack(&spare, rules, bytes)? {
            // Nothing comes that would need them.
            bytes.clear();
            return Ok(());
        }
        if from > 0 {
            bytes.drain(..HEADER_BYTES.min(bytes.len()));
        }
        // A frame that is cut here is damage as the zeros behind it are.
        bytes.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Whether the member is whole; then what is wanted of its piece is appended to `out`.
    fn unpack(&mut self, link: &Link, rules: &mut Option<Rules>, out: &mut Vec<u8>) -> io::Result<bool> {
        let Link { at, index } = link;
        self.buffer.resize(index.member_bytes as usize, 0);
        let read = self.file.read_full_at(&mut self.buffer, *at);
        let got = read.map_err(|error| context(&error, "read", &self.path))?;
        let member = self.buffer.get(..got).unwrap_or_default();
        let unpack = |member: Member<'_>| match rules {
            Some(rules) => member.sift(rules, out),
            None => member.unpack(out),
        };
        Ok(Member::new(*index, member).and_then(unpack).is_some())
    }
}
