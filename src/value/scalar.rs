//! Values of a fixed size without parts. A list of them folds into stores at constant offsets.

use super::{DisplayValue, Encode, ExpValue, RadixValue, Type, Value};
use core::num::NonZero;
use core::time::Duration;

macro_rules! encode_number {
    ($($number:ty)*) => {$(
        // SAFETY: all four functions agree on the size of the type, and nothing is ever cut.
        unsafe impl Encode for $number {
            const FIXED: Option<usize> = Some(size_of::<Self>());

            #[inline(always)]
            fn bytes(&self) -> usize {
                size_of::<Self>()
            }

            #[inline(always)]
            fn bytes_min(&self) -> usize {
                size_of::<Self>()
            }

            #[inline(always)]
            unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
                let bytes = self.to_le_bytes();
                // SAFETY: the caller vouches for `bytes()` writable bytes, and an array of bytes needs no alignment.
                unsafe { out.cast::<[u8; size_of::<Self>()]>().write(bytes) };
                // SAFETY: one behind what was written is within the same allocation or at its end.
                unsafe { out.add(size_of::<Self>()) }
            }

            #[inline(always)]
            unsafe fn encode_cut(&self, out: *mut u8, _spare: &mut usize) -> *mut u8 {
                // SAFETY: `bytes_min()` is `bytes()`, so the caller vouches for enough.
                unsafe { self.encode(out) }
            }
        }
    )*};
}

encode_number! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

macro_rules! value {
    ($($value:ty as $parts:ty, $ty:ident, $convert:expr, [$($mark:ident)*];)*) => {$(
        impl Value for $value {
            type Parts<'a> = $parts;
            const TYPE: &'static Type = &Type::$ty;

            #[inline(always)]
            fn parts(&self) -> $parts {
                let convert: fn(Self) -> $parts = $convert;
                convert(*self)
            }
        }
        $(impl $mark for $value {})*
    )*};
}

value! {
    u8 as u8, U8, |v| v, [DisplayValue RadixValue ExpValue];
    u16 as u16, U16, |v| v, [DisplayValue RadixValue ExpValue];
    u32 as u32, U32, |v| v, [DisplayValue RadixValue ExpValue];
    u64 as u64, U64, |v| v, [DisplayValue RadixValue ExpValue];
    u128 as u128, U128, |v| v, [DisplayValue RadixValue ExpValue];
    usize as u64, U64, |v| v as u64, [DisplayValue RadixValue ExpValue];
    i8 as i8, I8, |v| v, [DisplayValue RadixValue ExpValue];
    i16 as i16, I16, |v| v, [DisplayValue RadixValue ExpValue];
    i32 as i32, I32, |v| v, [DisplayValue RadixValue ExpValue];
    i64 as i64, I64, |v| v, [DisplayValue RadixValue ExpValue];
    i128 as i128, I128, |v| v, [DisplayValue RadixValue ExpValue];
    f32 as f32, F32, |v| v, [DisplayValue ExpValue];
    f64 as f64, F64, |v| v, [DisplayValue ExpValue];
    bool as u8, Bool, u8::from, [DisplayValue];
    char as u32, Char, u32::from, [DisplayValue];
    Duration as (u64, (u32, ())), Duration, |v| (v.as_secs(), (v.subsec_nanos(), ())), [];
}

#[cfg(target_pointer_width = "64")]
value! { isize as i64, I64, |v| v as i64, [DisplayValue RadixValue ExpValue]; }

// On narrower machines `{:x}` of a negative `isize` has the machine's digits, so it is recorded as such.
#[cfg(not(target_pointer_width = "64"))]
value! { isize as i32, I32, |v| v as i32, [DisplayValue RadixValue ExpValue]; }

impl Value for () {
    type Parts<'a> = ();
    const TYPE: &'static Type = &Type::Unit;

    #[inline(always)]
    fn parts(&self) {}
}

macro_rules! non_zero {
    ($($number:ty)*) => {$(
        impl Value for NonZero<$number> {
            type Parts<'a> = <$number as Value>::Parts<'a>;
            const TYPE: &'static Type = <$number as Value>::TYPE;

            #[inline(always)]
            fn parts(&self) -> Self::Parts<'_> {
                // Not through `Value::parts`, which would borrow from the temporary number.
                self.get() as Self::Parts<'_>
            }
        }
        impl DisplayValue for NonZero<$number> {}
        impl RadixValue for NonZero<$number> {}
        impl ExpValue for NonZero<$number> {}
    )*};
}

non_zero! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }
