//! Tells open pages that it is time to look again: server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};

use crate::{access::Reader, site::Site};

/// How often.
const EVERY: Duration = Duration::from_secs(3);

/// Sends an event every few seconds, until the dashboard stops.
pub async fn events(
    _: Reader,
    State(site): State<Site>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(site, |site: Site| async move {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = site.shutdown().drained() => return None,
        }
        Some((Ok(Event::default().event("look").data("now")), site))
    });
    Sse::new(ticks).keep_alive(KeepAlive::default())
}
