//! A web server of one's own.

use std::{io, net::SocketAddr};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};

/// A web server on a free port of loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

impl Site {
    /// Serves what `routes` makes of the site's own URL.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn start(routes: impl FnOnce(&str) -> Router) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let routes = routes(&format!("http://{address}"));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, serving })
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its address as `host:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns its address as a URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
