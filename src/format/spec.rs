//! The grammar of format strings, parsed once for all: the macros use it at compile time, the decoder at reading time.
//!
//! Pure, and free of anything but `core` and `Vec`, because `tachograph-macros` includes this very file. Any input gives
//! pieces or an error; rustc checks the same string through `format_args!`, so where it is stricter, its word holds.

use core::fmt;

/// A stretch of a format string.
///
/// The grammar is that of `std::fmt`:
///
/// ```text
/// format      := ( text | "{{" | "}}" | placeholder )*
/// placeholder := "{" [ argument ] [ ":" spec ] ws* "}"
/// argument    := integer | identifier
/// spec        := [[fill] align] [sign] ["#"] ["0"] [count] ["." ( count | "*" )] trait
/// fill        := any character that stands before an align
/// align       := "<" | "^" | ">"
/// sign        := "+" | "-"
/// count       := integer | argument "$"
/// trait       := "" | "?" | "x?" | "X?" | "x" | "X" | "o" | "b" | "e" | "E" | "p"
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Text that stands for itself, braces already unescaped.
    Literal(&'a str),
    /// A place for an argument.
    Placeholder(Placeholder<'a>),
}

/// An argument and how to format it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placeholder<'a> {
    /// Whose value.
    pub arg: Arg<'a>,
    /// In which form.
    pub spec: Spec<'a>,
}

/// Which argument. What the string leaves to "the next one" is resolved to a position by [`parse`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg<'a> {
    /// By position among the explicit arguments, from 0.
    Position(usize),
    /// By name: a named argument, or else a captured variable.
    Name(&'a str),
}

/// A width or a precision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count<'a> {
    /// Not given.
    Implied,
    /// Given as a number; `std::fmt` takes no more than 16 bits.
    Literal(u16),
    /// Given by an argument of type `usize`.
    Arg(Arg<'a>),
}

/// Where the value stands within the width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// `<`
    Left,
    /// `^`
    Center,
    /// `>`
    Right,
}

/// The trait of `std::fmt` that formats the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trait {
    /// `{}`
    Display,
    /// `{:?}`
    Debug,
    /// `{:x?}`: `Debug` with integers in lower-case hexadecimal.
    DebugLowerHex,
    /// `{:X?}`: `Debug` with integers in upper-case hexadecimal.
    DebugUpperHex,
    /// `{:x}`
    LowerHex,
    /// `{:X}`
    UpperHex,
    /// `{:o}`
    Octal,
    /// `{:b}`
    Binary,
    /// `{:e}`
    LowerExp,
    /// `{:E}`
    UpperExp,
    /// `{:p}`
    Pointer,
}

/// What stands behind the colon of a placeholder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spec<'a> {
    /// Fills the width; a space if not given.
    pub fill: char,
    /// `<`, `^`, `>`.
    pub align: Option<Align>,
    /// `+`
    pub plus: bool,
    /// `-`, which `std::fmt` accepts and types of the user may look at.
    pub minus: bool,
    /// `#`
    pub alternate: bool,
    /// `0`
    pub zero: bool,
    /// The least number of characters.
    pub width: Count<'a>,
    /// Digits behind the point, or the most characters of a string.
    pub precision: Count<'a>,
    /// How the value is formatted.
    pub kind: Trait,
}

impl Spec<'_> {
    /// `{}`
    pub const PLAIN: Self = Self {
        fill: ' ',
        align: None,
        plus: false,
        minus: false,
        alternate: false,
        zero: false,
        width: Count::Implied,
        precision: Count::Implied,
        kind: Trait::Display,
    };
}

/// A value that the call site records for the message.
///
/// The payload holds, for each placeholder from left to right, its value, then the arguments that give its width and
/// its precision; what stood there before is not recorded again. The order follows from the format string alone, so it
/// is stored nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capture<'a> {
    /// The value of a placeholder, for the form in which it is asked for.
    Value(Placeholder<'a>),
    /// The number behind a `width$` or `.precision$` or `.*`.
    Count(Arg<'a>),
}

/// The captures of a format string, in the order of the payload.
pub fn captures<'a>(pieces: &[Piece<'a>]) -> Vec<Capture<'a>> {
    let mut all = Vec::new();
    let mut add = |capture| {
        if !all.contains(&capture) {
            all.push(capture);
        }
    };
    for piece in pieces {
        let Piece::Placeholder(placeholder) = piece else { continue };
        add(Capture::Value(*placeholder));
        for count in [placeholder.spec.width, placeholder.spec.precision] {
            if let Count::Arg(arg) = count {
                add(Capture::Count(arg));
            }
        }
    }
    all
}

/// Why a string is no format string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpecError {
    /// The byte at which reading stopped.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the format string", self.what, self.at)
    }
}

impl core::error::Error for SpecError {}

/// Parses a format string.
///
/// # Errors
///
/// The first place where the string does not follow the grammar of [`Piece`].
pub fn parse(format: &str) -> Result<Vec<Piece<'_>>, SpecError> {
    let mut parser = Parser { rest: format, len: format.len(), next: 0 };
    let mut pieces = Vec::new();
    while !parser.rest.is_empty() {
        pieces.push(parser.piece()?);
    }
    Ok(pieces)
}

struct Parser<'a> {
    rest: &'a str,
    len: usize,
    /// The position that the next `{}` or `.*` refers to.
    next: usize,
}

impl<'a> Parser<'a> {
    fn piece(&mut self) -> Result<Piece<'a>, SpecError> {
        for (escaped, literal) in [("{{", "{"), ("}}", "}")] {
            if self.eat_str(escaped) {
                return Ok(Piece::Literal(literal));
            }
        }
        if self.eat('{') {
            return self.placeholder().map(Piece::Placeholder);
        }
        if self.rest.starts_with('}') {
            return self.fail("unmatched `}`");
        }
        let end = self.rest.find(['{', '}']).unwrap_or(self.rest.len());
        Ok(Piece::Literal(self.take(end)))
    }

    fn placeholder(&mut self) -> Result<Placeholder<'a>, SpecError> {
        let arg = self.argument()?;
        let spec = if self.eat(':') { self.spec()? } else { Spec::PLAIN };
        self.rest = self.rest.trim_start();
        if !self.eat('}') {
            return self.fail("expected `}`");
        }
        let arg = arg.unwrap_or_else(|| self.next_position());
        Ok(Placeholder { arg, spec })
    }

    fn spec(&mut self) -> Result<Spec<'a>, SpecError> {
        let mut spec = Spec::PLAIN;
        let mut chars = self.rest.chars();
        if let (Some(fill), Some(align)) = (chars.next(), chars.next().and_then(align)) {
            (spec.fill, spec.align) = (fill, Some(align));
            self.rest = chars.as_str();
        } else if let Some(align) = self.rest.chars().next().and_then(align) {
            spec.align = Some(align);
            self.take(1);
        }
        spec.plus = self.eat('+');
        spec.minus = !spec.plus && self.eat('-');
        spec.alternate = self.eat('#');
        // `0$` is the argument 0 as width, not the flag.
        spec.zero = !self.rest.starts_with("0$") && self.eat('0');
        spec.width = self.count()?;
        if self.eat('.') {
            spec.precision = if self.eat('*') { Count::Arg(self.next_position()) } else { self.count()? };
        }
        spec.kind = self.kind()?;
        Ok(spec)
    }

    fn kind(&mut self) -> Result<Trait, SpecError> {
        const NAMES: [(&str, Trait); 10] = [
            ("x?", Trait::DebugLowerHex),
            ("X?", Trait::DebugUpperHex),
            ("?", Trait::Debug),
            ("x", Trait::LowerHex),
            ("X", Trait::UpperHex),
            ("o", Trait::Octal),
            ("b", Trait::Binary),
            ("e", Trait::LowerExp),
            ("E", Trait::UpperExp),
            ("p", Trait::Pointer),
        ];
        for (name, kind) in NAMES {
            if self.eat_str(name) {
                return Ok(kind);
            }
        }
        Ok(Trait::Display)
    }

    fn argument(&mut self) -> Result<Option<Arg<'a>>, SpecError> {
        Ok(match self.integer()? {
            Some(number) => Some(Arg::Position(usize::from(number))),
            None => self.identifier().map(Arg::Name),
        })
    }

    /// A number, or an argument before a `$`; an identifier without `$` is the trait and stays.
    fn count(&mut self) -> Result<Count<'a>, SpecError> {
        let before = self.rest;
        Ok(match self.integer()? {
            Some(number) if self.eat('$') => Count::Arg(Arg::Position(usize::from(number))),
            Some(number) => Count::Literal(number),
            None => match self.identifier() {
                Some(name) if self.eat('$') => Count::Arg(Arg::Name(name)),
                _ => {
                    self.rest = before;
                    Count::Implied
                }
            },
        })
    }

    fn integer(&mut self) -> Result<Option<u16>, SpecError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        if end == 0 {
            return Ok(None);
        }
        let digits = self.take(end);
        digits.parse().map(Some).or_else(|_| self.fail("a number above 65535"))
    }

    /// Wider than Rust's identifiers beyond ASCII, where rustc has the last word.
    fn identifier(&mut self) -> Option<&'a str> {
        let inner = |c: char| c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && !c.is_whitespace());
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let end = self.rest.find(|c| !inner(c)).unwrap_or(self.rest.len());
        (end > 0).then(|| self.take(end))
    }

    fn next_position(&mut self) -> Arg<'a> {
        let position = self.next;
        self.next += 1;
        Arg::Position(position)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.strip_prefix(wanted).map(|rest| self.rest = rest).is_some()
    }

    fn eat_str(&mut self, wanted: &str) -> bool {
        self.rest.strip_prefix(wanted).map(|rest| self.rest = rest).is_some()
    }

    /// `end` is at a character boundary, as it came from `find`.
    fn take(&mut self, end: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, SpecError> {
        Err(SpecError { at: self.len - self.rest.len(), what })
    }
}

const fn align(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '^' => Some(Align::Center),
        '>' => Some(Align::Right),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder(format: &str) -> Placeholder<'_> {
        match *parse(format).unwrap() {
            [Piece::Placeholder(placeholder)] => placeholder,
            ref pieces => panic!("{pieces:?}"),
        }
    }

    #[test]
    fn a_placeholder_has_all_its_parts() {
        let expected = Spec {
            fill: '}',
            align: Some(Align::Center),
            plus: true,
            minus: false,
            alternate: true,
            zero: true,
            width: Count::Literal(12),
            precision: Count::Arg(Arg::Name("p")),
            kind: Trait::DebugUpperHex,
        };
        assert_eq!(placeholder("{x:}^+#012.p$X? }"), Placeholder { arg: Arg::Name("x"), spec: expected });
        assert_eq!(placeholder("{}"), Placeholder { arg: Arg::Position(0), spec: Spec::PLAIN });
    }

    #[test]
    fn zero_is_a_flag_a_width_or_an_argument() {
        assert!(placeholder("{:0}").spec.zero);
        assert_eq!(placeholder("{:0$}").spec.width, Count::Arg(Arg::Position(0)));
        let spec = placeholder("{:00$}").spec;
        assert!(spec.zero && spec.width == Count::Arg(Arg::Position(0)));
        assert_eq!(placeholder("{:x}").spec.kind, Trait::LowerHex);
        assert_eq!(placeholder("{:x$}").spec.width, Count::Arg(Arg::Name("x")));
    }

    #[test]
    fn the_next_argument_is_counted_past_stars_and_names() {
        let pieces = parse("{} {x} {:.*} {1}").unwrap();
        let args = [Arg::Position(0), Arg::Name("x"), Arg::Position(2), Arg::Position(1)];
        let found = pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder.arg),
            Piece::Literal(_) => None,
        });
        assert!(found.eq(args));
        assert!(captures(&pieces).contains(&Capture::Count(Arg::Position(1))));
    }

    #[test]
    fn what_follows_no_rule_is_an_error_at_its_place() {
        for (format, at) in [("a{", 2), ("}", 0), ("{:y}", 2), ("{ x}", 2), ("{:65536}", 7), ("{x y}", 3), ("{:.*", 4)]
        {
            assert_eq!(parse(format).map_err(|error| error.at), Err(at), "{format}");
        }
    }
}
