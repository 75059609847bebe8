use super::*;

fn told(address: &str) -> String {
    let found = by_address(&Url::parse(address).unwrap());
    found.map_or("nothing".to_owned(), |found| {
        let config = found.config;
        let site = config.site.map(|site| format!(" {site}")).unwrap_or_default();
        format!("{} {}{site}", config.kind.name(), config.board.unwrap_or_default())
    })
}

#[test]
fn an_address_tells_its_kind_and_board() {
    let check = |address: &str, expect: &str| assert_eq!(told(address), expect, "{address}");
    check("https://boards.greenhouse.io/acme/jobs/1", "greenhouse acme");
    check("https://job-boards.eu.greenhouse.io/acme", "greenhouse acme");
    check("https://boards.greenhouse.io/embed/job_board?for=acme&b=x", "greenhouse acme");
    check("https://boards-api.greenhouse.io/v1/boards/acme/jobs", "greenhouse acme");
    check("https://jobs.lever.co/Acme%20Co/0f0e", "lever Acme Co");
    check("https://jobs.eu.lever.co/acme", "lever acme");
    check("https://jobs.ashbyhq.com/acme?utm=1", "ashby acme");
    check("https://apply.workable.com/acme/j/AB12/", "workable acme");
    check("https://apply.workable.com/j/AB12", "nothing");
    check("https://careers.smartrecruiters.com/Acme1", "smartrecruiters Acme1");
    check("https://acme.recruitee.com/o/cook", "recruitee acme");
    check("https://acme.na.teamtailor.com/jobs", "teamtailor acme");
    check("https://acme.jobs.personio.com/job/1?language=en", "personio acme");
    check("https://acme.breezy.hr/", "breezy acme");
    check("https://acme.bamboohr.com/careers", "bamboohr acme");
    check("https://acme.pinpointhq.com/", "pinpoint acme");
    check("https://ats.rippling.com/acme/jobs", "rippling acme");
    check("https://ats.rippling.com/en-GB/acme/jobs", "rippling acme");
    check("https://join.com/companies/acme/1-cook", "join acme");
    check("https://acme.wd5.myworkdayjobs.com/en-US/External/job/x", "workday acme.wd5 External");
    check("https://wd3.myworkdaysite.com/en-US/recruiting/acme/Jobs", "workday acme Jobs");
    check(
        "https://ab.fa.us6.oraclecloud.com/hcmUI/CandidateExperience/en/sites/CX_1/jobs",
        "oracle ab.fa.us6 CX_1",
    );
    check("https://careers-acme.icims.com/jobs/search", "icims careers-acme");
    check("https://remotive.com/remote-jobs", "remotive ");
    check("https://acme.example/careers", "nothing");
    check("https://www.recruitee.com/", "nothing");
}

#[test]
fn a_page_tells_by_what_stands_in_it() {
    let page = Url::parse("https://acme.example/careers").unwrap();
    let kinds = |body: &str| -> Vec<String> {
        let found = in_page(body, &page, "2026-11-23T12:00:00Z".parse().unwrap()).unwrap();
        let told = found
            .into_iter()
            .map(|f| format!("{} {}", f.config.kind.name(), f.config.board.unwrap_or_default()));
        told.collect()
    };
    let check = |body: &str, expect: &[&str]| assert_eq!(kinds(body), expect, "{body}");
    check(
        "<script src='https://boards.greenhouse.io/embed/job_board/js?for=acme'></script>",
        &["greenhouse acme"],
    );
    check(
        "<a href=\"//jobs.lever.co/acme\">Jobs</a> <a href='https://jobs.lever.co/acme'>",
        &["lever acme"],
    );
    check(
        "var u=\"https:\\/\\/jobs.ashbyhq.com\\/acme\"; x('jobs.ashbyhq.com/acme/embed')",
        &["ashby acme"],
    );
    check("<link rel=alternate type=\"application/rss+xml\" href=\"/jobs.rss\">", &["rss "]);
    check("<link rel=alternate type=\"application/rss+xml\" title=News href=\"/blog.rss\">", &[]);
    check("<script src=/platform/js/j2w/min/j2w.core.min.js></script>", &["successfactors "]);
    check("<p>We are hiring! Mail us.", &[]);
    let data = r#"{"props":{"pageProps":{"menu":[{"title":"Home","url":"/"}],"jobs":[{"id":1,"title":"Cook","slug":"cook","location":{"name":"Bonn"}}]}}}"#;
    let next = format!("<script id=\"__NEXT_DATA__\" type=\"application/json\">{data}</script>");
    check(&next, &["json "]);
}

#[test]
fn what_was_found_is_toml_that_the_configuration_reads() {
    let page = Url::parse("https://acme.example/api/jobs").unwrap();
    let body = r#"{"data":{"jobs":[{"id":1,"name":"Co\"ok","url":"/1","location":{"city":"Bonn"},"createdAt":"2026-11-01"}]}}"#;
    let found = in_json(body, &page).unwrap();
    let config = crate::config::ScrapeSettings::from_toml(&found.toml()).unwrap();
    assert_eq!(config.sources[0].paths.items, "data.jobs");
    assert_eq!(config.sources[0].paths.location.as_deref(), Some("location.city"));
    assert_eq!(config.sources[0].kind, SourceKind::Json);
    for address in ["https://acme.wd5.myworkdayjobs.com/External", "https://jobs.eu.lever.co/acme"]
    {
        let found = by_address(&Url::parse(address).unwrap()).unwrap();
        let config = crate::config::ScrapeSettings::from_toml(&found.toml()).unwrap();
        assert_eq!(config.sources[0].board, found.config.board);
    }
}

#[test]
fn sitemaps_are_found_in_robots_txt_and_judged_by_their_addresses() {
    let robots = "User-agent: *\nSITEMAP: https://acme.example/map.xml\nSitemap: nonsense";
    assert_eq!(sitemaps(robots)[0].as_str(), "https://acme.example/map.xml");
    let url = &sitemaps(robots)[0];
    let body = "<urlset><url><loc>https://a.test/job/1</loc></url><url><loc>https://a.test/job/2</loc></url></urlset>";
    assert_eq!(in_sitemap(body, url).unwrap().config.pattern.as_deref(), Some("/job/"));
    assert_eq!(in_sitemap("<urlset></urlset>", url), None);
}

/// What a page's boards are, the best first.
fn boards(body: &str) -> Vec<String> {
    let page = Url::parse("https://careers.acme-works.example/jobs").unwrap();
    let found = in_page(body, &page, "2026-11-23T12:00:00Z".parse().unwrap()).unwrap();
    let told = found.iter().map(|found| {
        crate::config::ScrapeSettings::from_toml(&found.toml()).unwrap();
        let config = &found.config;
        let base = config.base_url.as_ref().map(|url| format!(" at {}", url.expose()));
        let board = config.board.as_deref().unwrap_or_default();
        format!("{} {board}{}", config.kind.name(), base.unwrap_or_default())
    });
    told.collect()
}

/// Pages that embed a board, and which.
#[rustfmt::skip]
const EMBEDDED: [(&str, &str); 31] = [
    ("<iframe src='https://job-boards.greenhouse.io/embed/job_board?for=acme&amp;b=https%3A%2F%2Facme.example'>", "greenhouse acme"),
    ("<iframe id=grnhse_iframe src=https://boards.greenhouse.io/embed/job_app?token=1&for=acme>", "greenhouse acme"),
    ("<div id=grnhse_app></div><script src=\"https://boards.eu.greenhouse.io/embed/job_board/js?for=acme\"></script>", "greenhouse acme"),
    ("<script>fetch('https://boards-api.greenhouse.io/v1/boards/acme/jobs?content=true')</script>", "greenhouse acme"),
    ("<div data-greenhouse-board='acme'>", "greenhouse acme"),
    ("<script>{\"greenhouseBoardToken\":\"acme\"}</script>", "greenhouse acme"),
    ("<div data-ats=\"greenhouse\" data-board-token=x data-board=\"acme\">", "greenhouse acme"),
    ("<script>Greenhouse.load({ boardToken: 'acme' })</script>", "greenhouse acme"),
    ("<script>window.loadLeverJobs({ accountName: \"acme\", includeCss: true });</script>", "lever acme"),
    ("<script>$.getJSON('https://api.lever.co/v0/postings/acme?mode=json')</script>", "lever acme"),
    ("<a href=https://jobs.lever.co/acme/0f-1>Cook</a><a href=https://jobs.lever.co/acme/2>", "lever acme"),
    ("<div class=jobs data-lever-site='acme'>", "lever acme"),
    ("<div id=ashby_embed></div><script src=\"https://jobs.ashbyhq.com/acme/embed?version=2\"></script>", "ashby acme"),
    ("<script>{\"url\":\"https:\\/\\/api.ashbyhq.com\\/posting-api\\/job-board\\/acme?x=1\"}</script>", "ashby acme"),
    ("<script src=https://jobs.ashbyhq.com/_next/static/a.js></script><a href=https://jobs.ashbyhq.com/acme/1>", "ashby acme"),
    ("<a href='https://apply.workable.com/acme/'>Jobs</a>", "workable acme"),
    ("<a href='https://acme.workable.com/jobs/12'>Cook</a>", "workable acme"),
    ("<script src='https://www.workable.com/assets/embed.js'></script><script>whr_embed(48721, {detail: 'titles'});</script>", "workable 48721"),
    ("<script src='https://static.smartrecruiters.com/job-widget/1.6.3/script/smart_widget.js'></script><script>widget({\"company_code\": \"Acme1\", \"lang\": \"en\"})</script>", "smartrecruiters Acme1"),
    ("<a href='https://jobs.smartrecruiters.com/Acme1/74399-cook'>Cook</a>", "smartrecruiters Acme1"),
    ("<a href='https://jobs.smartrecruiters.com/oneclick-ui/company/Acme1/publication/1'>Apply</a>", "smartrecruiters Acme1"),
    ("<script>u='https://api.smartrecruiters.com/v1/companies/Acme1/postings'</script>", "smartrecruiters Acme1"),
    ("<iframe src='https://acme.recruitee.com/?embed=1'></iframe>", "recruitee acme"),
    ("<img src=https://app.recruitee.com/l.png><a href=https://acme.recruitee.com/o/cook>", "recruitee acme"),
    ("<iframe src=\"https://acme.jobs.personio.de/?language=de\"></iframe>", "personio acme"),
    ("<script>const feed = `https://acme.jobs.personio.com/xml`</script>", "personio acme"),
    ("<div data-personio-subdomain=\"acme\">", "personio acme"),
    ("<a href='https://acme.teamtailor.com/jobs'>All jobs</a><script src='https://scripts.teamtailor-cdn.com/widgets/production/jobs.js'></script>", "teamtailor acme"),
    ("<script src='https://acme.breezy.hr/embed/js?link_external=true'></script>", "breezy acme"),
    ("<div id=BambooHR data-domain=\"acme.bamboohr.com\" data-version=1></div><script src=https://resources.bamboohr.com/js/embed.js>", "bamboohr acme"),
    ("<iframe src='https://careers-acme.icims.com/jobs/search?in_iframe=1'>", "icims careers-acme"),
];

#[test]
fn a_page_that_embeds_a_board_tells_it_by_frame_script_link_setting_or_attribute() {
    for (page, board) in EMBEDDED {
        assert_eq!(boards(page), [board], "{page}");
    }
}

#[test]
fn a_page_that_a_service_makes_under_the_companys_own_host_is_read_there() {
    let check = |body: &str, expect: &[&str]| assert_eq!(boards(body), expect, "{body}");
    let at = "acme-works at https://careers.acme-works.example";
    let made = |kind: &str| format!("{kind} {at}");
    check(
        "<link href='https://assets-aws.teamtailor-cdn.com/assets/a.css'>",
        &[&made("teamtailor")],
    );
    check("<script src='https://careers.recruiteecdn.com/a.js'></script>", &[&made("recruitee")]);
}

#[test]
fn what_is_a_services_own_is_no_board() {
    let check = |body: &str| assert_eq!(boards(body), [""; 0], "{body}");
    check("<script src='https://www.workable.com/assets/embed.js'></script>");
    check("<a href='https://www.greenhouse.io/privacy'>Greenhouse</a>");
    check("<img src='https://s3-recruiting.cdn.greenhouse.io/logos/a.png'>");
    check("<img src=https://attachments-cdn.breezy.hr/a.png>");
    check(
        "<script src='https://scripts.teamtailor-cdn.com/widgets/production/jobs.js'></script><div class=teamtailor-jobs-widget data-teamtailor-api-key=abc>",
    );
    check("<a href=https://help.workable.com/hc>Help</a><a href=https://app.bamboohr.com/login>");
    check("<p>We use Lever: company culture matters. leverage=\"high\" data-lever-company=true");
    check("<script>greenhouse = { board: true, boardToken: token }</script>");
}
