//! What a task's function takes: arguments, and what is had from the call.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Lit, Meta, Pat, PatType,
    PathArguments, Result, Type, ext::IdentExt, spanned::Spanned,
};

/// Types that are had from the call without being marked, by their last name.
const FROM_CALL: [&str; 3] = ["TaskContext", "State", "FailedTask"];

/// One parameter of a task's function.
pub(crate) struct Parameter {
    pub(crate) ty: Type,
    pub(crate) role: Role,
}

/// Where a parameter comes from.
pub(crate) enum Role {
    /// The call: an extractor.
    FromCall,
    /// The caller.
    Argument(Box<Argument>),
}

/// An argument.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) kind: ParameterKind,
    pub(crate) default: Option<Expr>,
    /// The type that a caller passes: `T` where an `Option<T>` may be left out.
    pub(crate) passed: Type,
}

/// Python's kinds of parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    /// `x`: by position or by name.
    Either,
    /// What stands behind `*args`: by name.
    Keyword,
    /// `*args`
    Args,
    /// `**kwargs`
    Kwargs,
}

/// Takes the parameters out of a function's head, and our attributes off them.
pub(crate) fn parameters<'a>(
    inputs: impl Iterator<Item = &'a mut FnArg>,
) -> Result<Vec<Parameter>> {
    let (mut parameters, mut behind) = (Vec::new(), ParameterKind::Either);
    for input in inputs {
        let FnArg::Typed(input) = input else {
            return Err(Error::new(input.span(), "a task is a function without `self`"));
        };
        let parameter = parameter(input, behind)?;
        if let Role::Argument(argument) = &parameter.role {
            behind = follow(behind, argument.kind, input)?;
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// Checks an argument's place, and tells what comes behind it.
fn follow(behind: ParameterKind, kind: ParameterKind, input: &PatType) -> Result<ParameterKind> {
    match (behind, kind) {
        (ParameterKind::Kwargs, _) => {
            Err(Error::new(input.span(), "nothing comes behind `#[kwargs]`, as in Python"))
        }
        (ParameterKind::Keyword, ParameterKind::Args) => {
            Err(Error::new(input.span(), "there is one `#[args]`"))
        }
        (_, ParameterKind::Args) => Ok(ParameterKind::Keyword),
        (_, ParameterKind::Kwargs) => Ok(ParameterKind::Kwargs),
        _ => Ok(behind),
    }
}

fn parameter(input: &mut PatType, behind: ParameterKind) -> Result<Parameter> {
    let marks = marks(&mut input.attrs)?;
    let ty = (*input.ty).clone();
    let is_from_call = marks.is_from_call || FROM_CALL.iter().any(|name| is(&ty, name));
    if is_from_call {
        return match marks.default.is_some() || marks.kind.is_some() {
            true => Err(Error::new(input.span(), "what comes from the call is no argument")),
            false => Ok(Parameter { ty, role: Role::FromCall }),
        };
    }
    check_type(&ty)?;
    let ident = name(&input.pat)?;
    let kind = marks.kind.unwrap_or(if behind == ParameterKind::Either {
        behind
    } else {
        ParameterKind::Keyword
    });
    if matches!(kind, ParameterKind::Args | ParameterKind::Kwargs) && marks.default.is_some() {
        return Err(Error::new(input.span(), "`#[args]` and `#[kwargs]` are empty by default"));
    }
    let open = optional(&ty).filter(|_| marks.default.is_none()).cloned();
    let default = match marks.default {
        Some(given) => Some(given.unwrap_or_else(|| bare(&ty))),
        None => open.as_ref().map(|_| none(&ty)),
    };
    let passed = open.unwrap_or_else(|| ty.clone());
    Ok(Parameter { ty, role: Role::Argument(Argument { ident, kind, default, passed }.into()) })
}

#[derive(Default)]
struct Marks {
    is_from_call: bool,
    kind: Option<ParameterKind>,
    /// `#[default]` or `#[default(…)]`.
    default: Option<Option<Expr>>,
}

/// Takes our own attributes away; the compiler knows none of them.
fn marks(attributes: &mut Vec<Attribute>) -> Result<Marks> {
    let (ours, others): (Vec<_>, _) = attributes.drain(..).partition(|attribute| {
        ["from_call", "args", "kwargs", "default"]
            .iter()
            .any(|name| attribute.path().is_ident(name))
    });
    *attributes = others;
    let mut marks = Marks::default();
    for attribute in ours {
        match attribute.path().require_ident()?.to_string().as_str() {
            "from_call" => marks.is_from_call = true,
            "args" => marks.kind = Some(ParameterKind::Args),
            "kwargs" => marks.kind = Some(ParameterKind::Kwargs),
            _ => marks.default = Some(value(&attribute)?),
        }
    }
    Ok(marks)
}

fn value(attribute: &Attribute) -> Result<Option<Expr>> {
    match &attribute.meta {
        Meta::Path(_) => Ok(None),
        Meta::List(list) => list.parse_args().map(Some),
        Meta::NameValue(pair) => Ok(Some(pair.value.clone())),
    }
}

/// The value of `#[default]` without one.
fn bare(ty: &Type) -> Expr {
    syn::parse_quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default())
}

/// The value of an `Option` that is left out.
fn none(ty: &Type) -> Expr {
    syn::parse_quote_spanned!(ty.span()=> ::core::option::Option::None)
}

fn name(pattern: &Pat) -> Result<Ident> {
    match pattern {
        Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.by_ref.is_none() => {
            Ok(pattern.ident.clone())
        }
        _ => {
            let text = "an argument needs a name, by which callers may pass it; what comes from \
                        the call is `TaskContext`, `State<S>`, `FailedTask` or marked `#[from_call]`";
            Err(Error::new(pattern.span(), text))
        }
    }
}

fn check_type(ty: &Type) -> Result<()> {
    match ty {
        Type::Reference(_) => {
            let text = "an argument is owned, as it comes out of a message: `String` for `&str`, \
                        `Vec<T>` for `&[T]`";
            Err(Error::new(ty.span(), text))
        }
        Type::ImplTrait(_) => Err(Error::new(ty.span(), "an argument has a type that is named")),
        _ if is(ty, "Args") => {
            let text =
                "each argument is a parameter of its own here: `x: i64, #[default(1)] y: i64`";
            Err(Error::new(ty.span(), text))
        }
        _ => Ok(()),
    }
}

/// Tells whether a type is written with this last name.
pub(crate) fn is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// Returns the `T` of what is written `Option<T>`.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

impl Argument {
    /// Writes how a caller passes it: the parameter's type, and the value made of it.
    ///
    /// A text may be anything that becomes a `String`.
    pub(crate) fn passed(&self) -> (TokenStream, TokenStream) {
        let Self { ident, passed, .. } = self;
        if is(passed, "String") {
            let into = quote!(::core::convert::Into::<#passed>::into(#ident));
            (quote!(impl ::core::convert::Into<#passed>), into)
        } else {
            (quote!(#passed), quote!(#ident))
        }
    }
}

/// Writes a default; a text becomes what its parameter is.
pub(crate) fn default(ty: &Type, default: &Expr) -> TokenStream {
    match default {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if is(ty, "String") => {
            quote!(<#ty as ::core::convert::From<&str>>::from(#text))
        }
        _ => quote!(#default),
    }
}

/// Returns a parameter's name as callers write it: `r#type` is `type`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}
