//! A mistake in a task's signature is explained in our words, where it was made.
//!
//! Each case is compiled by `rustc` itself, against the library that this test is linked with. Only
//! our own words are looked for: the compiler's change with its version.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What every case begins with.
const HEAD: &str = "#![allow(unused)]\nuse rhubarb::prelude::*;\n";

/// The library, and the folder of what it is linked with.
struct Library {
    rlib: PathBuf,
    folder: tempfile::TempDir,
}

impl Library {
    /// Finds the library that fits what lies beside it: the newest that a case without a mistake
    /// compiles with.
    fn find() -> Self {
        let this = std::env::current_exe().unwrap();
        let built =
            fs::read_dir(this.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("librhubarb-") && name.ends_with(".rlib")
        };
        let mut found: Vec<PathBuf> = built.filter(is_ours).collect();
        found.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
        let mut told = String::new();
        while let Some(rlib) = found.pop() {
            let library = Self { rlib, folder: tempfile::tempdir().unwrap() };
            told = library.compile("#[task(name = \"t\")]\nasync fn fine(x: i64) -> i64 { x }");
            if told.is_empty() {
                return library;
            }
        }
        panic!("no library of rhubarb compiles: {told}");
    }

    /// Compiles a case; returns what the compiler says.
    fn compile(&self, case: &str) -> String {
        let source = self.folder.path().join("case.rs");
        fs::write(&source, format!("{HEAD}{case}")).unwrap();
        let deps: &Path = self.rlib.parent().unwrap();
        let output = Command::new("rustc")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"])
            .arg("--out-dir")
            .arg(self.folder.path())
            .arg("-L")
            .arg(format!("dependency={}", deps.display()))
            .arg("--extern")
            .arg(format!("rhubarb={}", self.rlib.display()))
            .arg(&source)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A case, and the words that explain it.
const CASES: [(&str, &[&str]); 18] = [
    (
        "struct Order;
        #[task(name = \"t\")] async fn order(order: Order) {}",
        &["`Order` cannot be an argument of a task", "derive `serde::Deserialize`"],
    ),
    (
        "struct Receipt;
        #[task(name = \"t\")] async fn order() -> Receipt { Receipt }",
        &["a task cannot return `Receipt`"],
    ),
    (
        "struct Mute;
        #[task(name = \"t\")] async fn order() -> Result<i64, Mute> { Err(Mute) }",
        &["a task cannot return `Result<i64, Mute>`", "`E` is `TaskError`"],
    ),
    (
        "struct Own;
        #[task(name = \"t\")] async fn order(#[from_call] own: Own) {}",
        &["`Own` cannot be had from a call"],
    ),
    ("#[task(name = \"t\")] async fn order(item: &str) {}", &["owned"]),
    ("#[task(name = \"t\")] async fn order((item, count): (String, u32)) {}", &["name"]),
    ("#[task(queue = \"q\")] async fn order() {}", &["name"]),
    ("#[task(name = \"t\", quue = \"q\")] async fn order() {}", &["quue", "max_concurrency"]),
    (
        "async fn order(item: String) {}
        fn register(app: &mut App) { app.task(\"t\", order); }",
        &["cannot be a task", "`Args<T>`"],
    ),
    (
        "fn order(Args((item,)): Args<(String,)>) {}
        fn register(app: &mut App) { app.task(\"t\", order); }",
        &["cannot be a task", "`blocking_task`"],
    ),
    (
        "#[rhubarb::debug_handler] async fn order(item: String) {}",
        &["String` cannot be had from a call", "is no parameter that a handler may ask for"],
    ),
    (
        "struct Receipt;
        #[rhubarb::debug_handler] fn order() -> Receipt { Receipt }",
        &["a task cannot return `Receipt`"],
    ),
    (
        "struct Shop; impl Shop { #[rhubarb::debug_handler] async fn order(&self) {} }",
        &["a handler is no method"],
    ),
    (
        "#[rhubarb::debug_handler] async fn order<T>(State(shop): State<T>) {}",
        &["a handler is checked without parameters of types or lifetimes"],
    ),
    (
        "#[rhubarb::debug_handler] async fn order(a: TaskContext, b: TaskContext, c: TaskContext,
            d: TaskContext, e: TaskContext, f: TaskContext, g: TaskContext, h: TaskContext,
            i: TaskContext) {}",
        &["at most eight parameters"],
    ),
    (
        "#[rhubarb::debug_handler(name = \"t\")] async fn order() {}",
        &["`debug_handler` takes no options"],
    ),
    (
        "#[derive(Debug)] struct Closed;
        use rhubarb::__private::serde;
        impl serde::Serialize for Closed {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_unit()
            }
        }
        impl std::fmt::Display for Closed {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
        }
        impl std::error::Error for Closed {}
        #[rhubarb::debug_handler] async fn order() -> Result<i64, Closed> { Err(Closed) }",
        &["is both a `std::error::Error` and `Serialize`", "return `Result<R, TaskError>`"],
    ),
    (
        "struct Stop; fn register(app: &mut App) { app.on_stop(async || Stop); }",
        &["a hook cannot return `Stop`"],
    ),
];

#[test]
fn a_mistake_in_a_tasks_signature_is_explained_where_it_was_made() {
    let library = Library::find();
    let mut unexplained = String::new();
    for (case, words) in CASES {
        let told = library.compile(case);
        for word in words.iter().filter(|word| !told.contains(**word)) {
            unexplained += &format!("---- no `{word}` for\n{case}\n{told}\n");
        }
    }
    assert!(unexplained.is_empty(), "{unexplained}");
}
