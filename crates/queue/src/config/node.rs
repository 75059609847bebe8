//! The name of a node: what stands for the host in it, as `celery.utils.nodenames` has it.

/// What may stand in a node's name.
pub(super) const RULE: &str = "a node name of at most 200 characters, in which %h stands for the host, %n and %d for the host's name \
                               before and after the first dot, %i for 0, %I for nothing and %% for %,";

/// Tells whether a node may be named so.
pub(super) fn is_valid(pattern: &str) -> bool {
    pattern.len() <= 200
        && !pattern.chars().any(char::is_control)
        && expand(pattern, "host").is_some()
}

/// Returns the name of a node on `host`; a part on either side of the `@` that is missing is
/// `rhubarb` or the host.
///
/// `None` where a `%` stands before a letter or digit that means nothing. `%i` and `%I` number the
/// children of Celery's pools; they are what they are there in the parent.
pub(super) fn expand(pattern: &str, host: &str) -> Option<String> {
    let (name, domain) = host.split_once('.').unwrap_or((host, ""));
    let pattern = match pattern.split_once('@') {
        None if pattern.is_empty() => "rhubarb@%h".to_owned(),
        // In Celery a name alone is the host's: workers of one Procfile on several machines would
        // all be called the same.
        None => format!("{pattern}@%h"),
        Some(("", "")) => "rhubarb@%h".to_owned(),
        Some(("", host)) => format!("rhubarb@{host}"),
        Some((name, "")) => format!("{name}@%h"),
        Some(_) => pattern.to_owned(),
    };
    let mut expanded = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        let sign = chars.peek().filter(|_| char == '%').copied();
        match sign.filter(|&sign| sign == '%' || sign == '_' || sign.is_alphanumeric()) {
            None => expanded.push(char),
            Some(sign) => {
                chars.next();
                expanded.push_str(match sign {
                    'h' => host,
                    'n' => name,
                    'd' => domain,
                    'i' => "0",
                    'I' => "",
                    '%' => "%",
                    _ => return None,
                });
            }
        }
    }
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_name_expands_as_in_celery() {
        // What celery.utils.nodenames 5.7.0 makes of the same, but for `celery` and names without a
        // host.
        for (pattern, expect) in [
            ("", "rhubarb@box.example.org"),
            ("w1@%h", "w1@box.example.org"),
            ("%n@%h", "box@box.example.org"),
            ("w@%d", "w@example.org"),
            ("w-%i%I@x.y", "w-0@x.y"),
            ("a%%h@%%", "a%h@%"),
            ("@foo", "rhubarb@foo"),
            ("x@", "x@box.example.org"),
            ("@", "rhubarb@box.example.org"),
            ("é%n@x", "ébox@x"),
            ("a@b@c", "a@b@c"),
            ("50%@x", "50%@x"),
            ("w1", "w1@box.example.org"),
            ("w%n", "wbox@box.example.org"),
        ] {
            assert_eq!(expand(pattern, "box.example.org").as_deref(), Some(expect), "{pattern}");
        }
        assert_eq!(expand("%n-%d@%h", "box").as_deref(), Some("box-@box"));
        assert!(!is_valid("w1@%x") && !is_valid("%p") && !is_valid("w\n@h") && is_valid("w1%@%h"));
    }
}
