//! The types of values, as constants of the program.

/// How the bytes of a value are to be read; see the drawing in [`crate::value`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Type {
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`, `usize`
    U64,
    /// `u128`
    U128,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`, `isize`
    I64,
    /// `i128`
    I128,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `bool`
    Bool,
    /// `char`
    Char,
    /// A string.
    Str,
    /// Text that the call site formatted, specification included.
    Formatted,
    /// `()`
    Unit,
    /// `core::time::Duration`
    Duration,
    /// A decimal number.
    Decimal,
    /// `Option`
    Option(&'static Self),
    /// `Result`
    Result(&'static Self, &'static Self),
    /// A slice or vector.
    Seq(&'static Self),
    /// An array and its length.
    Array(&'static Self, usize),
    /// A tuple.
    Tuple(&'static [&'static Self]),
    /// A struct.
    Struct(&'static str, Shape),
    /// An enum: its name, and the names and fields of its variants.
    Enum(&'static str, &'static [(&'static str, Shape)]),
}

/// The fields of a struct or a variant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// None at all.
    Unit,
    /// Fields without names.
    Tuple(&'static [&'static Type]),
    /// Fields with names.
    Named(&'static [(&'static str, &'static Type)]),
}

/// A list of types.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    /// The first type and the others.
    pub first: Option<(&'static Type, &'static Types)>,
}

impl Types {
    /// A hash of the list, names included, never 0.
    pub const fn signature(&self) -> u32 {
        let mut hash = Fnv::NEW;
        let mut list = self;
        while let Some((ty, rest)) = list.first {
            hash = hash.ty(ty);
            list = rest;
        }
        if hash.0 == 0 { 1 } else { hash.0 }
    }

    /// How many types.
    pub const fn len(&self) -> usize {
        let mut count = 0;
        let mut list = self;
        while let Some((_, rest)) = list.first {
            count += 1;
            list = rest;
        }
        count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The types in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Type> + use<> {
        let mut list = *self;
        core::iter::from_fn(move || {
            let (ty, rest) = list.first?;
            list = *rest;
            Some(ty)
        })
    }
}

/// FNV-1a. Each list is preceded by its length, so that different trees are different byte strings.
#[derive(Clone, Copy)]
struct Fnv(u32);

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler alone, and each index is below the length")]
impl Fnv {
    const NEW: Self = Self(0x811c_9dc5);

    const fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u32).wrapping_mul(0x0100_0193))
    }

    const fn count(self, count: usize) -> Self {
        let mut hash = self;
        let mut left = count as u64;
        while left >= 0x80 {
            hash = hash.byte(left as u8 | 0x80);
            left >>= 7;
        }
        hash.byte(left as u8)
    }

    const fn text(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut hash = self.count(bytes.len());
        let mut i = 0;
        while i < bytes.len() {
            hash = hash.byte(bytes[i]);
            i += 1;
        }
        hash
    }

    const fn ty(self, ty: &Type) -> Self {
        let hash = self.byte(ty.tag());
        match ty {
            Type::Option(inner) | Type::Seq(inner) => hash.ty(inner),
            Type::Result(ok, err) => hash.ty(ok).ty(err),
            Type::Array(inner, len) => hash.count(*len).ty(inner),
            Type::Tuple(fields) => hash.types(fields),
            Type::Struct(name, shape) => hash.text(name).shape(shape),
            Type::Enum(name, variants) => {
                let mut hash = hash.text(name).count(variants.len());
                let mut i = 0;
                while i < variants.len() {
                    hash = hash.text(variants[i].0).shape(&variants[i].1);
                    i += 1;
                }
                hash
            }
            _ => hash,
        }
    }

    const fn types(self, types: &[&Type]) -> Self {
        let mut hash = self.count(types.len());
        let mut i = 0;
        while i < types.len() {
            hash = hash.ty(types[i]);
            i += 1;
        }
        hash
    }

    const fn shape(self, shape: &Shape) -> Self {
        let hash = self.byte(shape.tag());
        match shape {
            Shape::Unit => hash,
            Shape::Tuple(types) => hash.types(types),
            Shape::Named(fields) => {
                let mut hash = hash.count(fields.len());
                let mut i = 0;
                while i < fields.len() {
                    hash = hash.text(fields[i].0).ty(fields[i].1);
                    i += 1;
                }
                hash
            }
        }
    }
}

impl Type {
    /// The number of the type in a definition.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 3,
            Self::U64 => 4,
            Self::U128 => 5,
            Self::I8 => 6,
            Self::I16 => 7,
            Self::I32 => 8,
            Self::I64 => 9,
            Self::I128 => 10,
            Self::F32 => 11,
            Self::F64 => 12,
            Self::Bool => 13,
            Self::Char => 14,
            Self::Str => 15,
            Self::Formatted => 16,
            Self::Unit => 17,
            Self::Duration => 18,
            Self::Option(_) => 19,
            Self::Result(..) => 20,
            Self::Seq(_) => 21,
            Self::Array(..) => 22,
            Self::Tuple(_) => 23,
            Self::Struct(..) => 24,
            Self::Enum(..) => 25,
            Self::Decimal => 26,
        }
    }
}

impl Shape {
    /// The number of the shape in a definition.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Unit => 0,
            Self::Tuple(_) => 1,
            Self::Named(_) => 2,
        }
    }
}
