//! Templates of logical keys: `jobs:{keyword_slug}`, `user:{id}`.

use rhubarb_cache::{AliasConfig, key};
use rhubarb_scrape::keyword;

/// What stands for the keyword's slug in a key template.
const SLUG: &str = "{keyword_slug}";

/// Returns the logical key of a keyword by its template.
pub fn of_keyword(template: &str, keyword: &str) -> String {
    template.replace(SLUG, &keyword::slug(keyword))
}

/// Returns the logical key that a template makes of an argument, which is a keyword where the
/// template says so.
pub fn of(template: &str, argument: &str) -> String {
    match split(template) {
        Some((_, SLUG, _)) => of_keyword(template, argument),
        Some((before, _, after)) => format!("{before}{argument}{after}"),
        None => template.to_owned(),
    }
}

/// Tells whether a template stands for many keys.
pub fn is_template(template: &str) -> bool {
    split(template).is_some()
}

/// Returns the glob pattern that all raw keys of a template match.
pub fn pattern(alias: &AliasConfig, template: &str) -> String {
    key::glob(alias, &logical_pattern(template))
}

/// Returns the glob pattern that all logical keys of a template match.
pub fn logical_pattern(template: &str) -> String {
    match split(template) {
        Some((before, _, after)) => format!("{}*{}", key::escape(before), key::escape(after)),
        None => key::escape(template),
    }
}

/// Splits a template at its first `{…}`: what is before it, itself and what is behind.
fn split(template: &str) -> Option<(&str, &str, &str)> {
    let open = template.find('{')?;
    let close = open + template[open..].find('}')? + 1;
    Some((&template[..open], &template[open..close], &template[close..]))
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Role;

    use super::*;

    fn alias(prefix: &str) -> AliasConfig {
        AliasConfig::new(Role::Jobs, prefix)
    }

    #[test]
    fn the_raw_key_of_a_keyword_is_djangos() {
        let key = of_keyword("jobs:{keyword_slug}", " Software Engineer ");
        assert_eq!(key::raw(&alias("jobs"), &key), "jobs:1:jobs:software_engineer");
        assert_eq!(key::raw(&alias(""), "a"), ":1:a");
    }

    #[test]
    fn only_the_slug_is_a_wildcard() {
        assert_eq!(pattern(&alias("jobs"), "jobs:{keyword_slug}"), "jobs:1:jobs:*");
        assert_eq!(pattern(&alias("a*b"), "[x]?:{keyword_slug}"), r"a\*b:1:\[x\]\?:*");
        assert_eq!(pattern(&alias("p"), "one"), "p:1:one");
        assert_eq!(pattern(&alias("p"), "api:{path}:x"), "p:1:api:*:x");
    }

    #[test]
    fn a_template_takes_its_argument_as_it_is_or_as_a_keyword() {
        assert_eq!(of("user:{id}", "A b"), "user:A b");
        assert_eq!(of("jobs:{keyword_slug}", "A b"), "jobs:a_b");
        assert_eq!(of("{id}:{x}", "{x}"), "{x}:{x}");
        assert_eq!(of("status", "ignored"), "status");
        assert!(is_template("a{b}") && !is_template("a}b{"));
    }
}
