//! Reading and writing little-endian bytes: the reader trusts nothing, the writer measures what does not fit.

use core::fmt;

/// Why bytes could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early.
    Truncated,
    /// A number stands for nothing: a level, a type, a variant, a character.
    Unknown,
    /// A text is not UTF-8.
    NotUtf8,
    /// Types are nested beyond the limit.
    TooDeep,
    /// More than the limit allows: types, elements without bytes.
    TooMany,
    /// Bytes were left over.
    Excess,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end too early",
            Self::Unknown => "a number in the bytes stands for nothing",
            Self::NotUtf8 => "a text is not UTF-8",
            Self::TooDeep => "types are nested too deeply",
            Self::TooMany => "there are more types or elements than the limits allow",
            Self::Excess => "bytes are left over",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Reads from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

macro_rules! numbers {
    ($($name:ident)*) => {$(
        /// The next number of this type.
        ///
        /// # Errors
        ///
        /// If too few bytes are left.
        #[inline]
        pub fn $name(&mut self) -> Result<$name, DecodeError> {
            let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
            self.rest = rest;
            Ok($name::from_le_bytes(*bytes))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// From the first byte on.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    numbers! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// If fewer are left.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `len` bytes as text.
    ///
    /// # Errors
    ///
    /// If fewer are left, or they are not UTF-8.
    #[inline]
    pub fn text(&mut self, len: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::NotUtf8)
    }

    /// A text behind its length in four bytes.
    ///
    /// # Errors
    ///
    /// As for [`text`](Self::text).
    pub fn name(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.u32()?;
        self.text(len as usize)
    }
}

/// Writes into a byte slice, and counts what goes beyond its end.
#[derive(Debug)]
pub struct Sink<'a> {
    out: &'a mut [u8],
    bytes: usize,
}

impl<'a> Sink<'a> {
    /// From the first byte on.
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, bytes: 0 }
    }

    /// How many bytes were asked for, written or not.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends bytes, if all of them fit.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.bytes.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.bytes..end) {
            place.copy_from_slice(bytes);
        }
        self.bytes = end;
    }

    /// Appends a text behind its length in four bytes.
    pub fn name(&mut self, text: &str) {
        self.count(text.len());
        self.put(text.as_bytes());
    }

    /// Appends a count in four bytes. Sources of programs hold no counts beyond that.
    pub fn count(&mut self, count: usize) {
        self.put(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }
}
