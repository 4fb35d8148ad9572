//! From the bytes of a segment to the body of a block.

use super::body::Body;
use super::shape::{Shape, Sites, Token};
use super::varint::{self, zigzag};
use super::{BODY_MAGIC, column, decimal, texts};
use crate::segment::layout::{
    FRAME_HEADER_BYTES, Kind, SITE_INLINE, UNIT_BYTES, WRITER_RING, array, bare_site, u32_at, u64_at,
};
use crate::segment::scan::{Frame, Item, Scanner, Tail};
use std::collections::HashMap;
use std::rc::Rc;

/// Fields of a group that a later one is compared with.
const SAME_MAX: usize = 16;

/// What a block says of its records without being unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// Frames of threads.
    pub records: u32,
    /// Least and greatest tick of them; the least is above the greatest where there are none.
    pub ticks: (u64, u64),
    /// A bit for the number of each of their levels; all, where it is not known. Bit 0: the block has more than records,
    /// watermarks and anchors, be it damage, so who does not read it would miss something.
    pub levels: u32,
    /// The greatest watermark in it; 0, where there is none.
    pub watermark: u64,
    /// The last anchor in it; without a rate, where there is none.
    pub anchor: Stated,
}

/// A time that the writer stated: [`Kind::Anchor`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stated {
    /// From this tick on it holds.
    pub ticks: u64,
    /// Nanoseconds since the Unix epoch at that tick.
    pub unix_ns: i64,
    /// Nanoseconds per tick, times 2^32.
    pub rate: u64,
}

impl Default for Outline {
    fn default() -> Self {
        Self { records: 0, ticks: (u64::MAX, 0), levels: 0, watermark: 0, anchor: Stated::default() }
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
    out: &mut Body,
) -> (usize, Outline) {
    let mut parts = Parts::default();
    let (taken, outline) = take_apart(bytes, head, salt, last, sites, &mut parts);
    out.bytes.extend_from_slice(&BODY_MAGIC);
    put_gaps(&parts, out);
    put_heads(&parts, out);
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
    let (mut recent, mut anchors) = (None, 0);
    for item in scanner.by_ref() {
        let frame = match item {
            Item::Frame { frame, .. } => frame,
            Item::Damage { offset, bytes: count } => {
                let from = offset as usize;
                outline.levels |= SAID;
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
            match frame.kind() {
                Some(Kind::Watermark) => outline.watermark = outline.watermark.max(frame.ticks),
                Some(Kind::Anchor) => {
                    let (unix_ns, rate) = (u64_at(frame.payload, 0).cast_signed(), u64_at(frame.payload, 8));
                    outline.anchor = Stated { ticks: frame.ticks, unix_ns, rate };
                    anchors += 1;
                }
                _ => outline.levels |= SAID,
            }
        } else {
            outline.records += 1;
            outline.ticks = (outline.ticks.0.min(frame.ticks), outline.ticks.1.max(frame.ticks));
            outline.levels |= level.map_or(ANY, |level| 1 << (level & 31));
        }
    }
    let Stated { ticks, rate, .. } = outline.anchor;
    // Records behind the block that come before its last anchor are converted by the one before, which nobody would know
    // who did not read it.
    if anchors > 0 && (rate == 0 || (anchors > 1 && ticks > outline.ticks.1)) {
        outline.levels |= SAID;
    }
    (scanner.position() as usize, outline)
}

fn put_gaps(parts: &Parts<'_>, out: &mut Body) {
    let bytes = &mut out.bytes;
    varint::put(bytes, parts.frames.len() as u64);
    varint::put(bytes, parts.gaps.len() as u64);
    let mut before = 0;
    for (frame, gap) in &parts.gaps {
        varint::put(bytes, (frame - before) as u64);
        varint::put(bytes, gap.len() as u64);
        before = *frame;
    }
    out.cut();
    parts.gaps.iter().for_each(|(_, gap)| out.bytes.extend_from_slice(gap));
    out.cut();
}

/// A ring in a block.
struct Ring {
    number: u16,
    /// Before its first frame.
    first: (u64, u32),
    /// Of the last one.
    ticks: u64,
    seq: u32,
    /// From frame to frame.
    steps: Vec<u64>,
}

/// The headers of all frames: rings, numbers and ticks as differences to what is likely.
fn put_heads(parts: &Parts<'_>, out: &mut Body) {
    let frames = &parts.frames;
    let (mut places, mut rings): (HashMap<u16, usize>, Vec<Ring>) = (HashMap::new(), Vec::new());
    // The ring that a group had last.
    let mut lasts = vec![None; parts.groups.len()];
    let mut columns = [const { Vec::new() }; 3];
    columns.iter_mut().for_each(|column| column.reserve(frames.len()));
    let mut recent = None;
    for (frame, group) in frames {
        let index = match recent {
            Some((ring, index)) if ring == frame.ring => index,
            _ => *places.entry(frame.ring).or_insert_with(|| {
                let before = if frame.ring == WRITER_RING { frame.seq } else { frame.seq.wrapping_sub(1) };
                let (ticks, first) = (frame.ticks, (frame.ticks, before));
                rings.push(Ring { number: frame.ring, first, ticks, seq: before, steps: Vec::new() });
                rings.len() - 1
            }),
        };
        recent = Some((frame.ring, index));
        let (Some(ring), Some(last)) = (rings.get_mut(index), lasts.get_mut(*group as usize)) else { continue };
        let next = if frame.ring == WRITER_RING { ring.seq } else { ring.seq.wrapping_add(1) };
        let step = frame.seq.wrapping_sub(next).cast_signed();
        let [groups, indices, seqs] = &mut columns;
        groups.push(u64::from(*group));
        indices.push(if *last == Some(index) { 0 } else { 1 + index as u64 });
        seqs.push(zigzag(i64::from(step).cast_unsigned()));
        ring.steps.push(zigzag(frame.ticks.wrapping_sub(ring.ticks)));
        (ring.ticks, ring.seq) = (frame.ticks, frame.seq);
        *last = Some(index);
    }
    varint::put(&mut out.bytes, rings.len() as u64);
    let mut before = 0;
    for Ring { number, first: (ticks, seq), .. } in &rings {
        varint::put(&mut out.bytes, u64::from(*number));
        varint::put(&mut out.bytes, zigzag(ticks.wrapping_sub(before)));
        varint::put(&mut out.bytes, u64::from(*seq));
        before = *ticks;
    }
    columns.iter_mut().for_each(|column| column::put(out, column));
    rings.iter_mut().for_each(|ring| column::put(out, &mut ring.steps));
}

fn put_groups(parts: &mut Parts<'_>, out: &mut Body) {
    varint::put(&mut out.bytes, parts.groups.len() as u64);
    let mut values = Vec::new();
    for ((own, site), group) in parts.keys.iter().zip(&parts.groups) {
        varint::put(&mut out.bytes, u64::from(*site) << 1 | u64::from(*own));
        match &group.shape {
            Some(shape) => shape.put(&mut out.bytes),
            None => Shape::default().put(&mut out.bytes),
        }
        values.clear();
        let units = |payload: &[u8]| ((payload.len() + FRAME_HEADER_BYTES) / UNIT_BYTES) as u64;
        values.extend(group.records.iter().map(|(payload, _)| units(payload)));
        column::put(out, &mut values);
    }
    for group in &mut parts.groups {
        put_fields(group, out);
        let rest = group.records.iter().flat_map(|(payload, at)| payload.get(*at..).unwrap_or_default());
        out.part(rest.copied());
    }
}

/// All fields of a group. What a call says twice, as an argument of its message and as a field, is put once.
fn put_fields(group: &mut Group<'_>, out: &mut Body) {
    let shape = group.shape.take().unwrap_or_default();
    let mut before: Vec<(usize, Token, Vec<u64>)> = Vec::new();
    for (number, token) in shape.tokens.iter().enumerate() {
        let mut values = Vec::with_capacity(group.records.len());
        let bytes = match token {
            Token::Text => {
                out.bytes.push(0);
                texts::put(&mut group.records, &mut values, out);
                continue;
            }
            Token::Integer(bytes) => usize::from(*bytes),
            Token::Float => 8,
        };
        take_integers(&mut group.records, bytes, &mut values);
        if let Some((same, ..)) = before.iter().find(|(_, of, known)| of == token && *known == values) {
            varint::put(&mut out.bytes, 1 + *same as u64);
            continue;
        }
        out.bytes.push(0);
        // What is always the same takes two bytes anyway.
        if before.len() < SAME_MAX && values.windows(2).any(|pair| matches!(pair, [one, next] if one != next)) {
            before.push((number, *token, values.clone()));
        }
        if *token == Token::Float { decimal::put(out, &mut values) } else { column::put(out, &mut values) }
    }
}

/// The next field of each record, which has so many bytes.
fn take_integers(records: &mut [(&[u8], usize)], bytes: usize, values: &mut Vec<u64>) {
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
