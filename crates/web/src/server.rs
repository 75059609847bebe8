//! Connections: so many at once, headers within a time, and an orderly end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rhubarb_core::shutdown::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;

use crate::access::Peer;

/// So many connections are served at once; more wait for one to end.
const CONNECTIONS: usize = 512;
/// How long a request's head may take, and how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long answers under way may take at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long is waited when the system gives no more connections.
const FULL: Duration = Duration::from_millis(200);

/// Serves connections until `shutdown` begins, and then until their answers are written.
pub async fn run(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Some((stream, peer, place)) = next(&listener, &places, shutdown).await {
        // What has ended is forgotten.
        while connections.try_join_next().is_some() {}
        let one = graceful.watch(connection(stream, peer, router.clone()));
        connections.spawn(async move {
            // A peer that goes away or speaks no HTTP is its own business.
            let _ = one.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::debug!("answers that still went on were cut");
    }
}

/// Waits for the next connection; none when the end has come.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &Shutdown,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, place)),
                // Too many open files, mostly: others end.
                Err(_) => tokio::time::sleep(FULL).await,
            }
        }
    };
    tokio::select! {
        accepted = accepted => accepted,
        () = shutdown.drained() => None,
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    // A small answer is not to wait for the next one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}
