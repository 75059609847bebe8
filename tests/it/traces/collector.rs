//! A collector of the tests' own: OTLP over HTTP, as protobuf.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use rhubarb_e2e::eventually::eventually;
use tokio::net::TcpListener;

use crate::shop::SOON;

/// A span that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) service: String,
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) name: String,
    pub(super) kind: i32,
    pub(super) attributes: BTreeMap<String, String>,
    /// What its error says, empty for none.
    pub(super) failed: String,
    pub(super) events: Vec<String>,
    /// The traces that it is linked to.
    pub(super) links: Vec<String>,
}

impl Seen {
    pub(super) fn value(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Takes spans until it is dropped.
pub(super) struct Collector {
    port: u16,
    spans: Arc<Mutex<Vec<Seen>>>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let spans: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let seen = spans.clone();
        let take = post(async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            seen.lock().unwrap().extend(spans_of(request));
        });
        let router = Router::new().route("/v1/traces", take);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, spans }
    }

    /// One that takes connections and never answers.
    pub(super) async fn start_silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        Self { port, spans: Arc::default() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.spans.lock().unwrap().clone()
    }

    /// Waits until so many spans of a trace have come.
    pub(super) async fn trace(&self, id: &str, n: usize) -> Vec<Seen> {
        eventually(SOON, &format!("{n} spans of trace {id} have come"), async || {
            let spans: Vec<Seen> = self.all().into_iter().filter(|span| span.trace == id).collect();
            (spans.len() >= n).then_some(spans)
        })
        .await
    }
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Seen> {
    let mut seen = Vec::new();
    for resource in request.resource_spans {
        let of = resource.resource.map(|resource| values(resource.attributes)).unwrap_or_default();
        let service = of.get("service.name").cloned().unwrap_or_default();
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        seen.extend(spans.map(|span| seen_of(&service, span)));
    }
    seen
}

fn seen_of(service: &str, span: Span) -> Seen {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Seen {
        service: service.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        attributes: values(span.attributes),
        failed: span
            .status
            .filter(|status| status.code == 2)
            .map(|s| s.message)
            .unwrap_or_default(),
        events: span.events.into_iter().map(|event| event.name).collect(),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
    }
}

fn values(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|one| (one.key, text(one.value))).collect()
}
