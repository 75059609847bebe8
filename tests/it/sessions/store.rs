//! What the store promises, whoever else writes.

use std::{fs, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_cache::{
    PyValue, Ttl,
    sessions::{
        Backend, Checked, Login, Revoked, SecretKeys, Session, SessionData, SessionError,
        SessionKey, Sessions,
    },
};
use rhubarb_core::config::{AliasConfig, Serializer};
use rhubarb_e2e::{file, redis_server::RedisServer};
use serde_json::Value;

use super::{alias, connection, directory, sessions};

const TWO_WEEKS: Duration = Duration::from_secs(1_209_600);

fn holds(pairs: &[(&str, &str)]) -> SessionData {
    pairs.iter().map(|(key, value)| (*key, PyValue::from(*value))).collect()
}

fn of_user(user: &str) -> SessionData {
    holds(&[("_auth_user_id", user), ("_auth_user_backend", "b"), ("_auth_user_hash", "h")])
}

fn raw_key(backend: Backend, key: &SessionKey) -> String {
    format!("session:1:{}{}", backend.prefix(), key.expose())
}

async fn stored(redis: &mut MultiplexedConnection, session: &Session) -> Option<Vec<u8>> {
    redis.get(raw_key(Backend::Cache, session.key())).await.unwrap()
}

fn about(ttl: Ttl, asked: Duration) -> bool {
    matches!(ttl, Ttl::Left(left) if left <= asked && left + Duration::from_secs(30) > asked)
}

#[tokio::test]
async fn djangos_own_sessions_read_as_django_wrote_them() {
    let redis = RedisServer::start().await;
    let golden = |name: &str| {
        fs::read(file("../crates/cache/tests/golden/django_sessions_5_2_19").join(name)).unwrap()
    };
    let told: Value = serde_json::from_slice(&golden("sessions.json")).unwrap();
    let mut connection = redis.connect(2).await;
    for (name, backend) in [("cache", Backend::Cache), ("cached_db", Backend::CachedDb)] {
        let bytes = golden(&format!("session_{name}.bin"));
        let (raw, captured) = told[name]["redis"].as_object().unwrap().iter().next().unwrap();
        let seconds = captured["ttl"].as_u64().unwrap();
        let _: () = connection.set_ex(raw, bytes, seconds).await.unwrap();

        let key = SessionKey::parse(told[name]["session_key"].as_str().unwrap()).unwrap();
        let session = sessions(&redis, backend).read(&key).await.unwrap().unwrap();
        assert_eq!(session.data().to_value().to_json().unwrap(), captured["decoded"]);
        assert!(about(session.ttl(), Duration::from_secs(seconds)));
        assert_eq!(session.data().age(TWO_WEEKS), Duration::from_secs(seconds));
        let login = session.login().unwrap();
        assert_eq!(
            (&*login.user, &*login.backend),
            ("1", "django.contrib.auth.backends.ModelBackend")
        );
        let keys = SecretKeys::new(told["settings"]["SECRET_KEY"].as_str().unwrap());
        let password = told["user"]["password_field"].as_str().unwrap();
        assert_eq!(keys.check(&login, password), Checked::Holds);
    }
    let counts = directory(&redis).count().await.unwrap();
    assert_eq!((counts[&Backend::Cache], counts[&Backend::CachedDb]), (1, 1));
}

#[tokio::test]
async fn a_new_session_lives_two_weeks_under_djangos_key() {
    let redis = RedisServer::start().await;
    let sessions = sessions(&redis, Backend::Cache);
    let session = sessions.create(holds(&[("cart", "3")])).await.unwrap();
    let mut connection = redis.connect(2).await;
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    assert_eq!(keys, [raw_key(Backend::Cache, session.key())]);
    let read = sessions.read(session.key()).await.unwrap().unwrap();
    assert_eq!(read.data(), session.data());
    assert!(about(read.ttl(), TWO_WEEKS), "{:?}", read.ttl());

    let mut own: SessionData = holds(&[]);
    own.insert("_session_expiry", PyValue::Int(60));
    let mut brief = sessions.create(own).await.unwrap();
    assert!(about(
        sessions.read(brief.key()).await.unwrap().unwrap().ttl(),
        Duration::from_secs(60)
    ));
    brief.remove("_session_expiry");
    sessions.update(&mut brief).await.unwrap();
    assert!(about(sessions.read(brief.key()).await.unwrap().unwrap().ttl(), TWO_WEEKS));
    brief.insert("_session_expiry", PyValue::Int(-1));
    sessions.update(&mut brief).await.unwrap();
    assert!(sessions.read(brief.key()).await.unwrap().is_none(), "its own expiry is over");
}

#[tokio::test]
async fn reading_does_not_extend_a_session_and_extending_does_not_write_it() {
    let redis = RedisServer::start().await;
    let sessions = sessions(&redis, Backend::Cache);
    let session = sessions.create(holds(&[("a", "1")])).await.unwrap();
    let mut connection = redis.connect(2).await;
    let raw = raw_key(Backend::Cache, session.key());
    let _: () = connection.expire(&raw, 60).await.unwrap();
    let read = sessions.read(session.key()).await.unwrap().unwrap();
    assert!(about(read.ttl(), Duration::from_secs(60)));
    let before = stored(&mut connection, &session).await;
    assert!(sessions.extend(&read).await.unwrap());
    assert!(about(sessions.read(session.key()).await.unwrap().unwrap().ttl(), TWO_WEEKS));
    assert_eq!(stored(&mut connection, &session).await, before);
    assert!(sessions.delete(session.key()).await.unwrap());
    assert!(!sessions.extend(&read).await.unwrap());
    assert!(!sessions.delete(session.key()).await.unwrap());
    assert_eq!(stored(&mut connection, &session).await, None);
}

#[tokio::test]
async fn a_logout_between_reading_and_writing_is_never_undone() {
    let redis = RedisServer::start().await;
    let sessions = sessions(&redis, Backend::Cache);
    let mut session = sessions.create(of_user("7")).await.unwrap();
    session.insert("cart", "3".into());
    sessions.delete(session.key()).await.unwrap();
    let error = sessions.update(&mut session).await.unwrap_err();
    assert!(matches!(error, SessionError::Gone), "{error}");
    assert!(matches!(sessions.cycle_key(session).await, Err(SessionError::Gone)));
    let keys: Vec<String> = redis.connect(2).await.keys("*").await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

/// Writes a session until it has ended, and returns how often it could.
async fn write_on(sessions: Sessions, mut session: Session, name: String) -> u32 {
    for n in 0.. {
        session.insert(&name, PyValue::Int(n));
        // Others get their turn; without this one of them would always be the first.
        for _ in 0..fastrand::u8(1..20) {
            tokio::task::yield_now().await;
        }
        match sessions.update(&mut session).await {
            Ok(()) | Err(SessionError::Conflict) => {}
            Err(SessionError::Gone) => return n.try_into().unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it ends with the session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_ends_a_session_that_many_are_writing() {
    let redis = RedisServer::start().await;
    let store = sessions(&redis, Backend::Cache);
    for _ in 0..50 {
        let session = store.create(of_user("7")).await.unwrap();
        let writers: Vec<_> = (0..4)
            .map(|n| tokio::spawn(write_on(store.clone(), session.clone(), format!("w{n}"))))
            .collect();
        // The logout comes once every writer is at work.
        loop {
            let now = store.read(session.key()).await.unwrap().unwrap();
            if (0..4).all(|n| now.get(&format!("w{n}")).is_some()) {
                break;
            }
        }
        assert!(store.delete(session.key()).await.unwrap());
        for writer in writers {
            assert!(writer.await.unwrap() > 0);
        }
        assert!(store.read(session.key()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn changes_of_two_at_once_are_both_kept() {
    let redis = RedisServer::start().await;
    let store = sessions(&redis, Backend::Cache);
    let session = store.create(holds(&[("a", "1"), ("b", "1")])).await.unwrap();
    let (mut one, mut other) = (session.clone(), session.clone());
    one.insert("a", "2".into());
    one.insert("of one", "x".into());
    other.remove("b");
    other.insert("of the other", "y".into());
    store.update(&mut one).await.unwrap();
    store.update(&mut other).await.unwrap();
    let now = store.read(session.key()).await.unwrap().unwrap();
    assert_eq!(now.data(), &holds(&[("a", "2"), ("of one", "x"), ("of the other", "y")]));
    assert_eq!(other.data(), now.data());
}

#[tokio::test]
async fn what_is_no_session_is_an_error_by_its_kind_and_stays() {
    let redis = RedisServer::start().await;
    let store = sessions(&redis, Backend::Cache);
    let mut connection = redis.connect(2).await;
    let whole: Vec<u8> = {
        let session = store.create(of_user("7")).await.unwrap();
        stored(&mut connection, &session).await.unwrap()
    };
    let deep = [&b"\x80\x04"[..], &b"]".repeat(100_000), b"."].concat();
    let mut hostile: Vec<Vec<u8>> = (1..whole.len()).map(|n| whole[..n].to_vec()).collect();
    hostile.extend([
        b"cos\nsystem\n(S'touch /tmp/x'\ntR.".to_vec(),
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.".to_vec(),
        b"\x80\x04]\x94h\x00a.".to_vec(),
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec(),
        b"\x80\x04]\x94.".to_vec(),
        b"7".to_vec(),
        b"{\"json\": 1}".to_vec(),
        b"\x28\xb5\x2f\xfd".to_vec(),
        deep,
    ]);
    let key = SessionKey::parse("hostile1").unwrap();
    let raw = raw_key(Backend::Cache, &key);
    for bytes in hostile {
        let _: () = connection.set(&raw, &whole).await.unwrap();
        let mut before = store.read(&key).await.unwrap().unwrap();
        let _: () = connection.set(&raw, &bytes).await.unwrap();
        let error = store.read(&key).await.unwrap_err();
        assert!(matches!(error, SessionError::Read(_)), "{}: {error}", bytes.escape_ascii());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hostile1") && !shown.contains("touch"), "{shown}");
        before.insert("a", "1".into());
        let error = store.update(&mut before).await.unwrap_err();
        assert!(matches!(error, SessionError::Read(_)), "{}: {error}", bytes.escape_ascii());
        let now: Vec<u8> = connection.get(&raw).await.unwrap();
        assert_eq!(now, bytes);
    }
    assert!(store.delete(&key).await.unwrap(), "it can be ended all the same");
}

#[tokio::test]
async fn every_serializer_carries_a_session() {
    let redis = RedisServer::start().await;
    for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Pickle] {
        for backend in Backend::ALL {
            let store =
                Sessions::on(AliasConfig { serializer, ..alias() }, connection(&redis), backend);
            let mut session = store.create(of_user("7")).await.unwrap();
            session.insert("cart", "3".into());
            store.update(&mut session).await.unwrap();
            let read = store.read(session.key()).await.unwrap().unwrap();
            assert_eq!((read.data(), read.login().unwrap().user), (session.data(), "7".to_owned()));
            assert!(store.delete(session.key()).await.unwrap());
            let left = store.read(session.key()).await.unwrap();
            assert!(left.is_none_or(|left| left.data().is_empty()), "{serializer:?} {backend:?}");
        }
    }
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
    for n in 0..3_000 {
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
    assert_eq!(counts.values().sum::<u64>(), 3_002);
    let revoked = directory.revoke_user("7").await.unwrap();
    assert_eq!(revoked, Revoked { ended: 301, unreadable: 1, busy: 0 });

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

#[tokio::test]
async fn a_session_that_is_somebody_elses_by_now_does_not_end_with_the_user() {
    let redis = RedisServer::start().await;
    let store = sessions(&redis, Backend::Cache);
    let directory = directory(&redis);
    let seven = store.create(of_user("7")).await.unwrap();
    // Logging in and out and as another goes on all the time while the user is shut out.
    let writer = tokio::spawn({
        let (store, key) = (store.clone(), seven.key().clone());
        async move {
            for n in 0..2_000 {
                let Some(mut session) = store.read(&key).await.unwrap() else { return false };
                let user = if n % 2 == 0 { "8" } else { "7" };
                Login { user: user.into(), backend: "b".into(), hash: "h".into() }
                    .write(&mut session);
                match store.update(&mut session).await {
                    Ok(()) => {}
                    Err(SessionError::Gone) => return false,
                    Err(error) => panic!("{error}"),
                }
            }
            true
        }
    });
    let revoked = directory.revoke_user("7").await.unwrap();
    let lasted = writer.await.unwrap();
    assert_eq!(revoked.ended + u64::from(lasted), 1, "{revoked:?}");
    assert_eq!(store.read(seven.key()).await.unwrap().is_some(), lasted);
}

#[tokio::test]
async fn a_full_redis_refuses_a_session_and_lets_one_end() {
    let redis = RedisServer::start().await;
    for backend in Backend::ALL {
        let store = sessions(&redis, backend);
        let mut session = store.create(of_user("7")).await.unwrap();
        let set = async |bytes: &str| {
            let mut config = redis::cmd("CONFIG");
            config.arg("SET").arg("maxmemory").arg(bytes);
            let _: () = config.query_async(&mut redis.connect(0).await).await.unwrap();
        };
        set("1").await;
        let refused = store.create(of_user("8")).await.unwrap_err();
        assert!(matches!(refused, SessionError::Redis { .. }), "{refused}");
        session.insert("a", "1".into());
        assert!(matches!(store.update(&mut session).await, Err(SessionError::Redis { .. })));
        assert!(store.delete(session.key()).await.unwrap());
        set("0").await;
        let now = store.read(session.key()).await.unwrap();
        assert!(now.is_none_or(|session| session.data().is_empty()));
    }
}
