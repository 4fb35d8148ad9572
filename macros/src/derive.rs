//! `#[derive(Value)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type, parse_quote};

/// The implementation of `Value` for a struct or enum.
pub(crate) fn value(input: TokenStream) -> syn::Result<TokenStream> {
    let mut input: DeriveInput = syn::parse2(input)?;
    let parameters: Vec<_> = input.generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    if !parameters.is_empty() {
        let bounds = input.generics.make_where_clause();
        for parameter in parameters {
            bounds.predicates.push(parse_quote!(#parameter: ::tachograph::__private::Value));
        }
    }
    let name = &input.ident;
    let text = name.unraw().to_string();
    let (ty, parts_type, parts) = match &input.data {
        Data::Struct(data) => {
            let shape = shape(&data.fields);
            let pattern = pattern(&data.fields);
            let list = list(&data.fields);
            (quote!(Struct(#text, #shape)), list_type(&data.fields), quote!(let Self #pattern = self; #list))
        }
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                let (name, shape) = (variant.ident.unraw().to_string(), shape(&variant.fields));
                quote!((#name, #shape))
            });
            let types: Vec<_> = data
                .variants
                .iter()
                .map(|variant| {
                    let list = list_type(&variant.fields);
                    quote!((::core::primitive::u32, #list))
                })
                .collect();
            let arms = data.variants.iter().zip(0_u32..).map(|(variant, index)| {
                let (name, pattern, list) = (&variant.ident, pattern(&variant.fields), list(&variant.fields));
                let value = alternative(quote!((#index, #list)), index as usize, types.len());
                quote!(Self::#name #pattern => #value)
            });
            let parts = if types.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#arms),* }) };
            (quote!(Enum(#text, &[#(#variants),*])), alternatives(&types), parts)
        }
        Data::Union(data) => {
            let message = "a union cannot be a value: which of its fields is there is not known";
            return Err(syn::Error::new(data.union_token.span(), message));
        }
    };
    let (impl_generics, type_generics, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::tachograph::__private::Value for #name #type_generics #bounds {
            type Parts<'__value> = #parts_type where Self: '__value;
            const TYPE: &'static ::tachograph::__private::Type = &::tachograph::__private::Type::#ty;

            #[inline(always)]
            #[allow(clippy::inline_always, clippy::unused_unit)]
            fn parts(&self) -> Self::Parts<'_> {
                #parts
            }
        }
    })
}

/// The constant that describes the fields.
fn shape(fields: &Fields) -> TokenStream {
    let types = fields.iter().map(|field| constant(&field.ty));
    match fields {
        fields if fields.is_empty() => quote!(::tachograph::__private::Shape::Unit),
        Fields::Named(_) => {
            let names = fields.iter().flat_map(|field| &field.ident).map(|name| name.unraw().to_string());
            quote!(::tachograph::__private::Shape::Named(&[#((#names, #types)),*]))
        }
        _ => quote!(::tachograph::__private::Shape::Tuple(&[#(#types),*])),
    }
}

/// At the span of the type, where an error says that it is no value.
fn constant(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::tachograph::__private::Value>::TYPE)
}

fn variable(index: usize) -> Ident {
    Ident::new(&format!("field{index}"), Span::mixed_site())
}

fn pattern(fields: &Fields) -> TokenStream {
    let variables = (0..fields.len()).map(variable);
    match fields {
        Fields::Named(_) => {
            let names = fields.iter().flat_map(|field| &field.ident);
            quote!({ #(#names: #variables),* })
        }
        Fields::Unnamed(_) => quote!((#(#variables),*)),
        Fields::Unit => TokenStream::new(),
    }
}

fn list(fields: &Fields) -> TokenStream {
    (0..fields.len())
        .rev()
        .map(variable)
        .fold(quote!(()), |rest, field| quote!((::tachograph::__private::Value::parts(#field), #rest)))
}

fn list_type(fields: &Fields) -> TokenStream {
    fields.iter().rev().fold(quote!(()), |rest, field| {
        let ty = &field.ty;
        let parts = quote_spanned!(ty.span()=> <#ty as ::tachograph::__private::Value>::Parts<'__value>);
        quote!((#parts, #rest))
    })
}

/// A balanced tree of `Either`, so that an enum of many variants is no deep type.
fn alternatives(types: &[TokenStream]) -> TokenStream {
    match types {
        [] => quote!(()),
        [one] => one.clone(),
        _ => {
            let (left, right) = types.split_at(types.len() / 2);
            let (left, right) = (alternatives(left), alternatives(right));
            quote!(::tachograph::__private::Either<#left, #right>)
        }
    }
}

/// The value in its place in the tree.
fn alternative(value: TokenStream, index: usize, count: usize) -> TokenStream {
    if count <= 1 {
        return value;
    }
    let middle = count / 2;
    let (side, value) = if index < middle {
        ("Left", alternative(value, index, middle))
    } else {
        ("Right", alternative(value, index - middle, count - middle))
    };
    let side = format_ident!("{side}");
    quote!(::tachograph::__private::Either::#side(#value))
}
