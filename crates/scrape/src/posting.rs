//! One posting of a payload on its way to a listing: what the readers of boards have in common.

use serde_json::Value;

use crate::listing::Listing;
use crate::{
    context::Context,
    dates,
    location::{self, Location},
    record,
    salary::{self, Salary},
    text,
};

/// A record, and the listing that is made of it.
pub(crate) struct Posting<'a> {
    pub(crate) value: &'a Value,
    pub(crate) context: &'a Context,
    pub(crate) listing: Listing,
}

impl<'a> Posting<'a> {
    /// Begins a listing of the configured company.
    pub(crate) fn new(value: &'a Value, context: &'a Context) -> Self {
        let mut listing = record::listing(&context.source, context.now);
        listing.company.clone_from(&context.company);
        Self { value, context, listing }
    }

    /// Goes on with a listing that another page began.
    pub(crate) fn of(listing: &mut Listing, value: &'a Value, context: &'a Context) -> Self {
        Self { value, context, listing: std::mem::take(listing) }
    }

    pub(crate) fn line(&self, path: &[&str]) -> Option<String> {
        record::line(self.value, path)
    }

    /// Returns the first of these that says something.
    pub(crate) fn first(&self, paths: &[&[&str]]) -> Option<String> {
        paths.iter().find_map(|path| self.line(path))
    }

    /// Returns an address as it stands: nothing in it is an entity.
    pub(crate) fn address(&self, paths: &[&[&str]]) -> Option<String> {
        let raw = |path: &&[&str]| record::raw(self.value, path);
        paths.iter().find_map(raw).map(|address| address.trim().to_owned())
    }

    pub(crate) fn id(&mut self, paths: &[&[&str]]) {
        self.listing.external_id = self.first(paths).unwrap_or_default();
    }

    pub(crate) fn title(&mut self, path: &[&str]) {
        self.listing.title = self.line(path).unwrap_or_default();
    }

    /// Takes the brand that the payload names in place of the configured name.
    pub(crate) fn brand(&mut self, paths: &[&[&str]]) {
        if let Some(name) = self.first(paths) {
            self.listing.company = name;
        }
    }

    /// Takes the legal entity that the payload names where no name is configured.
    pub(crate) fn entity(&mut self, paths: &[&[&str]]) {
        if self.listing.company.is_empty() {
            self.brand(paths);
        }
    }

    /// As [`Posting::entity`], of a name that is read already.
    pub(crate) fn entity_line(&mut self, name: Option<String>) {
        if self.listing.company.is_empty() {
            self.listing.company = name.unwrap_or_default();
        }
    }

    pub(crate) fn places(&mut self, places: &[Location]) {
        location::set(&mut self.listing, places);
    }

    /// Sets the workplace from the first of these words that says one, and the source's own flag.
    pub(crate) fn workplace(&mut self, words: &[Option<String>], remote: Option<bool>) {
        let workplace = words.iter().flatten().find_map(|word| location::workplace(word));
        location::set_workplace(&mut self.listing, workplace, remote);
    }

    /// Sets the employment type from the first of these words that says one.
    pub(crate) fn employment(&mut self, words: &[Option<String>]) {
        let kind = words.iter().flatten().find_map(|word| location::employment_type(word));
        if kind.is_some() {
            self.listing.employment_type = kind.map(str::to_owned);
        }
    }

    /// Sets the day from the first of these dates that can be read; else it stays what it was.
    pub(crate) fn posted(&mut self, paths: &[&[&str]]) {
        let date = paths.iter().find_map(|path| self.date(path));
        self.listing.posted_at = date.or_else(|| self.listing.posted_at.take());
    }

    pub(crate) fn expires(&mut self, paths: &[&[&str]]) {
        let date = paths.iter().find_map(|path| self.date(path));
        self.listing.valid_through = date.or_else(|| self.listing.valid_through.take());
    }

    /// Returns a date; a number is an epoch in seconds or milliseconds.
    fn date(&self, path: &[&str]) -> Option<String> {
        match record::at(self.value, path)? {
            Value::Number(number) => dates::epoch(number.as_f64()?),
            _ => date(&self.line(path)?, self.context),
        }
    }

    /// Reads a date's text, which may be an epoch.
    pub(crate) fn date_of(&self, text: &str) -> Option<String> {
        match text.parse::<f64>() {
            Ok(number) if number >= 1e8 => dates::epoch(number),
            _ => date(text, self.context),
        }
    }

    /// Puts the texts together, each under its heading.
    pub(crate) fn texts(&mut self, texts: &[(Option<String>, &[&str])]) {
        let mut markup = String::new();
        for (heading, path) in texts {
            let Some(text) = record::raw(self.value, path) else { continue };
            if let Some(heading) = heading {
                markup.push_str(&format!("<h3>{}</h3>", heading.replace('<', "&lt;")));
            }
            // What is cut off inside a tag must not take the next text with it.
            markup.push_str(&format!("<div>{}</div>", whole(text)));
        }
        let description = text::description(&markup, &self.context.budget);
        if !description.is_empty() {
            self.listing.description = description;
        }
    }

    /// Sets the pay from numbers; without any nothing changes.
    pub(crate) fn pay(
        &mut self,
        bounds: [&[&str]; 2],
        currency: Option<String>,
        period: Option<String>,
    ) {
        let [min, max] = bounds.map(|path| record::number(self.value, path));
        self.pay_numbers(min, max, currency, period);
    }

    /// As [`Posting::pay`], of numbers that are read already; zero is none.
    #[expect(clippy::needless_pass_by_value, reason = "callers have just read them")]
    pub(crate) fn pay_numbers(
        &mut self,
        min: Option<f64>,
        max: Option<f64>,
        currency: Option<String>,
        period: Option<String>,
    ) {
        let [min, max] = [min, max].map(|bound| bound.filter(|bound| *bound > 0.0));
        if min.is_none() && max.is_none() {
            return;
        }
        let period = period.as_deref().and_then(salary::period);
        Salary::from_numbers(min, max, currency.as_deref(), period).set(&mut self.listing);
    }

    /// Sets the pay from a text.
    #[expect(clippy::needless_pass_by_value, reason = "callers have just read it")]
    pub(crate) fn pay_text(&mut self, text: Option<String>) {
        if let Some(salary) = text.as_deref().and_then(Salary::from_text) {
            salary.set(&mut self.listing);
        }
    }

    pub(crate) fn finish(self) -> Result<Listing, String> {
        record::finish(self.listing, self.context)
    }
}

/// Returns a date of a payload.
pub(crate) fn date(text: &str, context: &Context) -> Option<String> {
    context.date(text)
}

/// Returns the markup without a tag that it ends in.
fn whole(markup: &str) -> &str {
    match (markup.rfind('<'), markup.rfind('>')) {
        (Some(open), close) if close.is_none_or(|close| close < open) => &markup[..open],
        _ => markup,
    }
}

/// Returns a place from the parts of an object.
pub(crate) fn parts(value: &Value, city: &str, state: &str, country: &str) -> Location {
    let part = |key| record::line(value, &[key]);
    Location::parts(part(city), part(state), part(country))
}

/// As [`parts`], with the line that the source writes.
pub(crate) fn named(line: Option<String>, parts: Location) -> Location {
    Location { text: Location::line(line).text, ..parts }
}
