//! How what was read of a board is kept. No I/O.
//!
//! A head says how the last crawl ended and what there is; the parts have the content: the first
//! the titles and tags, by which a keyword is looked for, the others the listings. Each part begins
//! with the name of the crawl that read it, so that none is taken for another's. What cannot be
//! read, or is of another format, is not there.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use rhubarb_scrape::{Conclusion, Ending, Listing, fetch::Known};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The format of heads and parts; another one is another version's.
const FORMAT: u32 = 1;
/// Of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Listings in one part.
const CHUNK: usize = 32;
/// A part unpacks to this at the most: a listing takes tens of kilobytes.
const MAX_PART: usize = 32 << 20;
/// A head is no longer than this.
const MAX_HEAD: usize = 4 << 20;
/// zstd's fastest level but for the negative ones.
const LEVEL: i32 = 1;
/// Postings that are said to be gone, by address and by identifier.
const MAX_GONE: usize = 2_000;
/// How many bytes the name of a crawl has.
const RUN: usize = 16;

/// What is kept of a board, but for its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    format: u32,
    /// The version that read it: another one may read more of the same content.
    version: String,
    /// When the last crawl ended.
    pub(super) checked: Timestamp,
    /// How the last crawl ended, without its listings; nothing where it was too large.
    pub(super) outcome: Option<Conclusion>,
    /// What the last crawl that was believed read.
    pub(super) content: Option<Content>,
}

/// Where the content of a board stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Content {
    /// The name of the crawl that read it.
    pub(super) run: String,
    /// The hash of all that it is made of.
    pub(super) digest: String,
    /// What is known of its page.
    pub(super) known: Option<Known>,
    /// How many listings there are.
    pub(super) total: usize,
    /// How many bytes each part unpacks to.
    pub(super) sizes: Vec<usize>,
    /// How the crawl ended that read it.
    pub(super) outcome: Conclusion,
}

/// By what a keyword is looked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Titles(Vec<(String, Vec<String>)>);

impl Head {
    /// Returns a head of a crawl that ended now.
    pub(super) fn new(
        checked: Timestamp,
        outcome: Option<Conclusion>,
        content: Option<Content>,
    ) -> Self {
        Self { format: FORMAT, version: VERSION.to_owned(), checked, outcome, content }
    }

    /// Returns the bytes that are kept.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|bytes| bytes.len() <= MAX_HEAD)
    }

    /// Reads what was kept.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_HEAD {
            return None;
        }
        let head: Self = serde_json::from_slice(bytes).ok()?;
        (head.format == FORMAT && head.version == VERSION).then_some(head)
    }

    /// Returns the content, if the last crawl has seen it.
    pub(super) fn seen(&self) -> Option<&Content> {
        let outcome = self.outcome.as_ref()?;
        self.content.as_ref().filter(|_| !outcome.ending.is_silent())
    }
}

impl Content {
    /// Returns the content of a crawl and its parts; `outcome` comes without the listings.
    pub(super) fn pack(
        run: String,
        (digest, known): (String, Option<Known>),
        mut outcome: Conclusion,
        listings: &[Listing],
    ) -> Option<(Self, Vec<Vec<u8>>)> {
        outcome.gone.truncate(MAX_GONE);
        let row = |listing: &Listing| (listing.title.clone(), listing.tags.clone());
        let titles = Titles(listings.iter().map(row).collect());
        let mut parts = vec![pack(&run, &titles)?];
        for chunk in listings.chunks(CHUNK) {
            parts.push(pack(&run, &chunk)?);
        }
        let (parts, sizes) = parts.into_iter().unzip();
        let total = listings.len();
        Some((Self { run, digest, known, total, sizes, outcome }, parts))
    }

    /// Returns in which part a listing is.
    pub(super) fn part_of(idx: usize) -> usize {
        2 + idx / CHUNK
    }

    /// Reads titles and tags, each as a listing without anything else.
    pub(super) fn titles(&self, bytes: &[u8]) -> Option<Vec<Listing>> {
        let Titles(rows) = self.unpack(1, bytes)?;
        let listing = |(title, tags)| Listing { title, tags, ..Listing::default() };
        (rows.len() == self.total).then(|| rows.into_iter().map(listing).collect())
    }

    /// Reads the listings of a part.
    pub(super) fn listings(&self, part: usize, bytes: &[u8]) -> Option<Vec<Listing>> {
        let before = part.checked_sub(2)? * CHUNK;
        let expected = self.total.saturating_sub(before).min(CHUNK);
        self.unpack(part, bytes).filter(|listings: &Vec<Listing>| listings.len() == expected)
    }

    fn unpack<T: DeserializeOwned>(&self, part: usize, bytes: &[u8]) -> Option<T> {
        let packed = bytes.strip_prefix(self.run.as_bytes())?;
        let size = *self.sizes.get(part.checked_sub(1)?)?;
        let bytes = zstd::bulk::decompress(packed, size.min(MAX_PART)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns what tells this content, looked through in this way, from all others.
    pub(super) fn mark(&self, way: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.run, way).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns how a keyword's scrape ends that finds what it found before.
    pub(super) fn ending_again(&self) -> Ending {
        match self.outcome.ending {
            Ending::Found => Ending::Unchanged,
            other => other,
        }
    }
}

/// Returns the name of a new crawl.
pub(super) fn new_run() -> String {
    format!("{:0RUN$x}", fastrand::u64(..))
}

fn pack<T: Serialize>(run: &str, value: &T) -> Option<(Vec<u8>, usize)> {
    let plain = serde_json::to_vec(value).ok().filter(|plain| plain.len() <= MAX_PART)?;
    let mut bytes = run.as_bytes().to_vec();
    bytes.extend(zstd::bulk::compress(&plain, LEVEL).ok()?);
    Some((bytes, plain.len()))
}

#[cfg(test)]
mod tests {
    use rhubarb_scrape::Coverage;

    use super::*;

    fn outcome(listings: Vec<Listing>) -> Conclusion {
        Conclusion {
            ending: Ending::Found,
            listings,
            others: 0,
            reason: None,
            permanent: false,
            cut: false,
            gone: Vec::new(),
            look: Coverage::default(),
            lists: Vec::new(),
        }
    }

    fn listing(n: usize) -> Listing {
        let title = format!("Baker {n}");
        Listing {
            title,
            tags: vec!["bread".into()],
            description: "x".repeat(500),
            ..Listing::default()
        }
    }

    fn packed(n: usize) -> (Content, Vec<Vec<u8>>) {
        let listings: Vec<Listing> = (0..n).map(listing).collect();
        Content::pack(new_run(), ("d".into(), None), outcome(Vec::new()), &listings).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let (content, parts) = packed(70);
        let titles = content.titles(&parts[0]).unwrap();
        assert_eq!((titles.len(), titles[69].title.as_str()), (70, "Baker 69"));
        let part = Content::part_of(69);
        assert_eq!(content.listings(part, &parts[part - 1]).unwrap()[5], listing(69));
        let head = Head::new(Timestamp::UNIX_EPOCH, None, Some(content));
        assert_eq!(Head::decode(&head.encode().unwrap()), Some(head));
    }

    #[test]
    fn another_format_a_cut_value_and_another_crawls_part_are_not_there() {
        let (content, parts) = packed(3);
        let head = Head::new(Timestamp::UNIX_EPOCH, None, Some(content.clone()));
        let newer = Head { format: FORMAT + 1, ..head.clone() }.encode().unwrap();
        assert_eq!(Head::decode(&newer), None);
        let others = Head { version: "0.0.1".into(), ..head.clone() }.encode().unwrap();
        assert_eq!(Head::decode(&others), None);
        let bytes = head.encode().unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..end]), None);
        }
        for end in 0..parts[0].len() {
            assert_eq!(content.titles(&parts[0][..end]), None);
        }
        let (_, others) = packed(3);
        assert_eq!((content.titles(&others[0]), content.listings(2, &others[1])), (None, None));
        assert_eq!((content.titles(&parts[1]), content.listings(9, &parts[1])), (None, None));
        let mut bomb = content;
        bomb.sizes = vec![usize::MAX; 2];
        assert!(bomb.titles(&parts[0]).is_some(), "the bound is ours, not the head's");
    }
}
