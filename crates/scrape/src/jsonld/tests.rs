use super::*;
use crate::testing::context;

fn read(blocks: &[&str]) -> Parsed {
    let script = |block: &&str| format!("<script type='application/ld+json'>{block}</script>");
    let page: String = blocks.iter().map(script).collect();
    postings(&page, &context()).unwrap()
}

const POSTING: &str = r#"{"@type":"JobPosting","title":"Cook"}"#;

#[test]
fn a_posting_is_found_wherever_it_stands() {
    let check = |blocks: &[&str], expect: usize| {
        let parsed = read(blocks);
        assert_eq!(parsed.listings.len(), expect, "{blocks:?} {parsed:?}");
        assert!(parsed.listings.iter().all(|listing| listing.title == "Cook"));
    };
    check(&[POSTING], 1);
    check(&["{\"@type\":\"Organization\"}", POSTING], 2 - 1);
    check(&[&format!("[{POSTING},{POSTING}]")], 2);
    check(&[&format!("{{\"@graph\":[{POSTING}]}}")], 1);
    check(&[&format!("{{\"itemListElement\":[{{\"item\":{POSTING}}}]}}")], 1);
    check(&[r#"{"@type":["Thing","JobPosting"],"title":"Cook"}"#], 1);
    check(&[r#"{"@type":"http://schema.org/JobPosting","title":"Cook"}"#], 1);
    check(&[&format!("<!--\n{POSTING}\n-->")], 1);
    check(&[&format!("//<![CDATA[\n{POSTING}\n//]]>")], 1);
    check(&[&format!("{POSTING};")], 1);
    check(&[""], 0);
}

#[test]
fn mistakes_inside_strings_are_repaired() {
    let block = "{\"@type\":\"JobPosting\",\"title\":\"Cook\",\"description\":\"a\n\tb\\_c \\\"d\\\" \\u00e9\"}";
    let parsed = read(&[block]);
    assert_eq!(parsed.listings[0].description, "a\nb_c \"d\" é");
}

#[test]
fn a_block_beyond_repair_is_skipped_with_its_reason() {
    let parsed = read(&["{\"@type\":", POSTING]);
    assert_eq!((parsed.listings.len(), parsed.skipped.len()), (1, 1));
    assert!(
        parsed.skipped[0].starts_with("JSON-LD block cannot be read: it is cut off"),
        "{parsed:?}"
    );
}

#[test]
fn the_company_may_be_elsewhere_on_the_page() {
    let graph = r##"{"@graph":[{"@type":"Organization","@id":"#o","name":"Acme"},
        {"@type":"JobPosting","title":"Cook","hiringOrganization":{"@id":"#o"}}]}"##;
    assert_eq!(read(&[graph]).listings[0].company, "Acme");
    let name = r#"{"@type":"JobPosting","title":"Cook","hiringOrganization":"Acme"}"#;
    assert_eq!(read(&[name]).listings[0].company, "Acme");
}

/// Compares what a posting with these fields says.
fn says(fields: &str, got: fn(&Listing) -> String, expect: &str) {
    let block = format!(r#"{{"@type":"JobPosting","name":"N",{fields}}}"#);
    let listing = read(&[&block]).listings.remove(0);
    assert_eq!(got(&listing), expect, "{fields}");
}

#[test]
fn values_are_read_in_each_form_that_json_ld_has() {
    let title = |l: &Listing| l.title.clone();
    says(r#""title":["Cook"]"#, title, "Cook");
    says(r#""title":["Cook","Koch"]"#, title, "Cook");
    says(r#""title":{"@value":"Cook","@language":"en"}"#, title, "Cook");
    says(r#""title":[{"@value":"Cook"}]"#, title, "Cook");
    says(r#""schema:title":"Cook""#, title, "Cook");
    says(r#""https://schema.org/title":{"@value":"Cook"}"#, title, "Cook");
    says(r#""http://schema.org/title":[{"@value":"Cook"}]"#, title, "Cook");
    let company = |l: &Listing| l.company.clone();
    says(r#""hiringOrganization":{"schema:name":"Acme"}"#, company, "Acme");
    says(r#""hiringOrganization":["Acme"]"#, company, "Acme");
    says(r#""hiringOrganization":[{"@type":"X"},{"name":["Acme","A"]}]"#, company, "Acme");
    says(r#""hiringOrganization":{"legalName":"Acme Ltd"}"#, company, "Acme Ltd");
    says(r#""hiringOrganization":"N/A""#, company, "N/A");
    let place = |l: &Listing| l.location.clone().unwrap_or_default();
    says(r#""jobLocation":"Bern""#, place, "Bern");
    says(r#""jobLocation":["Bern","Basel"]"#, place, "Bern; Basel");
    says(r#""jobLocation":{"name":"Bern"}"#, place, "Bern");
    says(r#""jobLocation":{"address":"Bern, CH"}"#, place, "Bern, CH");
    says(r#""jobLocation":{"address":{"addressLocality":["Bern"]}}"#, place, "Bern");
    says(
        r#""jobLocation":{"address":{"addressLocality":"Bern","addressCountry":{"name":"CH"}}}"#,
        place,
        "Bern, CH",
    );
    says(
        r#""jobLocation":[{"address":[{"addressLocality":"Bern"},{"addressLocality":"Basel"}]},"Chur"]"#,
        place,
        "Bern; Basel; Chur",
    );
    says(r#""jobLocation":{"@type":"PostalAddress","addressLocality":"Bern"}"#, place, "Bern");
    says(
        r#""applicantLocationRequirements":[{"@type":"Country","name":"US"},{"name":"CA"}]"#,
        place,
        "US; CA",
    );
    says(r#""applicantLocationRequirements":"Anywhere in the EU""#, place, "Anywhere in the EU");
}

#[test]
fn addresses_and_identifiers_are_read_in_each_form() {
    let url = |l: &Listing| l.url.clone();
    let job = "https://example.test/j/1";
    says(r#""url":["/j/1"]"#, url, job);
    says(r#""url":["/j/1","/j/2"]"#, url, job);
    says(r#""url":{"@id":"/j/1"}"#, url, job);
    says(r#""url":{"@type":"WebPage","url":"/j/1"}"#, url, job);
    says(r#""mainEntityOfPage":{"@type":"WebPage","@id":"https://example.test/j/1"}"#, url, job);
    says(r##""@id":"#job""##, url, context().page.as_str());
    says(
        r#""url":"/j/1?a=1&region=US&copy=2""#,
        url,
        "https://example.test/j/1?a=1&region=US&copy=2",
    );
    let id = |l: &Listing| l.external_id.clone();
    says(r#""identifier":7"#, id, "7");
    says(r#""identifier":{"name":"Acme","value":"Acme"}"#, id, context().page.as_str());
    says(
        r#""hiringOrganization":"Acme","identifier":[{"value":"ACME"},{"value":"R-7"}]"#,
        id,
        "R-7",
    );
    says(r#""description":["<p>a</p>","b"]"#, |l| l.description.clone(), "a\nb");
    says(
        r#""inLanguage":{"@type":"Language","name":"de"}"#,
        |l| l.language.clone().unwrap_or_default(),
        "de",
    );
}

#[test]
fn what_a_posting_refers_to_is_read_in_its_place() {
    let graph = r##"{"@graph":[
        {"@type":"JobPosting","title":"Cook","hiringOrganization":{"@id":"#o"},"jobLocation":[{"@id":"#p"},{"@id":"#none"}]},
        {"@id":"#p","@type":"Place","address":{"@id":"#a"}},
        {"@id":"#a","addressLocality":"Graz"}, {"@id":"#o","name":{"@value":"Acme"}}]}"##;
    let listing = read(&[graph]).listings.remove(0);
    assert_eq!((listing.company.as_str(), listing.location.as_deref()), ("Acme", Some("Graz")));
    let circle = r##"[{"@type":"JobPosting","@id":"#j","title":"Cook","hiringOrganization":{"@id":"#o"}},
        {"@id":"#o","name":{"@id":"#o"},"makes":{"@id":"#j"}}]"##;
    assert_eq!(read(&[circle]).listings.len(), 1);
    let stub = r##"[{"@type":"WebPage","mainEntity":{"@type":"JobPosting","@id":"#j"}},
        {"@type":"JobPosting","@id":"#j","title":"Cook"}]"##;
    let parsed = read(&[stub]);
    assert_eq!((parsed.listings.len(), parsed.n_skipped), (1, 0));
}

#[test]
fn types_are_known_in_each_form() {
    for kind in ["jobPosting", "JOBPOSTING", "schema:JobPosting", "https://schema.org/JobPosting/"]
    {
        assert_eq!(read(&[&POSTING.replace("JobPosting", kind)]).listings.len(), 1, "{kind}");
    }
    assert_eq!(read(&[r#"{"type":"JobPosting","title":"Cook"}"#]).listings.len(), 1);
    assert_eq!(read(&[r#"{"@type":"JobPostingList","title":"Cook"}"#]).listings.len(), 0);
}

#[test]
fn a_detail_pages_posting_is_the_listings_or_none() {
    let check = |blocks: &str, expect: Option<&str>| {
        let page = format!("<script type='application/ld+json'>{blocks}</script>");
        let url = "https://example.test/jobs/1".to_owned();
        let listing = Listing { title: "Cook".into(), url, ..Listing::default() };
        let found = posting_of(&page, &listing, &context()).unwrap();
        assert_eq!(found.as_ref().map(|l| l.company.as_str()), expect, "{blocks}");
    };
    let of = |title: &str, company: &str, more: &str| {
        format!(
            r#"{{"@type":"JobPosting","title":"{title}","hiringOrganization":"{company}"{more}}}"#
        )
    };
    check(&format!("[{},{}]", of("Baker", "A", ""), of("Cook", "B", "")), Some("B"));
    check(&of("Cook (m/w/d)", "B", ""), Some("B"));
    check(&of("Baker", "A", ""), None);
    check(&format!("[{},{}]", of("Cook", "A", ""), of("Cook", "B", "")), None);
    let own = r#","url":"/jobs/1?utm_source=x""#;
    check(&format!("[{},{}]", of("Cook", "A", ""), of("Koch", "B", own)), Some("B"));
    let main = format!(r#"[{},{{"mainEntity":{}}}]"#, of("Cook", "A", ""), of("Koch", "B", ""));
    check(&main, Some("B"));
}

#[test]
fn microdata_and_rdfa_are_read_where_there_is_no_json_ld() {
    let microdata = r#"<html lang="de-AT"><div itemscope itemtype="https://schema.org/JobPosting">
        <h1 itemprop="title"><a href="/x">Cook &amp; <em>Bak</em>er</a></h1>
        <a itemprop="url" href="/jobs/1">more</a>
        <div itemprop="hiringOrganization" itemscope itemtype="https://schema.org/Organization">
          <span itemprop="name">Acme</span></div>
        <div itemprop="jobLocation" itemscope itemtype="https://schema.org/Location">
          <div itemprop="address" itemscope itemtype="https://schema.org/PostalAddress">
            <span itemprop="addressLocality">Graz</span><meta itemprop="addressCountry" content="AT"></div></div>
        <time itemprop="datePosted" datetime="2026-11-05">Thursday</time>
        <div itemprop="description"><p>One</p><p>Two</p></div></div>"#;
    let rdfa = microdata
        .replace(
            "itemscope itemtype=\"https://schema.org/",
            "vocab=\"https://schema.org/\" typeof=\"",
        )
        .replace("itemprop=\"", "property=\"");
    for page in [microdata, &rdfa] {
        let listing = postings(page, &context()).unwrap().listings.remove(0);
        assert_eq!(listing.title, "Cook & Baker");
        assert_eq!(listing.url, "https://example.test/jobs/1");
        assert_eq!(
            (listing.company.as_str(), listing.location.as_deref()),
            ("Acme", Some("Graz, AT"))
        );
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-05T00:00:00+00:00"));
        assert_eq!(
            (listing.description.as_str(), listing.language.as_deref()),
            ("One\nTwo", Some("de-AT"))
        );
    }
}

#[test]
fn the_companys_address_is_not_the_postings() {
    let check = |url: &str, expect: &str| {
        let block = format!(
            r#"{{"@type":"JobPosting","title":"Cook","url":"{url}",
                "hiringOrganization":{{"name":"Acme","sameAs":"https://acme.test/en"}}}}"#
        );
        assert_eq!(read(&[&block]).listings[0].url, expect);
    };
    let page = context().page;
    check("https://acme.test/en/", page.as_str());
    check("https://acme.test", page.as_str());
    check("https://acme.test/jobs/1", "https://acme.test/jobs/1");
    check("mailto:x", page.as_str());
}

#[test]
fn the_last_day_and_the_language_are_read() {
    let check = |fields: &str, until: Option<&str>, language: Option<&str>| {
        let block = format!(r#"{{"@type":"JobPosting","title":"Cook",{fields}}}"#);
        let listing = read(&[&block]).listings.remove(0);
        let got = (listing.valid_through.as_deref(), listing.language.as_deref());
        assert_eq!(got, (until, language), "{fields}");
    };
    let day = Some("2026-12-24T23:59:59+00:00");
    check(r#""validThrough":"2026-12-24","inLanguage":"de_at""#, day, Some("de-AT"));
    let time = Some("2026-12-24T17:00:00+00:00");
    check(r#""validThrough":"2026-12-24T18:00:00+01:00","inLanguage":"en""#, time, Some("en"));
    check(r#""validThrough":"soon","inLanguage":"English""#, None, None);
}

#[test]
fn salaries_are_read_in_each_form() {
    let check = |salary: &str, expect: (Option<f64>, Option<f64>)| {
        let block = format!(
            r#"{{"@type":"JobPosting","title":"Cook","salaryCurrency":"EUR","baseSalary":{salary}}}"#
        );
        let listing = read(&[&block]).listings.remove(0);
        assert_eq!((listing.salary_min, listing.salary_max), expect, "{salary}");
        assert_eq!(listing.salary_currency.as_deref(), Some("EUR"));
    };
    check(r#"{"value":{"value":3000,"unitText":"MONTH"}}"#, (Some(3000.0), None));
    check(r#"{"value":"3000","unitText":"MONTH"}"#, (Some(3000.0), None));
    check(r#"{"minValue":"50,000","maxValue":60000}"#, (Some(50e3), Some(60e3)));
    check(r#""€50k - €60k""#, (Some(50e3), Some(60e3)));
}

#[test]
fn more_postings_than_are_read_of_a_page_are_said() {
    let page = |n: usize| {
        let all: Vec<String> = (0..n)
            .map(|n| format!(r#"{{"@type":"JobPosting","title":"Cook {n}","url":"/jobs/{n}"}}"#))
            .collect();
        read(&[&format!("[{}]", all.join(","))])
    };
    let whole = page(MAX_POSTINGS);
    assert_eq!((whole.listings.len(), whole.left_out.len()), (MAX_POSTINGS, 0));
    let cut = page(MAX_POSTINGS + 1);
    let said = "a page has more than the 1000 postings that are read of one";
    assert_eq!((cut.listings.len(), cut.left_out), (MAX_POSTINGS, vec![said.to_owned()]));
}

#[test]
fn names_may_have_the_prefix_that_the_block_declares() {
    let block = r#"{"@context":{"s":"https://schema.org/","o":"https://other.test/"},
        "@type":"s:JobPosting","s:title":"Cook","o:title":"Wrong","s:hiringOrganization":{"s:name":"Acme"}}"#;
    let listing = &read(&[block]).listings[0];
    assert_eq!((listing.title.as_str(), listing.company.as_str()), ("Cook", "Acme"));
}

#[test]
fn an_address_with_several_localities_is_several_places() {
    let block = r#"{"@type":"JobPosting","title":"Cook","jobLocation":{"@type":"Place",
        "address":{"addressLocality":["Bonn","Ulm"],"addressCountry":"DE"}}}"#;
    assert_eq!(read(&[block]).listings[0].locations, ["Bonn, DE", "Ulm, DE"]);
}

#[test]
fn a_currency_is_found_beside_its_number_and_under_its_other_name() {
    let of = |pay: &str| {
        let block = format!(r#"{{"@type":"JobPosting","title":"Cook","baseSalary":{pay}}}"#);
        let listing = read(&[&block]).listings[0].clone();
        (listing.salary_min, listing.salary_currency)
    };
    let price = r#"{"@type":"PriceSpecification","price":"52000","priceCurrency":"EUR"}"#;
    assert_eq!(of(price), (Some(52_000.0), Some("EUR".to_owned())));
    let signed = r#"{"@type":"MonetaryAmount","currency":"",
        "value":{"minValue":"£60,000.00","maxValue":"£70,000.00","unitText":"YEAR"}}"#;
    assert_eq!(of(signed), (Some(60_000.0), Some("GBP".to_owned())));
}

#[test]
fn microdata_may_stand_elsewhere_and_refers_to_nothing_for_ever() {
    let page = "<div id=all><div id=own itemscope itemtype='https://schema.org/JobPosting' \
        itemref='company all own none'><h1 itemprop=title>Cook</h1></div>\
        <div id=company><span itemprop=hiringOrganization>Acme</span></div></div>";
    let parsed = postings(page, &context()).unwrap();
    assert_eq!((parsed.listings.len(), parsed.listings[0].company.as_str()), (1, "Acme"));
}
