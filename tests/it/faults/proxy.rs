//! The bad network itself: each of its faults does what it says, or the tests that use it prove
//! nothing.

use std::time::Duration;

use redis::{AsyncCommands, RedisResult, aio::MultiplexedConnection};
use rhubarb_e2e::{
    proxy::{Act, At, Proxy, Rule, Way},
    redis_server::RedisServer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

async fn through(proxy: &Proxy) -> MultiplexedConnection {
    #[expect(clippy::disallowed_methods, reason = "a client that does not reconnect")]
    let client = redis::Client::open(proxy.url(0)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn set(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<()> {
    connection.set(key, "value").await
}

#[tokio::test]
async fn without_a_rule_everything_passes() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut connection = through(&proxy).await;
    let long = "x".repeat(1_000_000);
    let _: () = connection.set("k", &long).await.unwrap();
    assert_eq!(connection.get::<_, String>("k").await.unwrap(), long);
    assert_eq!((proxy.connections(), proxy.hits().len()), (1, 0));
}

#[tokio::test]
async fn a_cut_before_a_command_keeps_it_from_the_server_and_one_before_its_answer_does_not() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut direct = server.connect(0).await;
    for (way, arrives) in [(Way::ToServer, false), (Way::ToClient, true)] {
        let key = format!("{way:?}");
        proxy.add(Rule::once(way, "SET", &key, Act::Cut));
        let mut connection = through(&proxy).await;
        set(&mut connection, "other").await.unwrap();
        set(&mut connection, &key).await.unwrap_err();
        assert_eq!(direct.exists::<_, bool>(&key).await.unwrap(), arrives, "{way:?}");
    }
    assert_eq!(proxy.hits()[&Act::Cut], 2);
}

#[tokio::test]
async fn nothing_passes_behind_a_cut() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut direct = server.connect(0).await;
    let _: () = direct.set("k", "x".repeat(100)).await.unwrap();
    // Many answers at once, so that those behind the cut one lie in the proxy already.
    let ask = "GET k\r\n".repeat(1_000);
    for _ in 0..20 {
        proxy.add(Rule { way: Some(Way::ToClient), at: At::Bytes(50), act: Act::Cut, times: 1 });
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut came = Vec::new();
        // How the connection ends, by FIN or RST, says nothing here.
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut came)).await.unwrap();
        assert!(came.len() <= 50, "{}", String::from_utf8_lossy(&came));
    }
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_command_keeps_it_from_the_server() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut connection = through(&proxy).await;
    let at = At::Command { name: "SET".to_owned(), holding: String::new(), offset: 20 };
    proxy.add(Rule { way: Some(Way::ToServer), at, act: Act::Cut, times: 1 });
    set(&mut connection, "half").await.unwrap_err();
    proxy.add(Rule { way: Some(Way::ToServer), at: At::Bytes(2000), act: Act::Cut, times: 1 });
    let mut connection = through(&proxy).await;
    let sent = async { while set(&mut connection, "whole").await.is_ok() {} };
    timeout(Duration::from_secs(10), sent).await.unwrap();
    let mut direct = server.connect(0).await;
    assert!(!direct.exists::<_, bool>("half").await.unwrap());
    assert!(direct.exists::<_, bool>("whole").await.unwrap());
}

#[tokio::test]
async fn delayed_and_trickled_answers_come_late_and_whole() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut connection = through(&proxy).await;
    let ms = Duration::from_millis;
    for (act, least) in [(Act::Delay(ms(150)), ms(150)), (Act::Trickle(ms(10)), ms(100))] {
        proxy.add(Rule::once(Way::ToServer, "SET", "", act));
        let begun = Instant::now();
        set(&mut connection, "late").await.unwrap();
        assert!(begun.elapsed() >= least, "{act:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_swallowed_connection_is_silent_until_it_is_cut_and_a_new_one_works() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut connection = through(&proxy).await;
    proxy.add(Rule::once(Way::ToServer, "SET", "", Act::Swallow));
    let unanswered = timeout(Duration::from_millis(300), set(&mut connection, "k")).await;
    assert!(unanswered.is_err(), "{unanswered:?}");
    set(&mut through(&proxy).await, "other").await.unwrap();
    proxy.cut();
    let ended = timeout(Duration::from_secs(10), set(&mut connection, "k")).await;
    ended.expect("a cut is seen at once").unwrap_err();
}

#[tokio::test]
async fn a_half_close_is_seen_as_an_end_and_a_refused_connection_as_well() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut connection = through(&proxy).await;
    proxy.add(Rule::once(Way::ToClient, "SET", "", Act::HalfClose));
    set(&mut connection, "k").await.unwrap_err();
    proxy.refuse();
    #[expect(clippy::disallowed_methods, reason = "a client that does not reconnect")]
    let client = redis::Client::open(proxy.url(0)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap_err();
    proxy.heal();
    set(&mut through(&proxy).await, "k").await.unwrap();
}

#[tokio::test]
async fn after_a_fail_over_new_connections_reach_the_new_primary_and_old_ones_the_old() {
    let mut server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut before = through(&proxy).await;
    set(&mut before, "before").await.unwrap();
    let mut other = server.start_replica().await;
    for round in 0..2 {
        server.fail_over_to(&mut other).await;
        proxy.redirect(other.port());
        let refused = set(&mut before, "late").await.unwrap_err();
        assert_eq!(
            refused.code(),
            Some("READONLY"),
            "the old connection, round {round}: {refused}"
        );
        let mut after = through(&proxy).await;
        assert_eq!(after.get::<_, String>("before").await.unwrap(), "value", "nothing is lost");
        set(&mut after, "after").await.unwrap();
        before = after;
        std::mem::swap(&mut server, &mut other);
    }
}
