//! The one kind of error: a problem as RFC 9457 has it. Programs get it as JSON, people as a page.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The media type of a problem.
pub const JSON: &str = "application/problem+json";
/// Why a request is not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// What kind it is, as a word for programs (`type` in the document).
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Cow<'static, str>,
    /// The kind in words.
    #[schema(value_type = String)]
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, in one sentence.
    pub detail: String,
    /// After how many seconds another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// Makes one of a status and one sentence about what is wrong.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The request makes no sense.
    pub fn bad(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nobody is known who asks.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Whoever asks may not.
    pub fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// What is asked for is not there.
    pub fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Too much was asked; `after` a while it may be again.
    pub fn too_many(detail: &str, after: Duration) -> Self {
        let retry_after = Some(after.as_secs().max(1));
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// It cannot be done now, mostly because Redis is away.
    pub fn unavailable(detail: &str) -> Self {
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// A defect of ours.
    pub fn internal(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

/// What Redis answers to a look or a change.
impl From<rhubarb_connection::Error> for Problem {
    fn from(error: rhubarb_connection::Error) -> Self {
        if error.is_unreachable() {
            return Self::unavailable(&error.to_string());
        }
        Self::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

/// What the queue answers.
impl From<rhubarb_queue::Error> for Problem {
    fn from(error: rhubarb_queue::Error) -> Self {
        let cause = std::error::Error::source(&error)
            .and_then(|cause| cause.downcast_ref::<rhubarb_connection::Error>());
        match cause {
            Some(cause) if cause.is_unreachable() => Self::unavailable(&cause.to_string()),
            Some(cause) => Self::new(StatusCode::BAD_GATEWAY, format!("{error}: {cause}")),
            None => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        }
    }
}

/// What a cache answers.
impl From<rhubarb_cache::Error> for Problem {
    fn from(error: rhubarb_cache::Error) -> Self {
        let cause = std::error::Error::source(&error);
        let told = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        match error.foreign() {
            Some(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, told),
            None => Self::unavailable(&told),
        }
    }
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Self::internal(&format!("the page could not be written: {error}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_document_of_rfc_9457() {
        let problem = Problem::too_many("slow down", Duration::from_millis(10));
        let document = serde_json::to_value(&problem).unwrap();
        let expect = serde_json::json!({
            "type": "about:blank", "title": "Too Many Requests", "status": 429,
            "detail": "slow down", "retry_after": 1,
        });
        assert_eq!(document, expect);
        assert_eq!(problem.into_response().headers()[header::RETRY_AFTER], "1");
    }
}
