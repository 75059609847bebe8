//! Keys as django-redis writes them: `KEY_PREFIX:VERSION:key`.

use rhubarb_core::{config::AliasConfig, keyword};

/// What stands for the keyword's slug in a key template.
const SLUG: &str = "{keyword_slug}";

/// Returns the raw key of a logical key.
pub fn raw(alias: &AliasConfig, key: &str) -> String {
    format!("{}:{}:{key}", alias.prefix, alias.version)
}

/// Returns the logical key of a keyword by its template.
pub fn of_keyword(template: &str, keyword: &str) -> String {
    template.replace(SLUG, &keyword::slug(keyword))
}

/// Returns the glob pattern that all raw keys of a template match.
pub fn pattern(alias: &AliasConfig, template: &str) -> String {
    let parts: Vec<String> = raw(alias, template).split(SLUG).map(escape).collect();
    parts.join("*")
}

fn escape(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use rhubarb_core::config::{Role, Serializer};

    use super::*;

    fn alias(prefix: &str) -> AliasConfig {
        AliasConfig {
            role: Role::Jobs,
            prefix: prefix.to_owned(),
            version: 1,
            timeout: None,
            serializer: Serializer::Pickle,
        }
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
    }
}
