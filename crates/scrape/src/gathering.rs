//! What a source gives, page after page, and what it means when the source has ended.
//!
//! A source only adds: pages, troubles, what it left out. Whatever ends it (its own end, a time
//! limit, a panic), what came until then is here, and [`Gathering::conclude`] says how it ended.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    budget::{Allowance, SourceEnd},
    coverage::Coverage,
    listing::Listing,
    parsed::Parsed,
    record, rows,
    source_status::Ending,
    steps::{self, Step},
    trouble::Trouble,
};

/// What of a source matches may take this much memory: twice as much as the listings of a keyword.
const MAX_MATCHES: usize = 16 << 20;

/// Reasons kept of what was lost.
const MAX_NOTES: usize = 20;

/// Postings that are said to be gone, by address and by identifier.
const MAX_GONE: usize = 10_000;

/// What a source's answers do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceLimits {
    /// Whether an empty answer is what any name gets, an invented one too (SmartRecruiters,
    /// Breezy): then it closes nothing.
    pub zero_proves_nothing: bool,
    /// The most postings that the server shows of a board (Workday 2,000, Oracle 10,000,
    /// SuccessFactors 1,024): of more nothing is known.
    pub server_cap: Option<usize>,
}

/// How a source ended, and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// How it ended.
    pub ending: Ending,
    /// What may match.
    pub listings: Vec<Listing>,
    /// How many others it has, which do not match.
    pub others: usize,
    /// Why it did not end well, as one sentence for the status.
    pub reason: Option<String>,
    /// Whether asking again soon changes nothing.
    pub permanent: bool,
    /// Whether there may be more than what came, so that nothing is known of the rest.
    pub cut: bool,
    /// The addresses and identifiers of postings that are gone or have expired.
    pub gone: Vec<String>,
    /// What its records looked like.
    pub look: Coverage,
    /// The addresses of its lists, where postings have pages of their own: what leads to one of
    /// these leads to no posting.
    #[serde(default)]
    pub lists: Vec<String>,
}

/// What a source has given up to now; with its end, what still reads for it ends.
#[derive(Debug)]
pub struct Gathering {
    end: SourceEnd,
    now: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    /// Pages that were read and believed.
    pages: usize,
    /// Why a page that is one posting's own is gone: the first of them.
    gone_page: Option<String>,
    parsed: Parsed,
    troubles: Vec<Trouble>,
    /// What was left out, and why.
    notes: Vec<String>,
    cut: bool,
    /// Whether there was no room for all.
    overflown: bool,
    /// The addresses of the source's lists.
    lists: Vec<String>,
    /// Whether postings without a title are kept: their own pages, read later, have it.
    keeps_nameless: bool,
}

impl Gathering {
    /// Returns a gathering of nothing; postings that expired before `now` are left out.
    pub fn new(now: Timestamp) -> Self {
        Self { end: SourceEnd::default(), now, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a list that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is left to the source for reading.
    pub(crate) fn allowance(&self) -> Allowance {
        self.end.allowance()
    }

    /// Goes on from what a source's lists gave: these of its listings, from these lists.
    pub(crate) fn resume(&self, listings: Vec<Listing>, lists: Vec<String>) {
        let mut state = self.state();
        state.pages = 1;
        state.parsed.listings = listings;
        state.lists = lists;
    }

    /// Takes the listings out, to be put in again as their own pages have them.
    pub(crate) fn take(&self) -> Vec<Listing> {
        mem::take(&mut self.state().parsed.listings)
    }

    /// Notes the addresses of the source's lists.
    pub(crate) fn note_lists(&self, lists: Vec<String>) {
        self.state().lists = lists;
    }

    /// Returns the addresses of the source's lists.
    pub(crate) fn lists(&self) -> Vec<String> {
        self.state().lists.clone()
    }

    /// Keeps postings without a title: their own pages, read later, have it.
    pub(crate) fn keep_nameless(&self) {
        self.state().keeps_nameless = true;
    }

    /// Tells whether there was no room for all that the source has.
    pub(crate) fn is_overflown(&self) -> bool {
        self.state().overflown
    }

    /// Adds a page and returns the next one's address.
    pub(crate) fn add(&self, page: Parsed) -> Option<Url> {
        steps::note(|| Step::Read {
            records: page.listings.len() + page.others,
            skipped: page.n_skipped,
            first: page.skipped.first().cloned(),
        });
        let mut state = self.state();
        if let Some(trouble) = page.doubt {
            state.parsed.skip_all(page.skipped, page.n_skipped);
            state.trouble(trouble);
            return None;
        }
        state.pages += 1;
        for reason in page.left_out {
            state.leave_out(reason);
        }
        let all = &mut state.parsed;
        all.claimed = all.claimed.or(page.claimed);
        all.look.add(&page.look);
        all.others += page.others;
        all.repairs += page.repairs;
        all.no_board |= page.no_board;
        all.gone.extend(page.gone);
        all.skip_all(page.skipped, page.n_skipped);
        if state.keep(page.listings, self.now) { page.next } else { None }
    }

    /// Makes one listing of the rows of one posting in several places.
    pub(crate) fn join_rows(&self) {
        rows::join(&mut self.state().parsed.listings);
    }

    /// Adds why a page was not read.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble(trouble);
    }

    /// Says that postings were left out, and why.
    pub(crate) fn leave_out(&self, reason: String) {
        self.state().leave_out(reason);
    }

    /// Says that something of the postings was lost, but no posting.
    pub(crate) fn note(&self, reason: String) {
        self.state().note(reason);
    }

    /// Says that the posting at this place is gone.
    pub(crate) fn close(&self, idx: usize) {
        let mut state = self.state();
        let Some(listing) = state.parsed.listings.get_mut(idx) else { return };
        let mut closed = mem::take(listing);
        // It keeps its place until the end, so that those behind it keep theirs.
        listing.url.clone_from(&closed.url);
        closed.title.clear();
        state.parsed.close(&closed);
    }

    /// Says that a page is gone which is one posting's own.
    pub(crate) fn page_gone(&self, page: &Url, reason: String) {
        let mut state = self.state();
        state.parsed.gone.push(page.as_str().to_owned());
        state.gone_page.get_or_insert(reason);
    }

    /// Returns the listing at this place.
    pub(crate) fn listing(&self, idx: usize) -> Option<Listing> {
        self.state().parsed.listings.get(idx).cloned()
    }

    /// Puts a listing in the place of another.
    pub(crate) fn replace(&self, idx: usize, listing: Listing) {
        if let Some(place) = self.state().parsed.listings.get_mut(idx) {
            *place = listing;
        }
    }

    /// Says how the source of this name has ended, and returns all that it gave.
    pub fn conclude(&self, source: &str, limits: SourceLimits) -> Conclusion {
        let mut state = mem::take(&mut *self.state());
        for reason in state.parsed.skipped.iter().take(20) {
            tracing::debug!(source, reason, "record skipped");
        }
        if state.parsed.repairs > 0 {
            let repairs = state.parsed.repairs;
            tracing::debug!(source, repairs, "its JSON was repaired");
        }
        state.drop_nameless();
        match state.judge(limits) {
            Ok(()) => state.outcome(limits),
            Err(trouble) => Conclusion {
                look: state.parsed.look,
                gone: state.parsed.gone,
                ..Conclusion::failed(trouble)
            },
        }
    }
}

impl Conclusion {
    /// Takes the listings with what their own pages have, and what was lost on the way.
    pub(crate) fn refine(&mut self, refined: Self) {
        self.listings = refined.listings;
        self.gone.extend(refined.gone);
        self.cut |= refined.cut;
        if self.ending == Ending::Found && refined.ending == Ending::Partial {
            (self.ending, self.reason) = (refined.ending, refined.reason);
        }
    }

    /// Returns the end of a source that gave nothing.
    pub fn failed(Trouble { ending, reason, permanent }: Trouble) -> Self {
        Self {
            ending,
            listings: Vec::new(),
            others: 0,
            reason: Some(reason),
            permanent,
            cut: true,
            gone: Vec::new(),
            look: Coverage::default(),
            lists: Vec::new(),
        }
    }
}

impl State {
    fn trouble(&mut self, trouble: Trouble) {
        if self.troubles.len() < MAX_NOTES {
            self.troubles.push(trouble);
        }
    }

    fn note(&mut self, reason: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&reason) {
            self.notes.push(reason);
        }
    }

    fn leave_out(&mut self, reason: String) {
        self.cut = true;
        self.note(reason);
    }

    /// Keeps what has not expired, as far as there is room; tells whether there was.
    fn keep(&mut self, listings: Vec<Listing>, now: Timestamp) -> bool {
        for listing in listings {
            if listing.has_expired(now) {
                self.parsed.close(&listing);
                continue;
            }
            self.bytes += record::size(&listing);
            if self.bytes > MAX_MATCHES {
                self.overflown = true;
                let mib = MAX_MATCHES >> 20;
                self.leave_out(format!(
                    "its listings that match take more than {mib} MiB, and the rest is left out; \
                     a narrower keyword has fewer"
                ));
                return false;
            }
            self.parsed.listings.push(listing);
        }
        true
    }

    /// Takes away what was to have its title from a page of its own, which was not read or is gone.
    fn drop_nameless(&mut self) {
        if self.keeps_nameless {
            return;
        }
        let Parsed { listings, gone, .. } = &mut self.parsed;
        let mut lost = 0;
        listings.retain(|listing| {
            let is_nameless = listing.title.is_empty();
            lost += usize::from(is_nameless && !gone.contains(&listing.url));
            !is_nameless
        });
        if lost > 0 {
            self.leave_out(format!("{lost} postings have no title: their pages were not read"));
        }
    }

    /// Tells whether the pages together mean something.
    fn judge(&self, limits: SourceLimits) -> Result<(), Trouble> {
        let Parsed { listings, others, skipped, n_skipped, gone, no_board, .. } = &self.parsed;
        let found = listings.len() + others;
        if self.pages == 0 {
            return Err(self.worst());
        }
        if found > 0 || !gone.is_empty() || !self.troubles.is_empty() || self.cut {
            return Ok(());
        }
        if let Some(first) = skipped.first() {
            return Err(Trouble::ends(
                Ending::Suspicious,
                format!("none of {n_skipped} records could be read; first: {first}"),
            ));
        }
        if *no_board {
            let reason = "the answer holds no posting at all, as for a board that does not exist";
            return Err(Trouble::ends(Ending::NotFound, reason));
        }
        if limits.zero_proves_nothing {
            let reason = "the answer holds no posting, as for any name, an invented one too; \
                          check that the board's name is right";
            return Err(Trouble::ends(Ending::Suspicious, reason));
        }
        Ok(())
    }

    /// Returns the trouble that says most of why nothing was read.
    fn worst(&self) -> Trouble {
        let rank = |trouble: &&Trouble| match trouble.ending {
            Ending::Blocked => 0,
            Ending::Throttled => 1,
            Ending::Suspicious => 3,
            Ending::NotFound => 4,
            Ending::Gone => 5,
            _ => 2,
        };
        let mut worst = match (self.troubles.iter().min_by_key(rank), &self.gone_page) {
            (Some(trouble), _) => trouble.clone(),
            (None, Some(reason)) => Trouble::ends(Ending::Gone, reason),
            (None, None) => Trouble::failed("nothing was read"),
        };
        // One that passes is worth asking again, whatever the others say.
        worst.permanent = self.troubles.iter().all(|trouble| trouble.permanent);
        worst
    }

    fn outcome(mut self, limits: SourceLimits) -> Conclusion {
        self.compare_with_claims(limits);
        let cut = self.cut || !self.troubles.is_empty();
        let reason = self.reason();
        let Self { parsed, lists, .. } = self;
        let Parsed { listings, others, mut gone, mut look, n_skipped, .. } = parsed;
        gone.truncate(MAX_GONE);
        look.skipped = n_skipped as u64;
        let found = listings.len() + others;
        let ending = match (&reason, found) {
            (Some(_), _) => Ending::Partial,
            (None, 0) => Ending::Nothing,
            (None, _) => Ending::Found,
        };
        let permanent = false;
        Conclusion { ending, listings, others, reason, permanent, cut, gone, look, lists }
    }

    /// Holds what came against what the source says that it has, and what its server shows at most.
    fn compare_with_claims(&mut self, limits: SourceLimits) {
        let Parsed { listings, others, n_skipped, gone, claimed, .. } = &self.parsed;
        // Each posting that is gone stands there by its address and its identifier.
        let came = listings.len() + others + n_skipped + gone.len();
        if let Some(claimed) = claimed.filter(|claimed| *claimed > came) {
            self.leave_out(format!("it says that it has {claimed} postings, and gave {came}"));
        }
        let reached = limits.server_cap.filter(|cap| came >= *cap);
        if let Some(cap) = reached {
            self.leave_out(format!(
                "its server shows {cap} postings at most, and there may be more"
            ));
        }
    }

    /// Returns why it is partial, as one sentence.
    fn reason(&self) -> Option<String> {
        let Parsed { skipped, n_skipped, .. } = &self.parsed;
        let skipped = skipped
            .first()
            .map(|first| format!("{n_skipped} records could not be read; first: {first}"));
        let troubles = self.troubles.iter().map(|trouble| trouble.reason.clone());
        let all: Vec<String> = troubles.chain(self.notes.iter().cloned()).chain(skipped).collect();
        match &all[..] {
            [] => None,
            [only] => Some(format!("not all was read: {only}")),
            [first, rest @ ..] => {
                Some(format!("not all was read: {first} (and {} more reasons)", rest.len()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
