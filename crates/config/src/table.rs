//! A table of settings: a section of the file, or one entry of a list of tables.

use crate::{
    facts::Facts,
    part::{Item, Part, Reading},
    value::{Input, Shown, Value, Wrong, not},
};

/// What a setting accepts.
#[derive(Debug)]
pub struct Rule<V> {
    accepts: &'static str,
    holds: fn(&V) -> bool,
}

impl<V: Value> Rule<V> {
    /// Accepts whatever the type does.
    pub const fn any() -> Self {
        Self { accepts: V::ACCEPTS, holds: |_| true }
    }

    /// Says what is accepted.
    #[must_use]
    pub const fn accepts(self, accepts: &'static str) -> Self {
        Self { accepts, holds: self.holds }
    }

    /// Accepts only values for which this holds.
    #[must_use]
    pub const fn holds(self, holds: fn(&V) -> bool) -> Self {
        Self { accepts: self.accepts, holds }
    }

    /// Returns what is accepted.
    pub const fn accepted(&self) -> &'static str {
        self.accepts
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// What is expected, and what was given unless it may hold a secret.
    pub fn read(&self, input: Input<'_>) -> Result<V, String> {
        let wrong = |wrong: Wrong| {
            let problem = wrong.unwrap_or_else(|| format!("{} is expected", self.accepts));
            not::<V>(&problem, input)
        };
        V::read(input).and_then(|v| if (self.holds)(&v) { Ok(v) } else { Err(None) }).map_err(wrong)
    }
}

/// A setting in its table.
#[derive(Debug)]
pub struct Row<T> {
    /// What is known of it.
    pub facts: Facts,
    /// Sets it.
    pub set: fn(&mut T, Input<'_>) -> Result<(), String>,
    /// Shows what holds, secrets cut.
    pub show: fn(&T) -> Shown,
    /// Returns what holds as a person would write it.
    pub written: fn(&T) -> String,
}

/// A table in a table, or a collection of them.
#[derive(Debug)]
pub struct Inner<T> {
    /// Its name.
    pub key: &'static str,
    /// What it is, in lines that begin with a space.
    pub words: &'static str,
    /// What follows it in the template.
    pub examples: &'static str,
    /// Where it lies.
    pub get: fn(&T) -> &dyn Part,
    /// The same, to be changed.
    pub get_mut: fn(&mut T) -> &mut dyn Part,
}

/// A table of settings; [`settings!`](crate::settings) writes it.
pub trait Table: Clone + Default + 'static {
    /// Its settings, in the order of the documentation.
    const ROWS: &'static [Row<Self>];
    /// The tables in it.
    const INNER: &'static [Inner<Self>];
    /// Tables of other crates whose sections are this one's too. They have no name in the file.
    const INCLUDED: &'static [Inner<Self>] = &[];

    /// Completes an entry of a list, and tells `wrong` the keys and what is wrong with them.
    fn check(&mut self, wrong: &mut dyn FnMut(&str, String)) {
        let _ = wrong;
    }
}

/// Returns the name of a key of a table.
pub(crate) fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

impl<T: Table> Part for T {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        if reading.is_entry() {
            entry(self, reading, place, value);
        } else {
            keys(self, reading, place, value);
        }
    }

    fn set(&mut self, name: &str, input: Input<'_>) -> Option<Result<(), String>> {
        if let Some((first, rest)) = name.split_once('.') {
            let inner = T::INNER.iter().find(|inner| inner.key == first);
            let Some(inner) = inner else { return included(self, first)?.set(name, input) };
            return (inner.get_mut)(self).set(rest, input);
        }
        T::ROWS.iter().find(|row| row.facts.key == name).map(|row| (row.set)(self, input))
    }

    fn has(&self, key: &str) -> bool {
        T::INNER.iter().any(|inner| inner.key == key)
            || T::INCLUDED.iter().any(|inner| (inner.get)(self).has(key))
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        let Item { place, .. } = &item;
        let place = place.clone();
        if !T::ROWS.is_empty() {
            see(item);
        }
        for Row { facts, show, written, .. } in T::ROWS {
            see(Item::setting(join(&place, facts.key), facts, show(self), written(self)));
        }
        for inner in T::INCLUDED {
            (inner.get)(self).visit(Item::table(place.clone(), "", ""), see);
        }
        for inner in T::INNER {
            let item = Item::table(join(&place, inner.key), inner.words, inner.examples);
            (inner.get)(self).visit(item, see);
        }
    }
}

/// Returns the included table that has this section.
fn included<'t, T: Table>(table: &'t mut T, section: &str) -> Option<&'t mut dyn Part> {
    let inner = T::INCLUDED.iter().find(|inner| (inner.get)(table).has(section))?;
    Some((inner.get_mut)(table))
}

fn keys<T: Table>(table: &mut T, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
    let toml::Value::Table(given) = value else {
        reading.wrong(place, "a table is expected");
        return;
    };
    for (key, value) in given {
        let name = join(place, key);
        if let Some(inner) = T::INNER.iter().find(|inner| inner.key == key) {
            (inner.get_mut)(table).read(reading, &name, value);
        } else if let Some(row) = T::ROWS.iter().find(|row| row.facts.key == key) {
            let set = (row.set)(table, Input::Toml(value));
            reading.set(&name, set);
        } else if let Some(part) = included(table, key) {
            let only = toml::Table::from_iter([(key.clone(), value.clone())]);
            part.read(reading, place, &toml::Value::Table(only));
        } else if place.is_empty() {
            no_section(reading, &name, value);
        } else {
            reading.wrong(&name, &unknown::<T>(reading.is_entry()));
        }
    }
}

fn no_section(reading: &mut Reading<'_>, section: &str, value: &toml::Value) {
    match value {
        toml::Value::Table(keys) => {
            keys.keys().for_each(|key| reading.wrong(&join(section, key), "no such section"));
        }
        _ => reading.wrong(section, "no such section"),
    }
}

fn unknown<T: Table>(is_entry: bool) -> String {
    let rows = T::ROWS.iter().map(|row| row.facts.key);
    let mut known: Vec<&str> = rows.chain(T::INNER.iter().map(|inner| inner.key)).collect();
    if is_entry || T::ROWS.is_empty() {
        known.sort_unstable();
    }
    format!("no such setting; known here: {}", known.join(", "))
}

/// Reads an entry of a list into what holds before; false when it cannot be used at all.
pub(crate) fn entry<T: Table>(
    table: &mut T,
    reading: &mut Reading<'_>,
    place: &str,
    value: &toml::Value,
) -> bool {
    keys(table, &mut reading.of_entry(), place, value);
    let Some(given) = value.as_table() else { return false };
    let mut is_whole = true;
    for row in T::ROWS.iter().filter(|row| row.facts.required) {
        let value = given.get(row.facts.key);
        let problem = match value {
            None => Some("it is missing"),
            Some(toml::Value::String(text)) if text.trim().is_empty() => Some("it is empty"),
            Some(_) => None,
        };
        if let Some(problem) = problem {
            reading.wrong(&join(place, row.facts.key), problem);
        }
        let is_set = |value| (row.set)(&mut T::default(), Input::Toml(value)).is_ok();
        is_whole &= problem.is_none() && value.is_some_and(is_set);
    }
    if is_whole {
        table.check(&mut |key, problem| reading.wrong(&join(place, key), &problem));
    }
    is_whole
}

/// Declares tables of settings: structs with their defaults and all that is to be said of each
/// setting.
///
/// ```
/// rhubarb_config::settings! {
///     /// The oven.
///     #[derive(Clone, Debug)]
///     pub struct Oven {
///         /// How hot it gets, in degrees.
///         heat: u32 = 180, accepts "50 to 300", if |heat| (50..=300).contains(heat);
///         /// Whether air is moved.
///         fan: bool = false;
///     }
/// }
/// assert_eq!(Oven::default().heat, 180);
/// ```
///
/// After the default a setting may have, in this order: `through` a type that reads it, what it
/// `accepts`, `if` a check holds, variables that it is also set `from` or that go `over` ours, an
/// `example` for the template, and `required true`. Behind the struct follow the tables in the
/// table in `tables { … }`, fields that are no settings in `fields { … }`, and `check` names what
/// completes an entry. The table that is the whole file may first take the sections of others as
/// its own: `includes { … }`.
#[macro_export]
macro_rules! settings {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $words:literal])*
                $field:ident $(as $key:literal)?: $type:ty = $default:expr
                $(, through $via:ty)? $(, accepts $accepts:expr)? $(, if $holds:expr)?
                $(, from $before:expr)? $(, over $over:expr)? $(, example $example:expr)?
                $(, required $required:literal)?;
            )*
        }
        $(includes {$(
            $(#[$include_about:meta])*
            $include:ident: $include_type:ty = $include_default:expr;
        )*})?
        $(tables {$(
            $(#[doc = $inner_words:literal])*
            $inner:ident: $inner_type:ty = $inner_default:expr $(, examples $examples:expr)?;
        )*})?
        $(fields {$(
            $(#[$other_about:meta])*
            $other:ident: $other_type:ty = $other_default:expr;
        )*})?
        $(check $check:path;)?
    ) => {
        $(#[$about])*
        $vis struct $name {
            $($(#[doc = $words])* pub $field: $type,)*
            $($($(#[$include_about])* pub $include: $include_type,)*)?
            $($($(#[doc = $inner_words])* pub $inner: $inner_type,)*)?
            $($($(#[$other_about])* pub $other: $other_type,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($($include: $include_default,)*)?
                    $($($inner: $inner_default,)*)?
                    $($($other: $other_default,)*)?
                }
            }
        }

        impl $crate::Table for $name {
            const ROWS: &'static [$crate::Row<Self>] = &[$({
                type Read = $crate::settings!(@type $type $(, $via)?);
                const RULE: $crate::Rule<Read> =
                    $crate::Rule::any() $(.accepts($accepts))? $(.holds($holds))?;
                $crate::Row {
                    facts: $crate::Facts {
                        key: $crate::settings!(@expr stringify!($field) $(, $key)?),
                        words: concat!($($words, "\n"),*),
                        accepts: RULE.accepted(),
                        before: $crate::settings!(@expr &[] $(, $before)?),
                        over: $crate::settings!(@expr &[] $(, $over)?),
                        example: $crate::settings!(@expr None $(, Some($example))?),
                        required: $crate::settings!(@expr false $(, $required)?),
                    },
                    set: |table, input| {
                        table.$field = RULE.read(input)?.into();
                        Ok(())
                    },
                    show: |table| $crate::Value::show(&Read::from(table.$field.clone())),
                    written: |table| $crate::Value::written(&Read::from(table.$field.clone())),
                }
            }),*];
            const INNER: &'static [$crate::Inner<Self>] = &[$($($crate::Inner {
                key: stringify!($inner),
                words: concat!($($inner_words, "\n"),*),
                examples: $crate::settings!(@expr "" $(, $examples)?),
                get: |table| &table.$inner,
                get_mut: |table| &mut table.$inner,
            }),*)?];
            $(const INCLUDED: &'static [$crate::Inner<Self>] = &[$($crate::Inner {
                key: stringify!($include),
                words: "",
                examples: "",
                get: |table| &table.$include,
                get_mut: |table| &mut table.$include,
            }),*];)?
            $(fn check(&mut self, wrong: &mut dyn FnMut(&str, String)) {
                $check(self, wrong);
            })?
        }
    };
    (@type $one:ty) => { $one };
    (@type $one:ty, $last:ty) => { $last };
    (@expr $one:expr) => { $one };
    (@expr $one:expr, $last:expr) => { $last };
}
