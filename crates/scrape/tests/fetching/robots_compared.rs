//! Our reader of robots.txt beside the crate `robotxt`, another one after RFC 9309 and Google's
//! parser.

use rhubarb_scrape::robots::Robots;
use url::Url;

/// A robots.txt, and a path that the crawler `bot` asks for.
const CASES: [(&str, &str); 44] = [
    ("user-agent: bot\ndisallow: /\n", "/"),
    ("User-Agent: Bot/1.2\nDisallow: /a\n", "/a"),
    ("user-agent: bot foo\ndisallow: /\n", "/"),
    ("user-agent: *\ndisallow: /\nuser-agent: bot\nallow: /\n", "/x"),
    ("user-agent: a\nuser-agent: bot\ndisallow: /x\n", "/x"),
    ("user-agent: bot\ndisallow: /x\nuser-agent: bot\ndisallow: /y\n", "/y"),
    ("user-agent: bot\nallow: /p\ndisallow: /\n", "/page"),
    ("user-agent: bot\nallow: /folder\ndisallow: /folder\n", "/folder/page"),
    ("user-agent: bot\nallow: /page\ndisallow: /*.htm\n", "/page.htm"),
    ("user-agent: bot\nallow: /page\ndisallow: /*.ph\n", "/page.php5"),
    ("user-agent: bot\nallow: /$\ndisallow: /\n", "/"),
    ("user-agent: bot\nallow: /$\ndisallow: /\n", "/page.htm"),
    ("user-agent: bot\ndisallow: /fish*\n", "/fish"),
    ("user-agent: bot\ndisallow: /*.php$\n", "/a.php?x=1"),
    ("user-agent: bot\ndisallow: /*.php$\n", "/folder/a.php"),
    ("user-agent: bot\ndisallow: /fish*.php\n", "/fishheads/catfish.php?p"),
    ("user-agent: bot\ndisallow:\n", "/x"),
    ("disallow: /\n", "/x"),
    ("user-agent bot\ndisallow: /\n", "/x"),
    ("useragent: bot\ndisallow: /\n", "/x"),
    ("user-agent: bot\ndissallow: /x\n", "/x"),
    ("user-agent: bot # us\ndisallow: /x # not this\n", "/x"),
    ("\u{feff}user-agent: bot\ndisallow: /x\n", "/x"),
    ("user-agent: bot\r\ndisallow: /x\r\n", "/x"),
    ("user-agent: bot\rdisallow: /x\r", "/x"),
    ("user-agent: bot\ndisallow: x\n", "/x"),
    ("user-agent: bot\ndisallow: /X\n", "/x"),
    ("user-agent: bot\ndisallow: /a%3cd.html\n", "/a%3Cd.html"),
    ("user-agent: bot\ndisallow: /a%2fb\n", "/a/b"),
    ("user-agent: bot\ndisallow: /~joe\n", "/%7Ejoe"),
    ("user-agent: bot\ndisallow: /ä\n", "/%C3%A4"),
    ("user-agent: bot\ncrawl-delay: 5\nuser-agent: other\ndisallow: /\n", "/x"),
    ("user-agent: bot\n\n\ndisallow: /x\n", "/x"),
    ("user-agent: bot\nsitemap: https://h/s.xml\ndisallow: /x\n", "/x"),
    ("user-agent: bot\nnoindex: /x\ndisallow: /y\n", "/y"),
    ("user-agent: bot-images\ndisallow: /\n", "/x"),
    ("user-agent: *\ndisallow: /x\n", "/robots.txt"),
    ("user-agent: *\ndisallow: /\n", "/robots.txt"),
    ("user-agent: * bot\ndisallow: /x\n", "/x"),
    ("user-agent: bot\ndisallow: /a$b\n", "/a$b"),
    ("user-agent: bot\ndisallow: /?\n", "/?q"),
    ("user-agent: bot\ndisallow: /*?\n", "/a?q"),
    ("user-agent: bot\nallow: /a/\ndisallow: /a/b\n", "/a/bc"),
    ("user-agent: bot\ndisallow: /a/**/b\n", "/a/x/b"),
];

/// Where the two differ: what ours says, and why.
const DIFFERENCES: [(&str, &str, bool, &str); 4] = [
    (
        "User-Agent: Bot/1.2\nDisallow: /a\n",
        "/a",
        false,
        "the product token ends at the first character that is none (RFC 9309, 2.2.1)",
    ),
    (
        "user-agent: bot foo\ndisallow: /\n",
        "/",
        false,
        "Google's parser, too, ends the name at the first blank",
    ),
    (
        "user-agent: bot\ndisallow: x\n",
        "/x",
        true,
        "a path begins with a slash (2.2.2); Google's parser passes over it too",
    ),
    (
        "user-agent: * bot\ndisallow: /x\n",
        "/x",
        false,
        "Google's parser takes `*` and a blank as everyone",
    ),
];

fn address(path: &str) -> Url {
    Url::parse("http://host.invalid").unwrap().join(path).unwrap()
}

#[test]
fn our_reader_and_the_crate_robotxt_differ_only_where_it_is_said() {
    let mut differ = Vec::new();
    for (text, path) in CASES {
        let url = address(path);
        let ours = Robots::parse(text.as_bytes(), "bot").allows(&url);
        let theirs = robotxt::Robots::parse(text.as_bytes(), "bot").is_url_allowed(&url);
        if ours != theirs {
            differ.push((text, path, ours));
        }
    }
    let said: Vec<_> = DIFFERENCES.map(|(text, path, ours, _)| (text, path, ours)).into();
    assert_eq!(differ, said);
}
