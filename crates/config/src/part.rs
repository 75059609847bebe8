//! What a table of the file is made of, and what happens while the file is read.

use std::{collections::BTreeSet, fmt::Debug};

use crate::{
    facts::{Facts, Key},
    origins::Origins,
    value::{Input, Shown, Value, not},
};

/// A table of the file, or a collection of entries.
pub trait Part {
    /// Reads what the file has at `place`.
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value);

    /// Sets the setting of this name below it; nothing where there is none.
    fn set(&mut self, name: &str, input: Input<'_>) -> Option<Result<(), String>> {
        let _ = (name, input);
        None
    }

    /// Tells whether it has a table of this name.
    fn has(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// Shows itself (`item` says where) and all that is below it, in the order of the
    /// documentation.
    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>));
}

impl Debug for dyn Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table")
    }
}

impl Debug for dyn Collection + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("entries")
    }
}

/// Entries that are read and shown together.
pub trait Collection {
    /// Returns the lines that say what holds; `from` is where it came from.
    fn print(&self, place: &str, from: &str) -> String;

    /// Returns the same as one value of TOML, where it lies in an entry itself.
    fn value(&self) -> String;

    /// Returns what the template has of it.
    fn template(&self, place: &str) -> String;

    /// Returns the settings of one entry, by the names that they have in it.
    fn keys(&self) -> Vec<Key>;
}

/// Something of the configuration, seen.
#[derive(Debug)]
pub struct Item<'p> {
    /// Its name, from the file's top.
    pub place: String,
    /// What it is, in lines that begin with a space.
    pub words: &'static str,
    /// What follows it in the template.
    pub examples: &'static str,
    /// What it is made of.
    pub kind: ItemKind<'p>,
}

/// What something of the configuration is made of.
#[derive(Debug)]
pub enum ItemKind<'p> {
    /// A table with settings, which come next.
    Table,
    /// A setting, with what holds and the same as a person would write it.
    Setting(&'static Facts, Shown, String),
    /// Entries.
    Collection(&'p dyn Collection),
}

impl<'p> Item<'p> {
    pub(crate) fn table(place: String, words: &'static str, examples: &'static str) -> Self {
        Self { place, words, examples, kind: ItemKind::Table }
    }

    pub(crate) fn setting(
        place: String,
        facts: &'static Facts,
        shown: Shown,
        written: String,
    ) -> Self {
        let kind = ItemKind::Setting(facts, shown, written);
        Self { place, words: facts.words, examples: "", kind }
    }

    /// Returns the same place as that of entries.
    #[must_use]
    pub fn of(self, collection: &'p dyn Collection) -> Self {
        Self { kind: ItemKind::Collection(collection), ..self }
    }
}

/// What is known while a file is read.
#[derive(Debug)]
pub struct Reading<'r> {
    /// The file; absent inside an entry, whose settings have no origin of their own.
    pub(crate) origin: Option<&'r str>,
    pub(crate) origins: &'r mut Origins,
    pub(crate) problems: &'r mut Vec<String>,
}

impl Reading<'_> {
    pub(crate) fn is_entry(&self) -> bool {
        self.origin.is_none()
    }

    pub(crate) fn of_entry(&mut self) -> Reading<'_> {
        Reading { origin: None, origins: self.origins, problems: self.problems }
    }

    /// Tells of a problem.
    pub fn wrong(&mut self, place: &str, problem: &str) {
        self.problems.push(format!("{place}: {problem}"));
    }

    /// Returns all problems so far, to be added to.
    pub fn problems(&mut self) -> &mut Vec<String> {
        self.problems
    }

    /// Notes where something was set; true when it was not set before.
    pub fn begin(&mut self, place: &str) -> bool {
        self.origin.is_none_or(|origin| self.origins.note(place, origin))
    }

    pub(crate) fn set(&mut self, name: &str, set: Result<(), String>) {
        match (set, self.origin) {
            (Ok(()), _) => {
                self.begin(name);
            }
            (Err(problem), Some(origin)) => {
                self.problems.push(format!("{name} (from {origin}): {problem}"));
            }
            (Err(problem), None) => self.wrong(name, &problem),
        }
    }
}

/// A table with rules of its own while it is read: knows where it is, what was asked for, and what
/// was wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    place: String,
    /// The table.
    pub table: &'a toml::Table,
    asked: BTreeSet<&'static str>,
    /// What was wrong so far.
    pub problems: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    /// Begins to read what is at `place`; nothing when it is no table, which is told.
    pub fn new(
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

    /// Returns what is at a key, which is known from now on.
    pub fn get(&mut self, key: &'static str) -> Option<&'a toml::Value> {
        self.asked.insert(key);
        self.table.get(key)
    }

    /// Reads a value; nothing when it is absent, or wrong, which is told.
    pub fn optional<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let input = Input::Toml(self.get(key)?);
        let wrong = |wrong: Option<String>| {
            let problem = wrong.unwrap_or_else(|| format!("{} is expected", T::ACCEPTS));
            not::<T>(&problem, input)
        };
        T::read(input).map_err(|problem| self.wrong(key, &wrong(problem))).ok()
    }

    /// Reads a value that may be absent.
    pub fn or<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// Reads a text that has to be there and not empty.
    pub fn named(&mut self, key: &'static str) -> String {
        if !self.table.contains_key(key) {
            self.wrong(key, "it is missing");
        }
        let text: Option<String> = self.optional(key);
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            self.wrong(key, "it is empty");
        }
        text.unwrap_or_default()
    }

    /// Tells what is wrong with a key.
    pub fn wrong(&mut self, key: &str, problem: &str) {
        self.problems.push(format!("{}.{key}: {problem}", self.place));
    }

    /// Returns the reader of a table inside this one; its problems are told in the same list.
    pub fn inner<'b>(&'b mut self, key: &str, value: &'b toml::Value) -> Option<Reader<'b>> {
        Reader::new(format!("{}.{key}", self.place), value, self.problems)
    }

    /// Reports the keys that nothing asked for.
    pub fn finish(self) {
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
