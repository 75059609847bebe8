//! One connection attempt: handshake, name, tracking, subscriptions.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use crate::{
    Options,
    address::Target,
    error::is_loss,
    meter::{Allowance, Meter, Refused},
    sentinel::{self, Sentinels},
    stream::{self, Driver},
    tls::Tls,
};

/// A connection that stands, and whether the server wakes us on it.
pub(crate) struct Dialled {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) driver: Driver,
    pub(crate) too_large: Refused,
    pub(crate) tracking: bool,
    /// Whether the server writes what it sends unasked into the middle of a transaction's answer.
    pub(crate) interrupts: bool,
    /// The subscriptions that the server refused; it serves us in all else.
    pub(crate) refused: Vec<String>,
}

/// How a connection is made.
pub(crate) struct Dial<'a> {
    pub(crate) target: Target,
    /// Who says where the server is, in place of the target's address.
    pub(crate) sentinels: Option<Sentinels>,
    pub(crate) allowance: Arc<Allowance>,
    pub(crate) protocol: ProtocolVersion,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) options: &'a Options,
    pub(crate) channels: Vec<String>,
}

impl Dial<'_> {
    /// Connects and sets the connection up; `pushed` is given what the server sends unasked
    /// (RESP3).
    pub(crate) async fn connect(
        self,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<Dialled> {
        let mut config =
            AsyncConnectionConfig::new().set_response_timeout(Some(self.command_timeout));
        if self.protocol.supports_resp3() {
            config = config.set_push_sender(move |info: PushInfo| {
                pushed(info);
                Ok::<(), redis::aio::SendError>(())
            });
        }
        let Self { target, sentinels, allowance, connect_timeout, .. } = self;
        let meter = Meter::new(allowance);
        let too_large = meter.refused();
        // On the heap: every command's future holds this one.
        let connecting = Box::pin(connected(target, sentinels, meter, config));
        let timed_out = |_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        let (connection, driver) =
            timeout(connect_timeout, connecting).await.map_err(timed_out)??;
        let set_up =
            SetUp { protocol: self.protocol, options: self.options, channels: self.channels };
        let (tracking, interrupts, refused) = set_up.of(connection.clone()).await?;
        Ok(Dialled { connection, driver, too_large, tracking, interrupts, refused })
    }
}

async fn connected(
    target: Target,
    sentinels: Option<Sentinels>,
    meter: Meter,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    let Target { info, tls } = target;
    let tls = tls.map(Tls::config).transpose().map_err(io::Error::other)?.map(Arc::new);
    let Some(sentinels) = sentinels else {
        return stream::speak(info.addr(), &info, tls.as_ref(), meter, config).await;
    };
    let primary = sentinels.primary(tls.as_ref()).await?;
    let mut spoken = stream::speak(&primary, &info, tls.as_ref(), meter, config).await?;
    sentinel::is_primary(&mut spoken.0).await?;
    Ok(spoken)
}

/// What a connection is told once it stands.
struct SetUp<'a> {
    protocol: ProtocolVersion,
    options: &'a Options,
    channels: Vec<String>,
}

impl SetUp<'_> {
    /// Returns whether keys are tracked, whether transactions are interrupted, and which channels
    /// were refused.
    async fn of(
        &self,
        mut connection: MultiplexedConnection,
    ) -> RedisResult<(bool, bool, Vec<String>)> {
        let name = self.options.name.replace(char::is_whitespace, "-");
        if !name.is_empty() {
            let mut set = redis::cmd("CLIENT");
            set.arg("SETNAME").arg(name);
            // A server that forbids CLIENT is served without a name.
            unless_lost(set.query_async::<Value>(&mut connection).await)?;
        }
        let (mut tracking, mut interrupts, mut refused) = (false, false, Vec::new());
        if self.protocol.supports_resp3() {
            if self.options.tracking {
                (tracking, interrupts) = track(&mut connection).await?;
            }
            for channel in &self.channels {
                // An access list that changed must not keep us from what it still allows.
                if !unless_lost(connection.subscribe(channel).await.map(|()| Value::Okay))? {
                    refused.push(channel.clone());
                }
            }
        }
        Ok((tracking, interrupts, refused))
    }
}

/// Arms the tracking of keys; tells whether the server does it, and whether it then interrupts
/// transactions.
async fn track(connection: &mut MultiplexedConnection) -> RedisResult<(bool, bool)> {
    let mut both = redis::pipe();
    both.ignore_errors().cmd("CLIENT").arg("TRACKING").arg("ON").arg("OPTIN");
    both.cmd("HELLO").arg(3);
    match both.query_async::<(Value, Value)>(connection).await {
        Ok((tracked, hello)) => {
            Ok((!matches!(tracked, Value::ServerError(_)), interrupts_transactions(&hello)))
        }
        Err(error) if is_loss(&error) => Err(error),
        Err(_) => Ok((false, true)),
    }
}

/// Tells whether a server is older than Redis 7.0, or does not say.
///
/// Before 7.0 the invalidation of a key that a connection changes in a transaction of its own
/// stands between the transaction's answers, and is read as one of them: each later command would
/// be given the answer of the one before (seen with 6.2.5).
fn interrupts_transactions(hello: &Value) -> bool {
    let said = redis::from_redis_value_ref::<BTreeMap<String, Value>>(hello).unwrap_or_default();
    !said.get("version").is_some_and(is_seven_or_later)
}

fn is_seven_or_later(version: &Value) -> bool {
    let version = redis::from_redis_value_ref::<String>(version).unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= 7)
}

/// Tells whether a command was carried out; only a lost connection is an error.
fn unless_lost(answer: RedisResult<Value>) -> RedisResult<bool> {
    match answer {
        Ok(value) => Ok(!matches!(value, Value::ServerError(_))),
        Err(error) if is_loss(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Tells whether a server does not speak protocol 3: `HELLO` is unknown before Redis 6, and some
/// proxies refuse it.
pub(crate) fn refuses_hello(error: &RedisError) -> bool {
    let text = error.to_string();
    let is_about_hello = ["HELLO", "NOPROTO", "unknown command"];
    !is_loss(error)
        && !refuses_credentials(error)
        && is_about_hello.iter().any(|refusal| text.contains(refusal))
}

/// Tells whether a server wants other credentials than ours.
pub(crate) fn refuses_credentials(error: &RedisError) -> bool {
    let text = error.to_string();
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || ["NOAUTH", "WRONGPASS", "invalid password", "without any password configured"]
            .iter()
            .any(|refusal| text.contains(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_says_that_it_is_redis_7_or_later_lets_transactions_be() {
        let hello = |version: &str| {
            let text = |text: &str| Value::BulkString(text.into());
            Value::Map(vec![(text("server"), text("redis")), (text("version"), text(version))])
        };
        for version in ["7.0.15", "7", "8.2.3", "10.0.0", "255.255.255"] {
            assert!(!interrupts_transactions(&hello(version)), "{version}");
        }
        for version in ["6.2.5", "6.0.16", "", "?", "v7.0.0"] {
            assert!(interrupts_transactions(&hello(version)), "{version}");
        }
        for odd in [Value::Nil, Value::Okay, Value::Int(7), Value::Map(Vec::new())] {
            assert!(interrupts_transactions(&odd), "{odd:?}");
        }
    }
}
