use super::*;

fn judged(address: &str, markup: &str) -> Option<Sign> {
    let address = Url::parse(address).unwrap();
    sign(&Html::parse_document(markup), &address, &Budget::unlimited())
}

fn at_list(markup: &str) -> Option<Sign> {
    judged("https://jobs.example.test/list", markup)
}

#[test]
fn a_guards_challenge_is_known_by_what_it_loads() {
    let check = |markup: &str, by: &'static str| {
        assert_eq!(at_list(markup), Some(Sign::Challenge(by)), "{markup}");
    };
    check("<script>window._cf_chl_opt={cvId:'3'}</script>Un instant", "Cloudflare");
    check("<form id=f action='/list?__cf_chl_f_tk=ab'></form>", "Cloudflare");
    check(
        "<script src='/cdn-cgi/challenge-platform/h/g/orchestrate/chl_page/v1'></script>",
        "Cloudflare",
    );
    check("<iframe src='https://geo.captcha-delivery.com/captcha/?cid=1'></iframe>", "DataDome");
    check("<script>var dd={'rt':'c','host':'x'}</script>", "DataDome");
    check("<div id=px-captcha></div>", "HUMAN");
    check("<iframe id=main-iframe src='/_Incapsula_Resource?CWUDNSAI=1'></iframe>", "Imperva");
    check("<script src='/_Incapsula_Resource?SWJIYLWA=1'></script>", "Imperva");
    check("<div id=sec-if-cpt-container></div>", "Akamai");
    check("<meta http-equiv=refresh content='5; URL=/list?bm-verify=AAQ'>", "Akamai");
    check("<script>window.gokuProps={key:'x'}</script>", "AWS WAF");
    check("<script src='/.within.website/x/cmd/anubis/static/js/main.mjs'></script>", "Anubis");
    check("<meta http-equiv=refresh content='0;/.well-known/sgcaptcha/?r=%2F'>", "SiteGround");
    check(
        "<script>document.cookie='a=1';location.reload()</script>",
        "a script that sets a cookie",
    );
}

#[test]
fn captchas_logins_consents_and_ways_elsewhere_are_known_by_structure() {
    let check = |markup: &str, sign: Sign| assert_eq!(at_list(markup), Some(sign), "{markup}");
    check("<form><div class=g-recaptcha data-sitekey=x></div></form>", Sign::Captcha);
    check("<iframe src='https://newassets.hcaptcha.com/c/1'></iframe>", Sign::Captcha);
    check("<form method=post><input type=email><input type=PASSWORD></form>", Sign::Login);
    check(
        "<form><input name=u autocomplete=username><input autocomplete=current-password>",
        Sign::Login,
    );
    check(
        "<form action='https://consent.example.test/save'><button>Ja</button></form>",
        Sign::Consent,
    );
    check(
        "<div id=cookiewall><p>We value your privacy</p><button>Accept</button></div>",
        Sign::Consent,
    );
    check("<meta http-equiv=Refresh content='0; URL=/jobs/list'>", Sign::Elsewhere);
    check("<meta http-equiv=refresh content=\"0;url='https://example.test/'\">", Sign::Elsewhere);
    check("<script>window.location.href = '/de/'</script>", Sign::Elsewhere);
    let at = |address, markup| judged(address, markup);
    let email = "<form><input type=email><button>Next</button></form>";
    assert_eq!(at("https://login.example.test/?to=jobs", email), Some(Sign::Login));
    assert_eq!(at("https://example.test/users/sign_in", "<div id=root></div>"), Some(Sign::Login));
    assert_eq!(at("https://consent.example.test/m?c=jobs", "<p>x"), Some(Sign::Consent));
}

#[test]
fn a_page_that_has_such_things_beside_its_own_matter_keeps_nobody_out() {
    let long = "<p>Work with us in the kitchen of the harbour.</p>".repeat(60);
    let links = "<a href=/j/1>Cook</a>".repeat(50);
    let check = |markup: &str| assert_eq!(at_list(markup), None, "{markup}");
    check("<ul><li class=JobCard><h2>Cook</h2><a href=/1>more</a></ul>");
    check("<p>No openings at the moment");
    check("<header><form><input type=password></form></header><ul><li>Cook</ul>");
    check("<div class='modal fade'><form><input type=password></form></div><p>Cook");
    check(&format!("{links}<form><input type=password></form>"));
    check(&format!("{long}<div class=g-recaptcha></div>"));
    check(&format!("{long}<script src=https://js.datadome.co/tags.js></script>"));
    check("<script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script><p>Cook");
    check(&format!("<div id=cookie-consent>We use cookies</div>{long}"));
    check("<meta http-equiv=refresh content=300><p>Cook");
    check("<meta http-equiv=refresh content='300; url=/list#top'><p>Cook");
    check("<noscript><meta http-equiv=refresh content='0; url=/nojs'></noscript><p>Cook");
    check(&format!("{long}<script>if (a) window.location = b</script>"));
    check("<a href='https://x.test/consent'>Privacy</a><p>Cook");
}

#[test]
fn the_headers_of_a_challenge_are_enough() {
    let of = |name: &'static str, value: &'static str| {
        Sign::of_headers(|asked| (asked == name).then_some(value))
    };
    assert_eq!(of("cf-mitigated", "challenge"), Some(Sign::Challenge("Cloudflare")));
    assert_eq!(of("x-amzn-waf-action", " Captcha"), Some(Sign::Challenge("AWS WAF")));
    assert_eq!(of("x-amzn-waf-action", "allow"), None);
    assert_eq!(of("server", "cloudflare"), None);
}

#[test]
fn what_is_said_names_the_host_what_was_seen_and_what_to_do() {
    let told = Sign::Challenge("Cloudflare").told("jobs.example.test");
    assert!(told.starts_with("`jobs.example.test` shows a challenge page (Cloudflare)"), "{told}");
    let page = Html::parse_document("<div id=root></div><script src=/app.js></script>");
    let trouble = doubt(&page, &crate::testing::context(), "no element", "check it");
    assert_eq!(trouble.ending, Ending::Suspicious);
    assert!(trouble.reason.contains("put together by scripts"), "{}", trouble.reason);
}
