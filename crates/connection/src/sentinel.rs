//! Who says where the primary is: Redis Sentinel.
//!
//! The sentinels are asked anew at each connect, in their order, until one answers: after a
//! fail-over the connection to the old primary is lost or refuses writes, and the next one is made
//! to where they then say. As Redis's guidelines for clients have it, the server is asked for its
//! own word (`ROLE`) before it is used: a sentinel may still name one that has just been demoted.

use std::{io, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisResult, Value, aio::MultiplexedConnection,
};
use rhubarb_core::redact::SafeUrl;
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::{
    address::{at, credentials, host, is_secured},
    config::RedisConfig,
    meter::{Allowance, Meter},
    stream,
    tls::query,
};

const PORT: u16 = 26_379;
/// How long one sentinel may take: those after it have to have their turn within the deadline of
/// the whole.
const ONE: Duration = Duration::from_secs(1);
/// More than any answer of a sentinel's is.
const ANSWER: u64 = 1 << 20;

/// The sentinels of a primary.
#[derive(Debug)]
pub(crate) struct Sentinels {
    /// Each with what it is told first.
    each: Vec<ConnectionInfo>,
    master: String,
}

impl Sentinels {
    /// Reads a URL of sentinels, or one whose host is the name of a primary that the setting's
    /// sentinels know; none where a URL is a server's own.
    ///
    /// # Errors
    ///
    /// One sentence: what is missing.
    pub(crate) fn read(url: &SafeUrl, config: &RedisConfig) -> Result<Option<Self>, String> {
        let secured = is_secured(url);
        if url.expose().scheme().ends_with("+sentinel") {
            let master = query(url, "master").or_else(|| config.sentinel_master.clone());
            let master = master.ok_or(
                "it names sentinels and no primary; end its path with the name \
                 (redis+sentinel://host:26379/mymaster/0), or set redis.sentinel_master",
            )?;
            let login = (query(url, "sentinel_username"), query(url, "sentinel_password"));
            let more = url.expose().query_pairs().filter(|(name, _)| name == "sentinel");
            let more = more.map(|(_, address)| address.into_owned());
            let first = (host(url)?, url.expose().port().unwrap_or(PORT));
            let addresses = [Ok(first)].into_iter().chain(more.map(|text| host_and_port(&text)));
            let each = addresses
                .map(|address| address.and_then(|address| info(address, secured, &login)))
                .collect::<Result<_, _>>()?;
            return Ok(Some(Self { each, master }));
        }
        if config.sentinels.is_empty() || url.is_socket() {
            return Ok(None);
        }
        let read = |url: &SafeUrl| {
            let address = (host(url)?, url.expose().port().unwrap_or(PORT));
            info(address, is_secured(url), &credentials(url))
        };
        let each = config.sentinels.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Some(Self { each, master: host(url)? }))
    }

    /// Asks where the primary is.
    ///
    /// # Errors
    ///
    /// Why none of them said it.
    pub(crate) async fn primary(
        &self,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<ConnectionAddr> {
        let mut why = String::new();
        for info in &self.each {
            let asked = timeout(ONE, self.asked(info, tls)).await;
            let answer =
                asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            match answer {
                Ok(Some((host, port))) => return Ok(at(host, port, tls.is_some())),
                Ok(None) => {
                    why = format!("the sentinel at {} knows no `{}`", info.addr(), self.master);
                }
                Err(error) if why.is_empty() => {
                    why = format!("the sentinel at {} does not answer: {error}", info.addr());
                }
                Err(_) => {}
            }
        }
        Err(io::Error::other(format!("no sentinel says where the primary is; {why}")))
    }

    async fn asked(
        &self,
        info: &ConnectionInfo,
        tls: Option<&Arc<ClientConfig>>,
    ) -> RedisResult<Option<(String, u16)>> {
        let meter = Meter::new(Allowance::new(ANSWER));
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ONE));
        let (mut connection, _driver) =
            stream::speak(info.addr(), info, tls, meter, config).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        ask.query_async(&mut connection).await
    }
}

/// Asks a server whether it is a primary.
///
/// # Errors
///
/// It is none, or not any more. One that does not know `ROLE`, or may not be asked, is believed.
pub(crate) async fn is_primary(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let role = redis::cmd("ROLE").query_async::<Value>(connection).await;
    let role = match role {
        Err(error) if crate::error::is_loss(&error) => return Err(error),
        Ok(Value::Array(role)) => role,
        _ => return Ok(()),
    };
    let said = role.first().map(redis::from_redis_value_ref::<String>);
    match said {
        Some(Ok(said)) if said != "master" => Err(io::Error::other(
            "the sentinels name a server that is no primary; they may not know of a fail-over yet",
        )
        .into()),
        _ => Ok(()),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let url = format!("redis+sentinel://{text}").parse::<SafeUrl>().map_err(|e| e.to_string())?;
    Ok((host(&url)?, url.expose().port().unwrap_or(PORT)))
}

/// What a sentinel is told: it has a login of its own, and no databases.
fn info(
    (host, port): (String, u16),
    secured: bool,
    (user, password): &(Option<String>, Option<String>),
) -> Result<ConnectionInfo, String> {
    let base = at(host, port, secured).into_connection_info().map_err(|e| e.to_string())?;
    let mut settings =
        base.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    Ok(base.set_redis_settings(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, config: &RedisConfig) -> Result<Option<(Vec<String>, String)>, String> {
        let url = rhubarb_config::redis_url(url).unwrap();
        let sentinels = Sentinels::read(&url, config)?;
        Ok(sentinels.map(|s| (s.each.iter().map(|i| i.addr().to_string()).collect(), s.master)))
    }

    #[test]
    fn sentinels_are_those_of_the_url_or_of_the_setting() {
        let plain = RedisConfig::default();
        assert_eq!(read("redis://h/0", &plain), Ok(None));
        let expect = (vec!["h1:26379".to_owned(), "h2:26380".to_owned()], "m".to_owned());
        assert_eq!(read("redis+sentinel://h1,h2:26380/m/0", &plain), Ok(Some(expect.clone())));
        let kombu = "sentinel://h1:26379/0;sentinel://h2:26380/0";
        assert!(read(kombu, &plain).unwrap_err().contains("redis.sentinel_master"));
        let named = RedisConfig { sentinel_master: Some("m".into()), ..plain.clone() };
        assert_eq!(read(kombu, &named), Ok(Some(expect.clone())));
        let urls = ["redis://h1", "redis://h2:26380"];
        let sentinels = urls.map(|url| rhubarb_config::redis_url(url).unwrap()).to_vec();
        let django = RedisConfig { sentinels, ..plain };
        assert_eq!(read("redis://m/0", &django), Ok(Some(expect)));
        assert_eq!(read("unix:///run/redis.sock", &django), Ok(None));
    }
}
