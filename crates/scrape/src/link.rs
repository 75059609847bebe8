//! Addresses of postings: read as browsers read them, and what of them tells a posting from others.

use url::{Url, form_urlencoded};

/// A longer address is none: a cut one would lead elsewhere, and could be taken for another.
pub const MAX_ADDRESS: usize = 2_000;

/// Parameters that only follow a visitor: without them an address leads to the same page.
///
/// `*` at the end stands for any ending. Names are compared without regard to case.
const TRACKING: &[&str] = &[
    "utm_*",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "gad_source",
    "gad_campaignid",
    "fbclid",
    "msclkid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "igshid",
    "igsh",
    "yclid",
    "ysclid",
    "_openstat",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "_hsenc",
    "_hsmi",
    "__hstc",
    "__hssc",
    "__hsfp",
    "hsctatracking",
    "_ga",
    "_gl",
    "vero_id",
    "vero_conv",
    "oly_anon_id",
    "oly_enc_id",
    "epik",
    "wickedid",
    "rb_clickid",
    "s_kwcid",
    "ef_id",
    "srsltid",
    "mtm_*",
    "pk_campaign",
    "pk_kwd",
    "piwik_*",
    "trk",
    "trkinfo",
    "trkcampaign",
    "trackingid",
    "refid",
    "lipi",
    "originalsubdomain",
    "searchid",
    "rps",
    "gh_src",
    "lever-source",
    "lever-origin",
    "lever-source[]",
    "jsessionid",
    "phpsessid",
    "aspsessionid*",
    "asp.net_sessionid",
    "sessionid",
    "session_id",
    "cfid",
    "cftoken",
    "_csrf",
    "csrf_token",
];

/// Parameters that beside one of LinkedIn's own say where in a result a link stood.
const PLACES: [&str; 2] = ["position", "pagenum"];
const BESIDE: [&str; 5] = ["trk", "trackingid", "refid", "pagenum", "lipi"];

/// Parameters that follow a visitor on some sites and name the posting on others.
const DOUBTFUL: [&str; 6] = ["position", "pagenum", "pos", "rank", "sid", "session"];

/// Which parameters of an address say nothing of the posting.
#[derive(Clone, Debug, Default)]
pub struct Tracking(Vec<String>);

impl Tracking {
    /// Returns the built-in rules with more names; one that ends in `*` is any with that beginning.
    pub fn with(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.trim().to_ascii_lowercase()).collect())
    }

    fn has(&self, name: &str) -> bool {
        let more = self.0.iter().map(String::as_str);
        TRACKING.iter().copied().chain(more).any(|rule| match rule.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => rule == name,
        })
    }

    /// Returns the address without what follows a visitor; everything else keeps its bytes.
    ///
    /// `whole` leaves in what might tell postings apart on some sites: a fragment, `position`.
    pub(crate) fn without(&self, url: &Url, whole: bool) -> Url {
        let mut short = url.clone();
        if !url.fragment().is_some_and(|fragment| is_route(fragment) || whole && tells(fragment)) {
            short.set_fragment(None);
        }
        if let Some(path) = without_session(url.path()) {
            short.set_path(&path);
        }
        let Some(query) = url.query() else { return short };
        let names: Vec<String> = query.split('&').map(name).collect();
        let beside = names.iter().any(|name| BESIDE.contains(&name.as_str()));
        let follows = |name: &str, part: &str| {
            self.has(name)
                || beside && PLACES.contains(&name)
                || name == "sid" && is_random(part.split_once('=').map_or("", |(_, value)| value))
        };
        let left = |drop: &dyn Fn(&str, &str) -> bool| {
            let parts = query.split('&').zip(&names).filter(|(part, name)| !drop(name, part));
            parts.map(|(part, _)| part).collect::<Vec<_>>().join("&")
        };
        let certain = left(&follows);
        let fewer = left(&|name, part| follows(name, part) || DOUBTFUL.contains(&name));
        let kept = if !whole && (!fewer.is_empty() || path_tells(url)) { fewer } else { certain };
        if kept.len() != query.len() {
            short.set_query(Some(kept.as_str()).filter(|kept| !kept.is_empty()));
        }
        short
    }
}

/// Returns a parameter's name as rules have it.
fn name(part: &str) -> String {
    let name = form_urlencoded::parse(part.as_bytes()).next();
    name.map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default()
}

/// A fragment that a script takes for the path of a page: `#/job/1`, `#!job/1`.
fn is_route(fragment: &str) -> bool {
    let path = fragment.trim_start_matches(['!', '/']);
    path.len() < fragment.len() && !path.is_empty()
}

/// A fragment that names something; `:~:` begins what a browser only shows.
fn tells(fragment: &str) -> bool {
    fragment.contains(char::is_alphanumeric) && !fragment.starts_with(":~:")
}

/// Tells whether a value was drawn for a session: nobody numbers postings so.
fn is_random(value: &str) -> bool {
    value.len() >= 16 && value.bytes().any(|b| b.is_ascii_digit()) && !value.contains(['-', '.'])
}

/// Tells whether the path looks like that of one posting: `/jobs/view/cook-11`, not `/careers`.
fn path_tells(url: &Url) -> bool {
    let mut segments = url.path().split('/').filter(|segment| !segment.is_empty());
    let last = segments.next_back().unwrap_or_default();
    segments.next().is_some() && last.contains(|c: char| c.is_ascii_digit() || c == '-')
}

/// Returns the path without `;jsessionid=…`, when it has one.
fn without_session(path: &str) -> Option<String> {
    let from = path.to_ascii_lowercase().find(";jsessionid=")?;
    let rest = &path[from + 1..];
    let end = rest.find(['/', ';']).unwrap_or(rest.len());
    Some(format!("{}{}", &path[..from], &rest[end..]))
}

/// Returns the address that a link means on a page; only http and https.
///
/// White space around it, tabs and line breaks in it, spaces and odd letters are taken as browsers
/// take them (WHATWG URL). Nothing is decoded: that is done by whoever read the markup around it.
pub(crate) fn link(base: &Url, href: &str) -> Option<Url> {
    let href = href.trim();
    if href.is_empty() || href.len() > MAX_ADDRESS {
        return None;
    }
    base.join(href).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// What a reason names of an address: the rest may hold keys.
pub(crate) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_http_addresses_are_links() {
        let page = url("https://example.test/jobs/");
        let check = |href: &str, expect: Option<&str>| {
            assert_eq!(link(&page, href).as_ref().map(Url::as_str), expect, "{href}");
        };
        check("/a", Some("https://example.test/a"));
        check("b?c=1", Some("https://example.test/jobs/b?c=1"));
        check("//other.test/x", Some("https://other.test/x"));
        check("\\\\other.test\\x", Some("https://other.test/x"));
        check(" \n/a\tb c \r\n", Some("https://example.test/ab%20c"));
        check("/é?ü=ß|", Some("https://example.test/%C3%A9?%C3%BC=%C3%9F|"));
        check("/a?x=1&region=2&copy=3", Some("https://example.test/a?x=1&region=2&copy=3"));
        check("HTTPS://EXAMPLE.test:443/A", Some("https://example.test/A"));
        check("#/job/1", Some("https://example.test/jobs/#/job/1"));
        check("javascript:alert(1)", None);
        check("data:text/html,x", None);
        check("ftp://example.test/", None);
        check("", None);
    }

    #[test]
    fn an_address_is_whole_or_none() {
        let page = url("https://example.test/");
        let of = |length: usize| format!("https://example.test/{}", "a".repeat(length - 21));
        assert_eq!(link(&page, &of(MAX_ADDRESS)).unwrap().as_str(), of(MAX_ADDRESS));
        assert_eq!(link(&page, &of(MAX_ADDRESS + 1)), None);
    }

    #[test]
    fn what_follows_a_visitor_goes_and_the_rest_keeps_its_bytes() {
        let check = |address: &str, expect: &str| {
            let got = Tracking::default().without(&url(address), false);
            assert_eq!(got.as_str(), expect, "{address}");
        };
        check("https://e.test/j?q=a%20b+c&x=%2F&utm_source=z", "https://e.test/j?q=a%20b+c&x=%2F");
        check("https://e.test/j?UTM_Medium=1&gclid=2#top", "https://e.test/j");
        check("https://e.test/j?%75tm_source=1&id=3&flag&=&", "https://e.test/j?id=3&flag&=&");
        check("https://e.test/j;jsessionid=A1B2?id=3", "https://e.test/j?id=3");
        check("https://e.test/a;JSESSIONID=A1/b", "https://e.test/a/b");
        check("https://e.test/j?id=1&sid=9f8e7d6c5b4a39281706", "https://e.test/j?id=1");
        check("https://e.test/view/cook-1?position=4&refId=x", "https://e.test/view/cook-1");
        check("https://e.test/a/b-1?position=4", "https://e.test/a/b-1");
        check("https://e.test/careers?position=77", "https://e.test/careers?position=77");
        check("https://e.test/careers?utm=1&id=2&ref=3", "https://e.test/careers?utm=1&id=2&ref=3");
        check("https://e.test/a?x=1#/job/1", "https://e.test/a?x=1#/job/1");
        check("https://e.test/a#!job/1", "https://e.test/a#!job/1");
        check("https://e.test/a#!", "https://e.test/a");
        check("https://e.test/a#/", "https://e.test/a");
    }

    #[test]
    fn what_is_doubtful_stays_in_the_whole_address() {
        let whole = |address: &str| Tracking::default().without(&url(address), true).to_string();
        assert_eq!(whole("https://e.test/a/b-1?pos=4&utm_term=1"), "https://e.test/a/b-1?pos=4");
        assert_eq!(whole("https://e.test/a#job-1"), "https://e.test/a#job-1");
        assert_eq!(whole("https://e.test/a#"), "https://e.test/a");
    }

    #[test]
    fn the_configuration_adds_parameters() {
        let more = Tracking::with(&["Campaign".into(), "ab_*".into()]);
        let got = more.without(&url("https://e.test/j?campaign=1&ab_x=2&gclid=3&id=4"), false);
        assert_eq!(got.as_str(), "https://e.test/j?id=4");
    }
}
