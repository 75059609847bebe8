//! The bytes of a connection: TCP, TLS or a socket in the file system, metered on their way in.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, RedisResult, aio::MultiplexedConnection,
    io::tcp::socket2::SockRef,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use crate::{address::keepalive, meter::Meter};

/// What bytes come and go through.
trait Bytes: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// A connection's bytes.
pub(crate) struct Metered {
    bytes: Pin<Box<dyn Bytes>>,
    meter: Meter,
}

/// Connects to an address; a `rediss` one needs `tls`.
///
/// All addresses of a name are tried at once, and the first that answers is taken.
///
/// # Errors
///
/// What the last attempt ended with.
pub(crate) async fn connect(
    address: &ConnectionAddr,
    tls: Option<&Arc<ClientConfig>>,
    meter: Meter,
) -> io::Result<Metered> {
    let bytes: Pin<Box<dyn Bytes>> = match address {
        ConnectionAddr::Tcp(host, port) => Box::pin(any(host, *port, tcp).await?),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let config = tls.ok_or_else(|| io::Error::other("no settings for TLS"))?;
            Box::pin(any(host, *port, |to| secured(host, to, config)).await?)
        }
        ConnectionAddr::Unix(path) => Box::pin(socket(path).await?),
        _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
    };
    Ok(Metered { bytes, meter })
}

/// What carries a connection's bytes, for as long as it is not dropped.
pub(crate) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to an address, and says who we are.
pub(crate) async fn speak(
    address: &ConnectionAddr,
    info: &ConnectionInfo,
    tls: Option<&Arc<ClientConfig>>,
    meter: Meter,
    config: AsyncConnectionConfig,
) -> RedisResult<(MultiplexedConnection, Driver)> {
    let stream = connect(address, tls, meter).await?;
    let settings = info.redis_settings();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, stream, config).await?;
    Ok((connection, Driver(tokio::spawn(driver))))
}

async fn any<T, F: Future<Output = io::Result<T>>>(
    host: &str,
    port: u16,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let attempts: Vec<_> =
        tokio::net::lookup_host((host, port)).await?.map(|to| Box::pin(connect(to))).collect();
    if attempts.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host's name has no address"));
    }
    select_ok(attempts).await.map(|(connected, _)| connected)
}

/// Commands and acknowledgements are small and wait for their answers: each has to go out at once.
async fn tcp(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
    Ok(stream)
}

async fn secured(
    host: &str,
    to: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = tcp(to).await?;
    TlsConnector::from(config.clone()).connect(name, stream).await
}

async fn socket(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.bytes.as_mut().poll_read(context, buffer))?;
        Poll::Ready(self.meter.read(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.bytes.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_sends_at_once_and_asks_when_it_hears_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tcp(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
