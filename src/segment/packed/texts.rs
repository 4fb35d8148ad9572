//! A column of texts.
//!
//! ```text
//! texts := 0 │ column of count words │ bytes …                            one behind the other
//!        │ 1 │ count │ ( count word │ bytes ) … │ column of indices      few distinct ones
//!        │ 2 │ count word │ all first bytes, all second …                all of one length, as ids are
//! ```

use super::body::Body;
use super::{column, varint};
use crate::segment::layout::u32_at;
use crate::value::CUT;
use flate2::{Compress, Compression, FlushCompress};
use std::collections::HashMap;

/// Forms.
const PLAIN: u8 = 0;
const FEW: u8 = 1;
const PLANES: u8 = 2;

/// The most distinct texts that are listed once, with an index for each record.
const FEW_MAX: usize = 256;
/// One of so many texts may be distinct at most.
const FEW_PART: usize = 4;
/// The longest texts that are put in planes.
const PLANES_MAX: usize = 64;
/// Texts by which is tried whether they are better in planes.
const SAMPLE: usize = 128;

/// Appends the next field of each record, and moves on behind it. `values` are used up.
pub(super) fn put(records: &mut [(&[u8], usize)], values: &mut Vec<u64>, out: &mut Body) {
    let mut texts = Vec::with_capacity(records.len());
    for (payload, at) in records.iter_mut() {
        let bytes = (u32_at(payload, *at) & !CUT) as usize;
        let text = payload.get(*at..*at + 4 + bytes).unwrap_or_default();
        *at += text.len();
        texts.push(text);
    }
    if put_few(&texts, values, out) || put_planes(&texts, out) {
        return;
    }
    out.bytes.push(PLAIN);
    values.clear();
    values.extend(texts.iter().map(|text| u64::from(u32_at(text, 0))));
    column::put(out, values);
    out.part(texts.iter().flat_map(bytes_of).copied());
}

/// What stands behind the count word.
fn bytes_of<'a>(text: &&'a [u8]) -> &'a [u8] {
    text.get(4..).unwrap_or_default()
}

fn put_few(texts: &[&[u8]], values: &mut Vec<u64>, out: &mut Body) -> bool {
    let limit = (texts.len() / FEW_PART).clamp(1, FEW_MAX);
    let mut places: HashMap<&[u8], u64> = HashMap::new();
    let mut list = Vec::new();
    for text in texts {
        let index = *places.entry(text).or_insert_with(|| {
            list.push(*text);
            list.len() as u64 - 1
        });
        if list.len() > limit {
            return false;
        }
        values.push(index);
    }
    out.bytes.push(FEW);
    varint::put(&mut out.bytes, list.len() as u64);
    for text in &list {
        varint::put(&mut out.bytes, u64::from(u32_at(text, 0)));
        out.bytes.extend_from_slice(bytes_of(text));
    }
    column::put(out, values);
    true
}

fn put_planes(texts: &[&[u8]], out: &mut Body) -> bool {
    let Some((first, rest)) = texts.split_first() else { return false };
    let (word, bytes) = (u32_at(first, 0), bytes_of(first).len());
    if bytes == 0 || bytes > PLANES_MAX || rest.iter().any(|text| u32_at(text, 0) != word) {
        return false;
    }
    let sample = texts.get(..SAMPLE).unwrap_or(texts);
    let planes: Vec<u8> = (0..bytes).flat_map(|place| plane(sample, place)).collect();
    let lines: Vec<u8> = sample.iter().flat_map(bytes_of).copied().collect();
    if deflated_bytes(&planes) >= deflated_bytes(&lines) {
        return false;
    }
    out.bytes.push(PLANES);
    varint::put(&mut out.bytes, u64::from(word));
    (0..bytes).for_each(|place| out.part(plane(texts, place)));
    true
}

/// The byte at this place of each text.
fn plane(texts: &[&[u8]], place: usize) -> impl Iterator<Item = u8> {
    texts.iter().filter_map(move |text| text.get(4 + place).copied())
}

fn deflated_bytes(bytes: &[u8]) -> usize {
    let mut out = Vec::with_capacity(2 * bytes.len() + 64);
    let done = Compress::new(Compression::fast(), false).compress_vec(bytes, &mut out, FlushCompress::Finish);
    done.map_or(usize::MAX, |_| out.len())
}

/// Texts of `count` records, each a count word and bytes, taken off the front of `body`. They are given to `put`, in their order; what is none
/// is refused.
pub(super) fn take(
    body: &mut &[u8],
    count: usize,
    values: &mut Vec<u64>,
    mut put: impl FnMut(u32, &[u8]) -> Option<()>,
) -> Option<()> {
    let length = |word: u64| Some((u32::try_from(word).ok()?, (word as u32 & !CUT) as usize));
    match *varint::take_bytes(body, 1)?.first()? {
        FEW => {
            let mut list = Vec::new();
            for _ in 0..varint::take_length(body, count)? {
                let (word, bytes) = length(varint::take(body)?)?;
                list.push((word, varint::take_bytes(body, bytes)?));
            }
            column::take(body, count, values)?;
            for index in values {
                let (word, text) = list.get(usize::try_from(*index).ok()?)?;
                put(*word, text)?;
            }
        }
        PLAIN => {
            column::take(body, count, values)?;
            for word in values {
                let (word, bytes) = length(*word)?;
                put(word, varint::take_bytes(body, bytes)?)?;
            }
        }
        PLANES => {
            let (word, bytes) = length(varint::take(body)?)?;
            let planes = varint::take_bytes(body, bytes.checked_mul(count)?)?;
            let mut text = vec![0; if count == 0 { 0 } else { bytes }];
            for record in 0..count {
                for (byte, plane) in text.iter_mut().zip(planes.chunks_exact(count)) {
                    *byte = *plane.get(record)?;
                }
                put(word, &text)?;
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form_of(texts: &[Vec<u8>]) -> (u8, usize) {
        let fields: Vec<Vec<u8>> =
            texts.iter().map(|text| [&(text.len() as u32).to_le_bytes()[..], text].concat()).collect();
        let mut records: Vec<(&[u8], usize)> = fields.iter().map(|field| (field.as_slice(), 0)).collect();
        let mut body = Body::default();
        put(&mut records, &mut Vec::new(), &mut body);
        assert!(records.iter().all(|(payload, at)| *at == payload.len()));
        let (mut rest, mut back) = (body.bytes.as_slice(), Vec::new());
        let take_one = |word, text: &[u8]| {
            back.push([&u32::to_le_bytes(word)[..], text].concat());
            Some(())
        };
        take(&mut rest, texts.len(), &mut Vec::new(), take_one).unwrap();
        assert!(rest.is_empty() && back == fields);
        (body.bytes[0], deflated_bytes(&body.bytes))
    }

    #[test]
    fn each_kind_of_text_finds_its_form() {
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        let texts = |text: &dyn Fn(u64) -> String| (0..2000).map(|n| text(n).into_bytes()).collect::<Vec<_>>();
        assert_eq!(form_of(&texts(&|n| ["BTC", "ETHER"][n as usize % 2].to_owned())).0, FEW);
        assert_eq!(form_of(&texts(&|n| "word ".repeat(hash(n) as usize % 9))).0, FEW);
        assert_eq!(form_of(&texts(&|n| format!("order {n}"))).0, PLAIN);
        let (form, bytes) = form_of(&texts(&|n| format!("order-{:08x}", hash(n) as u32)));
        assert!((form, bytes < 2000 * 5) == (PLANES, true), "{form}, {bytes}");
    }

    proptest! {
        #[test]
        fn any_texts_come_back(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..300),
            same in prop::collection::vec(any::<[u8; 7]>(), 1..300),
        ) {
            form_of(&texts);
            form_of(&same.iter().map(|text| text.to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0..300_usize) {
            let _ = take(&mut bytes.as_slice(), count, &mut Vec::new(), |_, _| Some(()));
        }
    }
}
