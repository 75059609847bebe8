//! `schedules import`: the entries of a file, each on its own.

use std::{collections::BTreeSet, fmt, io::Read};

use rhubarb_queue::wire;
use rhubarb_schedule::{Schedule, ScheduleConfig};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    Store,
    edit::{not_of_file, told},
};
use crate::{cli::ImportArgs, error::Error, output, table::clean};

/// A file that is larger than this is not read.
const MOST_BYTES: u64 = 64 << 20;

pub(super) async fn import(store: &Store<'_>, args: &ImportArgs) -> Result<(), Error> {
    let text = text(args)?;
    let file = match args.file.to_str() {
        Some("-") => "standard input".into(),
        _ => args.file.to_string_lossy(),
    };
    let no_json = |error| Error::Failed(format!("{file} is no JSON: {error}"));
    let _: Value = serde_json::from_str(&text).map_err(no_json)?;
    let changed = |problem| Error::Failed(format!("{file}: {problem}; nothing was imported"));
    let found = wire::common(&text).map_err(changed)?;
    let _: Once = serde_json::from_str(&text)
        .map_err(|error| Error::Failed(format!("{file}: {error}; nothing was imported")))?;
    let Value::Object(mut entries) = found else {
        return Err(Error::Failed(format!("{file}: a JSON object of entries by name is expected")));
    };
    if let Some(Value::Object(inner)) = entries.get("schedules").cloned() {
        // The exporter's form; a schedule of that name would have a task.
        if !inner.contains_key("task") {
            entries = inner;
        }
    }
    let (mut n_taken, mut n_refused) = (0, 0);
    for (name, entry) in &entries {
        match take(store, name, entry, args.dry_run).await {
            Ok(()) => n_taken += 1,
            Err(error @ (Error::Failed(_) | Error::Usage(_))) => {
                output::note(&format!("refused: {}", clean(&error.to_string())));
                n_refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let would = if args.dry_run { "would be " } else { "" };
    output::print(&format!("{n_taken} {would}imported, {n_refused} refused"))?;
    if n_refused > 0 {
        return Err(Error::Failed(format!(
            "{n_refused} of {} entries were refused",
            entries.len()
        )));
    }
    Ok(())
}

async fn take(store: &Store<'_>, name: &str, entry: &Value, dry_run: bool) -> Result<(), Error> {
    not_of_file(store, name)?;
    let Value::Object(entry) = entry else {
        return Err(Error::Failed(format!("{}: a JSON object is expected", clean(name))));
    };
    // What the exporter could not translate.
    if let Some(problem) = entry.get("problem").and_then(Value::as_str) {
        return Err(Error::Failed(format!("{}: {}", clean(name), clean(problem))));
    }
    let entry = read(store, name, entry.clone())?;
    if !dry_run {
        store.schedules.set(name, &entry).await?;
    }
    told(store, name, &entry, if dry_run { "would be set" } else { "is set" })
}

fn text(args: &ImportArgs) -> Result<String, Error> {
    let mut text = String::new();
    let reader: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(&args.file).map_err(|error| {
            Error::Usage(format!("cannot read {}: {error}", args.file.display()))
        })?;
        Box::new(file)
    };
    let read = reader.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::Usage(format!("cannot read {}: {error}", args.file.display())))?;
    Ok(text)
}

fn read(store: &Store<'_>, name: &str, entry: Map<String, Value>) -> Result<ScheduleConfig, Error> {
    let entry = ScheduleConfig::from_json(name, &Value::Object(entry).to_string());
    let entry = entry.map_err(|problems| Error::Failed(problems.join("; ")))?;
    Schedule::compile(name, entry.clone(), &store.config.beat.timezone)
        .map_err(|error| Error::Failed(format!("{}: {error}", clean(name))))?;
    Ok(entry)
}

/// JSON in which no object has a key twice: of two, one would be lost without a word.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                let key = clean(&key);
                return Err(de::Error::custom(format!(
                    "`{key}` is there twice, and one would be lost"
                )));
            }
            map.next_value::<Self>()?;
            keys.insert(key);
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_found_wherever_it_is() {
        let once = |text: &str| serde_json::from_str::<Once>(text).map(drop);
        let fine = r#"{"a": {"task": "t", "args": [1, -1, 0.5, null, true, "x", {"a": 1}]}, "b": {"task": "t"}}"#;
        once(fine).unwrap();
        for text in [
            r#"{"a": 1, "b": 2, "a": 3}"#,
            r#"{"schedules": {"a": {}, "a": {}}}"#,
            r#"{"b": [{"a": 1, "a": 1}]}"#,
        ] {
            let problem = once(text).unwrap_err().to_string();
            assert!(problem.starts_with("`a` is there twice"), "{problem}");
        }
    }
}
