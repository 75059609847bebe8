//! One job posting in the form that every reader of the caches sees.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A job posting, normalised from whatever its source calls things.
///
/// Serialised as a flat map with exactly these keys in this order; absent values are written as
/// null (`None` in Python), never left out. The keys are contract: Django templates read them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// The posting's title as text, without the company's name.
    pub title: String,
    /// The employer's display name; empty when the source names none.
    pub company: String,
    /// The place as one readable line, e.g. `Lisbon, Portugal` or `Remote (EU)`.
    pub location: Option<String>,
    /// The city, where the source gives it apart.
    pub city: Option<String>,
    /// The state or region, where the source gives it apart.
    pub state: Option<String>,
    /// The country as the source writes it (name or code).
    pub country: Option<String>,
    /// The canonical page of the posting.
    pub url: String,
    /// The page on which to apply, where it differs or is given apart.
    pub apply_url: Option<String>,
    /// The source's name in the configuration (`remoteok`, `greenhouse:acme`, …).
    pub source: String,
    /// The source's own identifier, as text.
    pub external_id: String,
    /// `full_time`, `part_time`, `contract`, `temporary`, `internship`, `volunteer`, `per_diem` or
    /// `other`.
    pub employment_type: Option<String>,
    /// The seniority level as the source words it.
    pub seniority_level: Option<String>,
    /// The department, team or occupational category.
    pub job_function: Option<String>,
    /// The industries, joined by a comma and a space.
    pub industries: Option<String>,
    /// `onsite`, `hybrid`, `remote`, or absent when the source does not tell.
    pub workplace: Option<String>,
    /// Whether the posting can be done remotely, absent when unknown.
    pub is_remote: Option<bool>,
    /// The salary as a person reads it.
    pub salary_display: Option<String>,
    /// The lower end of the salary, in units of `salary_currency` a `salary_period`.
    pub salary_min: Option<f64>,
    /// The upper end of the salary.
    pub salary_max: Option<f64>,
    /// ISO 4217 code.
    pub salary_currency: Option<String>,
    /// `hour`, `day`, `week`, `month` or `year`.
    pub salary_period: Option<String>,
    /// The description as plain text.
    pub description: String,
    /// Tags and skills, as the source words them.
    pub tags: Vec<String>,
    /// When it was published: ISO 8601 text in UTC.
    pub posted_at: Option<String>,
    /// When we fetched it: ISO 8601 text in UTC.
    pub scraped_at: String,
    /// Until when one may apply: ISO 8601 text in UTC; a day alone means its end.
    pub valid_through: Option<String>,
    /// The language of the posting as a BCP 47 tag (`en`, `de-AT`), where source or page says it.
    pub language: Option<String>,
    /// Each place where there are several, as `location` joins them; empty where there is one.
    pub locations: Vec<String>,
    /// Where other sources have the same posting: its copies' addresses.
    pub also: Vec<String>,
}

impl Listing {
    /// Tells whether its last day is over.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        let until = self.valid_through.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        until.is_some_and(|until| until < now)
    }
}
