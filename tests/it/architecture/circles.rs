//! Modules that import each other: none, but for a module and those inside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rhubarb_e2e::file;

/// A crate's modules by path (`a::b`), each with its text.
pub(super) type Modules = BTreeMap<String, String>;

/// Reads the modules below a folder, without their tests and comments.
pub(super) fn modules(folder: &Path, inside: &str, all: &mut Modules) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let of = |name: &str| [inside, name].join("::").trim_start_matches("::").to_owned();
        if path.is_dir() {
            modules(&path, &of(&name), all);
        } else if let Some(name) = name.strip_suffix(".rs")
            && !["lib", "main", "tests"].contains(&name)
        {
            let module = if name == "mod" { inside.to_owned() } else { of(name) };
            all.insert(module, code(&fs::read_to_string(path).unwrap()));
        }
    }
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let without = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    text.lines().map(without).collect()
}

/// Takes `a::{b, c::{d}}` apart into `a::b` and `a::c::d`.
fn leaves(path: &str) -> Vec<String> {
    let Some((before, inner)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let (mut depth, mut items) = (0, vec![String::new()]);
    for character in inner.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        match (character, depth) {
            (',', 0) => items.push(String::new()),
            _ => items.last_mut().unwrap().push(character),
        }
    }
    let whole =
        |item: &String| leaves(item).into_iter().map(|leaf| before.trim().to_owned() + &leaf);
    items.iter().filter(|item| !item.trim().is_empty()).flat_map(whole).collect()
}

/// The paths that a text names from `crate`, `super` or `self` on: where it imports, and in
/// between.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole =
                !code[..at].ends_with([':', '_']) && !code[..at].ends_with(char::is_alphanumeric);
            let is_imported = code[..at].trim_end().ends_with("use");
            if is_whole {
                let end = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
                let rest = &code[at..];
                let rest =
                    if is_imported { rest.split(';').next() } else { rest.split(end).next() };
                paths.extend(leaves(rest.unwrap_or_default()));
            }
        }
    }
    paths
}

/// The module that a path from `module` leads into.
fn target(modules: &Modules, module: &str, path: &str) -> Option<String> {
    let mut place: Vec<&str> = module.split("::").collect();
    for part in path.split("::").map(str::trim) {
        match part {
            "crate" => place.clear(),
            "self" => {}
            "super" => drop(place.pop()),
            part => place.push(part.split_whitespace().next().unwrap_or_default()),
        }
    }
    while !place.is_empty() && !modules.contains_key(&place.join("::")) {
        place.pop();
    }
    Some(place.join("::")).filter(|found| !found.is_empty() && found != module)
}

/// The pairs that import each other.
fn circles(modules: &Modules) -> Vec<(String, String)> {
    let imports: BTreeMap<&String, BTreeSet<String>> = modules
        .iter()
        .map(|(module, code)| {
            (module, paths(code).iter().filter_map(|path| target(modules, module, path)).collect())
        })
        .collect();
    let is_inside = |a: &str, b: &str| a.starts_with(&format!("{b}::"));
    let mut pairs = Vec::new();
    for (a, targets) in &imports {
        for b in targets.iter().filter(|b| *a < *b && !is_inside(a, b) && !is_inside(b, a)) {
            if imports[b].contains(*a) {
                pairs.push(((*a).clone(), b.clone()));
            }
        }
    }
    pairs
}

#[test]
fn no_two_modules_of_a_crate_import_each_other() {
    let mut found = Vec::new();
    for folder in fs::read_dir(file("../crates")).unwrap().map(|entry| entry.unwrap().path()) {
        let mut all = Modules::new();
        modules(&folder.join("src"), "", &mut all);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let circles = circles(&all).into_iter();
        found.extend(circles.map(|(a, b)| format!("{name}: {a} and {b}")));
    }
    assert!(found.is_empty(), "move what both need into a third: {found:#?}");
}

#[test]
fn a_circle_is_seen_and_a_parent_with_its_child_is_none() {
    let text = |code: &str| code.to_owned();
    let modules = Modules::from([
        (text("a"), text("use crate::{b::{One, Two}, c};")),
        (text("b"), text("fn f() { super::a::g() }")),
        (text("c"), text("mod inner; pub use self::inner::T;")),
        (text("c::inner"), text("use super::U;")),
    ]);
    assert_eq!(circles(&modules), [(text("a"), text("b"))]);
}
