//! Connections as people have them (users, old servers), and as they break.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb_connection::{
    Backoff, Connections, Error, Invalidation, Options, Push, Redis, RedisConfig, Role, Script,
};
use rhubarb_core::class::Class;
use rhubarb_e2e::{
    eventually::eventually,
    process::Signal,
    proxy::{Act, Proxy, Rule, Way},
    redis_server::RedisServer,
};
use rhubarb_queue::{Config, Publish};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// What a command or a connection attempt may take in these tests.
const DEADLINE: Duration = Duration::from_secs(1);

pub(crate) fn settings() -> RedisConfig {
    let mut config = Config::default().redis;
    (config.connect_timeout, config.command_timeout) = (DEADLINE, DEADLINE);
    config
}

pub(crate) fn handle(url: &str) -> Result<Redis, Error> {
    let options = Options { name: "rhubarb-test".to_owned(), tracking: true };
    Redis::new(&url.parse().unwrap(), 0, &settings(), options)
}

pub(crate) async fn ping(redis: &Redis) -> Result<String, Error> {
    redis.query(&redis::cmd("PING")).await
}

#[tokio::test]
async fn users_and_passwords_are_taken_from_the_url() {
    let server = RedisServer::start().await;
    server.command("ACL SETUSER app on >p@ss:w/rd%+ö ~* &* +@all").await;
    server.command("CONFIG SET requirepass only-a-password").await;
    let at = |user: &str| handle(&format!("redis://{user}@127.0.0.1:{}/0", server.port())).unwrap();
    ping(&at("app:p%40ss%3Aw%2Frd%25%2B%C3%B6")).await.unwrap();
    ping(&at(":only-a-password")).await.unwrap();
    for wrong in ["app:other", ":other", "nobody:other"] {
        let error = ping(&at(wrong)).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{wrong}: {error:?}");
        assert_eq!(error.class(), Class::Permanent);
        assert!(!error.to_string().contains("other"), "{error}");
    }
    let none = handle(&server.url(0)).unwrap();
    assert!(matches!(ping(&none).await.unwrap_err(), Error::Denied { .. }));
    // Mended on the server's side, and no start of ours needed.
    server_without_password(&server).await;
    ping(&none).await.unwrap();
    assert!(none.tracks(), "a missing password says nothing about the protocol");
}

async fn server_without_password(server: &RedisServer) {
    #[expect(clippy::disallowed_methods, reason = "the tests look from outside")]
    let client =
        redis::Client::open(format!("redis://:only-a-password@127.0.0.1:{}/0", server.port()));
    let mut admin = client.unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("");
    let _: () = set.query_async(&mut admin).await.unwrap();
}

#[tokio::test]
async fn a_worker_with_a_wrong_password_says_so_and_does_not_start() {
    let mut shop = Shop::open().await;
    let port = shop.installation.redis.port();
    shop.installation.redis.command("CONFIG SET requirepass right").await;
    shop.installation.set("REDIS_URL", &format!("redis://:hunter2@127.0.0.1:{port}/0"));
    let mut worker = shop.installation.worker(&[]);
    assert_eq!(worker.ended(SOON).await.code(), Some(3));
    let said = worker.lines_with("refuses our user or password");
    assert!(!said.is_empty(), "{}", worker.stdout());
    assert!(!worker.stdout().contains("hunter2") && !worker.stderr().contains("hunter2"));
    let mut beat = shop.installation.beat(&[]);
    assert_eq!(beat.ended(SOON).await.code(), Some(3));
    let ran = shop.rhubarb(&["queues"]).await;
    assert_eq!(ran.code, 3, "the same cause, the same code: {}", ran.stderr);
}

/// Each is cut while nothing is under way; the next command knows nothing of it.
#[tokio::test]
async fn an_idle_connection_that_the_server_cut_is_replaced_before_use() {
    let server = RedisServer::start().await;
    let redis = handle(&server.url(0)).unwrap();
    let mut pushes = redis.pushes();
    redis.subscribe("news").await.unwrap();
    for cut in ["CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal"] {
        if cut.ends_with("normal") {
            redis.unsubscribe("news").await.unwrap();
        }
        server.command(cut).await;
        let lost = async { while pushes.recv().await.unwrap() != Push::Lost {} };
        tokio::time::timeout(SOON, lost).await.expect("the loss is seen at once");
        ping(&redis).await.unwrap();
        assert!(redis.tracks(), "tracking is armed again");
    }
    server.command("CONFIG SET timeout 1").await;
    let lost = async { while pushes.recv().await.unwrap() != Push::Lost {} };
    tokio::time::timeout(SOON, lost).await.expect("the server ends idle connections");
    ping(&redis).await.unwrap();
}

/// With protocol 2 nobody tells of the end of an idle connection, and a command on it would fail as
/// one that may have been carried out: publishing would have to say *perhaps* of what was never
/// sent.
#[tokio::test]
async fn an_idle_connection_without_resp3_that_the_server_cut_is_replaced_before_use() {
    let server =
        RedisServer::start_with(&["--save", "", "--rename-command", "HELLO", "", "--timeout", "1"])
            .await;
    let redis = handle(&server.url(0)).unwrap();
    let connected = async || {
        let mut watch = server.connect(0).await;
        let clients: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut watch).await.unwrap();
        clients.lines().filter(|line| line.contains("rhubarb-test")).count()
    };
    for _ in 0..3 {
        ping(&redis).await.unwrap();
        assert!(!redis.hears());
        assert_eq!(connected().await, 1);
        eventually(SOON, "the server has cut it", async || (connected().await == 0).then_some(()))
            .await;
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let redis = redis.clone();
                tokio::spawn(async move { ping(&redis).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(connected().await, 1, "one for all of them");
    }
}

/// What the access list does not let us hear must not keep us from all else.
#[tokio::test]
async fn a_refused_subscription_is_no_reason_not_to_connect() {
    let server = RedisServer::start().await;
    server.command("ACL SETUSER app on >secret ~* +@all allchannels").await;
    let redis = handle(&format!("redis://app:secret@127.0.0.1:{}/0", server.port())).unwrap();
    redis.subscribe("news").await.unwrap();
    assert!(redis.is_subscribed("news"));
    let mut pushes = redis.pushes();
    server.forbid_channels("app", "&other").await;
    let lost = async { while pushes.recv().await.unwrap() != Push::Lost {} };
    tokio::time::timeout(SOON, lost).await.expect("the loss is seen at once");
    ping(&redis).await.unwrap();
    assert!(redis.tracks() && !redis.is_subscribed("news"));
    let error = redis.subscribe("news").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    redis.subscribe("other").await.unwrap();
    server.command("ACL SETUSER app &news").await;
    redis.subscribe("news").await.unwrap();
    assert!(redis.is_subscribed("news") && redis.is_subscribed("other"));
}

#[tokio::test]
async fn a_new_connection_has_the_name_the_tracking_and_the_subscriptions_of_the_old_one() {
    let server = RedisServer::start().await;
    let redis = handle(&server.url(0)).unwrap();
    let mut pushes = redis.pushes();
    redis.subscribe("news").await.unwrap();
    let script = Script::new("answer", "return 42");
    assert_eq!(redis.eval::<u8>(&script, &[], &[], &[]).await.unwrap(), 42);
    server.command("SCRIPT FLUSH").await;
    server.command("CLIENT KILL TYPE pubsub").await;
    let answer = eventually(SOON, "the script is loaded again", async || {
        redis.eval::<u8>(&script, &[], &[], &[]).await.ok()
    })
    .await;
    assert_eq!(answer, 42);
    let mut other = server.connect(0).await;
    let heard: u8 = other.publish("news", "again").await.unwrap();
    assert_eq!(heard, 1);
    let message = Push::Message { channel: "news".to_owned(), payload: b"again".to_vec() };
    let news = async { while pushes.recv().await.unwrap() != message {} };
    tokio::time::timeout(SOON, news).await.expect("what is published now is heard");
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut other).await.unwrap();
    let ours: Vec<&str> = clients.lines().filter(|line| line.contains("rhubarb-test")).collect();
    assert_eq!(ours.len(), 1, "{clients}");
}

/// A server before Redis 6, and one that forbids tracking; no access list can forbid `HELLO` (Redis
/// 7.0).
#[tokio::test]
async fn a_server_without_resp3_or_tracking_is_served_all_the_same() {
    let old = RedisServer::start_with(&["--save", "", "--rename-command", "HELLO", ""]).await;
    let forbidding = RedisServer::start().await;
    forbidding.command("ACL SETUSER default -client +client|kill").await;
    for server in [old, forbidding] {
        let redis = handle(&server.url(0)).unwrap();
        assert_eq!(ping(&redis).await.unwrap(), "PONG");
        assert!(!redis.tracks());
        redis.probe().await.unwrap();
        server.command("CLIENT KILL TYPE normal").await;
        eventually(SOON, "it is back", async || ping(&redis).await.ok()).await;
    }
}

#[tokio::test]
async fn commands_and_connection_attempts_have_deadlines_however_many_wait() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let redis = handle(&proxy.url(0)).unwrap();
    ping(&redis).await.unwrap();
    proxy.add(Rule::always(Act::Swallow));
    let begun = Instant::now();
    let error = ping(&redis).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(begun.elapsed() < 2 * DEADLINE, "{:?}", begun.elapsed());
    let begun = Instant::now();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let redis = redis.clone();
            tokio::spawn(async move { ping(&redis).await.unwrap_err() })
        })
        .collect();
    for waiter in waiting {
        let error = waiter.await.unwrap();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    }
    assert!(begun.elapsed() < 3 * DEADLINE, "not one after the other: {:?}", begun.elapsed());
    proxy.heal();
    ping(&redis).await.unwrap();
}

/// However long the wait is: whoever else uses the connection finds out first.
#[tokio::test]
async fn a_wait_for_a_lost_connection_ends_when_it_stands_again_and_not_twice_on_end() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let redis = handle(&proxy.url(0)).unwrap();
    proxy.refuse();
    ping(&redis).await.unwrap_err();
    let mut backoff = Backoff::new(4 * SOON, 4 * SOON);
    let back = async {
        proxy.heal();
        ping(&redis).await.unwrap();
    };
    let both = async { tokio::join!(backoff.sleep_until_back(&redis), back) };
    tokio::time::timeout(SOON, both).await.expect("it ends with the outage");
    let again = tokio::time::timeout(2 * DEADLINE, backoff.sleep_until_back(&redis)).await;
    assert!(again.is_err(), "a server that ends each new connection is asked without a pause");
    let third = tokio::time::timeout(SOON, backoff.sleep_until_back(&redis)).await;
    assert!(third.is_ok(), "the connection stands");
}

#[tokio::test]
async fn a_probe_asks_on_a_connection_of_its_own() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let redis = handle(&proxy.url(0)).unwrap();
    ping(&redis).await.unwrap();
    assert_eq!(redis.successes(), 1);
    proxy.add(Rule::once(Way::ToServer, "PING", "", Act::Swallow));
    ping(&redis).await.unwrap_err();
    redis.probe().await.unwrap();
    assert_eq!(redis.successes(), 1, "a probe is no work done");
    proxy.refuse();
    redis.probe().await.unwrap_err();
}

/// A worker through one outage after the other: each is said once when it begins and once when it
/// is over, and tasks run again.
#[tokio::test]
async fn each_condition_of_redis_is_logged_once_waited_out_and_logged_once_when_it_is_over() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "2");
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    let conditions = [
        ("code=READONLY", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        (
            "code=NOREPLICAS",
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("code=NOPERM", "ACL SETUSER default -evalsha -eval", "ACL SETUSER default +evalsha +eval"),
    ];
    for (code, begin, end) in conditions {
        shop.installation.redis.command(begin).await;
        if code == "code=NOREPLICAS" && scripts_write(&shop.installation.redis).await {
            // So it is before Redis 7.0: the worker, which writes by scripts, is refused nothing.
            shop.installation.redis.command(end).await;
            continue;
        }
        worker.line(code, SOON).await;
        eventually(SOON, "it is refused again and again", async || {
            let stats = shop.installation.redis.command("INFO errorstats").await;
            (refusals(&stats, code) > 3).then_some(())
        })
        .await;
        shop.installation.redis.command(end).await;
        let client = shop.client();
        let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
        assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some(), "tasks run after {code}");
        let over = format!("{code} outage_s");
        eventually(SOON, "its end is logged", async || {
            worker
                .lines_with("redis takes commands again")
                .iter()
                .any(|l| l.contains(code))
                .then_some(())
        })
        .await;
        let begun: Vec<String> = worker.lines_with("redis refuses commands");
        let begun = begun.iter().filter(|line| line.contains(code)).count();
        assert_eq!(begun, 1, "{over}: {}", worker.stdout());
    }
    assert!(worker.lines_with("trying again").len() <= 2 * conditions.len(), "{}", worker.stdout());
    assert!(worker.is_running());
}

/// A server that answers reads alone, as in a fail-over that is under way: connecting works, so
/// that each lost write looks like an outage that is over.
#[tokio::test]
async fn writes_that_redis_does_not_carry_out_are_told_once_and_once_when_it_does_again() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    shop.installation.set("RHUBARB_REDIS_COMMAND_TIMEOUT", "1");
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    let mut queue = shop.queue().await;
    let _: () = client("PAUSE", &["120000", "WRITE"]).query_async(&mut queue).await.unwrap();
    let before = connections_received(&mut queue).await;
    eventually(SOON, "the worker connects again and again", async || {
        (connections_received(&mut queue).await >= before + 8).then_some(())
    })
    .await;
    let told = worker.line("carries out no writes", SOON).await;
    assert!(told.contains("level=warn") && told.contains("command="), "{told}");
    assert!(worker.lines_with("redis is back").is_empty(), "{}", worker.stdout());
    let _: () = client("UNPAUSE", &[]).query_async(&mut queue).await.unwrap();
    let id = shop.client().publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    assert!(shop.client().wait(&id, SOON, |_| {}).await.unwrap().is_some(), "tasks run again");
    worker.line("redis is back", SOON).await;
    for one in ["redis is unreachable", "carries out no writes", "redis is back"] {
        assert_eq!(worker.lines_with(one).len(), 1, "{one}: {}", worker.stdout());
    }
    assert!(worker.is_running());
}

fn client(subcommand: &str, args: &[&str]) -> redis::Cmd {
    redis::cmd("CLIENT").arg(subcommand).arg(args).to_owned()
}

/// Returns how many connections were ever made to a server.
async fn connections_received(asking: &mut redis::aio::MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("stats").query_async(asking).await.unwrap();
    let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    count.unwrap().parse().unwrap()
}

/// Something that answers each command with an error, `HELLO` and `AUTH` too; returns its port, and
/// how often it was connected to.
async fn nothing_but_errors() -> (u16, Arc<AtomicUsize>) {
    let connected = Arc::new(AtomicUsize::new(0));
    let counted = connected.clone();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let commands = buffer[..n].iter().filter(|&&byte| byte == b'*').count();
                    let answer = "-ERR go away\r\n".repeat(commands);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, connected)
}

/// It waits, says so once, asks seldom, and stops when it is told to.
#[tokio::test]
async fn a_worker_waits_for_a_redis_that_answers_errors_only() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    let right = shop.installation.redis.url(0);
    let (port, asked) = nothing_but_errors().await;
    let wrong = format!("redis://127.0.0.1:{port}/0");
    shop.installation.set("REDIS_URL", &wrong);
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    let said = worker.line("go away", SOON).await;
    assert!(said.contains("level=warn"), "{said}");
    let before = asked.load(Ordering::SeqCst);
    eventually(SOON, "it asks again and again", async || {
        (asked.load(Ordering::SeqCst) >= before + 4).then_some(())
    })
    .await;
    assert!(worker.is_running());
    assert!(worker.lines_with("go away").len() <= 3, "{}", worker.stdout());
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(Duration::from_secs(5)).await.code(), Some(0));
    // The command line does not wait: it says what Redis said.
    let ran = shop.rhubarb(&["queues"]).await;
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("go away"), "{}", ran.stderr);
    shop.installation.set("REDIS_URL", &right);
    assert_eq!(shop.rhubarb(&["queues"]).await.code, 0);
}

/// One that forbids everything while the worker runs, and one that is a replica when it starts.
#[tokio::test]
async fn a_worker_waits_out_a_redis_that_forbids_everything_and_starts_on_a_replica() {
    let shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    let port = shop.installation.redis.port();
    // Whoever mends it has to be another user.
    shop.installation.redis.command("ACL SETUSER admin on >mend ~* &* +@all").await;
    shop.installation.redis.command("REPLICAOF 127.0.0.1 1").await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    worker.line("code=READONLY", SOON).await;
    let runs = async |what: &str| {
        let client = shop.client();
        let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
        assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some(), "{what}");
    };
    shop.installation.redis.command("REPLICAOF NO ONE").await;
    runs("it has become the primary").await;
    shop.installation.redis.command("ACL SETUSER default -@all").await;
    worker.line("code=NOPERM", SOON).await;
    eventually(SOON, "it is refused again and again", async || {
        let stats = as_admin(port, "INFO errorstats").await;
        (refusals(&stats, "code=NOPERM") > 3).then_some(())
    })
    .await;
    assert!(worker.is_running());
    let mended = as_admin(port, "ACL SETUSER default +@all").await;
    assert_eq!(mended, redis::Value::Okay);
    runs("everything is allowed again").await;
    assert!(worker.is_running());
}

async fn scripts_write(server: &RedisServer) -> bool {
    let mut eval = redis::cmd("EVAL");
    eval.arg("redis.call('SET', KEYS[1], '') redis.call('DEL', KEYS[1])").arg(1).arg("any");
    eval.query_async::<redis::Value>(&mut server.connect(0).await).await.is_ok()
}

/// Returns how many commands the server has refused with a `code=…`, by its own count.
///
/// Before Redis 7.0 what a script is refused counts as `ERR`.
fn refusals(stats: &redis::Value, code: &str) -> u64 {
    let stats: String = redis::from_redis_value(stats.clone()).unwrap();
    let count = |code: &str| {
        let line = format!("errorstat_{code}:count=");
        let count = stats.lines().find_map(|stat| stat.strip_prefix(&line));
        count.map_or(0, |count| count.parse().unwrap())
    };
    count(code.trim_start_matches("code=")) + count("ERR")
}

async fn as_admin(port: u16, words: &str) -> redis::Value {
    #[expect(clippy::disallowed_methods, reason = "the tests look from outside")]
    let client = redis::Client::open(format!("redis://admin:mend@127.0.0.1:{port}/0")).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut words = words.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    cmd.arg(words.collect::<Vec<_>>()).query_async(&mut admin).await.unwrap()
}

/// Redis answers while it reads its file, and refuses everything.
#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    let mut queue = shop.queue().await;
    // A look at the clients every 2 MB of the file, and 40 ms a key.
    shop.installation.redis.command("CONFIG SET rdbcompression no").await;
    for n in 0..60 {
        let _: () = queue.set(format!("filler-{n}"), "x".repeat(1 << 20)).await.unwrap();
    }
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    // Only of a snapshot does it look at its clients in between.
    shop.installation.redis.command("BGREWRITEAOF").await;
    eventually(SOON, "the file is a snapshot", async || {
        let info = redis::cmd("INFO").arg("persistence").query_async::<String>(&mut queue).await;
        let info = info.unwrap();
        let idle = ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"];
        idle.iter().all(|line| info.contains(line)).then_some(())
    })
    .await;
    let redis = &mut shop.installation.redis;
    redis.add_options(&["--key-load-delay", "40000"]);
    redis.restart_unready();
    worker.line("code=LOADING", SOON).await;
    worker.line("redis takes commands again", SOON).await;
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some());
    assert_eq!(worker.lines_with("redis refuses commands").len(), 1, "{}", worker.stdout());
}

#[tokio::test]
async fn an_outage_is_one_line_when_it_begins_and_one_with_its_length_when_it_is_over() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    shop.installation.redis.kill();
    let down = worker.line("redis is unreachable", SOON).await;
    assert!(down.contains("level=warn") && down.contains("reason="), "{down}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    shop.installation.redis.restart().await;
    let back = worker.line("redis is back", SOON).await;
    let length = back.split("outage_s=").nth(1).and_then(|rest| rest.split(' ').next());
    let length: f64 = length.and_then(|text| text.parse().ok()).unwrap();
    assert!(length >= 2.0, "{back}");
    // One connection for each database that was in use, and so one pair of lines for each.
    let (down, back) =
        (worker.lines_with("is unreachable").len(), worker.lines_with("is back").len());
    assert!(down <= 3 && back <= down, "{}", worker.stdout());
}

#[test]
fn one_process_has_one_connection_for_each_database_in_use() {
    let connections = Connections::new(&RedisConfig::default(), "test").unwrap();
    let (queue, results) = (connections.role(Role::Queue), connections.role(Role::Results));
    assert!(queue.same_database(&results));
    assert!(!queue.same_database(&connections.role(Role::Cache)));
}

/// Before Redis 7.0 the server writes the news of a changed key into the middle of a transaction's
/// answer.
#[tokio::test]
async fn a_transaction_that_changes_a_tracked_key_shifts_no_answers_and_tells_of_the_change() {
    let server = RedisServer::start().await;
    let redis = handle(&server.url(0)).unwrap();
    redis.ready().await.unwrap();
    let mut changes = redis.changes();
    let echo =
        async |text: &str| -> String { redis.query(redis::cmd("ECHO").arg(text)).await.unwrap() };
    let read = Script::new("read", "return redis.call('LLEN', KEYS[1])");
    let mut caching = redis::cmd("CLIENT");
    caching.arg("CACHING").arg("YES");
    for round in 0..3 {
        let keys = ["list".to_owned()];
        let n: usize = redis.eval(&read, &keys, &[], std::slice::from_ref(&caching)).await.unwrap();
        assert_eq!(n, 2 * round);
        let mut both = redis::pipe();
        both.atomic().cmd("LPUSH").arg("list").arg("a").cmd("LPUSH").arg("list").arg("b");
        let (both, first, second) = (redis.pipe::<redis::Value>(&both), echo("1"), echo("2"));
        let (both, first, second) = tokio::join!(both, first, second);
        both.unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("1", "2"), "round {round}");
        let change = tokio::time::timeout(SOON, changes.recv()).await.expect("the change is told");
        assert!(matches!(change, Ok(Invalidation::Keys(_) | Invalidation::All)), "{change:?}");
    }
    assert_eq!(server.command("LLEN list").await, redis::Value::Int(6));
}
