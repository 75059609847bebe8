//! The life of postings over several scrapes.

use std::slice;

use super::*;

/// Midnight of a day of November 2026.
fn day(day: i64) -> Timestamp {
    let first: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    first + (24 * (day - 1)).hours()
}

fn listing(of: &str) -> Listing {
    let (source, id) = of.split_once('/').unwrap();
    Listing {
        title: format!("Cook {id}"),
        company: "Acme".into(),
        source: source.into(),
        external_id: id.into(),
        url: format!("https://{source}.test/{id}"),
        description: "Cooks soup.".into(),
        ..Listing::default()
    }
}

fn listings(of: &[&str]) -> Vec<Listing> {
    of.iter().map(|of| listing(of)).collect()
}

/// Whole runs close, partial ones and those that are not named do not.
fn whole(source: &str) -> (String, End) {
    (source.to_owned(), End { closed: Some(Why::NotListed), ..End::default() })
}

fn partial(source: &str) -> (String, End) {
    (source.to_owned(), End { is_partial: true, ..End::default() })
}

fn failed(source: &str) -> (String, End) {
    (source.to_owned(), End::default())
}

/// A keyword's record and its scrapes.
#[derive(Default)]
struct Scrapes(Record);

impl Scrapes {
    /// One more, at midnight of a day; returns what is told.
    fn run(&mut self, on: i64, found: &[Listing], ends: &[(String, End)]) -> Vec<String> {
        self.told(on, found, ends).into_iter().map(|(told, _)| told).collect()
    }

    fn told(&mut self, on: i64, found: &[Listing], ends: &[(String, End)]) -> Vec<(String, Value)> {
        let ends = ends.iter().cloned().collect();
        let run = Run { now: day(on), listings: found, ends: &ends, kept_days: 30 };
        let (record, events) = tally(std::mem::take(&mut self.0), &run);
        self.0 = record;
        let told = |event: Event| {
            let listing = &event.listing;
            let told = format!("{} {}/{}", event.kind, listing.source, listing.external_id);
            (told, event.detail)
        };
        events.into_iter().map(told).collect()
    }

    fn posting(&self, of: &str) -> &Posting {
        let wanted = listing(of);
        let is_it = |posting: &&Posting| {
            posting.listing.source == wanted.source
                && posting.listing.external_id == wanted.external_id
        };
        self.0.postings.iter().find(is_it).unwrap()
    }
}

#[test]
fn a_posting_is_new_once_then_closed_and_reopened() {
    let mut scrapes = Scrapes::default();
    let (both, one) = (listings(&["a/1", "a/2"]), listings(&["a/1"]));
    assert_eq!(scrapes.run(1, &both, &[whole("a")]), ["new a/1", "new a/2"]);
    assert_eq!(scrapes.run(2, &both, &[whole("a")]), [""; 0]);
    assert_eq!(scrapes.run(3, &one, &[whole("a")]), ["closed a/2"]);
    assert_eq!(scrapes.run(4, &one, &[whole("a")]), [""; 0]);
    let closed = Closed { at: day(3), why: Why::NotListed };
    assert_eq!(scrapes.posting("a/2").closed, Some(closed));
    assert_eq!(scrapes.run(5, &both, &[whole("a")]), ["reopened a/2"]);
    let back = scrapes.posting("a/2");
    assert_eq!((back.first_seen, back.last_seen), (day(1), day(5)));
    assert_eq!((back.closed, back.reopened), (None, Some(day(5))));
}

#[test]
fn a_run_that_was_cut_short_or_failed_or_did_not_ask_closes_nothing() {
    let mut scrapes = Scrapes::default();
    scrapes.run(1, &listings(&["a/1", "b/1", "c/1"]), &[whole("a"), whole("b"), whole("c")]);
    assert_eq!(scrapes.run(2, &[], &[partial("a"), failed("b")]), [""; 0]);
    // Also when the listings have expired in the meantime and the next run is whole.
    assert_eq!(scrapes.run(3, &listings(&["a/1"]), &[whole("a"), failed("b")]), [""; 0]);
    assert_eq!(scrapes.run(4, &[], &[whole("c")]), ["closed c/1"]);
}

#[test]
fn a_process_that_dies_before_its_record_is_written_loses_no_change() {
    let mut lost = Scrapes::default();
    lost.run(1, &listings(&["a/1", "a/2"]), &[whole("a")]);
    let before = lost.0.clone();
    let told = lost.run(2, &listings(&["a/2", "a/3"]), &[whole("a")]);
    // The listings of day 2 were written, the record was not: day 3 finds them there.
    let mut again = Scrapes(before);
    assert_eq!(again.run(3, &listings(&["a/2", "a/3"]), &[whole("a")]), told);
    assert_eq!(told, ["closed a/1", "new a/3"]);
}

#[test]
fn each_closing_has_its_reason() {
    let check = |end: End, valid_through: Option<&str>, why: Option<Why>| {
        let mut scrapes = Scrapes::default();
        let mut one = listing("a/1");
        one.valid_through = valid_through.map(str::to_owned);
        scrapes.run(1, &[one], &[whole("a")]);
        scrapes.run(20, &[], &[("a".to_owned(), end.clone())]);
        let closed = scrapes.posting("a/1").closed.map(|closed| closed.why);
        assert_eq!(closed, why, "{end:?} {valid_through:?}");
    };
    let over = Some("2026-11-10T23:59:59+00:00");
    let ends = |closed| End { closed, ..End::default() };
    check(ends(Some(Why::NotListed)), None, Some(Why::NotListed));
    check(ends(Some(Why::BoardGone)), None, Some(Why::BoardGone));
    check(ends(Some(Why::NotListed)), over, Some(Why::Expired));
    check(ends(None), over, Some(Why::Expired));
    check(ends(None), Some("2027-01-01T00:00:00+00:00"), None);
    check(ends(None), Some("soon"), None);
    let gone = |key: &str| End { gone: vec![key.to_owned()], ..End::default() };
    check(gone("1"), None, Some(Why::Gone));
    check(gone("https://a.test/1"), None, Some(Why::Gone));
    check(gone("2"), None, None);
    check(End { is_partial: true, ..End::default() }, None, Some(Why::Unseen));
}

#[test]
fn what_changed_is_told_with_old_and_new_and_is_bounded() {
    let mut scrapes = Scrapes::default();
    scrapes.run(1, &listings(&["a/1"]), &[whole("a")]);
    let mut changed = listing("a/1");
    changed.salary_max = Some(90_000.0);
    changed.location = Some("x".repeat(3_000));
    changed.tags = vec!["soup".into(), "bread".into()];
    let told = scrapes.told(2, slice::from_ref(&changed), &[whole("a")]);
    let short = "x".repeat(MAX_TEXT);
    let expect = json!({ "fields": [
        { "field": "location", "old": null, "new": short },
        { "field": "salary_max", "old": null, "new": 90_000.0 },
        { "field": "tags", "old": "", "new": "soup, bread" },
    ] });
    assert_eq!(told, [("changed a/1".to_owned(), expect)]);
    changed.description = "Cooks fish.".into();
    let told = scrapes.told(3, slice::from_ref(&changed), &[whole("a")]);
    assert_eq!(told[0].1["fields"][0]["field"], "description");
    for on in 4..12 {
        changed.title = format!("Cook on day {on}");
        assert_eq!(scrapes.run(on, slice::from_ref(&changed), &[whole("a")]), ["changed a/1"]);
    }
    let posting = scrapes.posting("a/1");
    assert_eq!((posting.changes.len(), posting.changes[4].at), (5, day(11)));
}

#[test]
fn what_each_visit_or_reading_brings_is_no_change() {
    let mut scrapes = Scrapes::default();
    let first = Listing {
        url: "https://a.test/1?utm_source=x".into(),
        posted_at: Some("2026-11-01T00:00:00+00:00".into()),
        ..listing("a/1")
    };
    scrapes.run(1, slice::from_ref(&first), &[whole("a")]);
    let again = Listing {
        url: "https://a.test/1?utm_source=y".into(),
        posted_at: Some("2026-11-02T00:00:00+00:00".into()),
        scraped_at: "2026-11-02T00:00:00+00:00".into(),
        description: " Cooks\n\nsoup ".into(),
        job_function: Some(String::new()),
        ..first
    };
    assert_eq!(scrapes.run(2, &[again], &[whole("a")]), [""; 0]);
    assert_eq!(scrapes.posting("a/1").listing.posted_at.as_deref().unwrap()[..10], *"2026-11-02");
}

#[test]
fn what_a_run_that_was_cut_short_does_not_say_is_as_it_was() {
    let mut scrapes = Scrapes::default();
    let first = Listing { salary_min: Some(7.0), ..listing("a/1") };
    scrapes.run(1, slice::from_ref(&first), &[whole("a")]);
    let bare = Listing { salary_min: None, description: String::new(), ..first.clone() };
    assert_eq!(scrapes.run(2, slice::from_ref(&bare), &[partial("a")]), [""; 0]);
    assert_eq!(scrapes.posting("a/1").listing.salary_min, Some(7.0));
    assert_eq!(scrapes.run(3, &[first], &[whole("a")]), [""; 0]);
    assert_eq!(scrapes.run(4, &[bare], &[whole("a")]), ["changed a/1"]);
}

#[test]
fn the_one_rule_of_identity_finds_a_posting_again() {
    let mut scrapes = Scrapes::default();
    scrapes.run(1, &listings(&["a/1", "a/2"]), &[whole("a")]);
    // Another identifier at the same address.
    let moved = Listing { external_id: "77".into(), ..listing("a/1") };
    let told = scrapes.run(2, &[moved, listing("a/2")], &[whole("a")]);
    assert_eq!(told, [""; 0]);
    assert_eq!(scrapes.posting("a/77").first_seen, day(1));
    // An open one is taken before a closed one, and each once.
    scrapes.run(3, &listings(&["a/2"]), &[whole("a")]);
    let twins = [listing("a/2"), Listing { external_id: "3".into(), ..listing("a/2") }];
    assert_eq!(scrapes.run(4, &twins, &[whole("a")]), ["new a/3"]);
}

#[test]
fn a_posting_goes_on_when_an_aggregators_copy_gives_way_and_when_it_comes_back() {
    let mut scrapes = Scrapes::default();
    let copy = listing("agg/9");
    scrapes.run(1, slice::from_ref(&copy), &[whole("agg")]);
    let own = Listing { also: vec![copy.url.clone()], ..listing("own/1") };
    let told = scrapes.run(2, slice::from_ref(&own), &[whole("agg"), whole("own")]);
    assert_eq!(told, ["changed own/1"]);
    assert_eq!(scrapes.posting("own/1").first_seen, day(1));
    assert_eq!(scrapes.run(3, slice::from_ref(&own), &[whole("agg"), whole("own")]), [""; 0]);
    let told = scrapes.run(4, &[copy], &[whole("agg"), whole("own")]);
    assert_eq!(told, ["changed agg/9"]);
}

#[test]
fn a_kept_listing_was_seen_when_it_was_read() {
    let mut scrapes = Scrapes::default();
    let read = |on: i64| Listing { scraped_at: day(on).to_string(), ..listing("a/1") };
    scrapes.run(1, &[read(1)], &[whole("a")]);
    scrapes.run(5, &[read(1)], &[failed("a")]);
    assert_eq!(scrapes.posting("a/1").last_seen, day(1));
    // A clock that runs ahead is not believed.
    scrapes.run(6, &[read(9)], &[whole("a")]);
    assert_eq!(scrapes.posting("a/1").last_seen, day(6));
}

#[test]
fn a_record_is_bounded_by_age() {
    let mut scrapes = Scrapes::default();
    scrapes.run(1, &listings(&["a/1", "a/2", "b/1"]), &[whole("a"), whole("b")]);
    scrapes.run(10, &listings(&["a/1"]), &[whole("a")]);
    assert_eq!(scrapes.run(32, &listings(&["a/1"]), &[whole("a")]), [""; 0]);
    let left: Vec<&str> =
        scrapes.0.postings.iter().map(|posting| posting.listing.external_id.as_str()).collect();
    assert_eq!(left, ["2", "1"], "b/1 was not seen for 31 days, a/2 was closed 22 days ago");
    scrapes.run(41, &listings(&["a/1"]), &[whole("a")]);
    assert_eq!(scrapes.0.postings.len(), 1);
}

#[test]
fn a_record_is_bounded_by_number_and_what_does_not_fit_is_not_told_again_and_again() {
    let mut scrapes = Scrapes::default();
    let of = |range: std::ops::Range<usize>| -> Vec<Listing> {
        range.map(|id| listing(&format!("a/{id}"))).collect()
    };
    let most = MAX_BYTES / (crate::fit::size(&thin(&listing("a/10000"))) + 200);
    let n = most.min(MAX_POSTINGS);
    assert_eq!(scrapes.run(1, &of(0..n), &[whole("a")]).len(), n);
    // Closed ones give way to open ones.
    let told = scrapes.run(2, &of(100..n + 50), &[whole("a")]);
    assert_eq!(told.len(), 150);
    let too_many = of(100..n + 2_000);
    let told = scrapes.run(3, &too_many, &[whole("a")]);
    assert!((1..150).contains(&told.len()), "{}", told.len());
    assert_eq!(scrapes.run(4, &too_many, &[whole("a")]), [""; 0]);
    assert!(scrapes.0.left_out > 1_800);
    assert!(scrapes.0.postings.len() <= n + 100);
    assert!(crate::life::encode(&scrapes.0).unwrap().len() < MAX_BYTES);
}

#[test]
fn very_long_fields_leave_room_for_few() {
    let mut scrapes = Scrapes::default();
    let long = |id: usize| Listing { company: "x".repeat(1 << 20), ..listing(&format!("a/{id}")) };
    let all: Vec<Listing> = (0..20).map(long).collect();
    assert_eq!(scrapes.run(1, &all, &[whole("a")]).len(), 7);
    assert_eq!(scrapes.0.left_out, 13);
    assert!(scrapes.run(2, &all, &[whole("a")]).is_empty());
}
