//! Writing TOML on one line.

use toml::Value;

/// Returns a text in quotes.
pub fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's, but for the one character that JSON leaves alone.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Returns a key, in quotes where it needs them.
pub fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(is_bare) { text.to_owned() } else { quoted(text) }
}

/// Returns a value on one line.
pub fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) => table_of(table.iter().map(|(k, value)| (k.as_str(), inline(value)))),
        other => other.to_string(),
    }
}

/// Returns a table on one line, of keys and values that are TOML.
pub(crate) fn table_of<'k>(pairs: impl IntoIterator<Item = (&'k str, String)>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_on_a_line_is_read_back(
            text in "\\PC{0,9}|[\\x00-\\x7f]{0,9}", n in any::<i64>(), x in any::<f64>(),
        ) {
            let mut table = toml::Table::new();
            table.insert(text.clone(), Value::Array(vec![text.into(), n.into(), true.into()]));
            table.insert("x".to_owned(), if x.is_nan() { 0.5 } else { x }.into());
            let line = format!("v = {}", inline(&Value::Table(table.clone())));
            prop_assert!(!line.contains('\n'), "{line}");
            let again: toml::Table = line.parse().unwrap();
            prop_assert_eq!(again["v"].as_table(), Some(&table));
        }
    }
}
