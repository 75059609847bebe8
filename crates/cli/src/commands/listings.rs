//! `listings` and `status`: what Django reads, from where Django reads it.

mod csv;
mod follow;
mod rows;

use std::cmp::Reverse;

use rhubarb_core::clock;
use rhubarb_jobs::{
    Caches,
    life::{Kind, Posting},
};
use rhubarb_scrape::{Listing, keyword::Matcher};
use serde_json::Value;

use self::rows::{Row, Wanted};
use super::Context;
use crate::{
    cli::{ListingsArgs, Shown},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
    view,
};

/// Shows the listings of a keyword, or what became of its postings.
pub(crate) async fn listings(context: &Context, args: &ListingsArgs) -> Result<(), Error> {
    if args.follow {
        return follow::follow(context, args).await;
    }
    let wanted = Wanted::of(args.changes, clock::now());
    let rows = rows(context, args, wanted.as_ref()).await?;
    if args.csv {
        let text = csv::csv(&rows).map_err(|error| Error::Failed(format!("no CSV: {error}")))?;
        return Ok(output::print(&text)?);
    }
    if args.jsonl {
        let lines = rows.iter().map(|row| row.with_life().to_string());
        return match lines.collect::<Vec<_>>() {
            none if none.is_empty() => Ok(()),
            lines => Ok(output::print(&lines.join("\n"))?),
        };
    }
    let format = Format::of(args.shown.json);
    match &wanted {
        Some(wanted) => {
            let values: Vec<Value> = rows.iter().map(Row::with_life).collect();
            Ok(format.show(&values, |_| changes(&rows, wanted))?)
        }
        None => {
            let values: Vec<&Value> = rows.iter().map(|row| &row.value).collect();
            let table = |_: &Vec<&Value>| {
                view::listings(&rows.iter().map(|row| row.listing.clone()).collect::<Vec<_>>())
            };
            Ok(format.show(&values, table)?)
        }
    }
}

/// Returns what is shown, in its order.
async fn rows(
    context: &Context,
    args: &ListingsArgs,
    wanted: Option<&Wanted>,
) -> Result<Vec<Row>, Error> {
    let caches = Caches::new(&context.config.cache, &context.connections)?;
    let record = match wanted.is_some() || args.jsonl || args.csv {
        true => caches.listings().life().ok_or_else(nowhere)?.read(&args.keyword).await?,
        false => None,
    };
    let cached = read(context, &caches, &args.keyword).await?;
    if cached.is_none() && (wanted.is_none() || record.is_none()) {
        return Err(nothing(&args.keyword));
    }
    let cached = typed(&cached.unwrap_or_default());
    let mut rows = rows::join(cached, &record.unwrap_or_default(), wanted);
    let (filter, now) = (args.filters.filter(args.source.as_deref()), clock::now());
    rows.retain(|row| filter.admits(&row.listing, now));
    if wanted.is_none() && !args.shown.json {
        rank(&mut rows, context, &args.keyword);
    }
    Ok(rows)
}

/// The best matches first, of equal ones the newer. As JSON they stand in Django's order.
fn rank(rows: &mut [Row], context: &Context, keyword: &str) {
    let scrape = &context.config.scraping.scrape;
    let matcher = Matcher::with(keyword, &scrape.synonyms, scrape.match_accents);
    rows.sort_by_cached_key(|row| {
        let score = matcher.score(&row.listing, scrape.match_description);
        Reverse((score, row.listing.posted_at.clone().unwrap_or_default()))
    });
}

/// Renders what became of postings.
fn changes(rows: &[Row], wanted: &Wanted) -> String {
    if rows.is_empty() {
        return "no such changes".to_owned();
    }
    let mut grid = Grid::new(&["CHANGE", "AT", "TITLE", "COMPANY", "LOCATION", "SOURCE"])
        .times(&["AT"])
        .spare(&["SOURCE", "LOCATION"]);
    for Row { listing, posting, .. } in rows {
        let latest = posting.as_ref().and_then(|posting| wanted.latest(posting));
        let what = posting.as_ref().zip(latest).map(|(posting, (kind, _))| said(posting, kind));
        let at = latest.map(|(_, at)| clock::iso(at).chars().take(16).collect::<String>());
        grid.row([
            what.unwrap_or_default(),
            at.unwrap_or_default().replace('T', " "),
            listing.title.clone(),
            listing.company.clone(),
            listing.location.clone().unwrap_or_default(),
            listing.source.clone(),
        ]);
    }
    grid.render()
}

/// Says what happened to a posting: `changed (title)`, `closed (gone)`.
fn said(posting: &Posting, kind: Kind) -> String {
    let what = match kind {
        Kind::Closed => posting.closed.map(|closed| closed.why.name().to_owned()),
        Kind::Changed => posting.changes.last().map(|change| {
            let names: Vec<&str> = change.fields.iter().map(|field| &*field.field).collect();
            names.join(", ")
        }),
        Kind::New | Kind::Reopened => None,
    };
    what.map_or_else(|| kind.to_string(), |what| format!("{kind} ({what})"))
}

/// Returns the cached value as it is, not by way of [`Listing`]: whoever wrote it may know more
/// keys. Nothing where none is cached.
async fn read(
    context: &Context,
    caches: &Caches,
    keyword: &str,
) -> Result<Option<Vec<Value>>, Error> {
    let target = context.config.cache.listings.first().ok_or_else(nowhere)?;
    let logical = rhubarb_jobs::template::of_keyword(&target.key, keyword);
    let place = caches.alias(&target.alias)?;
    let clear = format!("listings \"{}\"", clean(keyword));
    let found = place.get(&logical).await.map_err(|error| foreign(error, "list", &clear))?;
    match found.map(|found| found.to_json()).transpose() {
        Ok(None) => Ok(None),
        Ok(Some(Value::Array(listings))) => Ok(Some(listings)),
        Ok(Some(_)) => Err(not_ours(&place.raw_key(&logical), "list", None, &clear)),
        Err(problem) => Err(Error::Failed(format!("what is cached cannot be shown: {problem}"))),
    }
}

fn nothing(keyword: &str) -> Error {
    let keyword = clean(keyword);
    Error::Failed(format!(
        "no listings cached for \"{keyword}\"; `rhubarb scrape \"{keyword}\"` fetches them"
    ))
}

fn nowhere() -> Error {
    Error::Failed("no cache of listings is configured".to_owned())
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
fn typed(cached: &[Value]) -> Vec<(Value, Listing)> {
    let listing =
        |value: &Value| serde_json::from_value(value.clone()).unwrap_or_else(|_| titled(value));
    cached.iter().map(|value| (value.clone(), listing(value))).collect()
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
    let caches = Caches::new(&context.config.cache, &context.connections)?;
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
        let titles: Vec<String> =
            typed(&cached).into_iter().map(|(_, listing)| listing.title).collect();
        assert_eq!(titles, ["a", "b", ""]);
    }
}
