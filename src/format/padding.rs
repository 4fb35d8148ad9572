//! Flags with their numbers known, and how they pad.

use super::output::Output;
use super::spec::{Align, Spec, Trait};

/// A specification whose width and precision have values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) fill: char,
    pub(super) align: Option<Align>,
    pub(super) plus: bool,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Trait,
}

impl Flags {
    /// `{}`
    pub(super) const DISPLAY: Self = Self::new(&Spec::PLAIN, None, None);

    /// `{:?}`
    pub(super) const DEBUG: Self = Self { kind: Trait::Debug, ..Self::DISPLAY };

    pub(super) const fn new(spec: &Spec<'_>, width: Option<usize>, precision: Option<usize>) -> Self {
        Self {
            fill: spec.fill,
            align: spec.align,
            plus: spec.plus,
            alternate: spec.alternate,
            zero: spec.zero,
            width,
            precision,
            kind: spec.kind,
        }
    }
}

/// A number: its sign and prefix stand before the zeros of the `0` flag, which overrides fill and alignment.
pub(super) fn pad_number(out: &mut Output<'_>, flags: &Flags, sign: &str, prefix: &str, digits: &str) {
    // All of it is ASCII, so that bytes are characters.
    let missing = flags.width.unwrap_or(0).saturating_sub(sign.len() + prefix.len() + digits.len());
    if missing == 0 || flags.zero {
        out.push_str(sign);
        out.push_str(prefix);
        out.repeat('0', missing);
        out.push_str(digits);
        return;
    }
    let (before, after) = split(missing, flags.align.unwrap_or(Align::Right));
    out.repeat(flags.fill, before);
    for part in [sign, prefix, digits] {
        out.push_str(part);
    }
    out.repeat(flags.fill, after);
}

/// A text: the precision is the most characters of it.
pub(super) fn pad_text(out: &mut Output<'_>, flags: &Flags, text: &str) {
    if flags.width.is_none() && flags.precision.is_none() {
        out.push_str(text);
        return;
    }
    let end = flags.precision.and_then(|max| text.char_indices().nth(max)).map_or(text.len(), |(end, _)| end);
    pad(out, flags, text.get(..end).unwrap_or(text));
}

/// A text as a whole, to the left unless said otherwise.
pub(super) fn pad(out: &mut Output<'_>, flags: &Flags, text: &str) {
    let missing = flags.width.map_or(0, |width| width.saturating_sub(text.chars().count()));
    let (before, after) = split(missing, flags.align.unwrap_or(Align::Left));
    out.repeat(flags.fill, before);
    out.push_str(text);
    out.repeat(flags.fill, after);
}

const fn split(missing: usize, align: Align) -> (usize, usize) {
    match align {
        Align::Left => (0, missing),
        Align::Center => (missing / 2, missing - missing / 2),
        Align::Right => (missing, 0),
    }
}
