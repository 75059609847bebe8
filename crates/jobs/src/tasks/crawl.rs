//! What boards answer in one scrape: from what is kept, or crawled once for all who wait for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::Error;
use rhubarb_core::clock;
use rhubarb_queue::{Client, OwnedLock};
use rhubarb_scrape::{
    Conclusion, Ending, Listing, Query, Refines, Trouble,
    boards::{Answering, Asked, Boards as Answers, Crawled},
    run::{self, SourceReport},
};
use tokio::time::{Instant, sleep};

use super::{
    board::{Content, Head, new_run},
    boards::Boards,
    exclusive,
};
use crate::SourceMemory;

/// How long a crawl's lock outlives its holder. Another one crawls after that.
const TTL: Duration = Duration::from_secs(15);
/// How often those who wait for another's crawl look whether it has ended, at the least.
const LOOK: Duration = Duration::from_millis(100);
/// A board that was too large is asked for each keyword for so long, in seconds.
const LARGE_FOR: i64 = 24 * 3_600;
/// What was kept so far in the future is of a clock that is wrong.
const AHEAD: i64 = 300;

/// From when on a board's answer serves a scrape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// When the scrape began: what was read after that always serves.
    pub(super) began: Timestamp,
    /// For how long what was read well before that serves; nothing where the scrape is forced.
    pub(super) fresh_for: Option<Duration>,
    /// Whether what is kept serves however old it is, and nothing is crawled.
    pub(super) only_kept: bool,
}

/// What was kept of boards at one time, by their ids.
pub(super) type Heads = Arc<HashMap<String, Arc<Head>>>;

/// What all scrapes share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) boards: Boards,
    /// The id of each source's board, by its name.
    pub(super) ids: Arc<BTreeMap<String, String>>,
    /// What tells the way in which keywords are looked for from others.
    pub(super) way: u64,
}

/// What the boards answer to one scrape.
#[derive(Debug)]
pub(super) struct OneScrape {
    shared: Shared,
    client: Client,
    /// The task, who holds the locks of its crawls.
    owner: String,
    need: Need,
    /// What the keyword's listings are, and which of them are of each source.
    earlier: Arc<Vec<Listing>>,
    by_source: HashMap<String, Vec<usize>>,
    memory: SourceMemory,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was kept as the scrape began.
    heads: Heads,
    /// The mark of each source's content that was looked through.
    marks: BTreeMap<String, u64>,
    /// When each source that answered was crawled, milliseconds since 1970.
    crawled: BTreeMap<String, i64>,
}

/// What there is of a board.
enum Got {
    /// What is kept.
    Kept(Arc<Head>),
    /// What was crawled just now, and kept or not.
    Read(Arc<Head>, Vec<Listing>),
    /// Nothing: it is asked for the keyword.
    Nothing,
}

impl Shared {
    /// Returns what is kept of these sources.
    pub(super) async fn heads<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Heads, Error> {
        let ids: Vec<String> = names.filter_map(|name| self.ids.get(name).cloned()).collect();
        let heads = self.boards.heads(&ids).await?;
        let kept = ids.into_iter().zip(heads);
        Ok(Arc::new(kept.filter_map(|(id, head)| Some((id, Arc::new(head?)))).collect()))
    }

    /// Returns what is kept of a source.
    pub(super) fn head<'h>(&self, heads: &'h Heads, source: &str) -> Option<&'h Head> {
        heads.get(self.ids.get(source)?).map(|head| &**head)
    }
}

impl OneScrape {
    /// Returns what the boards will answer for a keyword that has these listings.
    pub(super) fn new(
        shared: &Shared,
        (client, owner): (&Client, &str),
        need: Need,
        earlier: Arc<Vec<Listing>>,
        memory: SourceMemory,
    ) -> Self {
        let mut by_source: HashMap<String, Vec<usize>> = HashMap::new();
        for (idx, listing) in earlier.iter().enumerate() {
            by_source.entry(listing.source.clone()).or_default().push(idx);
        }
        let (shared, client, owner) = (shared.clone(), client.clone(), owner.to_owned());
        let state = Mutex::default();
        Self { shared, client, owner, need, earlier, by_source, memory, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers from what was kept at one time.
    pub(super) fn look_at(&self, heads: &Heads) {
        self.state().heads = Arc::clone(heads);
    }

    /// Tells whether anything is kept of a source, and when it was checked.
    pub(super) fn checked(&self, source: &str) -> Option<Timestamp> {
        let heads = Arc::clone(&self.state().heads);
        self.shared.head(&heads, source).map(|head| head.checked)
    }

    /// Returns what is remembered, as the answers are to be held against it: what a crawl says
    /// again that was heard before is no further run.
    pub(super) fn held_against(&self, memory: &SourceMemory) -> SourceMemory {
        let mut memory = memory.clone();
        for (source, crawled) in &self.state().crawled {
            let Some(last) = memory.get_mut(source).filter(|last| last.crawled == *crawled) else {
                continue;
            };
            last.doubts = last.doubts.saturating_sub(1);
            last.missing = last.missing.saturating_sub(1);
        }
        memory
    }

    /// Remembers which crawl was heard of each source, and of which content its listings are made
    /// where they are all that it has.
    pub(super) fn note(&self, memory: &mut SourceMemory, reports: &[SourceReport]) {
        let state = self.state();
        for report in reports {
            let Some(remembered) = memory.get_mut(&report.name) else { continue };
            remembered.crawled = state.crawled.get(&report.name).copied().unwrap_or_default();
            if report.ending.is_silent() {
                continue;
            }
            let is_whole = !report.cut && remembered.doubts == 0;
            let mark = state.marks.get(&report.name).filter(|_| is_whole);
            remembered.board = mark.copied().unwrap_or_default();
            remembered.matched = report.matched as u64;
        }
    }

    /// Crawls a board, unless what is kept serves; its answer is not of account.
    pub(super) async fn refresh(&self, asked: Asked<'_>) {
        if let Some(id) = self.shared.ids.get(asked.source.name()) {
            self.board(id, asked, true).await;
        }
    }

    async fn answered(&self, asked: Asked<'_>) -> Option<Conclusion> {
        if !self.shared.boards.are_kept() {
            return None;
        }
        let id = self.shared.ids.get(asked.source.name())?;
        for trusted in [true, false] {
            let (head, listings) = match self.board(id, asked, trusted).await {
                Got::Nothing => return None,
                Got::Read(head, listings) => (head, Some(listings)),
                Got::Kept(head) => (head, None),
            };
            let failed = head.outcome.clone()?;
            let crawled = head.checked.as_millisecond();
            self.state().crawled.insert(asked.source.name().to_owned(), crawled);
            let Some(content) = head.seen() else { return Some(failed) };
            let seen = Seen { one: self, asked, id, checked: head.checked, content };
            if let Some(outcome) = seen.outcome(listings).await {
                return Some(outcome);
            }
            // A part is lost or is another's: it is crawled anew.
        }
        None
    }

    fn serves(&self, head: &Head) -> bool {
        let age = clock::now().as_second() - head.checked.as_second();
        if head.outcome.is_none() {
            return (-AHEAD..LARGE_FOR).contains(&age);
        }
        if self.need.only_kept || head.checked >= self.need.began {
            return age > -AHEAD;
        }
        let fresh = self
            .need
            .fresh_for
            .is_some_and(|fresh_for| u64::try_from(age).is_ok_and(|age| age < fresh_for.as_secs()));
        fresh && head.seen().is_some()
    }

    /// Returns a board as it is kept, if that serves, or crawls it: one at a time of all who need
    /// it. The others wait as long as the source may take.
    async fn board(&self, id: &str, asked: Asked<'_>, trusted: bool) -> Got {
        let kept = self.state().heads.get(id).cloned().filter(|_| trusted);
        match kept {
            Some(head) if self.serves(&head) => return Got::Kept(head),
            None if self.need.only_kept => return Got::Kept(Arc::new(not_read())),
            _ => {}
        }
        let lock = OwnedLock::new(&self.client, &format!("board:{id}"), &self.owner, TTL);
        let until = Instant::now() + asked.limit;
        loop {
            let held = lock.acquire().await;
            let kept = self.head(id).await.filter(|_| trusted);
            if let Some(head) = kept.as_ref().filter(|head| self.serves(head)) {
                if let Ok(true) = held {
                    release(&lock).await;
                }
                return Got::Kept(Arc::new(head.clone()));
            }
            // Where the lock cannot be asked for, it is crawled without.
            if !matches!(held, Ok(false)) {
                let done = tokio::select! {
                    done = self.crawl(id, asked, kept) => Some(done),
                    () = exclusive::lost(&lock), if held.is_ok() => None,
                };
                if let Some(done) = done {
                    release(&lock).await;
                    return done;
                }
            } else if Instant::now() >= until {
                return Got::Kept(Arc::new(kept.unwrap_or_else(not_read)));
            }
            sleep(LOOK.mul_f64(1.0 + fastrand::f64())).await;
        }
    }

    async fn head(&self, id: &str) -> Option<Head> {
        self.shared.boards.head(id).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "what is kept of a board was not read");
            None
        })
    }

    /// Reads a board and keeps what was read.
    async fn crawl(&self, id: &str, asked: Asked<'_>, kept: Option<Head>) -> Got {
        let kept = kept.and_then(|head| head.content);
        let known = kept.as_ref().and_then(|content| content.known.clone());
        let now = clock::now();
        let crawled = run::crawl(asked.source, asked.fetcher, now, asked.limit, known).await;
        let checked = clock::now();
        match (crawled, kept) {
            (Crawled::TooLarge, _) => {
                self.keep(id, &Head::new(checked, None, None), Some(Vec::new())).await;
                Got::Nothing
            }
            (Crawled::Unchanged(known), Some(content)) => {
                let content = Content { known: Some(known), ..content };
                self.renew(id, checked, content).await
            }
            // What is known came from what is kept.
            (Crawled::Unchanged(_), None) => Got::Nothing,
            (Crawled::Read { outcome, digest, .. }, Some(content))
                if content.digest == digest && outcome.ending == content.outcome.ending =>
            {
                self.renew(id, checked, content).await
            }
            (Crawled::Read { outcome, .. }, kept) if outcome.ending.is_silent() => {
                let head = Head::new(checked, Some(outcome), kept);
                self.keep(id, &head, None).await;
                Got::Kept(Arc::new(head))
            }
            (Crawled::Read { outcome, digest, known }, _) => {
                self.keep_read(id, checked, outcome, (digest, known)).await
            }
        }
    }

    /// Keeps that a board has what it had.
    async fn renew(&self, id: &str, checked: Timestamp, content: Content) -> Got {
        let head = Head::new(checked, Some(content.outcome.clone()), Some(content));
        self.keep(id, &head, None).await;
        Got::Kept(Arc::new(head))
    }

    async fn keep_read(
        &self,
        id: &str,
        checked: Timestamp,
        mut outcome: Conclusion,
        seen: (String, Option<rhubarb_scrape::fetch::Known>),
    ) -> Got {
        let listings = std::mem::take(&mut outcome.listings);
        let told = outcome.clone();
        let pack = move || (Content::pack(new_run(), seen, outcome, &listings), listings);
        let Ok((packed, listings)) = tokio::task::spawn_blocking(pack).await else {
            return Got::Nothing;
        };
        let Some((content, parts)) = packed else { return Got::Nothing };
        let head = Head::new(checked, Some(told), Some(content));
        self.keep(id, &head, Some(parts)).await;
        Got::Read(Arc::new(head), listings)
    }

    async fn keep(&self, id: &str, head: &Head, parts: Option<Vec<Vec<u8>>>) {
        match self.shared.boards.put(id, head, parts).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!("a board is not kept: there is no room for it"),
            Err(error) => tracing::debug!(%error, "a board was not kept"),
        }
    }
}

/// Returns the head of a board that was not read.
fn not_read() -> Head {
    let reason = "it is not read yet: another worker reads it, or this run had no time for it";
    let outcome = Conclusion::failed(Trouble::failed(reason));
    Head::new(Timestamp::UNIX_EPOCH, Some(outcome), None)
}

async fn release(lock: &OwnedLock) {
    if let Err(error) = lock.release().await {
        tracing::debug!(%error, "a crawl's lock ends by itself");
    }
}

/// The content of a board, to be looked through.
struct Seen<'a> {
    one: &'a OneScrape,
    asked: Asked<'a>,
    id: &'a str,
    checked: Timestamp,
    content: &'a Content,
}

impl Seen<'_> {
    /// Returns what it has for the query; nothing where a part cannot be read.
    async fn outcome(&self, listings: Option<Vec<Listing>>) -> Option<Conclusion> {
        let source = self.asked.source.name();
        let mark = self.content.mark(self.one.shared.way);
        let same = match &listings {
            None => self.same(mark),
            Some(_) => None,
        };
        if let Some(listings) = same {
            let mut state = self.one.state();
            state.marks.insert(source.to_owned(), mark);
            drop(state);
            return Some(self.told(self.content.ending_again(), listings));
        }
        let found = match listings {
            Some(listings) => self.matching(listings).await?,
            None => self.read().await?,
        };
        self.one.state().marks.insert(source.to_owned(), mark);
        Some(self.told(self.content.outcome.ending, found))
    }

    /// Returns the keyword's own listings, where they were made of this content.
    fn same(&self, mark: u64) -> Option<Vec<Listing>> {
        let source = self.asked.source;
        let last = self.one.memory.get(source.name())?;
        let own = self.one.by_source.get(source.name()).map(Vec::as_slice).unwrap_or_default();
        let is_same = last.board == mark && last.matched == own.len() as u64;
        let is_plain = source.refines(self.asked.query) == Refines::None
            || self.content.outcome.ending == Ending::Found;
        (is_same && is_plain)
            .then(|| own.iter().map(|idx| self.one.earlier[*idx].clone()).collect())
    }

    /// Returns the outcome with these listings, which were seen when the board was last checked.
    fn told(&self, ending: Ending, mut listings: Vec<Listing>) -> Conclusion {
        let mut outcome = Conclusion { ending, ..self.content.outcome.clone() };
        let (now, seen) = (self.asked.query.now, clock::iso(self.checked));
        listings.retain_mut(|listing| {
            listing.scraped_at.clone_from(&seen);
            let expired = listing.has_expired(now);
            if expired {
                outcome.gone.extend([listing.external_id.clone(), listing.url.clone()]);
            }
            !expired
        });
        outcome.others = self.content.total.saturating_sub(listings.len());
        outcome.listings = listings;
        outcome
    }

    /// Reads the parts that have listings which match.
    async fn read(&self) -> Option<Vec<Listing>> {
        let (blind, content) = (self.is_blind(), self.content);
        // Titles and tags do not tell what descriptions have.
        let wanted: Vec<usize> = if self.asked.query.match_description {
            (0..content.total).collect()
        } else {
            let titles = self.parts(&[1]).await?.pop()??;
            let (content, query) = (content.clone(), self.asked.query.clone());
            apart(move || matching(&content.titles(&titles)?, &query)).await?
        };
        let mut numbers: Vec<usize> = wanted.iter().map(|idx| Content::part_of(*idx)).collect();
        numbers.dedup();
        let mut found = Vec::new();
        // A few at a time: a board may be large.
        for numbers in numbers.chunks(8) {
            let parts = self.parts(numbers).await?;
            let parts: Option<Vec<Vec<u8>>> = parts.into_iter().collect();
            let (parts, numbers) = (parts?, numbers.to_vec());
            let (content, query) = (content.clone(), self.asked.query.clone());
            let read = move || {
                let mut found = Vec::new();
                for (number, part) in numbers.iter().zip(parts) {
                    let listings = content.listings(*number, &part)?.into_iter();
                    found.extend(listings.filter(|listing| blind || may_match(&query, listing)));
                }
                Some(found)
            };
            found.extend(apart(read).await?);
        }
        Some(found)
    }

    /// Tells whether a listing's own page is to tell whether it matches.
    fn is_blind(&self) -> bool {
        self.asked.source.refines(self.asked.query) == Refines::All
    }

    /// Returns those that match.
    async fn matching(&self, listings: Vec<Listing>) -> Option<Vec<Listing>> {
        if self.is_blind() {
            return Some(listings);
        }
        let query = self.asked.query.clone();
        let keep = move || listings.into_iter().filter(|one| may_match(&query, one)).collect();
        apart(move || Some(keep())).await
    }

    async fn parts(&self, numbers: &[usize]) -> Option<Vec<Option<Vec<u8>>>> {
        let read = self.one.shared.boards.parts(self.id, numbers).await;
        read.map_err(|error| tracing::debug!(%error, "a board's content was not read")).ok()
    }
}

fn matching(titles: &[Listing], query: &Query) -> Option<Vec<usize>> {
    let matching = titles.iter().enumerate().filter(|(_, title)| may_match(query, title));
    Some(matching.map(|(idx, _)| idx).collect())
}

/// Tells whether a listing matches; of one without a title its own page is to tell.
fn may_match(query: &Query, listing: &Listing) -> bool {
    listing.title.is_empty() || query.matches(listing)
}

/// Runs what takes a while off the runtime's threads.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

impl Answers for OneScrape {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(self.answered(asked))
    }
}
