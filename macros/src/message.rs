//! The captures of a message: which argument each takes, and the code that takes it.

use crate::expand::Site;
use crate::spec::{self, Align, Arg, Capture, Count, Placeholder, Trait};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use std::fmt::Write;
use syn::LitStr;

/// Where the arguments of a format string are looked up.
pub(crate) struct Scope<'s, 'a> {
    site: &'s mut Site<'a>,
    /// The explicit arguments by position, with their names.
    explicit: Vec<(Option<String>, Ident)>,
    /// Captured variables.
    inline: Vec<(String, Ident)>,
    literal: &'a LitStr,
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(crate) const fn new(
        site: &'s mut Site<'a>,
        explicit: Vec<(Option<String>, Ident)>,
        literal: &'a LitStr,
    ) -> Self {
        Self { site, explicit, inline: Vec::new(), literal }
    }

    fn variable(&mut self, arg: Arg<'_>) -> Option<Ident> {
        let name = match arg {
            Arg::Position(position) => return self.explicit.get(position).map(|(_, variable)| variable.clone()),
            Arg::Name(name) => name,
        };
        if let Some((_, variable)) = self.explicit.iter().find(|(known, _)| known.as_deref() == Some(name)) {
            return Some(variable.clone());
        }
        if let Some((_, variable)) = self.inline.iter().find(|(known, _)| known == name) {
            return Some(variable.clone());
        }
        let span = self.literal.span();
        let ident = syn::parse_str::<Ident>(name).or_else(|_| syn::parse_str(&format!("r#{name}"))).ok()?;
        let ident =
            if ident.to_string().starts_with("r#") { Ident::new_raw(name, span) } else { Ident::new(name, span) };
        let variable = self.site.borrow(quote!(#ident), span);
        self.inline.push((name.to_owned(), variable.clone()));
        Some(variable)
    }

    /// The code that takes what the format string asks for; `None` if it names no argument.
    pub(crate) fn capture(&mut self, capture: Capture<'_>) -> Option<TokenStream> {
        match capture {
            Capture::Count(arg) => {
                let variable = self.variable(arg)?;
                Some(quote_spanned!(variable.span()=> ::tachograph::__private::count(#variable)))
            }
            Capture::Value(placeholder) => self.value(&placeholder),
        }
    }

    fn value(&mut self, placeholder: &Placeholder<'_>) -> Option<TokenStream> {
        let spec = &placeholder.spec;
        let value = self.variable(placeholder.arg)?;
        let mut args = vec![value.clone()];
        let mut count = |scope: &mut Self, count| {
            Some(match count {
                Count::Implied => String::new(),
                Count::Literal(number) => number.to_string(),
                Count::Arg(arg) => {
                    let variable = scope.variable(arg)?;
                    let position = args.len();
                    args.push(variable);
                    format!("{position}$")
                }
            })
        };
        let width = count(self, spec.width)?;
        let precision = count(self, spec.precision)?;
        let format = LitStr::new(&template(spec, &width, &precision), value.span());
        let method = method(spec.kind);
        // A count that is a borrowed `usize` must stand as the place that it refers to.
        let (first, counts) = args.split_first()?;
        Some(quote_spanned! {value.span()=>
            (&::tachograph::__private::Take(#value)).#method(::core::format_args!(#format, #first #(, *#counts)*))
        })
    }
}

/// The placeholder as a format string for its value, followed by its counts.
fn template(spec: &spec::Spec<'_>, width: &str, precision: &str) -> String {
    let mut text = String::from("{:");
    if let Some(align) = spec.align {
        text.push(spec.fill);
        text.push(match align {
            Align::Left => '<',
            Align::Center => '^',
            Align::Right => '>',
        });
    }
    for (flag, sign) in [(spec.plus, '+'), (spec.minus, '-'), (spec.alternate, '#'), (spec.zero, '0')] {
        if flag {
            text.push(sign);
        }
    }
    text.push_str(width);
    if !precision.is_empty() {
        let _ = write!(text, ".{precision}");
    }
    text.push_str(match spec.kind {
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
    text.push('}');
    text
}

fn method(kind: Trait) -> Ident {
    let name = match kind {
        Trait::Display => "display",
        Trait::Debug | Trait::DebugLowerHex | Trait::DebugUpperHex => "debug",
        Trait::LowerHex | Trait::UpperHex | Trait::Octal | Trait::Binary => "radix",
        Trait::LowerExp | Trait::UpperExp => "exp",
        Trait::Pointer => "pointer",
    };
    Ident::new(name, Span::mixed_site())
}
