//! The architecture's rules that the manifests can break: who imports whom, and what is built upon.

mod circles;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use rhubarb_e2e::file;

/// Who may import whom inside the workspace, by folder. What is not listed is not allowed.
const IMPORTS: [(&str, &[&str]); 24] = [
    ("pyvalue", &[]),
    ("wire", &["pyvalue"]),
    ("config", &[]),
    ("schedule", &["config", "wire"]),
    ("trace", &[]),
    ("core", &["config", "trace"]),
    ("connection", &["config", "core"]),
    ("scrape", &["config", "core", "trace"]),
    ("cache", &["config", "core", "connection", "pyvalue"]),
    ("queue", &["config", "core", "schedule", "connection", "wire", "trace"]),
    ("probe", &["core"]),
    ("consumer", &["core", "connection", "wire", "queue", "probe", "trace"]),
    ("rhubarb-macros", &[]),
    (
        "rhubarb",
        &["config", "core", "connection", "queue", "consumer", "probe", "trace", "rhubarb-macros"],
    ),
    ("jobs", &["config", "core", "connection", "cache", "scrape", "queue", "rhubarb"]),
    // The one place that sees the sections of all.
    ("settings", &["config", "core", "schedule", "connection", "queue", "scrape", "jobs"]),
    ("python", &["rhubarb", "connection", "queue"]),
    ("worker", &["rhubarb", "jobs", "settings", "connection", "monitor", "python"]),
    ("beat", &["core", "schedule", "connection", "queue", "settings", "probe", "monitor", "trace"]),
    ("demo", &["core"]),
    ("monitor", &["core", "connection", "queue", "cache", "jobs", "settings"]),
    (
        "web",
        &[
            "core",
            "schedule",
            "connection",
            "queue",
            "cache",
            "scrape",
            "jobs",
            "monitor",
            "settings",
        ],
    ),
    // `rhubarb all`: a program of its own, so that the command line cannot claim.
    ("all", &["core", "connection", "rhubarb", "jobs", "settings", "beat", "web"]),
    (
        "cli",
        &[
            "core",
            "schedule",
            "connection",
            "queue",
            "cache",
            "scrape",
            "jobs",
            "settings",
            "monitor",
            "web",
            "demo",
        ],
    ),
];

/// What a crate must not even reach through others: its tests stay fast and its readers unafraid.
const NEVER: [(&str, &[&str]); 15] = [
    ("pyvalue", &["tokio", "redis", "apalis", "reqwest"]),
    ("wire", &["tokio", "redis", "apalis", "reqwest"]),
    ("config", &["tokio", "redis", "apalis", "reqwest"]),
    ("schedule", &["tokio", "redis", "apalis", "reqwest"]),
    ("core", &["redis", "apalis", "reqwest", "axum"]),
    ("connection", &["apalis", "reqwest", "axum"]),
    ("scrape", &["redis", "apalis", "axum"]),
    ("demo", &["redis", "apalis", "reqwest"]),
    ("probe", &["redis", "apalis", "reqwest", "axum", "hyper"]),
    // Those who publish, read and operate cannot claim.
    ("queue", &["apalis-core", "apalis", "reqwest", "axum"]),
    ("settings", &["rhubarb-consumer", "apalis-core", "apalis", "axum"]),
    ("beat", &["rhubarb-consumer", "apalis"]),
    ("monitor", &["rhubarb-consumer", "apalis-core", "apalis", "axum"]),
    ("web", &["rhubarb-consumer", "apalis-core", "apalis"]),
    ("cli", &["rhubarb-consumer", "apalis-core", "apalis"]),
];

/// What a worker of one's own must not compile: it fetches and serves no page.
const NOT_BEHIND_THE_DOOR: [&str; 7] = [
    "reqwest",
    "scraper",
    "html5ever",
    "axum",
    "apalis-redis",
    "rhubarb-settings",
    "rhubarb-scrape",
];

/// The packages that are named as their folders: the library, as the project is, and its macros.
const AS_ITS_FOLDER: [&str; 2] = ["rhubarb", "rhubarb-macros"];

/// The package in a folder of `crates`.
fn package_of(folder: &str) -> String {
    if AS_ITS_FOLDER.contains(&folder) { folder.to_owned() } else { format!("rhubarb-{folder}") }
}

/// The folder of a package of ours.
fn folder_of(package: &str) -> Option<&str> {
    let own = AS_ITS_FOLDER.contains(&package).then_some(package);
    own.or_else(|| package.strip_prefix("rhubarb-"))
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    // Offline and locked: the lock is part of what is tested.
    command
        .manifest_path(file("Cargo.toml"))
        .other_options(["--locked".into(), "--offline".into()]);
    command.exec().expect("cargo metadata works in our own workspace")
}

fn members(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.as_str(), package))
        .collect()
}

/// The names of what a package depends on in its normal build, directly.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
    normal.map(|d| d.name.as_str()).collect()
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let metadata = metadata();
    let members = members(&metadata);
    let mut wrong = Vec::new();
    for (name, allowed) in IMPORTS {
        let package = members[package_of(name).as_str()];
        for import in dependencies(package).iter().filter_map(|d| folder_of(d)) {
            if !allowed.contains(&import) {
                wrong.push(format!("{name} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against ARCHITECTURE.md: {wrong:?}");
}

#[test]
fn every_member_has_a_rule_and_is_named_after_its_folder() {
    let metadata = metadata();
    let known: BTreeSet<String> = IMPORTS
        .iter()
        .map(|(name, _)| package_of(name))
        // For tests: no rule above lets a crate import them.
        .chain(["rhubarb-e2e".to_owned(), "rhubarb-testbed".to_owned()])
        .collect();
    let found: BTreeSet<String> = members(&metadata).keys().map(|&name| name.to_owned()).collect();
    assert_eq!(found, known);
    for (name, _) in IMPORTS {
        let manifest = &members(&metadata)[package_of(name).as_str()].manifest_path;
        assert!(manifest.ends_with(format!("crates/{name}/Cargo.toml")), "{manifest}");
    }
}

#[test]
fn pure_crates_reach_no_heavy_dependency() {
    for (name, never) in NEVER {
        let reached = built_with(&package_of(name));
        let wrong: Vec<_> = never.iter().filter(|&&n| reached.contains(n)).collect();
        assert!(wrong.is_empty(), "{name} reaches {wrong:?}");
    }
}

/// Every package that a normal build of this one alone compiles, with its default features.
fn built_with(package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", package, "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(file("Cargo.toml"))
        .output()
        .expect("cargo tree works in our own workspace");
    let tree = String::from_utf8_lossy(&tree.stdout);
    let built: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(built.contains(package), "{tree}");
    built
}

#[test]
fn a_worker_of_ones_own_compiles_no_page_and_no_apalis_redis() {
    let built = built_with("rhubarb");
    assert!(built.contains("apalis"), "{built:?}");
    let wrong: Vec<_> = NOT_BEHIND_THE_DOOR.iter().filter(|&&n| built.contains(n)).collect();
    assert!(wrong.is_empty(), "rhubarb reaches {wrong:?}");
}

#[test]
fn apalis_is_the_runtime_and_there_is_one_redis_client() {
    let metadata = metadata();
    let members = members(&metadata);
    let uses = |users: &[&str], dependency: &str| {
        let used = users.iter().any(|user| dependencies(members[user]).contains(dependency));
        assert!(used, "none of {users:?} uses {dependency}");
    };
    uses(&["rhubarb"], "apalis");
    uses(&["rhubarb-beat"], "apalis-cron");
    uses(&["rhubarb"], "apalis-redis");

    // Two versions would be two connection types, and apalis-redis could not share ours.
    let versions = |name: &str| metadata.packages.iter().filter(|p| p.name == name).count();
    assert_eq!(versions("redis"), 1, "versions of redis in the lock");
    assert_eq!(versions("apalis-core"), 1, "versions of apalis-core in the lock");
}

#[test]
fn members_take_every_version_from_the_workspace() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let own: Vec<&str> = manifest.lines().filter(|line| line.contains("version = ")).collect();
        assert!(own.is_empty(), "{} names versions itself: {own:?}", package.name);
    }
}

/// The most types that the library for own tasks shows: what a person reads in ten minutes.
const MOST_TYPES: usize = 60;

/// The library's modules that show types of their own.
const SHOWN: [&str; 3] = ["hooks", "intake", "testing"];

/// The types that a file of the library shows, as its lines say.
fn types_of(module: &str) -> BTreeSet<String> {
    let path = file(&format!("../crates/rhubarb/src/{module}.rs"));
    let text = std::fs::read_to_string(path).unwrap();
    // What follows is told again there, and what is nobody else's.
    let text = text.split("pub mod prelude").next().unwrap_or_default();
    let mut types = BTreeSet::new();
    for statement in text.split(';') {
        if let Some((_, names)) = statement.split_once("pub use ") {
            let mut words = names.split(|c: char| !c.is_alphanumeric() && c != '_').peekable();
            while let Some(word) = words.next() {
                let is_renamed = words.peek() == Some(&"as");
                if word.starts_with(char::is_uppercase) && !is_renamed {
                    types.insert(word.to_owned());
                }
            }
        }
    }
    for line in text.lines() {
        let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type "];
        let name = kinds.iter().find_map(|kind| line.strip_prefix(kind));
        let name = name.and_then(|name| name.split(|c: char| !c.is_alphanumeric()).next());
        types.extend(name.map(str::to_owned));
    }
    types
}

#[test]
fn the_library_for_own_tasks_shows_at_most_60_types() {
    let mut types = types_of("lib");
    for module in SHOWN {
        types.extend(types_of(module).into_iter().map(|name| format!("{module}::{name}")));
    }
    println!("rhubarb shows {} types: {types:?}", types.len());
    assert!(types.contains("App") && types.contains("hooks::Failed"), "{types:?}");
    assert!(types.len() <= MOST_TYPES, "{} types: {types:?}", types.len());
}

/// The tasks of the conformance suite were to take at most 160 lines in Rust when it had 17; it has
/// more by now, and so many lines a task are held.
#[test]
fn seventeen_tasks_of_the_conformance_suite_take_at_most_160_lines() {
    let worker = std::fs::read_to_string(file("conformance_worker/main.rs")).unwrap();
    let (lines, tasks) = (worker.lines().count(), worker.matches("#[task(").count());
    println!("{tasks} tasks in {lines} lines");
    assert!(tasks >= 17 && lines * 17 <= 160 * tasks, "{tasks} tasks in {lines} lines");
}
