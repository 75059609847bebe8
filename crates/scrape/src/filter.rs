//! Which of a keyword's listings are shown or counted; all of them are cached.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{employment, fold, listing::Listing};

/// What listings have to be; what is absent admits all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListingFilter {
    /// Each word of it is in the listing's place; `remote` also finds what can be done remotely.
    pub location: Option<String>,
    /// Whether it can be done remotely. A listing that does not tell cannot, as far as is known.
    pub remote: Option<bool>,
    /// It was published within this time. A listing without a date is left out.
    pub posted_within: Option<Duration>,
    /// Its employment type, in any words that sources use: `full_time`, `Vollzeit`.
    pub employment_type: Option<String>,
    /// What it pays at the most reaches this, reckoned to a year, in the listing's own currency.
    /// A listing without a salary is left out.
    pub min_salary: Option<f64>,
    /// Each word of it is in the company's name.
    pub company: Option<String>,
    /// The source's name.
    pub source: Option<String>,
}

/// How often a year has each period of pay: hours and days as in a full working year.
const IN_A_YEAR: [(&str, f64); 5] =
    [("hour", 2_080.0), ("day", 260.0), ("week", 52.0), ("month", 12.0), ("year", 1.0)];

impl ListingFilter {
    /// Tells whether it admits all listings.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether a listing is admitted; ages are reckoned from `now`.
    pub fn admits(&self, listing: &Listing, now: Timestamp) -> bool {
        let place = self.location.as_deref().is_none_or(|place| is_in(listing, place));
        let remote = self.remote.is_none_or(|wanted| wanted == (listing.is_remote == Some(true)));
        let age = self.posted_within.is_none_or(|limit| is_within(listing, limit, now));
        let kind = self.employment_type.as_deref().is_none_or(|kind| is_of_type(listing, kind));
        let pay = self.min_salary.is_none_or(|least| yearly(listing).is_some_and(|p| p >= least));
        let company = self.company.as_deref().is_none_or(|name| has_words(&listing.company, name));
        let source = self.source.as_deref().is_none_or(|name| name.trim() == listing.source);
        place && remote && age && kind && pay && company && source
    }
}

/// Tells whether every word of the place stands in the listing's location, case-folded.
///
/// `remote` also finds what can be done remotely.
pub fn is_in(listing: &Listing, place: &str) -> bool {
    let parts = [&listing.location, &listing.city, &listing.state, &listing.country];
    let mut text = parts.into_iter().flatten().fold(String::new(), |text, part| text + " " + part);
    if listing.is_remote == Some(true) {
        text.push_str(" remote");
    }
    has_words(&text, place)
}

fn has_words(text: &str, wanted: &str) -> bool {
    let text = fold::words(text);
    fold::words(wanted).split_whitespace().all(|word| text.contains(&format!(" {word} ")))
}

fn is_within(listing: &Listing, limit: Duration, now: Timestamp) -> bool {
    let posted = listing.posted_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    posted.is_some_and(|posted| now.duration_since(posted) <= limit)
}

fn is_of_type(listing: &Listing, kind: &str) -> bool {
    let kind = kind.trim();
    let wanted = employment::employment_type(kind).unwrap_or(kind);
    listing.employment_type.as_deref() == Some(wanted)
}

/// Returns the most that a listing pays, reckoned to a year. Where it names no period, that is its
/// number as it stands.
fn yearly(listing: &Listing) -> Option<f64> {
    let most = listing.salary_max.or(listing.salary_min)?;
    let period = listing.salary_period.as_deref().unwrap_or("year");
    IN_A_YEAR.iter().find(|(name, _)| *name == period).map(|(_, times)| most * times)
}

/// Reads an age: `7d`, `12h`, `2w`, `90m`, or seconds.
///
/// # Errors
/// Says what is expected.
pub fn age(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[end..].trim() {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => 0,
    };
    let seconds = text[..end].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| *seconds > 0);
    let expected = || format!("`{text}` is no age; a number with s, m, h, d or w is, such as 7d");
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn listing(location: &str, city: Option<&str>, is_remote: Option<bool>) -> Listing {
        Listing {
            location: Some(location.into()),
            city: city.map(Into::into),
            is_remote,
            ..Listing::default()
        }
    }

    #[test]
    fn a_location_matches_by_whole_words_in_any_case() {
        let check =
            |listing: &Listing, place, expect| assert_eq!(is_in(listing, place), expect, "{place}");
        let berlin = listing("Berlin, Germany", Some("Berlin"), None);
        check(&berlin, "berlin", true);
        check(&berlin, "Germany Berlin", true);
        check(&berlin, "Ber", false);
        check(&berlin, "remote", false);
        check(&berlin, " ", true);
        let anywhere = listing("Worldwide", None, Some(true));
        check(&anywhere, "Remote", true);
        check(&anywhere, "Remote, Germany", false);
        check(&listing("São Paulo", None, None), "SÃO paulo", true);
        check(&listing("São Paulo", None, None), "sao paulo", true);
    }

    #[test]
    fn each_filter_admits_what_it_says_and_together_they_all_hold() {
        let cook = Listing {
            title: "Cook".into(),
            company: "Acme Foods GmbH".into(),
            source: "acme".into(),
            employment_type: Some("part_time".into()),
            salary_max: Some(20.0),
            salary_period: Some("hour".into()),
            posted_at: Some("2026-11-21T12:00:00+00:00".into()),
            ..listing("Graz", None, Some(false))
        };
        let all = ListingFilter::default();
        let check = |filter: ListingFilter, expect: bool| {
            assert_eq!(filter.admits(&cook, now()), expect, "{filter:?}");
        };
        let some = |text: &str| Some(text.to_owned());
        check(all.clone(), true);
        check(ListingFilter { company: some("acme"), ..all.clone() }, true);
        check(ListingFilter { company: some("acme wheels"), ..all.clone() }, false);
        check(ListingFilter { source: some("acme"), ..all.clone() }, true);
        check(ListingFilter { source: some("ac"), ..all.clone() }, false);
        check(ListingFilter { remote: Some(false), ..all.clone() }, true);
        check(ListingFilter { remote: Some(true), ..all.clone() }, false);
        check(ListingFilter { employment_type: some("Teilzeit"), ..all.clone() }, true);
        check(ListingFilter { employment_type: some("full_time"), ..all.clone() }, false);
        check(ListingFilter { min_salary: Some(41_000.0), ..all.clone() }, true);
        check(ListingFilter { min_salary: Some(42_000.0), ..all.clone() }, false);
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        check(ListingFilter { posted_within: days(2), ..all.clone() }, true);
        check(ListingFilter { posted_within: days(1), ..all.clone() }, false);
        check(ListingFilter { posted_within: days(2), source: some("other"), ..all }, false);
    }

    #[test]
    fn what_a_listing_does_not_tell_it_is_not() {
        let bare = listing("Graz", None, None);
        let check = |filter: ListingFilter| assert!(!filter.admits(&bare, now()), "{filter:?}");
        check(ListingFilter { remote: Some(true), ..ListingFilter::default() });
        check(ListingFilter { min_salary: Some(1.0), ..ListingFilter::default() });
        check(ListingFilter { posted_within: Some(Duration::MAX), ..ListingFilter::default() });
        check(ListingFilter {
            employment_type: Some("full_time".into()),
            ..ListingFilter::default()
        });
    }

    #[test]
    fn an_age_is_a_number_with_its_unit() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(age(" 90 m "), Ok(Duration::from_secs(5_400)));
        assert_eq!(age("3600"), Ok(Duration::from_secs(3_600)));
        for wrong in ["", "d", "7x", "-1d", "0d", "99999999999999999999d"] {
            assert!(age(wrong).unwrap_err().contains("is no age"), "{wrong}");
        }
    }
}
