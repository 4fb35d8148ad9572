//! The definition of a call site: what its records have in common, written once.
//!
//! ```text
//! │ id, 4 │ level, 1 │ has target, 1 │ line, 4 │ column, 4 │ target │ module │ file │ format │
//! │ count, 4 │ ( debug, 1 │ name ) … for the fields │ count, 4 │ type … for all values of the payload │
//! ```
//!
//! Texts and types as in [`super::types`]. The values of the payload are the captures of the format string, in the order
//! of [`captures`](crate::format::spec::captures), then the fields.

use super::bytes::{Cursor, DecodeError, Sink};
use super::types::{OwnedType, list, put_type, read_type};
use crate::callsite::SiteInfo;
use crate::level::Level;
use crate::value::Types;

/// A call site, as a reader knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteDef {
    /// Its number in the journal.
    pub id: u32,
    /// The level of its records.
    pub level: Level,
    /// The target; `None` where each record names its component.
    pub target: Option<String>,
    /// The module.
    pub module: String,
    /// The source file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The format string as written.
    pub format: String,
    /// The key-value fields.
    pub fields: Vec<FieldDef>,
    /// The types of the captures, then of the fields.
    pub types: Vec<OwnedType>,
}

/// A key-value field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldDef {
    /// The key.
    pub name: String,
    /// Whether it asks for its `Debug` form.
    pub debug: bool,
}

/// Writes the definition of a call site and returns how many bytes it needs; if those are more than `out` has, what `out`
/// holds is incomplete. Allocates nothing, because the first call of a site runs it.
pub fn encode_site(id: u32, info: &SiteInfo, types: &Types, out: &mut [u8]) -> usize {
    let mut out = Sink::new(out);
    out.put(&id.to_le_bytes());
    out.put(&[info.level as u8, u8::from(info.target.is_some())]);
    out.put(&info.line.to_le_bytes());
    out.put(&info.column.to_le_bytes());
    for text in [info.target.unwrap_or_default(), info.module, info.file, info.format] {
        out.name(text);
    }
    out.count(info.fields.len());
    for field in info.fields {
        out.put(&[u8::from(field.debug)]);
        out.name(field.name);
    }
    out.count(types.len());
    for ty in types.iter() {
        put_type(&mut out, ty);
    }
    out.bytes()
}

/// The number of the level, and the target if it is not dynamic, of a definition's bytes; for who needs no more of it.
pub(crate) fn level_and_target(bytes: &[u8]) -> Option<(u8, Option<&str>)> {
    let mut bytes = Cursor::new(bytes);
    bytes.u32().ok()?;
    let (level, has_target) = (bytes.u8().ok()?, bytes.u8().ok()?);
    bytes.u32().ok()?;
    bytes.u32().ok()?;
    let target = bytes.name().ok()?;
    Some((level, (has_target != 0).then_some(target)))
}

/// Reads the definition of a call site. What is built is bounded by the bytes.
///
/// # Errors
///
/// If the bytes are anything but one definition.
pub fn decode_site(bytes: &[u8]) -> Result<SiteDef, DecodeError> {
    let mut bytes = Cursor::new(bytes);
    let id = bytes.u32()?;
    let level = Level::from_u8(bytes.u8()?).ok_or(DecodeError::Unknown)?;
    let has_target = bytes.u8()? != 0;
    let (line, column) = (bytes.u32()?, bytes.u32()?);
    let target = bytes.name()?;
    let site = SiteDef {
        id,
        level,
        target: has_target.then(|| target.to_owned()),
        module: bytes.name()?.to_owned(),
        file: bytes.name()?.to_owned(),
        line,
        column,
        format: bytes.name()?.to_owned(),
        fields: list(&mut bytes, |bytes| Ok(FieldDef { debug: bytes.u8()? != 0, name: bytes.name()?.to_owned() }))?,
        types: list(&mut bytes, read_type)?,
    };
    if bytes.rest().is_empty() { Ok(site) } else { Err(DecodeError::Excess) }
}

/// Decodes what stands in a frame or table, where up to seven zeros follow it.
pub(crate) fn unpadded<T>(padded: &[u8], decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    (0..8_usize).find_map(|padding| {
        let (definition, zeros) = padded.split_at_checked(padded.len().checked_sub(padding)?)?;
        if zeros.iter().all(|byte| *byte == 0) { decode(definition) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callsite::FieldInfo;
    use crate::record::types::{OwnedShape, TYPE_DEPTH_MAX};
    use crate::value::{Shape, Type};

    const INFO: SiteInfo = SiteInfo {
        level: Level::Warn,
        target: Some("risk"),
        module: "bot::risk",
        file: "src/risk.rs",
        line: 7,
        column: 5,
        format: "limit {} at {x:>8}",
        fields: &[FieldInfo { name: "order.id", debug: true }],
    };
    const SIDE: Type = Type::Enum("Side", &[("Buy", Shape::Unit), ("Other", Shape::Named(&[("why", &Type::Str)]))]);
    const TYPES: Types = Types {
        first: Some((
            &Type::Result(&Type::Option(&Type::U8), &Type::Array(&Type::F64, 3)),
            &Types { first: Some((&SIDE, &Types { first: None })) },
        )),
    };

    fn encoded() -> Vec<u8> {
        let mut bytes = vec![0; encode_site(9, &INFO, &TYPES, &mut [])];
        assert_eq!(encode_site(9, &INFO, &TYPES, &mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn a_definition_comes_back() {
        let site = decode_site(&encoded()).unwrap();
        assert_eq!((site.id, site.level, site.line, site.column), (9, Level::Warn, 7, 5));
        assert_eq!((site.target.as_deref(), &*site.format), (Some("risk"), INFO.format));
        assert_eq!(site.fields, [FieldDef { name: "order.id".into(), debug: true }]);
        let side = OwnedType::Enum(
            "Side".into(),
            vec![
                ("Buy".into(), OwnedShape::Unit),
                ("Other".into(), OwnedShape::Named(vec![("why".into(), OwnedType::Str)])),
            ],
        );
        assert_eq!(site.types.last(), Some(&side));
    }

    #[test]
    fn a_shortened_or_changed_definition_is_an_error_or_another_one_but_no_panic() {
        let bytes = encoded();
        for len in 0..bytes.len() {
            assert!(decode_site(&bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            for change in [1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                let _ = decode_site(&bytes);
            }
        }
    }

    #[test]
    fn nesting_is_limited() {
        let mut bytes = vec![Type::Option(&Type::Unit).tag(); 1_000_000];
        assert_eq!(read_type(&mut Cursor::new(&bytes)), Err(DecodeError::TooDeep));
        bytes.truncate(TYPE_DEPTH_MAX - 1);
        bytes.push(Type::Unit.tag());
        assert!(read_type(&mut Cursor::new(&bytes)).is_ok());
    }

    #[test]
    fn a_target_may_be_absent_and_tells_signatures_apart() {
        let info = SiteInfo { target: None, ..INFO };
        let mut bytes = vec![0; encode_site(1, &info, &TYPES, &mut [])];
        encode_site(1, &info, &TYPES, &mut bytes);
        assert_eq!(decode_site(&bytes).unwrap().target, None);
        assert_ne!(TYPES.signature(), Types { first: None }.signature());
    }
}
