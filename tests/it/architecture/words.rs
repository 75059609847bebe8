//! One meaning for each word among the public types of all crates.

use std::{collections::BTreeMap, fs};

use rhubarb_e2e::file;

use super::circles::{Modules, modules};

/// Words that stood for several things at once, each a public type of another crate.
const ONE_MEANING: [&str; 12] = [
    "Change", "Ended", "Filter", "Kind", "Known", "Limits", "Lock", "Look", "Memory", "Outcome",
    "Place", "Report",
];

/// The names of the public types that code declares.
fn types(code: &str) -> impl Iterator<Item = &str> {
    ["pub struct ", "pub enum ", "pub trait ", "pub type "]
        .into_iter()
        .flat_map(|kind| code.split(kind).skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next())
}

#[test]
fn a_word_that_had_several_meanings_has_one() {
    let mut places: BTreeMap<&str, Vec<String>> =
        ONE_MEANING.iter().map(|word| (*word, Vec::new())).collect();
    for folder in fs::read_dir(file("../crates")).unwrap().map(|entry| entry.unwrap().path()) {
        let mut all = Modules::new();
        modules(&folder.join("src"), "", &mut all);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for (module, code) in &all {
            for found in types(code) {
                if let Some(places) = places.get_mut(found) {
                    places.push(format!("{name}: {module}"));
                }
            }
        }
    }
    assert_eq!(places["Outcome"], ["consumer: outcome"], "what is read is the code");
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "public types of the same name: {places:#?}");
}
