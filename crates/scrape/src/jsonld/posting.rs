//! One posting of the graph on its way to a listing.

use serde_json::Value;
use url::Url;

use crate::{
    context::Context,
    dates::DateOrder,
    identity::normal,
    link::link,
    listing::Listing,
    locale::Locale,
    location::{self, Location},
    record, salary, text,
};

/// Names of an organisation or a place that are looked through.
pub(super) const MAX_NAMES: usize = 5;

/// A posting, plain.
pub(super) struct Posting<'a> {
    pub(super) posting: &'a Value,
    /// The address of its page.
    pub(super) page: &'a Url,
}

impl Posting<'_> {
    /// Returns the line under a name; of several the first, of an object its name.
    fn line(&self, key: &str) -> Option<String> {
        let given = record::items(self.posting.get(key)).iter().take(MAX_NAMES);
        given.into_iter().find_map(said)
    }

    pub(super) fn read(&self, context: &Context) -> Result<Listing, String> {
        let mut listing = record::listing(&context.source, context.now);
        listing.title = self.line("title").or_else(|| self.line("name")).unwrap_or_default();
        listing.company = self.company().unwrap_or_else(|| context.company.clone());
        listing.external_id = self.identifier().unwrap_or_default();
        listing.url = self.own_url(context).unwrap_or_else(|| self.page.clone()).into();
        self.places(&mut listing);
        let kinds = record::lines(self.posting, &["employmentType"]).join(", ");
        listing.employment_type = location::employment_type(&kinds).map(str::to_owned);
        listing.seniority_level = record::items(self.posting.get("experienceRequirements"))
            .iter()
            .find_map(record::as_line);
        listing.job_function = self.joined("occupationalCategory");
        listing.industries = self.joined("industry");
        listing.tags = self.skills();
        listing.description = text::description(&self.markup(), &context.budget);
        let context = &self.localized(&listing, context);
        listing.posted_at = self.line("datePosted").and_then(|date| context.date(&date));
        listing.valid_through = self.line("validThrough").and_then(|text| {
            let at = context.date(&text)?;
            Some(if text.contains(':') { at } else { at.replace("T00:00:00", "T23:59:59") })
        });
        listing.language = self.line("inLanguage").and_then(|tag| text::language(&tag));
        if let Some(salary) = salary::posting(self.posting, &context.locale) {
            salary.set(&mut listing);
        }
        record::finish(listing, context)
    }

    /// Returns the context in the posting's own language; where nothing else tells, dates and
    /// money are those of the country of the work.
    fn localized(&self, listing: &Listing, context: &Context) -> Context {
        let own = Locale::of_tag(&self.line("inLanguage").unwrap_or_default());
        let country = Locale::of_country(listing.country.as_deref().unwrap_or_default());
        let locale = own.or(context.locale).or(country);
        let order = context.order.or_else(|| DateOrder::of(&locale));
        Context { locale, order, ..context.clone() }
    }

    /// The description; of several pieces all.
    fn markup(&self) -> String {
        let pieces = record::items(self.posting.get("description")).iter();
        pieces.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    fn company(&self) -> Option<String> {
        let given = record::items(self.posting.get("hiringOrganization")).iter().take(MAX_NAMES);
        given
            .into_iter()
            .find_map(|given| said(given).or_else(|| record::line(given, &["legalName"])))
    }

    /// The first identifier that does not only repeat whose it is.
    fn identifier(&self) -> Option<String> {
        let given = record::items(self.posting.get("identifier")).iter();
        let mut given = given.filter_map(|given| {
            let id =
                record::identifier(given, &[]).or_else(|| record::identifier(given, &["value"]))?;
            let whose = [record::line(given, &["name"]), self.company()].into_iter().flatten();
            (!whose.into_iter().any(|name| normal(&name) == normal(&id))).then_some(id)
        });
        given.next()
    }

    /// The posting's own address, unless it is the company's: some sites put that there.
    pub(super) fn own_url(&self, context: &Context) -> Option<Url> {
        let companys = |key| {
            let given = record::items(self.posting.get("hiringOrganization")).iter();
            given.filter_map(move |given| record::address(given, &[key]))
        };
        let companys: Vec<String> = companys("sameAs").chain(companys("url")).collect();
        let is_companys =
            |url: &str| companys.iter().any(|theirs| slashless(theirs) == slashless(url));
        let given = ["url", "mainEntityOfPage", "@id"].into_iter().flat_map(|key| {
            let given = record::items(self.posting.get(key)).iter();
            given.filter_map(address).map(move |address| (key, address))
        });
        // An `@id` names a thing; it leads somewhere only if it looks so.
        let given = given.filter(|(key, url)| *key == "url" || url.starts_with("http"));
        let own = given.filter(|(_, url)| !is_companys(url));
        own.filter_map(|(_, url)| link(&context.page, url))
            .find(|url| url.path() != "/" || url.query().is_some() || is_route(url))
    }

    fn places(&self, listing: &mut Listing) {
        let of = |key: &str| {
            let given = record::items(self.posting.get(key)).iter();
            let places = given.flat_map(places).filter(|place| *place != Location::default());
            places.collect::<Vec<Location>>()
        };
        location::set(listing, &of("jobLocation"));
        if listing.location.is_none() {
            location::set(listing, &of("applicantLocationRequirements"));
        }
        let kind = record::lines(self.posting, &["jobLocationType"]);
        let workplace = kind.iter().find_map(|kind| location::workplace(kind));
        location::set_workplace(listing, workplace, None);
    }

    fn skills(&self) -> Vec<String> {
        let given = record::items(record::at(self.posting, &["skills"])).iter();
        let given = given.filter_map(said);
        given
            .flat_map(|skills| skills.split([',', ';']).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn joined(&self, key: &str) -> Option<String> {
        let given = record::items(record::at(self.posting, &[key])).iter();
        let given: Vec<String> = given.filter_map(said).collect();
        text::some_line(&given.join(", "))
    }
}

/// Returns the places that one value names: a text, a place with one or several addresses, or an
/// address alone.
fn places(given: &Value) -> Vec<Location> {
    let addresses = record::items(record::at(given, &["address"]));
    let addresses = if addresses.is_empty() { std::slice::from_ref(given) } else { addresses };
    addresses.iter().flat_map(localities).collect()
}

/// Returns the places of one address: as many as it names localities.
fn localities(address: &Value) -> Vec<Location> {
    let names = record::items(address.get("addressLocality"));
    if names.len() < 2 {
        return vec![place(address)];
    }
    let one = |city: &Value| {
        let rest = place(address);
        Location::parts(said(city), rest.state, rest.country)
    };
    names.iter().map(one).collect()
}

/// Returns the places that one value names: a text, a place with one or several addresses, or an
/// address alone.
pub(super) fn place(given: &Value) -> Location {
    let part = |key| record::items(given.get(key)).iter().find_map(said);
    let parts =
        Location::parts(part("addressLocality"), part("addressRegion"), part("addressCountry"));
    if parts == Location::default() { Location::line(said(given)) } else { parts }
}

/// Returns the address that a value is or names.
fn address(value: &Value) -> Option<&str> {
    let named = || ["url", "@id"].into_iter().find_map(|key| record::raw(value, &[key]));
    record::raw(value, &[]).or_else(named).map(str::trim)
}

/// Returns what a value says as a line: itself, or its name.
fn said(value: &Value) -> Option<String> {
    record::as_line(value).or_else(|| name(value))
}

/// Returns an object's name; of a list of names the first.
fn name(value: &Value) -> Option<String> {
    let names = record::items(record::at(value, &["name"])).iter();
    names.take(MAX_NAMES).find_map(record::as_line)
}

/// A page of a site that is one page to its server.
fn is_route(url: &Url) -> bool {
    url.fragment().is_some_and(|fragment| fragment.starts_with(['/', '!']))
}

fn slashless(url: &str) -> &str {
    url.trim_end_matches('/')
}
