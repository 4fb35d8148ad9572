//! What of a block somebody wants: call site by call site, and of one's records those with certain values.
//!
//! Records that are not wanted are neither put together nor checked. A frame that says nothing ([`Kind::Passed`]) stands in
//! their place, so that all others stand where they stood.
//!
//! [`Kind::Passed`]: crate::segment::layout::Kind::Passed

use super::shape::Token;
use super::{column, texts};
use crate::segment::append::first_word;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, Kind, WRITER_RING, frame_crc};
use crate::value::CUT;

/// Who knows what is wanted.
pub trait Sieve {
    /// Learns what the writer says in this block, in the order in which it stands there, before anything is asked.
    fn hear(&mut self, kind: Option<Kind>, payload: &[u8]);

    /// Which records of a call site are wanted; `site` is what stands in their frames.
    fn rows(&mut self, site: u32) -> Rows;
}

/// Which records of a call site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rows {
    /// All.
    All,
    /// None.
    None,
    /// Those that pass each of these tests.
    Where(Vec<Test>),
}

/// A test of one field. Where the block does not tell that field apart, all pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// The field's place among all of the record that the [shape](super::field_of) of its site tells apart.
    pub field: usize,
    /// What it may be.
    pub values: Values,
}

/// Values that a field may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Values {
    /// Integers of so many bytes, as they are stored, in the low bytes of a word.
    Integers(u8, Vec<u64>),
    /// All integers of so many bytes but these, which are in order.
    IntegersBut(u8, Vec<u64>),
    /// Texts; one that was cut passes always.
    Texts(Vec<Vec<u8>>),
}

impl Test {
    /// Takes those off that do not pass. `columns` are the columns of the group's fields.
    pub(super) fn run(
        &self,
        tokens: &[Token],
        columns: &[&[u8]],
        kept: &mut [bool],
        scratch: &mut Vec<u64>,
    ) -> Option<()> {
        let (Some(token), Some(mut column)) = (tokens.get(self.field), columns.get(self.field).copied()) else {
            return Some(());
        };
        match &self.values {
            Values::Integers(bytes, values) if *token == Token::Integer(*bytes) => {
                column::take(&mut column, kept.len(), scratch)?;
                for (kept, value) in kept.iter_mut().zip(scratch) {
                    *kept &= values.contains(value);
                }
            }
            Values::IntegersBut(bytes, values) if *token == Token::Integer(*bytes) => {
                column::take(&mut column, kept.len(), scratch)?;
                // Numbers of components are small: a bit for each that is low, so that nothing is searched.
                let mut low = [0_u64; 64];
                for value in values {
                    if let Some(word) = low.get_mut((*value / 64) as usize) {
                        *word |= 1 << (*value % 64);
                    }
                }
                for (kept, value) in kept.iter_mut().zip(scratch) {
                    *kept &= match low.get((*value / 64) as usize) {
                        Some(word) => word >> (*value % 64) & 1 == 0,
                        None => values.binary_search(value).is_err(),
                    };
                }
            }
            Values::Texts(wanted) if *token == Token::Text => {
                let count = kept.len();
                let mut kept = kept.iter_mut();
                texts::take(&mut column, count, scratch, |word, text| {
                    *kept.next()? &= word & CUT != 0 || wanted.iter().any(|wanted| wanted == text);
                    Some(())
                })?;
            }
            _ => {}
        }
        Some(())
    }
}

/// Fills a place of a multiple of 8 bytes, at least those of a frame's header, with frames that say nothing. Their checksum is over
/// the header alone.
pub(super) fn fill(mut place: &mut [u8], salt: u32) -> Option<()> {
    while !place.is_empty() {
        let mut bytes = place.len().min(FRAME_BYTES_MAX);
        if (1..FRAME_HEADER_BYTES).contains(&(place.len() - bytes)) {
            bytes -= FRAME_HEADER_BYTES;
        }
        let (frame, rest) = place.split_at_mut_checked(bytes)?;
        frame.get_mut(..FRAME_HEADER_BYTES)?.fill(0);
        frame.get_mut(..4)?.copy_from_slice(&first_word(bytes, WRITER_RING).to_le_bytes());
        frame.get_mut(16..20)?.copy_from_slice(&(Kind::Passed as u32).to_le_bytes());
        let crc = frame_crc(salt, frame.get(..FRAME_HEADER_BYTES)?);
        frame.get_mut(4..8)?.copy_from_slice(&crc.to_le_bytes());
        place = rest;
    }
    Some(())
}
