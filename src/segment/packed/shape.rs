//! Where the fields of a call site's records stand, as far as the types tell it: what a packed block needs to know to put
//! like beside like.

use super::varint;
use crate::record::definition::{SiteDef, decode_site, unpadded};
use crate::record::types::{OwnedShape, OwnedType};
use crate::segment::layout::u32_at;
use crate::value::CUT;
use std::collections::HashMap;
use std::rc::Rc;

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// An integer of so many bytes: 1, 2, 4 or 8.
    Integer(u8),
    /// An `f64`.
    Float,
    /// A count word, and so many bytes.
    Text,
}

/// The most fields; what is behind them is not told apart.
const TOKENS_MAX: usize = 256;
/// Numbers of the tokens that are no integers.
const FLOAT: u8 = 9;
const TEXT: u8 = 10;

impl Token {
    const fn number(self) -> u8 {
        match self {
            Self::Integer(bytes) => bytes,
            Self::Float => FLOAT,
            Self::Text => TEXT,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 | 2 | 4 | 8 => Some(Self::Integer(number)),
            FLOAT => Some(Self::Float),
            TEXT => Some(Self::Text),
            _ => None,
        }
    }

    /// The least bytes.
    pub(super) const fn bytes_min(self) -> usize {
        match self {
            Self::Integer(bytes) => bytes as usize,
            Self::Float => 8,
            Self::Text => 4,
        }
    }
}

/// The fields of a record from the front; behind them stands what is not told apart, padding at least.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Shape {
    pub(super) tokens: Vec<Token>,
    bytes_min: usize,
    texts: bool,
}

impl Shape {
    fn new(tokens: Vec<Token>) -> Self {
        let bytes_min = tokens.iter().map(|token| token.bytes_min()).sum();
        let texts = tokens.contains(&Token::Text);
        Self { tokens, bytes_min, texts }
    }

    /// The shape of a site's records, by the payload of its definition, and its level.
    fn of(definition: &[u8]) -> Option<(u32, u8, Self)> {
        let site = unpadded(definition, |bytes| decode_site(bytes).ok())?;
        let mut tokens = component_of(&site);
        let _ = site.types.iter().try_for_each(|ty| flatten(ty, &mut tokens));
        Some((site.id, site.level as u8, Self::new(tokens)))
    }

    /// Whether the record has all of the fields.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        if !self.texts {
            return self.bytes_min <= payload.len();
        }
        let mut at = 0_usize;
        for token in &self.tokens {
            let more = if *token == Token::Text { (u32_at(payload, at) & !CUT) as usize } else { 0 };
            at += token.bytes_min() + more;
            if at > payload.len() {
                return false;
            }
        }
        true
    }

    /// The least bytes that the fields of a record take.
    pub(super) const fn bytes_min(&self) -> usize {
        self.bytes_min
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.tokens.len() as u64);
        out.extend(self.tokens.iter().map(|token| token.number()));
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let count = varint::take_length(bytes, TOKENS_MAX)?;
        let numbers = varint::take_bytes(bytes, count)?;
        numbers.iter().map(|number| Token::from_number(*number)).collect::<Option<_>>().map(Self::new)
    }
}

/// The place among the fields of a site's records, and how many it has, of value `slot` of its types; `None` where that differs
/// from record to record.
pub fn field_of(site: &SiteDef, slot: usize) -> Option<(usize, usize)> {
    let mut tokens = component_of(site);
    site.types.get(..slot)?.iter().try_for_each(|ty| flatten(ty, &mut tokens)).ok()?;
    let before = tokens.len();
    flatten(site.types.get(slot)?, &mut tokens).ok()?;
    Some((before, tokens.len() - before))
}

/// The component that stands before the values, where the site has no target.
fn component_of(site: &SiteDef) -> Vec<Token> {
    if site.target.is_none() { vec![Token::Integer(4)] } else { Vec::new() }
}

/// Appends the fields of a type; `Err` where they are not the same in each record: there the shape ends.
fn flatten(ty: &OwnedType, tokens: &mut Vec<Token>) -> Result<(), ()> {
    let integers: &[u8] = match ty {
        OwnedType::U8 | OwnedType::I8 | OwnedType::Bool => &[1],
        OwnedType::U16 | OwnedType::I16 => &[2],
        OwnedType::U32 | OwnedType::I32 | OwnedType::F32 | OwnedType::Char => &[4],
        OwnedType::U64 | OwnedType::I64 => &[8],
        OwnedType::U128 | OwnedType::I128 => &[8, 8],
        OwnedType::Duration => &[8, 4],
        OwnedType::Decimal => &[8, 8, 4],
        OwnedType::Unit | OwnedType::Struct(_, OwnedShape::Unit) => &[],
        // Without fields, an enum is the number of its variant.
        OwnedType::Enum(_, variants) if variants.iter().all(|(_, shape)| *shape == OwnedShape::Unit) => &[4],
        OwnedType::F64 => return push(tokens, Token::Float),
        OwnedType::Str | OwnedType::Formatted => return push(tokens, Token::Text),
        OwnedType::Tuple(types) | OwnedType::Struct(_, OwnedShape::Tuple(types)) => {
            return types.iter().try_for_each(|ty| flatten(ty, tokens));
        }
        OwnedType::Struct(_, OwnedShape::Named(fields)) => {
            return fields.iter().try_for_each(|(_, ty)| flatten(ty, tokens));
        }
        OwnedType::Array(inner, len) => {
            for _ in 0..*len {
                let before = tokens.len();
                flatten(inner, tokens)?;
                if tokens.len() == before {
                    break;
                }
            }
            return Ok(());
        }
        _ => return Err(()),
    };
    integers.iter().try_for_each(|bytes| push(tokens, Token::Integer(*bytes)))
}

fn push(tokens: &mut Vec<Token>, token: Token) -> Result<(), ()> {
    if tokens.len() == TOKENS_MAX {
        return Err(());
    }
    tokens.push(token);
    Ok(())
}

/// The call sites that a segment has defined so far.
#[derive(Debug, Default)]
pub(super) struct Sites {
    known: HashMap<u32, (u8, Rc<Shape>)>,
}

/// The most call sites whose shapes are kept.
const SITES_MAX: usize = 1 << 16;

impl Sites {
    /// Takes note of a definition.
    pub(super) fn define(&mut self, definition: &[u8]) {
        if let Some((id, level, shape)) = Shape::of(definition)
            && (self.known.len() < SITES_MAX || self.known.contains_key(&id))
        {
            self.known.insert(id, (level, Rc::new(shape)));
        }
    }

    /// Level and shape of a site's records.
    pub(super) fn get(&self, site: u32) -> Option<(u8, &Rc<Shape>)> {
        self.known.get(&site).map(|(level, shape)| (*level, shape))
    }
}
