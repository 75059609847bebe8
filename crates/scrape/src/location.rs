//! Places and how a posting is worked: one readable line, and the parts where the source gives
//! them.

pub(crate) use crate::{employment::employment_type, workplace::workplace};
use crate::{listing::Listing, text};

/// A place as a source gives it; each part may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Location {
    /// The source's own line, if any.
    pub(crate) text: Option<String>,
    /// The city.
    pub(crate) city: Option<String>,
    /// The state or region.
    pub(crate) state: Option<String>,
    /// The country, as name or code.
    pub(crate) country: Option<String>,
}

/// How many places the readable line names at the most.
const MAX_PLACES: usize = 5;

/// How many places are listed at the most.
const MAX_LISTED: usize = 40;

impl Location {
    /// Returns a place of which only the line is known.
    pub(crate) fn line(line: Option<String>) -> Self {
        Self { text: line.filter(|line| said(line)), ..Self::default() }
    }

    /// Returns a place from its parts; a part without a letter (`-`) says nothing.
    pub(crate) fn parts(
        city: Option<String>,
        state: Option<String>,
        country: Option<String>,
    ) -> Self {
        let part = |part: Option<String>| part.filter(|part| said(part));
        Self { text: None, city: part(city), state: part(state), country: part(country) }
    }

    /// Returns the line: the source's own, or the parts joined, none twice.
    fn display(&self) -> Option<String> {
        if self.text.is_some() {
            return self.text.clone();
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in [&self.city, &self.state, &self.country].into_iter().flatten() {
            if !parts.contains(&part.as_str()) {
                parts.push(part);
            }
        }
        Some(parts.join(", ")).filter(|line| !line.is_empty())
    }
}

/// Writes the places into the listing: the first one's parts, the line of all, and the list.
pub(crate) fn set(listing: &mut Listing, places: &[Location]) {
    let mut lines: Vec<String> = Vec::new();
    for line in places.iter().filter_map(Location::display) {
        if !lines.contains(&line) && lines.len() < MAX_LISTED {
            lines.push(line);
        }
    }
    if let Some(first) = places.first() {
        listing.city.clone_from(&first.city);
        listing.state.clone_from(&first.state);
        listing.country.clone_from(&first.country);
    }
    let line = lines[..lines.len().min(MAX_PLACES)].join("; ");
    listing.location =
        Some(text::cut(&line, text::MAX_LINE).to_owned()).filter(|line| !line.is_empty());
    listing.locations = if lines.len() > 1 { lines } else { Vec::new() };
}

/// Sets the workplace and, unless the source said it, what follows from it for remote work.
pub(crate) fn set_workplace(listing: &mut Listing, workplace: Option<&str>, remote: Option<bool>) {
    let workplace = workplace.or_else(|| remote.filter(|remote| *remote).map(|_| "remote"));
    listing.workplace = workplace.map(str::to_owned);
    listing.is_remote = remote.or(match workplace {
        Some("remote") => Some(true),
        Some("onsite") => Some(false),
        _ => None,
    });
}

fn said(part: &str) -> bool {
    const NOTHING: [&str; 7] =
        ["null", "n/a", "none", "undefined", "unspecified", "not specified", "unknown"];
    let says_nothing = || NOTHING.contains(&&part.trim().to_ascii_lowercase()[..]);
    part.chars().any(char::is_alphabetic) && !says_nothing()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn parts_join_without_repetition_or_placeholders() {
        let check = |place: Location, expect: Option<&str>| {
            let mut listing = Listing::default();
            set(&mut listing, &[place]);
            assert_eq!(listing.location.as_deref(), expect);
        };
        check(Location::parts(some("Lisboa"), some("Lisboa"), some("PT")), Some("Lisboa, PT"));
        check(Location::parts(some("Leipzig"), some("-"), some("DE")), Some("Leipzig, DE"));
        check(Location::parts(some(""), None, None), None);
        check(Location::line(some("Remote (EU)")), Some("Remote (EU)"));
        check(Location::parts(some("null"), some("N/A"), some("DE")), Some("DE"));
        check(Location::line(some(" Undefined ")), None);
        check(Location::line(some("Nullarbor")), Some("Nullarbor"));
    }

    #[test]
    fn the_line_names_each_place_once_and_not_all_of_many() {
        let mut listing = Listing::default();
        let names = ["Berlin", "Berlin", "Bonn", "Köln", "Ulm", "Jena", "Gera"];
        set(&mut listing, &names.map(|name| Location::line(some(name))));
        assert_eq!(listing.location.as_deref(), Some("Berlin; Bonn; Köln; Ulm; Jena"));
        assert_eq!(listing.locations, ["Berlin", "Bonn", "Köln", "Ulm", "Jena", "Gera"]);
        set(&mut listing, &[Location::line(some("Berlin"))]);
        assert_eq!(listing.locations, [""; 0]);
    }

    #[test]
    fn remote_follows_from_the_workplace_unless_it_is_said() {
        let mut listing = Listing::default();
        set_workplace(&mut listing, Some("hybrid"), Some(true));
        assert_eq!((listing.workplace.as_deref(), listing.is_remote), (Some("hybrid"), Some(true)));
        set_workplace(&mut listing, Some("onsite"), None);
        assert_eq!(listing.is_remote, Some(false));
        set_workplace(&mut listing, None, Some(true));
        assert_eq!(listing.workplace.as_deref(), Some("remote"));
    }
}
