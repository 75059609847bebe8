//! What is written beside a handler that is checked where it stands.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Type, parse_quote, spanned::Spanned};

/// The most parameters that a handler has.
const MOST: usize = 8;

/// Writes the function as it is, and checks of its parameters and its result.
pub(crate) fn debug_handler(attribute: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(Error::new(attribute.span(), "`debug_handler` takes no options"));
    }
    let function: ItemFn = syn::parse2(item)?;
    let checks = checks(&function)?;
    Ok(quote! {
        #function
        const _: () = { #checks };
    })
}

fn checks(function: &ItemFn) -> Result<TokenStream> {
    let head = &function.sig;
    if !head.generics.params.is_empty() {
        let text = "a handler is checked without parameters of types or lifetimes: register what it is for \
                    one type";
        return Err(Error::new(head.generics.span(), text));
    }
    let types: Vec<&Type> = head.inputs.iter().map(of_parameter).collect::<Result<_>>()?;
    if types.len() > MOST {
        let text = "a handler has at most eight parameters: put its arguments into one `Args<T>`";
        return Err(Error::new(types[MOST].span(), text));
    }
    let returns: Type = match &head.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let parameters = types
        .iter()
        .map(|ty| quote_spanned!(ty.span()=> ::rhubarb::__private::extracted::<#ty>();));
    let (names, ident) = (names(types.len()), &head.ident);
    let moves = head.asyncness.is_some().then(|| {
        quote_spanned! {ident.span()=>
            let _ = |#(#names: #types),*| ::rhubarb::__private::sendable(#ident(#(#names),*));
        }
    });
    let result = quote_spanned! {returns.span()=>
        let _ = (&::rhubarb::__private::Returned::<#returns>::new()).kind();
        (&::rhubarb::__private::Returned::<#returns>::new()).registered();
    };
    // Only some of the traits are used. At the type's own span that would be a warning.
    Ok(quote! {
        fn __check() {
            use ::rhubarb::__private::{OfAny as _, OfBoth as _, OfError as _, OfOne as _};
            #(#parameters)*
            #result
            #moves
        }
    })
}

fn of_parameter(parameter: &FnArg) -> Result<&Type> {
    match parameter {
        FnArg::Typed(typed) => Ok(&typed.ty),
        FnArg::Receiver(me) => {
            let text = "a handler is no method: what `self` would be is asked for as `State<S>`";
            Err(Error::new(me.span(), text))
        }
    }
}

fn names(n: usize) -> Vec<syn::Ident> {
    (0..n).map(|at| format_ident!("__parameter_{at}")).collect()
}
