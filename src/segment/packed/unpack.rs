//! From the body of a block back to the bytes of a segment.
//!
//! Any bytes are fit input: what is not the body of a block of `bytes` bytes is refused. Memory is bounded by a small multiple of
//! those.

use super::shape::{Shape, Token};
use super::varint::{self, take_bytes, take_length, unzigzag};
use super::{BODY_MAGIC, column, decimal, texts};
use crate::segment::append::first_word;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, UNIT_BYTES, WRITER_RING, frame_crc};

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
    column::take(body, count, &mut values)?;
    for (frame, group) in frames.iter_mut().zip(&values) {
        frame.group = u32::try_from(*group).ok()?;
    }
    // While numbers and ticks come, `at` holds the place of the ring in the list; 0 in `lasts` is none.
    let (mut lasts, mut counts) = (vec![0_u64; count], vec![0_usize; states.len()]);
    column::take(body, count, &mut values)?;
    for (frame, ring) in frames.iter_mut().zip(&values) {
        let last = lasts.get_mut(frame.group as usize)?;
        *last = if *ring == 0 { *last } else { *ring };
        frame.at = u32::try_from(last.checked_sub(1)?).ok()?;
        frame.ring = states.get(frame.at as usize)?.0;
        *counts.get_mut(frame.at as usize)? += 1;
    }
    column::take(body, count, &mut values)?;
    for (frame, step) in frames.iter_mut().zip(&values) {
        let (_, _, seq) = states.get_mut(frame.at as usize)?;
        let next = if frame.ring == WRITER_RING { *seq } else { seq.wrapping_add(1) };
        frame.seq = next.wrapping_add(unzigzag(*step) as u32);
        *seq = frame.seq;
    }
    // Ring by ring: where in `steps` the next one of each stands.
    let (mut steps, mut nexts) = (Vec::with_capacity(count), Vec::with_capacity(states.len()));
    for count in counts {
        nexts.push(steps.len());
        column::take(body, count, &mut values)?;
        steps.extend_from_slice(&values);
    }
    for frame in &mut frames {
        let (next, (_, ticks, _)) = (nexts.get_mut(frame.at as usize)?, states.get_mut(frame.at as usize)?);
        frame.ticks = ticks.wrapping_add(unzigzag(*steps.get(*next)?));
        *ticks = frame.ticks;
        *next += 1;
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
    // From here on the first number is where the record ends.
    for (number, at) in records.iter_mut() {
        let frame = frames.get(*number as usize)?;
        (*number, *at) = (frame.at + frame.bytes, frame.at + FRAME_HEADER_BYTES as u32);
    }
    // Where each field's column begins, for those that are the same.
    let mut columns: Vec<&[u8]> = Vec::with_capacity(shape.tokens.len());
    for (number, token) in shape.tokens.iter().enumerate() {
        let same = take_length(body, number)?.checked_sub(1);
        columns.push(body);
        let mut known = match same {
            Some(same) if shape.tokens.get(same) == Some(token) => *columns.get(same)?,
            Some(_) => return None,
            None => *body,
        };
        take_field(&mut known, *token, records, block, values)?;
        if same.is_none() {
            *body = known;
        }
    }
    for (end, at) in records {
        let rest = block.get_mut(*at as usize..*end as usize)?;
        rest.copy_from_slice(take_bytes(body, rest.len())?);
    }
    Some(())
}

/// Puts the next field of each record where it belongs.
fn take_field(
    body: &mut &[u8],
    token: Token,
    records: &mut [(u32, u32)],
    block: &mut [u8],
    values: &mut Vec<u64>,
) -> Option<()> {
    match token {
        Token::Integer(_) => column::take(body, records.len(), values)?,
        Token::Float => decimal::take(body, records.len(), values)?,
        Token::Text => {
            let count = records.len();
            let mut records = records.iter_mut();
            return texts::take(body, count, values, |word, text| put_text(records.next()?, word, text, block));
        }
    }
    match token {
        Token::Integer(1) => scatter(records, values, block, |value| (value as u8).to_le_bytes()),
        Token::Integer(2) => scatter(records, values, block, |value| (value as u16).to_le_bytes()),
        Token::Integer(4) => scatter(records, values, block, |value| (value as u32).to_le_bytes()),
        _ => scatter(records, values, block, u64::to_le_bytes),
    }
}

fn put_text((end, at): &mut (u32, u32), word: u32, text: &[u8], block: &mut [u8]) -> Option<()> {
    let field = block.get_mut(*at as usize..*end as usize)?.get_mut(..4 + text.len())?;
    let (head, rest) = field.split_at_mut_checked(4)?;
    head.copy_from_slice(&word.to_le_bytes());
    rest.copy_from_slice(text);
    *at += 4 + text.len() as u32;
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
