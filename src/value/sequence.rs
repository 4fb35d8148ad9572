//! Slices and vectors.

use super::{CUT, EMPTY_ELEMENTS_MAX, Encode, Type, Value};

/// A slice on its way into a record, with the size that it had when it was taken apart.
///
/// The elements are taken apart twice, to be measured and to be written, and [`Value::parts`] may be anybody's code. So
/// the size is kept, and writing never goes beyond it.
#[derive(Debug)]
pub struct Slice<'a, T> {
    items: &'a [T],
    bytes: usize,
}

impl<'a, T: Value + 'a> Slice<'a, T> {
    const ITEM: Option<usize> = <T::Parts<'a> as Encode>::FIXED;

    #[inline(always)]
    fn new(items: &'a [T]) -> Self {
        let bytes = match Self::ITEM {
            // A slice occupies no more than `isize::MAX` bytes, but its encoding may be wider: `usize` as 8.
            Some(size) => items.len().saturating_mul(size),
            None => items.iter().fold(0_usize, |sum, item| sum.saturating_add(item.parts().bytes())),
        };
        Self { items, bytes: bytes.saturating_add(4) }
    }

    /// Writes the elements that fit into `room` bytes, the count before them, and takes their size off `room`.
    ///
    /// # Safety
    ///
    /// `out` is valid for writes of `4 + room` bytes.
    #[inline(always)]
    unsafe fn encode_within(&self, out: *mut u8, room: &mut usize) -> *mut u8 {
        // SAFETY: behind the four bytes of the count, for which the caller vouches.
        let mut end = unsafe { out.add(4) };
        let mut count = 0_u32;
        let max = if Self::ITEM == Some(0) { EMPTY_ELEMENTS_MAX } else { (CUT - 1) as usize };
        for item in self.items.iter().take(max) {
            let parts = item.parts();
            let Some(left) = room.checked_sub(parts.bytes()) else { break };
            *room = left;
            // SAFETY: the caller vouches for `room` bytes, and this element's were within them.
            end = unsafe { parts.encode(end) };
            count += 1;
        }
        let count = if (count as usize) < self.items.len() { count | CUT } else { count };
        // SAFETY: the four bytes of the count.
        unsafe { count.encode(out) };
        end
    }
}

// SAFETY: `encode_within` writes at most the count and `room`; `encode` fills what would be missing.
unsafe impl<'a, T: Value + 'a> Encode for Slice<'a, T> {
    const FIXED: Option<usize> = None;

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        4
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        let mut room = self.bytes - 4;
        // SAFETY: the caller vouches for `bytes()`, which is `4 + room`.
        let end = unsafe { self.encode_within(out, &mut room) };
        if Self::ITEM.is_none() && room > 0 {
            // SAFETY: `room` is what the elements, smaller now than when they were measured, left of `bytes()`.
            unsafe { end.write_bytes(0, room) };
        }
        // SAFETY: the end of the `bytes()` for which the caller vouches; `room` is 0 where sizes are fixed.
        unsafe { end.add(room) }
    }

    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        // SAFETY: the caller vouches for `4 + spare` bytes.
        unsafe { self.encode_within(out, spare) }
    }
}

impl<T: Value> Value for [T] {
    type Parts<'a>
        = Slice<'a, T>
    where
        Self: 'a;
    const TYPE: &'static Type = &Type::Seq(T::TYPE);

    #[inline(always)]
    fn parts(&self) -> Slice<'_, T> {
        Slice::new(self)
    }
}

impl<T: Value> Value for Vec<T> {
    type Parts<'a>
        = Slice<'a, T>
    where
        Self: 'a;
    const TYPE: &'static Type = &Type::Seq(T::TYPE);

    #[inline(always)]
    fn parts(&self) -> Slice<'_, T> {
        Slice::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// A value that grows or shrinks each time it is looked at.
    struct Restless {
        len: Cell<usize>,
        step: usize,
    }

    impl Value for Restless {
        type Parts<'a> = crate::value::Text<'a>;
        const TYPE: &'static Type = &Type::Str;

        fn parts(&self) -> Self::Parts<'_> {
            let len = self.len.get();
            self.len.set(len.wrapping_add(self.step));
            "0123456789"[..len].parts()
        }
    }

    #[test]
    fn elements_that_change_between_measuring_and_writing_stay_within_their_bytes() {
        for (len, step) in [(2, 3), (5, 1), (9, 0_usize.wrapping_sub(4))] {
            let items: Vec<_> = (0..3).map(|_| Restless { len: Cell::new(len), step }).collect();
            let parts = items.parts();
            let bytes = parts.bytes();
            assert_eq!(bytes, 4 + 3 * (4 + len));
            let mut out = vec![0xee_u8; bytes];
            // SAFETY: `out` has as many bytes.
            let end = unsafe { parts.encode(out.as_mut_ptr()) };
            assert_eq!(end as usize - out.as_ptr() as usize, bytes);
        }
    }

    #[test]
    fn a_long_list_of_nothing_is_cut() {
        let parts = [(); EMPTY_ELEMENTS_MAX + 1].as_slice().parts();
        let mut out = [0; 4];
        // SAFETY: the count alone is written.
        unsafe { parts.encode(out.as_mut_ptr()) };
        assert_eq!(u32::from_le_bytes(out), EMPTY_ELEMENTS_MAX as u32 | CUT);
    }
}
