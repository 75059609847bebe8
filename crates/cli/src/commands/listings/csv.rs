//! Listings as CSV (RFC 4180): for people's spreadsheets, which read some texts as formulas.

use rhubarb_core::clock;
use rhubarb_scrape::Listing;
use serde_json::Value;

use super::rows::Row;

/// The columns of a life, behind those of a listing.
const LIFE: [&str; 8] = [
    "state",
    "first_seen",
    "last_seen",
    "changed_at",
    "changed",
    "closed_at",
    "closed_why",
    "reopened_at",
];

/// Renders listings, with a line of headings.
pub(super) fn csv(rows: &[Row]) -> Result<String, csv::Error> {
    let headings = headings();
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(headings.iter().map(String::as_str).chain(LIFE))?;
    for row in rows {
        let life = row.posting.as_ref().map(life).unwrap_or_default();
        let cells = headings.iter().map(|name| cell(row.value.get(name).unwrap_or(&Value::Null)));
        out.write_record(cells.chain(life))?;
    }
    let bytes = out.into_inner().map_err(|error| error.into_error())?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches('\n').to_owned())
}

/// The names of a listing's fields, in the order that all readers see.
fn headings() -> Vec<String> {
    match serde_json::to_value(Listing::default()) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

fn life(posting: &rhubarb_jobs::life::Posting) -> [String; LIFE.len()] {
    let shown = posting.shown();
    let of = |name: &str| cell(&shown[name]);
    let fields = posting.changes.last().map(|change| {
        change.fields.iter().map(|field| field.field.as_str()).collect::<Vec<_>>().join("; ")
    });
    [
        of("state"),
        clock::iso(posting.first_seen),
        clock::iso(posting.last_seen),
        of("changed_at"),
        fields.unwrap_or_default(),
        of("closed_at"),
        of("closed_why"),
        of("reopened_at"),
    ]
}

/// Returns a value as a cell: lists joined by `; `, nothing for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            harmless(&texts.join("; "))
        }
        plain => plain.to_string(),
    }
}

/// Returns a text that no spreadsheet takes for a formula and that steers no terminal.
///
/// A spreadsheet reads a formula behind spaces and signs that are not seen too, and in full width.
fn harmless(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| !matches!(c, '\r'))
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    let is_seen = |c: &char| !c.is_whitespace() && !is_unseen(*c);
    match clean.chars().find(is_seen) {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '−') => format!("'{clean}"),
        _ => clean,
    }
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value) -> Row {
        Row { value, listing: Listing::default(), posting: None }
    }

    #[test]
    fn a_text_that_begins_as_a_formula_is_a_text() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            " =1",
            "\n=1",
            "\r=1",
            "\u{feff}=1",
            "\u{200b}@a",
            "＝1",
            "\u{0}=1",
        ] {
            let got = harmless(text);
            assert!(got.starts_with('\''), "{text:?}: {got:?}");
        }
        for text in ["Cook", "a=1", "1-2", "'=1", "", "(=1)"] {
            assert_eq!(harmless(text), text);
        }
        assert_eq!(harmless("a\u{1b}[31mb\u{9b}c"), "a [31mb c");
    }

    #[test]
    fn cells_are_quoted_and_numbers_stay_numbers() {
        let value = json!({
            "title": "Cook, \"night\"", "company": "=cmd|' /C calc'!A0", "salary_min": -5.5,
            "is_remote": true, "tags": ["-a", "b"], "description": "one\ntwo", "more": 1,
        });
        let text = csv(&[row(value)]).unwrap();
        let (head, line) = text.split_once('\n').unwrap();
        assert!(head.starts_with("title,company,location,"), "{head}");
        assert!(head.ends_with(",closed_at,closed_why,reopened_at"), "{head}");
        assert!(line.starts_with("\"Cook, \"\"night\"\"\",'=cmd|' /C calc'!A0,,"), "{line}");
        assert!(line.contains(",-5.5,") && line.contains(",'-a; b,"), "{line}");
        assert!(line.contains(",\"one\ntwo\","), "{line}");
        assert!(line.ends_with(",,,,,,,,"), "{line}");
    }

    #[test]
    fn what_is_no_listing_is_an_empty_line() {
        let text = csv(&[row(json!(7)), row(Value::Null)]).unwrap();
        assert_eq!(text.lines().count(), 3);
    }
}
