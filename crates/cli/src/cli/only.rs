//! Filters of listings, the same wherever listings are counted or shown.

use std::time::Duration;

use clap::Args;
use rhubarb_scrape::filter::{self, ListingFilter};

/// Which listings are counted or shown; all of a keyword's are cached.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OnlyArgs {
    /// Only listings in this place
    #[arg(long, value_name = "L")]
    pub(crate) location: Option<String>,
    /// Only what can be done remotely; `--remote=false`: only what cannot, as far as is known
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    pub(crate) remote: Option<bool>,
    /// Only what was published within this time: 12h, 7d, 2w
    #[arg(long, value_name = "AGE", value_parser = filter::age)]
    pub(crate) posted_within: Option<Duration>,
    /// Only this employment type: full_time, part_time, contract, temporary, internship, …
    #[arg(long, value_name = "TYPE")]
    pub(crate) employment_type: Option<String>,
    /// Only what pays so much a year at the most, in its own currency
    #[arg(long, value_name = "N")]
    pub(crate) min_salary: Option<f64>,
    /// Only listings of this company
    #[arg(long, value_name = "C")]
    pub(crate) company: Option<String>,
}

impl OnlyArgs {
    /// Returns the filter, with that for a source where there is one.
    pub(crate) fn filter(&self, source: Option<&str>) -> ListingFilter {
        ListingFilter {
            location: self.location.clone(),
            remote: self.remote,
            posted_within: self.posted_within,
            employment_type: self.employment_type.clone(),
            min_salary: self.min_salary,
            company: self.company.clone(),
            source: source.map(str::to_owned),
        }
    }
}
