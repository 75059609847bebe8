//! robots.txt as RFC 9309 has it: which pages a crawler may fetch.

use std::{borrow::Cow, time::Duration};

use encoding_rs::Encoding;
use memchr::memmem;
use url::Url;

/// Where robots.txt is; itself always allowed.
pub(crate) const PATH: &str = "/robots.txt";
/// Redirects followed to it (RFC 9309, 2.3.1.2).
pub(crate) const MAX_REDIRECTS: usize = 5;
/// As much as is read of it; the RFC asks for at least 500 KiB (2.5).
pub(crate) const MAX_BYTES: usize = 512 * 1024;

/// Returns the address of the robots.txt that rules this page.
pub(crate) fn url_of(page: &Url) -> Url {
    let mut url = page.clone();
    url.set_path(PATH);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Returns the name by which robots.txt knows us: the letters, `_` and `-` that a user agent begins
/// with.
pub(crate) fn product_token(user_agent: &str) -> &str {
    let end = user_agent.find(|c: char| !c.is_ascii_alphabetic() && c != '_' && c != '-');
    &user_agent[..end.unwrap_or(user_agent.len())]
}

/// Returns the bytes up to the last line end when there is more: half a rule may say the opposite.
pub(crate) fn whole_lines(bytes: &[u8], more: bool) -> &[u8] {
    let end = if more { bytes.iter().rposition(|b| matches!(b, b'\n' | b'\r')) } else { None };
    &bytes[..end.unwrap_or(bytes.len())]
}

/// The rules of one robots.txt for one crawler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Robots {
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// The pattern in its normal form, cut at its wildcards.
    parts: Vec<Vec<u8>>,
    /// Whether the pattern ends in `$`.
    anchored: bool,
    /// The pattern's length in octets, by which the most specific rule is found.
    length: usize,
}

/// What is collected for a set of agents.
#[derive(Debug, Default)]
struct Group {
    named: bool,
    rules: Robots,
}

impl Robots {
    /// Returns rules that allow everything, as no robots.txt does.
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// Reads the rules for the crawler with this product token.
    ///
    /// Anything is accepted: lines that are not understood are passed over. Groups that name the
    /// crawler are merged; only where there is none do the rules for `*` hold.
    pub fn parse(bytes: &[u8], product: &str) -> Self {
        let bytes = to_utf8(bytes);
        let (mut ours, mut everyone) = (Group::default(), Group::default());
        let (mut for_us, mut for_everyone, mut in_agents) = (false, false, false);
        for line in bytes.split(|b| matches!(b, b'\n' | b'\r')) {
            let Some((key, value)) = split_line(line) else { continue };
            if key == Key::UserAgent {
                if !in_agents {
                    (for_us, for_everyone, in_agents) = (false, false, true);
                }
                for_everyone |= is_everyone(value);
                for_us |= names(value, product);
                ours.named |= for_us;
                continue;
            }
            in_agents = false;
            if for_us {
                ours.rules.add(key, value);
            }
            if for_everyone {
                everyone.rules.add(key, value);
            }
        }
        if ours.named { ours.rules } else { everyone.rules }
    }

    /// Returns whether this page may be fetched.
    ///
    /// The longest matching pattern decides; of two as long, the one that allows.
    pub fn allows(&self, url: &Url) -> bool {
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        self.allows_path(target)
    }

    fn allows_path(&self, target: &str) -> bool {
        if target == PATH {
            return true;
        }
        let target = normal(target.as_bytes(), Role::Target);
        let matching = self.rules.iter().filter(|rule| rule.matches(&target));
        matching.max_by_key(|rule| (rule.length, rule.allow)).is_none_or(|rule| rule.allow)
    }

    /// Returns the pause between requests that it asks for; not in the RFC, but widely meant.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    fn add(&mut self, key: Key, value: &[u8]) {
        match key {
            Key::CrawlDelay => {
                let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                let delay = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                self.crawl_delay = self.crawl_delay.max(delay);
            }
            // An empty pattern matches nothing.
            Key::Allow | Key::Disallow if value.is_empty() => {}
            Key::Allow | Key::Disallow => self.rules.push(Rule::new(key == Key::Allow, value)),
            Key::UserAgent => {}
        }
    }
}

impl Rule {
    fn new(allow: bool, pattern: &[u8]) -> Self {
        let (body, anchored) = match pattern.strip_suffix(b"$") {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let body = normal(body, Role::Pattern);
        let length = body.len() + usize::from(anchored);
        let parts = body.split(|b| *b == b'*').map(<[u8]>::to_vec).collect();
        Self { allow, parts, anchored, length }
    }

    /// Returns whether the pattern matches from the target's start.
    ///
    /// Taking each part at its first place is enough: a later place leaves less for the rest. No
    /// backtracking, so a hostile pattern costs no more than its length times the target's.
    fn matches(&self, target: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some(mut target) = target.strip_prefix(first.as_slice()) else { return false };
        let Some((last, middle)) = rest.split_last() else {
            return !self.anchored || target.is_empty();
        };
        for part in middle.iter().filter(|part| !part.is_empty()) {
            let Some(at) = memmem::find(target, part) else { return false };
            target = &target[at + part.len()..];
        }
        if self.anchored {
            target.ends_with(last)
        } else {
            last.is_empty() || memmem::find(target, last).is_some()
        }
    }
}

/// A line that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
}

/// Returns the line's key and value without comment; none for lines that are to be passed over.
fn split_line(line: &[u8]) -> Option<(Key, &[u8])> {
    let line = line.split(|b| *b == b'#').next()?.trim_ascii();
    // The reference parser accepts a space for a forgotten colon.
    let at = line
        .iter()
        .position(|b| *b == b':')
        .or_else(|| line.iter().position(|b| b.is_ascii_whitespace()))?;
    let key = match line[..at].trim_ascii().to_ascii_lowercase().as_slice() {
        b"user-agent" | b"useragent" | b"user agent" => Key::UserAgent,
        b"allow" => Key::Allow,
        b"disallow" | b"dissallow" | b"dissalow" | b"disalow" | b"diasllow" | b"disallaw" => {
            Key::Disallow
        }
        b"crawl-delay" | b"crawldelay" => Key::CrawlDelay,
        _ => return None,
    };
    Some((key, line[at + 1..].trim_ascii()))
}

/// Returns whether the value is `*`, whatever stands behind it.
fn is_everyone(value: &[u8]) -> bool {
    matches!(value, [b'*']) || matches!(value, [b'*', space, ..] if space.is_ascii_whitespace())
}

/// Returns whether the value names this product: `Rhubarb/1.0 (x)` names `rhubarb`.
fn names(value: &[u8], product: &str) -> bool {
    let end = value.iter().position(|b| !b.is_ascii_alphabetic() && *b != b'_' && *b != b'-');
    let token = &value[..end.unwrap_or(value.len())];
    !token.is_empty() && token.eq_ignore_ascii_case(product.as_bytes())
}

/// Which text is brought into normal form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A pattern, in which `*` is a wildcard.
    Pattern,
    /// A page's path and query, in which `*` is itself.
    Target,
}

/// Returns the octets as RFC 9309, 2.2.2 compares them.
///
/// Unreserved characters stand for themselves, reserved ones as they are written, everything else
/// percent-encoded in upper case; `*` and `$` of a target, and `$` inside a pattern, are encoded,
/// so that `%2A` and `%24` of a pattern match them.
fn normal(text: &[u8], role: Role) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let escaped = if *byte == b'%' { hex_pair(tail) } else { None };
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        let plain = match escaped {
            Some(value) => is_unreserved(value),
            None => {
                (*byte == b'*' && role == Role::Pattern)
                    || is_unreserved(*byte)
                    || b":/?#[]@!&'()+,;=".contains(byte)
            }
        };
        let value = escaped.unwrap_or(*byte);
        if plain {
            out.push(value);
        } else {
            out.extend_from_slice(format!("%{value:02X}").as_bytes());
        }
    }
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16);
    let value = digit(bytes.first()?)? * 16 + digit(bytes.get(1)?)?;
    u8::try_from(value).ok()
}

/// Returns the file without byte order mark; one in UTF-16, which the RFC forbids, is read all the
/// same.
fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match Encoding::for_bom(bytes) {
        Some((encoding, length)) if encoding == encoding_rs::UTF_8 => {
            Cow::Borrowed(&bytes[length..])
        }
        Some((encoding, length)) => {
            let text = encoding.decode_without_bom_handling(&bytes[length..]).0;
            Cow::Owned(text.into_owned().into_bytes())
        }
        None => Cow::Borrowed(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(robots: &str, product: &str, target: &str, expect: bool) {
        let rules = Robots::parse(robots.as_bytes(), product);
        assert_eq!(rules.allows_path(target), expect, "{product} {target}\n{robots}");
    }

    #[test]
    fn the_longest_match_decides_and_allow_wins_a_tie() {
        let robots =
            "User-agent: *\nDisallow: /jobs\nAllow: /jobs/public\nDisallow: /jobs/public/old\n";
        check(robots, "rhubarb", "/", true);
        check(robots, "rhubarb", "/jobs/7", false);
        check(robots, "rhubarb", "/jobs/public/7", true);
        check(robots, "rhubarb", "/jobs/public/old/7", false);
        check("User-agent: *\nDisallow: /a\nAllow: /a\n", "rhubarb", "/a", true);
        check("User-agent: *\nDisallow:\n", "rhubarb", "/a", true);
        check("User-agent: *\nDisallow: /\n", "rhubarb", "/robots.txt", true);
    }

    #[test]
    fn a_wildcard_is_any_text_and_a_dollar_the_end() {
        let robots = |pattern: &str| format!("User-agent: *\nDisallow: {pattern}\n");
        let check = |pattern: &str, target: &str, matches: bool| {
            check(&robots(pattern), "rhubarb", target, !matches);
        };
        check("/*.php$", "/x/a.php", true);
        check("/*.php$", "/x/a.php?b", false);
        check("/*.php$", "/a.php/b.php", true);
        check("/a*b*c", "/axxbyyc/z", true);
        check("/a*b*c", "/axxcyyb", false);
        check("/a*a$", "/a", false);
        check("*/private", "/x/private/y", true);
        check("/x$y", "/x$y/z", true);
        check("/x%2Ay", "/x*y", true);
        check("/x%2Ay", "/xzzy", false);
        check("*", "/anything", true);
        check("**/a**", "/b/a", true);
        check("/$", "/", true);
        check("/$", "/a", false);
    }

    #[test]
    fn encoded_and_plain_octets_are_the_same_except_reserved_ones() {
        let check = |pattern: &str, target: &str, matches: bool| {
            check(&format!("User-agent: *\nDisallow: {pattern}\n"), "rhubarb", target, !matches);
        };
        check("/ツ", "/%E3%83%84", true);
        check("/%e3%83%84", "/%E3%83%84", true);
        check("/%62%61%7A", "/baz", true);
        check("/a%2Fb", "/a/b", false);
        check("/a b", "/a%20b", true);
        check("/100%", "/100%25", true);
    }

    #[test]
    fn groups_that_name_us_are_merged_and_hide_those_for_everyone() {
        let robots = "User-agent: *\nDisallow: /x\n\nUser-agent: RHUBARB/1.0\nDisallow: /a\n\n\
                      User-agent: other\nUser-agent: rhubarb\nDisallow: /b\nUser-agent: other\nDisallow: /c\n";
        check(robots, "rhubarb", "/x", true);
        check(robots, "rhubarb", "/a", false);
        check(robots, "rhubarb", "/b", false);
        check(robots, "rhubarb", "/c", true);
        check(robots, "nobody", "/x", false);
        check("User-agent: rhubarb-images\nDisallow: /\n", "rhubarb", "/", true);
    }

    #[test]
    fn crawl_delay_is_read_from_the_group_that_holds() {
        let delay = |robots: &str| Robots::parse(robots.as_bytes(), "rhubarb").crawl_delay();
        let seconds = |s| Some(Duration::from_secs_f64(s));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 2.5\n"), seconds(2.5));
        assert_eq!(
            delay("User-agent: *\nCrawl-delay: 9\nUser-agent: rhubarb\nCrawl-delay: 3"),
            seconds(3.0)
        );
        assert_eq!(delay("User-agent: *\nCrawl-delay: 9\nUser-agent: rhubarb\nDisallow: /a"), None);
        for odd in ["-1", "NaN", "inf", "1e999", "soon", ""] {
            assert_eq!(delay(&format!("User-agent: *\nCrawl-delay: {odd}\n")), None, "{odd}");
        }
    }

    #[test]
    fn line_ends_marks_and_charsets_of_all_kinds_are_read() {
        let text = "User-agent: *\rDisallow: /a # not\r\n  disallow : /b\nSitemap: x\nDISALLOW /c";
        let utf16: Vec<u8> =
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let with_mark = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        for bytes in [text.as_bytes(), &utf16, &with_mark] {
            let rules = Robots::parse(bytes, "rhubarb");
            let allowed: Vec<bool> =
                ["/a", "/b", "/c", "/d"].iter().map(|path| rules.allows_path(path)).collect();
            assert_eq!(allowed, [false, false, false, true]);
        }
    }

    #[test]
    fn a_cut_file_loses_its_last_half_line() {
        assert_eq!(whole_lines(b"Disallow: /a\nDisallow: /", true), b"Disallow: /a");
        assert_eq!(whole_lines(b"Disallow: /a\nDisallow: /", false), b"Disallow: /a\nDisallow: /");
    }

    #[test]
    fn the_product_token_is_what_the_user_agent_begins_with() {
        assert_eq!(product_token("rhubarb/0.1 (+https://example.com)"), "rhubarb");
        assert_eq!(product_token("my-bot_x 2"), "my-bot_x");
    }

    /// From the tests that Google publishes with its parser (github.com/google/robotstxt,
    /// `robots_test.cc`), where they follow RFC 9309.
    #[test]
    fn googles_published_cases_come_out_the_same() {
        let fooer = |robots: &str, target: &str, expect: bool| {
            check(robots, "FooBot", target, expect);
        };
        fooer("", "/", true);
        fooer("user-agent: FooBot\ndisallow: /\n", "/x/y", false);
        fooer("foo: FooBot\nbar: /\n", "/x/y", true);
        fooer("user-agent FooBot\ndisallow /\n", "/x/y", false);
        let groups = "allow: /foo/bar/\n\nuser-agent: FooBot\ndisallow: /\nallow: /x/\n\
                      user-agent: BarBot\ndisallow: /\nallow: /y/\n\n\nallow: /w/\n\
                      user-agent: BazBot\n\nuser-agent: FooBot\nallow: /z/\ndisallow: /\n";
        for (agent, target, expect) in [
            ("FooBot", "/x/b", true),
            ("FooBot", "/z/d", true),
            ("FooBot", "/y/c", false),
            ("BarBot", "/y/c", true),
            ("BarBot", "/w/a", true),
            ("BarBot", "/z/d", false),
            ("BazBot", "/z/d", true),
            ("FooBot", "/foo/bar/", false),
            ("BarBot", "/foo/bar/", false),
        ] {
            check(groups, agent, target, expect);
        }
        let other_rules = "User-agent: BarBot\nSitemap: https://foo.bar/sitemap\n\
                           User-agent: *\nDisallow: /\n";
        fooer(other_rules, "/", false);
        check(other_rules, "BarBot", "/", false);
        fooer("USER-AGENT: FooBot\nALLOW: /x/\nDISALLOW: /\n", "/x/y", true);
        fooer("USER-AGENT: FOO BAR\nALLOW: /x/\nDISALLOW: /\n", "/a", true);
        check(
            "User-agent: *\nDisallow: /\nUser-agent: Foo Bar\nAllow: /x/\nDisallow: /",
            "Foo",
            "/x/y",
            true,
        );
        fooer("user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /\n", "/x/y", false);
        fooer("user-agent: FooBot\ndisallow: /X/\n", "/x/y", true);
        fooer("user-agent: FooBot\ndisallow: /x/page.html\nallow: /x/\n", "/x/page.html", false);
        fooer("user-agent: FooBot\nallow: /x/page.html\ndisallow: /x/\n", "/x/page.html", true);
        fooer("user-agent: FooBot\ndisallow: \nallow: \n", "/x/page.html", true);
        fooer("user-agent: FooBot\ndisallow: /\nallow: /\n", "/x/page.html", true);
        fooer("user-agent: FooBot\ndisallow: /x\nallow: /x/\n", "/x", false);
        fooer(
            "user-agent: FooBot\ndisallow: /x/page.html\nallow: /x/page.html\n",
            "/x/page.html",
            true,
        );
        fooer("user-agent: FooBot\nallow: /page\ndisallow: /*.html\n", "/page.html", false);
        fooer("user-agent: FooBot\nallow: /x/page.\ndisallow: /*.html\n", "/x/page.html", true);
        fooer("User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/ツ\n", "/foo/bar/%E3%83%84", true);
        fooer("User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n", "/foo/bar/baz", true);
        fooer(
            "User-agent: FooBot\nDisallow: /foo/bar/quz\nAllow: /foo/*/qux\n",
            "/foo/bar/quz",
            false,
        );
        fooer("User-agent: FooBot\nDisallow: /foo/bar$\nAllow: /foo/bar/qux\n", "/foo/bar/", true);
        fooer(
            "User-agent: FooBot\n# Disallow: /\nDisallow: /foo/quz#qux\nAllow: /\n",
            "/foo/quz",
            false,
        );
    }

    /// The obvious matcher, exponential and right.
    fn slow_match(pattern: &[u8], target: &[u8]) -> bool {
        match pattern {
            [] => true,
            [b'$'] => target.is_empty(),
            [b'*', rest @ ..] => (0..=target.len()).any(|at| slow_match(rest, &target[at..])),
            [first, rest @ ..] => target.first() == Some(first) && slow_match(rest, &target[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_the_obvious_matcher_says(pattern in "/[ab*]{0,8}[$]?", target in "/[ab]{0,10}") {
            let rule = Rule::new(true, pattern.as_bytes());
            prop_assert_eq!(rule.matches(target.as_bytes()), slow_match(pattern.as_bytes(), target.as_bytes()));
        }

        #[test]
        fn no_file_and_no_target_panic(bytes: Vec<u8>, target: String) {
            Robots::parse(&bytes, "rhubarb").allows_path(&target);
            let wrapped = [b"User-agent: *\nDisallow: ", bytes.as_slice()].concat();
            Robots::parse(&wrapped, "rhubarb").allows_path(&target);
        }

        #[test]
        fn normal_form_is_stable(text: Vec<u8>) {
            let once = normal(&text, Role::Target);
            prop_assert_eq!(normal(&once, Role::Target), once.clone());
        }
    }
}
