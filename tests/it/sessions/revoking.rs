//! Finding sessions, and ending all of a user.

use redis::AsyncCommands;
use rhubarb_cache::{
    PyValue,
    sessions::{Backend, Login, Revoked, SessionError, SessionKey, Sessions},
};
use rhubarb_e2e::redis_server::RedisServer;

use super::{TWO_WEEKS, about, directory, of_user, raw_key, sessions};

#[tokio::test]
async fn a_session_of_cached_db_ends_once() {
    let redis = RedisServer::start().await;
    let sessions = sessions(&redis, Backend::CachedDb);
    let session = sessions.create(of_user("7")).await.unwrap();
    assert!(sessions.delete(session.key()).await.unwrap());
    assert!(!sessions.delete(session.key()).await.unwrap());
    assert!(sessions.read(session.key()).await.unwrap().unwrap().data().is_empty());
}

#[tokio::test]
async fn all_sessions_of_a_user_end_and_nothing_else_does() {
    let redis = RedisServer::start().await;
    let mut connection = redis.connect(2).await;
    let mut others = vec!["celery".to_owned(), "session:1:user:7".to_owned()];
    others.push("session:2:django.contrib.sessions.cacheabcdefgh".to_owned());
    others.push("other:1:django.contrib.sessions.cacheabcdefgh".to_owned());
    for key in &others {
        let _: () = connection.set(key, "x").await.unwrap();
    }
    let _: () =
        connection.rpush("session:1:django.contrib.sessions.cachealist0000", "x").await.unwrap();
    let (mut sevens, mut rest) = (Vec::new(), Vec::new());
    for n in 0..1_500 {
        let backend = Backend::ALL[n % 3];
        let (user, kept) = if n % 10 == 0 { ("7", &mut sevens) } else { ("77", &mut rest) };
        let session = sessions(&redis, backend).create(of_user(user)).await.unwrap();
        kept.push((backend, session.key().clone()));
    }
    // Larger than what is read in a batch, and not to be read at all.
    let mut large = of_user("7");
    large.insert("blob", PyValue::Bytes(vec![1; 300_000]));
    let session = sessions(&redis, Backend::Cache).create(large).await.unwrap();
    sevens.push((Backend::Cache, session.key().clone()));
    let _: () = connection
        .set("session:1:django.contrib.sessions.cachefore1gn0", "cos\nsystem\n.")
        .await
        .unwrap();

    let directory = directory(&redis);
    let counts = directory.count().await.unwrap();
    assert_eq!(counts.values().sum::<u64>(), 1_502);
    let revoked = directory.revoke_user("7").await.unwrap();
    assert_eq!(revoked, Revoked { ended: 151, unreadable: 1, busy: 0 });

    for (backend, key) in &sevens {
        let now = sessions(&redis, *backend).read(key).await.unwrap();
        match backend {
            // Django would read it back from its table: it stays, and is nobody's.
            Backend::CachedDb => {
                let now = now.unwrap();
                assert!(now.data().is_empty() && about(now.ttl(), TWO_WEEKS));
            }
            Backend::Cache | Backend::Tower => assert!(now.is_none()),
        }
    }
    for (backend, key) in &rest {
        let session = sessions(&redis, *backend).read(key).await.unwrap().unwrap();
        assert_eq!(session.login().unwrap().user, "77");
    }
    for key in &others {
        assert!(connection.exists::<_, bool>(key).await.unwrap(), "{key}");
    }
}

#[tokio::test]
async fn a_session_is_found_by_the_beginning_of_its_key_and_all_that_begin_so_are() {
    let redis = RedisServer::start().await;
    let mut connection = redis.connect(2).await;
    let keys = ["abcdefgh1111111111111111", "abcdefgh2222222222222222", "abcdefgh"];
    let directory = directory(&redis);
    let mut n_found = Vec::new();
    for key in keys {
        let raw = raw_key(Backend::Cache, &SessionKey::parse(key).unwrap());
        let _: () = connection.set(raw, "x").await.unwrap();
        // Enough others to have the walk take many steps.
        for n in 0..500 {
            let raw =
                format!("session:1:django.contrib.sessions.cache{key}x{n}").replace("abcd", "zzzz");
            let _: () = connection.set(raw, "x").await.unwrap();
        }
        n_found.push(directory.find("abcdefgh", 10).await.unwrap().len());
    }
    assert_eq!(n_found, [1, 2, 1], "a whole key is that one alone");
    assert_eq!(directory.find("zzzzefgh", 10).await.unwrap().len(), 10);
    for odd in ["", "abc", "abcdefg*", "nobodyhas"] {
        assert_eq!(directory.find(odd, 10).await.unwrap().len(), 0, "{odd}");
    }
}

/// Logs one after the other in with a session until it has ended, and returns who was the last.
async fn take_turns(store: Sessions, key: SessionKey) -> &'static str {
    let mut last = "7";
    while let Some(mut session) = store.read(&key).await.unwrap() {
        let next = if last == "7" { "8" } else { "7" };
        let login = Login { user: next.into(), backend: "b".into(), hash: "h".into() };
        login.write(&mut session);
        // Out of step with the one who shuts out; else that one might always come too late.
        for _ in 0..fastrand::u8(0..20) {
            tokio::task::yield_now().await;
        }
        match store.update(&mut session).await {
            Ok(()) => last = next,
            Err(SessionError::Gone) => break,
            Err(error) => panic!("{error}"),
        }
    }
    last
}

#[tokio::test]
async fn a_session_that_is_somebody_elses_by_now_does_not_end_with_the_user() {
    let redis = RedisServer::start().await;
    let store = sessions(&redis, Backend::Cache);
    let directory = directory(&redis);
    for _ in 0..100 {
        let shared = store.create(of_user("7")).await.unwrap();
        let turns = tokio::spawn(take_turns(store.clone(), shared.key().clone()));
        let mut ended = 0;
        while ended == 0 {
            ended = directory.revoke_user("7").await.unwrap().ended;
        }
        assert_eq!(turns.await.unwrap(), "7", "it ended while it was the user's");
    }
}
