//! What gives guards, captchas, logins and consent forms away. All in lower case.

use url::Url;

/// What only a page shown in place of another one has: in an address, an `id` or `class`, or a
/// script of its own.
const CERTAIN: [(&str, &str); 42] = [
    ("/orchestrate/chl", "Cloudflare"),
    ("_cf_chl_opt", "Cloudflare"),
    ("__cf_chl_", "Cloudflare"),
    ("cf-challenge", "Cloudflare"),
    ("cf-error-details", "Cloudflare"),
    ("cf-browser-verification", "Cloudflare"),
    ("captcha-delivery.com", "DataDome"),
    ("var dd={", "DataDome"),
    ("px-captcha", "HUMAN"),
    ("captcha.px-", "HUMAN"),
    ("_pxblockscript", "HUMAN"),
    ("/_sec/cp_challenge/", "Akamai"),
    ("sec-if-cpt", "Akamai"),
    ("bm-verify", "Akamai"),
    ("errors.edgesuite.net", "Akamai"),
    ("gokuprops", "AWS WAF"),
    ("awswafcaptcha", "AWS WAF"),
    ("/149e9513-01fa-4fb0-aad4-566afd725d1b/", "Kasada"),
    ("sucuri_cloudproxy", "Sucuri"),
    ("/.well-known/vercel/security/", "Vercel"),
    ("/cmd/anubis/", "Anubis"),
    ("anubis_challenge", "Anubis"),
    ("/.well-known/ddos-guard/", "DDoS-Guard"),
    ("check.ddos-guard.net", "DDoS-Guard"),
    ("sgcaptcha", "SiteGround"),
    ("validate.perfdrive.com", "Radware"),
    ("/tspd/", "F5"),
    ("bobcmn", "F5"),
    ("imunify360", "Imunify360"),
    ("acw_sc__v2", "Alibaba"),
    ("/showcaptcha", "Yandex"),
    ("/checkcaptcha", "Yandex"),
    ("google.com/sorry", "Google"),
    ("/sorry/index", "Google"),
    ("/errors/validatecaptcha", "Amazon"),
    ("distil_r_captcha", "Imperva"),
    ("distil_identify_cookie", "Imperva"),
    ("slowaes.decrypt", "a script that sets a cookie"),
    ("/_fs-ch-", "Fastly"),
    ("wordfence-block", "Wordfence"),
    ("waitingroom", "a waiting room"),
    ("hs-captcha-page", "a captcha"),
];

/// What such pages load, and others may too.
const LIKELY: [(&str, &str); 8] = [
    ("/cdn-cgi/challenge-platform/", "Cloudflare"),
    ("challenges.cloudflare.com", "Cloudflare"),
    ("_incapsula_resource", "Imperva"),
    ("token.awswaf.com", "AWS WAF"),
    ("captcha.awswaf.com", "AWS WAF"),
    ("datadome", "DataDome"),
    ("queue-it.net", "Queue-it"),
    ("challenge-form", "a challenge form"),
];

/// Widgets that ask whether one is human.
pub(super) const CAPTCHA: [&str; 6] =
    ["captcha", "turnstile", "arkoselabs", "geetest", "friendlychallenge", "human-verification"];

/// Forms and frames that ask for consent.
pub(super) const CONSENT: [&str; 8] = [
    "consent",
    "cookiewall",
    "cookie-wall",
    "cookie_wall",
    "privacy-gate",
    "privacywall",
    "pur-abo",
    "gdpr",
];

/// What a script does that leads elsewhere.
pub(super) const MOVES: [&str; 6] = [
    "location.replace(",
    "location.assign(",
    "location.reload(",
    "location.href=",
    "location.href =",
    "window.location",
];

/// Parts of addresses at which one logs in.
const LOGIN: [&str; 22] = [
    "login",
    "log-in",
    "log_in",
    "signin",
    "sign-in",
    "sign_in",
    "sso",
    "auth",
    "oauth",
    "oauth2",
    "authorize",
    "saml",
    "saml2",
    "anmelden",
    "anmeldung",
    "connexion",
    "iniciar-sesion",
    "logowanie",
    "accedi",
    "inloggen",
    "checkpoint",
    "authwall",
];

/// Returns whose page it is for certain.
pub(super) fn certain(text: &str) -> Option<&'static str> {
    find(&CERTAIN, text)
}

/// Returns whose page it may be.
pub(super) fn likely(text: &str) -> Option<&'static str> {
    // Cloudflare's look at each visitor's browser runs on every page.
    find(&LIKELY, text).filter(|_| !text.contains("/scripts/jsd/"))
}

fn find(marks: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    marks.iter().find(|(mark, _)| text.contains(mark)).map(|(_, by)| *by)
}

/// Tells whether one logs in at this address.
pub(super) fn is_login(address: &Url) -> bool {
    parts(address).any(|part| LOGIN.contains(&part.as_str()))
}

/// Tells whether one consents at this address.
pub(super) fn is_consent(address: &Url) -> bool {
    parts(address).any(|part| {
        matches!(part.as_str(), "consent" | "collectconsent" | "cookie-consent" | "cookiewall")
    })
}

/// Returns the first name of the host and the parts of the path, in lower case, without endings.
fn parts(address: &Url) -> impl Iterator<Item = String> + '_ {
    let host = address.domain().and_then(|domain| domain.split('.').next());
    let path = address.path_segments().into_iter().flatten().take(20);
    host.into_iter()
        .chain(path.map(|part| part.split(['.', ';']).next().unwrap_or_default()))
        .map(|part| crate::text::cut(part, 40).to_ascii_lowercase())
}
