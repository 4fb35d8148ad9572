//! From the body of a block back to the bytes of a segment.
//!
//! Any bytes are fit input: what is not the body of a block of `bytes` bytes is refused. Memory is bounded by a small multiple of
//! those.

use super::shape::{Shape, Token};
use super::sieve::{self, Sieve, fill};
use super::varint::{self, take_bytes, take_length, unzigzag};
use super::{BODY_MAGIC, column, decimal, texts};
use crate::segment::append::first_word;
use crate::segment::layout::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES, Kind, UNIT_BYTES, WRITER_RING, frame_crc};

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
    /// Nobody wants it.
    passed: bool,
}

/// A group of records with the same fields.
struct Group {
    own: bool,
    site: u32,
    shape: Shape,
    /// The numbers of their frames.
    frames: Vec<u32>,
}

/// The records of a group whose fields are being put where they belong: where each ends, and where its next field stands.
type Rows = [(u32, u32)];

/// Unpacks the body of a block of `bytes` bytes to the end of `out`, with a sieve no more than is wanted; `None`, and `out` as
/// it was, where it is none.
pub(super) fn unpack(
    body: &[u8],
    salt: u32,
    bytes: usize,
    sieve: Option<&mut dyn Sieve>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let start = out.len();
    let done = unpack_all(body, salt, bytes, sieve, out, start);
    if done.is_none() {
        out.truncate(start);
    }
    done
}

fn unpack_all(
    mut body: &[u8],
    salt: u32,
    bytes: usize,
    sieve: Option<&mut dyn Sieve>,
    out: &mut Vec<u8>,
    start: usize,
) -> Option<()> {
    let body = &mut body;
    if take_bytes(body, BODY_MAGIC.len())? != BODY_MAGIC {
        return None;
    }
    let count = take_length(body, bytes / FRAME_HEADER_BYTES)?;
    let gaps = take_gaps(body, count, bytes)?;
    let mut frames = take_heads(body, count)?;
    let groups = take_groups(body, &mut frames, bytes)?;
    place(&mut frames, &gaps, bytes, out)?;
    let block = out.get_mut(start..)?;
    match sieve {
        None => {
            let mut scratch = Scratch::default();
            groups.iter().try_for_each(|group| take_fields::<false>(body, group, &frames, block, &mut scratch))?;
        }
        Some(sieve) => sift(body, &groups, &mut frames, sieve, block)?,
    }
    let mut passed: Option<(u32, u32)> = None;
    for frame in &frames {
        if frame.passed {
            let from = passed.filter(|(_, to)| *to == frame.at).map(|(from, _)| from);
            if let (None, Some((from, to))) = (from, passed) {
                fill(block.get_mut(from as usize..to as usize)?, salt)?;
            }
            passed = Some((from.unwrap_or(frame.at), frame.at + frame.bytes));
            continue;
        }
        let site = groups.get(frame.group as usize)?.site;
        let place = block.get_mut(frame.at as usize..)?.get_mut(..frame.bytes as usize)?;
        let head = place.first_chunk_mut::<FRAME_HEADER_BYTES>()?;
        head.get_mut(..4)?.copy_from_slice(&first_word(frame.bytes as usize, frame.ring).to_le_bytes());
        head.get_mut(8..16)?.copy_from_slice(&frame.ticks.to_le_bytes());
        head.get_mut(16..20)?.copy_from_slice(&site.to_le_bytes());
        head.get_mut(20..24)?.copy_from_slice(&frame.seq.to_le_bytes());
        let crc = frame_crc(salt, place);
        place.get_mut(4..8)?.copy_from_slice(&crc.to_le_bytes());
    }
    if let Some((from, to)) = passed {
        fill(block.get_mut(from as usize..to as usize)?, salt)?;
    }
    body.is_empty().then_some(())
}

/// Used again for each group.
#[derive(Default)]
struct Scratch {
    values: Vec<u64>,
    rows: Vec<(u32, u32)>,
    /// With a sieve: which records are wanted.
    kept: Vec<bool>,
}

/// Puts together what is wanted, and says of the other frames that nobody wants them.
fn sift(
    body: &mut &[u8],
    groups: &[Group],
    frames: &mut [Frame],
    sieve: &mut dyn Sieve,
    block: &mut [u8],
) -> Option<()> {
    let mut scratch = Scratch::default();
    // What the writer says is wanted always, and says what the sites are. Of the others, where they stand.
    let mut places = Vec::with_capacity(groups.len());
    for group in groups {
        places.push(*body);
        if group.own {
            take_fields::<false>(body, group, frames, block, &mut scratch)?;
        } else {
            skip_fields(body, group, frames, &mut scratch.values)?;
        }
    }
    for frame in frames.iter().filter(|frame| frame.ring == WRITER_RING) {
        let site = groups.get(frame.group as usize)?.site;
        let place = block.get(frame.at as usize..)?.get(..frame.bytes as usize)?;
        sieve.hear(Kind::from_u32(site), place.get(FRAME_HEADER_BYTES..)?);
    }
    for (group, mut place) in groups.iter().zip(places).filter(|(group, _)| !group.own) {
        let rows = sieve.rows(group.site);
        let Scratch { values, kept, .. } = &mut scratch;
        kept.clear();
        kept.resize(group.frames.len(), rows != sieve::Rows::None);
        if let sieve::Rows::Where(tests) = &rows {
            let columns = columns_of(place, group, values)?;
            tests.iter().try_for_each(|test| test.run(&group.shape.tokens, &columns, kept, values))?;
        }
        for (number, _) in group.frames.iter().zip(&*kept).filter(|(_, kept)| !**kept) {
            frames.get_mut(*number as usize)?.passed = true;
        }
        match kept.iter().filter(|kept| **kept).count() {
            0 => {}
            all if all == kept.len() => take_fields::<false>(&mut place, group, frames, block, &mut scratch)?,
            _ => take_fields::<true>(&mut place, group, frames, block, &mut scratch)?,
        }
    }
    Some(())
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
    let mut counts = vec![0_usize; count];
    for frame in frames.iter() {
        *counts.get_mut(frame.group as usize)? += 1;
    }
    let mut members: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
    for (number, frame) in frames.iter().enumerate() {
        members.get_mut(frame.group as usize)?.push(number as u32);
    }
    let (mut groups, mut values) = (Vec::with_capacity(count), Vec::new());
    // What all frames take by their fields, so that a body cannot ask for more columns than the block has bytes.
    let mut least = 0_usize;
    for members in members {
        let key = varint::take(body)?;
        let (own, site) = (key & 1 == 1, u32::try_from(key >> 1).ok()?);
        let shape = Shape::take(body)?;
        least = least.checked_add(members.len().checked_mul(FRAME_HEADER_BYTES + shape.bytes_min())?)?;
        if least > bytes {
            return None;
        }
        column::take(body, members.len(), &mut values)?;
        for (number, units) in members.iter().zip(&values) {
            let length = usize::try_from(*units).ok()?.checked_mul(UNIT_BYTES)?;
            if !(FRAME_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) {
                return None;
            }
            frames.get_mut(*number as usize)?.bytes = length as u32;
        }
        groups.push(Group { own, site, shape, frames: members });
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
    out.resize(start + bytes, 0);
    let block = out.get_mut(start..)?;
    let (mut at, mut done) = (0_usize, 0);
    let place = |frames: &mut [Frame], at: &mut usize| {
        for frame in frames {
            frame.at = *at as u32;
            *at += frame.bytes as usize;
        }
    };
    for (before, gap) in gaps {
        place(frames.get_mut(done..*before)?, &mut at);
        block.get_mut(at..at + gap.len())?.copy_from_slice(gap);
        (at, done) = (at + gap.len(), *before);
    }
    place(frames.get_mut(done..)?, &mut at);
    Some(())
}

/// Puts the fields of a group's records where they belong; if it is sifted, of those alone that are kept.
fn take_fields<const SIFTED: bool>(
    body: &mut &[u8],
    group: &Group,
    frames: &[Frame],
    block: &mut [u8],
    scratch: &mut Scratch,
) -> Option<()> {
    let Scratch { values, rows, kept } = scratch;
    rows.clear();
    for number in &group.frames {
        let frame = frame_of(group, frames, *number)?;
        rows.push((frame.at + frame.bytes, frame.at + FRAME_HEADER_BYTES as u32));
    }
    each_column(body, &group.shape, |column, token| take_field::<SIFTED>(column, token, (rows, kept), block, values))?;
    for (number, (end, at)) in rows.iter().enumerate() {
        let rest = block.get_mut(*at as usize..*end as usize)?;
        let from = take_bytes(body, rest.len())?;
        if !SIFTED || *kept.get(number)? {
            rest.copy_from_slice(from);
        }
    }
    Some(())
}

/// A frame of a group.
fn frame_of<'a>(group: &Group, frames: &'a [Frame], number: u32) -> Option<&'a Frame> {
    frames.get(number as usize).filter(|frame| group.own == (frame.ring == WRITER_RING))
}

/// Passes over the fields of a group.
fn skip_fields(body: &mut &[u8], group: &Group, frames: &[Frame], values: &mut Vec<u64>) -> Option<()> {
    let count = group.frames.len();
    let (mut fields, mut payloads) = (0_usize, 0_usize);
    each_column(body, &group.shape, |column, token| skip_field(column, token, count, values, &mut fields))?;
    for number in &group.frames {
        payloads += frame_of(group, frames, *number)?.bytes as usize - FRAME_HEADER_BYTES;
    }
    take_bytes(body, payloads.checked_sub(fields)?).map(|_| ())
}

/// Where the column of each field of a group begins.
fn columns_of<'a>(mut body: &'a [u8], group: &Group, values: &mut Vec<u64>) -> Option<Vec<&'a [u8]>> {
    let mut columns = Vec::with_capacity(group.shape.tokens.len());
    each_column(&mut body, &group.shape, |column, token| {
        columns.push(*column);
        skip_field(column, token, group.frames.len(), values, &mut 0)
    })?;
    Some(columns)
}

/// Calls `each`, which moves on behind it, for the column of each field.
fn each_column<'a>(
    body: &mut &'a [u8],
    shape: &Shape,
    mut each: impl FnMut(&mut &'a [u8], Token) -> Option<()>,
) -> Option<()> {
    // Where each field's column begins, for those that are the same.
    let mut columns: Vec<&[u8]> = Vec::with_capacity(shape.tokens.len());
    for (number, token) in shape.tokens.iter().enumerate() {
        let same = take_length(body, number)?.checked_sub(1);
        let mut known = match same {
            Some(same) if shape.tokens.get(same) == Some(token) => *columns.get(same)?,
            Some(_) => return None,
            None => *body,
        };
        columns.push(known);
        each(&mut known, *token)?;
        if same.is_none() {
            *body = known;
        }
    }
    Some(())
}

/// Passes over a column, and counts the bytes that its fields take.
fn skip_field(body: &mut &[u8], token: Token, count: usize, values: &mut Vec<u64>, bytes: &mut usize) -> Option<()> {
    match token {
        Token::Integer(_) => column::skip(body, count)?,
        Token::Float => decimal::skip(body, count)?,
        Token::Text => {
            return texts::take(body, count, values, |_, text| {
                *bytes = bytes.checked_add(4 + text.len())?;
                Some(())
            });
        }
    }
    *bytes = bytes.checked_add(token.bytes_min().checked_mul(count)?)?;
    Some(())
}

/// Puts the next field of each record where it belongs.
fn take_field<const SIFTED: bool>(
    body: &mut &[u8],
    token: Token,
    (rows, kept): (&mut Rows, &[bool]),
    block: &mut [u8],
    values: &mut Vec<u64>,
) -> Option<()> {
    match token {
        Token::Integer(_) => column::take(body, rows.len(), values)?,
        Token::Float => decimal::take(body, rows.len(), values)?,
        Token::Text => {
            let count = rows.len();
            let mut rows = rows.iter_mut().enumerate();
            return texts::take(body, count, values, |word, text| {
                let (number, row) = rows.next()?;
                put_text(row, !SIFTED || *kept.get(number)?, word, text, block)
            });
        }
    }
    let rows = (rows, kept);
    match token {
        Token::Integer(1) => scatter::<1, SIFTED>(rows, values, block, |value| (value as u8).to_le_bytes()),
        Token::Integer(2) => scatter::<2, SIFTED>(rows, values, block, |value| (value as u16).to_le_bytes()),
        Token::Integer(4) => scatter::<4, SIFTED>(rows, values, block, |value| (value as u32).to_le_bytes()),
        _ => scatter::<8, SIFTED>(rows, values, block, u64::to_le_bytes),
    }
}

fn put_text((end, at): &mut (u32, u32), is_kept: bool, word: u32, text: &[u8], block: &mut [u8]) -> Option<()> {
    let field = block.get_mut(*at as usize..*end as usize)?.get_mut(..4 + text.len())?;
    if is_kept {
        let (head, rest) = field.split_at_mut_checked(4)?;
        head.copy_from_slice(&word.to_le_bytes());
        rest.copy_from_slice(text);
    }
    *at += 4 + text.len() as u32;
    Some(())
}

/// Writes the next field of each record.
fn scatter<const N: usize, const SIFTED: bool>(
    (rows, kept): (&mut Rows, &[bool]),
    values: &[u64],
    block: &mut [u8],
    bytes: impl Fn(u64) -> [u8; N],
) -> Option<()> {
    let mut kept = kept.iter();
    for ((end, at), value) in rows.iter_mut().zip(values) {
        let next = *at + N as u32;
        if next > *end {
            return None;
        }
        if !SIFTED || *kept.next()? {
            block.get_mut(*at as usize..next as usize)?.copy_from_slice(&bytes(*value));
        }
        *at = next;
    }
    Some(())
}
