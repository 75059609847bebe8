//! Keys as django-redis writes them: `KEY_PREFIX:VERSION:key`.

use rhubarb_core::{config::AliasConfig, keyword};

/// What stands for the keyword's slug in a key template.
const SLUG: &str = "{keyword_slug}";

/// Returns the raw key of a logical key.
pub fn raw(alias: &AliasConfig, key: &str) -> String {
    format!("{}:{}:{key}", alias.prefix, alias.version)
}

/// Returns the raw key of something of our own in a cache: in version 0, where Django looks for nothing.
pub(crate) fn own(alias: &AliasConfig, name: &str) -> String {
    format!("{}:0:rhubarb.{name}", alias.prefix)
}

/// Returns the raw key of something of our own for each logical key.
pub(crate) fn own_of(alias: &AliasConfig, name: &str, key: &str) -> String {
    own(alias, &format!("{name}:{}:{key}", alias.version))
}

/// Returns the logical key of a keyword by its template.
pub fn of_keyword(template: &str, keyword: &str) -> String {
    template.replace(SLUG, &keyword::slug(keyword))
}

/// Returns the logical key that a template makes of an argument, which is a keyword where the template says so.
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
    glob(alias, &logical_pattern(template))
}

/// Returns the glob pattern that all logical keys of a template match.
pub fn logical_pattern(template: &str) -> String {
    match split(template) {
        Some((before, _, after)) => format!("{}*{}", escape(before), escape(after)),
        None => escape(template),
    }
}

/// Returns the glob pattern for raw keys whose logical part matches a pattern; the prefix stands for itself.
pub fn glob(alias: &AliasConfig, pattern: &str) -> String {
    escape(&raw(alias, "")) + pattern
}

/// Splits a template at its first `{…}`: what is before it, itself and what is behind.
fn split(template: &str) -> Option<(&str, &str, &str)> {
    let open = template.find('{')?;
    let close = open + template[open..].find('}')? + 1;
    Some((&template[..open], &template[open..close], &template[close..]))
}

/// Returns the glob pattern that only this text matches.
pub(crate) fn escape(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use rhubarb_core::config::Role;

    use super::*;

    fn alias(prefix: &str) -> AliasConfig {
        AliasConfig::new(Role::Jobs, prefix)
    }

    #[test]
    fn the_raw_key_of_a_keyword_is_djangos() {
        let key = of_keyword("jobs:{keyword_slug}", " Software Engineer ");
        assert_eq!(raw(&alias("jobs"), &key), "jobs:1:jobs:software_engineer");
        assert_eq!(raw(&alias(""), "a"), ":1:a");
    }

    #[test]
    fn only_the_slug_is_a_wildcard() {
        assert_eq!(pattern(&alias("jobs"), "jobs:{keyword_slug}"), "jobs:1:jobs:*");
        assert_eq!(pattern(&alias("a*b"), "[x]?:{keyword_slug}"), r"a\*b:1:\[x\]\?:*");
        assert_eq!(pattern(&alias("p"), "one"), "p:1:one");
        assert_eq!(pattern(&alias("p"), "api:{path}:x"), "p:1:api:*:x");
        assert_eq!(glob(&alias("a*b"), "x*"), r"a\*b:1:x*");
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
