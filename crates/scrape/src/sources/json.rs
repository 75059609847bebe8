//! Any JSON with a list of postings, read by paths from the configuration: an API's answer, or what
//! a page carries in a script (`__NEXT_DATA__`, `window.__STATE__ = {…}`).
//!
//! Pages follow by the address that the answer names, or by `{page}`, `{offset}` and `{cursor}` in
//! the address or in the body that is posted.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    embedded::Spot,
    feed::Feed,
    find::guess,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    paths::{MAX_FOUND, Paths, found},
    record, rows,
    setup::{BuildError, urls},
    text,
};

/// Names that are told of a place in an answer.
const MAX_NAMES: usize = 12;

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let paths = Arc::new(Paths::new(config)?);
    let script = config.script.as_deref().map(Spot::new).transpose();
    let script = script.map_err(|reason| BuildError::new(config, "script", reason))?;
    if let Some(body) = &config.body {
        check_body(config, body)?;
    }
    let in_page = script.is_some();
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: urls(config)?,
        body: config.body.clone(),
        first_page: u64::from(config.first_page),
        aggregates: config.company.is_none(),
        kind: if in_page { Content::Html } else { Content::Json },
        row_per_place: true,
        ..Feed::new(config, move |body, context| {
            let root = match &script {
                Some(spot) => spot.read(body, &context.budget)?,
                None => record::json(body, &context.budget)?.value,
            };
            parse(&root, &paths, context)
        })
    })
}

/// The body has to be JSON whatever the placeholders stand for.
fn check_body(config: &SourceConfig, body: &str) -> Result<(), BuildError> {
    let filled = body.replace("{page}", "1").replace("{offset}", "0");
    serde_json::from_str::<Value>(&filled).map(drop).map_err(|error| {
        let reason = format!("it is no JSON with numbers for {{page}} and {{offset}}: {error}");
        BuildError::new(config, "body", reason)
    })
}

/// Reads the list out of an answer.
///
/// # Errors
/// The list is not where the path says.
pub(crate) fn parse(root: &Value, paths: &Paths, context: &Context) -> Result<Parsed, ParseError> {
    let lists = found(root, &paths.items);
    let Some(all) = rows_of(&lists) else {
        return Err(ParseError::NoList { instead: instead(root, &paths.items, context) });
    };
    let mut parsed = Parsed {
        rows: Some(all.len()),
        total: paths.number(root, "total").map(|total| total as u64),
        cursor: paths.line(root, "cursor"),
        next: paths.line(root, "next").and_then(|next| {
            let next = context.page.join(&next).ok()?;
            // A list goes on where it began: the server is the configured one.
            let server = |url: &url::Url| (url.host_str().map(str::to_owned), url.port());
            (server(&next) == server(&context.page)).then_some(next)
        }),
        ..Parsed::default()
    };
    for row in all {
        parsed.add(paths.read(row, context), context)?;
    }
    if lists.len() == MAX_FOUND {
        parsed.left_out.push(format!("a path finds {MAX_FOUND} values of a page at most"));
    }
    rows::join(&mut parsed.listings);
    Ok(parsed.settled())
}

/// Says where a list is that looks like postings, or else how far the path leads.
fn instead(root: &Value, path: &[String], context: &Context) -> String {
    if let Some(paths) = guess(root, &context.budget) {
        let at = if paths.items.is_empty() { "the top" } else { &paths.items };
        let setting = Value::from(&*paths.items);
        return format!("a list of postings is at {at}: set `items = {setting}`");
    }
    let ends = |n: &usize| !found(root, &path[..*n]).is_empty();
    let depth = (0..=path.len()).rev().find(ends).unwrap_or_default();
    let here = found(root, &path[..depth]);
    let place =
        if depth == 0 { "the top".to_owned() } else { format!("`{}`", path[..depth].join(".")) };
    match here.first() {
        Some(Value::Object(fields)) if !fields.is_empty() => {
            let names: Vec<&str> =
                fields.keys().take(MAX_NAMES).map(|name| text::cut(name, 40)).collect();
            format!("the names at {place} are `{}`", names.join("`, `"))
        }
        Some(Value::Array(_)) => format!("{place} is a list itself"),
        _ => format!("{place} holds no list and no names"),
    }
}

/// Returns the records: the elements of the lists that were found, or the objects of a map.
fn rows_of<'a>(lists: &[&'a Value]) -> Option<Vec<&'a Value>> {
    let mut rows = Vec::new();
    let mut any = false;
    for list in lists {
        match list {
            Value::Array(items) => {
                any = true;
                rows.extend(items);
            }
            Value::Object(fields) if fields.values().all(Value::is_object) => {
                any = true;
                rows.extend(fields.values());
            }
            _ => {}
        }
    }
    any.then_some(rows)
}

#[cfg(test)]
mod tests {
    use crate::config::{PathSettings, SourceKind};

    use super::*;
    use crate::testing::{config, context, survives};

    fn settings() -> SourceConfig {
        let some = |text: &str| Some(text.to_owned());
        let mut config = config(SourceKind::Json);
        config.urls = vec!["https://example.test/api?q={keyword}&page={page}".into()];
        config.paths = PathSettings {
            items: "data.departments.*.jobs".into(),
            id: some("id"),
            title: some("name.text"),
            link: some("https://example.test/jobs/{slug}-{id}"),
            location: some("places.*.name"),
            salary_min: some("pay.0"),
            salary_max: some("pay.1"),
            currency: some("=EUR"),
            period: some("=month"),
            date: some("published"),
            remote: some("remote"),
            tags: some("skills"),
            total: some("meta.total"),
            next: some("meta.next"),
            ..PathSettings::default()
        };
        config
    }

    const ANSWER: &str = r#"{"data":{"departments":[{"jobs":[{"id":5,"slug":"a b/c","name":{"text":"Cook & Co"},
        "places":[{"name":"Bonn"},{"name":"Ulm"}],"pay":[3000,"3,500"],"published":"2026-11-02","remote":false,"skills":["x","y"]}]},
        {"jobs":[{"id":6,"slug":"d","name":{"text":"Baker"}},{"id":7,"slug":"e"}]},{"jobs":[]}]},"meta":{"total":12,"next":"?page=2"}}"#;

    fn read(config: &SourceConfig, body: &str) -> Result<Parsed, ParseError> {
        (build(config).unwrap().parse)(body, &context())
    }

    #[test]
    fn a_list_is_read_by_its_paths() {
        let parsed = read(&settings(), ANSWER).unwrap();
        assert_eq!((parsed.rows, parsed.total, parsed.n_skipped), (Some(3), Some(12), 1));
        assert_eq!(parsed.next.unwrap().as_str(), "https://example.test/jobs/board?page=2");
        let [cook, baker] = &parsed.listings[..] else { panic!("{:?}", parsed.listings) };
        assert_eq!((cook.title.as_str(), cook.external_id.as_str()), ("Cook & Co", "5"));
        assert_eq!(cook.url, "https://example.test/jobs/a%20b%2Fc-5");
        assert_eq!(cook.location.as_deref(), Some("Bonn; Ulm"));
        assert_eq!((cook.salary_min, cook.salary_max), (Some(3000.0), Some(3500.0)));
        assert_eq!(cook.salary_period.as_deref(), Some("month"));
        assert_eq!(cook.posted_at.as_deref(), Some("2026-11-02T00:00:00+00:00"));
        assert_eq!(cook.tags, ["x", "y"]);
        assert_eq!(baker.title, "Baker");
    }

    #[test]
    fn an_empty_list_is_an_honest_zero_and_another_shape_an_error() {
        let empty = r#"{"data":{"departments":[{"jobs":[]}]}}"#;
        assert!(read(&settings(), empty).unwrap().listings.is_empty());
        let error = read(&settings(), "{\"data\":{}}").unwrap_err();
        let said = "the answer has no list at `paths.items`; `data` holds no list and no names";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn where_the_list_is_instead_is_said() {
        let check = |body: &str, expect: &str| {
            let error = read(&settings(), body).unwrap_err().to_string();
            let said = error.strip_prefix("the answer has no list at `paths.items`; ");
            assert_eq!(said, Some(expect), "{body}");
        };
        check(r#"{"error":"no such board","code":4}"#, "the names at the top are `error`, `code`");
        check(r#"{"data":{"departments":[{"a":1}]}}"#, "the names at `data.departments.*` are `a`");
        check("[1]", "the top is a list itself");
        let jobs = r#"[{"title":"Cook","url":"/1","location":"Bonn"}]"#;
        check(
            &format!(r#"{{"results":{{"jobs":{jobs}}}}}"#),
            "a list of postings is at results.jobs: set `items = \"results.jobs\"`",
        );
    }

    #[test]
    fn a_list_in_a_pages_script_is_read() {
        let mut config = settings();
        config.script = Some("script#__NEXT_DATA__".into());
        let page = format!("<script id=__NEXT_DATA__ type=application/json>{ANSWER}</script>");
        assert_eq!(read(&config, &page).unwrap().listings.len(), 2);
        config.script = Some("window.__STATE__".into());
        let page = format!("<script>window.__STATE__ = {ANSWER};</script>");
        assert_eq!(read(&config, &page).unwrap().listings.len(), 2);
    }

    #[test]
    fn a_wrong_setting_is_named_when_the_source_is_built() {
        let check = |change: fn(&mut SourceConfig), setting: &str| {
            let mut config = settings();
            change(&mut config);
            let error = build(&config).unwrap_err();
            assert_eq!(error.setting, setting, "{error}");
        };
        check(|c| c.paths.title = None, "paths.title");
        check(|c| c.paths.link = None, "paths.link");
        check(|c| c.script = Some("div[".into()), "script");
        check(|c| c.body = Some("{\"a\":}".into()), "body");
        check(|c| c.urls.clear(), "urls");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(|body, _| read(&settings(), body), ANSWER);
    }
}
