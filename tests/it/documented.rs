//! What README and docs show to be typed is what the programs understand.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::symlink, process::CommandExt},
    path::Path,
    time::Duration,
};

use rhubarb_e2e::{file, installation::Installation, redis_server::RedisServer};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::timeout;

use crate::{BINARIES, shop::SOON};

/// What goes on by itself is ended after this time: it has understood its command line.
const UNDERSTOOD: Duration = Duration::from_secs(4);
/// The exit codes of a command that was not understood: usage, configuration, and the shell's own.
const NOT_UNDERSTOOD: [i32; 4] = [2, 3, 126, 127];

/// Returns the README and the pages of the book, by their names.
fn pages() -> BTreeMap<String, String> {
    let docs = fs::read_dir(file("../docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let all = pages.chain([file("../README.md")]);
    all.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// Returns the lines of fenced blocks that run one of our programs, as a shell is given them.
fn typed(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            if is_ours(line) {
                lines.push(line.to_owned());
            }
        }
    }
    lines
}

fn is_ours(line: &str) -> bool {
    let assigned = |word: &&str| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
    let mut words = line.split(' ').skip_while(assigned);
    let program = words.next().unwrap_or_default();
    // A line of TOML is no command, nor is one that leaves something out.
    let is_command = words.next().is_none_or(|word| word != "=") && !line.contains('…');
    ["rhubarb", "worker", "beat"].contains(&program) && is_command
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// Runs a line in a shell that finds our programs, and returns its exit code if it came to an end.
async fn run(installation: &Installation, path: &Path, line: &str) -> Option<(i32, String)> {
    let line = format!("PATH={}:$PATH; {line}", path.display());
    let mut command = installation.command("sh", &["-c", &line]);
    command.env("RHUBARB_WEB_PORT", "0");
    // A group of its own: what the shell has started goes with it.
    command.process_group(0);
    let mut command = tokio::process::Command::from(command);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let group = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    let Ok(ran) = timeout(UNDERSTOOD, child.wait_with_output()).await else {
        kill_process_group(group, Signal::KILL).ok();
        return None;
    };
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Some((ran.status.code().unwrap_or(-1), said))
}

#[tokio::test]
async fn every_command_of_the_documentation_is_understood() {
    // What the pages take as given.
    let given = "[[sources]]\nname = \"acme\"\ntype = \"lever\"\nboard = \"acme\"\n";
    let installation = Installation::new(BINARIES, RedisServer::start().await, given);
    let path = installation.folder().join("bin");
    fs::create_dir(&path).unwrap();
    for (name, program) in
        [("worker", BINARIES.worker), ("beat", BINARIES.beat), ("rhubarb", BINARIES.rhubarb)]
    {
        symlink(program, path.join(name)).unwrap();
    }
    fs::write(installation.folder().join("s.json"), "[]").unwrap();
    let mut worker = installation.worker(&[]);
    worker.line("worker ready", SOON).await;
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for line in typed(&text) {
            seen += 1;
            if let Some((code, said)) = run(&installation, &path, &line).await
                && NOT_UNDERSTOOD.contains(&code)
                // It asks a person first, and here is none.
                && !said.contains("not a terminal to ask on")
            {
                wrong.push(format!("{page}: `{line}` ended with {code}: {said}"));
            }
        }
    }
    assert!(seen > 50, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(file("../docs/SUMMARY.md")).unwrap();
    for folder in ["", "internals/"] {
        for entry in fs::read_dir(file(&format!("../docs/{folder}"))).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                let listed = summary.contains(&format!("({folder}{name})"));
                assert!(listed, "docs/SUMMARY.md does not list {folder}{name}");
            }
        }
    }
}

/// Every name of a test in the sources of our tests and crates.
fn tests_that_are_there() -> String {
    fn gather(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                gather(&path, all);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    gather(&file("it"), &mut all);
    gather(&file("../crates"), &mut all);
    all
}

#[test]
fn every_guarantee_names_tests_that_there_are() {
    let page = fs::read_to_string(file("../docs/guarantees.md")).unwrap();
    let tests = tests_that_are_there();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    let mut promises = 0;
    for row in rows {
        let held = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
        let names: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds: {row}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}");
        }
        promises += 1;
    }
    assert!(promises > 20, "{promises}");
}
