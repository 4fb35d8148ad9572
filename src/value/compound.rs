//! Values made of values: lists (for tuples, structs and arguments), alternatives, `Option`, `Result`, arrays.

use super::{Encode, Type, Value};

/// The sum of two fixed sizes.
const fn both(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        _ => None,
    }
}

// SAFETY: writes nothing, and says so.
unsafe impl Encode for () {
    const FIXED: Option<usize> = Some(0);

    #[inline(always)]
    fn bytes(&self) -> usize {
        0
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        out
    }

    #[inline(always)]
    unsafe fn encode_cut(&self, out: *mut u8, _spare: &mut usize) -> *mut u8 {
        out
    }
}

// SAFETY: sizes are the sums, and the parts write themselves one behind the other. The sums saturate, and no memory is
// that large, so no caller can vouch for a sum that was not exact.
unsafe impl<H: Encode, R: Encode> Encode for (H, R) {
    const FIXED: Option<usize> = both(H::FIXED, R::FIXED);

    #[inline(always)]
    fn bytes(&self) -> usize {
        self.0.bytes().saturating_add(self.1.bytes())
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        self.0.bytes_min().saturating_add(self.1.bytes_min())
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the caller vouches for the bytes of both.
        let out = unsafe { self.0.encode(out) };
        // SAFETY: the first left exactly the bytes of the second.
        unsafe { self.1.encode(out) }
    }

    #[inline]
    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        // SAFETY: the caller vouches for the least sizes of both and `spare`.
        let out = unsafe { self.0.encode_cut(out, spare) };
        // SAFETY: the first left the least size of the second and what is still in `spare`.
        unsafe { self.1.encode_cut(out, spare) }
    }
}

/// One of two alternatives; an enum's variants form a tree of these. It writes no tag, so each side begins with one.
#[derive(Clone, Copy, Debug)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

/// Writes `$self` by delegating each function to the part that is there.
macro_rules! encode_alternative {
    ($($pattern:pat => $part:expr),*) => {
        const FIXED: Option<usize> = None;

        #[inline(always)]
        fn bytes(&self) -> usize {
            match self { $($pattern => $part.bytes(),)* }
        }

        #[inline(always)]
        fn bytes_min(&self) -> usize {
            match self { $($pattern => $part.bytes_min(),)* }
        }

        #[inline(always)]
        unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
            match self {
                $($pattern => {
                    // SAFETY: `bytes()` of the whole is that of the part that is there.
                    unsafe { $part.encode(out) }
                })*
            }
        }

        #[inline]
        unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
            match self {
                $($pattern => {
                    // SAFETY: `bytes_min()` of the whole is that of the part that is there.
                    unsafe { $part.encode_cut(out, spare) }
                })*
            }
        }
    };
}

// SAFETY: every function does what the part that is there does.
unsafe impl<A: Encode, B: Encode> Encode for Either<A, B> {
    encode_alternative!(Self::Left(a) => a, Self::Right(b) => b);
}

/// A tag and what stands behind it, borrowed; so an alternative with a tag is a list as well.
type Tagged<'a, T> = (u8, (&'a T, ()));

// SAFETY: a reference writes what it refers to.
unsafe impl<T: Encode> Encode for &T {
    const FIXED: Option<usize> = T::FIXED;

    #[inline(always)]
    fn bytes(&self) -> usize {
        T::bytes(self)
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        T::bytes_min(self)
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        // SAFETY: the same promise about the same object.
        unsafe { T::encode(self, out) }
    }

    #[inline]
    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        // SAFETY: the same promise about the same object.
        unsafe { T::encode_cut(self, out, spare) }
    }
}

// SAFETY: every function does what the list of tag and value does.
unsafe impl<T: Encode> Encode for Option<T> {
    encode_alternative!(None => 0_u8, Some(value) => tagged(1, value));
}

// SAFETY: every function does what the list of tag and value does.
unsafe impl<T: Encode, E: Encode> Encode for Result<T, E> {
    encode_alternative!(Ok(value) => tagged(0, value), Err(error) => tagged(1, error));
}

#[inline(always)]
const fn tagged<T>(tag: u8, value: &T) -> Tagged<'_, T> {
    (tag, (value, ()))
}

// SAFETY: sizes are the sums over the elements, which write themselves one behind the other; they saturate as above.
unsafe impl<T: Encode, const N: usize> Encode for [T; N] {
    const FIXED: Option<usize> = match T::FIXED {
        Some(size) => Some(size * N),
        None => None,
    };

    #[inline(always)]
    fn bytes(&self) -> usize {
        match Self::FIXED {
            Some(size) => size,
            None => self.iter().fold(0, |sum, part| sum.saturating_add(part.bytes())),
        }
    }

    #[inline(always)]
    fn bytes_min(&self) -> usize {
        match Self::FIXED {
            Some(size) => size,
            None => self.iter().fold(0, |sum, part| sum.saturating_add(part.bytes_min())),
        }
    }

    #[inline(always)]
    unsafe fn encode(&self, out: *mut u8) -> *mut u8 {
        let mut out = out;
        for part in self {
            // SAFETY: the caller vouches for the sum, and those before took their own sizes.
            out = unsafe { part.encode(out) };
        }
        out
    }

    #[inline]
    unsafe fn encode_cut(&self, out: *mut u8, spare: &mut usize) -> *mut u8 {
        let mut out = out;
        for part in self {
            // SAFETY: the caller vouches for the sum of the least sizes and `spare`; those before took no more.
            out = unsafe { part.encode_cut(out, spare) };
        }
        out
    }
}

impl<T: Value> Value for Option<T> {
    type Parts<'a>
        = Option<T::Parts<'a>>
    where
        Self: 'a;
    const TYPE: &'static Type = &Type::Option(T::TYPE);

    #[inline(always)]
    fn parts(&self) -> Self::Parts<'_> {
        self.as_ref().map(T::parts)
    }
}

impl<T: Value, E: Value> Value for Result<T, E> {
    type Parts<'a>
        = Result<T::Parts<'a>, E::Parts<'a>>
    where
        Self: 'a;
    const TYPE: &'static Type = &Type::Result(T::TYPE, E::TYPE);

    #[inline(always)]
    fn parts(&self) -> Self::Parts<'_> {
        self.as_ref().map(T::parts).map_err(E::parts)
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    type Parts<'a>
        = [T::Parts<'a>; N]
    where
        Self: 'a;
    const TYPE: &'static Type = &Type::Array(T::TYPE, N);

    #[inline(always)]
    fn parts(&self) -> Self::Parts<'_> {
        self.each_ref().map(T::parts)
    }
}

/// A list type, or a list, of the given.
macro_rules! list {
    () => { () };
    ($first:ty $(, $rest:ty)*) => { ($first, list!($($rest),*)) };
    (= $(,)?) => { () };
    (= $first:expr $(, $rest:expr)*) => { ($first, list!(= $($rest),*)) };
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: Value),*> Value for ($($name,)*) {
            type Parts<'a> = list!($($name::Parts<'a>),*) where Self: 'a;
            const TYPE: &'static Type = &Type::Tuple(&[$($name::TYPE),*]);

            #[inline(always)]
            #[expect(non_snake_case, reason = "the fields are called like their types")]
            fn parts(&self) -> Self::Parts<'_> {
                let ($($name,)*) = self;
                list!(= $(Value::parts($name)),*)
            }
        }
    };
}

tuple! { A }
tuple! { A B }
tuple! { A B C }
tuple! { A B C D }
tuple! { A B C D E }
tuple! { A B C D E F }
tuple! { A B C D E F G }
tuple! { A B C D E F G H }
tuple! { A B C D E F G H I }
tuple! { A B C D E F G H I J }
tuple! { A B C D E F G H I J K }
tuple! { A B C D E F G H I J K L }
