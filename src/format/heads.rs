//! What lines begin with beside their time: level, target and thread are the same in most of the records that follow each
//! other, so what is made of them is kept, for some of them at a time.

use super::digits::{Short, is_same};
use crate::level::Level;
use crate::reader::record::RecordRef;

/// How many are kept. Which place one takes is left to chance: it is found again by where its names stand in memory, and
/// believed only by what they say.
const KEPT: usize = 32;

/// Texts made of level, target, thread and process of a record.
#[derive(Clone, Default, Debug)]
pub(super) struct Heads {
    kept: Vec<Option<Box<Head>>>,
}

#[derive(Clone, Debug)]
struct Head {
    level: Level,
    tid: u32,
    target: String,
    thread: String,
    process: String,
    texts: Vec<Short>,
}

impl Head {
    #[inline]
    fn is_of(&self, record: &RecordRef<'_>) -> bool {
        self.level == record.level
            && self.tid == record.thread.tid
            && is_same(self.target.as_bytes(), record.target.as_bytes())
            && is_same(self.thread.as_bytes(), record.thread.name.as_bytes())
            && is_same(self.process.as_bytes(), record.process.as_bytes())
    }
}

/// The texts of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts<'a>(&'a [Short]);

impl Texts<'_> {
    /// Appends the next of them.
    #[inline(always)]
    pub(super) fn push_next(&mut self, out: &mut Vec<u8>) {
        let Some((text, rest)) = self.0.split_first() else { return };
        text.push(out);
        self.0 = rest;
    }
}

impl Heads {
    /// The texts of a record. Where they are not known, `make` appends them and says after each that it ends.
    #[inline]
    pub(super) fn of(&mut self, record: &RecordRef<'_>, make: impl FnOnce(&mut Vec<u8>, &mut Vec<usize>)) -> Texts<'_> {
        let place = place(record);
        let known = self.kept.get(place).and_then(Option::as_ref).is_some_and(|head| head.is_of(record));
        if !known {
            self.learn(place, record, make);
        }
        match self.kept.get(place) {
            Some(Some(head)) => Texts(&head.texts),
            _ => Texts(&[]),
        }
    }

    #[cold]
    fn learn(&mut self, place: usize, record: &RecordRef<'_>, make: impl FnOnce(&mut Vec<u8>, &mut Vec<usize>)) {
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT, || None);
        }
        let Some(kept) = self.kept.get_mut(place) else { return };
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        make(&mut text, &mut ends);
        let begins = std::iter::once(&0).chain(&ends);
        let texts = begins.zip(&ends).map(|(begin, end)| Short::of(text.get(*begin..*end).unwrap_or_default()));
        *kept = Some(Box::new(Head {
            level: record.level,
            tid: record.thread.tid,
            target: record.target.to_owned(),
            thread: record.thread.name.clone(),
            process: record.process.to_owned(),
            texts: texts.collect(),
        }));
    }
}

#[inline]
fn place(record: &RecordRef<'_>) -> usize {
    let names = record.target.as_ptr().addr() ^ core::ptr::from_ref(record.thread).addr() << 1;
    // Memory is given out in steps of 8 or more.
    ((names >> 3) ^ (names >> 9) ^ record.level as usize) % KEPT
}
