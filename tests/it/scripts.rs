//! Every script that runs inside Redis says what it takes, what it gives, and what holds when we die after it.

use std::{fs, path::Path};

use rhubarb_e2e::file;

/// What the head comment of a script has to have, each at a line's beginning.
const PARTS: [&str; 4] = ["KEYS", "ARGV", "Returns", "Crash"];

#[test]
fn every_script_documents_its_contract() {
    let mut scripts = Vec::new();
    collect(&file("../crates"), &mut scripts);
    assert!(
        !scripts.is_empty(),
        "no *.lua found under crates/: this test looks in the wrong place"
    );
    let wrong: Vec<String> =
        scripts.iter().filter_map(|(name, text)| problem(name, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Scripts live in files of their own: text in a Rust string escapes the test above.
#[test]
fn no_script_hides_in_rust_code() {
    let mut sources = Vec::new();
    collect_by(&file("../crates"), "rs", &mut sources);
    let hidden: Vec<&str> = sources
        .iter()
        .filter(|(_, text)| text.contains("redis.call(") || text.contains("redis.pcall("))
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(hidden.is_empty(), "Lua in {hidden:?}; put it in a .lua file with a head comment");
}

fn problem(name: &str, text: &str) -> Option<String> {
    let head: Vec<&str> =
        text.lines().map_while(|line| line.strip_prefix("--")).map(str::trim_start).collect();
    let missing: Vec<&str> =
        PARTS.into_iter().filter(|part| !head.iter().any(|line| line.starts_with(part))).collect();
    (!missing.is_empty()).then(|| format!("{name}: its head comment lacks {missing:?}"))
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    collect_by(folder, "lua", found);
}

fn collect_by(folder: &Path, extension: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("our own folder") {
        let path = entry.expect("our own folder").path();
        if path.is_dir() {
            collect_by(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push((
                path.display().to_string(),
                fs::read_to_string(&path).expect("our own file"),
            ));
        }
    }
}
