//! The values of one call, as they are handed out: the message as text, the fields as the bytes of a record's payload, and
//! beside them the fields' shape, their names and types, by which the definition is found. Pure.
//!
//! ```text
//! shape   := ( kind, 1 │ bytes of the name, 2 │ name ) …
//! values  := the value of each field, as `crate::value` draws it
//! payload := │ count, 4 │ message │ values │
//! ```
//!
//! Each thread keeps its draft, so that none of this allocates in the long run; a call within a call, by a `Display` that
//! logs, gets another one.

use crate::config::RECORD_BYTES_LIMIT;
use crate::value::{CUT, Type};
use std::cell::Cell;
use std::fmt::{self, Write};

/// What a shape may take; fields beyond it are counted in a last one, [`LEFT_OUT`].
const SHAPE_BYTES_MAX: usize = 8 << 10;
/// What values may take. A text gets half of what is left at most, so that there is room for the fields behind it; the first
/// one gets as much as a record can hold.
const VALUES_BYTES_MAX: usize = 2 * RECORD_BYTES_LIMIT;
/// What a thread's draft has room for at first.
const FIRST_BYTES: usize = 1 << 10;
/// The name of a field that says how many there was no room for.
const LEFT_OUT: &str = "fields_left_out";

thread_local! {
    static KEPT: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}

/// Makes the calling thread's draft, so that its first call need not.
pub(crate) fn prepare() {
    with(|_| ());
}

/// Calls `f` with an empty draft.
pub(super) fn with<T>(f: impl FnOnce(&mut Draft) -> T) -> T {
    let mut kept = Keeper(KEPT.try_with(Cell::take).ok().flatten());
    let draft = kept.0.get_or_insert_with(Box::default);
    draft.clear();
    f(draft)
}

/// Gives the draft back, also when a `Display` panics.
struct Keeper(Option<Box<Draft>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        let draft = self.0.take();
        // Where the thread's locals are gone, so is the draft.
        let _ = KEPT.try_with(|kept| kept.set(draft));
    }
}

/// The type of a field, one byte in a shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum FieldKind {
    U64,
    I64,
    U128,
    I128,
    F64,
    Bool,
    Char,
    Null,
    Str,
    Formatted,
    Bytes,
}

impl FieldKind {
    const ALL: [Self; 11] = [
        Self::U64,
        Self::I64,
        Self::U128,
        Self::I128,
        Self::F64,
        Self::Bool,
        Self::Char,
        Self::Null,
        Self::Str,
        Self::Formatted,
        Self::Bytes,
    ];

    /// As it stands in a definition.
    pub(super) fn ty(self) -> &'static Type {
        match self {
            Self::U64 => &Type::U64,
            Self::I64 => &Type::I64,
            Self::U128 => &Type::U128,
            Self::I128 => &Type::I128,
            Self::F64 => &Type::F64,
            Self::Bool => &Type::Bool,
            Self::Char => &Type::Char,
            // Always the one byte that says `None`.
            Self::Null => &Type::Option(&Type::Unit),
            Self::Str => &Type::Str,
            Self::Formatted => &Type::Formatted,
            Self::Bytes => &Type::Seq(&Type::U8),
        }
    }

    /// The bytes of a value, where all have the same.
    fn fixed(self) -> Option<usize> {
        match self {
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::U128 | Self::I128 => Some(16),
            Self::Bool | Self::Null => Some(1),
            Self::Char => Some(4),
            Self::Str | Self::Formatted | Self::Bytes => None,
        }
    }
}

/// One field of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldRef<'a> {
    pub(super) name: &'a str,
    pub(super) kind: FieldKind,
    /// The value.
    pub(super) value: &'a [u8],
}

/// Fields: their shape and their values.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Fields {
    pub(super) shape: Vec<u8>,
    pub(super) values: Vec<u8>,
    left_out: u64,
}

impl Fields {
    fn clear(&mut self) {
        self.shape.clear();
        self.values.clear();
        self.left_out = 0;
    }

    /// A value of fixed size.
    #[inline]
    pub(super) fn push(&mut self, name: &str, kind: FieldKind, value: &[u8]) {
        if self.begin(name, kind, value.len()) {
            self.values.extend_from_slice(value);
        }
    }

    /// A text, or bytes.
    #[inline]
    pub(super) fn push_text(&mut self, name: &str, kind: FieldKind, text: &[u8]) {
        if self.begin(name, kind, 4) {
            let room = self.text_room();
            put_text(&mut self.values, kind, text, room);
        }
    }

    /// A value that formats itself.
    pub(super) fn push_formatted(&mut self, name: &str, arguments: fmt::Arguments<'_>) {
        if !self.begin(name, FieldKind::Formatted, 4) {
            return;
        }
        let count_at = self.values.len();
        self.values.extend_from_slice(&[0; 4]);
        let room = self.text_room();
        let cut = format_into(&mut self.values, arguments, room);
        let count = (self.values.len() - count_at - 4) as u32 | if cut { CUT } else { 0 };
        if let Some(place) = self.values.get_mut(count_at..count_at + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Appends the fields of `others`, those excepted whose names are there.
    pub(super) fn append_unshadowed(&mut self, others: &Self) {
        if self.shape.is_empty()
            && others.shape.len() <= SHAPE_BYTES_MAX
            && self.values.len() + others.values.len() <= VALUES_BYTES_MAX
        {
            self.shape.extend_from_slice(&others.shape);
            self.values.extend_from_slice(&others.values);
            return;
        }
        let mine = self.shape.len();
        for field in others.iter() {
            let known = self.shape.get(..mine).unwrap_or_default();
            if !names(known).any(|(_, name)| name == field.name.as_bytes())
                && self.begin(field.name, field.kind, field.value.len())
            {
                self.values.extend_from_slice(field.value);
            }
        }
    }

    /// Appends those of `others` whose names are wanted.
    #[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "for `tracing-log`"))]
    pub(super) fn append_chosen(&mut self, others: &Self, wanted: impl Fn(&str) -> bool) {
        for field in others.iter().filter(|field| wanted(field.name)) {
            if self.begin(field.name, field.kind, field.value.len()) {
                self.values.extend_from_slice(field.value);
            }
        }
    }

    /// All fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> {
        fields(&self.shape, &self.values)
    }

    /// What a text may take, behind its count.
    fn text_room(&self) -> usize {
        VALUES_BYTES_MAX.saturating_sub(self.values.len()) / 2
    }

    /// Says how many fields there was no room for, if any.
    pub(super) fn finish(&mut self) {
        if self.left_out > 0 {
            put_name(&mut self.shape, LEFT_OUT, FieldKind::U64);
            self.values.extend_from_slice(&self.left_out.to_le_bytes());
        }
    }

    /// The name of a field whose value follows; `false` when there is no room.
    #[inline]
    fn begin(&mut self, name: &str, kind: FieldKind, bytes: usize) -> bool {
        let fits =
            self.shape.len() + 3 + name.len() <= SHAPE_BYTES_MAX && self.values.len() + bytes <= VALUES_BYTES_MAX;
        if fits {
            put_name(&mut self.shape, name, kind);
        } else {
            self.left_out += 1;
        }
        fits
    }
}

/// A call in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) message: Vec<u8>,
    pub(super) message_cut: bool,
    pub(super) fields: Fields,
}

impl Default for Draft {
    fn default() -> Self {
        let bytes = || Vec::with_capacity(FIRST_BYTES);
        Self { message: bytes(), message_cut: false, fields: Fields { shape: bytes(), values: bytes(), left_out: 0 } }
    }
}

impl Draft {
    fn clear(&mut self) {
        self.message.clear();
        self.message_cut = false;
        self.fields.clear();
    }

    /// The message.
    #[inline]
    pub(super) fn set_message(&mut self, arguments: fmt::Arguments<'_>) {
        match arguments.as_str() {
            Some(text) => self.set_message_text(text),
            None => {
                self.message.clear();
                self.message_cut = format_into(&mut self.message, arguments, RECORD_BYTES_LIMIT);
            }
        }
    }

    /// The message, as it is.
    #[inline]
    pub(super) fn set_message_text(&mut self, text: &str) {
        self.message.clear();
        let end = boundary(text.as_bytes(), RECORD_BYTES_LIMIT);
        self.message.extend_from_slice(text.as_bytes().get(..end).unwrap_or_default());
        self.message_cut = end < text.len();
    }

    /// Bytes of the payload.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        4 + self.message.len() + self.fields.values.len()
    }

    /// The same with every text cut to nothing.
    pub(super) fn bytes_min(&self) -> usize {
        4 + self.fields.iter().map(|field| field.kind.fixed().unwrap_or(4)).sum::<usize>()
    }

    /// The payload with its texts cut to what `spare` holds, the message first.
    pub(super) fn cut(&self, mut spare: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes_min() + spare);
        spare -= put_text(&mut out, FieldKind::Formatted, &self.message, spare);
        if self.message_cut
            && let Some(top) = out.get_mut(3)
        {
            *top |= (CUT >> 24) as u8;
        }
        for field in self.fields.iter() {
            match (field.kind.fixed(), field.value.split_at_checked(4)) {
                (None, Some((count, text))) => {
                    let begin = out.len();
                    spare -= put_text(&mut out, field.kind, text, spare);
                    // What was cut before stays marked.
                    if let (Some(was), Some(top)) = (count.last(), out.get_mut(begin + 3)) {
                        *top |= was & (CUT >> 24) as u8;
                    }
                }
                _ => out.extend_from_slice(field.value),
            }
        }
        out
    }
}

/// Appends a text of at most `room` bytes behind its count, and tells how many those are.
#[inline]
fn put_text(out: &mut Vec<u8>, kind: FieldKind, text: &[u8], room: usize) -> usize {
    let end = if kind == FieldKind::Bytes { text.len().min(room) } else { boundary(text, room) };
    let count = end as u32 | if end < text.len() { CUT } else { 0 };
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(text.get(..end).unwrap_or_default());
    end
}

#[inline]
fn put_name(out: &mut Vec<u8>, name: &str, kind: FieldKind) {
    let [low, high] = (name.len() as u16).to_le_bytes();
    out.extend_from_slice(&[kind as u8, low, high]);
    out.extend_from_slice(name.as_bytes());
}

/// The end of the longest prefix of at most `room` bytes that ends between characters.
#[inline]
fn boundary(text: &[u8], room: usize) -> usize {
    let mut end = room.min(text.len());
    while end > 0 && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    end
}

/// Formats behind what is there; `true` when it was cut to `room` bytes.
fn format_into(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>, room: usize) -> bool {
    struct Room<'a> {
        out: &'a mut Vec<u8>,
        left: usize,
        cut: bool,
    }

    impl Write for Room<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.cut {
                return Err(fmt::Error);
            }
            let end = boundary(text.as_bytes(), self.left);
            self.out.extend_from_slice(text.as_bytes().get(..end).unwrap_or_default());
            self.left -= end;
            self.cut = end < text.len();
            if self.cut { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut out = Room { out, left: room, cut: false };
    // The error is the cut, or the type's own; both leave a text that is worth having.
    let _ = out.write_fmt(arguments);
    out.cut
}

/// The kinds and names of a shape.
pub(super) fn names(mut shape: &[u8]) -> impl Iterator<Item = (FieldKind, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, low, high], rest) = shape.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
        shape = rest;
        Some((*FieldKind::ALL.get(usize::from(*kind))?, name))
    })
}

fn fields<'a>(shape: &'a [u8], mut values: &'a [u8]) -> impl Iterator<Item = FieldRef<'a>> {
    names(shape).map_while(move |(kind, name)| {
        let bytes = match kind.fixed() {
            Some(bytes) => bytes,
            None => 4 + (u32::from_le_bytes(*values.first_chunk()?) & !CUT) as usize,
        };
        let (value, rest) = values.split_at_checked(bytes)?;
        values = rest;
        Some(FieldRef { name: std::str::from_utf8(name).ok()?, kind, value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: &Fields) -> Vec<(String, Vec<u8>)> {
        fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect()
    }

    #[test]
    fn fields_come_back_and_those_of_the_same_name_are_shadowed() {
        let mut inner = Fields::default();
        inner.push("a", FieldKind::U64, &7_u64.to_le_bytes());
        inner.push_text("b", FieldKind::Str, "text".as_bytes());
        let mut outer = Fields::default();
        outer.push_formatted("b", format_args!("{}", 1));
        outer.push("c", FieldKind::Null, &[0]);
        inner.append_unshadowed(&outer);
        let there = texts(&inner);
        assert_eq!(there.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(there[1].1, b"\x04\0\0\0text");
        let mut all = Fields::default();
        all.append_unshadowed(&inner);
        assert_eq!(all, inner);
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters_and_marked_or_counted() {
        let mut draft = Draft::default();
        draft.set_message(format_args!("{}ü", 1));
        draft.fields.push_text("b", FieldKind::Str, "äöü".as_bytes());
        draft.fields.push("n", FieldKind::U64, &[1; 8]);
        assert_eq!((draft.bytes(), draft.bytes_min()), (4 + 3 + 4 + 6 + 8, 4 + 4 + 8));
        let cut = draft.cut(6);
        let wanted: Vec<u8> = [&b"\x03\0\0\0"[..], "1ü".as_bytes(), b"\x02\0\0\x80", "ä".as_bytes(), &[1; 8]].concat();
        assert_eq!(cut, wanted);
        assert_eq!(draft.cut(0), [&b"\0\0\0\x80\0\0\0\x80"[..], &[1; 8]].concat());

        let mut fields = Fields::default();
        for number in 0..2000_u64 {
            fields.push(&format!("a name that takes some room {number}"), FieldKind::U64, &number.to_le_bytes());
        }
        fields.finish();
        let last = fields.iter().last().unwrap();
        let kept = fields.iter().count() as u64 - 1;
        assert_eq!((last.name, last.value), (LEFT_OUT, &(2000 - kept).to_le_bytes()[..]));
        assert!(kept > 100);
    }

    #[test]
    fn a_call_within_a_call_has_a_draft_of_its_own() {
        with(|outer| {
            outer.set_message(format_args!("outer"));
            with(|inner| {
                assert!(inner.message.is_empty());
                inner.set_message(format_args!("inner"));
            });
            assert_eq!(outer.message, b"outer");
        });
        with(|again| assert!(again.message.is_empty()));
    }
}
