//! Logins that Django, a Rust service and the command line share.

use std::{io, time::Duration};

use rhubarb_cache::{
    PyValue, Ttl,
    sessions::{Backend, Login, SecretKeys, SessionError, SessionKey, axum::DjangoSessions},
};
use rhubarb_e2e::{installation::Installation, redis_server::RedisServer};
use serde_json::{Value, json};

use super::{Site, Visitor, service, sessions};
use crate::BINARIES;

/// `SECRET_KEY` of `interop/session_site`.
const SECRET_KEY: &str = "only for tests, and not short at all: 0123456789";

const MODEL_BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

/// A Redis with the command line beside it.
async fn installation() -> Installation {
    Installation::new(BINARIES, RedisServer::start().await, "")
}

/// A visitor who has logged in to Django.
async fn logged_in(site: &Site, name: &str) -> Visitor {
    let mut visitor = Visitor::default();
    visitor.json(site.port, &format!("/login/?name={name}")).await;
    visitor
}

async fn user_in_django(visitor: &Visitor, site: &Site) -> Value {
    visitor.clone().json(site.port, "/whoami/").await["user"].clone()
}

async fn user_in_rust(visitor: &Visitor, service: u16) -> Value {
    visitor.clone().json(service, "/whoami").await["user"]["id"].clone()
}

#[tokio::test]
async fn a_login_through_django_is_known_to_a_rust_service_until_the_logout() {
    let redis = RedisServer::start().await;
    let Some(site) = Site::start(&redis, "cache").await else { return };
    let service = service(DjangoSessions::new(sessions(&redis, Backend::Cache))).await;

    let mut ada = Visitor::default();
    assert_eq!(ada.get(service, "/members").await.status, 401);
    ada.json(site.port, "/login/?name=ada").await;
    assert_eq!(ada.key().len(), 32);
    let known = ada.json(service, "/whoami").await;
    assert_eq!(known["user"], json!({"id": "7", "backend": MODEL_BACKEND}));
    assert_eq!(ada.get(service, "/members").await.body, "7");

    let before = ada.clone();
    ada.json(site.port, "/logout/").await;
    assert!(ada.cookies.is_empty());
    assert_eq!(user_in_rust(&before, service).await, Value::Null, "with the cookie of before");
    assert_eq!(before.clone().get(service, "/members").await.status, 401);
}

#[tokio::test]
async fn what_a_service_writes_is_there_in_django_and_nothing_is_lost() {
    let redis = RedisServer::start().await;
    let Some(site) = Site::start(&redis, "cache").await else { return };
    let service = service(DjangoSessions::new(sessions(&redis, Backend::Cache))).await;
    let mut ada = logged_in(&site, "ada").await;
    ada.json(site.port, "/put/?pair=1").await;
    ada.json(site.port, "/put/?expiry=600").await;

    assert_eq!(ada.json(service, "/seen").await, json!({"written": true, "holds": 6}));

    let values = ada.json(site.port, "/whoami/").await["values"].clone();
    assert_eq!(values["seen"], "by rust");
    assert_eq!(values["pair"], "(1, 'two')", "a tuple stays one");
    let key = SessionKey::parse(ada.key()).unwrap();
    let session = sessions(&redis, Backend::Cache).read(&key).await.unwrap().unwrap();
    assert!(matches!(session.ttl(), Ttl::Left(left) if left <= Duration::from_secs(600)));
}

#[tokio::test]
async fn a_session_made_in_rust_is_a_login_in_django() {
    let redis = RedisServer::start().await;
    let Some(site) = Site::start(&redis, "cache").await else { return };
    let password = Visitor::default().json(site.port, "/password_column/?user=7").await;
    let hash = SecretKeys::new(SECRET_KEY).hash(password["password"].as_str().unwrap());
    let sessions = sessions(&redis, Backend::Cache);
    let basket = [("basket", PyValue::from("3 apples"))].into_iter().collect();
    let anonymous = sessions.create(basket).await.unwrap();
    let planted = anonymous.key().clone();

    let mut session = sessions.cycle_key(anonymous).await.unwrap();
    let login = Login { user: "7".into(), backend: MODEL_BACKEND.into(), hash };
    login.write(&mut session);
    sessions.update(&mut session).await.unwrap();

    let mut ada = Visitor::with(session.key().expose());
    let told = ada.json(site.port, "/whoami/").await;
    assert_eq!((&told["user"], &told["values"]["basket"]), (&json!(7), &json!("3 apples")));
    assert_eq!(user_in_django(&Visitor::with(planted.expose()), &site).await, Value::Null);
}

#[tokio::test]
async fn a_cached_db_session_is_changed_in_redis_and_one_without_a_row_is_only_read() {
    let redis = RedisServer::start().await;
    let Some(site) = Site::start(&redis, "cached_db").await else { return };
    let store = sessions(&redis, Backend::CachedDb);
    let service = service(DjangoSessions::new(store.clone())).await;
    let mut ada = logged_in(&site, "ada").await;
    assert_eq!(ada.json(service, "/seen").await["written"], true);
    assert_eq!(ada.json(site.port, "/whoami/").await["values"]["seen"], "by rust");
    ada.json(site.port, "/put/?cart=3").await;
    let raw = format!("session:1:django.contrib.sessions.cached_db{}", ada.key());
    let _: () = redis::cmd("DEL").arg(raw).query_async(&mut redis.connect(2).await).await.unwrap();
    let values = ada.json(site.port, "/whoami/").await["values"].clone();
    assert_eq!(values["seen"], "by rust", "Django's write took it into the table");

    let made = store.create([("cart", "4".into())].into_iter().collect()).await.unwrap();
    let mut visitor = Visitor::with(made.key().expose());
    assert_eq!(visitor.json(site.port, "/whoami/").await["values"]["cart"], "4");
    assert_eq!(visitor.get(site.port, "/put/?cart=5").await.status, 400);
    assert!(matches!(store.cycle_key(made).await, Err(SessionError::InTable)));
}

#[tokio::test]
async fn a_changed_password_ends_the_login_in_the_service_too() {
    let redis = RedisServer::start().await;
    let Some(site) = Site::start(&redis, "cache").await else { return };
    let port = site.port;
    let password_of = move |user: String| async move {
        let answer = Visitor::default().get(port, &format!("/password_column/?user={user}")).await;
        Ok::<_, io::Error>(answer.json()["password"].as_str().map(str::to_owned))
    };
    let unchecked = DjangoSessions::new(sessions(&redis, Backend::Cache));
    let checked = |keys| unchecked.clone().check_logins(keys, password_of);
    let strangers = service(checked(SecretKeys::new("another"))).await;
    let rotated = service(checked(SecretKeys::new("another").fallback(SECRET_KEY))).await;
    let service = service(checked(SecretKeys::new(SECRET_KEY))).await;
    let ada = logged_in(&site, "ada").await;
    assert_eq!(user_in_rust(&ada, service).await, "7");
    assert_eq!(user_in_rust(&ada, rotated).await, "7");
    assert_eq!(user_in_rust(&ada, strangers).await, Value::Null);

    Visitor::default().json(site.port, "/set_password/?user=7").await;
    assert_eq!(user_in_rust(&ada, service).await, Value::Null);
    assert_eq!(user_in_rust(&ada, rotated).await, Value::Null);
    assert_eq!(user_in_django(&ada, &site).await, Value::Null);
}

#[tokio::test]
async fn revoking_a_user_logs_out_of_django_and_of_the_service() {
    for (name, backend) in [("cache", Backend::Cache), ("cached_db", Backend::CachedDb)] {
        let installation = installation().await;
        let Some(site) = Site::start(&installation.redis, name).await else { return };
        let service = service(DjangoSessions::new(sessions(&installation.redis, backend))).await;
        let (home, phone) = (logged_in(&site, "ada").await, logged_in(&site, "ada").await);
        let bob = logged_in(&site, "bob").await;
        for ada in [&home, &phone] {
            assert_eq!(user_in_django(ada, &site).await, 7);
            assert_eq!(user_in_rust(ada, service).await, "7");
        }

        let refused = installation.rhubarb(&["sessions", "revoke", "--user", "7"]).await;
        assert_eq!(refused.code, 2, "without a terminal nobody can agree: {}", refused.stderr);
        let ran = installation.rhubarb(&["sessions", "revoke", "--user", "7", "--yes"]).await;
        assert_eq!((ran.code, ran.stdout.trim()), (0, "2 sessions have ended"), "{}", ran.stderr);

        for ada in [&home, &phone] {
            assert_eq!(user_in_django(ada, &site).await, Value::Null, "{name}");
            assert_eq!(user_in_rust(ada, service).await, Value::Null, "{name}");
        }
        assert_eq!(user_in_django(&bob, &site).await, 8);
        let again = installation.rhubarb(&["sessions", "revoke", "--user", "7", "--yes"]).await;
        assert_eq!(again.code, 1, "{}", again.stdout);
        assert_eq!(user_in_django(&logged_in(&site, "ada").await, &site).await, 7);
    }
}

#[tokio::test]
async fn the_command_line_counts_and_shows_and_keeps_the_keys_to_itself() {
    let installation = installation().await;
    let Some(site) = Site::start(&installation.redis, "cache").await else { return };
    let mut ada = logged_in(&site, "ada").await;
    ada.json(site.port, "/put/?cart=3").await;
    logged_in(&site, "bob").await;
    let run = async |args: &[&str]| installation.rhubarb(&[&["sessions"], args].concat()).await;

    let counted = run(&["count", "--json"]).await.json();
    let backends = json!({"cache": 2, "cached_db": 0, "tower": 0});
    assert_eq!(counted, json!({"sessions": 2, "backends": backends}));

    let (key, start) = (ada.key(), &ada.key()[..8]);
    let shown = run(&["show", "--user", "7", "--values", "--json"]).await;
    assert!(!shown.stdout.contains(key), "{}", shown.stdout);
    let row = &shown.json()[0];
    assert_eq!(row["key"], format!("{start}…"));
    assert_eq!((&row["user"], &row["values"]["cart"]), (&json!("7"), &json!("3")));
    assert_eq!(row["values"]["_auth_user_hash"], "***");
    assert!(row["ttl_seconds"].as_u64().unwrap() > 1_209_000);

    let shown = run(&["show", &format!("{start}…")]).await;
    assert!(
        shown.stdout.contains("_auth_user_id, ") && !shown.stdout.contains(key),
        "{}",
        shown.stdout
    );
    let revealed = run(&["show", start, "--values", "--reveal", "--json"]).await.json();
    assert_eq!(revealed[0]["key"], key);
    assert_eq!(revealed[0]["values"]["_auth_user_hash"].as_str().unwrap().len(), 64);

    let ended = run(&["revoke", start, "--yes", "--json"]).await.json();
    assert_eq!(ended["ended"], 1);
    assert_eq!(user_in_django(&ada, &site).await, Value::Null);
    for odd in [key, "*", "short", "abcdefgh\r\nx", &"a".repeat(10_240)] {
        let ran = run(&["revoke", odd, "--yes"]).await;
        assert_eq!(ran.code, 1, "{odd}: {}", ran.stderr);
        assert!(!ran.stderr.contains(key) && ran.stdout.is_empty(), "{}", ran.stderr);
    }
}

#[tokio::test]
async fn a_session_with_a_class_is_never_rewritten_and_can_be_ended() {
    let installation = installation().await;
    let Some(site) = Site::start(&installation.redis, "cache").await else { return };
    let sessions = sessions(&installation.redis, Backend::Cache);
    let service = service(DjangoSessions::new(sessions.clone())).await;
    let mut ada = logged_in(&site, "ada").await;
    let key = SessionKey::parse(ada.key()).unwrap();
    let mut before = sessions.read(&key).await.unwrap().unwrap();
    ada.json(site.port, "/put/?basket=1").await;

    let error = sessions.read(&key).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("session_site.urls.Basket"), "{cause}");
    before.insert("seen", "by rust".into());
    let error = sessions.update(&mut before).await.unwrap_err();
    assert!(matches!(error, SessionError::Read(_)), "{error}");
    assert_eq!(ada.get(service, "/whoami").await.status, 500);
    let values = ada.json(site.port, "/whoami/").await["values"].clone();
    assert!(values["basket"].as_str().unwrap().contains("Basket"), "{values}");
    assert_eq!(values["seen"], Value::Null);

    let run = async |args: &[&str]| installation.rhubarb(&[&["sessions"], args].concat()).await;
    let of_bob = run(&["revoke", "--user", "8", "--yes"]).await;
    assert_eq!(of_bob.code, 1);
    assert!(
        of_bob.stderr.contains("this user's, and left alone: 1 session\n"),
        "{}",
        of_bob.stderr
    );
    for which in [&["show", key.shortened()][..], &["show", "--user", "7"]] {
        let shown = run(which).await.stdout;
        assert!(shown.contains("unreadable") && shown.contains("Basket"), "{shown}");
    }
    assert_eq!(user_in_django(&ada, &site).await, 7);
    let of_ada = run(&["revoke", "--user", "7", "--yes"]).await;
    assert_eq!(of_ada.code, 0, "{}", of_ada.stderr);
    assert_eq!(user_in_django(&ada, &site).await, Value::Null);

    let mut ada = logged_in(&site, "ada").await;
    ada.json(site.port, "/put/?basket=1").await;
    assert_eq!(run(&["revoke", &ada.key()[..8], "--yes"]).await.code, 0);
    assert_eq!(user_in_django(&ada, &site).await, Value::Null);
}
