//! `rust_decimal::Decimal`, copied as its digits, scale and sign.

use super::{DisplayValue, NEGATIVE, Type, Value};
use rust_decimal::Decimal;

impl Value for Decimal {
    type Parts<'a> = (u128, (u32, ()));
    const TYPE: &'static Type = &Type::Decimal;

    #[inline(always)]
    fn parts(&self) -> Self::Parts<'_> {
        let sign = if self.is_sign_negative() { NEGATIVE } else { 0 };
        (self.mantissa().unsigned_abs(), (self.scale() | sign, ()))
    }
}

impl DisplayValue for Decimal {}
