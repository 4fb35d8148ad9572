//! From the body of a block back to the bytes of a segment.
//!
//! Any bytes are fit input: what is not the body of a block of `bytes` bytes is refused. Memory is bounded by a small multiple of
//! those.

use super::shape::{Shape, Token};
use super::varint::{self, take_bytes, take_length, unzigzag};
use super::{BODY_MAGIC, column, decimal};
use crate::segment::append::first_word;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, UNIT_BYTES, WRITER_RING, frame_crc};
use crate::value::CUT;

/// A frame that is being put together.
#[derive(Clone, Copy, Default)]
struct Frame {
    ring: u16,
    group: u32,
    seq: u32,
    ticks: u64,
    /// Where it stands, and how long it is.
    at: u32,
    bytes: u32,
}

/// A group of records with the same fields.
struct Group {
    own: bool,
    site: u32,
    shape: Shape,
    /// Its frames, by number; and where their next field stands.
    records: Vec<(u32, u32)>,
}

/// Unpacks the body of a block of `bytes` bytes to the end of `out`; `None`, and `out` as it was, where it is none.
pub(super) fn unpack(body: &[u8], salt: u32, bytes: usize, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let done = unpack_all(body, salt, bytes, out, start);
    if done.is_none() {
        out.truncate(start);
    }
    done
}

fn unpack_all(mut body: &[u8], salt: u32, bytes: usize, out: &mut Vec<u8>, start: usize) -> Option<()> {
    let body = &mut body;
    if take_bytes(body, BODY_MAGIC.len())? != BODY_MAGIC {
        return None;
    }
    let count = take_length(body, bytes / FRAME_HEADER_BYTES)?;
    let gaps = take_gaps(body, count, bytes)?;
    let mut frames = take_heads(body, count)?;
    let mut groups = take_groups(body, &mut frames, bytes)?;
    place(&mut frames, &gaps, bytes, out)?;
    let block = out.get_mut(start..)?;
    for frame in &frames {
        let group = groups.get(frame.group as usize)?;
        if group.own != (frame.ring == WRITER_RING) {
            return None;
        }
        let head = block.get_mut(frame.at as usize..)?.get_mut(..FRAME_HEADER_BYTES)?;
        head.get_mut(..4)?.copy_from_slice(&first_word(frame.bytes as usize, frame.ring).to_le_bytes());
        head.get_mut(8..16)?.copy_from_slice(&frame.ticks.to_le_bytes());
        head.get_mut(16..20)?.copy_from_slice(&group.site.to_le_bytes());
        head.get_mut(20..24)?.copy_from_slice(&frame.seq.to_le_bytes());
    }
    let mut values = Vec::new();
    for group in &mut groups {
        take_fields(body, group, &frames, block, &mut values)?;
    }
    for frame in &frames {
        let frame = block.get_mut(frame.at as usize..)?.get_mut(..frame.bytes as usize)?;
        let crc = frame_crc(salt, frame);
        frame.get_mut(4..8)?.copy_from_slice(&crc.to_le_bytes());
    }
    body.is_empty().then_some(())
}

/// Bytes that are no frame, with the number of the frame behind them.
fn take_gaps<'a>(body: &mut &'a [u8], frames: usize, bytes: usize) -> Option<Vec<(usize, &'a [u8])>> {
    let count = take_length(body, body.len())?;
    let (mut places, mut frame) = (Vec::new(), 0);
    for _ in 0..count {
        frame += take_length(body, frames - frame)?;
        places.push((frame, take_length(body, bytes)?));
    }
    places.into_iter().map(|(frame, length)| Some((frame, take_bytes(body, length)?))).collect()
}

fn take_heads(body: &mut &[u8], count: usize) -> Option<Vec<Frame>> {
    let mut states = Vec::new();
    let mut before = 0_u64;
    for _ in 0..take_length(body, count)? {
        let ring = u16::try_from(varint::take(body)?).ok()?;
        before = before.wrapping_add(unzigzag(varint::take(body)?));
        states.push((ring, before, u32::try_from(varint::take(body)?).ok()?));
    }
    let (mut frames, mut values) = (vec![Frame::default(); count], Vec::new());
    // While numbers and ticks come, `at` holds the place of the ring in the list.
    column::take(body, count, &mut values)?;
    for (frame, index) in frames.iter_mut().zip(&values) {
        frame.at = u32::try_from(*index).ok()?;
        frame.ring = states.get(frame.at as usize)?.0;
    }
    column::take(body, count, &mut values)?;
    for (frame, group) in frames.iter_mut().zip(&values) {
        frame.group = u32::try_from(*group).ok()?;
    }
    column::take(body, count, &mut values)?;
    for (frame, step) in frames.iter_mut().zip(&values) {
        let (_, _, seq) = states.get_mut(frame.at as usize)?;
        let next = if frame.ring == WRITER_RING { *seq } else { seq.wrapping_add(1) };
        frame.seq = next.wrapping_add(unzigzag(*step) as u32);
        *seq = frame.seq;
    }
    column::take(body, count, &mut values)?;
    for (frame, step) in frames.iter_mut().zip(&values) {
        let (_, ticks, _) = states.get_mut(frame.at as usize)?;
        frame.ticks = ticks.wrapping_add(unzigzag(*step));
        *ticks = frame.ticks;
    }
    Some(frames)
}

/// The groups, and with them the lengths of all frames.
fn take_groups(body: &mut &[u8], frames: &mut [Frame], bytes: usize) -> Option<Vec<Group>> {
    let count = take_length(body, frames.len())?;
    let mut records: Vec<Vec<(u32, u32)>> = vec![Vec::new(); count];
    for (number, frame) in frames.iter().enumerate() {
        records.get_mut(frame.group as usize)?.push((number as u32, 0));
    }
    let (mut groups, mut values) = (Vec::with_capacity(count), Vec::new());
    // What all frames take by their fields, so that a body cannot ask for more columns than the block has bytes.
    let mut least = 0_usize;
    for records in records {
        let key = varint::take(body)?;
        let (own, site) = (key & 1 == 1, u32::try_from(key >> 1).ok()?);
        let shape = Shape::take(body)?;
        least = least.checked_add(records.len().checked_mul(FRAME_HEADER_BYTES + shape.bytes_min())?)?;
        if least > bytes {
            return None;
        }
        column::take(body, records.len(), &mut values)?;
        for ((number, _), units) in records.iter().zip(&values) {
            let length = usize::try_from(*units).ok()?.checked_mul(UNIT_BYTES)?;
            if !(FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) {
                return None;
            }
            frames.get_mut(*number as usize)?.bytes = length as u32;
        }
        groups.push(Group { own, site, shape, records });
    }
    Some(groups)
}

/// Gives each frame its place, and puts what stands between them there.
fn place(frames: &mut [Frame], gaps: &[(usize, &[u8])], bytes: usize, out: &mut Vec<u8>) -> Option<()> {
    let all = frames.iter().map(|frame| frame.bytes as usize).chain(gaps.iter().map(|(_, gap)| gap.len()));
    if all.sum::<usize>() != bytes {
        return None;
    }
    let start = out.len();
    out.reserve(bytes);
    let mut gaps = gaps.iter().peekable();
    for number in 0..=frames.len() {
        while let Some((_, gap)) = gaps.next_if(|(before, _)| *before == number) {
            out.extend_from_slice(gap);
        }
        if let Some(frame) = frames.get_mut(number) {
            frame.at = (out.len() - start) as u32;
            out.resize(out.len() + frame.bytes as usize, 0);
        }
    }
    Some(())
}

/// Puts the fields of a group's records where they belong.
fn take_fields(
    body: &mut &[u8],
    group: &mut Group,
    frames: &[Frame],
    block: &mut [u8],
    values: &mut Vec<u64>,
) -> Option<()> {
    let Group { shape, records, .. } = group;
    let count = records.len();
    // From here on the first number is where the record ends.
    for (number, at) in records.iter_mut() {
        let frame = frames.get(*number as usize)?;
        (*number, *at) = (frame.at + frame.bytes, frame.at + FRAME_HEADER_BYTES as u32);
    }
    for token in &shape.tokens {
        match token {
            Token::Integer(bytes) => {
                column::take(body, count, values)?;
                match bytes {
                    1 => scatter(records, values, block, |value| (value as u8).to_le_bytes())?,
                    2 => scatter(records, values, block, |value| (value as u16).to_le_bytes())?,
                    4 => scatter(records, values, block, |value| (value as u32).to_le_bytes())?,
                    _ => scatter(records, values, block, u64::to_le_bytes)?,
                }
            }
            Token::Float => {
                decimal::take(body, count, values)?;
                scatter(records, values, block, u64::to_le_bytes)?;
            }
            Token::Text => take_texts(body, records, block, values)?,
        }
    }
    for (end, at) in records {
        let rest = block.get_mut(*at as usize..*end as usize)?;
        rest.copy_from_slice(take_bytes(body, rest.len())?);
    }
    Some(())
}

/// Writes the next field of each record.
fn scatter<const N: usize>(
    records: &mut [(u32, u32)],
    values: &[u64],
    block: &mut [u8],
    bytes: impl Fn(u64) -> [u8; N],
) -> Option<()> {
    for ((end, at), value) in records.iter_mut().zip(values) {
        let next = *at + N as u32;
        if next > *end {
            return None;
        }
        block.get_mut(*at as usize..next as usize)?.copy_from_slice(&bytes(*value));
        *at = next;
    }
    Some(())
}

fn take_texts(body: &mut &[u8], records: &mut [(u32, u32)], block: &mut [u8], values: &mut Vec<u64>) -> Option<()> {
    let mut put = |record: &mut (u32, u32), word: u32, text: &[u8]| {
        let (end, at) = record;
        let field = block.get_mut(*at as usize..*end as usize)?.get_mut(..4 + text.len())?;
        let (head, rest) = field.split_at_mut_checked(4)?;
        head.copy_from_slice(&word.to_le_bytes());
        rest.copy_from_slice(text);
        *at += 4 + text.len() as u32;
        Some(())
    };
    let length = |word: u64| Some((u32::try_from(word).ok()?, (word as u32 & !CUT) as usize));
    match take_bytes(body, 1)?.first()? {
        1 => {
            let mut list = Vec::new();
            for _ in 0..take_length(body, records.len())? {
                let (word, bytes) = length(varint::take(body)?)?;
                list.push((word, take_bytes(body, bytes)?));
            }
            column::take(body, records.len(), values)?;
            for (record, index) in records.iter_mut().zip(values.iter()) {
                let (word, text) = list.get(usize::try_from(*index).ok()?)?;
                put(record, *word, text)?;
            }
        }
        0 => {
            column::take(body, records.len(), values)?;
            for (record, word) in records.iter_mut().zip(values.iter()) {
                let (word, bytes) = length(*word)?;
                put(record, word, take_bytes(body, bytes)?)?;
            }
        }
        _ => return None,
    }
    Some(())
}
