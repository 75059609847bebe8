//! `rhubarb all`: worker, beat and dashboard in one process.

use rhubarb_e2e::{
    eventually::eventually,
    installation::Installation,
    process::{Process, Signal},
    redis_server::{RedisServer, free_port},
};

use crate::{BINARIES, shop::SOON};

async fn started(installation: &mut Installation) -> Process {
    installation.set("RHUBARB_REDIS_LAYOUT", "two");
    installation.set("RHUBARB_WEB_PORT", "0");
    let mut all = installation.rhubarb_started(&["all"]);
    for line in ["worker ready", "this beat leads", "dashboard ready"] {
        all.line(line, SOON).await;
    }
    all
}

async fn run_one(installation: &Installation) {
    let task = "job_scraper.tasks.get_scraping_status";
    let ran = installation.rhubarb(&["enqueue", task, "--wait", "30"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn all_three_run_in_one_process_with_one_connection_a_database() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let mut all = started(&mut installation).await;
    run_one(&installation).await;
    let page = installation.rhubarb(&["check", "--workers", "1", "--max-late", "60"]).await;
    assert_eq!(page.code, 0, "{}{}", page.stdout, page.stderr);
    let clients = installation.redis.command("CLIENT LIST").await;
    let clients: String = redis::from_redis_value(clients).unwrap();
    let ours = clients.lines().filter(|line| line.contains("name=rhubarb-all")).count();
    assert!(ours <= 2, "{clients}");
    all.signal(Signal::TERM);
    assert_eq!(all.ended(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn an_outage_of_redis_is_waited_out_by_all_three() {
    let mut installation = Installation::new(BINARIES, RedisServer::start_durable().await, "");
    let mut all = started(&mut installation).await;
    installation.redis.kill();
    all.line("trying again", SOON).await;
    installation.redis.restart().await;
    run_one(&installation).await;
    assert!(all.is_running());
}

#[tokio::test]
async fn when_one_cannot_start_the_others_stop_and_the_exit_code_says_so() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let port = free_port();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    installation.set("RHUBARB_WEB_PORT", &port.to_string());
    let mut all = installation.rhubarb_started(&["all"]);
    assert_eq!(all.ended(SOON).await.code(), Some(1), "{:?}", all.lines_with(""));
    eventually(SOON, "no worker is left in the registry", async || {
        let workers = installation.rhubarb(&["workers", "--json"]).await.json();
        workers.as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    // Beyond loopback the dashboard wants a token: a mistake of the configuration.
    installation.set("RHUBARB_WEB_BIND", "0.0.0.0");
    let mut all = installation.rhubarb_started(&["all"]);
    assert_eq!(all.ended(SOON).await.code(), Some(3));
}
