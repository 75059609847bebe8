//! `doctor`: a sound installation is told by silence, a broken one by one sentence that comes
//! first.

use redis::AsyncCommands;
use rhubarb_e2e::{
    certificates::Certificates,
    eventually::eventually,
    installation::{Installation, Ran},
    process::Process,
    redis_server::{RedisServer, free_port},
};

use crate::{BINARIES, shop::SOON};

/// What a server for a queue should have.
const SOUND: [&str; 6] =
    ["--appendonly", "yes", "--maxmemory", "200mb", "--maxmemory-policy", "noeviction"];
/// A message of Celery's.
const MESSAGE: &str = r#"{"body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "shop.unheard_of", "id": "7a3c1c6e-0001", "root_id": "7a3c1c6e-0001", "argsrepr": "()", "kwargsrepr": "{}"}, "properties": {"correlation_id": "7a3c1c6e-0001", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "mail"}, "priority": 0, "body_encoding": "base64", "delivery_tag": "7a3c1c6e-0002"}}"#;

async fn with(options: &[&str], configuration: &str) -> Installation {
    let options = [&SOUND, options].concat();
    Installation::new(BINARIES, RedisServer::start_with(&options).await, configuration)
}

async fn sound() -> Installation {
    with(&[], "").await
}

/// Starts a worker and a beat.
async fn running(installation: &Installation) -> [Process; 2] {
    let (mut worker, mut beat) = (installation.worker(&[]), installation.beat(&[]));
    worker.line("worker ready", SOON).await;
    beat.line("this beat leads", SOON).await;
    [worker, beat]
}

/// What is said before anything was started, by itself.
const NOT_STARTED: &str = "info     installation: no worker and no beat runs.\n         \
                           Start them: `worker` and `beat`.\n";

/// Holds what the doctor says first, and with which exit code: `code` as it is, `strict` with
/// `--strict`.
async fn says(installation: &Installation, first: &str, code: i32, strict: i32) -> Ran {
    let ran = installation.rhubarb(&["doctor"]).await;
    let told = ran.stdout.lines().next().unwrap_or_default();
    assert!(told.contains(first), "`{first}` is not first in\n{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
    let stricter = installation.rhubarb(&["doctor", "--strict"]).await;
    assert_eq!(stricter.code, strict, "{}{}", stricter.stdout, stricter.stderr);
    ran
}

/// At boot worker and beat say what is wrong with the queue's server, the two worst things, with
/// what to do; of a sound one nothing.
#[tokio::test]
async fn boot_says_the_two_worst_findings_and_claims_meanwhile() {
    let evicting = ["--maxmemory-policy", "allkeys-lru", "--appendonly", "no", "--maxmemory", "0"];
    let installation = with(&evicting, "").await;
    for mut process in running(&installation).await {
        process.line("code=eviction_policy", SOON).await;
        process.line("code=no_maxmemory", SOON).await;
        let said = process.lines_with(" code=");
        assert_eq!(said.len(), 2, "{said:#?}");
        let policy = "it may evict tasks. Set maxmemory-policy noeviction there";
        assert!(said.iter().any(|line| line.contains(policy)), "{said:#?}");
    }
    let mut queue = installation.redis.connect(0).await;
    let calls: String = redis::cmd("INFO").arg("clients").query_async(&mut queue).await.unwrap();
    assert!(calls.contains("connected_clients:"), "{calls}");
    // The worker's databases 0, 1 and 3, the beat's, and ours.
    let ours = calls.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    let n: usize = ours.unwrap().trim().parse().unwrap();
    assert!(n <= 5, "no connection is opened for it: {n}");
}

#[tokio::test]
async fn a_sound_installation_is_told_by_silence() {
    let installation = sound().await;
    let running = running(&installation).await;
    for process in &running {
        assert_eq!(process.lines_with(" code="), [""; 0]);
    }
    let ran = installation.rhubarb(&["doctor", "--strict"]).await;
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""));
    let json = installation.rhubarb(&["doctor", "--strict", "--json"]).await.json();
    assert_eq!(json["findings"], serde_json::json!([]));
    assert_eq!(json["missing"], serde_json::json!([]));
}

#[tokio::test]
async fn a_look_changes_no_byte_of_the_queue() {
    let installation = sound().await;
    let mut redis = installation.redis.connect(0).await;
    let _: () = redis.lpush("mail", MESSAGE).await.unwrap();
    let dump: Vec<u8> = redis::cmd("DUMP").arg("mail").query_async(&mut redis).await.unwrap();
    let ran = installation.rhubarb(&["doctor"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let after: Vec<u8> = redis::cmd("DUMP").arg("mail").query_async(&mut redis).await.unwrap();
    assert_eq!(dump, after);
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys, ["mail"]);
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_told_with_what_mends_it() {
    let mut installation = sound().await;
    installation.set("REDIS_URL", &format!("redis://127.0.0.1:{}/0", free_port()));
    let ran = says(&installation, "it cannot be reached", 7, 7).await;
    assert!(ran.stdout.contains("Start it, or mend its URL"), "{}", ran.stdout);

    installation.set("REDIS_URL", "redis://no-such-host.invalid/0");
    let ran = says(&installation, "no-such-host.invalid:6379: it cannot be reached", 7, 7).await;
    assert!(ran.stdout.contains("Mend the host's name"), "{}", ran.stdout);

    let locked = with(&["--requirepass", "hunter2"], "").await;
    let ran = says(&locked, "it wants a password", 7, 7).await;
    assert!(ran.stdout.contains("redis://:PASSWORD@HOST"), "{}", ran.stdout);
    let mut wrong = locked;
    wrong.set("REDIS_URL", &wrong.redis.url(0).replace("://", "://:letmein@"));
    let ran = says(&wrong, "it refuses our user or password", 7, 7).await;
    assert!(!ran.stdout.contains("letmein") && !ran.stderr.contains("letmein"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_certificate_that_the_server_signed_itself_is_told_with_the_setting_for_it() {
    let certificates = Certificates::self_signed("127.0.0.1", true, 30);
    let port = free_port().to_string();
    let (cert, key) = (certificates.path("server.pem"), certificates.path("server.key"));
    let options = ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let tls = [&options[..], &["--tls-ca-cert-file", &cert, "--tls-auth-clients", "no"]].concat();
    let mut installation = with(&tls, "").await;
    installation.set("REDIS_URL", &format!("rediss://127.0.0.1:{port}/0"));
    let ran = says(&installation, "it cannot be reached", 7, 7).await;
    assert!(ran.stdout.contains("RHUBARB_REDIS_SSL_CERT_REQS=none"), "{}", ran.stdout);
    installation.set("RHUBARB_REDIS_SSL_CERT_REQS", "none");
    let ran = installation.rhubarb(&["doctor"]).await;
    assert_eq!((ran.code, &*ran.stdout), (0, NOT_STARTED), "{}", ran.stderr);
}

#[tokio::test]
async fn databases_that_do_not_fit_are_told() {
    let one = with(&["--databases", "2"], "").await;
    let ran = says(&one, "has no database", 7, 7).await;
    assert!(ran.stdout.contains("RHUBARB_REDIS_LAYOUT=two"), "{}", ran.stdout);
    let shared = with(&[], "[redis]\njobs_db = 0\n").await;
    says(&shared, "the queue shares its database with caches", 7, 7).await;
}

#[tokio::test]
async fn a_server_that_may_lose_tasks_is_told() {
    let evicts = with(&["--maxmemory-policy", "allkeys-lru"], "").await;
    says(&evicts, "maxmemory-policy is allkeys-lru on the queue's server", 7, 7).await;
    let boundless = with(&["--maxmemory", "0"], "").await;
    says(&boundless, "maxmemory is not set", 0, 7).await;
    let forgets = with(&["--appendonly", "no", "--save", ""], "").await;
    says(&forgets, "nothing is kept on disk", 0, 7).await;
    let saves = with(&["--appendonly", "no", "--save", "60 1"], "").await;
    says(&saves, "appendonly is off", 0, 7).await;
    let small = with(&["--maxmemory", "25mb"], "").await;
    says(&small, "dead letters and parked tasks may take 32.0 MiB of the 25.0 MiB", 0, 0).await;
    let full = with(&["--maxmemory", "1mb"], "").await;
    says(&full, "of its memory is in use", 7, 7).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_or_is_a_cluster_is_told() {
    let primary = RedisServer::start_with(&SOUND).await;
    let mut installation = sound().await;
    let replica = primary.start_replica().await;
    installation.set("REDIS_URL", &replica.url(0));
    says(&installation, "it is a replica, which takes no writes", 7, 7).await;
    let mut node = with(&["--cluster-enabled", "yes"], "[redis]\n").await;
    node.set("RHUBARB_REDIS_CACHE_DB", "0");
    node.set("RHUBARB_REDIS_SESSIONS_DB", "0");
    node.set("RHUBARB_REDIS_JOBS_DB", "0");
    let ran = node.rhubarb(&["doctor"]).await;
    assert!(ran.stdout.contains("it is a node of a cluster"), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 7);
}

#[tokio::test]
async fn connections_that_run_out_or_are_cut_are_told() {
    let cut = with(&["--timeout", "10"], "").await;
    says(&cut, "it ends connections that are silent for 10 s", 0, 7).await;
    let herokus = with(&["--timeout", "300"], "").await;
    let ran = herokus.rhubarb(&["doctor", "--strict"]).await;
    assert_eq!((ran.code, &*ran.stdout), (0, NOT_STARTED), "{}", ran.stderr);
    let few = with(&["--maxclients", "10"], "").await;
    let held = few.redis.connect(0).await;
    let mut others = vec![held];
    for _ in 0..4 {
        others.push(few.redis.connect(0).await);
    }
    says(&few, "10 connections are taken", 0, 7).await;
}

#[tokio::test]
async fn commands_that_a_user_may_not_use_are_told_with_the_line_that_allows_them() {
    for (rule, name) in [("-evalsha", "EVALSHA"), ("-eval", "EVAL"), ("-publish", "PUBLISH")] {
        let mut installation = sound().await;
        let user = format!("ACL SETUSER shop on >hunter2 ~* &* +@all {rule}");
        installation.redis.command(&user).await;
        let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", installation.redis.port());
        installation.set("REDIS_URL", &url);
        let ran = says(&installation, &format!("it refuses {name}"), 7, 7).await;
        assert!(ran.stdout.contains("ACL SETUSER NAME on >PASSWORD"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_worker_runs_under_the_user_that_the_doctor_advises() {
    let mut installation = sound().await;
    let advised = "on >hunter2 ~* &* +@read +@write +@scripting +@pubsub +@transaction \
                   +@connection +info +time";
    installation.redis.command(&format!("ACL SETUSER shop {advised}")).await;
    let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", installation.redis.port());
    installation.set("REDIS_URL", &url);
    let [worker, _beat] = running(&installation).await;
    let ran = installation
        .rhubarb(&["enqueue", "job_scraper.tasks.get_scraping_status", "--wait", "30"])
        .await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(worker.lines_with("not permitted"), Vec::<String>::new());
    let ran = installation.rhubarb(&["doctor", "--strict"]).await;
    assert_eq!((ran.code, &*ran.stdout), (0, ""), "{}", ran.stderr);
}

#[tokio::test]
async fn what_lies_in_the_queues_and_nobody_takes_is_told() {
    let unstarted = sound().await;
    let mut redis = unstarted.redis.connect(0).await;
    let _: () = redis.lpush("celery", MESSAGE).await.unwrap();
    says(&unstarted, "no worker and no beat runs, and 1 task waits", 0, 7).await;

    let unserved = sound().await;
    let _running = running(&unserved).await;
    let mut redis = unserved.redis.connect(0).await;
    let _: () = redis.lpush("mail", MESSAGE).await.unwrap();
    let _: () = redis.sadd("rhubarb:queues", "mail").await.unwrap();
    says(&unserved, "queue mail: 1 task waits, and no live worker serves it", 0, 7).await;

    let paused = sound().await;
    let _running = running(&paused).await;
    assert_eq!(paused.rhubarb(&["pause", "celery"]).await.code, 0);
    let mut redis = paused.redis.connect(0).await;
    let _: () = redis.lpush("celery", MESSAGE).await.unwrap();
    let ran = says(&paused, "queue celery: it is paused since", 0, 7).await;
    let unknown = "tasks wait that no live worker registers: shop.unheard_of";
    assert!(ran.stdout.contains(unknown), "{}", ran.stdout);

    let foreign = sound().await;
    let mut redis = foreign.redis.connect(0).await;
    let _: () = redis.set("celery", "mine").await.unwrap();
    says(&foreign, "queue celery: it cannot be read", 7, 7).await;

    let left = sound().await;
    let mut redis = left.redis.connect(0).await;
    let _: () = redis.hset("unacked", "tag", format!(r#"[{MESSAGE}, "", "mail"]"#)).await.unwrap();
    let ran = says(&left, "tasks that Celery's workers left unacknowledged: 1", 0, 7).await;
    assert!(ran.stdout.contains("rhubarb adopt-unacked"), "{}", ran.stdout);

    let stranded = sound().await;
    let mut redis = stranded.redis.connect(0).await;
    let _: () = redis.hset("rhubarb:{celery}:claims:w1", "1", MESSAGE).await.unwrap();
    says(&stranded, "tasks claimed by workers that are gone: 1", 0, 7).await;
}

#[tokio::test]
async fn what_waits_stops_no_release_nor_does_what_a_platform_has_set() {
    let mut installation = with(&["--appendonly", "no", "--maxmemory", "0"], "").await;
    let mut redis = installation.redis.connect(0).await;
    let _: () = redis.lpush("celery", MESSAGE).await.unwrap();
    let release = ["doctor", "--setup", "--strict"];
    let ran = installation.rhubarb(&release).await;
    assert!(ran.stdout.starts_with("warning  "), "{}{}", ran.stdout, ran.stderr);
    assert_eq!((ran.code, &*ran.stderr), (7, "error: 2 warnings; below each stands what to do\n"));
    installation.redis.command("ACL SETUSER shop on >hunter2 ~* &* +@all -config").await;
    let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", installation.redis.port());
    installation.set("REDIS_URL", &url);
    let ran = installation.rhubarb(&release).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("Choose a plan with persistence"), "{}", ran.stdout);
}

#[tokio::test]
async fn parked_tasks_and_dead_letters_are_told() {
    let installation = sound().await;
    let _running = running(&installation).await;
    let mut redis = installation.redis.connect(0).await;
    let _: () = redis.lpush("celery", MESSAGE).await.unwrap();
    let _: () = redis.lpush("celery", "no message at all").await.unwrap();
    eventually(SOON, "one is parked and one is dead", async || {
        let (parked, dead): (u64, u64) = redis::pipe()
            .zcard("rhubarb:parked")
            .zcard("rhubarb:dead")
            .query_async(&mut redis)
            .await
            .ok()?;
        (parked == 1 && dead == 1).then_some(())
    })
    .await;
    let ran =
        says(&installation, "parked tasks, whose name no live worker registers: 1", 0, 7).await;
    assert!(ran.stdout.contains("info     queue: dead letters: 1."), "{}", ran.stdout);
}

#[tokio::test]
async fn schedules_that_nobody_publishes_are_told() {
    let schedule = "[schedules.nightly]\ntask = \"shop.report\"\nevery = \"1h\"\n";
    let installation = with(&[], schedule).await;
    let mut worker = installation.worker(&[]);
    worker.line("worker ready", SOON).await;
    let ran = says(&installation, "schedules publish nothing", 0, 7).await;
    assert!(ran.stdout.contains("Start a beat"), "{}", ran.stdout);
    let mut beat = installation.beat(&[]);
    beat.line("this beat leads", SOON).await;
    let ran = installation.rhubarb(&["doctor", "--strict"]).await;
    assert_eq!((ran.code, &*ran.stdout), (0, ""), "{}", ran.stderr);
}

#[tokio::test]
async fn keys_that_stay_for_ever_are_told() {
    let installation = sound().await;
    let mut redis = installation.redis.connect(1).await;
    let _: () = redis.set(":1:api:users", "x").await.unwrap();
    says(&installation, "keys without a time to live: 1", 0, 7).await;
}

#[tokio::test]
async fn settings_that_hurt_are_told_and_those_that_cannot_be_read_end_with_3() {
    let slow = with(&[], "[redis]\ncommand_timeout = 60\n").await;
    says(&slow, "redis.command_timeout is not below worker.lease", 0, 7).await;
    let broken = with(&[], "[worker]\nconcurency = 4\n").await;
    let ran = broken.rhubarb(&["doctor"]).await;
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("worker.concurency"), "{}", ran.stderr);
}
