//! The invented job openings of the demo's board, made from small tables.

use jiff::{SignedDuration, Timestamp};

/// The keywords that every kind of source has openings for.
pub const KEYWORDS: [&str; 4] =
    ["software engineer", "data scientist", "devops engineer", "product manager"];

/// An invented opening, before a page gives it its source's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// Unique on the board.
    pub id: u64,
    /// Contains every word of one of [`KEYWORDS`].
    pub title: String,
    /// The employer.
    pub company: &'static str,
    /// Where the office is.
    pub office: Office,
    /// `onsite`, `hybrid` or `remote`.
    pub workplace: &'static str,
    /// The least and the greatest yearly salary, in the office's currency.
    pub salary: (u32, u32),
    /// Skills.
    pub tags: [&'static str; 2],
    /// One paragraph, as plain text.
    pub description: String,
    /// When it was published.
    pub posted: Timestamp,
}

/// A city, with what the sources want to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Office {
    /// The city.
    pub city: &'static str,
    /// The country.
    pub country: &'static str,
    /// Its ISO 3166 code.
    pub code: &'static str,
    /// Its ISO 4217 currency.
    pub currency: &'static str,
    /// Its yearly salaries, relative to the table's, in per cent.
    pay: u32,
}

impl Office {
    const fn new(
        city: &'static str,
        country: &'static str,
        code: &'static str,
        currency: &'static str,
        pay: u32,
    ) -> Self {
        Self { city, country, code, currency, pay }
    }
}

const OFFICES: [Office; 7] = [
    Office::new("Lisbon", "Portugal", "PT", "EUR", 80),
    Office::new("Berlin", "Germany", "DE", "EUR", 100),
    Office::new("Toronto", "Canada", "CA", "CAD", 140),
    Office::new("Austin", "United States", "US", "USD", 165),
    Office::new("Leeds", "United Kingdom", "GB", "GBP", 85),
    Office::new("Oslo", "Norway", "NO", "NOK", 1100),
    Office::new("Wellington", "New Zealand", "NZ", "NZD", 150),
];
const LEVELS: [&str; 5] = ["Senior", "Junior", "Staff", "Lead", "Principal"];
const WORKPLACES: [&str; 3] = ["remote", "hybrid", "onsite"];

/// What is particular to a keyword: the product areas and the skills.
const FIELDS: [([&str; 5], [[&str; 2]; 3]); 4] = [
    (
        ["Payments", "Search", "Maps", "Checkout", "Storage"],
        [["Rust", "Redis"], ["Python", "Django"], ["TypeScript", "React"]],
    ),
    (
        ["Forecasting", "Pricing", "Recommendations", "Fraud", "Experiments"],
        [["Python", "SQL"], ["Statistics", "R"], ["Spark", "Airflow"]],
    ),
    (
        ["Observability", "Edge", "Build Systems", "Databases", "Networks"],
        [["Kubernetes", "Terraform"], ["Linux", "Ansible"], ["AWS", "Prometheus"]],
    ),
    (
        ["Growth", "Onboarding", "Marketplace", "Billing", "Accessibility"],
        [["Roadmaps", "Analytics"], ["Research", "B2B"], ["Pricing", "SaaS"]],
    ),
];
const REASONS: [&str; 4] = [
    "You join a small team that ships every day and writes things down.",
    "You own one service from its first line to its dashboards.",
    "You work with people who like short meetings & long walks.",
    "You take over a system that pays for itself, and keep it boring.",
];

/// The openings that one kind of source has.
#[derive(Clone, Copy, Debug)]
pub struct Openings {
    /// Keeps identifiers apart.
    pub number: usize,
    /// Who hires; no employer is in two parts, so that no two parts post the same opening.
    pub employers: &'static [&'static str],
    /// How many openings.
    pub count: usize,
}

/// Greenhouse's board.
pub const GREENHOUSE: Openings = Openings { number: 1, employers: &["Kettle & Kernel"], count: 10 };
/// Lever's site.
pub const LEVER: Openings = Openings { number: 2, employers: &["Pocket Lighthouse"], count: 9 };
/// Ashby's board.
pub const ASHBY: Openings = Openings { number: 3, employers: &["Sundial Systems"], count: 8 };
/// RemoteOK.
pub const REMOTEOK: Openings = Openings {
    number: 4,
    employers: &["Ferrous Wheel", "Custard Cloud", "Moth & Flame"],
    count: 12,
};
/// We Work Remotely.
pub const WEWORKREMOTELY: Openings =
    Openings { number: 5, employers: &["Paper Submarine", "Quiet Orchestra"], count: 11 };
/// Arbeitnow.
pub const ARBEITNOW: Openings = Openings {
    number: 6,
    employers: &["Nordlicht Werke", "Kleine Brücke", "Tidewater"],
    count: 13,
};
/// The pages with JSON-LD.
pub const CAREERS: Openings = Openings { number: 7, employers: &["Second Breakfast"], count: 8 };
/// The HTML list with detail pages.
pub const CLASSIFIEDS: Openings =
    Openings { number: 8, employers: &["Umbrella Weather", "Glasshouse Robotics"], count: 14 };

/// Returns the part's openings, the same ones for the same `now`; they go through [`KEYWORDS`] in
/// turn.
pub fn openings(part: Openings, now: Timestamp) -> Vec<Opening> {
    (0..part.count).map(|idx| opening(part, idx, now)).collect()
}

fn opening(part: Openings, idx: usize, now: Timestamp) -> Opening {
    let field = idx % KEYWORDS.len();
    let round = idx / KEYWORDS.len();
    let spread = part.number * 5 + idx * 3 + round;
    let (areas, skills) = FIELDS[field];
    let office = OFFICES[spread % OFFICES.len()];
    let area = areas[(part.number + round) % areas.len()];
    let level = LEVELS[(spread + round) % LEVELS.len()];
    let low = (52 + (spread as u32 * 7) % 40) * 10 * office.pay;
    Opening {
        id: part.number as u64 * 10_000 + idx as u64 + 1,
        title: format!("{level} {}, {area}", capitalised(KEYWORDS[field])),
        company: part.employers[(idx + round) % part.employers.len()],
        office,
        workplace: WORKPLACES[spread % WORKPLACES.len()],
        salary: (low, low + low / 4),
        tags: skills[spread % skills.len()],
        description: REASONS[spread % REASONS.len()].to_owned(),
        posted: now - SignedDuration::from_hours(5 + (spread as i64 * 11) % 400),
    }
}

fn capitalised(words: &str) -> String {
    let word = |word: &str| match word {
        "devops" => "DevOps".to_owned(),
        _ => word[..1].to_uppercase() + &word[1..],
    };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl Opening {
    /// Returns a piece of a path that names the opening.
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for c in self.title.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                _ if slug.ends_with('-') => {}
                _ => slug.push('-'),
            }
        }
        format!("{slug}-{}", self.id)
    }

    /// Returns the office as one readable line.
    pub fn location(&self) -> String {
        format!("{}, {}", self.office.city, self.office.country)
    }

    /// Returns the publishing date, UTC.
    pub fn day(&self) -> String {
        self.posted.strftime("%Y-%m-%d").to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rhubarb_scrape::{Listing, keyword};

    use super::*;

    const PARTS: [Openings; 8] =
        [GREENHOUSE, LEVER, ASHBY, REMOTEOK, WEWORKREMOTELY, ARBEITNOW, CAREERS, CLASSIFIEDS];

    #[test]
    fn openings_are_the_same_each_time_and_match_their_keywords() {
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        for part in PARTS {
            let made = openings(part, now);
            assert_eq!(made, openings(part, now));
            for (idx, opening) in made.iter().enumerate() {
                let listing = Listing { title: opening.title.clone(), ..Listing::default() };
                assert!(keyword::matches(&listing, KEYWORDS[idx % 4], false), "{}", opening.title);
                assert!(opening.salary.0 < opening.salary.1);
                assert!(opening.posted < now);
            }
        }
    }

    #[test]
    fn no_opening_is_posted_twice() {
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        let all: Vec<Opening> = PARTS.iter().flat_map(|part| openings(*part, now)).collect();
        let postings: HashSet<_> = all.iter().map(|o| (&o.title, o.company)).collect();
        assert_eq!(postings.len(), all.len());
        assert_eq!(all.iter().map(|o| o.id).collect::<HashSet<_>>().len(), all.len());
    }
}
