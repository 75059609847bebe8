//! Servers that answer without end: what is read of it, and what it costs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rhubarb_connection::{Error, Options, Redis, RedisConfig};
use rhubarb_queue::{
    client::Joined,
    wire::{ResultTree, State, TaskResult},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use redis::AsyncCommands;

use crate::{
    connections::settings,
    shop::{SOON, Shop},
};

/// A server that answers a greeting and then, to whatever it is asked, one thing over and over.
/// Returns its port and how many bytes it could send.
async fn endless(answer: &'static [u8]) -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, sent) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_endlessly(stream, answer, counted.clone()));
        }
    });
    (port, sent)
}

async fn answer_endlessly(
    mut stream: tokio::net::TcpStream,
    answer: &'static [u8],
    sent: Arc<AtomicUsize>,
) {
    let (mut asked, part) = (vec![0; 1 << 16], answer.repeat((64 << 10) / answer.len()));
    loop {
        let Ok(n @ 1..) = stream.read(&mut asked).await else { return };
        let text = String::from_utf8_lossy(&asked[..n]).into_owned();
        let greets = ["HELLO", "SETNAME", "SELECT"].iter().any(|greeting| text.contains(greeting));
        if greets {
            let n = text.lines().filter(|line| line.starts_with('*')).count();
            stream.write_all("+OK\r\n".repeat(n).as_bytes()).await.unwrap();
            continue;
        }
        // Its begin, which is not repeated.
        let (head, rest): (&[u8], _) = match answer[0] {
            b'x' => (b"+", part.clone()),
            b'b' => (b"$100000000000\r\n", part.clone()),
            _ => (b"*1040000\r\n", part.clone()),
        };
        if stream.write_all(head).await.is_err() {
            return;
        }
        while stream.write_all(&rest).await.is_ok() {
            sent.fetch_add(rest.len(), Ordering::Relaxed);
        }
        return;
    }
}

const ENDLESS: [&[u8]; 4] = [b"x", b"b", b"$5\r\naaaaa\r\n", b"*1000000\r\n"];

#[tokio::test]
async fn an_answer_that_takes_more_than_was_asked_for_is_not_read() {
    for answer in ENDLESS {
        let (port, sent) = endless(answer).await;
        let config = RedisConfig { command_timeout: SOON, ..settings() };
        let url = format!("redis://127.0.0.1:{port}").parse().unwrap();
        let redis = Redis::new(&url, 0, &config, Options::default()).unwrap();
        let error = redis.query::<redis::Value>(redis::cmd("GET").arg("k")).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert!(sent.load(Ordering::Relaxed) < 80 << 20, "{sent:?}");
    }
}

/// Returns the most memory that a process had, MiB, and how it ended.
async fn peak_of(mut child: tokio::process::Child) -> (u64, Option<i32>) {
    let mut peak = 0;
    let status = format!("/proc/{}/status", child.id().unwrap());
    loop {
        if let Ok(Ok(ended)) = tokio::time::timeout(Duration::from_millis(5), child.wait()).await {
            return (peak, ended.code());
        }
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|n| n.parse().ok());
        peak = peak.max(kib.unwrap_or(0_u64) / 1024);
    }
}

#[tokio::test]
async fn a_redis_that_answers_without_end_costs_the_command_line_little() {
    let mut shop = Shop::open().await;
    for answer in ENDLESS {
        let (port, _) = endless(answer).await;
        shop.installation.set("REDIS_URL", &format!("redis://127.0.0.1:{port}/0"));
        for args in [&["queues"][..], &["status"], &["workers"], &["dead", "list"]] {
            let command = shop.installation.command(crate::BINARIES.rhubarb, args);
            let mut command = tokio::process::Command::from(command);
            let child = command.kill_on_drop(true).stdout(std::process::Stdio::null());
            let child = child.stderr(std::process::Stdio::null()).spawn().unwrap();
            let (peak, code) = tokio::time::timeout(SOON, peak_of(child)).await.unwrap();
            eprintln!("{args:?}: {peak} MiB, {code:?}");
            assert!(peak < 400, "{args:?}: {peak} MiB");
            assert!(code.is_some_and(|code| code != 0), "{args:?}: {code:?}");
        }
    }
}

/// A server whose walks never end: each page is empty, and has a further one.
async fn walks_without_end() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 1 << 16];
                while let Ok(n @ 1..) = stream.read(&mut asked).await {
                    let text = String::from_utf8_lossy(&asked[..n]).into_owned();
                    let requests = text.split_inclusive('\n').filter(|line| line.starts_with('*'));
                    let answer = match text.lines().nth(2) {
                        Some("SCAN" | "HSCAN") => "*2\r\n$1\r\n7\r\n*0\r\n",
                        Some("DBSIZE" | "HLEN") => ":5\r\n",
                        Some("HELLO" | "CLIENT" | "SELECT") => "+OK\r\n",
                        _ => "_\r\n",
                    };
                    let answers = answer.repeat(requests.count());
                    if stream.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_walk_whose_cursor_never_comes_to_an_end_is_ended() {
    let mut shop = Shop::open().await;
    let url = format!("redis://127.0.0.1:{}/0", walks_without_end().await);
    shop.installation.set("REDIS_URL", &url);
    let commands: [&[&str]; 3] =
        [&["sessions", "count"], &["cache", "clear", "users", "--yes"], &["schedules", "list"]];
    for command in commands {
        let ran = tokio::time::timeout(2 * SOON, shop.rhubarb(command)).await;
        let ran = ran.unwrap_or_else(|_| panic!("{command:?} goes on for ever"));
        let said = ran.stderr.contains("cursor has not come back to 0");
        assert!(ran.code != 0 && said, "{command:?}: {} {}", ran.code, ran.stderr);
    }
}

const MIB: usize = 1 << 20;

/// Stores a text of this many MiB as a task's result; returns what stands for the task.
async fn store_result(shop: &Shop, id: &str, mib: usize) -> ResultTree {
    let result = TaskResult::new(id, State::Success, "x".repeat(mib * MIB).into());
    let key = format!("celery-task-meta-{id}");
    let _: () = shop.queue().await.set(key, result.encode()).await.unwrap();
    ResultTree::task(id)
}

#[tokio::test]
async fn a_result_that_is_too_large_is_refused_by_its_size_and_no_connection_ends_by_it() {
    let shop = Shop::open().await;
    let (large, small) =
        (store_result(&shop, "large", 100).await, store_result(&shop, "small", 1).await);
    let client = shop.client();
    assert!(client.result("small").await.unwrap().is_some());
    let connection = client.queue().connection_number();
    let group = ResultTree::group("g", vec![small, large.clone()]);
    let errors = [
        client.result("large").await.unwrap_err(),
        client.wait("large", SOON, |_| {}).await.unwrap_err(),
        client.join(&group, SOON).await.unwrap_err(),
        client.ready(&large).await.unwrap_err(),
        client.completed_count(&group).await.unwrap_err(),
    ];
    for error in errors {
        let said = error.to_string();
        let names = said.contains("task `large` has 1048577") && said.contains("50331648");
        assert!(names && !said.contains('\n'), "{error:?}");
    }
    assert_eq!(client.queue().connection_number(), connection);
}

#[tokio::test]
async fn results_that_fit_one_by_one_are_joined_and_counted_and_too_many_are_refused() {
    let shop = Shop::open().await;
    let mut tasks = Vec::new();
    for n in 0..6 {
        tasks.push(store_result(&shop, &format!("task-{n}"), 40).await);
    }
    let client = shop.client();
    let two = ResultTree::group("g", tasks[..2].to_vec());
    assert_eq!(client.completed_count(&two).await.unwrap(), 2);
    let joined = client.join(&two, SOON).await.unwrap();
    let Some(Joined::Success(values)) = joined else { panic!("{joined:?}") };
    let sizes = values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [40 * MIB; 2]);
    let refused = client.join(&ResultTree::group("g", tasks), SOON).await.unwrap_err().to_string();
    assert!(refused.contains("these 6 tasks"), "{refused}");
}

#[tokio::test]
async fn the_command_line_says_of_a_result_that_is_too_large_how_large_it_is() {
    let shop = Shop::open().await;
    store_result(&shop, "large", 100).await;
    let ran = shop.rhubarb(&["task", "large"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("task `large` has 1048577"), "{}", ran.stderr);
    assert_eq!(ran.stderr.trim().lines().count(), 1, "{}", ran.stderr);
}
