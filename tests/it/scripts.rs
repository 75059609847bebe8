//! Every script that runs inside Redis says what it takes, what it gives, and what holds when we
//! die after it.

use std::{collections::BTreeSet, fs, path::Path};

use rhubarb_e2e::file;

/// What the head comment of a script has to have, each at a line's beginning.
const PARTS: [&str; 4] = ["KEYS", "ARGV", "Returns", "If the caller dies right after:"];

#[test]
fn every_script_documents_its_contract() {
    let scripts = files("lua");
    assert!(!scripts.is_empty(), "no *.lua under crates/: this test looks in the wrong place");
    let wrong: Vec<String> = scripts
        .iter()
        .flat_map(|(name, text)| problems(text).into_iter().map(move |p| format!("{name}: {p}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Scripts live in files of their own: text in a Rust string escapes the test above.
#[test]
fn no_script_hides_in_rust_code() {
    let sources = files("rs");
    let hidden: Vec<&String> = sources
        .iter()
        .filter(|(_, text)| text.contains("redis.call(") || text.contains("redis.pcall("))
        .map(|(name, _)| name)
        .collect();
    assert!(hidden.is_empty(), "Lua in {hidden:?}; put it in a .lua file with a head comment");
}

#[test]
fn an_undocumented_argument_is_found() {
    let head = "-- KEYS[1] k\n-- ARGV[1] a\n-- ARGV[3..] more\n--\n-- Returns 1.\n--\n\
                -- If the caller dies right after: nothing.\n";
    let check = |body: &str, expect: &[&str]| {
        assert_eq!(problems(&format!("{head}{body}")), expect, "{body}")
    };
    check("return redis.call('SET', KEYS[1], ARGV[1])", &[]);
    check("return ARGV[3] .. ARGV[7]", &[]);
    check("return ARGV[2]", &["ARGV[2] is used and not documented"]);
    check("return KEYS[2]", &["KEYS[2] is used and not documented"]);
    assert_eq!(problems("return 1").len(), PARTS.len());
}

/// What a script's head comment lacks.
fn problems(text: &str) -> Vec<String> {
    let is_comment = |line: &&str| line.starts_with("--");
    let head: Vec<&str> = text
        .lines()
        .take_while(is_comment)
        .map(|line| line.trim_start_matches('-').trim_start())
        .collect();
    let body: String = text.lines().skip_while(is_comment).collect::<Vec<_>>().join("\n");
    let mut problems: Vec<String> = PARTS
        .into_iter()
        .filter(|part| !head.iter().any(|line| line.starts_with(part)))
        .map(|part| format!("its head comment lacks `{part}`"))
        .collect();
    let long = text.lines().filter(|line| line.chars().count() > 100);
    problems.extend(long.map(|line| format!("over 100 columns: {line}")));
    for array in ["KEYS", "ARGV"] {
        let documented = |n: u32| head.iter().any(|line| documents(line, array, n));
        let undocumented = used(&body, array).into_iter().filter(|&n| !documented(n));
        problems.extend(undocumented.map(|n| format!("{array}[{n}] is used and not documented")));
    }
    problems
}

/// The fixed indices with which the body reads an array.
fn used(body: &str, array: &str) -> BTreeSet<u32> {
    let opening = format!("{array}[");
    let after = body.split(&opening).skip(1);
    after.filter_map(|rest| rest.split_once(']')?.0.trim().parse().ok()).collect()
}

/// Tells whether a line of the head is about index `n`: `ARGV[3]` is, and `ARGV[2..]` too.
fn documents(line: &str, array: &str, n: u32) -> bool {
    let index = line
        .strip_prefix(array)
        .and_then(|rest| rest.strip_prefix('['))
        .and_then(|rest| rest.split_once(']'));
    index.is_some_and(|(index, _)| match index.split_once("..") {
        Some((first, _)) => first.parse().is_ok_and(|first: u32| n >= first),
        None => index.parse() == Ok(n),
    })
}

/// Path and text of every file under `crates/` with this extension.
fn files(extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&file("../crates"), extension, &mut found);
    found
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("our own folder") {
        let path = entry.expect("our own folder").path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push((
                path.display().to_string(),
                fs::read_to_string(&path).expect("our own file"),
            ));
        }
    }
}
