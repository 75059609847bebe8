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
