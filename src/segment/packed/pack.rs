//! From the bytes of a segment to the body of a block.

use super::shape::{Shape, Sites, Token};
use super::varint::{self, zigzag};
use super::{BODY_MAGIC, column, decimal};
use crate::segment::layout::{
    FRAME_HEADER_BYTES, Kind, SITE_INLINE, UNIT_BYTES, WRITER_RING, array, bare_site, u32_at, u64_at,
};
use crate::segment::scan::{Frame, Item, Scanner, Tail};
use crate::value::CUT;
use std::collections::HashMap;
use std::rc::Rc;

/// The most distinct texts of a field that are listed once, with an index for each record.
const TEXTS_MAX: usize = 256;
/// One of so many texts may be distinct at most.
const TEXTS_PART: usize = 4;

/// What a block says of its records without being unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// Frames of threads.
    pub records: u32,
    /// Least and greatest tick of them; the least is above the greatest where there are none.
    pub ticks: (u64, u64),
    /// A bit for the number of each of their levels; all, where it is not known. Bit 0: the writer says something too that is
    /// more than a watermark.
    pub levels: u32,
}

impl Default for Outline {
    fn default() -> Self {
        Self { records: 0, ticks: (u64::MAX, 0), levels: 0 }
    }
}

/// Bit 0 of [`Outline::levels`].
pub const SAID: u32 = 1;
/// All of the bits.
const ANY: u32 = u32::MAX;

/// Records that have the same fields.
struct Group<'a> {
    shape: Option<Rc<Shape>>,
    /// Each with how much of its payload was put already.
    records: Vec<(&'a [u8], usize)>,
}

/// The front of a segment's bytes, taken apart.
#[derive(Default)]
struct Parts<'a> {
    frames: Vec<(Frame<'a>, u32)>,
    /// Bytes that are no frame, and the number of the frame that they stand before.
    gaps: Vec<(usize, &'a [u8])>,
    /// Whether the writer's, and site, of each group.
    keys: Vec<(bool, u32)>,
    groups: Vec<Group<'a>>,
}

/// Packs the front of `bytes`, which stand at a multiple of 8, into `out`; `head` of them are no frame. Says how many bytes
/// were taken: all where they are the last ones, else up to the last frame that is whole.
pub(super) fn pack(
    bytes: &[u8],
    head: usize,
    salt: u32,
    last: bool,
    sites: &mut Sites,
    out: &mut Vec<u8>,
) -> (usize, Outline) {
    let mut parts = Parts::default();
    let (taken, outline) = take_apart(bytes, head, salt, last, sites, &mut parts);
    out.extend_from_slice(&BODY_MAGIC);
    put_gaps(&parts, out);
    put_heads(&parts.frames, out);
    put_groups(&mut parts, out);
    (taken, outline)
}

fn take_apart<'a>(
    bytes: &'a [u8],
    head: usize,
    salt: u32,
    last: bool,
    sites: &mut Sites,
    parts: &mut Parts<'a>,
) -> (usize, Outline) {
    let head = head.min(bytes.len());
    let tail = if last { Tail::Final } else { Tail::Window };
    let mut scanner = Scanner::new(bytes.get(head..).unwrap_or_default(), head as u64, salt, tail);
    let mut places: HashMap<(bool, u32, *const Shape), u32> = HashMap::new();
    let mut outline = Outline::default();
    if head > 0 {
        parts.gaps.push((0, bytes.get(..head).unwrap_or_default()));
    }
    let mut recent = None;
    for item in scanner.by_ref() {
        let frame = match item {
            Item::Frame { frame, .. } => frame,
            Item::Damage { offset, bytes: count } => {
                let from = offset as usize;
                parts.gaps.push((parts.frames.len(), bytes.get(from..from + count as usize).unwrap_or_default()));
                continue;
            }
        };
        let own = frame.ring == WRITER_RING;
        let (level, shape) = match (own, bare_site(frame.site)) {
            (true, _) => {
                if frame.kind() == Some(Kind::Site) {
                    sites.define(frame.payload);
                }
                (None, None)
            }
            (false, SITE_INLINE) => (None, None),
            (false, site) => sites.get(site).map_or((None, None), |(level, shape)| (Some(level), Some(shape))),
        };
        let shape = shape.filter(|shape| shape.fits(frame.payload));
        // By the shape itself: a site may be defined anew, with other types.
        let key = (own, frame.site, shape.map_or(std::ptr::null(), Rc::as_ptr));
        let group = match recent {
            Some((of, group)) if of == key => group,
            _ => *places.entry(key).or_insert_with(|| {
                parts.keys.push((own, frame.site));
                parts.groups.push(Group { shape: shape.cloned(), records: Vec::new() });
                parts.groups.len() as u32 - 1
            }),
        };
        recent = Some((key, group));
        if let Some(group) = parts.groups.get_mut(group as usize) {
            group.records.push((frame.payload, 0));
        }
        parts.frames.push((frame, group));
        if own {
            outline.levels |= if frame.kind() == Some(Kind::Watermark) { 0 } else { SAID };
        } else {
            outline.records += 1;
            outline.ticks = (outline.ticks.0.min(frame.ticks), outline.ticks.1.max(frame.ticks));
            outline.levels |= level.map_or(ANY, |level| 1 << (level & 31));
        }
    }
    (scanner.position() as usize, outline)
}

fn put_gaps(parts: &Parts<'_>, out: &mut Vec<u8>) {
    varint::put(out, parts.frames.len() as u64);
    varint::put(out, parts.gaps.len() as u64);
    let mut before = 0;
    for (frame, bytes) in &parts.gaps {
        varint::put(out, (frame - before) as u64);
        varint::put(out, bytes.len() as u64);
        before = *frame;
    }
    parts.gaps.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
}

/// The headers of all frames: rings, numbers and ticks as differences to what is likely.
fn put_heads(frames: &[(Frame<'_>, u32)], out: &mut Vec<u8>) {
    let mut rings: HashMap<u16, usize> = HashMap::new();
    let mut states: Vec<(u16, u64, u32)> = Vec::new();
    let mut columns = [const { Vec::new() }; 4];
    columns.iter_mut().for_each(|column| column.reserve(frames.len()));
    let mut firsts = Vec::new();
    let mut recent = None;
    for (frame, group) in frames {
        let index = match recent {
            Some((ring, index)) if ring == frame.ring => index,
            _ => *rings.entry(frame.ring).or_insert_with(|| {
                let before = if frame.ring == WRITER_RING { frame.seq } else { frame.seq.wrapping_sub(1) };
                states.push((frame.ring, frame.ticks, before));
                firsts.push((frame.ring, frame.ticks, before));
                states.len() - 1
            }),
        };
        recent = Some((frame.ring, index));
        let Some((_, ticks, seq)) = states.get_mut(index) else { continue };
        let next = if frame.ring == WRITER_RING { *seq } else { seq.wrapping_add(1) };
        let step = frame.seq.wrapping_sub(next).cast_signed();
        let [indices, groups, seqs, times] = &mut columns;
        indices.push(index as u64);
        groups.push(u64::from(*group));
        seqs.push(zigzag(i64::from(step).cast_unsigned()));
        times.push(zigzag(frame.ticks.wrapping_sub(*ticks)));
        (*ticks, *seq) = (frame.ticks, frame.seq);
    }
    varint::put(out, firsts.len() as u64);
    let mut before = 0;
    for (ring, ticks, seq) in firsts {
        varint::put(out, u64::from(ring));
        varint::put(out, zigzag(ticks.wrapping_sub(before)));
        varint::put(out, u64::from(seq));
        before = ticks;
    }
    columns.iter_mut().for_each(|column| column::put(out, column));
}

fn put_groups(parts: &mut Parts<'_>, out: &mut Vec<u8>) {
    varint::put(out, parts.groups.len() as u64);
    let mut values = Vec::new();
    for ((own, site), group) in parts.keys.iter().zip(&parts.groups) {
        varint::put(out, u64::from(*site) << 1 | u64::from(*own));
        match &group.shape {
            Some(shape) => shape.put(out),
            None => Shape::default().put(out),
        }
        values.clear();
        let units = |payload: &[u8]| ((payload.len() + FRAME_HEADER_BYTES) / UNIT_BYTES) as u64;
        values.extend(group.records.iter().map(|(payload, _)| units(payload)));
        column::put(out, &mut values);
    }
    for group in &mut parts.groups {
        let shape = group.shape.take().unwrap_or_default();
        for token in &shape.tokens {
            values.clear();
            match token {
                Token::Integer(bytes) => {
                    put_integers(&mut group.records, usize::from(*bytes), &mut values);
                    column::put(out, &mut values);
                }
                Token::Float => {
                    put_integers(&mut group.records, 8, &mut values);
                    decimal::put(out, &mut values);
                }
                Token::Text => put_texts(&mut group.records, &mut values, out),
            }
        }
        for (payload, at) in &group.records {
            out.extend_from_slice(payload.get(*at..).unwrap_or_default());
        }
    }
}

/// The next field of each record, which has so many bytes.
fn put_integers(records: &mut [(&[u8], usize)], bytes: usize, values: &mut Vec<u64>) {
    for (payload, at) in records {
        values.push(match bytes {
            1 => u64::from(u8::from_le_bytes(array(payload, *at))),
            2 => u64::from(u16::from_le_bytes(array(payload, *at))),
            4 => u64::from(u32_at(payload, *at)),
            _ => u64_at(payload, *at),
        });
        *at += bytes;
    }
}

/// The next field of each record, a text. Few distinct ones are listed once: `1 │ count │ ( count word │ bytes ) … │ column of
/// indices`, others one behind the other: `0 │ column of count words │ bytes`.
fn put_texts(records: &mut [(&[u8], usize)], values: &mut Vec<u64>, out: &mut Vec<u8>) {
    let mut texts = Vec::with_capacity(records.len());
    for (payload, at) in records.iter_mut() {
        let bytes = (u32_at(payload, *at) & !CUT) as usize;
        let text = payload.get(*at..*at + 4 + bytes).unwrap_or_default();
        *at += text.len();
        texts.push(text);
    }
    let limit = (texts.len() / TEXTS_PART).clamp(1, TEXTS_MAX);
    let mut places: HashMap<&[u8], u64> = HashMap::new();
    let mut list = Vec::new();
    for text in &texts {
        let index = *places.entry(text).or_insert_with(|| {
            list.push(*text);
            list.len() as u64 - 1
        });
        if list.len() > limit {
            break;
        }
        values.push(index);
    }
    if list.len() <= limit {
        out.push(1);
        varint::put(out, list.len() as u64);
        for text in list {
            varint::put(out, u64::from(u32_at(text, 0)));
            out.extend_from_slice(text.get(4..).unwrap_or_default());
        }
        return column::put(out, values);
    }
    out.push(0);
    values.clear();
    values.extend(texts.iter().map(|text| u64::from(u32_at(text, 0))));
    column::put(out, values);
    texts.iter().for_each(|text| out.extend_from_slice(text.get(4..).unwrap_or_default()));
}
