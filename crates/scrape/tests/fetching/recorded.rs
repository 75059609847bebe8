//! What was recorded from real sites, where it stands beside the workspace.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rhubarb_scrape::{charset, proxies, robots::Robots};
use url::Url;

/// Returns the folder, or says loudly that its suite is left out.
fn recorded(kind: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata").join(kind);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("LEFT OUT: recorded {kind}: no ../shared/realdata beside the workspace");
    None
}

/// Returns the rows of a tab-separated file below its head.
fn rows(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Prints the count and fails with what was missed.
fn report(what: &str, checked: usize, missed: &[String]) {
    println!("{what}: {checked} checked, {} missed", missed.len());
    assert!(checked > 0, "{what}: nothing to check");
    assert!(missed.is_empty(), "{what}:\n{}", missed.join("\n"));
}

fn page(path: &str) -> Url {
    Url::parse("http://host.invalid").unwrap().join(path).unwrap()
}

#[test]
fn recorded_robots_txt_allows_what_two_other_parsers_agree_on() {
    let Some(folder) = recorded("robots") else { return };
    let (mut checked, mut missed) = (0, Vec::new());
    for row in rows(&folder.join("oracle_allow.tsv")) {
        let [file, agent, path, expect] = row.as_slice() else { panic!("{row:?}") };
        let bytes = fs::read(folder.join("sites").join(file)).unwrap();
        let allowed = Robots::parse(&bytes, agent).allows(&page(path));
        checked += 1;
        if allowed != (expect == "allow") {
            missed.push(row.join(" "));
        }
    }
    report("robots.txt verdicts", checked, &missed);
}

#[test]
fn recorded_crawl_delays_are_read() {
    let Some(folder) = recorded("robots") else { return };
    let (mut checked, mut missed) = (0, Vec::new());
    for row in rows(&folder.join("oracle_delay_sitemap.tsv")) {
        let bytes = fs::read(folder.join("sites").join(&row[0])).unwrap();
        let found = Robots::parse(&bytes, "JobScraperBot").crawl_delay();
        let expect = row[1].parse().ok().map(Duration::from_secs_f64);
        checked += 1;
        if found != expect {
            missed.push(format!("{} {found:?} {expect:?}", row[0]));
        }
    }
    report("crawl delays", checked, &missed);
}

/// Where RFC 9309 and the reference parser part: 2.2.2 has both sides brought to one form before
/// they are compared, the parser leaves that of the URL to its caller, and ours does it, as every
/// request does.
const BEYOND_THE_REFERENCE: [(&str, &str); 3] = [
    ("/foo/bar/ツ", "http://foo.bar/foo/bar/ツ"),
    ("/foo/bar/%E3%83%84", "http://foo.bar/foo/bar/ツ"),
    ("/foo/bar/%62%61%7A", "http://foo.bar/foo/bar/baz"),
];

#[test]
fn robots_txt_is_read_as_the_reference_parser_reads_it() {
    let Some(folder) = recorded("robots") else { return };
    let text = fs::read_to_string(folder.join("cases_google_robotstxt.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let (mut checked, mut missed) = (0, Vec::new());
    for case in cases {
        let of = |key: &str| case[key].as_str().unwrap();
        let Ok(url) = Url::parse(of("url")) else { continue };
        let allowed = Robots::parse(of("robots").as_bytes(), of("agent")).allows(&url);
        checked += 1;
        let differs = BEYOND_THE_REFERENCE.iter().any(|(pattern, at)| {
            *at == of("url") && of("robots").ends_with(&format!("Allow: {pattern}\n"))
        });
        if allowed != (differs || case["allowed"].as_bool().unwrap()) {
            missed.push(case.to_string());
        }
    }
    report("reference parser's cases", checked, &missed);
}

#[test]
fn robots_txt_of_other_suites_is_read_without_harm() {
    let Some(folder) = recorded("robots") else { return };
    let mut checked = 0;
    for sub in ["sites", "other"] {
        for file in fs::read_dir(folder.join(sub)).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            Robots::parse(&bytes, "JobScraperBot").allows(&page("/jobs"));
            checked += 1;
        }
    }
    report("robots.txt files", checked, &[]);
}

#[test]
fn recorded_feeds_are_decoded() {
    let Some(folder) = recorded("charset") else { return };
    let (mut checked, mut missed) = (0, Vec::new());
    for row in rows(&folder.join("MANIFEST.tsv")) {
        let text = charset::decode(&fs::read(folder.join(&row[0])).unwrap(), None, None);
        for title in row[9].trim_start_matches("decoded first titles:").split(" | ") {
            checked += 1;
            if !text.contains(title.trim()) {
                missed.push(format!("{}: {title}", row[0]));
            }
        }
    }
    report("titles decoded", checked, &missed);
}

#[test]
fn recorded_proxy_lists_are_read() {
    let Some(folder) = recorded("proxies") else { return };
    let (mut checked, mut missed) = (0, Vec::new());
    // Lines that begin with an address, counted by eye and `grep -c`; the rest of a list is prose.
    for (file, proxies, refused) in [
        ("scheme_host_port.txt", 200, 0),
        ("http_scheme.txt", 80, 0),
        ("ip_port.txt", 120, 0),
        ("ip_port_country_flags.txt", 400, 6),
        ("proxies_geo.json", 60, 0),
    ] {
        let list = proxies::parse_list(&fs::read_to_string(folder.join(file)).unwrap());
        checked += list.proxies.len();
        if (list.proxies.len(), list.refused) != (proxies, refused) {
            missed.push(format!("{file}: {} read, {} refused", list.proxies.len(), list.refused));
        }
    }
    report("proxies", checked, &missed);
}
