//! Keys as django-redis writes them: `KEY_PREFIX:VERSION:key`.

use crate::config::AliasConfig;

/// Returns the raw key of a logical key.
pub fn raw(alias: &AliasConfig, key: &str) -> String {
    format!("{}:{}:{key}", alias.prefix, alias.version)
}

/// Returns the raw key of something of our own in a cache: in version 0, where Django looks for
/// nothing.
pub(crate) fn own(alias: &AliasConfig, name: &str) -> String {
    format!("{}:0:rhubarb.{name}", alias.prefix)
}

/// Returns the raw key of something of our own for each logical key.
pub(crate) fn own_of(alias: &AliasConfig, name: &str, key: &str) -> String {
    own(alias, &format!("{name}:{}:{key}", alias.version))
}

/// Returns the glob pattern for raw keys whose logical part matches a pattern; the prefix stands
/// for itself.
pub fn glob(alias: &AliasConfig, pattern: &str) -> String {
    escape(&raw(alias, "")) + pattern
}

/// Returns the glob pattern that only this text matches.
pub fn escape(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Role;

    use super::*;

    fn alias(prefix: &str) -> AliasConfig {
        AliasConfig::new(Role::Jobs, prefix)
    }

    #[test]
    fn the_raw_key_is_djangos() {
        assert_eq!(raw(&alias("jobs"), "jobs:a_b"), "jobs:1:jobs:a_b");
        assert_eq!(raw(&alias(""), "a"), ":1:a");
    }

    #[test]
    fn only_the_pattern_is_a_pattern() {
        assert_eq!(glob(&alias("a*b"), "x*"), r"a\*b:1:x*");
    }
}
