//! Values as the call site copies them: bytes in the record, with types that stand once in the definition.
//!
//! The payload of a record is the encoding of its arguments one behind the other, packed, little-endian, without tags,
//! names or padding. The types in the definition say how to read it:
//!
//! ```text
//! u8 … u128, i8 … i128      their 1, 2, 4, 8 or 16 bytes; usize and isize as 8
//! f32, f64                  their bits, so that NaN payloads and -0.0 survive
//! bool                      one byte, 0 or 1
//! char                      four bytes, its code point
//! ()                        nothing
//! Duration                  │ seconds, 8 │ nanoseconds, 4 │
//! decimal number            │ digits as an integer, 16 │ of them behind the point, 4; the top bit: negative │
//! str                       │ count, 4 │ bytes … │
//! formatted text            as str; its format specification is already applied
//! [T], Vec<T>               │ count, 4 │ elements … │
//! [T; N], tuple, struct     elements or fields in order
//! Option<T>                 │ 0 or 1, 1 │ value, if 1 │
//! Result<T, E>              │ 0 for Ok, 1 for Err, 1 │ value │
//! enum                      │ index of the variant, 4 │ fields … │
//! ```
//!
//! The top bit of a count says "cut here": the value was longer and the record at its limit.
//!
//! A value is copied in two steps. [`Value::parts`] takes it apart, safely and once, into types that only this crate
//! defines; those know their size and write themselves ([`Encode`]). So user code, derived or written by hand, cannot
//! make a size disagree with what is written, and `#[derive(Value)]` needs no `unsafe`.

mod capture;
mod compound;
#[cfg(feature = "rust_decimal")]
mod decimal;
mod pointer;
mod scalar;
mod scratch;
mod sequence;
mod text;
mod types;

pub use capture::{
    CaptureDebug, CaptureDisplay, CaptureExp, CaptureField, CaptureFieldDebug, CaptureFieldDisplay, CaptureInPlace,
    CaptureRadix, Captured, Take, count, error,
};
pub use compound::Either;
pub(crate) use scratch::touch_scratch;
pub use scratch::{Formatted, SCRATCH_BYTES};
pub use sequence::Slice;
pub use text::Text;
pub use types::{Shape, Type, Types};

/// The bit of a count word that says that the rest was cut off.
pub const CUT: u32 = 1 << 31;

/// The bit that makes a decimal number negative, beside its scale.
pub const NEGATIVE: u32 = 1 << 31;

/// The largest scale of a decimal number: all digits that 128 bits can hold stand behind the point.
pub const SCALE_MAX: u32 = 38;

/// A slice of elements that occupy no bytes is cut to so many, because its count alone would bound its rendering.
pub const EMPTY_ELEMENTS_MAX: usize = 1024;

/// A value that a log call copies as bytes and that is formatted when the log is read.
///
/// Implemented for the types named in the [module's drawing](self), for references and smart pointers to them, and by
/// `#[derive(Value)]` for structs and enums of them. A recursive type has no finite [`TYPE`](Self::TYPE), so it cannot
/// be a value; log it through `Debug`.
///
/// A wrong implementation by hand costs readable output, never memory safety.
///
/// ```
/// #[derive(Debug, tachograph::Value)]
/// struct Fill { order_id: u64, px: f64 }
/// ```
pub trait Value {
    /// What the value is taken apart into. Where the type has no strings and slices, all of it is a copy.
    type Parts<'a>: Encode
    where
        Self: 'a;

    /// How a reader understands the bytes.
    const TYPE: &'static Type;

    /// Takes the value apart.
    fn parts(&self) -> Self::Parts<'_>;
}

/// Something that writes itself into a record.
///
/// # Safety
///
/// For one and the same object, `encode` writes exactly `bytes()` bytes from `out` on, and `encode_cut` writes at most
/// `bytes_min()` bytes and those that it takes off `spare`. Both return the end of what they wrote. `bytes()` is
/// [`FIXED`](Self::FIXED) where that is given, and never changes.
pub unsafe trait Encode {
    /// The size, where it is the same for all values of the type.
    const FIXED: Option<usize>;

    /// The exact encoded size.
    fn bytes(&self) -> usize;

    /// The encoded size with every string and slice cut to nothing.
    fn bytes_min(&self) -> usize;

    /// Writes the value and returns the end.
    ///
    /// # Safety
    ///
    /// `out` is valid for writes of `self.bytes()` bytes.
    unsafe fn encode(&self, out: *mut u8) -> *mut u8;

    /// Writes the value with its strings and slices cut to what `spare` still holds, and returns the end.
    ///
    /// # Safety
    ///
    /// `out` is valid for writes of `self.bytes_min() + *spare` bytes.
    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8;
}

/// An argument that knows how a reader understands it.
pub trait Typed: Encode {
    /// The type for the definition.
    const TYPE: &'static Type;
}

/// The arguments of one log call: `()` or an argument and the others, as a list.
pub trait Args: Encode {
    /// The types, in the order of the payload.
    const TYPES: &'static Types;

    /// A hash over [`TYPES`](Self::TYPES), never 0: the same call site in a generic function has several lists of types.
    const SIGNATURE: u32 = Self::TYPES.signature();

    /// The target, where it comes with the call; the payload then begins with the number that stands for it, of
    /// [`TARGET_BYTES`].
    fn target(&self) -> Option<&'static str> {
        None
    }
}

/// Bytes of the number that stands for a target.
pub(crate) const TARGET_BYTES: usize = 4;

impl Args for () {
    const TYPES: &'static Types = &Types { first: None };
}

impl<H: Typed, R: Args> Args for (H, R) {
    const TYPES: &'static Types = &Types { first: Some((H::TYPE, R::TYPES)) };
}

/// Values whose `Display` the reader can do.
pub trait DisplayValue: Value {}

/// Values whose `LowerHex`, `UpperHex`, `Octal` and `Binary` the reader can do.
pub trait RadixValue: Value {}

/// Values whose `LowerExp` and `UpperExp` the reader can do.
pub trait ExpValue: Value {}
