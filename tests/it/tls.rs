//! TLS as people have it: their own authority, a certificate that a server signed itself,
//! certificates of clients.

use rhubarb_connection::{Error, Options, Redis, RedisConfig};
use rhubarb_e2e::{
    certificates::Certificates,
    redis_server::{RedisServer, free_port},
};

use crate::{
    connections::{handle, ping, settings},
    shop::Shop,
};

/// A server with TLS on a port of its own, besides the plain one.
async fn tls_server(certificates: &Certificates, auth_clients: &str) -> (RedisServer, u16) {
    let port = free_port();
    let server = RedisServer::start_with(&[
        "--save",
        "",
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificates.path("server.pem"),
        "--tls-key-file",
        &certificates.path("server.key"),
        "--tls-ca-cert-file",
        &certificates.path("ca.pem"),
        "--tls-auth-clients",
        auth_clients,
    ])
    .await;
    (server, port)
}

#[tokio::test]
async fn tls_trusts_the_authority_that_it_was_told_and_no_other() {
    let (ours, theirs) = (Certificates::for_host("127.0.0.1"), Certificates::for_host("127.0.0.1"));
    let (_server, port) = tls_server(&ours, "no").await;
    let answers = async |query: &str, ca_file: Option<std::path::PathBuf>| {
        let url = format!("rediss://127.0.0.1:{port}/0{query}").parse().unwrap();
        let config = RedisConfig { ca_file, ..settings() };
        ping(&Redis::new(&url, 0, &config, Options::default()).unwrap()).await
    };
    let refuses = |answer: Result<String, Error>| {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    };
    let (our_ca, their_ca) = (ours.path("ca.pem"), theirs.path("ca.pem"));
    answers(&format!("?ssl_ca_certs={our_ca}"), None).await.unwrap();
    answers(&format!("?ssl_ca_certs={our_ca}&ssl_cert_reqs=CERT_REQUIRED"), None).await.unwrap();
    answers(&format!("?ssl_ca_certs={our_ca}&ssl_cert_reqs=optional"), None).await.unwrap();
    answers("", Some(ours.file("ca.pem"))).await.unwrap();
    answers(&format!("?ssl_ca_certs={our_ca}"), Some(theirs.file("ca.pem"))).await.unwrap();
    answers("?ssl_cert_reqs=none", None).await.unwrap();
    answers("?ssl_cert_reqs=CERT_NONE", Some(theirs.file("ca.pem"))).await.unwrap();
    refuses(answers("", None).await);
    refuses(answers(&format!("?ssl_ca_certs={their_ca}"), None).await);
    refuses(answers("", Some(theirs.file("ca.pem"))).await);
}

#[tokio::test]
async fn tls_wants_a_certificate_for_the_host_unless_told_otherwise() {
    let certificates = Certificates::for_host("redis.example.test");
    let (_server, port) = tls_server(&certificates, "no").await;
    let url = format!("rediss://127.0.0.1:{port}/0?ssl_ca_certs={}", certificates.path("ca.pem"));
    let error = ping(&handle(&url).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    ping(&handle(&format!("{url}&ssl_check_hostname=false")).unwrap()).await.unwrap();
}

#[tokio::test]
async fn tls_shows_a_certificate_to_a_server_that_asks_for_one() {
    let certificates = Certificates::for_host("127.0.0.1");
    let (_server, port) = tls_server(&certificates, "yes").await;
    let path = |name| certificates.path(name);
    let url = format!("rediss://127.0.0.1:{port}/0?ssl_ca_certs={}", path("ca.pem"));
    let error = ping(&handle(&url).unwrap()).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let shown = format!("&ssl_certfile={}&ssl_keyfile={}", path("client.pem"), path("client.key"));
    ping(&handle(&format!("{url}{shown}")).unwrap()).await.unwrap();
}

/// What a setting says, for a URL that a platform writes and rotates.
async fn by_settings(port: u16, change: impl FnOnce(&mut RedisConfig)) -> Result<String, Error> {
    let mut config = settings();
    change(&mut config);
    let url = format!("rediss://127.0.0.1:{port}/0").parse().unwrap();
    ping(&Redis::new(&url, 0, &config, Options::default())?).await
}

#[tokio::test]
async fn a_certificate_that_a_server_signed_itself_is_pinned_by_a_setting() {
    for leaf in [false, true] {
        let (ours, theirs) = (
            Certificates::self_signed("127.0.0.1", leaf, 2),
            Certificates::self_signed("127.0.0.1", leaf, 2),
        );
        let (_server, port) = tls_server(&ours, "no").await;
        by_settings(port, |config| config.ca_file = Some(ours.file("server.pem"))).await.unwrap();
        let error = by_settings(port, |config| config.ca_file = Some(theirs.file("server.pem")));
        let error = error.await.unwrap_err().to_string();
        assert!(error.contains("redis.ca_file"), "{error}");
        let error = by_settings(port, |_| {}).await.unwrap_err().to_string();
        assert!(error.contains("redis.ca_file"), "{error}");
        assert!(error.contains("redis.ssl_cert_reqs"), "{error}");
        by_settings(port, |config| config.ssl_cert_reqs = "none".into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_for_its_host_unless_a_setting_says_otherwise() {
    for leaf in [false, true] {
        let certificates = Certificates::self_signed("redis.example.test", leaf, 2);
        let (_server, port) = tls_server(&certificates, "no").await;
        let pinned = Some(certificates.file("server.pem"));
        let error = by_settings(port, |config| config.ca_file = pinned.clone()).await.unwrap_err();
        assert!(error.to_string().contains("redis.ssl_check_hostname"), "{error}");
        let any_host = |config: &mut RedisConfig| {
            (config.ca_file, config.ssl_check_hostname) = (pinned.clone(), false);
        };
        by_settings(port, any_host).await.unwrap();
    }
}

#[tokio::test]
async fn our_own_certificate_is_named_by_settings() {
    let certificates = Certificates::for_host("127.0.0.1");
    let (_server, port) = tls_server(&certificates, "yes").await;
    let ca = Some(certificates.file("ca.pem"));
    let error = by_settings(port, |config| config.ca_file = ca.clone()).await.unwrap_err();
    assert!(error.to_string().contains("redis.ssl_certfile"), "{error}");
    let shown = |config: &mut RedisConfig| {
        config.ca_file = ca.clone();
        config.ssl_certfile = Some(certificates.file("client.pem"));
        config.ssl_keyfile = Some(certificates.file("client.key"));
    };
    by_settings(port, shown).await.unwrap();
}

/// Without a word about certificates the system's roots count, here those of `SSL_CERT_FILE`.
#[tokio::test]
async fn tls_trusts_the_systems_roots_by_default() {
    let certificates = Certificates::for_host("127.0.0.1");
    let (_server, port) = tls_server(&certificates, "no").await;
    let mut shop = Shop::open().await;
    shop.installation.set("REDIS_URL", &format!("rediss://127.0.0.1:{port}/0"));
    assert_eq!(shop.rhubarb(&["queues"]).await.code, 4, "nobody we know signed it");
    shop.installation.set("SSL_CERT_FILE", &certificates.path("ca.pem"));
    let ran = shop.rhubarb(&["queues"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
