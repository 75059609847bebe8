//! Rows of a list that are no postings: a posting has one for each of its places.

use std::collections::HashMap;

use crate::{listing::Listing, text};

/// Places of one posting that are kept.
const MAX_PLACES: usize = 40;

/// Makes one listing of the rows with one identifier and title. A title alone joins nothing.
pub(crate) fn join(listings: &mut Vec<Listing>) {
    let mut first: HashMap<(String, String), usize> = HashMap::new();
    let mut joined: Vec<Listing> = Vec::new();
    for row in listings.drain(..) {
        let key = (row.external_id.clone(), row.title.clone());
        match first.get(&key).filter(|_| !row.external_id.is_empty()) {
            Some(&idx) => add(&mut joined[idx], row),
            None => {
                first.insert(key, joined.len());
                joined.push(row);
            }
        }
    }
    *listings = joined;
}

fn add(listing: &mut Listing, row: Listing) {
    if listing.locations.is_empty() {
        listing.locations.extend(listing.location.clone());
    }
    let theirs =
        if row.locations.is_empty() { row.location.into_iter().collect() } else { row.locations };
    for place in theirs {
        if !listing.locations.contains(&place) && listing.locations.len() < MAX_PLACES {
            listing.locations.push(place);
        }
    }
    let line = listing.locations.join("; ");
    listing.location =
        Some(text::cut(&line, text::MAX_LINE).to_owned()).filter(|line| !line.is_empty());
    if listing.locations.len() < 2 {
        listing.locations.clear();
    }
    if listing.is_remote != row.is_remote {
        listing.is_remote = None;
    }
    if listing.workplace != row.workplace {
        listing.workplace = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_identifier_are_one_posting_with_each_place_once() {
        let row = |id: &str, place: &str, remote| Listing {
            external_id: id.into(),
            title: "Cook".into(),
            location: Some(place.into()),
            is_remote: remote,
            ..Listing::default()
        };
        let mut rows = vec![
            row("1", "Rome", Some(false)),
            row("2", "Rome", None),
            row("1", "Bari", None),
            row("1", "Rome", Some(false)),
            row("", "Pisa", None),
            row("", "Pisa", None),
        ];
        join(&mut rows);
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0].location.as_deref(), Some("Rome; Bari"));
        assert_eq!((rows[0].locations.len(), rows[0].is_remote), (2, None));
        assert_eq!((rows[1].location.as_deref(), rows[1].locations.len()), (Some("Rome"), 0));
    }
}
