//! A request's body as JSON: bounded, strict, and with every number as it was written.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rhubarb_queue::wire;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{problem::Problem, shown};

/// The body of a request.
#[derive(Debug)]
pub(super) struct Given<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.trim_start().to_ascii_lowercase().starts_with("application/json") {
            let told = "the body has to be JSON: Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, told).into_response());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response);
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(response) => return Err(shown::told(response).await),
        };
        read(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

/// Reads a body.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bad = |told: &str| Problem::bad(&format!("the body is not what is expected: {told}"));
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is no UTF-8"))?;
    // First as JSON has it: Python's NaN is none.
    let valid: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    valid.map_err(|error| bad(&error.to_string()))?;
    let value: Value = wire::common(text).map_err(|told| bad(&told))?;
    serde_path_to_error::deserialize(value).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_kept_as_they_are_or_refused() {
        let kept: Value = read(b"[9007199254740993, 18446744073709551615, 1.5]").unwrap();
        assert_eq!(kept, json!([9_007_199_254_740_993_u64, u64::MAX, 1.5]));
        for (text, word) in [
            (&b"[18446744073709551616]"[..], "pass it as text"),
            (b"[NaN]", "expected"),
            (b"\xff", "UTF-8"),
            (b"", "EOF"),
            (&[b"[".repeat(5000), b"]".repeat(5000)].concat(), "nested"),
        ] {
            let told = read::<Value>(text).unwrap_err().detail;
            assert!(told.contains(word), "{told}");
        }
    }
}
