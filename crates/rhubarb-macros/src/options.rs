//! What stands in the attribute: `name = "shop.add", queue = "shop", max_retries = 5`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, ExprLit, Ident, Lit, Result, Token,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

/// All options, as an error names them.
const OPTIONS: &str = "name, queue, retry, max_retries, time_limit, soft_time_limit, rate_limit, \
                       max_concurrency, ignore_result, store_errors_even_if_ignored, track_started";

/// The options of one task.
pub(crate) struct Options {
    /// The task's name.
    pub(crate) name: Expr,
    /// The queue that its calls go to.
    pub(crate) queue: Option<Expr>,
    /// Whether its calls want no result.
    pub(crate) ignore_result: Option<Expr>,
    /// What is set at its registration, each a call of a method of `Registration`.
    pub(crate) settings: Vec<TokenStream>,
}

/// One option: `key = value`, or `key` for `key = true`.
struct Setting {
    key: Ident,
    value: Expr,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Ident = input.parse()?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => input.parse()?,
            None => syn::parse_quote_spanned!(key.span()=> true),
        };
        Ok(Self { key, value })
    }
}

impl Options {
    pub(crate) fn parse(attribute: TokenStream) -> Result<Self> {
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated.parse2(attribute)?;
        let settings: Vec<Setting> = settings.into_iter().collect();
        check(&settings)?;
        let value = |key: &str| {
            settings.iter().find(|setting| setting.key == key).map(|setting| setting.value.clone())
        };
        let name = value("name").ok_or_else(|| {
            let text = "a task needs a name: #[rhubarb::task(name = \"shop.add\")]";
            Error::new(Span::call_site(), text)
        })?;
        let methods = settings.iter().filter(|s| s.key != "name" && s.key != "queue").map(method);
        Ok(Self {
            name,
            queue: value("queue"),
            ignore_result: value("ignore_result"),
            settings: methods.collect::<Result<_>>()?,
        })
    }
}

/// Refuses what is given twice, and two options that say the same.
fn check(settings: &[Setting]) -> Result<()> {
    for (at, Setting { key, .. }) in settings.iter().enumerate() {
        if settings[..at].iter().any(|before| before.key == *key) {
            return Err(Error::new(key.span(), format!("`{key}` is given twice")));
        }
    }
    let has = |key: &str| settings.iter().find(|setting| setting.key == key);
    match (has("retry"), has("max_retries")) {
        (Some(_), Some(twice)) => {
            let text = "`retry` holds the number of retries: leave out `max_retries`";
            Err(Error::new(twice.key.span(), text))
        }
        _ => Ok(()),
    }
}

/// Writes the call of `Registration`'s method that sets an option.
fn method(Setting { key, value }: &Setting) -> Result<TokenStream> {
    Ok(match key.to_string().as_str() {
        "time_limit" | "soft_time_limit" => {
            let limit = duration(value);
            quote!(.#key(#limit))
        }
        "max_retries" => quote! {
            .retry(::rhubarb::RetryPolicy { max_retries: #value, ..::core::default::Default::default() })
        },
        "retry"
        | "rate_limit"
        | "max_concurrency"
        | "ignore_result"
        | "store_errors_even_if_ignored"
        | "track_started" => quote!(.#key(#value)),
        _ => {
            let text = format!("`{key}` is no option of a task; these are: {OPTIONS}");
            return Err(Error::new(key.span(), text));
        }
    })
}

/// A number is seconds, as in Celery; everything else is a `Duration`.
fn duration(value: &Expr) -> TokenStream {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(seconds), .. }) => {
            quote!(::core::time::Duration::from_secs(#seconds))
        }
        Expr::Lit(ExprLit { lit: Lit::Float(seconds), .. }) => {
            quote!(::core::time::Duration::from_secs_f64(#seconds))
        }
        _ => quote!(#value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(attribute: &str) -> String {
        Options::parse(attribute.parse().unwrap()).err().unwrap().to_string()
    }

    #[test]
    fn what_cannot_be_is_explained() {
        assert!(refused("").contains("needs a name"));
        assert!(refused("name = \"a\", name = \"b\"").contains("`name` is given twice"));
        assert!(refused("name = \"a\", retries = 3").contains("these are: name, queue, retry,"));
        assert!(refused("name = \"a\", retry = X, max_retries = 3").contains("leave out"));
    }

    #[test]
    fn a_number_is_seconds_and_a_bare_word_is_true() {
        let attribute = quote!(name = "a", queue = "q", time_limit = 5, track_started);
        let Options { settings, queue, .. } = Options::parse(attribute).unwrap();
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let expected = [
            quote!(.time_limit(::core::time::Duration::from_secs(5))),
            quote!(.track_started(true)),
        ];
        assert_eq!(settings, expected.map(|tokens| tokens.to_string()));
        assert!(queue.is_some());
    }
}
