//! Format strings: any text is parsed or refused, and what was parsed says all that the text said.

use crate::format::spec::{Align, Arg, Count, Piece, Placeholder, Spec, Trait, captures, parse};
use std::fmt::Write as _;

/// Any text is a format string or an error within it; a parsed one, written down again, is parsed to the same.
pub fn format_spec(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pieces = match parse(&text) {
        Ok(pieces) => pieces,
        Err(error) => {
            assert!(error.at <= text.len() && !error.what.is_empty(), "{error} in {text:?}");
            return;
        }
    };
    let written = write(&pieces);
    let again = parse(&written).unwrap_or_else(|error| panic!("{text:?} became {written:?}: {error}"));
    assert_eq!(joined(&pieces), joined(&again), "{text:?} became {written:?}");
    assert_eq!(captures(&pieces), captures(&again));
    assert!(captures(&pieces).len() <= 3 * pieces.len());
}

/// Literals as one where they stand together: escaped braces are pieces of their own.
fn joined<'a>(pieces: &[Piece<'a>]) -> Vec<(String, Option<Placeholder<'a>>)> {
    let mut all = vec![(String::new(), None)];
    for piece in pieces {
        match (piece, all.last_mut()) {
            (Piece::Literal(text), Some((before, None))) => before.push_str(text),
            (Piece::Literal(text), _) => all.push(((*text).to_owned(), None)),
            (Piece::Placeholder(placeholder), _) => {
                all.push((String::new(), Some(*placeholder)));
                all.push((String::new(), None));
            }
        }
    }
    all
}

fn write(pieces: &[Piece<'_>]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(&literal.replace('{', "{{").replace('}', "}}")),
            Piece::Placeholder(placeholder) => {
                text.push('{');
                arg(placeholder.arg, &mut text);
                let mut after = String::new();
                spec(&placeholder.spec, &mut after);
                // With nothing behind the colon, `}` could be taken for a fill.
                if !after.is_empty() {
                    text.push(':');
                }
                text.push_str(&after);
                text.push('}');
            }
        }
    }
    text
}

fn arg(arg: Arg<'_>, out: &mut String) {
    match arg {
        Arg::Position(position) => write!(out, "{position}").unwrap_or_default(),
        Arg::Name(name) => out.push_str(name),
    }
}

fn count(count: Count<'_>, out: &mut String) {
    match count {
        Count::Implied => {}
        Count::Literal(number) => write!(out, "{number}").unwrap_or_default(),
        Count::Arg(name) => {
            arg(name, out);
            out.push('$');
        }
    }
}

fn spec(spec: &Spec<'_>, out: &mut String) {
    if let Some(align) = spec.align {
        out.push(spec.fill);
        out.push(match align {
            Align::Left => '<',
            Align::Center => '^',
            Align::Right => '>',
        });
    }
    for (is_set, flag) in [(spec.plus, '+'), (spec.minus, '-'), (spec.alternate, '#'), (spec.zero, '0')] {
        if is_set {
            out.push(flag);
        }
    }
    count(spec.width, out);
    if spec.precision != Count::Implied {
        out.push('.');
        count(spec.precision, out);
    }
    out.push_str(match spec.kind {
        Trait::Display => "",
        Trait::Debug => "?",
        Trait::DebugLowerHex => "x?",
        Trait::DebugUpperHex => "X?",
        Trait::LowerHex => "x",
        Trait::UpperHex => "X",
        Trait::Octal => "o",
        Trait::Binary => "b",
        Trait::LowerExp => "e",
        Trait::UpperExp => "E",
        Trait::Pointer => "p",
    });
}
