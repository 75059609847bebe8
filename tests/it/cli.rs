//! What the binaries say before they do anything: help, versions, wrong configuration, no Redis.

use std::time::Duration;

use rhubarb_e2e::{
    eventually::eventually,
    installation::{Installation, run},
    process::clean_command,
    redis_server::{RedisServer, free_port},
};

use serde_json::json;

use crate::{
    BINARIES,
    shop::{SOON, Shop},
};

#[tokio::test]
async fn every_binary_and_every_command_answers_help_and_version() {
    let rhubarb = BINARIES.rhubarb;
    let mut lines = vec![(BINARIES.worker, ""), (BINARIES.beat, ""), (rhubarb, "")];
    let commands = ["demo", "enqueue", "scrape", "listings", "status", "queues", "workers", "task"];
    let commands = commands.into_iter().chain(["pause", "resume", "purge", "cache", "monitor"]);
    lines.extend(commands.map(|command| (rhubarb, command)));
    for (program, command) in lines {
        for flag in ["--help", "--version"] {
            let mut line = clean_command(program);
            line.args([command, flag].iter().filter(|word| !word.is_empty()));
            let ran = run(line).await;
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{program} {command} {flag}");
            let expected = if flag == "--help" { "Usage:" } else { env!("CARGO_PKG_VERSION") };
            assert!(ran.stdout.contains(expected), "{program} {command} {flag}: {}", ran.stdout);
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_told_whole_with_exit_code_3() {
    let configuration = r#"
[worker]
concurrency = "many"
leese = 15

[celery]
timezone = "Mars/Olympus"

[[sources]]
type = "carrier-pigeon"
"#;
    let installation = Installation::new(BINARIES, RedisServer::start().await, configuration);
    for program in [BINARIES.worker, BINARIES.beat] {
        let ran = run(installation.command(program, &[])).await;
        assert_eq!(ran.code, 3, "{program}: {}", ran.stderr);
        for name in ["worker.concurrency", "leese", "Mars/Olympus", "carrier-pigeon"] {
            assert!(ran.stderr.contains(name), "{program} does not name {name}: {}", ran.stderr);
        }
    }
    assert_eq!(installation.rhubarb(&["status"]).await.code, 3);
}

/// As with `--print-config | head -3`: nobody reads on, and nobody is told of a panic.
#[tokio::test]
async fn the_configuration_is_printed_for_a_reader_that_goes_away() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    for program in [BINARIES.worker, BINARIES.beat, BINARIES.rhubarb] {
        let mut command = installation.command(program, &["--print-config"]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = command.stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{program}");
    }
}

/// What is printed can be the file of the next process; it says the same, but for where it is from.
#[tokio::test]
async fn a_printed_configuration_is_a_file_that_says_the_same() {
    let configuration = "[worker]\nlease = \"20s\"\n[schedules.a]\ntask = \"t\"\nevery = 30\n";
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, configuration);
    let values = |printed: &str| -> Vec<String> {
        let value = |line: &str| line.rsplit_once("  # ").map_or(line, |all| all.0).to_owned();
        printed.lines().map(value).collect()
    };
    let first = installation.rhubarb(&["--print-config"]).await;
    assert!(first.stdout.contains("worker.lease = 20  # "), "{}", first.stdout);
    let path = installation.folder().join("printed.toml");
    std::fs::write(&path, &first.stdout).unwrap();
    installation.set("RHUBARB_CONFIG", path.to_str().unwrap());
    for program in [BINARIES.worker, BINARIES.beat, BINARIES.rhubarb] {
        let ran = run(installation.command(program, &["--print-config"])).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{program}");
        assert_eq!(values(&ran.stdout), values(&first.stdout), "{program}");
    }
}

#[tokio::test]
async fn what_the_configuration_warns_of_is_said_by_worker_and_beat_alike() {
    let configuration = "[redis]\ncache_db = 0\n[worker]\ndrain = 45\n";
    let installation = Installation::new(BINARIES, RedisServer::start().await, configuration);
    for mut process in [installation.worker(&[]), installation.beat(&[])] {
        for warning in ["cache.clear() is FLUSHDB", "worker.drain is 30 s or more"] {
            let line = process.line(warning, SOON).await;
            assert!(line.contains("warn"), "{line}");
        }
        assert_eq!(process.lines_with("FLUSHDB").len(), 1);
        // Signals are caught after the warnings are written.
        process.line(" ready\"", SOON).await;
        process.signal(rhubarb_e2e::process::Signal::TERM);
        assert_eq!(process.ended(SOON).await.code(), Some(0));
    }
    let told = installation.rhubarb(&["queues"]).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "a command's answer is all it says");
}

/// An address with a secret in each place that may hold one.
const SECRETS: &str = "http://u:m4rker@127.0.0.1:1/m4rker?token=m4rker&q={keyword}#m4rker";

/// A configuration with it in each setting that is an address; all else is as it is by default.
fn addresses() -> String {
    format!(
        r#"
[beat]
alert_url = "{SECRETS}"
ping_url = "{SECRETS}"

[scrape]
proxy_lists = ["{SECRETS}"]
min_interval = 0
allow_private = ["127.0.0.1"]

[[sources]]
type = "jsonld"
name = "pages"
urls = ["{SECRETS}"]

[[sources]]
type = "html"
name = "list"
urls = ["{SECRETS}"]
base_url = "{SECRETS}"
selectors = {{ item = "li", title = "a" }}

[[sources]]
type = "greenhouse"
board = "b"
base_url = "{SECRETS}"
"#
    )
}

fn hidden(what: &str, text: &str) {
    assert!(!text.contains("m4rker"), "{what}: {text}");
}

#[tokio::test]
async fn a_secret_in_an_address_of_the_configuration_is_shown_by_no_command() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, &addresses());
    let commands = [
        &["--print-config"][..],
        &["sources", "list"],
        &["sources", "list", "--json"],
        &["sources", "check"],
        &["sources", "check", "--json"],
        &["monitor", "--info"],
        &["monitor", "--json"],
    ];
    for command in commands {
        let ran = installation.rhubarb(command).await;
        hidden(&format!("{command:?}"), &(ran.stdout + &ran.stderr));
    }
    for program in [BINARIES.worker, BINARIES.beat] {
        let ran = run(installation.command(program, &["--print-config"])).await;
        assert!(ran.code == 0 && ran.stdout.contains("http://127.0.0.1:1/…"), "{}", ran.stdout);
        hidden(program, &(ran.stdout + &ran.stderr));
    }

    let odd = SECRETS.replace("http:", "ftp:");
    installation.set("RHUBARB_SCRAPE_PROXY_LISTS", &odd);
    installation.set("RHUBARB_BEAT_ALERT_URL", &odd);
    for program in [BINARIES.worker, BINARIES.beat, BINARIES.rhubarb] {
        let ran = run(installation.command(program, &["--print-config"])).await;
        assert!(ran.code == 3 && ran.stderr.contains("scrape.proxy_lists"), "{}", ran.stderr);
        hidden(program, &ran.stderr);
    }
}

#[tokio::test]
async fn a_secret_in_an_address_of_the_configuration_is_in_no_log_and_in_no_result() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, &addresses());
    let processes = [installation.worker(&["-l", "debug"]), installation.beat(&["-l", "debug"])];
    let scrape = installation.rhubarb(&["scrape", "rust", "--json"]).await.json();
    let refresh = ["enqueue", "job_scraper.tasks.refresh_proxies", "--json"];
    let refresh = installation.rhubarb(&refresh).await.json();
    let ids = [&scrape, &refresh].map(|sent| sent["id"].as_str().unwrap());
    eventually(SOON, "both have ended, or are to be tried again", async || {
        let ended = processes[0].lines_with("task ended");
        ids.iter().all(|id| ended.iter().any(|line| line.contains(id))).then_some(())
    })
    .await;
    for shown in [&["status"][..], &["status", "--json"], &["task", ids[0]], &["task", ids[1]]] {
        let ran = installation.rhubarb(shown).await;
        hidden(&format!("{shown:?}"), &(ran.stdout + &ran.stderr));
    }
    for process in &processes {
        hidden("a log", &(process.stdout() + &process.stderr()));
    }
}

#[tokio::test]
async fn a_broker_that_is_not_redis_is_one_sentence_and_exit_code_3() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    installation.set("CELERY_BROKER_URL", "amqp://guest:guest@localhost//");
    let ran = run(installation.command(BINARIES.worker, &[])).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("amqp"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("guest:guest"), "{}", ran.stderr);
}

#[tokio::test]
async fn without_redis_commands_end_with_code_4_and_one_line_without_the_password() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let nowhere = format!("redis://:hunter2@127.0.0.1:{}/0", free_port());
    installation.set("REDIS_URL", &nowhere);
    for command in [&["status"][..], &["queues"], &["listings", "x"], &["enqueue", "t"]] {
        let ran = installation.rhubarb(command).await;
        assert_eq!(ran.code, 4, "{command:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("127.0.0.1") && !ran.stderr.contains("hunter2"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{command:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_server_that_wants_a_password_is_told_so_with_what_to_do_and_exit_code_3() {
    let redis = RedisServer::start_with(&["--save", "", "--requirepass", "hunter2"]).await;
    let (open, port) = (redis.url(0), redis.port());
    let mut installation = Installation::new(BINARIES, redis, "");
    let wrong = format!("redis://:hunter3@127.0.0.1:{port}/0");
    let advice = "wants a password (NOAUTH): put it into the URL, redis://:PASSWORD@HOST";
    for (url, expect, in_text, mend) in [
        (&open, advice, "it wants a password (NOAUTH)", "Put the password into its URL"),
        (
            &wrong,
            "refuses our user or password",
            "it refuses our user or password",
            "Mend the user, password",
        ),
    ] {
        installation.set("REDIS_URL", url);
        for command in [&["queues"][..], &["status"], &["sessions", "count"]] {
            let ran = installation.rhubarb(command).await;
            assert!(ran.code == 3 && ran.stderr.contains(expect), "{command:?}: {}", ran.stderr);
        }
        let ran = installation.rhubarb(&["monitor", "--info"]).await;
        assert!(ran.code == 3 && ran.stderr.contains(in_text), "{}", ran.stderr);
        for odd in ["..", "queues ()", "Start it"] {
            assert!(!ran.stdout.contains(odd), "`{odd}` in\n{}", ran.stdout);
        }
        assert!(ran.stdout.contains(mend), "{}", ran.stdout);
        assert!(!(ran.stdout + &ran.stderr).contains("hunter"));
    }
}

#[tokio::test]
async fn worker_and_beat_wait_for_redis_with_one_clear_line_and_work_when_it_comes() {
    let mut shop = Shop::open().await;
    shop.installation.redis.kill();
    let mut worker = shop.installation.worker(&[]);
    let mut beat = shop.installation.beat(&[]);
    for process in [&mut worker, &mut beat] {
        let line = process.line("127.0.0.1", SOON).await;
        assert!(line.contains(&shop.installation.redis.port().to_string()), "{line}");
    }

    shop.installation.redis.restart().await;

    let ran =
        shop.rhubarb(&["enqueue", "job_scraper.tasks.get_scraping_status", "--wait", "40"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(worker.is_running() && beat.is_running());
    let n = worker.lines_with("unreachable").len();
    assert!(n <= 1, "{n} lines about the same outage");
    worker.signal(rhubarb_e2e::process::Signal::TERM);
    assert_eq!(worker.ended(Duration::from_secs(10)).await.code(), Some(0));
}

#[tokio::test]
async fn a_level_that_is_none_is_told_by_flag_and_by_environment() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    for program in [BINARIES.worker, BINARIES.beat] {
        let ran = run(installation.command(program, &["-l", "loud"])).await;
        assert_eq!(ran.code, 2, "{program}: {}", ran.stderr);
        assert!(ran.stderr.contains("warning"), "{program}: {}", ran.stderr);
    }
    installation.set("RHUBARB_LOG_LEVEL", "loud");
    for program in [BINARIES.worker, BINARIES.beat] {
        let ran = run(installation.command(program, &[])).await;
        assert_eq!(ran.code, 3, "{program}: {}", ran.stderr);
        assert!(ran.stderr.contains("log.level"), "{program}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_worker_says_that_its_node_name_is_taken() {
    let shop = Shop::open().await;
    let mut first = shop.installation.worker(&["-l", "WARNING", "-n", "w1@%h"]);
    eventually(SOON, "the first one is registered", async || {
        let workers = shop.json(&["workers"]).await;
        (workers.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let mut second = shop.installation.worker(&["-l", "WARNING", "-n", "w1@%h"]);
    let line = second.line("a worker with this node name is alive", SOON).await;
    assert!(line.contains("worker.hostname"), "{line}");
    assert!(first.is_running() && second.is_running());
}

#[tokio::test]
async fn what_a_replica_refuses_is_told_once_and_in_one_sentence() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let mut server = installation.redis.connect(0).await;
    redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(free_port())
        .query_async::<()>(&mut server)
        .await
        .unwrap();
    let ran = installation.rhubarb(&["enqueue", "t"]).await;
    assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
    let sentence = "it is a replica, which takes no writes (READONLY): use the URL of its primary";
    assert!(ran.stderr.trim_end().ends_with(sentence), "{}", ran.stderr);
}

#[tokio::test]
async fn a_queue_is_paused_resumed_and_purged_by_command() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let rhubarb = async |args: &[&str]| installation.rhubarb(args).await;
    let paused = rhubarb(&["pause", "celery", "--note", "a deploy"]).await;
    assert_eq!((paused.code, paused.stdout.trim()), (0, "queue celery is paused"));
    let queues = rhubarb(&["queues"]).await.stdout;
    assert!(queues.contains("a deploy"), "{queues}");
    assert_eq!(rhubarb(&["resume", "celery"]).await.stdout.trim(), "queue celery goes on");
    assert_eq!(rhubarb(&["resume", "celery"]).await.stdout.trim(), "queue celery was not paused");

    let mistyped = rhubarb(&["pause", "nosuchq"]).await;
    assert_eq!(mistyped.code, 0);
    assert!(mistyped.stderr.contains("nobody knows a queue nosuchq"), "{}", mistyped.stderr);
    rhubarb(&["resume", "nosuchq"]).await;
    let queues = rhubarb(&["queues"]).await.stdout;
    assert!(!queues.contains("nosuchq"), "{queues}");

    let held = async |args: &[&str]| rhubarb(args).await.json();
    let expect = |paused: bool, changed: bool| json!({"queue": "celery", "paused": paused, "changed": changed});
    assert_eq!(held(&["pause", "celery", "--json"]).await, expect(true, true));
    assert_eq!(held(&["pause", "celery", "--json"]).await, expect(true, false));
    assert_eq!(held(&["resume", "celery", "--json"]).await, expect(false, true));

    let sent = held(&["enqueue", "t", "--json"]).await;
    assert_eq!(sent["id"].as_str().map(str::len), Some(36), "{sent}");
    assert_eq!(sent["duplicate"], false);
    let refused = rhubarb(&["purge", "celery"]).await;
    assert_eq!(refused.code, 2, "without a terminal nobody can agree: {}", refused.stderr);
    let purged = rhubarb(&["purge", "celery", "--yes"]).await;
    assert_eq!((purged.code, purged.stdout.trim()), (0, "thrown away: 1 waiting"));
    let purged = held(&["purge", "celery", "--yes", "--json"]).await;
    assert_eq!(purged, json!({"waiting": 0, "scheduled": 0}));
}

#[tokio::test]
async fn a_pause_of_a_queue_that_nobody_knows_is_shown_until_it_is_resumed() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let paused = installation.rhubarb(&["pause", "nosuchq", "--note", "a mistake"]).await;
    assert!(paused.stderr.contains("nobody knows a queue nosuchq"), "{}", paused.stderr);
    let queues = installation.rhubarb(&["queues"]).await.stdout;
    assert!(queues.contains("nosuchq") && queues.contains("a mistake"), "{queues}");
    installation.rhubarb(&["resume", "nosuchq"]).await;
    let queues = installation.rhubarb(&["queues"]).await.stdout;
    assert!(!queues.contains("nosuchq"), "{queues}");
}

#[tokio::test]
async fn who_waits_for_a_task_that_is_parked_is_told_so_at_once() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let begun = std::time::Instant::now();
    let ran = shop.rhubarb(&["enqueue", "no.such.task", "--wait", "60"]).await;
    assert!(ran.code == 1 && ran.stderr.contains(" is parked: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("no.such.task") && ran.stderr.contains("rhubarb parked replay"));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_waits_over_a_retry_is_told_why_it_takes_longer() {
    let shop = Shop::open().await;
    let mut worker = shop.installation.start("own-worker", crate::OWN_WORKER, &[]);
    worker.line("worker ready", SOON).await;
    let ran = shop.rhubarb(&["enqueue", "e2e.later", "--args", "[1]", "--wait", "60"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = "it is to be tried again: RuntimeError('not yet')";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);

    let ran = shop.rhubarb(&["enqueue", "e2e.later", "--args", "[600]", "--wait", "3"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let told = "; it waits to be tried again (RuntimeError('not yet'))";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
}

#[tokio::test]
async fn a_task_that_has_ended_is_done() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let sent = ["enqueue", "job_scraper.tasks.get_scraping_status", "--json"];
    let id = shop.json(&sent[..2]).await["id"].as_str().unwrap().to_owned();
    eventually(SOON, "it has ended", async || {
        let task = shop.json(&["task", &id]).await;
        (task["state"] == "SUCCESS").then(|| assert_eq!(task["place"], "done", "{task}"))
    })
    .await;
}

#[tokio::test]
async fn what_is_no_status_and_no_list_is_called_that_with_what_to_do() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let redis = &shop.installation.redis;
    let (mut db1, mut db3) = (redis.connect(1).await, redis.connect(3).await);
    let mut put = redis::cmd("SET");
    put.arg("hire_voo_ai:1:scraping_status").arg(5).query_async::<()>(&mut db1).await.unwrap();
    for (key, command) in [("jobs:1:jobs:a_b", "SET"), ("jobs:1:jobs:x", "LPUSH")] {
        redis::cmd(command).arg(key).arg(5).query_async::<()>(&mut db3).await.unwrap();
    }
    let check = async |command: &[&str], code: i32, clear: &str| {
        let ran = shop.rhubarb(command).await;
        assert_eq!(ran.code, code, "{command:?}: {}", ran.stderr);
        let told = format!("`rhubarb cache clear {clear}` deletes it");
        assert!(ran.stderr.contains(&told), "{command:?}: {}", ran.stderr);
    };
    check(&["status"], 1, "status").await;
    check(&["listings", "a b"], 1, "listings \"a b\"").await;
    check(&["listings", "x"], 1, "listings \"x\"").await;
    check(&["scrape", "a b", "--wait", "30"], 6, "listings \"a b\"").await;
    check(&["scrape", "x", "--wait", "30"], 6, "listings \"x\"").await;
    redis::cmd("DEL")
        .arg("hire_voo_ai:1:scraping_status")
        .query_async::<()>(&mut db1)
        .await
        .unwrap();
    let mut put = redis::cmd("LPUSH");
    put.arg("hire_voo_ai:1:scraping_status").arg(5).query_async::<()>(&mut db1).await.unwrap();
    check(&["status"], 1, "status").await;
    for clear in [&["status"][..], &["listings", "a b"], &["listings", "x"]] {
        let cleared = shop.rhubarb(&[&["cache", "clear"], clear, &["--yes"]].concat()).await;
        assert_eq!((cleared.code, cleared.stdout.trim()), (0, "deleted: 1"), "{}", cleared.stderr);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_wrong_command_line_and_of_the_configuration_a_wrong_one() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    for command in [
        &["schedules", "import", "/no/such.json"][..],
        &["schedules", "import", "/"],
        &["enqueue", "--signature", "/no/such.json"],
    ] {
        let ran = installation.rhubarb(command).await;
        assert!(ran.code == 2 && ran.stderr.contains("os error"), "{command:?}: {}", ran.stderr);
    }
    installation.set("RHUBARB_CONFIG", "/no/such.toml");
    for program in [BINARIES.worker, BINARIES.beat, BINARIES.rhubarb] {
        let ran = run(installation.command(program, &["--print-config"])).await;
        assert!(ran.code == 3 && ran.stderr.contains("/no/such.toml"), "{program}: {}", ran.stderr);
    }
}
