//! `listings` and `status`: what Django reads, from where Django reads it.

use rhubarb_core::clock;
use rhubarb_jobs::Caches;
use rhubarb_scrape::{Listing, keyword::Matcher};
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
    let mut cached = read(context, &args.keyword).await?;
    select(&mut cached, context, args);
    Ok(Format::of(args.shown.json).show(&cached, |cached| view::listings(&typed(cached)))?)
}

/// Leaves what the filters admit, for a person the best matches first, of equal ones the newer;
/// as JSON in the order that Django reads.
fn select(cached: &mut Vec<Value>, context: &Context, args: &ListingsArgs) {
    let scrape = &context.config.scrape;
    let matcher = Matcher::with(&args.keyword, &scrape.synonyms, scrape.match_accents);
    let (filter, now) = (args.filters.filter(args.source.as_deref()), clock::now());
    let all = typed(cached).into_iter().zip(cached.drain(..));
    let admitted = all.filter(|(listing, _)| filter.admits(listing, now));
    let mut ranked: Vec<_> = admitted
        .map(|(listing, value)| {
            let score = matcher.score(&listing, scrape.match_description);
            (score, listing.posted_at.unwrap_or_default(), value)
        })
        .collect();
    if !args.shown.json {
        ranked.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
    }
    cached.extend(ranked.into_iter().map(|(.., value)| value));
}

/// Returns the cached value as it is, not by way of [`Listing`]: whoever wrote it may know more
/// keys.
async fn read(context: &Context, keyword: &str) -> Result<Vec<Value>, Error> {
    let caches = Caches::new(&context.config, &context.connections)?;
    let target = context.config.cache.listings.first();
    let target =
        target.ok_or_else(|| Error::Failed("no cache of listings is configured".to_owned()))?;
    let logical = rhubarb_jobs::template::of_keyword(&target.key, keyword);
    let place = caches.alias(&target.alias)?;
    let clear = format!("listings \"{}\"", clean(keyword));
    let found = place.get(&logical).await.map_err(|error| foreign(error, "list", &clear))?;
    let found = found.ok_or_else(|| {
        let keyword = clean(keyword);
        Error::Failed(format!(
            "no listings cached for \"{keyword}\"; `rhubarb scrape \"{keyword}\"` fetches them"
        ))
    })?;
    match found.to_json() {
        Ok(Value::Array(listings)) => Ok(listings),
        Ok(_) => Err(not_ours(&place.raw_key(&logical), "list", None, &clear)),
        Err(problem) => Err(Error::Failed(format!("what is cached cannot be shown: {problem}"))),
    }
}

/// Says what stands where a value of ours is looked for, and how to be rid of it; any other error
/// stays what it is.
fn foreign(error: rhubarb_cache::Error, what: &str, clear: &str) -> Error {
    let why = std::error::Error::source(&error).map(ToString::to_string);
    match error.foreign() {
        None => Error::Cache(error),
        Some(key) => not_ours(key, what, why.as_deref(), clear),
    }
}

fn not_ours(key: &str, what: &str, why: Option<&str>, clear: &str) -> Error {
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let told = format!("what is cached as `{key}` is no {what}{why}");
    Error::Failed(format!("{}; `rhubarb cache clear {clear}` deletes it", clean(&told)))
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
    let status = caches.status().read().await;
    let status = status.map_err(|error| foreign(error, "scraping status", "status"))?;
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
