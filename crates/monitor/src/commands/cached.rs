//! `listings` and `status`: what Django reads, from where Django reads it.

use rhubarb_cache::{Caches, key};
use rhubarb_core::listing::Listing;
use serde_json::Value;

use super::Context;
use crate::{
    cli::{ListingsArgs, Shown},
    error::Error,
    output::Format,
    table::clean,
    view,
};

/// Shows the cached listings of a keyword.
pub(crate) async fn listings(context: &Context, args: &ListingsArgs) -> Result<(), Error> {
    let cached = read(context, &args.keyword).await?;
    Ok(Format::of(args.shown.json).show(&cached, |cached| view::listings(&typed(cached)))?)
}

/// Returns the cached value as it is, not by way of [`Listing`]: whoever wrote it may know more keys.
async fn read(context: &Context, keyword: &str) -> Result<Vec<Value>, Error> {
    let caches = Caches::new(&context.config, &context.connections)?;
    let target = context.config.cache.listings.first();
    let target =
        target.ok_or_else(|| Error::Failed("no cache of listings is configured".to_owned()))?;
    let logical = key::of_keyword(&target.key, keyword);
    let found = caches.alias(&target.alias)?.get(&logical).await?;
    let found = found.ok_or_else(|| {
        let keyword = clean(keyword);
        Error::Failed(format!(
            "no listings cached for \"{keyword}\"; `rhubarb scrape \"{keyword}\"` fetches them"
        ))
    })?;
    match found.to_json() {
        Ok(Value::Array(listings)) => Ok(listings),
        Ok(_) => {
            Err(Error::Failed(format!("what is cached for \"{}\" is no list", clean(keyword))))
        }
        Err(problem) => Err(Error::Failed(format!("what is cached cannot be shown: {problem}"))),
    }
}

/// Reads what a table needs; a listing of another shape is shown as far as it goes.
fn typed(cached: &[Value]) -> Vec<Listing> {
    cached
        .iter()
        .map(|value| serde_json::from_value(value.clone()).unwrap_or_else(|_| titled(value)))
        .collect()
}

fn titled(value: &Value) -> Listing {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Listing {
        title: text("title"),
        company: text("company"),
        source: text("source"),
        ..Listing::default()
    }
}

/// Shows the status of the last scrape.
pub(crate) async fn status(context: &Context, shown: Shown) -> Result<(), Error> {
    let caches = Caches::new(&context.config, &context.connections)?;
    let status = caches.status().at_hand().await?;
    let status = status.ok_or_else(|| {
        Error::Failed("no scrape has left a status, or it has expired".to_owned())
    })?;
    Ok(Format::of(shown.json).show(&status, view::status)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listing_of_another_shape_is_shown_as_far_as_it_goes() {
        let cached =
            [json!({"title": "a", "extra": 1}), json!({"title": "b", "tags": 7}), json!(null)];
        let titles: Vec<String> = typed(&cached).into_iter().map(|listing| listing.title).collect();
        assert_eq!(titles, ["a", "b", ""]);
    }
}
