//! All of it under the conditions of a small plan on Heroku, by the real `Procfile`: TLS with a
//! certificate that the server signed itself, two databases, 20 connections, 25 MB, no `CONFIG` and
//! no `CLIENT KILL`.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use rhubarb_connection::{Connections, Layout};
use rhubarb_e2e::{
    certificates::Certificates,
    eventually::eventually,
    file,
    installation::{Installation, run},
    process::{Process, Signal},
    python::Python,
    redis_server::{RedisServer, free_port},
};
use rhubarb_queue::{Client, Config, Publish};
use serde_json::Value;
use tokio::time::interval;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{BINARIES, probes::until, shop::SOON};

/// A task of the product's that reads one key.
const TASK: &str = "job_scraper.tasks.get_scraping_status";
/// The most connections of ours: two for a worker, one for a beat, two for the dashboard, and each
/// twice while a deployment replaces them.
const MOST: usize = 10;

/// The add-on, its administrator's connection, and an application that uses it.
struct Heroku {
    installation: Installation,
    python: Python,
    admin: MultiplexedConnection,
    tls: u16,
    _certificates: Certificates,
}

impl Heroku {
    /// `None` where the runner of the Procfile is not installed.
    async fn new() -> Option<Self> {
        let certificates = Certificates::self_signed("127.0.0.1", false, 2);
        let tls = free_port();
        let (port, path) = (tls.to_string(), |name| certificates.path(name));
        let (pem, key) = (path("server.pem"), path("server.key"));
        let options = [
            ["--tls-port", &port],
            ["--tls-cert-file", &pem],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &pem],
            ["--tls-auth-clients", "no"],
            ["--databases", "2"],
            ["--maxclients", "20"],
            ["--maxmemory", "25mb"],
            ["--maxmemory-policy", "noeviction"],
            ["--timeout", "300"],
            ["--appendonly", "yes"],
        ];
        let redis = RedisServer::start_with(&options.concat()).await;
        let python = Python::for_redis(&redis.url(0))?;
        if run(python.command(&["-m", "honcho", "version"])).await.code != 0 {
            eprintln!("LEFT OUT: honcho is not in the tests' environment; run tests/run.sh");
            return None;
        }
        let mut admin = redis.connect(0).await;
        for line in [
            "ACL SETUSER admin on >admin ~* &* +@all",
            "AUTH admin admin",
            "ACL SETUSER default on resetpass >hunter2 -config -client|kill",
        ] {
            command(&mut admin, line).await;
        }
        // A tick each second, in place of the product's own schedules.
        let configuration = format!("[schedules.often]\ntask = \"{TASK}\"\nevery = \"1s\"\n");
        let installation = Installation::new(BINARIES, redis, &configuration);
        Some(Self { installation, python, admin, tls, _certificates: certificates })
    }

    fn url(&self, password: &str) -> String {
        format!("rediss://:{password}@127.0.0.1:{}", self.tls)
    }

    /// The command that runs processes of the Procfile with the variables of `app.json`.
    fn honcho(&self, password: &str, port: u16, args: &[&str]) -> Command {
        let processes = std::fs::read_to_string(file("../Procfile")).unwrap();
        let processes = processes
            .replace("./target/release/rhubarb", BINARIES.rhubarb)
            .replace("./target/release/worker", BINARIES.worker)
            .replace("./target/release/beat", BINARIES.beat);
        let procfile = self.installation.folder().join("Procfile");
        std::fs::write(&procfile, processes).unwrap();
        let (procfile, port) = (procfile.display().to_string(), port.to_string());
        let first = ["-m", "honcho", "-f", &procfile, "start", "-p", &port];
        let mut command = self.python.command(&[&first[..], args].concat());
        command.current_dir(self.installation.folder());
        command.env("RHUBARB_CONFIG", self.installation.configuration());
        command.env("REDIS_URL", self.url(password)).env_remove("REDIS");
        let app = std::fs::read(file("../app.json")).unwrap();
        let app: Value = serde_json::from_slice(&app).unwrap();
        let hash = format!("ops:{}", "0".repeat(64));
        for (name, variable) in app["env"].as_object().unwrap() {
            command.env(name, variable["value"].as_str().unwrap_or(&hash));
        }
        command
    }

    /// Starts a deployment's processes, and waits until each is ready; returns where the dashboard
    /// listens too.
    async fn deploy(&self, name: &str, password: &str) -> (Process, String) {
        let port = free_port();
        let line = self.honcho(password, port, &["web", "worker", "beat"]);
        let mut stack = Process::start(name, self.installation.folder(), line);
        stack.line("worker ready", SOON).await;
        let web = format!("127.0.0.1:{port}");
        until(&web, "/health/ready", 200).await;
        eventually(SOON, "the beat leads or stands by", async || {
            let lines = stack.lines_with("beat.1 ");
            lines.iter().any(|l| l.contains("leads") || l.contains("standing by")).then_some(())
        })
        .await;
        (stack, web)
    }

    /// A client as the Django application is one.
    fn client(&self, password: &str) -> Client {
        let mut config = Config::default();
        config.redis.url = self.url(password).parse().unwrap();
        config.redis.ssl_cert_reqs = "none".into();
        config.redis.layout = Layout::Two;
        Client::new(&Connections::new(&config.redis, "shop").unwrap(), &config)
    }
}

async fn command(admin: &mut MultiplexedConnection, line: &str) -> redis::Value {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query_async(admin).await.unwrap_or_else(|e| panic!("{line}: {e}"))
}

async fn stop(mut stack: Process) -> Process {
    stack.signal(Signal::TERM);
    stack.ended(SOON).await;
    stack
}

/// Counts connections of ours for as long as it is held, and keeps the greatest number.
fn count_connections(
    mut admin: MultiplexedConnection,
) -> (Arc<AtomicUsize>, AbortOnDropHandle<()>) {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let mut looks = interval(Duration::from_millis(20));
    let counting = tokio::spawn(async move {
        loop {
            looks.tick().await;
            let list: String =
                redis::cmd("CLIENT").arg("LIST").query_async(&mut admin).await.unwrap();
            let ours = list.lines().filter(|line| line.contains(" name=rhubarb-")).count();
            seen.fetch_max(ours, Ordering::SeqCst);
        }
    });
    (most, AbortOnDropHandle::new(counting))
}

/// Publishes 50 a second until it is told to stop; returns the ids.
async fn load(client: Client, stop: CancellationToken) -> Vec<String> {
    let mut ids = Vec::new();
    let mut pace = interval(Duration::from_millis(20));
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        ids.push(client.publish(&Publish::new(TASK)).await.unwrap().id);
    }
    ids
}

/// Waits for each, and holds that none has run twice in all that the stacks say.
async fn each_once(client: &Client, ids: &[String], stacks: &[&Process]) {
    for id in ids {
        let ended = client.wait(id, SOON, |_| {}).await.unwrap();
        assert!(ended.is_some(), "{id} is lost");
    }
    let ends: Vec<String> =
        stacks.iter().flat_map(|stack| stack.lines_with("outcome=success")).collect();
    let is_of = |id: &str| ends.iter().filter(|line| line.contains(id)).count();
    let twice: Vec<&String> = ids.iter().filter(|id| is_of(id) > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");
    // The beat's ticks too.
    let all: Vec<&str> = ends
        .iter()
        .filter_map(|line| line.split(' ').find_map(|word| word.strip_prefix("id=")))
        .collect();
    let once: BTreeSet<&&str> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "each end is told once");
}

#[tokio::test]
async fn a_deployment_and_a_new_password_lose_nothing_on_a_small_plan() {
    let Some(mut heroku) = Heroku::new().await else { return };
    let (most, counting) = count_connections(heroku.admin.clone());
    let release = heroku.honcho("hunter2", free_port(), &["release"]);
    let released = run(release).await;
    assert_eq!(released.code, 0, "{}{}", released.stdout, released.stderr);

    let (old, _) = heroku.deploy("old", "hunter2").await;
    let client = heroku.client("hunter2");
    let told = CancellationToken::new();
    let loading = tokio::spawn(load(client.clone(), told.clone()));
    let released = run(heroku.honcho("hunter2", free_port(), &["release"])).await;
    assert_eq!(released.code, 0, "beside what runs: {}{}", released.stdout, released.stderr);
    let (new, web) = heroku.deploy("new", "hunter2").await;
    let old = stop(old).await;
    told.cancel();
    let ids = loading.await.unwrap();
    each_once(&client, &ids, &[&old, &new]).await;
    let deployed = most.load(Ordering::SeqCst);
    println!("a deployment: {} tasks, at most {deployed} connections of ours", ids.len());
    assert!(deployed <= MOST, "{deployed} connections of ours");
    assert!(ids.len() > 20, "there was a load: {}", ids.len());

    // The add-on rotates its password and ends all connections but the administrator's.
    command(&mut heroku.admin, "ACL SETUSER default resetpass >hunter3").await;
    let mut others = redis::cmd("CLIENT");
    others.arg("KILL").arg("USER").arg("default");
    let _: u64 = others.query_async(&mut heroku.admin).await.unwrap();
    let client = heroku.client("hunter3");
    let mut meanwhile = Vec::new();
    for _ in 0..20 {
        meanwhile.push(client.publish(&Publish::new(TASK)).await.unwrap().id);
    }
    eventually(SOON, "worker and beat name the password", async || {
        let told = new.lines_with("refuses our user or password");
        let by = |process: &str| told.iter().any(|line| line.contains(process));
        (by("worker.1 ") && by("beat.1 ")).then_some(())
    })
    .await;
    // The dashboard has no connection until somebody looks.
    until(&web, "/health/ready", 503).await;
    assert_eq!(new.lines_with("hunter"), [""; 0], "no password is shown");
    let new = stop(new).await;
    let (last, _) = heroku.deploy("last", "hunter3").await;
    each_once(&client, &meanwhile, &[&new, &last]).await;
    let most = most.load(Ordering::SeqCst);
    println!("with a new password: at most {most} connections of ours");
    assert!(most <= MOST, "{most} connections of ours");
    drop(counting);
    stop(last).await;
}
