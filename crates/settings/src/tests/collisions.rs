//! That the keys of one cache are never those of another, nor of a session.

use crate::Settings;

fn problems(text: &str) -> Vec<String> {
    Settings::from_toml(text).map_or_else(|problems| problems.0, |_| Vec::new())
}

#[test]
fn a_key_that_could_be_anybodys_is_refused() {
    let check = |text: &str, words: &[&str]| {
        let found = problems(text);
        assert_eq!(found.len(), words.len(), "{text}: {found:?}");
        for (found, words) in found.iter().zip(words) {
            assert!(found.contains(words), "{text}: {found}");
        }
    };
    let own = "text of its own";
    check("[cache.users]\nalias = \"sessions\"\nkey = \"{id}\"", &[own]);
    check("[cache.users]\nalias = \"sessions\"\nkey = \":{id}\"", &[own]);
    check("[cache.users]\nalias = \"sessions\"\nkey = \"d{id}\"", &["Django's sessions"]);
    check("[cache.status]\nkey = \"django.contrib.sessions.cachex\"", &["Django's sessions"]);
    check("[cache.users]\nkey = \"api:{id}\"", &["can be a key of responses"]);
    check("[cache.users]\nkey = \"api:x:{id}:y\"", &["can be a key of responses"]);
    check("[cache.users]\nkey = \"scraping_{id}\"", &["can be a key of status"]);
    check("[cache.proxies]\nkey = \"scraping_status\"", &["can be a key of status"]);
    check("[cache.proxies]\nkey = \"api:proxies\"", &["can be a key of proxies"]);
    check("[cache.proxies]\nkey = \"proxies{id}\"", &["without {"]);
    check("[[cache.listings]]\nkey = \"jobs:{id}:{keyword_slug}\"", &["{keyword_slug}"]);
    let listings = "[[cache.listings]]\nalias = \"default\"\nkey = \"{keyword_slug}\"";
    check(listings, &[own]);
}

#[test]
fn keys_that_differ_in_beginning_end_prefix_or_database_are_taken() {
    for text in [
        "[cache.users]\nkey = \"api{id}\"\n[cache.responses]\nkey = \"apx:{path}\"",
        "[cache.users]\nkey = \"x:{id}:user\"\n[cache.responses]\nkey = \"x:{path}:response\"",
        "[cache.users]\nalias = \"sessions\"\nkey = \"d:{id}\"",
        "[cache.users]\nalias = \"jobs\"\nkey = \"api:{id}\"",
        "[cache.aliases.other]\nprefix = \"other\"\n[cache.users]\nalias = \"other\"\nkey = \"api:{id}\"",
        "[cache.aliases.jobs]\nprefix = \"hire_voo_ai\"\n[cache.users]\nkey = \"jobs:{id}\"",
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_two_aliases_share_counts_by_the_key_in_redis() {
    let two = "[redis]\nlayout = \"two\"\n";
    let text = format!(
        "{two}[cache.aliases.jobs]\nprefix = \"hire_voo_ai\"\n[cache.users]\nkey = \"jobs:{{id}}\""
    );
    assert_eq!(problems(&text).len(), 1, "{:?}", problems(&text));
    let nested = format!(
        "{two}[cache.aliases.jobs]\nprefix = \"hire_voo_ai:1\"\n[cache.users]\nkey = \"1:jobs:{{id}}\""
    );
    assert_eq!(problems(&nested).len(), 1, "{:?}", problems(&nested));
}
