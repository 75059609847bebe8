//! Entries: lists and maps of tables, maps of texts, and maps of what has rules of its own.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    facts::Key,
    part::{Collection, Item, ItemKind, Part, Reader, Reading},
    table::{self, Table},
    toml_text::{inline, key, quoted, table_of},
    value::Shown,
};

/// Returns the tables in a value that is a table; what else it is, is told.
fn table<'v>(
    reading: &mut Reading<'_>,
    place: &str,
    value: &'v toml::Value,
) -> Vec<(&'v String, &'v toml::Value)> {
    if !value.is_table() {
        reading.wrong(place, "a table is expected");
    }
    value.as_table().into_iter().flatten().collect()
}

/// Returns all settings of a table and of those in it.
fn facts<T: Table>() -> Vec<Key> {
    let (default, mut all) = (T::default(), Vec::new());
    default.visit(Item::table(String::new(), "", ""), &mut |item| match item.kind {
        ItemKind::Setting(facts, shown, written) => {
            let default = if shown == Shown::Unset { String::new() } else { written };
            all.push((item.place, facts, default));
        }
        ItemKind::Collection(inner) => {
            let inner = inner.keys().into_iter();
            all.extend(
                inner.map(|(name, facts, default)| {
                    (table::join(&item.place, &name), facts, default)
                }),
            );
        }
        ItemKind::Table => {}
    });
    all
}

/// A setting of an entry that holds.
struct Held {
    name: String,
    shown: Shown,
    written: String,
    is_required: bool,
}

/// Returns all settings of an entry.
fn all<T: Table>(entry: &T) -> Vec<Held> {
    let mut all = Vec::new();
    entry.visit(Item::table(String::new(), "", ""), &mut |Item { place: name, kind, .. }| {
        let (shown, written, is_required) = match kind {
            ItemKind::Setting(facts, shown, written) => (shown, written, facts.required),
            ItemKind::Collection(inner) => (Shown::Is(inner.value()), inner.value(), false),
            ItemKind::Table => return,
        };
        all.push(Held { name, shown, written, is_required });
    });
    all
}

/// Returns an entry's settings as far as they are set, without those that are as in `default` and
/// may be left out.
fn held<T: Table>(entry: &T, default: Option<&T>) -> Vec<Held> {
    let default = default.map(all).unwrap_or_default();
    let is_new = |held: &Held| {
        let is_same = |known: &Held| known.name == held.name && known.shown == held.shown;
        held.shown != Shown::Unset && (held.is_required || !default.iter().any(is_same))
    };
    all(entry).into_iter().filter(is_new).collect()
}

/// Returns what an entry does not have from its type's default.
fn differing<T: Table>(entry: &T) -> Vec<Held> {
    held(entry, Some(&T::default()))
}

fn is_cut(held: &[Held]) -> bool {
    held.iter().any(|held| matches!(held.shown, Shown::Cut(_)))
}

fn on_one_line(held: &[Held]) -> String {
    let pair = |held: &Held| format!("{} = {}", held.name, held.shown.text());
    let pairs: Vec<String> = held.iter().map(pair).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

/// The line of an entry that is shown: a comment where a secret was cut.
fn line(text: &str, is_cut: bool, from: &str) -> String {
    if is_cut {
        format!("# {text}  # {from}; set, not shown\n")
    } else {
        format!("{text}  # {from}\n")
    }
}

/// Returns a commented entry with every setting, then those that hold.
fn entries<'e, T: Table>(header: &str, entries: impl Iterator<Item = (String, &'e T)>) -> String {
    let mut text = format!("# {header}\n");
    let place = header.trim_matches(['[', ']']);
    let mut see = |item: Item<'_>| {
        let (words, inner) = (comment(item.words), format!("{place}.{}", item.place));
        text += &match item.kind {
            ItemKind::Table if item.place.is_empty() => String::new(),
            ItemKind::Table => format!("{words}# [{inner}]\n"),
            ItemKind::Setting(facts, _, written) => {
                format!("{words}# {} = {}\n", facts.key, facts.example.unwrap_or(&written))
            }
            ItemKind::Collection(within) => format!("{words}# {}", within.template(&inner)),
        };
    };
    T::default().visit(Item::table(String::new(), "", ""), &mut see);
    for (header, entry) in entries {
        text += &format!("\n{header}\n");
        for Held { name, written, .. } in differing(entry) {
            text += &format!("{name} = {written}\n");
        }
    }
    text
}

/// Returns words as a comment.
pub(crate) fn comment(words: &str) -> String {
    words.lines().map(|line| format!("#{line}\n")).collect()
}

/// A list of tables, which the file gives whole.
impl<T: Table> Part for Vec<T> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        self.clear();
        reading.begin(place);
        let Some(items) = value.as_array() else {
            let problem = format!("a list of tables, [[{place}]], is expected");
            reading.wrong(place, &problem);
            return;
        };
        for (idx, value) in items.iter().enumerate() {
            let mut entry = T::default();
            if table::entry(&mut entry, reading, &format!("{place}[{idx}]"), value) {
                self.push(entry);
            }
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl<T: Table> Collection for Vec<T> {
    fn print(&self, place: &str, from: &str) -> String {
        let entries = self.iter().map(|entry| {
            let held = differing(entry);
            let text = on_one_line(&held);
            let is_cut = is_cut(&held);
            if is_cut {
                format!("    # {text},  # set, not shown\n")
            } else {
                format!("    {text},\n")
            }
        });
        format!("{place} = [  # {from}\n{}]\n", entries.collect::<String>())
    }

    fn value(&self) -> String {
        let all: Vec<String> = self.iter().map(|entry| on_one_line(&differing(entry))).collect();
        format!("[{}]", all.join(", "))
    }

    fn template(&self, place: &str) -> String {
        let header = format!("[[{place}]]");
        entries(&header, self.iter().map(|entry| (header.clone(), entry)))
    }

    fn keys(&self) -> Vec<Key> {
        facts::<T>()
    }
}

/// Tables by name; the file adds to those that there are, and changes them.
impl<T: Table> Part for BTreeMap<String, T> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        reading.begin(place);
        for (name, value) in table(reading, place, value) {
            let entry = self.entry(name.clone()).or_default();
            table::entry(entry, reading, &format!("{place}.{name}"), value);
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl<T: Table> Collection for BTreeMap<String, T> {
    fn print(&self, place: &str, from: &str) -> String {
        let entry = |(name, entry): (&String, &T)| {
            let held = held(entry, None);
            line(&format!("{place}.{} = {}", key(name), on_one_line(&held)), is_cut(&held), from)
        };
        self.iter().map(entry).collect()
    }

    fn value(&self) -> String {
        let entry = |(name, entry)| (String::as_str(name), on_one_line(&held(entry, None)));
        table_of(self.iter().map(entry))
    }

    fn template(&self, place: &str) -> String {
        let header = |name: &str| format!("[{place}.{}]", key(name));
        entries(&format!("[{place}.NAME]"), self.iter().map(|(name, entry)| (header(name), entry)))
    }

    fn keys(&self) -> Vec<Key> {
        facts::<T>()
    }
}

/// Texts by name, which the file gives whole.
impl Part for BTreeMap<String, String> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        self.clear();
        reading.begin(place);
        for (name, value) in table(reading, place, value) {
            match value {
                toml::Value::String(text) => {
                    self.insert(name.clone(), text.clone());
                }
                _ => reading.wrong(&format!("{place}.{name}"), "text in quotes is expected"),
            }
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl Collection for BTreeMap<String, String> {
    fn print(&self, place: &str, from: &str) -> String {
        line(&format!("{place} = {}", self.value()), false, from)
    }

    fn value(&self) -> String {
        table_of(self.iter().map(|(name, text)| (name.as_str(), quoted(text))))
    }

    fn template(&self, place: &str) -> String {
        format!("[{place}]\n")
    }

    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

/// Whole numbers from 0 to 255 by name, which the file gives whole.
impl Part for BTreeMap<String, u8> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        self.clear();
        reading.begin(place);
        for (name, value) in table(reading, place, value) {
            match value.as_integer().and_then(|number| u8::try_from(number).ok()) {
                Some(number) => {
                    self.insert(name.clone(), number);
                }
                None => reading.wrong(&format!("{place}.{name}"), "a whole number is expected"),
            }
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl Collection for BTreeMap<String, u8> {
    fn print(&self, place: &str, from: &str) -> String {
        line(&format!("{place} = {}", self.value()), false, from)
    }

    fn value(&self) -> String {
        table_of(self.iter().map(|(name, number)| (name.as_str(), number.to_string())))
    }

    fn template(&self, place: &str) -> String {
        format!("[{place}]\n")
    }

    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

/// Lists of texts by name, which the file gives whole; a lone text is a list of one.
impl Part for BTreeMap<String, Vec<String>> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        self.clear();
        reading.begin(place);
        for (name, value) in table(reading, place, value) {
            let items = match value {
                toml::Value::Array(items) => items.as_slice(),
                single => std::slice::from_ref(single),
            };
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            match texts.collect::<Option<Vec<String>>>() {
                Some(texts) => {
                    self.insert(name.clone(), texts);
                }
                None => reading.wrong(&format!("{place}.{name}"), "a list of texts is expected"),
            }
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl Collection for BTreeMap<String, Vec<String>> {
    fn print(&self, place: &str, from: &str) -> String {
        line(&format!("{place} = {}", self.value()), false, from)
    }

    fn value(&self) -> String {
        let list = |texts: &Vec<String>| {
            format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
        };
        table_of(self.iter().map(|(name, texts)| (name.as_str(), list(texts))))
    }

    fn template(&self, place: &str) -> String {
        format!("[{place}]\n")
    }

    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

/// An entry with rules of its own, of a section of which there may be very many.
pub trait Entry: Sized + 'static {
    /// What the template has of the section.
    const TEMPLATE: &'static str;

    /// Tells what is wrong with a name.
    ///
    /// # Errors
    ///
    /// What is expected of it.
    fn check_name(name: &str) -> Result<(), String>;

    /// Reads one.
    fn read(reader: Reader<'_>) -> Arc<Self>;

    /// Returns it as the file would have it; true when a secret was cut.
    fn show(&self) -> (toml::Value, bool);
}

/// Entries by name: without any in the file those that there are.
impl<E: Entry> Part for BTreeMap<String, Arc<E>> {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        if reading.begin(place) {
            self.clear();
        }
        for (name, value) in table(reading, place, value) {
            if let Err(expected) = E::check_name(name) {
                let shown: String = name.chars().take(60).collect();
                reading.wrong(&format!("{place}.{shown:?}"), &expected);
            } else if self.contains_key(name) {
                reading.wrong(&format!("{place}.{name:?}"), "it is there twice");
            } else if let Some(reader) =
                Reader::new(format!("{place}.{name}"), value, reading.problems())
            {
                self.insert(name.clone(), E::read(reader));
            }
        }
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl<E: Entry> Collection for BTreeMap<String, Arc<E>> {
    fn print(&self, place: &str, from: &str) -> String {
        if self.is_empty() {
            return line(&format!("{place} = {{}}"), false, from);
        }
        let entry = |(name, entry): (&String, &Arc<E>)| {
            let (value, is_cut) = entry.show();
            line(&format!("{place}.{} = {}", key(name), inline(&value)), is_cut, from)
        };
        self.iter().map(entry).collect()
    }

    fn value(&self) -> String {
        table_of(self.iter().map(|(name, entry)| (name.as_str(), inline(&entry.show().0))))
    }

    fn template(&self, _place: &str) -> String {
        E::TEMPLATE.to_owned()
    }

    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}
