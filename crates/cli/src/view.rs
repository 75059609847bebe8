//! How listings, the status and sources look to a person. Pure: values in, text out.

use std::collections::BTreeMap;

use rhubarb_jobs::{ScrapeState, SourceState, SourceStatus, Status};
use rhubarb_monitor::finding::Finding;
use rhubarb_scrape::{Listing, config::SourceConfig};
use serde_json::Value;

use crate::table::{Grid, clean};

/// Renders listings as a table, in the order given.
pub(crate) fn listings(listings: &[Listing]) -> String {
    if listings.is_empty() {
        return "no listings: the last scrape found none".to_owned();
    }
    let mut grid = Grid::new(&["TITLE", "COMPANY", "LOCATION", "SALARY", "POSTED", "SOURCE"])
        .spare(&["SOURCE", "POSTED"]);
    for listing in listings {
        grid.row([
            listing.title.clone(),
            listing.company.clone(),
            listing.location.clone().unwrap_or_default(),
            salary(listing),
            listing.posted_at.as_deref().map_or("", day).to_owned(),
            listing.source.clone(),
        ]);
    }
    grid.render()
}

/// Renders findings: two lines each, what was found and what to do.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let Finding { level, place, found, advice, .. } = finding;
        // What a server says may end with a full stop of its own.
        let (place, found) = (clean(place), clean(found));
        lines.push(format!("{:<8} {place}: {}.", level.name(), found.trim_end_matches('.')));
        lines.push(format!("{:<8} {}", "", clean(advice)));
    }
    lines.join("\n")
}

/// Returns the salary as a person reads it; empty when there is none.
pub(crate) fn salary(listing: &Listing) -> String {
    if let Some(shown) = &listing.salary_display {
        return shown.clone();
    }
    let amount = match (listing.salary_min, listing.salary_max) {
        (Some(low), Some(high)) if low < high => format!("{low:.0}-{high:.0}"),
        (Some(one), _) | (None, Some(one)) => format!("{one:.0}"),
        (None, None) => return String::new(),
    };
    let currency = listing.salary_currency.as_deref().map(|code| format!(" {code}"));
    let period = listing.salary_period.as_deref().map(|period| format!(" a {period}"));
    amount + &currency.unwrap_or_default() + &period.unwrap_or_default()
}

/// Returns the date of an ISO time.
fn day(iso: &str) -> &str {
    iso.split(['T', ' ']).next().unwrap_or(iso)
}

/// Renders the status with a line for each source.
pub(crate) fn status(status: &Status) -> String {
    let mut lines = vec![
        format!("keyword       {}", clean(&status.keyword)),
        format!("state         {}", state(status.status)),
        format!("last scraped  {}", clean(&status.last_scraped)),
        format!(
            "listings      {} ({} new, {} closed)",
            status.jobs_count, status.new, status.closed
        ),
    ];
    lines.extend(status.error.as_ref().map(|error| format!("error         {}", clean(error))));
    if !status.sources.is_empty() {
        lines.push(String::new());
        lines.push(sources(&status.sources));
    }
    lines.join("\n")
}

/// Returns a sentence for each source that did not end well, from a scrape's summary.
pub(crate) fn unwell(summary: &Value) -> Vec<String> {
    let by_name =
        summary.get("sources").and_then(|found| serde_json::from_value(found.clone()).ok());
    let by_name: BTreeMap<String, SourceStatus> = by_name.unwrap_or_default();
    let unwell = by_name.iter().filter(|(_, source)| source.status != SourceState::Ok);
    unwell
        .map(|(name, source)| {
            let why = source.error.as_deref().unwrap_or("board not found");
            let kept = match source.kept {
                0 => String::new(),
                1 => "; 1 earlier listing is kept".to_owned(),
                n => format!("; {n} earlier listings are kept"),
            };
            clean(&format!("{name} ({}): {why}{kept}", source.word()))
        })
        .collect()
}

/// Renders how each source of a scrape ended.
pub(crate) fn sources(sources: &BTreeMap<String, SourceStatus>) -> String {
    let mut grid = Grid::new(&["SOURCE", "STATE", "LISTINGS", "MS", "ERROR"])
        .right(&["LISTINGS", "MS"])
        .spare(&["MS"]);
    for (name, source) in sources {
        grid.row([
            name.clone(),
            source.word(),
            source.count.to_string(),
            source.elapsed_ms.to_string(),
            source.error.clone().unwrap_or_default(),
        ]);
    }
    grid.render()
}

/// Renders the summary that a scrape returns: its plain fields, then its sources.
pub(crate) fn summary(summary: &Value) -> String {
    let Some(fields) = summary.as_object() else { return clean(&summary.to_string()) };
    let mut lines = Vec::new();
    for (name, value) in fields {
        let shown = match value {
            Value::String(text) => clean(text),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
            plain => plain.to_string(),
        };
        let (name, unit) = name.strip_suffix("_s").map_or((name.as_str(), ""), |name| (name, " s"));
        lines.push(format!("{:<10}{shown}{unit}", clean(name)));
    }
    let by_name =
        fields.get("sources").and_then(|found| serde_json::from_value(found.clone()).ok());
    lines.extend(
        by_name.map(|by_name: BTreeMap<String, SourceStatus>| format!("\n{}", sources(&by_name))),
    );
    lines.join("\n")
}

/// Returns the state in Django's word.
pub(crate) fn state(state: ScrapeState) -> &'static str {
    match state {
        ScrapeState::Running => "running",
        ScrapeState::Success => "success",
        ScrapeState::Partial => "partial",
        ScrapeState::Error => "error",
    }
}

/// Renders the configured sources.
pub(crate) fn configured(configured: &[SourceConfig]) -> String {
    let mut grid =
        Grid::new(&["SOURCE", "KIND", "ENABLED", "BOARD", "ADDRESS"]).spare(&["ENABLED"]);
    for source in configured {
        let address = source.base_url.as_ref().or(source.urls.first());
        grid.row([
            source.name.clone(),
            source.kind.label().to_owned(),
            if source.enabled { "yes" } else { "no" }.to_owned(),
            source.board.clone().unwrap_or_default(),
            address.map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    grid.render()
}

#[cfg(test)]
mod tests {
    use rhubarb_jobs::Ending;

    use super::*;
    use crate::table::tests::fits_80;

    fn listing() -> Listing {
        Listing {
            title: "Senior Software Engineer".into(),
            company: "Kettle & Kernel".into(),
            location: Some("Oslo, Norway".into()),
            posted_at: Some("2026-11-20T08:00:00+00:00".into()),
            source: "greenhouse:kettle".into(),
            ..Listing::default()
        }
    }

    #[test]
    fn listings_are_a_table_with_a_dash_for_what_is_unknown() {
        let bare = Listing { title: "Data Scientist".into(), ..Listing::default() };
        let expect = "\
TITLE                     COMPANY          LOCATION      SALARY  POSTED      SOURCE
Senior Software Engineer  Kettle & Kernel  Oslo, Norway  -       2026-11-20  greenhouse:kettle
Data Scientist            -                -             -       -           -";
        assert_eq!(listings(&[listing(), bare]), expect);
        assert!(listings(&[]).starts_with("no listings"));
    }

    #[test]
    fn listings_and_sources_fit_a_terminal_of_80_columns() {
        let long = Listing {
            title: "Staff Software Engineer, Developer Experience and Build Infrastructure".into(),
            location: Some("San Francisco, California; New York, New York; Remote (US)".into()),
            salary_display: Some("$180,000 - $240,000 a year, and equity".into()),
            ..listing()
        };
        let words = ["Infrastructure", "California;", "$240,000", "Kernel"];
        fits_80(|| listings(&[long, listing()]), &words);

        let source = SourceStatus {
            error: Some("https://boards.example.com/careers: 503 Service Unavailable".into()),
            ..SourceStatus::new(Ending::Failed, 0)
        };
        let name = "greenhouse:a-company-with-a-long-name".to_owned();
        fits_80(|| sources(&BTreeMap::from([(name, source)])), &["Unavailable", "LISTINGS"]);
    }

    #[test]
    fn a_salary_is_shown_as_far_as_it_is_known() {
        let check = |min, max, expect: &str| {
            let listing = Listing {
                salary_min: min,
                salary_max: max,
                salary_currency: Some("EUR".into()),
                salary_period: Some("year".into()),
                ..Listing::default()
            };
            assert_eq!(salary(&listing), expect);
        };
        check(Some(50_000.0), Some(60_000.0), "50000-60000 EUR a year");
        check(Some(50_000.0), Some(50_000.0), "50000 EUR a year");
        check(None, Some(60_000.0), "60000 EUR a year");
        check(None, None, "");
    }

    #[test]
    fn a_scrapes_summary_leaves_out_what_is_unknown() {
        let shown = summary(&serde_json::json!({
            "keyword": "rust", "location": null, "count": 3, "elapsed_s": 2,
            "sources": {"remoteok": {"status": "ok", "count": 3, "error": null, "elapsed_ms": 9}},
        }));
        let expect = "\
keyword   rust
count     3
elapsed   2 s

SOURCE    STATE  LISTINGS  MS  ERROR
remoteok  ok            3   9  -";
        assert_eq!(shown, expect);
        assert_eq!(summary(&Value::Null), "null");
    }

    #[test]
    fn a_status_names_each_source_and_why_it_failed() {
        let source = |ending, count, error: Option<&str>| SourceStatus {
            error: error.map(str::to_owned),
            elapsed_ms: 120,
            ..SourceStatus::new(ending, count)
        };
        let shown = status(&Status {
            last_scraped: "2026-11-24T00:10:00+00:00".into(),
            keyword: "software engineer".into(),
            jobs_count: 12,
            status: ScrapeState::Partial,
            error: None,
            sources: BTreeMap::from([
                ("lever:acme".into(), source(Ending::Throttled, 0, Some("answered 503"))),
                ("remoteok".into(), source(Ending::Found, 12, None)),
            ]),
            new: 3,
            closed: 1,
        });
        let expect = "\
keyword       software engineer
state         partial
last scraped  2026-11-24T00:10:00+00:00
listings      12 (3 new, 1 closed)

SOURCE      STATE      LISTINGS   MS  ERROR
lever:acme  throttled         0  120  answered 503
remoteok    found            12  120  -";
        assert_eq!(shown, expect);
    }

    #[test]
    fn a_source_that_did_not_end_well_is_said_with_what_is_kept() {
        let source = |ending, kept, error: Option<&str>| SourceStatus {
            error: error.map(str::to_owned),
            kept,
            ..SourceStatus::new(ending, 3)
        };
        let sources = BTreeMap::from([
            ("a", source(Ending::Found, 0, None)),
            ("b", source(Ending::Blocked, 2, Some("`b.test` shows a captcha"))),
            ("c", source(Ending::Partial, 0, Some("page 2 answered 500"))),
        ]);
        let told = unwell(&serde_json::json!({ "sources": sources }));
        let expect = [
            "b (blocked): `b.test` shows a captcha; 2 earlier listings are kept",
            "c (partial): page 2 answered 500",
        ];
        assert_eq!(told, expect);
        assert!(unwell(&Value::Null).is_empty());
    }
}
