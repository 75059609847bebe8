//! Which list in some JSON holds postings, and where in it their fields are.

use serde_json::Value;

use crate::{budget::Budget, config::PathSettings};

/// What fields of a posting are called, the most certain names first.
const TITLES: [&str; 7] =
    ["title", "jobTitle", "job_title", "name", "position", "text", "postingTitle"];
const LINKS: [&str; 10] = [
    "url",
    "absolute_url",
    "link",
    "href",
    "jobUrl",
    "job_url",
    "applyUrl",
    "apply_url",
    "path",
    "slug",
];
const IDS: [&str; 6] = ["id", "jobId", "job_id", "uuid", "reqId", "slug"];
const PLACES: [&str; 7] =
    ["location", "locationName", "location_name", "city", "locations", "office", "place"];
const DATES: [&str; 8] = [
    "datePosted",
    "publishedAt",
    "published_at",
    "postedAt",
    "posted_at",
    "createdAt",
    "created_at",
    "date",
];
const TEXTS: [&str; 3] = ["description", "descriptionHtml", "content"];

/// Returns the paths of the list that looks most like postings.
pub(crate) fn guess(root: &Value, budget: &Budget) -> Option<PathSettings> {
    let mut best: Option<(usize, PathSettings)> = None;
    let mut open = vec![(String::new(), root, 0)];
    while let Some((path, value, depth)) = open.pop() {
        budget.step().ok()?;
        if depth > 12 {
            continue;
        }
        let under =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Array(items) => {
                let known = best.as_ref().map_or(0, |(score, _)| *score);
                let better = scored(items, &path).filter(|(score, _)| *score > known);
                best = better.or(best);
                let first = items.first().into_iter();
                open.extend(first.map(|item| (under("0"), item, depth + 1)));
            }
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, value)| (under(name), value, depth + 1)));
            }
            _ => {}
        }
    }
    best.map(|(_, paths)| paths)
}

/// Rates a list: more fields that postings have, then more records.
fn scored(items: &[Value], path: &str) -> Option<(usize, PathSettings)> {
    let record = items.first()?.as_object()?;
    let key = |names: &'static [&'static str]| {
        names.iter().find(|name| record.get(**name).is_some_and(|v| !v.is_null())).copied()
    };
    let title = key(&TITLES).filter(|name| record[*name].is_string())?;
    let link = key(&LINKS).filter(|name| record[*name].is_string())?;
    let place = key(&PLACES);
    let (id, date, text) = (key(&IDS), key(&DATES), key(&TEXTS));
    let inner = |name: &str| match &record[name] {
        Value::Object(fields) => {
            let named = ["name", "label", "city", "text", "title"];
            named.iter().find(|n| fields.contains_key(**n)).map(|n| format!("{name}.{n}"))
        }
        Value::Array(list) if list.first().is_some_and(Value::is_object) => {
            Some(format!("{name}.*.name"))
        }
        _ => Some(name.to_owned()),
    };
    let fields = [place, date, text, id].iter().flatten().count();
    // Menus and footers are lists of titles and links too.
    let like_jobs = path.to_lowercase();
    let told = ["job", "posting", "position", "vacanc", "opening", "offer", "result"];
    let told = told.iter().any(|word| like_jobs.contains(word));
    if place.is_none() && date.is_none() && !told {
        return None;
    }
    let score = (fields + 2 * usize::from(told)) * 1_000 + items.len().min(999);
    let paths = PathSettings {
        items: path.to_owned(),
        id: id.map(str::to_owned),
        title: Some(title.to_owned()),
        link: Some(link.to_owned()),
        location: place.and_then(inner),
        date: date.map(str::to_owned),
        description: text.map(str::to_owned),
        ..PathSettings::default()
    };
    Some((score, paths))
}
