//! What a reader prepares once for each call site.

use super::decoded::ValueRef;
use super::output::Output;
use super::padding::Flags;
use super::quick::{self, Simple, Step};
use super::spec::{self, Arg, Capture, Count, Piece, Placeholder, SpecError};
use super::{json, key_value, render};
use crate::record::bytes::{Cursor, DecodeError};
use crate::record::definition::{FieldDef, SiteDef};
use crate::record::skip::skip;
use crate::record::types::OwnedType;
use crate::value::EMPTY_ELEMENTS_MAX;
use core::fmt;

/// The greatest width and precision; `std::fmt` takes no more than 16 bits and panics, which a reader must not.
const COUNT_MAX: u64 = u16::MAX as u64;

/// How to render the records of one call site.
#[derive(Clone, Debug)]
pub struct Plan {
    parts: Vec<Part>,
    types: Vec<OwnedType>,
    /// The names of the captures, in the order of the payload; the fields follow them.
    captures: Vec<Option<String>>,
    fields: Vec<FieldDef>,
    /// Each placeholder is the next value of the payload, so that no value has to be looked for.
    in_order: bool,
    /// The fast way, where placeholders are in order.
    steps: Option<Vec<Step>>,
    /// The fields, as lines have them.
    keys: Vec<Key>,
}

/// What stands before a field's value, and how that is put.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// In a text line.
    pub(super) text: Box<[u8]>,
    /// In a JSON line.
    pub(super) json: Box<[u8]>,
    /// In a JSON line with the names of the Elastic Common Schema.
    pub(super) ecs: Box<[u8]>,
    /// How a simple value is put that is not asked for in its `Debug` form.
    pub(super) simple: Option<Simple>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Value {
        slot: usize,
        flags: Flags,
        /// The values that hold width and precision.
        width: Option<usize>,
        precision: Option<usize>,
    },
}

/// Why a definition gives no plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// The format string is none.
    Format(SpecError),
    /// The number of types is not that of the values, or a width is no number.
    Types,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(error) => error.fmt(f),
            Self::Types => f.write_str("the types of a call site do not fit its format string and fields"),
        }
    }
}

impl core::error::Error for PlanError {}

/// A named value of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The key, or the name in the format string.
    pub name: &'a str,
    /// Whether the call asked for the `Debug` form.
    pub debug: bool,
    /// The value.
    pub value: ValueRef<'a>,
}

impl Plan {
    /// Prepares for the records of `site`.
    ///
    /// # Errors
    ///
    /// If the definition contradicts itself, which no macro's does.
    pub fn new(site: &SiteDef) -> Result<Self, PlanError> {
        let pieces = spec::parse(&site.format).map_err(PlanError::Format)?;
        let captures = spec::captures(&pieces);
        if captures.len().checked_add(site.fields.len()) != Some(site.types.len()) {
            return Err(PlanError::Types);
        }
        let mut parts = Vec::new();
        for piece in &pieces {
            match piece {
                Piece::Literal(text) => match parts.last_mut() {
                    Some(Part::Literal(before)) => before.push_str(text),
                    _ => parts.push(Part::Literal((*text).to_owned())),
                },
                Piece::Placeholder(placeholder) => parts.push(part(placeholder, &captures, &site.types)?),
            }
        }
        let slots = parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Value { slot, .. } => Some(*slot),
        });
        let in_order = slots.eq(0..captures.len());
        let steps = if in_order { steps(&parts, &site.types) } else { None };
        Ok(Self {
            in_order,
            steps,
            keys: keys(&site.fields, site.types.get(captures.len()..).unwrap_or_default()),
            parts,
            types: site.types.clone(),
            captures: captures.iter().map(name).collect(),
            fields: site.fields.clone(),
        })
    }

    /// Appends the message, exactly as `format!` would have put it.
    ///
    /// # Errors
    ///
    /// If the payload is none of this site's; what was rendered before stays.
    pub fn message(&self, payload: &[u8], out: &mut String) -> Result<(), DecodeError> {
        let out = &mut Output::new(out);
        let mut next = Cursor::new(payload);
        let slots = if self.in_order { Vec::new() } else { self.slots(payload)? };
        let at = |slot: usize| slots.get(slot).copied().ok_or(DecodeError::Truncated);
        let count = |slot: Option<usize>, otherwise| match slot {
            None => Ok(otherwise),
            Some(slot) => Ok(Some(at(slot)?.u64()?.min(COUNT_MAX) as usize)),
        };
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Value { slot, flags, width, precision } => {
                    let ty = self.types.get(*slot).ok_or(DecodeError::Truncated)?;
                    if self.in_order {
                        render::value(out, flags, ty, &mut next)?;
                        continue;
                    }
                    let (width, precision) = (count(*width, flags.width)?, count(*precision, flags.precision)?);
                    render::value(out, &Flags { width, precision, ..*flags }, ty, &mut at(*slot)?)?;
                }
            }
        }
        Ok(())
    }

    /// Appends the message to a line, made harmless for it: the same as [`message`](Self::message) and then escaping what it
    /// gave. Says where in the payload the fields begin; `None`, and nothing is appended, where that is to be done.
    #[inline]
    pub(super) fn line_message<const JSON: bool>(
        &self,
        payload: &[u8],
        scratch: &mut String,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        quick::message::<JSON>(self.steps.as_ref()?, payload, scratch, out)
    }

    /// The same plan without the fast way.
    #[cfg(test)]
    pub(super) fn slow(mut self) -> Self {
        self.steps = None;
        self
    }

    /// Whether no record has key-value fields.
    #[inline]
    pub(super) fn is_without_fields(&self) -> bool {
        self.keys.is_empty()
    }

    /// The fields as lines have them, each with its type, in the order of the payload.
    #[inline]
    pub(super) fn keys(&self) -> impl Iterator<Item = (&Key, &FieldDef, &OwnedType)> {
        let types = self.types.get(self.captures.len()..).unwrap_or_default();
        self.keys.iter().zip(&self.fields).zip(types).map(|((key, field), ty)| (key, field, ty))
    }

    /// The key-value fields. After an error there are no more.
    pub fn fields<'a>(&'a self, payload: &'a [u8]) -> impl Iterator<Item = Result<Field<'a>, DecodeError>> + 'a {
        let names = self.fields.iter().map(|field| Some((field.name.as_str(), field.debug)));
        self.named(payload, core::iter::repeat_n(None, self.captures.len()).chain(names))
    }

    /// The values of the message that the format string names, `{order_id}` as well as `{}` with `order_id = …`. After an
    /// error there are no more.
    pub fn arguments<'a>(&'a self, payload: &'a [u8]) -> impl Iterator<Item = Result<Field<'a>, DecodeError>> + 'a {
        self.named(payload, self.captures.iter().map(|name| Some((name.as_deref()?, false))))
    }

    /// The names of fields and of named values of the message.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let captures = self.captures.iter().filter_map(Option::as_deref);
        self.fields.iter().map(|field| field.name.as_str()).chain(captures)
    }

    /// The places among the types of the values of that name.
    pub(crate) fn slots_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let captures = self.captures.iter().map(Option::as_deref);
        let names = captures.chain(self.fields.iter().map(|field| Some(field.name.as_str())));
        names.enumerate().filter_map(move |(slot, known)| (known == Some(name)).then_some(slot))
    }

    /// The values of that name, those of the message first; `None` where the call site has none. What stands before them in the
    /// payload is passed over, not decoded. After an error there are no more.
    pub fn values_of<'a>(
        &'a self,
        name: &'a str,
        payload: &'a [u8],
    ) -> Option<impl Iterator<Item = Result<Field<'a>, DecodeError>> + 'a> {
        let debug_of = move |slot: usize| match self.captures.get(slot) {
            Some(capture) => (capture.as_deref() == Some(name)).then_some(false),
            None => self
                .fields
                .get(slot - self.captures.len())
                .and_then(|field| (field.name == name).then_some(field.debug)),
        };
        let last = (0..self.types.len()).rev().find(|slot| debug_of(*slot).is_some())?;
        let mut bytes = Cursor::new(payload);
        let mut failed = false;
        Some(self.types.iter().take(last + 1).enumerate().filter_map(move |(slot, ty)| {
            if failed {
                return None;
            }
            let value = match debug_of(slot) {
                Some(debug) => ValueRef::take(ty, &mut bytes).map(|value| Some(Field { name, debug, value })),
                None => skip(ty, &mut bytes, &mut { EMPTY_ELEMENTS_MAX }).map(|()| None),
            };
            failed = value.is_err();
            value.transpose()
        }))
    }

    fn named<'a>(
        &'a self,
        payload: &'a [u8],
        names: impl Iterator<Item = Option<(&'a str, bool)>> + 'a,
    ) -> impl Iterator<Item = Result<Field<'a>, DecodeError>> + 'a {
        let mut bytes = Cursor::new(payload);
        let mut failed = false;
        self.types.iter().zip(names).filter_map(move |(ty, name)| {
            if failed {
                return None;
            }
            match ValueRef::take(ty, &mut bytes) {
                Ok(value) => name.map(|(name, debug)| Ok(Field { name, debug, value })),
                Err(error) => {
                    failed = true;
                    Some(Err(error))
                }
            }
        })
    }

    /// Where each capture begins.
    fn slots<'a>(&self, payload: &'a [u8]) -> Result<Vec<Cursor<'a>>, DecodeError> {
        let mut bytes = Cursor::new(payload);
        let mut empty = EMPTY_ELEMENTS_MAX;
        let begin = |ty| {
            let begin = bytes;
            skip(ty, &mut bytes, &mut empty).map(|()| begin)
        };
        self.types.iter().take(self.captures.len()).map(begin).collect()
    }
}

/// The fast way to a message of these parts, whose values are in order.
fn steps(parts: &[Part], types: &[OwnedType]) -> Option<Vec<Step>> {
    let (mut steps, mut literal) = (Vec::new(), "");
    for part in parts {
        match part {
            // Literals never follow each other.
            Part::Literal(text) => literal = text,
            Part::Value { slot, flags, .. } => {
                steps.push(Step::value(std::mem::take(&mut literal), *flags, types.get(*slot)?));
            }
        }
    }
    if !literal.is_empty() {
        steps.push(Step::end(literal));
    }
    Some(steps)
}

fn keys(fields: &[FieldDef], types: &[OwnedType]) -> Vec<Key> {
    let [mut flat, mut ecs] = json::unique_keys();
    let key = |(field, ty): (&FieldDef, &OwnedType)| Key {
        text: key_value::key(&field.name),
        json: flat(&field.name),
        ecs: ecs(&field.name),
        simple: Simple::of(ty).filter(|_| !field.debug),
    };
    fields.iter().zip(types).map(key).collect()
}

fn part(placeholder: &Placeholder<'_>, captures: &[Capture<'_>], types: &[OwnedType]) -> Result<Part, PlanError> {
    let slot = |wanted: Capture<'_>| captures.iter().position(|capture| *capture == wanted).ok_or(PlanError::Types);
    let count = |count| match count {
        Count::Implied => Ok((None, None)),
        Count::Literal(number) => Ok((Some(usize::from(number)), None)),
        Count::Arg(arg) => {
            let slot = slot(Capture::Count(arg))?;
            if types.get(slot) == Some(&OwnedType::U64) { Ok((None, Some(slot))) } else { Err(PlanError::Types) }
        }
    };
    let spec = &placeholder.spec;
    let ((width, width_slot), (precision, precision_slot)) = (count(spec.width)?, count(spec.precision)?);
    Ok(Part::Value {
        slot: slot(Capture::Value(*placeholder))?,
        flags: Flags::new(spec, width, precision),
        width: width_slot,
        precision: precision_slot,
    })
}

fn name(capture: &Capture<'_>) -> Option<String> {
    match capture {
        Capture::Value(Placeholder { arg: Arg::Name(name), .. }) => Some((*name).to_owned()),
        _ => None,
    }
}
