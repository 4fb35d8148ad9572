//! Strings.

use super::{CUT, DisplayValue, Encode, Type, Value};

/// A string on its way into a record.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Text that is UTF-8 in all but name: a formatted text whose scratch area was reused is still only bytes.
    pub(super) const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Writes the count word and the first `len` bytes.
    ///
    /// # Safety
    ///
    /// `out` is valid for writes of `4 + len` bytes, and `len` is at most the length of the text.
    #[inline(always)]
    pub(super) unsafe fn encode_first(&self, out: *mut u8, len: usize, cut: bool) -> *mut u8 {
        let count = len as u32 & !CUT | if cut { CUT } else { 0 };
        // SAFETY: the caller vouches for the four bytes of the count and more.
        let out = unsafe { count.encode(out) };
        // SAFETY: the caller vouches for `len` bytes in both; a record under construction overlaps no borrowed text.
        unsafe { out.copy_from_nonoverlapping(self.0.as_ptr(), len) };
        // SAFETY: the end of what was written.
        unsafe { out.add(len) }
    }

    /// The longest prefix of at most `max` bytes that ends at a character.
    pub(super) fn boundary(&self, max: usize) -> usize {
        let mut end = max.min(self.0.len());
        while self.0.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) && end > 0 {
            end -= 1;
        }
        end
    }
}

// SAFETY: count word and bytes make `4 + len`; a cut text takes from `spare` what it writes behind the count word.
unsafe impl Encode for Text<'_> {
    const FIXED: Option<usize> = None;

    #[inline(always)]
    fn bytes(&self) -> usize {
        4 + self.0.len()
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        4
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the caller vouches for `bytes()`, which is `4 + len`.
        unsafe { self.encode_first(out, self.0.len(), false) }
    }

    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        let len = self.boundary(*spare);
        *spare -= len;
        // SAFETY: the caller vouches for `4 + spare` bytes, and `len` was at most `spare` and the length of the text.
        unsafe { self.encode_first(out, len, len < self.0.len()) }
    }
}

impl Value for str {
    type Parts<'a> = Text<'a>;
    const TYPE: &'static Type = &Type::Str;

    #[inline(always)]
    fn parts(&self) -> Text<'_> {
        Text(self.as_bytes())
    }
}

impl Value for String {
    type Parts<'a> = Text<'a>;
    const TYPE: &'static Type = &Type::Str;

    #[inline(always)]
    fn parts(&self) -> Text<'_> {
        Text(self.as_bytes())
    }
}

impl DisplayValue for str {}
impl DisplayValue for String {}
