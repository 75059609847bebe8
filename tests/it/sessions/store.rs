//! What the store promises, whoever else writes.

use std::{fs, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_cache::{
    AliasConfig, Compressor, PyValue, Serializer,
    sessions::{
        Backend, Checked, SecretKeys, Session, SessionData, SessionError, SessionKey, Sessions,
    },
};
use rhubarb_e2e::{file, redis_server::RedisServer};
use serde_json::Value;

use super::{TWO_WEEKS, about, alias, connection, directory, holds, of_user, raw_key, sessions};

async fn stored(redis: &mut MultiplexedConnection, session: &Session) -> Option<Vec<u8>> {
    redis.get(raw_key(Backend::Cache, session.key())).await.unwrap()
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
async fn every_serializer_carries_a_session_with_and_without_a_compressor() {
    let redis = RedisServer::start().await;
    for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Pickle] {
        for backend in Backend::ALL {
            let compressor =
                if backend == Backend::Tower { Compressor::None } else { Compressor::Zlib };
            let alias = AliasConfig { serializer, compressor, ..alias() };
            let store = Sessions::on(alias, connection(&redis), backend);
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
