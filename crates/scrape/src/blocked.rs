//! Pages that keep visitors out: challenges, captchas, logins, consent forms, pages that lead
//! elsewhere. Pure.
//!
//! Only a page on which a reader found no record is judged, and by its structure: what it loads,
//! asks for and leads to, not by its words. Sites in front of which a guard stands load parts of it
//! on every page, so only what a guard shows in place of the page counts.

mod marks;

use std::fmt;

use ego_tree::iter::Edge;
use scraper::{Html, Node, node::Element};
use url::Url;

use crate::{
    budget::Budget, context::Context, dom, link::host, source_status::Ending, trouble::Trouble,
};

/// What was seen of a page that keeps visitors out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A guard's challenge, by whom.
    Challenge(&'static str),
    /// A captcha.
    Captcha,
    /// A form that asks for a password or an account.
    Login,
    /// A form that asks for consent.
    Consent,
    /// Nothing but the way to another page.
    Elsewhere,
    /// An answer without a page, where one is promised for later.
    Empty,
}

/// As much of a body is looked at that came where data was expected.
const MAX_BODY: usize = 64 << 10;

impl Sign {
    /// Returns what the headers of an answer say; `get` returns a header's value.
    pub(crate) fn of_headers<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let says = |name, words: &[&str]| {
            get(name).is_some_and(|said| {
                let said = said.trim().to_ascii_lowercase();
                words.iter().any(|word| said == *word)
            })
        };
        let by = [
            ("cf-mitigated", &["challenge"][..], "Cloudflare"),
            ("x-amzn-waf-action", &["challenge", "captcha"], "AWS WAF"),
            ("x-vercel-mitigated", &["challenge", "deny"], "Vercel"),
        ];
        let found = by.into_iter().find(|(name, words, _)| says(name, words));
        found.map(|(_, _, by)| Self::Challenge(by))
    }

    /// Returns what a body says that came where data was expected.
    pub(crate) fn of_body(bytes: &[u8], address: &Url) -> Option<Self> {
        let bytes = &bytes[..bytes.len().min(MAX_BODY)];
        let budget = Budget::of_page(bytes.len(), Default::default());
        let page = dom::document(&String::from_utf8_lossy(bytes), &budget).ok()?;
        sign(&page, address, &budget)
    }

    /// Returns what was seen and what to do about it, as a sentence.
    pub(crate) fn told(self, host: &str) -> String {
        let todo = match self {
            Self::Challenge(_) | Self::Captcha | Self::Empty => {
                "it does not want to be read by programs: ask its owner, or read a feed or an API \
                 that it offers"
            }
            Self::Login => "what stands behind a login is not read: look for a public address",
            Self::Consent => {
                "look for an address that is read without consent, a feed for instance"
            }
            Self::Elsewhere => "put the address that it leads to into `urls`",
        };
        format!("`{host}` shows {self} in place of what was asked for; {todo}")
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Challenge(by) => write!(f, "a challenge page ({by})"),
            Self::Captcha => f.write_str("a captcha"),
            Self::Login => f.write_str("a login"),
            Self::Consent => f.write_str("a consent form"),
            Self::Elsewhere => f.write_str("a page that only leads elsewhere"),
            Self::Empty => f.write_str("an empty answer (202)"),
        }
    }
}

/// Says why a page without a record is not believed to be an empty list.
///
/// `missing` says what the page does not have, `todo` what to look at.
pub(crate) fn doubt(page: &Html, context: &Context, missing: &str, todo: &str) -> Trouble {
    let facts = Facts::of(page, &context.page, &context.budget);
    let host = host(&context.page);
    if let Some(sign) = facts.sign(&context.page) {
        return Trouble::ends(Ending::Blocked, sign.told(&host));
    }
    let reason = if facts.is_shell() {
        format!(
            "`{host}`: the page has {missing}, it is put together by scripts, which are not run; \
             look for the address that they load the postings from"
        )
    } else {
        format!("`{host}`: the page has {missing}, and nothing shows that it is empty; {todo}")
    };
    Trouble::ends(Ending::Suspicious, reason)
}

/// Returns what keeps visitors out on this page, where that is what it is for.
pub(crate) fn sign(page: &Html, address: &Url, budget: &Budget) -> Option<Sign> {
    Facts::of(page, address, budget).sign(address)
}

/// What the structure of a page says.
#[derive(Debug, Default)]
struct Facts {
    /// Bytes of text that a visitor sees.
    text: usize,
    links: usize,
    /// Scripts that are loaded.
    scripts: usize,
    /// Whose challenge it is for certain.
    guard: Option<&'static str>,
    /// Whose it is where the page has little else.
    maybe_guard: Option<&'static str>,
    captcha: bool,
    /// Bytes of text outside of what asks for consent.
    other_text: usize,
    /// A password is asked for, and not beside the page's own matter.
    password: bool,
    /// A text is asked for.
    field: bool,
    /// Something asks for consent.
    consent: bool,
    /// A form does.
    consent_form: bool,
    /// The page leads elsewhere by itself.
    refresh: bool,
    /// A script leads elsewhere.
    moves: bool,
    /// A script sets a cookie.
    cookie: bool,
}

/// As much of a script as is looked at.
const MAX_SCRIPT: usize = 20_000;

impl Facts {
    fn of(page: &Html, address: &Url, budget: &Budget) -> Self {
        let mut facts = Self::default();
        // Elements that are open: whose text is not seen, and those beside the page's own matter.
        let (mut unseen, mut beside, mut consent) = (0_usize, 0_usize, 0_usize);
        for edge in page.tree.root().traverse() {
            if budget.step().is_err() {
                break;
            }
            match edge {
                Edge::Open(node) => match node.value() {
                    Node::Element(element) => {
                        unseen += usize::from(is_unseen(element));
                        beside += usize::from(is_beside(element));
                        consent += usize::from(asks_consent(element));
                        facts.element(element, address, unseen > 0, beside > 0);
                    }
                    Node::Text(text) => {
                        let inside = node.parent().and_then(|parent| parent.value().as_element());
                        if inside.is_some_and(|element| element.name() == "script") {
                            facts.script(text);
                        } else if unseen == 0 {
                            facts.text += text.trim().len();
                            facts.other_text += if consent == 0 { text.trim().len() } else { 0 };
                        }
                    }
                    _ => {}
                },
                Edge::Close(node) => {
                    if let Node::Element(element) = node.value() {
                        unseen -= usize::from(is_unseen(element));
                        beside -= usize::from(is_beside(element));
                        consent -= usize::from(asks_consent(element));
                    }
                }
            }
        }
        facts
    }

    fn element(&mut self, element: &Element, address: &Url, unseen: bool, beside: bool) {
        let attribute = |name: &str| element.attr(name).unwrap_or_default();
        let names = ["id", "class", "name", "title"].map(attribute);
        let links = ["src", "action", "href", "content", "data-src"].map(attribute);
        for value in names.into_iter().chain(links).filter(|value| !value.is_empty()) {
            let value = crate::text::cut(value, MAX_SCRIPT).to_ascii_lowercase();
            self.guard = self.guard.or_else(|| marks::certain(&value));
            self.maybe_guard = self.maybe_guard.or_else(|| marks::likely(&value));
            // What a page links to is not what it is.
            let tells = !matches!(element.name(), "a" | "link" | "meta");
            self.captcha |= tells && marks::CAPTCHA.iter().any(|mark| value.contains(mark));
        }
        self.consent |= asks_consent(element);
        self.consent_form |= element.name() == "form" && asks_consent(element);
        match element.name() {
            "a" => self.links += usize::from(!attribute("href").is_empty()),
            "script" => self.scripts += usize::from(!attribute("src").is_empty()),
            "input" if !beside => self.input(attribute("type"), attribute("autocomplete")),
            "meta" if !unseen && attribute("http-equiv").eq_ignore_ascii_case("refresh") => {
                self.refresh |= leads_elsewhere(attribute("content"), address);
            }
            "iframe" if attribute("src").to_ascii_lowercase().contains("_incapsula_resource") => {
                self.guard = Some("Imperva");
            }
            _ => {}
        }
    }

    fn input(&mut self, kind: &str, autocomplete: &str) {
        let kind = kind.to_ascii_lowercase();
        self.password |= kind == "password" || autocomplete.contains("current-password");
        self.field |= matches!(kind.as_str(), "" | "text" | "email" | "tel");
    }

    fn script(&mut self, text: &str) {
        let text = crate::text::cut(text, MAX_SCRIPT).to_ascii_lowercase();
        self.guard = self.guard.or_else(|| marks::certain(&text));
        self.moves |= marks::MOVES.iter().any(|mark| text.contains(mark));
        self.cookie |= text.contains("document.cookie");
    }

    /// Returns what keeps visitors out; where it could be a part of a page about something else,
    /// only if the page has little else.
    fn sign(&self, address: &Url) -> Option<Sign> {
        let has_little = |text: usize, links: usize| self.text < text && self.links < links;
        let is_small = has_little(1_500, 15);
        if let Some(by) = self.guard.or_else(|| self.maybe_guard.filter(|_| is_small)) {
            return Some(Sign::Challenge(by));
        }
        if self.captcha && is_small {
            return Some(Sign::Captcha);
        }
        if is_small && self.moves && self.cookie && self.text < 600 {
            return Some(Sign::Challenge("a script that sets a cookie"));
        }
        let asks_for_account = marks::is_login(address) && (self.field || is_small);
        if self.password && has_little(4_000, 40) || asks_for_account {
            return Some(Sign::Login);
        }
        let wall = self.consent && self.other_text < 300 && self.links < 20
            || self.consent_form && has_little(4_000, 20);
        if marks::is_consent(address) || wall {
            return Some(Sign::Consent);
        }
        let only_moves = self.moves && self.text < 300 && self.links < 5 && self.scripts == 0;
        (self.refresh || only_moves).then_some(Sign::Elsewhere)
    }

    /// Tells whether the page is a frame that scripts fill.
    fn is_shell(&self) -> bool {
        self.scripts > 0 && self.text < 300 && self.links < 5
    }
}

fn is_unseen(element: &Element) -> bool {
    matches!(element.name(), "script" | "style" | "noscript" | "template" | "svg" | "title")
}

/// Tells whether an element holds what stands beside a page's own matter: a login box in its head,
/// a window that opens on demand.
fn is_beside(element: &Element) -> bool {
    const NAMES: [&str; 10] = [
        "header",
        "nav",
        "footer",
        "menu",
        "modal",
        "popup",
        "dropdown",
        "sidebar",
        "dialog",
        "offcanvas",
    ];
    let names = || [element.attr("class"), element.attr("id")].into_iter().flatten();
    matches!(element.name(), "header" | "nav" | "footer" | "aside" | "dialog" | "template")
        || element.attr("hidden").is_some()
        || element.attr("aria-hidden") == Some("true")
        || element.attr("role").is_some_and(|role| matches!(role, "dialog" | "banner"))
        || element.name() != "body"
            && names().any(|name| {
                let name = crate::text::cut(name, 500).to_ascii_lowercase();
                NAMES.iter().any(|beside| name.contains(beside))
            })
}

/// Tells whether an element asks for consent, by its names and by where it sends the answer.
fn asks_consent(element: &Element) -> bool {
    let names = ["id", "class", "action", "src"].into_iter().filter_map(|name| element.attr(name));
    !matches!(element.name(), "a" | "link" | "meta" | "script" | "html" | "body")
        && names
            .map(|name| crate::text::cut(name, 500).to_ascii_lowercase())
            .any(|name| marks::CONSENT.iter().any(|mark| name.contains(mark)))
}

/// Tells whether a refresh (`5; url=/there`) leads to another page.
fn leads_elsewhere(content: &str, address: &Url) -> bool {
    let Some((_, target)) = content.split_once([';', ',']) else { return false };
    let target = target.trim();
    let target = match target.get(..3) {
        Some(word) if word.eq_ignore_ascii_case("url") => {
            target[3..].trim_start().strip_prefix('=').unwrap_or(&target[3..])
        }
        _ => target,
    };
    let target = target.trim().trim_matches(['"', '\'']);
    let Ok(mut to) = address.join(target) else { return false };
    let mut here = address.clone();
    to.set_fragment(None);
    here.set_fragment(None);
    !target.is_empty() && to != here
}

#[cfg(test)]
mod tests;
