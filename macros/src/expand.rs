//! From a log call to the code that stands in its place.

use crate::input::{Call, Field, Form, Message, is_option};
use crate::message::Scope;
use crate::spec;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, Token};

const LEVELS: [&str; 6] = ["Critical", "Error", "Warn", "Info", "Debug", "Trace"];

/// The expansion of `info!` and its like.
pub(crate) fn at_level(level: &str, input: TokenStream) -> TokenStream {
    let level = Ident::new(level, Span::call_site());
    let level = quote!(::tachograph::__private::Level::#level);
    syn::parse2::<Call>(input).map(|call| Site::of(&call).expand(&level)).unwrap_or_else(syn::Error::into_compile_error)
}

/// The expansion of `log!`.
pub(crate) fn at_given_level(input: TokenStream) -> TokenStream {
    let Leveled { level, call } = match syn::parse2(input) {
        Ok(leveled) => leveled,
        Err(error) => return error.into_compile_error(),
    };
    let site = Site::of(&call);
    if is_constant(&level) {
        return site.expand(&quote!(#level));
    }
    let arms = LEVELS.map(|name| {
        let name = Ident::new(name, Span::call_site());
        let level = quote!(::tachograph::__private::Level::#name);
        let body = site.expand(&level);
        quote!(#level => #body)
    });
    quote!(match #level { #(#arms),* })
}

/// The expansion of `__encode!`.
pub(crate) fn encoded(input: TokenStream) -> TokenStream {
    let parser = |input: ParseStream<'_>| -> syn::Result<(Expr, Call)> {
        let bytes_max = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok((bytes_max, input.parse()?))
    };
    let (bytes_max, call) = match syn::parse::Parser::parse2(parser, input) {
        Ok(parsed) => parsed,
        Err(error) => return error.into_compile_error(),
    };
    let site = Site::of(&call);
    let list = site.list();
    let encoded = quote!(::tachograph::__private::encoded(&__TACHOGRAPH_SITE, &#list, #bytes_max));
    let (item, body) = (site.item(&quote!(::tachograph::__private::Level::Info)), site.record(&encoded));
    quote!({ #item #body })
}

/// A path that ends in the name of a level or is written like a constant.
fn is_constant(level: &Expr) -> bool {
    let Expr::Path(path) = level else { return false };
    path.path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        LEVELS.contains(&name.as_str())
            || name.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit())
    })
}

struct Leveled {
    level: Expr,
    call: Call,
}

impl Parse for Leveled {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `log` has these before the level.
        let mut options = TokenStream::new();
        while is_option(input) {
            let name: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            let value: Expr = input.parse()?;
            input.parse::<Token![,]>()?;
            options.extend(quote!(#name: #value,));
        }
        let level = input.parse()?;
        input.parse::<Token![,]>()?;
        let rest: TokenStream = input.parse()?;
        Ok(Self { level, call: syn::parse2(quote!(#options #rest))? })
    }
}

/// The parts of an expansion that do not depend on the level.
pub(crate) struct Site<'a> {
    call: &'a Call,
    /// Expressions to borrow, and the variables that hold the borrows.
    values: Vec<TokenStream>,
    variables: Vec<Ident>,
    /// The list of arguments.
    captures: Vec<TokenStream>,
    /// The format string with all its arguments for rustc to check.
    check: TokenStream,
}

impl<'a> Site<'a> {
    fn of(call: &'a Call) -> Self {
        let mut site =
            Self { call, values: Vec::new(), variables: Vec::new(), captures: Vec::new(), check: TokenStream::new() };
        if let Some(message) = &call.message {
            site.message(message);
        }
        for field in &call.fields {
            site.field(field);
        }
        site
    }

    /// Borrows the value of an expression for the rest of the expansion.
    pub(crate) fn borrow(&mut self, value: TokenStream, span: Span) -> Ident {
        // Hygienic, so that no variable of the user has this name; located at the argument, so that errors are too.
        let variable = format_ident!("arg{}", self.values.len(), span = Span::mixed_site().located_at(span));
        self.values.push(value);
        self.variables.push(variable.clone());
        variable
    }

    fn message(&mut self, message: &'a Message) {
        let literal = &message.format;
        let text = literal.value();
        let pieces = match spec::parse(&text) {
            Ok(pieces) => pieces,
            Err(error) => {
                let args = message.args.iter().map(|arg| {
                    let value = &arg.value;
                    arg.name.as_ref().map_or_else(|| quote!(#value), |name| quote!(#name = #value))
                });
                // rustc knows better how to say it; ours is for what it might accept.
                let error = syn::Error::new(literal.span(), error).into_compile_error();
                self.check = quote!(let _ = ::core::format_args!(#literal #(, #args)*); #error);
                return;
            }
        };
        let mut explicit = Vec::new();
        let mut checked = Vec::new();
        for arg in &message.args {
            let value = &arg.value;
            let span = value.span();
            let variable = self.borrow(quote!(#value), span);
            checked.push(match &arg.name {
                Some(name) => quote_spanned!(span=> #name = *#variable),
                None => quote_spanned!(span=> *#variable),
            });
            explicit.push((arg.name.as_ref().map(ToString::to_string), variable));
        }
        self.check = quote!(let _ = ::core::format_args!(#literal #(, #checked)*););

        let mut scope = Scope::new(self, explicit, literal);
        let captures: Option<Vec<_>> =
            spec::captures(&pieces).into_iter().map(|capture| scope.capture(capture)).collect();
        // What names no argument is an error that rustc reports through the check.
        self.captures = captures.unwrap_or_default();
    }

    fn field(&mut self, field: &Field) {
        let span = field.value.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
        let value = self.borrow(field.value.clone(), span);
        let take = quote_spanned!(span=> ::tachograph::__private::Take(#value));
        self.captures.push(match field.form {
            Form::Value => quote_spanned!(span=> (&&#take).field()),
            Form::Display => quote_spanned!(span=> (&#take).display(::core::format_args!("{}", #value))),
            Form::Debug => quote_spanned!(span=> (&#take).debug(::core::format_args!("{:?}", #value))),
            Form::Error => quote_spanned!(span=> ::tachograph::__private::error(#value)),
        });
    }

    fn expand(&self, level: &TokenStream) -> TokenStream {
        let mixed = Span::mixed_site();
        let (item, list) = (self.item(level), self.list());
        let enabled = match &self.call.logger {
            None => {
                let emit = quote_spanned!(mixed=> ::tachograph::__private::emit(&__TACHOGRAPH_SITE, state, #list));
                let record = self.record(&emit);
                quote_spanned! {mixed=>
                    let state = __TACHOGRAPH_SITE.state();
                    if ::tachograph::__private::is_on(&__TACHOGRAPH_SITE, state) { #record }
                }
            }
            Some(logger) => {
                let emit = quote_spanned!(mixed=> ::tachograph::__private::emit_for(logger, &__TACHOGRAPH_SITE, #list));
                let record = self.record(&emit);
                // At the expression, where an error says that it is no logger.
                let span = mixed.located_at(logger.span());
                let enabled = quote_spanned!(span=> ::tachograph::__private::enabled_for(logger, &__TACHOGRAPH_SITE));
                quote_spanned! {mixed=>
                    match &(#logger) {
                        logger => if #enabled { #record }
                    }
                }
            }
        };
        quote_spanned! {mixed=> {
            #item
            if const { ::tachograph::__private::STATIC_MAX_LEVEL.passes(#level) } {
                #enabled
            }
        }}
    }

    /// The static call site.
    fn item(&self, level: &TokenStream) -> TokenStream {
        let format = self.call.message.as_ref().map_or_else(String::new, |message| message.format.value());
        let target = match (&self.call.target, &self.call.logger) {
            (Some(target), _) => quote!(::core::option::Option::Some(#target)),
            (None, Some(_)) => quote!(::core::option::Option::None),
            (None, None) => quote!(::core::option::Option::Some(::core::module_path!())),
        };
        let fields = self.call.fields.iter().map(|Field { name, form, .. }| {
            let debug = *form == Form::Debug;
            quote!(::tachograph::__private::FieldInfo { name: #name, debug: #debug })
        });
        quote_spanned! {Span::mixed_site()=>
            static __TACHOGRAPH_SITE: ::tachograph::__private::Site =
                ::tachograph::__private::Site::new(::tachograph::__private::SiteInfo {
                    level: #level,
                    target: #target,
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                    column: ::core::column!(),
                    format: #format,
                    fields: &[#(#fields),*],
                });
        }
    }

    /// The arguments, nested as pairs.
    fn list(&self) -> TokenStream {
        self.captures.iter().rev().fold(quote!(()), |rest, first| quote!((#first, #rest)))
    }

    /// Evaluates the arguments, each once and before any is captured, then does `emit`.
    fn record(&self, emit: &TokenStream) -> TokenStream {
        let (values, variables, check) = (&self.values, &self.variables, &self.check);
        let traits = (!self.captures.is_empty()).then(|| {
            quote!(
                #[allow(unused_imports)]
                use ::tachograph::__private::traits::*;
            )
        });
        let check = (!check.is_empty()).then(|| quote!(if false { #check }));
        quote_spanned! {Span::mixed_site()=>
            match (#(&(#values),)*) {
                (#(#variables,)*) => {
                    #traits
                    #check
                    #emit
                }
            }
        }
    }
}
