//! Procedural macros of the `tachograph` logger; use them through the `tachograph` crate, which documents them.

mod derive;
mod expand;
mod input;
mod message;
#[expect(unreachable_pub, reason = "the file is shared with the library, where these are public")]
mod spec;

use proc_macro::TokenStream;

macro_rules! levels {
    ($($name:ident $level:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        ///
        /// ```text
        /// [logger: expression,] [target: "name",] [key = value, …;] ["format" [, arguments …]]
        /// ```
        ///
        /// The format string and its arguments are those of `format!`. A field is `key = value`, `key:? = value` or
        /// `key = ?value` for its `Debug` form, `key:% = value` or `key = %value` for its `Display` form, `key:err =
        /// value` for an error; `key`, `?key` and `%key` stand for a variable of that name. A call that is not enabled
        /// evaluates none of its arguments.
        #[proc_macro]
        pub fn $name(input: TokenStream) -> TokenStream {
            expand::at_level(stringify!($level), input.into()).into()
        }
    )*};
}

levels! {
    critical Critical "Logs that the system cannot do its work.";
    error Error "Logs that an operation failed.";
    warn Warn "Logs something unexpected that the program coped with.";
    info Info "Logs what the system does, in its own terms.";
    debug Debug "Logs what a developer wants while looking for a fault.";
    trace Trace "Logs everything.";
}

/// Logs at the level that stands before the other arguments: `log!(Level::Info, "…")`.
///
/// A level that is only known at run time works too, at the cost of six call sites in the program.
#[proc_macro]
pub fn log(input: TokenStream) -> TokenStream {
    expand::at_given_level(input.into()).into()
}

/// The call as bytes instead of a record: `__encode!(payload_bytes_max; "…")`. For tests.
#[doc(hidden)]
#[proc_macro]
pub fn __encode(input: TokenStream) -> TokenStream {
    expand::encoded(input.into()).into()
}

/// Makes a struct or an enum a value that log calls copy as bytes.
///
/// Every field must be a value. `{:?}` of it shows what `derive(Debug)` shows.
#[proc_macro_derive(Value)]
pub fn derive_value(input: TokenStream) -> TokenStream {
    derive::value(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
