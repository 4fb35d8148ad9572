//! The grammar of a log call: what stands between the parentheses.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, LitStr, Token};

/// A log call.
pub(crate) struct Call {
    pub(crate) logger: Option<Expr>,
    pub(crate) target: Option<Expr>,
    pub(crate) fields: Vec<Field>,
    pub(crate) message: Option<Message>,
}

/// A key-value field.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) value: TokenStream,
}

/// How a field is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As typed as it can be.
    Value,
    /// `?`
    Debug,
    /// `%`
    Display,
    /// `:err`
    Error,
}

/// A format string and its arguments.
pub(crate) struct Message {
    pub(crate) format: LitStr,
    pub(crate) args: Vec<FormatArg>,
}

/// An explicit argument of a format string.
pub(crate) struct FormatArg {
    pub(crate) name: Option<Ident>,
    pub(crate) value: Expr,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut call = Self { logger: None, target: None, fields: Vec::new(), message: None };
        while is_option(input) {
            let name: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            let slot = if name == "logger" { &mut call.logger } else { &mut call.target };
            if slot.is_some() {
                return Err(syn::Error::new(name.span(), format!("`{name}:` is given twice")));
            }
            *slot = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        while !input.is_empty() {
            if is_message(input) {
                call.message = Some(input.parse()?);
                break;
            }
            call.fields.push(input.parse()?);
            if input.is_empty() {
                break;
            }
            if input.peek(Token![;]) {
                input.parse::<Token![;]>()?;
                if !input.is_empty() {
                    call.message = Some(input.parse()?);
                }
                break;
            }
            input.parse::<Token![,]>()?;
        }
        if !input.is_empty() {
            return Err(input.error("expected the end of the log call"));
        }
        if call.fields.is_empty() && call.message.is_none() {
            return Err(input.error("expected a format string or a field"));
        }
        Ok(call)
    }
}

/// `logger:` or `target:` comes next.
pub(crate) fn is_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Ident>().is_ok_and(|name| name == "logger" || name == "target")
        && ahead.peek(Token![:])
        && !ahead.peek(Token![::])
}

/// A string is a message, unless it is a key.
fn is_message(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    if ahead.parse::<LitStr>().is_ok() {
        return !ahead.peek(Token![=]) && !ahead.peek(Token![:]);
    }
    is_concat(input)
}

fn is_concat(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Ident>().is_ok_and(|name| name == "concat") && ahead.peek(Token![!])
}

impl Parse for Message {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let format = if is_concat(input) {
            concatenated(input)?
        } else {
            input.parse().map_err(|error| syn::Error::new(error.span(), "expected a format string literal"))?
        };
        let mut args = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                args.push(input.parse()?);
            }
        }
        Ok(Self { format, args })
    }
}

/// `concat!` of string literals, which the compiler would only expand after this macro.
fn concatenated(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let call: syn::Macro = input.parse()?;
    let parts = call.parse_body_with(syn::punctuated::Punctuated::<LitStr, Token![,]>::parse_terminated)?;
    let text: String = parts.iter().map(LitStr::value).collect();
    Ok(LitStr::new(&text, call.path.span()))
}

impl Parse for FormatArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let named = ahead.call(Ident::parse_any).is_ok() && ahead.peek(Token![=]) && !ahead.peek(Token![==]);
        let name = if named {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            Some(name)
        } else {
            None
        };
        Ok(Self { name, value: input.parse()? })
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(form) = sigil(input)? {
            let (name, value) = key(input)?;
            return Ok(Self { name, form, value: value.unwrap_or_default() });
        }
        let (name, variable) = key(input)?;
        let mut form = if input.peek(Token![:]) { modifier(input)? } else { Form::Value };
        if !input.peek(Token![=]) {
            let Some(value) = variable else {
                return Err(input.error("expected `=` and a value: this key names no variable"));
            };
            return Ok(Self { name, form, value });
        }
        input.parse::<Token![=]>()?;
        if let Some(other) = sigil(input)? {
            form = other;
        }
        let value: Expr = input.parse()?;
        Ok(Self { name, form, value: value.into_token_stream() })
    }
}

fn sigil(input: ParseStream<'_>) -> syn::Result<Option<Form>> {
    if input.peek(Token![?]) {
        return input.parse::<Token![?]>().map(|_| Some(Form::Debug));
    }
    if input.peek(Token![%]) {
        return input.parse::<Token![%]>().map(|_| Some(Form::Display));
    }
    Ok(None)
}

fn modifier(input: ParseStream<'_>) -> syn::Result<Form> {
    input.parse::<Token![:]>()?;
    if let Some(form) = sigil(input)? {
        return Ok(form);
    }
    let name = input.call(Ident::parse_any)?;
    match name.to_string().as_str() {
        "debug" => Ok(Form::Debug),
        "display" => Ok(Form::Display),
        "err" | "error" => Ok(Form::Error),
        "value" => Ok(Form::Value),
        _ => Err(syn::Error::new(name.span(), "expected one of `?`, `debug`, `%`, `display`, `err`, `value`")),
    }
}

/// A key, and the variable or field of a variable that it names, if it is no string.
fn key(input: ParseStream<'_>) -> syn::Result<(String, Option<TokenStream>)> {
    if input.peek(LitStr) {
        return Ok((input.parse::<LitStr>()?.value(), None));
    }
    let first = input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), "expected a field or a format string"))?;
    let mut name = first.unraw().to_string();
    let mut path = first.to_token_stream();
    while input.peek(Token![.]) {
        input.parse::<Token![.]>()?;
        let part = input.call(Ident::parse_any)?;
        name = format!("{name}.{}", part.unraw());
        path = quote_spanned!(part.span()=> #path.#part);
    }
    Ok((name, Some(path)))
}
