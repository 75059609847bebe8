//! The sections that hold tables of their own: schedules, sources, cache aliases and targets, intakes, task aliases.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::{
        AliasConfig, CacheTarget, Config, IntakeConfig, Role, Selectors, SourceConfig, SourceKind,
    },
    read::{Input, Kept, Setting, not},
};
use crate::redact::Address;

/// A table of the file while it is read: knows where it is, what was asked for, and what was wrong.
pub(super) struct Reader<'a> {
    place: String,
    pub(super) table: &'a toml::Table,
    asked: BTreeSet<&'static str>,
    pub(super) problems: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        place: String,
        value: &'a toml::Value,
        problems: &'a mut Vec<String>,
    ) -> Option<Self> {
        match value {
            toml::Value::Table(table) => {
                Some(Self { place, table, asked: BTreeSet::new(), problems })
            }
            _ => {
                problems.push(format!("{place}: a table is expected"));
                None
            }
        }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a toml::Value> {
        self.asked.insert(key);
        self.table.get(key)
    }

    pub(super) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let value = self.get(key)?;
        match T::read(Input::Toml(value)) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(key, &not::<T>(&problem, Input::Toml(value)));
                None
            }
        }
    }

    pub(super) fn or<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    pub(super) fn required<T: Setting + Default>(&mut self, key: &'static str) -> T {
        if !self.table.contains_key(key) {
            self.asked.insert(key);
            self.wrong(key, "it is missing");
        }
        self.optional(key).unwrap_or_default()
    }

    /// Reads a text that has to be there and not empty.
    pub(super) fn named(&mut self, key: &'static str) -> String {
        let text: String = self.required(key);
        let given = self.table.get(key).and_then(toml::Value::as_str);
        if given.is_some_and(|text| text.trim().is_empty()) {
            self.wrong(key, "it is empty");
        }
        text
    }

    pub(super) fn wrong(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}.{key}: {problem}", self.place));
    }

    /// Returns the reader of a table inside this one; its problems are told in the same list.
    pub(super) fn inner<'b>(&'b mut self, key: &str, value: &'b toml::Value) -> Option<Reader<'b>> {
        Reader::new(format!("{}.{key}", self.place), value, self.problems)
    }

    /// Reports the keys that nothing asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.asked.contains(key.as_str())) {
            let known: Vec<&str> = self.asked.iter().copied().collect();
            self.problems.push(format!(
                "{}.{key}: no such setting; known here: {}",
                self.place,
                known.join(", ")
            ));
        }
    }
}

/// Reads one of the sections that hold tables; false when it is none of them.
pub(super) fn read(
    config: &mut Config,
    section: &str,
    value: &toml::Value,
    problems: &mut Vec<String>,
) -> bool {
    match section {
        "sources" => sources(config, value, problems),
        "tasks" => tasks(config, value, problems),
        "cache" => cache(config, value, problems),
        "intake" => intake(config, value, problems),
        _ => return false,
    }
    true
}

pub(super) fn table<'a>(
    place: &str,
    value: &'a toml::Value,
    problems: &mut Vec<String>,
) -> Vec<(&'a String, &'a toml::Value)> {
    match value {
        toml::Value::Table(table) => table.iter().collect(),
        _ => {
            problems.push(format!("{place}: a table is expected"));
            Vec::new()
        }
    }
}

fn array<'a>(place: &str, value: &'a toml::Value, problems: &mut Vec<String>) -> &'a [toml::Value] {
    match value {
        toml::Value::Array(items) => items,
        _ => {
            problems.push(format!("{place}: a list of tables, [[{place}]], is expected"));
            &[]
        }
    }
}

fn sources(config: &mut Config, value: &toml::Value, problems: &mut Vec<String>) {
    config.sources.clear();
    let mut names = BTreeSet::new();
    for (idx, value) in array("sources", value, problems).iter().enumerate() {
        let Some(reader) = Reader::new(format!("sources[{idx}]"), value, problems) else {
            continue;
        };
        let Some(source) = source(reader) else { continue };
        if !names.insert(source.name.clone()) {
            problems.push(format!(
                "sources[{idx}].name: the name `{}` is taken; give each source its own",
                source.name
            ));
        }
        config.sources.push(source);
    }
}

fn source(mut reader: Reader<'_>) -> Option<SourceConfig> {
    if !reader.table.contains_key("type") {
        reader.wrong("type", "it is missing");
    }
    let kind: SourceKind = reader.optional("type")?;
    let mut source = SourceConfig::new(kind);
    source.board = reader.optional("board");
    let default_name = source
        .board
        .as_ref()
        .map_or(source.name.clone(), |board| format!("{}:{board}", kind.name()));
    source.name = reader.or("name", default_name);
    source.enabled = reader.or("enabled", source.enabled);
    source.base_url =
        reader.optional::<Address>("base_url").map(|url| url.expose().trim_end_matches('/').into());
    source.company = reader.optional("company");
    source.max_pages = reader.or("max_pages", source.max_pages);
    source.urls = reader.or("urls", Vec::new());
    if let Some(value) = reader.get("selectors") {
        let place = format!("{}.selectors", reader.place);
        if let Some(selectors_reader) = Reader::new(place, value, reader.problems) {
            source.selectors = selectors(selectors_reader);
        }
    }
    check_source(&mut reader, &source);
    reader.finish();
    Some(source)
}

fn check_source(reader: &mut Reader<'_>, source: &SourceConfig) {
    let kind = source.kind.name();
    if source.kind.needs_board() && source.board.is_none() {
        reader.wrong("board", &format!("a {kind} source needs the board's name"));
    }
    if source.kind.needs_urls() && source.urls.is_empty() {
        reader.wrong("urls", &format!("a {kind} source needs the pages to read"));
    }
    if source.urls.iter().chain(&source.base_url).any(|url| !url.is_http()) {
        reader.wrong("urls", "http:// or https:// addresses are expected");
    }
    if !(1..=1000).contains(&source.max_pages) {
        reader.wrong("max_pages", "1 to 1000 is expected");
    }
    if source.kind == SourceKind::Html && source.selectors.item.is_empty() {
        reader.wrong("selectors.item", "an html source needs the CSS selector of one listing");
    }
}

/// The fields that a detail page can give.
const DETAIL_FIELDS: [&str; 8] =
    ["title", "company", "location", "salary", "date", "tags", "description", "employment_type"];

fn selectors(mut reader: Reader<'_>) -> Selectors {
    let detail = match reader.get("detail") {
        None => BTreeMap::new(),
        Some(value) => texts(&format!("{}.detail", reader.place), value, reader.problems),
    };
    for field in detail.keys().filter(|field| !DETAIL_FIELDS.contains(&field.as_str())) {
        let known = DETAIL_FIELDS.join(", ");
        reader.wrong(&format!("detail.{field}"), &format!("no such field; known here: {known}"));
    }
    let selectors = Selectors {
        item: reader.or("item", String::new()),
        title: reader.optional("title"),
        link: reader.optional("link"),
        company: reader.optional("company"),
        location: reader.optional("location"),
        salary: reader.optional("salary"),
        date: reader.optional("date"),
        tags: reader.optional("tags"),
        next_page: reader.optional("next_page"),
        detail,
    };
    reader.finish();
    selectors
}

fn texts(place: &str, value: &toml::Value, problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in table(place, value, problems) {
        match value {
            toml::Value::String(text) => {
                found.insert(key.clone(), text.clone());
            }
            _ => problems.push(format!("{place}.{key}: text in quotes is expected")),
        }
    }
    found
}

fn tasks(config: &mut Config, value: &toml::Value, problems: &mut Vec<String>) {
    for (key, value) in table("tasks", value, problems) {
        match key.as_str() {
            "aliases" => config.task_aliases = texts("tasks.aliases", value, problems),
            _ => problems.push(format!("tasks.{key}: no such setting; known here: aliases")),
        }
    }
}

fn cache(config: &mut Config, value: &toml::Value, problems: &mut Vec<String>) {
    for (key, value) in table("cache", value, problems) {
        match key.as_str() {
            "aliases" => {
                for (name, value) in table("cache.aliases", value, problems) {
                    let before = config.cache.aliases.get(name).cloned();
                    let before = before.unwrap_or_else(|| AliasConfig::new(Role::Cache, ""));
                    if let Some(reader) =
                        Reader::new(format!("cache.aliases.{name}"), value, problems)
                    {
                        let alias = alias(reader, before);
                        if matches!(alias.role, Role::Queue | Role::Results) {
                            problems.push(format!(
                                "cache.aliases.{name}.role: one of \"cache\", \"sessions\", \"jobs\" is expected: \
                                 clearing a cache empties its database, tasks and all"
                            ));
                        }
                        config.cache.aliases.insert(name.clone(), alias);
                    }
                }
            }
            "listings" => {
                let before = config.cache.listings[0].clone();
                let items = array("cache.listings", value, problems);
                let mut targets = Vec::new();
                for (idx, value) in items.iter().enumerate() {
                    if let Some(reader) =
                        Reader::new(format!("cache.listings[{idx}]"), value, problems)
                    {
                        targets.push(target(reader, before.clone()));
                    }
                }
                if targets.is_empty() {
                    problems.push("cache.listings: at least one target is expected".to_owned());
                } else {
                    config.cache.listings = targets;
                }
            }
            // Their keys are settings of their own.
            "status" | "proxies" | "details" | "responses" | "users" => {}
            _ => problems.push(format!(
                "cache.{key}: no such setting; known here: aliases, details, listings, proxies, responses, status, users"
            )),
        }
    }
}

/// Checks that what is written to the caches has a place there.
pub(super) fn check_targets(config: &Config, problems: &mut Vec<String>) {
    let cache = &config.cache;
    let others = [&cache.status, &cache.proxies, &cache.details, &cache.responses, &cache.users];
    for target in cache.listings.iter().chain(others) {
        if !cache.aliases.contains_key(&target.alias) {
            let known: Vec<&str> = cache.aliases.keys().map(String::as_str).collect();
            problems.push(format!(
                "cache: no alias `{}`; known: {}",
                target.alias,
                known.join(", ")
            ));
        }
    }
    let has_slug = |key: &str| key.contains('{') && key.find('{') == key.find("{keyword_slug}");
    if cache.listings.iter().any(|target| !has_slug(&target.key)) {
        let problem =
            "cache.listings: a key with {keyword_slug} in it, and no {…} before that, is expected";
        problems.push(problem.to_owned());
    }
    for (name, target) in [("status", &cache.status), ("proxies", &cache.proxies)] {
        if target.key.contains('{') {
            problems.push(format!("cache.{name}.key: a key without {{…}} in it is expected"));
        }
    }
    let many =
        [("details", &cache.details), ("responses", &cache.responses), ("users", &cache.users)];
    for (name, target) in many {
        let (open, close) = (target.key.find('{'), target.key.find('}'));
        if open.zip(close).is_none_or(|(open, close)| open > close) {
            problems
                .push(format!("cache.{name}.key: a key with {{id}} or the like in it is expected"));
        }
    }
    problems.extend(cache.collisions(|one, other| config.share_database(one, other)));
}

fn alias(mut reader: Reader<'_>, before: AliasConfig) -> AliasConfig {
    let alias = AliasConfig {
        role: reader.or("role", before.role),
        prefix: reader.or("prefix", before.prefix),
        version: reader.or("version", before.version),
        timeout: reader.or("timeout", Kept(before.timeout)).0,
        serializer: reader.or("serializer", before.serializer),
        compressor: reader.or("compressor", before.compressor),
        ignore_exceptions: reader.or("ignore_exceptions", before.ignore_exceptions),
    };
    reader.finish();
    alias
}

fn target(mut reader: Reader<'_>, before: CacheTarget) -> CacheTarget {
    let target = CacheTarget {
        alias: reader.or("alias", before.alias),
        key: reader.or("key", before.key),
        timeout: reader.or("timeout", Kept(before.timeout)).0,
    };
    reader.finish();
    target
}

fn intake(config: &mut Config, value: &toml::Value, problems: &mut Vec<String>) {
    for (key, value) in table("intake", value, problems) {
        if key != "apalis" {
            problems.push(format!("intake.{key}: no such setting; known here: apalis"));
            continue;
        }
        config.intake_apalis.clear();
        for (idx, value) in array("intake.apalis", value, problems).iter().enumerate() {
            let Some(mut reader) = Reader::new(format!("intake.apalis[{idx}]"), value, problems)
            else {
                continue;
            };
            let intake = IntakeConfig { queue: reader.named("queue"), task: reader.named("task") };
            reader.finish();
            config.intake_apalis.push(intake);
        }
    }
}
