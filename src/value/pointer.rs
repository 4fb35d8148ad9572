//! What points to a value is recorded as the value, as `Display` and `Debug` show it.

use super::{DisplayValue, ExpValue, RadixValue, Type, Value};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

macro_rules! pointer {
    ($($pointer:ty)*) => {$(
        impl<T: Value + ?Sized> Value for $pointer {
            type Parts<'a> = T::Parts<'a> where Self: 'a;
            const TYPE: &'static Type = T::TYPE;

            #[inline(always)]
            fn parts(&self) -> Self::Parts<'_> {
                T::parts(self)
            }
        }
        impl<T: DisplayValue + ?Sized> DisplayValue for $pointer {}
        impl<T: RadixValue + ?Sized> RadixValue for $pointer {}
        impl<T: ExpValue + ?Sized> ExpValue for $pointer {}
    )*};
}

pointer! { &T &mut T Box<T> Rc<T> Arc<T> }

impl<T: Value + ToOwned + ?Sized> Value for Cow<'_, T> {
    type Parts<'a>
        = T::Parts<'a>
    where
        Self: 'a;
    const TYPE: &'static Type = T::TYPE;

    #[inline(always)]
    fn parts(&self) -> Self::Parts<'_> {
        T::parts(self)
    }
}

impl<T: DisplayValue + ToOwned + ?Sized> DisplayValue for Cow<'_, T> {}
