//! The attribute `rhubarb::task`, which declares a task once and types both of its ends.
//!
//! What it means is told where it is used: in the crate `rhubarb`. What it writes names the
//! types of that crate only, so this one knows nothing of ours.
//!
//! Modules: `options` what stands in the attribute, `parameter` what the function takes, `expand`
//! what is written beside it.

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
