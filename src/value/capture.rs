//! How a call site takes an argument: as a copy where the reader can format it, else formatted in place.
//!
//! The choice falls on the type, in the expansion of the macro, by the order in which methods are looked up: a trait
//! that is implemented for `Take<T>` is found before one for `&Take<T>`. So a concrete type that is a [`Value`] is
//! copied; in generic code, what is only known to be `Display` is formatted in place.

use super::{DisplayValue, Encode, ExpValue, Formatted, RadixValue, Type, Typed, Value};
use core::fmt;

/// A value taken apart, for the list of arguments.
pub struct Captured<'a, T: Value + ?Sized + 'a>(T::Parts<'a>);

impl<T: Value + ?Sized> fmt::Debug for Captured<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Captured").field(T::TYPE).finish()
    }
}

// SAFETY: every function does what the parts do.
unsafe impl<'a, T: Value + ?Sized + 'a> Encode for Captured<'a, T> {
    const FIXED: Option<usize> = <T::Parts<'a> as Encode>::FIXED;

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        self.0.bytes_min()
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the same promise about the only part.
        unsafe { self.0.encode(out) }
    }

    #[inline]
    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        // SAFETY: the same promise about the only part.
        unsafe { self.0.encode_cut(out, spare) }
    }
}

impl<'a, T: Value + ?Sized + 'a> Typed for Captured<'a, T> {
    const TYPE: &'static Type = T::TYPE;
}

/// An argument of which the expansion asks how to take it.
#[derive(Debug)]
pub struct Take<'a, T: ?Sized>(pub &'a T);

macro_rules! capture {
    ($($(#[$doc:meta])* $name:ident :: $method:ident for $bound:ident;)*) => {$(
        $(#[$doc])*
        pub trait $name<'a> {
            /// The value itself, known.
            type Value: Value + ?Sized + 'a;
            /// A copy; `_arguments`, which would format it in place, stay unused.
            fn $method(&self, _arguments: fmt::Arguments<'_>) -> Captured<'a, Self::Value>;
        }

        impl<'a, T: $bound + ?Sized> $name<'a> for Take<'a, T> {
            type Value = T;

            #[inline(always)]
            fn $method(&self, _arguments: fmt::Arguments<'_>) -> Captured<'a, T> {
                Captured(self.0.parts())
            }
        }
    )*

    /// Every form of every type, by formatting it in place.
    pub trait CaptureInPlace {
        $(
            /// Formats in place.
            fn $method(&self, arguments: fmt::Arguments<'_>) -> Formatted {
                Formatted::new(arguments)
            }
        )*

        /// Formats in place.
        fn pointer(&self, arguments: fmt::Arguments<'_>) -> Formatted {
            Formatted::new(arguments)
        }
    }

    impl<T: ?Sized> CaptureInPlace for &Take<'_, T> {}
    };
}

capture! {
    /// `{}` of what the reader can display.
    CaptureDisplay::display for DisplayValue;
    /// `{:?}` and its hexadecimal forms.
    CaptureDebug::debug for Value;
    /// `{:x}`, `{:X}`, `{:o}`, `{:b}`.
    CaptureRadix::radix for RadixValue;
    /// `{:e}`, `{:E}`.
    CaptureExp::exp for ExpValue;
}

/// A key-value field without a sigil whose type is a [`Value`]: first choice on `&&Take`.
pub trait CaptureField<'a> {
    /// The value itself, known.
    type Value: Value + ?Sized + 'a;
    /// A copy.
    fn field(&self) -> Captured<'a, Self::Value>;
}

impl<'a, T: Value + ?Sized> CaptureField<'a> for &Take<'a, T> {
    type Value = T;

    #[inline(always)]
    fn field(&self) -> Captured<'a, T> {
        Captured(self.0.parts())
    }
}

/// A field of any other type that has `Display`: second choice.
pub trait CaptureFieldDisplay {
    /// Formats in place.
    fn field(&self) -> Formatted;
}

impl<T: fmt::Display + ?Sized> CaptureFieldDisplay for &&Take<'_, T> {
    fn field(&self) -> Formatted {
        Formatted::new(format_args!("{}", self.0))
    }
}

/// A field of any other type that has `Debug`: last choice.
pub trait CaptureFieldDebug {
    /// Formats in place.
    fn field(&self) -> Formatted;
}

impl<T: fmt::Debug + ?Sized> CaptureFieldDebug for Take<'_, T> {
    fn field(&self) -> Formatted {
        Formatted::new(format_args!("{:?}", self.0))
    }
}

/// The argument of a `width$` or `.precision$`.
#[inline(always)]
pub fn count(count: &usize) -> Captured<'_, usize> {
    Captured(count.parts())
}

/// A field marked `:err`.
pub fn error<T: fmt::Display + ?Sized>(error: &T) -> Formatted {
    Formatted::new(format_args!("{error}"))
}
