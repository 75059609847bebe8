//! Tells `--version` of a release build its commit and its day.
//!
//! A debug build has neither: it would be compiled anew, with all that depends on it, after each
//! commit.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo tells a build script by its environment alone"
)]

use std::{env, path::Path, process::Command, time::SystemTime};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let version = if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        watch_the_commit();
        format!("{version} ({}, built {})", commit(), day())
    } else {
        format!("{version} (debug build)")
    };
    println!("cargo::rustc-env=RHUBARB_VERSION={version}");
}

/// Where a build has no clone around it, the platform names the commit: Heroku as `SOURCE_VERSION`.
fn commit() -> String {
    println!("cargo::rerun-if-env-changed=SOURCE_VERSION");
    let named = env::var("SOURCE_VERSION").ok().filter(|commit| is_commit(commit));
    let commit = git(&["rev-parse", "HEAD"]).or(named);
    commit.map_or_else(|| "commit unknown".to_owned(), |commit| commit.chars().take(10).collect())
}

fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the day of the build in UTC, or that of `SOURCE_DATE_EPOCH`, with which two builds of a
/// commit are equal: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn day() -> String {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let told = env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let now = jiff::Timestamp::try_from(SystemTime::now()).ok();
    let at = told.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).or(now);
    at.map_or_else(|| "unknown".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// A commit moves the head's log; a path that is not there would have Cargo run this each time.
fn watch_the_commit() {
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
