//! The way of spans to the collector: a bounded queue and one task behind it.
//!
//! OpenTelemetry's own batch processor has a thread and does not tell how many spans it drops. This
//! one runs on the process's runtime and counts them. Nothing that ends a span ever waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor},
};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::Verifier;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::Counts;

/// How many spans may wait, and how many go in one request.
const QUEUE: usize = 4_096;
const BATCH: usize = 512;
/// How long a span waits for others.
const GATHERING: Duration = Duration::from_secs(1);
/// The path of traces behind a collector's address.
const PATH: &str = "/v1/traces";
/// The most bytes of a collector's answer.
const ANSWER: usize = 1 << 20;
/// The longest that one request may take, whatever else is set.
const REQUEST: Duration = Duration::from_secs(30);

static EXPORTED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Returns what became of the spans so far.
pub(crate) fn counts() -> Counts {
    Counts { exported: EXPORTED.load(Relaxed), dropped: DROPPED.load(Relaxed) }
}

/// The sending of spans; dropped, it goes on.
#[derive(Debug)]
pub struct Traces {
    end: mpsc::Sender<Job>,
    sending: JoinHandle<()>,
}

impl Traces {
    /// Sends what is left, for at most this long. Spans that end later are lost.
    pub async fn finish(self, within: Duration) {
        let _ = timeout(within, async {
            let _ = self.end.send(Job::End).await;
            let _ = self.sending.await;
        })
        .await;
    }
}

#[derive(Debug)]
enum Job {
    Span(Box<SpanData>),
    End,
}

/// Begins to send spans.
pub(super) fn start(endpoint: &str, service: &str) -> Result<(SdkTracerProvider, Traces), String> {
    let resource = resource(service);
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new()?)
        .with_endpoint(address(endpoint))
        .build()
        .map_err(|error| error.to_string())?;
    exporter.set_resource(&resource);
    let (end, jobs) = mpsc::channel(QUEUE);
    let sending = tokio::spawn(send(exporter, jobs));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(Queue { jobs: end.clone() })
        .build();
    Ok((provider, Traces { end, sending }))
}

/// Returns where traces go at a collector's address.
fn address(endpoint: &str) -> String {
    let base = endpoint.trim_end_matches('/');
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

fn resource(service: &str) -> Resource {
    let resource = Resource::builder().build();
    let name = resource.get(&Key::from_static_str("service.name"));
    // What the SDK says where no variable does.
    let unknown = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    let builder = if unknown { builder.with_service_name(service.to_owned()) } else { builder };
    let pid = i64::from(std::process::id());
    builder.with_attribute(KeyValue::new("process.pid", pid)).build()
}

#[derive(Debug)]
struct Queue {
    jobs: mpsc::Sender<Job>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.jobs.try_send(Job::Span(Box::new(span))).is_err()
        {
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

async fn send(exporter: opentelemetry_otlp::SpanExporter, mut jobs: mpsc::Receiver<Job>) {
    let mut is_refused = false;
    loop {
        let (batch, ends) = gather(&mut jobs).await;
        if !batch.is_empty() {
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let sent = exporter.export(batch).await;
            let to = if sent.is_ok() { &EXPORTED } else { &DROPPED };
            to.fetch_add(count, Relaxed);
            tell(&mut is_refused, sent);
        }
        if ends {
            return;
        }
    }
}

/// Waits for a span, and a little for more; tells whether no more is to be waited for.
async fn gather(jobs: &mut mpsc::Receiver<Job>) -> (Vec<SpanData>, bool) {
    let mut batch = Vec::new();
    let ended = |job: Option<Job>, batch: &mut Vec<SpanData>| match job {
        Some(Job::Span(span)) => {
            batch.push(*span);
            false
        }
        Some(Job::End) | None => true,
    };
    if ended(jobs.recv().await, &mut batch) {
        return (batch, true);
    }
    let more = timeout(GATHERING, async {
        while batch.len() < BATCH {
            if ended(jobs.recv().await, &mut batch) {
                return true;
            }
        }
        false
    });
    let ends = more.await.unwrap_or(false);
    (batch, ends)
}

/// One line when the collector begins to refuse, one when it takes spans again.
fn tell(is_refused: &mut bool, sent: OTelSdkResult) {
    match (sent, *is_refused) {
        (Err(error), false) => {
            *is_refused = true;
            tracing::warn!(%error, "traces cannot be sent: spans are dropped and counted");
        }
        (Ok(()), true) => {
            *is_refused = false;
            tracing::info!(dropped = DROPPED.load(Relaxed), "traces are sent again");
        }
        _ => {}
    }
}

/// The HTTP client of the rest of the program, in OpenTelemetry's clothes.
#[derive(Debug)]
struct Client(reqwest::Client);

impl Client {
    fn new() -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(provider.clone()).map_err(|error| error.to_string())?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST)
            .build();
        client.map(Self).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER {
                return Err("the collector's answer is too long".into());
            }
            body.extend_from_slice(&piece);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_a_path_of_their_own_at_a_collector() {
        for (endpoint, expect) in [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("https://g.example/otlp", "https://g.example/otlp/v1/traces"),
            ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ] {
            assert_eq!(address(endpoint), expect);
        }
    }
}
