//! What is written beside a task's function: a type of the same name, and the type of its calls.
//!
//! It allows a few lints, each on the item that needs it, and does not expect them: which of them
//! fire is the function's affair, and an expectation that is not met would be a warning in the
//! caller's code. `rhubarb`'s test `lints` shows that no more are needed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, ExprLit, ItemFn, Lit, Result, ReturnType, Type, Visibility,
    parse_quote, spanned::Spanned,
};

use crate::{
    options::Options,
    parameter::{self, Argument, Parameter, ParameterKind, Role},
};

/// The methods that every call has. An argument of such a name is set by the name with a `_`
/// behind it. `rhubarb::__call_options` has the same.
const TAKEN: [&str; 19] = [
    "id",
    "queue",
    "countdown",
    "eta",
    "expires_in",
    "expires",
    "priority",
    "time_limit",
    "soft_time_limit",
    "shadow",
    "header",
    "ignore_result",
    "link",
    "link_error",
    "unique_for",
    "send",
    "signature",
    "publish",
    "clone",
];

/// A task as it was written.
struct Task {
    options: Options,
    vis: Visibility,
    /// The function, and the type of the same name.
    ident: Ident,
    /// The type of its calls.
    call: Ident,
    docs: Vec<Attribute>,
    is_async: bool,
    parameters: Vec<Parameter>,
    /// What the function returns, and what of it is stored.
    returns: Type,
    ok: TokenStream,
}

/// Writes the function as it is, and what belongs to it.
pub(crate) fn task(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut function: ItemFn = syn::parse2(item)?;
    let task = Task::read(attribute, &mut function)?;
    let (declared, call) = (task.declared(), task.calls());
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "a task has nobody to borrow from")]
        #function
        #declared
        #call
    })
}

impl Task {
    fn read(attribute: TokenStream, function: &mut ItemFn) -> Result<Self> {
        let head = &mut function.sig;
        if !head.generics.params.is_empty() {
            let text =
                "a task has no parameters of types or lifetimes: a caller could not name them";
            return Err(Error::new(head.generics.span(), text));
        }
        let parameters = parameter::parameters(head.inputs.iter_mut())?;
        let returns = match &head.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        if let Type::ImplTrait(_) = returns {
            return Err(Error::new(returns.span(), "a task's result has a type that is named"));
        }
        let ok = match parameter::is(&returns, "Result") {
            true => {
                quote_spanned!(returns.span()=> <#returns as ::rhubarb::__private::Fallible>::Ok)
            }
            false => quote!(#returns),
        };
        Ok(Self {
            options: Options::parse(attribute)?,
            vis: function.vis.clone(),
            call: format_ident!("{}Call", camel(&parameter::plain(&head.ident))),
            ident: head.ident.clone(),
            docs: function.attrs.iter().filter(|a| a.path().is_ident("doc")).cloned().collect(),
            is_async: head.asyncness.is_some(),
            parameters,
            returns,
            ok,
        })
    }

    /// The arguments with their types, in order.
    fn arguments(&self) -> impl Iterator<Item = (&Type, &Argument)> {
        self.parameters.iter().filter_map(|parameter| match &parameter.role {
            Role::FromCall => None,
            Role::Argument(argument) => Some((&parameter.ty, argument.as_ref())),
        })
    }

    /// The type of the function's name.
    fn declared(&self) -> TokenStream {
        let Self { options: Options { name, .. }, vis, ident, docs, .. } = self;
        let about = match name {
            Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => {
                format!("The task `{}`.", name.value())
            }
            _ => "A task.".to_owned(),
        };
        let (defaults, schema) = (self.defaults(), self.schema());
        let (register, calls) = (self.register(), self.begin());
        quote! {
            #[doc = #about]
            #[doc = ""]
            #(#docs)*
            #[allow(non_camel_case_types, reason = "it has the function's name")]
            #vis enum #ident {}

            impl #ident {
                #defaults
                #schema
                #register
                #calls
            }
        }
    }

    fn defaults(&self) -> TokenStream {
        let defaults = self.arguments().enumerate().filter_map(|(at, (ty, argument))| {
            let name = default(at);
            let value = parameter::default(ty, argument.default.as_ref()?);
            Some(quote!(fn #name() -> #ty { #value }))
        });
        quote!(#(#defaults)*)
    }

    fn schema(&self) -> TokenStream {
        let Self { options: Options { name, queue, ignore_result, .. }, vis, ident, .. } = self;
        let queue = match queue {
            Some(queue) => quote!(::core::option::Option::Some(#queue)),
            None => quote!(::core::option::Option::None),
        };
        let ignored = ignore_result.as_ref().map_or(quote!(false), ToTokens::to_token_stream);
        let parameters = self.arguments().enumerate().map(|(at, (ty, argument))| {
            let name = parameter::plain(&argument.ident);
            let kind = match argument.kind {
                ParameterKind::Either => quote!(PositionOrKeyword),
                ParameterKind::Keyword => quote!(Keyword),
                ParameterKind::Args => quote!(Args),
                ParameterKind::Kwargs => quote!(Kwargs),
            };
            let default = match argument.default {
                Some(_) => {
                    let default = default(at);
                    quote!(Some(|| ::rhubarb::__private::default(&#ident::#default())))
                }
                None => quote!(None),
            };
            let ty = ty.to_token_stream().to_string().replace(' ', "");
            quote!(::rhubarb::__private::parameter(
                #name,
                ::rhubarb::ParameterKind::#kind,
                #ty,
                ::core::option::Option::#default,
            ))
        });
        quote! {
            /// The task's name.
            #vis const NAME: &'static str = #name;

            /// Returns what the task takes.
            #vis fn schema() -> &'static ::rhubarb::Schema {
                static PARAMETERS: &[::rhubarb::Parameter] = &[#(#parameters),*];
                static SCHEMA: ::rhubarb::Schema =
                    ::rhubarb::__private::schema(#name, #queue, #ignored, PARAMETERS);
                &SCHEMA
            }
        }
    }

    /// The task as `App::add` takes it.
    fn register(&self) -> TokenStream {
        let Self { options, vis, ident, returns, .. } = self;
        let types: Vec<&Type> = self.arguments().map(|(ty, _)| ty).collect();
        let checks = types
            .iter()
            .map(|ty| quote_spanned!(ty.span()=> ::rhubarb::__private::argument::<#ty>();));
        let kind = kind(returns);
        let bound = self.arguments().enumerate().map(|(at, (ty, argument))| {
            let default = default(at);
            match (argument.kind, &argument.default) {
                (ParameterKind::Args, _) => quote!(__binding.args::<#ty>(#at)?),
                (ParameterKind::Kwargs, _) => quote!(__binding.kwargs::<#ty>(#at)?),
                (_, None) => quote!(__binding.required::<#ty>(#at)?),
                (_, Some(_)) => quote!(__binding.optional::<#ty>(#at, #ident::#default)?),
            }
        });
        let taken = (0..types.len()).map(|at| format_ident!("__argument_{at}"));
        let (extracted, passed) = self.passed();
        let checks = checks.chain(self.extracted());
        let moves = self.is_async.then(|| {
            let taken = taken.clone().zip(&types).map(|(name, ty)| quote!(#name: #ty));
            quote_spanned! {ident.span()=>
                let _ = |#(#taken,)* #(#extracted),*| {
                    ::rhubarb::__private::sendable(#ident(#(#passed),*))
                };
            }
        });
        let (run, body) = self.runs(&passed);
        let settings = &options.settings;
        quote! {
            /// Returns the task, to be registered by `App::add`.
            #[allow(dead_code, reason = "a program may only call what another one runs")]
            #[allow(clippy::type_complexity, reason = "it is the function's own")]
            #vis fn task() -> ::rhubarb::Task {
                #(#checks)*
                #kind
                #moves
                struct Arguments(#(#types),*);
                impl ::rhubarb::__private::Bind for Arguments {
                    fn schema() -> &'static ::rhubarb::Schema {
                        #ident::schema()
                    }

                    fn bind(
                        __binding: &mut ::rhubarb::__private::Binding,
                    ) -> ::core::result::Result<Self, ::rhubarb::__private::ArgumentError> {
                        ::core::result::Result::Ok(Self(#(#bound),*))
                    }
                }
                ::rhubarb::Task::#run(
                    Self::schema(),
                    move |::rhubarb::__private::Bound(Arguments(#(#taken),*)), #(#extracted),*| #body,
                    |__registration| {
                        let _ = __registration #(#settings)*;
                    },
                )
            }
        }
    }

    /// How the function is run, and its call in the way that its result is returned.
    fn runs(&self, passed: &[Ident]) -> (TokenStream, TokenStream) {
        let (ident, returned) = (&self.ident, quote!(::rhubarb::__private::Chosen::new));
        if !self.is_async {
            return (quote!(blocks), quote!(#returned(#ident(#(#passed),*), __kind)));
        }
        let body = quote!({
            let __call = #ident(#(#passed),*);
            async move { #returned(__call.await, __kind) }
        });
        (quote!(awaits), body)
    }

    /// The checks of what comes from the call.
    fn extracted(&self) -> impl Iterator<Item = TokenStream> {
        let extractors = self.parameters.iter().filter(|p| matches!(p.role, Role::FromCall));
        extractors.map(|Parameter { ty, .. }| {
            quote_spanned!(ty.span()=> ::rhubarb::__private::extracted::<#ty>();)
        })
    }

    /// The extractors as parameters of a closure, and what is passed on to the function.
    fn passed(&self) -> (Vec<TokenStream>, Vec<Ident>) {
        let (mut extracted, mut passed, mut arguments) = (Vec::new(), Vec::new(), 0_usize);
        for Parameter { ty, role } in &self.parameters {
            passed.push(match role {
                Role::Argument(_) => {
                    arguments += 1;
                    format_ident!("__argument_{}", arguments - 1)
                }
                Role::FromCall => {
                    let name = format_ident!("__extracted_{}", extracted.len());
                    extracted.push(quote!(#name: #ty));
                    name
                }
            });
        }
        (extracted, passed)
    }

    /// How a call begins: with all arguments that are required, or with none.
    fn begin(&self) -> TokenStream {
        let Self { vis, call, .. } = self;
        let is_required = |argument: &Argument| {
            argument.default.is_none()
                && !matches!(argument.kind, ParameterKind::Args | ParameterKind::Kwargs)
        };
        let required = self.arguments().enumerate().filter(|(_, (_, a))| is_required(a));
        let (heads, sets): (Vec<_>, Vec<_>) = required
            .map(|(at, (_, argument))| {
                let (name, (ty, value)) = (&argument.ident, argument.passed());
                (quote!(#name: #ty), quote!(.argument(#at, &#value)))
            })
            .unzip();
        quote! {
            /// Begins a call with the arguments that are required.
            #[allow(
                clippy::too_many_arguments,
                clippy::type_complexity,
                reason = "they are the function's own"
            )]
            #vis fn call(#(#heads),*) -> #call {
                #call(::rhubarb::TypedCall::new(Self::schema()) #(#sets)*)
            }

            /// Begins a call without arguments, for a step of a chain: the result of the step
            /// before becomes the first argument.
            #vis fn partial() -> #call {
                #call(::rhubarb::TypedCall::new(Self::schema()))
            }
        }
    }

    /// The type of the task's calls.
    fn calls(&self) -> TokenStream {
        let Self { vis, call, ok, ident, .. } = self;
        let about = format!("A call of the task `{ident}`, to be sent.");
        let setters = self.arguments().enumerate().map(|(at, (_, argument))| {
            let name = &argument.ident;
            let setter = match TAKEN.contains(&parameter::plain(name).as_str()) {
                true => format_ident!("{}_", parameter::plain(name)),
                false => name.clone(),
            };
            let (about, (ty, value)) = (format!("Sets the argument `{name}`."), argument.passed());
            quote! {
                #[doc = #about]
                #[allow(clippy::type_complexity, reason = "it is the function's own")]
                #vis fn #setter(self, #name: #ty) -> Self {
                    Self(self.0.argument(#at, &#value))
                }
            }
        });
        quote! {
            #[doc = #about]
            #[derive(Clone, Debug)]
            #[must_use]
            #vis struct #call(::rhubarb::TypedCall<#ok>);

            #[allow(dead_code, reason = "nobody uses all of them")]
            impl #call {
                #(#setters)*
                ::rhubarb::__call_options! { #vis #ok }
            }
        }
    }
}

/// Decides in which way a result is returned, where its type is written.
fn kind(returns: &Type) -> TokenStream {
    // Only one of the traits is used. At the type's own span that would be a warning.
    let traits = quote!(
        use ::rhubarb::__private::{OfAny as _, OfError as _};
    );
    let kind = quote_spanned! {returns.span()=>
        let __kind = (&::rhubarb::__private::Returned::<#returns>::new()).kind();
    };
    quote!(#traits #kind)
}

/// The function that makes an argument's default.
fn default(at: usize) -> Ident {
    format_ident!("__default_{at}", span = Span::call_site())
}

/// `scrape_all` is `ScrapeAll`.
fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect()
}
