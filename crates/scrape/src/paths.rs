//! Fields of records by paths from the configuration: `location.city`, `skills.*`, `offices.0`.
//!
//! A setting is a path; a text with `{path}` in it, such as `https://acme.example/jobs/{slug}`; or,
//! behind `=`, what every record has: `=EUR`.

use serde_json::Value;

use crate::{
    config::{PathSettings, SourceConfig},
    context::Context,
    listing::Listing,
    location::Location,
    posting::Posting,
    record,
    setup::BuildError,
    text,
};

/// Values that one path finds at the most.
pub(crate) const MAX_FOUND: usize = 10_000;

/// A path's steps.
pub(crate) type Path = Vec<String>;

/// Returns a path's steps; none for an empty one, which means the record itself.
pub(crate) fn steps(path: &str) -> Path {
    let path = path.trim().trim_start_matches("$.").trim_start_matches('$');
    let path = path.replace('[', ".").replace(']', "");
    path.split('.').map(str::trim).filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

/// Returns the values at a path; `*` stands for each element or field.
pub(crate) fn found<'a>(value: &'a Value, path: &[String]) -> Vec<&'a Value> {
    let mut values = vec![value];
    for step in path {
        let mut next = Vec::new();
        for value in values {
            match (value, &step[..]) {
                (Value::Array(items), "*") => next.extend(items),
                (Value::Object(fields), "*") => next.extend(fields.values()),
                (Value::Array(items), step) => next.extend(at(items, step)),
                (value, step) => next.extend(value.get(step)),
            }
            next.truncate(MAX_FOUND);
        }
        values = next;
    }
    values.retain(|value| !value.is_null());
    values
}

/// Returns the element of this number; a name means that field of the first.
fn at<'a>(items: &'a [Value], step: &str) -> Option<&'a Value> {
    match step.parse::<usize>() {
        Ok(idx) => items.get(idx),
        Err(_) => items.first()?.get(step),
    }
}

/// How a field is read.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Path(Path),
    Always(String),
    /// Texts, and paths between them.
    Text(Vec<(String, Option<Path>)>),
}

impl Field {
    fn new(setting: &str) -> Self {
        if let Some(always) = setting.strip_prefix('=') {
            return Self::Always(always.trim().to_owned());
        }
        if !setting.contains('{') {
            return Self::Path(steps(setting));
        }
        let mut parts = Vec::new();
        let mut rest = setting;
        while let Some((text, after)) = rest.split_once('{') {
            let (path, behind) = after.split_once('}').unwrap_or((after, ""));
            parts.push((text.to_owned(), Some(steps(path))));
            rest = behind;
        }
        parts.push((rest.to_owned(), None));
        Self::Text(parts)
    }

    /// Returns what it gives of a record; `in_address` encodes what is put into a text.
    fn lines(&self, record: &Value, in_address: bool) -> Vec<String> {
        match self {
            Self::Always(text) => vec![text.clone()],
            Self::Path(path) => {
                let found = found(record, path).into_iter();
                found.flat_map(flat).filter_map(line).collect()
            }
            Self::Text(parts) => filled(parts, record, in_address).into_iter().collect(),
        }
    }
}

/// A list at the end of a path is each of its elements.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().take(MAX_FOUND).collect(),
        one => vec![one],
    }
}

/// A value as text; what XML has beside attributes is the element's text.
fn line(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(fields) => record::as_line(fields.get("#text")?),
        other => record::as_line(other),
    }
}

/// Returns the text with its paths filled in; none where one of them finds nothing.
fn filled(parts: &[(String, Option<Path>)], record: &Value, in_address: bool) -> Option<String> {
    let mut out = String::new();
    for (text, path) in parts {
        out.push_str(text);
        let Some(path) = path else { continue };
        let value = found(record, path).into_iter().find_map(raw)?;
        // A whole address or path in the place of the first part stays what it is.
        let whole = out.is_empty() || value.starts_with("http");
        if in_address && !whole && !value.starts_with('/') {
            out.extend(
                url::form_urlencoded::byte_serialize(value.as_bytes())
                    .map(|part| if part == "+" { "%20" } else { part }),
            );
        } else {
            out.push_str(&value);
        }
    }
    Some(out)
}

fn raw(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The fields of a source.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) items: Path,
    fields: Vec<(&'static str, Field)>,
}

impl Paths {
    /// Reads a source's paths.
    ///
    /// # Errors
    /// Names the path that a list cannot be read without.
    pub(crate) fn new(config: &SourceConfig) -> Result<Self, BuildError> {
        let paths = Self::loose(&config.paths);
        for field in ["title", "link"] {
            if paths.get(field).is_none() {
                let reason = "it is required for this kind of source";
                return Err(BuildError::new(config, &format!("paths.{field}"), reason));
            }
        }
        Ok(paths)
    }

    /// Reads paths of which none is needed.
    pub(crate) fn loose(settings: &PathSettings) -> Self {
        let fields = [
            ("id", &settings.id),
            ("title", &settings.title),
            ("link", &settings.link),
            ("apply_link", &settings.apply_link),
            ("company", &settings.company),
            ("location", &settings.location),
            ("city", &settings.city),
            ("state", &settings.state),
            ("country", &settings.country),
            ("remote", &settings.remote),
            ("employment_type", &settings.employment_type),
            ("seniority", &settings.seniority),
            ("department", &settings.department),
            ("salary", &settings.salary),
            ("salary_min", &settings.salary_min),
            ("salary_max", &settings.salary_max),
            ("currency", &settings.currency),
            ("period", &settings.period),
            ("date", &settings.date),
            ("expires", &settings.expires),
            ("tags", &settings.tags),
            ("description", &settings.description),
            ("total", &settings.total),
            ("cursor", &settings.cursor),
            ("next", &settings.next),
        ];
        let fields = fields.into_iter().filter_map(|(name, setting)| {
            let setting = setting.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
            Some((name, Field::new(setting)))
        });
        Self { items: steps(&settings.items), fields: fields.collect() }
    }

    fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, field)| field)
    }

    /// Returns the first text that a field gives.
    pub(crate) fn line(&self, record: &Value, name: &str) -> Option<String> {
        self.get(name)?.lines(record, matches!(name, "link" | "apply_link")).into_iter().next()
    }

    fn lines(&self, record: &Value, name: &str) -> Vec<String> {
        self.get(name).map(|field| field.lines(record, false)).unwrap_or_default()
    }

    pub(crate) fn number(&self, record: &Value, name: &str) -> Option<f64> {
        let text = self.line(record, name)?;
        record::number(&Value::String(text), &[])
    }

    /// Returns an address as it stands: nothing in it is an entity.
    fn address(&self, record: &Value, name: &str) -> Option<String> {
        match self.get(name)? {
            Field::Path(path) => found(record, path).into_iter().find_map(raw),
            field => field.lines(record, true).into_iter().next(),
        }
    }

    /// Returns the markup of a field.
    fn markup(&self, record: &Value, name: &str) -> Option<String> {
        match self.get(name)? {
            Field::Path(path) => found(record, path).into_iter().find_map(|value| match value {
                Value::Object(fields) => raw(fields.get("#text")?),
                other => raw(other),
            }),
            field => field.lines(record, false).into_iter().next(),
        }
    }

    /// Makes a listing of a record.
    ///
    /// # Errors
    /// It has no title or no address; says so.
    pub(crate) fn read(&self, record: &Value, context: &Context) -> Result<Listing, String> {
        let mut posting = Posting::new(record, context);
        self.fill(&mut posting);
        let Listing { title, url, external_id, .. } = &posting.listing;
        for (value, setting) in [(title, "title"), (url, "link")] {
            if value.trim().is_empty() {
                return Err(format!(
                    "record `{}` has nothing at `paths.{setting}`",
                    text::cut(external_id, 100)
                ));
            }
        }
        posting.finish()
    }

    /// Sets each field that has a path; the others stay as they are.
    pub(crate) fn fill(&self, posting: &mut Posting<'_>) {
        let record = posting.value;
        let line = |name: &str| self.line(record, name);
        let set = |mine: &mut String, name: &str| {
            if let Some(value) = line(name) {
                *mine = value;
            }
        };
        let listing = &mut posting.listing;
        set(&mut listing.external_id, "id");
        set(&mut listing.title, "title");
        set(&mut listing.company, "company");
        if let Some(url) = self.address(record, "link") {
            listing.url = url;
        }
        listing.apply_url = self.address(record, "apply_link").or(listing.apply_url.take());
        listing.job_function = line("department").or(listing.job_function.take());
        listing.seniority_level = line("seniority").or(listing.seniority_level.take());
        listing.tags.extend(self.lines(record, "tags"));
        self.place(posting);
        posting.employment(
            &self.lines(record, "employment_type").into_iter().map(Some).collect::<Vec<_>>(),
        );
        posting.pay_text(line("salary"));
        let (min, max) = (self.number(record, "salary_min"), self.number(record, "salary_max"));
        posting.pay_numbers(min, max, line("currency"), line("period"));
        let date = |name: &str| posting.date_of(&line(name)?);
        let (posted, expires) = (date("date"), date("expires"));
        let listing = &mut posting.listing;
        listing.posted_at = posted.or(listing.posted_at.take());
        listing.valid_through = expires.or(listing.valid_through.take());
        if let Some(markup) = self.markup(record, "description") {
            listing.description = text::description(&markup, &posting.context.budget);
        }
    }

    fn place(&self, posting: &mut Posting<'_>) {
        let record = posting.value;
        let lines = self.lines(record, "location");
        let line = |name: &str| self.line(record, name);
        let parts = Location::parts(line("city"), line("state"), line("country"));
        let mut places: Vec<Location> =
            lines.iter().map(|place| Location::line(Some(place.clone()))).collect();
        match places.first_mut() {
            Some(first) => *first = Location { text: first.text.take(), ..parts },
            None => places.push(parts),
        }
        if places.iter().any(|place| *place != Location::default()) {
            posting.places(&places);
        }
        let remote = line("remote");
        let flag = remote.as_deref().and_then(|word| match &word.to_lowercase()[..] {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        });
        let mut words = vec![remote];
        words.extend(lines.into_iter().map(Some));
        posting.workplace(&words, flag);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_elements_fields_and_each() {
        let value = json!({"a": [{"b": 1}, {"b": [2, 3]}], "c.d": 4, "e": {"f": null}});
        let check = |path: &str, expect: &[Value]| {
            let got: Vec<Value> = found(&value, &steps(path)).into_iter().cloned().collect();
            assert_eq!(got, expect, "{path}");
        };
        check("a.0.b", &[json!(1)]);
        check("$.a[1].b", &[json!([2, 3])]);
        check("a.*.b", &[json!(1), json!([2, 3])]);
        check("a.b", &[json!(1)]);
        check("e.f", &[]);
        check("x.y", &[]);
        check("", std::slice::from_ref(&value));
    }

    #[test]
    fn a_field_is_a_path_a_text_or_the_same_for_all() {
        let value = json!({"id": 7, "slug": "a b", "path": "/x?y=1&region=2", "tags": ["p", "q"]});
        let check = |setting: &str, expect: &[&str]| {
            assert_eq!(Field::new(setting).lines(&value, true), expect, "{setting}");
        };
        check("tags", &["p", "q"]);
        check("=EUR", &["EUR"]);
        check("https://h.test/{slug}/{id}", &["https://h.test/a%20b/7"]);
        check("https://h.test{path}", &["https://h.test/x?y=1&region=2"]);
        check("https://h.test/{none}", &[]);
    }
}
