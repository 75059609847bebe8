//! `rhubarb sources check` and `find`, as a person reads them, on one of each kind.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use rhubarb_e2e::{installation::Installation, redis_server::RedisServer};
use rhubarb_testbed::site::Site;

use crate::BINARIES;

/// A kind of source: what is written in the configuration beside `type` and `name`, under which
/// path of its site it is asked for postings, what a sound answer is, and a title in it.
struct Kind {
    name: &'static str,
    settings: &'static str,
    path: &'static str,
    answer: &'static str,
    title: &'static str,
}

const fn kind(
    name: &'static str,
    settings: &'static str,
    path: &'static str,
    answer: &'static str,
    title: &'static str,
) -> Kind {
    Kind { name, settings, path, answer, title }
}

const BOARD: &str = "board = \"acme\"\nbase_url = \"{site}\"";
const BASE: &str = "base_url = \"{site}\"";
const PAGE: &str = "urls = [\"{site}/page\"]";

#[rustfmt::skip]
const KINDS: [Kind; 29] = [
    kind("greenhouse", BOARD, "/v1/boards/acme/jobs",
        r#"{"jobs":[{"id":1,"title":"Cook","absolute_url":"https://acme.example/1","location":{"name":"Bonn"}}],"meta":{"total":1}}"#, "Cook"),
    kind("lever", BOARD, "/v0/postings/acme",
        r#"[{"id":"l1","text":"Cook","hostedUrl":"https://acme.example/1","categories":{"location":"Bonn"}}]"#, "Cook"),
    kind("ashby", BOARD, "/posting-api/job-board/acme",
        r#"{"apiVersion":"1","jobs":[{"id":"a1","title":"Cook","jobUrl":"https://acme.example/1","location":"Bonn","isListed":true}]}"#, "Cook"),
    kind("workday", "board = \"acme\"\nsite = \"External\"\nbase_url = \"{site}\"", "/wday/cxs/acme/External/jobs",
        r#"{"total":1,"jobPostings":[{"title":"Cook","externalPath":"/job/X/C_R-1","bulletFields":["R-1"]}]}"#, "Cook"),
    kind("remoteok", BASE, "/api",
        r#"[{"legal":"x"},{"id":"1","position":"Cook","company":"Acme","url":"https://acme.example/1","date":"2026-11-02T10:00:00+00:00"}]"#, "Cook"),
    kind("weworkremotely", BASE, "/remote-jobs.rss",
        "<rss><channel><item><title>Acme: Cook</title><link>https://acme.example/1</link><guid>https://acme.example/1</guid></item></channel></rss>", "Cook"),
    kind("arbeitnow", BASE, "/api/job-board-api",
        r#"{"data":[{"slug":"cook-1","title":"Cook","company_name":"Acme","url":"https://acme.example/1","location":"Bonn","created_at":1795000000}],"links":{},"meta":{}}"#, "Cook"),
    kind("workable", BOARD, "/api/v1/widget/accounts/acme",
        r#"{"name":"Acme","jobs":[{"title":"Cook","shortcode":"W1","url":"https://acme.example/1","city":"Bonn"}]}"#, "Cook"),
    kind("smartrecruiters", BOARD, "/v1/companies/acme/postings",
        r#"{"totalFound":1,"content":[{"id":"1","name":"Cook","company":{"identifier":"acme","name":"Acme"}}]}"#, "Cook"),
    kind("recruitee", BOARD, "/api/offers/",
        r#"{"offers":[{"id":1,"title":"Cook","careers_url":"https://acme.example/1","location":"Bonn","company_name":"Acme"}]}"#, "Cook"),
    kind("teamtailor", BOARD, "/jobs.rss",
        "<rss><channel><item><title>Cook</title><link>https://acme.example/jobs/1-cook</link><guid>g1</guid></item></channel></rss>", "Cook"),
    kind("personio", BOARD, "/xml",
        "<workzag-jobs><position><id>1</id><name>Cook</name><office>Bonn</office></position></workzag-jobs>", "Cook"),
    kind("rippling", BOARD, "/platform/api/ats/v1/board/acme/jobs",
        r#"[{"uuid":"u1","name":"Cook","url":"https://acme.example/1","workLocation":{"label":"Bonn"}}]"#, "Cook"),
    kind("breezy", BOARD, "/json",
        r#"[{"id":"b1","name":"Cook","url":"https://acme.example/1","location":{"name":"Bonn"},"company":{"name":"Acme"}}]"#, "Cook"),
    kind("bamboohr", BOARD, "/careers/list",
        r#"{"meta":{"totalCount":1},"result":[{"id":"7","jobOpeningName":"Cook","location":{"city":"Bonn"}}]}"#, "Cook"),
    kind("pinpoint", BOARD, "/postings.json",
        r#"{"data":[{"id":"1","title":"Cook","url":"https://acme.example/1","location":{"name":"Bonn"}}]}"#, "Cook"),
    kind("join", BOARD, "/companies/acme",
        r#"<html><script id="__NEXT_DATA__" type="application/json">{"props":{"pageProps":{"initialState":{"company":{"name":"Acme"},"jobs":{"items":[{"id":1,"idParam":"1-cook","title":"Cook"}],"pagination":{"page":1,"pageCount":1,"total":1}}}}}}</script></html>"#, "Cook"),
    kind("oracle", "board = \"acme\"\nsite = \"CX_1\"\nbase_url = \"{site}\"", "/hcmRestApi/resources/latest/recruitingCEJobRequisitions",
        r#"{"items":[{"TotalJobsCount":1,"requisitionList":[{"Id":"1","Title":"Cook","PrimaryLocation":"Bonn"}]}]}"#, "Cook"),
    kind("icims", BOARD, "/jobs/search",
        r#"<ul class="iCIMS_JobsTable"><li class="iCIMS_JobCardItem"><div class="title"><a href="{site}/jobs/8/cook/job" class="iCIMS_Anchor" title="8 - Cook"><h3>Cook</h3></a></div></li></ul>"#, "Cook"),
    kind("successfactors", "base_url = \"{site}\"\nmax_details = 0", "/sitemal.xml",
        "<rss><channel><title>Acme - Search</title><item><title>Cook (Bonn, DE)</title><link>https://acme.example/job/Bonn-Cook/1/</link></item></channel></rss>", "Cook"),
    kind("remotive", BASE, "/api/remote-jobs",
        r#"{"jobs":[{"id":1,"title":"Cook","company_name":"Acme","url":"https://acme.example/1"}]}"#, "Cook"),
    kind("himalayas", BASE, "/jobs/api",
        r#"{"totalCount":1,"jobs":[{"title":"Cook","companyName":"Acme","guid":"https://acme.example/1"}]}"#, "Cook"),
    kind("jobicy", BASE, "/api/v2/remote-jobs",
        r#"{"jobs":[{"id":1,"jobTitle":"Cook","companyName":"Acme","url":"https://acme.example/1"}]}"#, "Cook"),
    kind("hackernews", BASE, "/api/v1/items/20",
        r#"{"id":20,"children":[{"id":1,"created_at":"2026-11-02T10:00:00.000Z","text":"Acme | Cook | Bonn, Germany | ONSITE"}]}"#, "Cook"),
    kind("json", "urls = [\"{site}/data\"]\npaths = { items = \"jobs\", title = \"title\", link = \"url\" }", "/data",
        r#"{"jobs":[{"title":"Cook","url":"https://acme.example/1"},{"title":"Baker","url":"https://acme.example/2"}]}"#, "Cook"),
    kind("rss", "urls = [\"{site}/feed\"]", "/feed",
        "<rss version='2.0'><channel><item><title>Cook</title><link>https://acme.example/1</link></item></channel></rss>", "Cook"),
    kind("sitemap", "urls = [\"{site}/sitemap.xml\"]", "/sitemap.xml",
        "<urlset><url><loc>{site}/jobs/1</loc></url><url><loc>{site}/jobs/2</loc></url></urlset>", "Cook"),
    kind("jsonld", PAGE, "/page",
        r#"<html><script type="application/ld+json">{"@type":"JobPosting","title":"Cook","hiringOrganization":"Acme","description":"Come."}</script></html>"#, "Cook"),
    kind("html", "urls = [\"{site}/page\"]\nselectors = { item = \"li.job\", title = \"a\", link = \"a\" }", "/page",
        "<html><ul><li class=job><a href='/1'>Cook</a></li></ul></html>", "Cook"),
];

/// What else a sound site has.
#[rustfmt::skip]
const BESIDE: [(&str, &str); 3] = [
    ("/hackernews/api/v1/search_by_date",
        r#"{"hits":[{"objectID":"20","title":"Ask HN: Who is hiring? (November 2026)","created_at_i":20}]}"#),
    ("/sitemap/jobs/1",
        r#"<html><script type="application/ld+json">{"@type":"JobPosting","title":"Cook","hiringOrganization":"Acme","description":"Come."}</script></html>"#),
    ("/sitemap/jobs/2",
        r#"<html><script type="application/ld+json">{"@type":"JobPosting","title":"Baker","hiringOrganization":"Acme","description":"Come."}</script></html>"#),
];

/// What becomes of a source that was sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Good,
    /// The board is not there.
    Missing,
    /// A careers page for people stands where the data was.
    Redesigned,
    /// A page that checks visitors stands there.
    Guarded,
    /// A login stands there.
    LoggedOut,
    /// The server is at fault.
    Failing,
    /// The site refuses programs.
    Refusing,
    /// It asks to be left alone.
    Throttling,
    /// The answer ends in its middle.
    CutOff,
    /// robots.txt forbids it.
    Forbidden,
    /// Data of another shape.
    Otherwise,
}

impl Fate {
    const BROKEN: [Self; 10] = [
        Self::Missing,
        Self::Redesigned,
        Self::Guarded,
        Self::LoggedOut,
        Self::Failing,
        Self::Refusing,
        Self::Throttling,
        Self::CutOff,
        Self::Forbidden,
        Self::Otherwise,
    ];

    fn answer(self, good: &str) -> (u16, String) {
        const CAREERS: &str = "<!doctype html><html><title>Careers</title><body><h1>Work with us</h1>\
            <p>We are a team of bakers.</p><a href=/about>About</a><a href=/news>News</a></html>";
        const LOGIN: &str = "<!doctype html><html><title>Sign in</title><form action=/in method=post>\
            <input name=user><input type=password name=password></form></html>";
        const GUARD: &str = "<!doctype html><html><head><title>Just a moment...</title></head><body>\
            <script src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1'></script></html>";
        match self {
            Self::Good | Self::Forbidden => (200, good.to_owned()),
            Self::Missing => (404, "not found".to_owned()),
            Self::Redesigned => (200, CAREERS.to_owned()),
            Self::Guarded => (403, GUARD.to_owned()),
            Self::LoggedOut => (200, LOGIN.to_owned()),
            Self::Failing => (500, "oops".to_owned()),
            Self::Refusing => (403, "no".to_owned()),
            Self::Throttling => (429, "slow".to_owned()),
            Self::CutOff => (200, good[..good.len() * 2 / 3].to_owned()),
            Self::Otherwise => (200, r#"{"results":{"a":1},"status":"ok"}"#.to_owned()),
        }
    }
}

/// Serves each kind under its name, and in each state under the state's and its name.
async fn site() -> Site {
    let answer = |request: Request| async move { answered(&request) };
    Site::start(Router::new().fallback(answer)).await
}

fn answered(request: &Request) -> Response {
    let host = request.headers()[header::HOST].to_str().unwrap().to_owned();
    let path = request.uri().path();
    if path == "/robots.txt" {
        return "User-agent: *\nDisallow: /Forbidden/\n".into_response();
    }
    let mut parts = path.splitn(4, '/').skip(1);
    let (fate, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let rest = format!("/{}", parts.next().unwrap_or_default());
    let fates = [Fate::Good].into_iter().chain(Fate::BROKEN);
    let found = fates.into_iter().find(|one| format!("{one:?}") == fate);
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let (Some(fate), Some(kind)) = (found, kind) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let beside = BESIDE.iter().find(|(path, _)| *path == format!("/{name}{rest}"));
    let is_list = rest == kind.path;
    let good = match beside {
        Some((_, body)) => body,
        None if is_list => kind.answer,
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    let good = good.replace("{site}", &format!("http://{host}/{fate:?}/{name}"));
    let (status, body) = if is_list { fate.answer(&good) } else { (200, good) };
    let is_html =
        body.starts_with("<!doctype") || body.starts_with("<html") || body.starts_with("<ul");
    let content_type = match body.as_bytes().first() {
        Some(b'<') if is_html => "text/html",
        Some(b'<') => "application/xml",
        Some(b'{' | b'[') => "application/json",
        _ => "text/plain",
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn sources(site: &Site, fates: &[Fate]) -> String {
    let mut text = String::new();
    for fate in fates {
        for kind in &KINDS {
            let base = site.url(&format!("/{fate:?}/{}", kind.name));
            let settings = kind.settings.replace("{site}", &base);
            let name = kind.name;
            text.push_str(&format!(
                "[[sources]]\ntype = \"{name}\"\nname = \"{fate:?} {name}\"\n{settings}\n"
            ));
        }
    }
    text
}

async fn installation(site: &Site, fates: &[Fate]) -> Installation {
    let scrape = "[scrape]\nmin_interval = 0\nconcurrent_per_host = 100\nallow_private = [\"*\"]\n";
    let text = format!("{scrape}{}", sources(site, fates));
    Installation::new(BINARIES, RedisServer::start().await, &text)
}

/// Runs `sources check` for each of these names and returns exit code and output by name.
async fn checked(
    installation: &Installation,
    names: Vec<String>,
) -> BTreeMap<String, (i32, String)> {
    let check = |name: String| async move {
        let ran = installation.rhubarb(&["sources", "check", &name]).await;
        (name, (ran.code, ran.stdout + &ran.stderr))
    };
    stream::iter(names.into_iter().map(check)).buffer_unordered(4).collect().await
}

#[tokio::test]
async fn one_of_each_kind_that_is_sound_shows_its_records() {
    let site = site().await;
    let installation = installation(&site, &[Fate::Good]).await;
    let names = KINDS.iter().map(|kind| format!("Good {}", kind.name)).collect();
    let checked = checked(&installation, names).await;
    let mut wrong = String::new();
    for kind in &KINDS {
        let (code, text) = &checked[&format!("Good {}", kind.name)];
        let shows = text.contains(&format!("\n  {}\n", kind.title));
        if *code != 0 || !shows || !text.contains("1. fetched") || text.contains("What is wrong") {
            wrong.push_str(&format!("== {} ({code})\n{text}\n", kind.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Each broken one says what is wrong and what to do, in words of no program.
#[tokio::test]
async fn one_of_each_kind_that_is_broken_says_what_is_wrong_and_what_to_do() {
    let site = site().await;
    let installation = installation(&site, &Fate::BROKEN).await;
    let all = || {
        let all = Fate::BROKEN.iter().flat_map(|fate| KINDS.iter().map(move |kind| (*fate, kind)));
        // What of a page for people came before its end is read as a browser reads it.
        all.filter(|(fate, kind)| (*fate, kind.name) != (Fate::CutOff, "html"))
    };
    let names = all().map(|(fate, kind)| format!("{fate:?} {}", kind.name)).collect();
    let checked = checked(&installation, names).await;
    let mut wrong = String::new();
    for (fate, kind) in all() {
        let (code, text) = &checked[&format!("{fate:?} {}", kind.name)];
        if let Some(why) = faults(fate, *code, text) {
            wrong.push_str(&format!("== {fate:?} {} ({code}): {why}\n{text}\n", kind.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Says what a person would miss in the answer.
fn faults(fate: Fate, code: i32, text: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let advises = has(&["What to do: "])
        || text.split_once("What is wrong: ").is_some_and(|(_, rest)| {
            let line = rest.lines().next().unwrap_or_default();
            line.contains("; ")
        });
    let named: &[&str] = match fate {
        Fate::Good => &[],
        Fate::Missing => &["404"],
        Fate::Redesigned | Fate::Otherwise => {
            &["expected", "has no", "no list", "JobPosting", "in place of", "no item", "matches"]
        }
        Fate::Guarded => &["challenge", "refuses access"],
        Fate::LoggedOut => &["login", "HTML"],
        Fate::Failing => &["500"],
        Fate::Refusing => &["403", "refuses access"],
        Fate::Throttling => &["429", "left alone"],
        Fate::CutOff => {
            &["cut off", "no item", "has no", "JobPosting", "could not be read", "matches"]
        }
        Fate::Forbidden => &["robots.txt"],
    };
    if code != 1 {
        return Some("the exit code is not 1");
    }
    if has(&["panicked", "Some(", "Error {", "Err("]) {
        return Some("it speaks as a program does");
    }
    if !has(&["What is wrong: "]) {
        return Some("it does not say what is wrong");
    }
    if !advises {
        return Some("it does not say what to do");
    }
    (!has(named)).then_some("it does not name what is wrong")
}

/// A careers page finds its own source, or says that none is known and what then.
#[tokio::test]
async fn a_page_finds_its_source_or_says_what_to_do() {
    let site = site().await;
    let installation = installation(&site, &[]).await;
    let mut wrong = String::new();
    for (name, kind) in
        [("rss", "rss"), ("sitemap", "sitemap"), ("jsonld", "jsonld"), ("json", "json")]
    {
        let path = KINDS.iter().find(|kind| kind.name == name).unwrap().path;
        let url = site.url(&format!("/Good/{name}{path}"));
        let ran = installation.rhubarb(&["sources", "find", &url]).await;
        if ran.code != 0 || !ran.stdout.contains(&format!("type = \"{kind}\"")) {
            wrong.push_str(&format!("== {name} ({})\n{}{}\n", ran.code, ran.stdout, ran.stderr));
        }
    }
    for fate in Fate::BROKEN {
        let url = site.url(&format!("/{fate:?}/jsonld/page"));
        let ran = installation.rhubarb(&["sources", "find", &url]).await;
        let says =
            ran.stderr.contains("; ") || ran.stderr.contains("Use `") || ran.stderr.contains(". ");
        if ran.code == 0 || !says || ran.stderr.contains("Error {") {
            wrong.push_str(&format!("== {fate:?} ({})\n{}{}\n", ran.code, ran.stdout, ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Careers pages that embed a board, and what is to be pasted for each.
const EMBEDDED: [(&str, &str, &str); 8] = [
    (
        "/iframe",
        "<iframe src='https://job-boards.greenhouse.io/embed/job_board?for=acme'></iframe>",
        "type = \"greenhouse\"\nboard = \"acme\"\n",
    ),
    (
        "/widget",
        "<script>window.loadLeverJobs({accountName: 'acme'})</script>",
        "type = \"lever\"\nboard = \"acme\"\n",
    ),
    (
        "/script",
        "<script src='https://jobs.ashbyhq.com/acme/embed'></script>",
        "type = \"ashby\"\nboard = \"acme\"\n",
    ),
    (
        "/number",
        "<script src='https://www.workable.com/assets/embed.js'></script><script>whr_embed(48721)</script>",
        "type = \"workable\"\nboard = \"48721\"\n",
    ),
    (
        "/attribute",
        "<div data-personio-subdomain='acme'></div>",
        "type = \"personio\"\nboard = \"acme\"\n",
    ),
    (
        "/link",
        "<a href='https://acme.teamtailor.com/jobs'>Jobs</a>",
        "type = \"teamtailor\"\nboard = \"acme\"\n",
    ),
    (
        "/setting",
        "<script src='https://static.smartrecruiters.com/w.js'></script><script>w({\"company_code\":\"Acme1\"})</script>",
        "type = \"smartrecruiters\"\nboard = \"Acme1\"\n",
    ),
    (
        "/escaped",
        "<script>{\"url\":\"https:\\/\\/acme.recruitee.com\\/api\\/offers\"}</script>",
        "type = \"recruitee\"\nboard = \"acme\"\n",
    ),
];

#[tokio::test]
async fn a_page_that_embeds_a_board_finds_it() {
    let answer = |request: Request| async move {
        let found = EMBEDDED.iter().find(|(path, ..)| *path == request.uri().path());
        let page = found.map(|(_, page, _)| format!("<!doctype html><h1>Work here</h1>{page}"));
        page.map(axum::response::Html).ok_or(StatusCode::NOT_FOUND)
    };
    let site = Site::start(Router::new().fallback(answer)).await;
    let installation = installation(&site, &[]).await;
    for (path, _, toml) in EMBEDDED {
        let ran = installation.rhubarb(&["sources", "find", &site.url(path)]).await;
        assert!(ran.code == 0 && ran.stdout.contains(toml), "{path}: {}{}", ran.stdout, ran.stderr);
    }
}
