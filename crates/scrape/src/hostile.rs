//! Payloads made to be slow or to nest: every reader ends soon, with a value or an error.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    budget::Budget,
    context::Context,
    dates::{self, DateOrder},
    proxies::parse_list,
    robots::Robots,
    salary::{Salary, period},
    sources::{arbeitnow, ashby, greenhouse, jsonld, lever, remoteok, weworkremotely},
    testing::context,
    text,
};

/// The size of each payload.
const SIZE: usize = 100_000;
/// Generous: an unoptimised build on a busy machine. What grows with the square of the size takes
/// minutes.
const SOON: Duration = Duration::from_secs(10);

fn repeated(piece: &str) -> String {
    piece.repeat(SIZE / piece.len())
}

/// What is repeated, and why.
const PIECES: [&str; 20] = [
    // Nesting without an end.
    "[",
    "{\"a\":",
    "<div>",
    "<b><i>",
    "<item>",
    "<!--",
    "<![CDATA[",
    "&",
    "&amp;",
    "&#x",
    "\"",
    "\\u0000",
    // Words and numbers without an end.
    "a",
    "1",
    "$1-",
    " ",
    "\n",
    "é",
    "-",
    "1,",
];

fn soon(what: &str, piece: &str, read: impl FnOnce()) {
    let begun = Instant::now();
    read();
    let took = begun.elapsed();
    assert!(took < SOON, "{what} of {} times {piece:?} took {took:?}", SIZE / piece.len());
}

fn parse_all(piece: &str, payload: &str) {
    let context = context();
    soon("arbeitnow", piece, || drop(arbeitnow::parse(payload, &context)));
    soon("ashby", piece, || drop(ashby::parse(payload, &context)));
    soon("greenhouse", piece, || drop(greenhouse::parse(payload, &context)));
    // It looks at the tree of a page without postings, which a budget bounds as for any other.
    let budget = Arc::new(Budget::of_page(payload.len(), Default::default()));
    let bounded = Context { budget, ..context.clone() };
    soon("jsonld", piece, || drop(jsonld::parse(payload, &bounded)));
    soon("lever", piece, || drop(lever::parse(payload, &context)));
    soon("remoteok", piece, || drop(remoteok::parse(payload, &context)));
    soon("weworkremotely", piece, || drop(weworkremotely::parse(payload, &context)));
}

#[test]
fn no_payload_holds_a_source_up() {
    for piece in PIECES {
        let payload = repeated(piece);
        parse_all(piece, &payload);
        parse_all(piece, &format!("<script type=\"application/ld+json\">{payload}</script>"));
        parse_all(
            piece,
            &format!("<rss><channel><item><title>{payload}</title></item></channel></rss>"),
        );
        let quoted = serde_json::Value::from(payload).to_string();
        parse_all(piece, &format!(r#"{{"jobs": [{{"title": {quoted}, "content": {quoted}}}]}}"#));
    }
}

#[test]
fn no_text_holds_a_reader_up() {
    let now = context().now;
    for piece in PIECES {
        let text = repeated(piece);
        soon("description", piece, || drop(text::description(&text, &Budget::unlimited())));
        soon("line", piece, || drop(text::line(&text)));
        soon("unescape", piece, || drop(text::unescape(&text)));
        soon("salary", piece, || drop(Salary::from_text(&text)));
        soon("period", piece, || {
            period(&text);
        });
        soon("date", piece, || drop(dates::text(&text, DateOrder::MonthFirst, now)));
        soon("proxies", piece, || drop(parse_list(&text)));
        for beginning in
            ["", "User-agent: ", "User-agent: *\nDisallow: /", "User-agent: *\nAllow: /*"]
        {
            let robots = Robots::parse(format!("{beginning}{text}").as_bytes(), "rhubarb");
            let url = format!("https://example.test/{}", &text[..text.floor_char_boundary(2000)]);
            let Ok(url) = url::Url::parse(&url) else { continue };
            soon("robots", piece, || {
                robots.allows(&url);
            });
        }
    }
}

/// Patterns with many stars against a long path: the classic of the exponential matchers.
#[test]
fn no_pattern_of_robots_holds_a_match_up() {
    let pattern = "User-agent: *\nDisallow: /".to_owned() + &"*a".repeat(1000) + "$\n";
    let many = pattern.clone() + &"Disallow: /*a*b*c\n".repeat(2000);
    let url = url::Url::parse(&format!("https://example.test/{}", "a".repeat(4000))).unwrap();
    for file in [pattern, many] {
        let robots = Robots::parse(file.as_bytes(), "rhubarb");
        soon("robots", "*a", || {
            robots.allows(&url);
        });
    }
}
