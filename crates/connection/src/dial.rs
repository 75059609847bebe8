//! One connection attempt: handshake, name, tracking, subscriptions.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};

use crate::{Options, error::is_loss};

/// A connection that stands, and whether the server wakes us on it.
pub(crate) struct Dialled {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) tracking: bool,
    /// The subscriptions that the server refused; it serves us in all else.
    pub(crate) refused: Vec<String>,
}

/// How a connection is made.
pub(crate) struct Dial<'a> {
    pub(crate) client: redis::Client,
    pub(crate) protocol: ProtocolVersion,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) options: &'a Options,
    pub(crate) channels: Vec<String>,
}

impl Dial<'_> {
    /// Connects and sets the connection up; `pushed` is given what the server sends unasked (RESP3).
    pub(crate) async fn connect(
        &self,
        pushed: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<Dialled> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.command_timeout));
        if self.protocol.supports_resp3() {
            config = config.set_push_sender(move |info: PushInfo| {
                pushed(info);
                Ok::<(), redis::aio::SendError>(())
            });
        }
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.set_up(connection).await
    }

    async fn set_up(&self, mut connection: MultiplexedConnection) -> RedisResult<Dialled> {
        let name = self.options.name.replace(char::is_whitespace, "-");
        if !name.is_empty() {
            let mut set = redis::cmd("CLIENT");
            set.arg("SETNAME").arg(name);
            // A server that forbids CLIENT is served without a name.
            unless_lost(set.query_async::<Value>(&mut connection).await)?;
        }
        let (mut tracking, mut refused) = (false, Vec::new());
        if self.protocol.supports_resp3() {
            if self.options.tracking {
                let mut track = redis::cmd("CLIENT");
                track.arg("TRACKING").arg("ON").arg("OPTIN");
                tracking = unless_lost(track.query_async::<Value>(&mut connection).await)?;
            }
            for channel in &self.channels {
                // An access list that changed must not keep us from what it still allows.
                if !unless_lost(connection.subscribe(channel).await.map(|()| Value::Okay))? {
                    refused.push(channel.clone());
                }
            }
        }
        Ok(Dialled { connection, tracking, refused })
    }
}

/// Tells whether a command was carried out; only a lost connection is an error.
fn unless_lost(answer: RedisResult<Value>) -> RedisResult<bool> {
    match answer {
        Ok(value) => Ok(!matches!(value, Value::ServerError(_))),
        Err(error) if is_loss(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Tells whether a server does not speak protocol 3: `HELLO` is unknown before Redis 6, and some proxies refuse it.
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
