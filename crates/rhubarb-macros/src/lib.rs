//! The attribute `rhubarb::task`, which declares a task once and types both of its ends, and
//! `rhubarb::debug_handler`, which checks a handler of the function form.
//!
//! What it means is told where it is used: in the crate `rhubarb`. What it writes names the
//! types of that crate only, so this one knows nothing of ours.
//!
//! Modules: `options` what stands in the attribute, `parameter` what the function takes, `expand`
//! what is written beside it, `debug` the checks of a handler.

mod debug;
mod expand;
mod options;
mod parameter;

use proc_macro::TokenStream;

/// Declares a function as a task; see `rhubarb::task`.
#[proc_macro_attribute]
pub fn task(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::task(attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Checks a handler where it is written; see `rhubarb::debug_handler`.
#[proc_macro_attribute]
pub fn debug_handler(attribute: TokenStream, item: TokenStream) -> TokenStream {
    debug::debug_handler(&attribute.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
