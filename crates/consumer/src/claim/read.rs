//! A claimed message, read as far as its headers; or what ends it when it cannot be read.

use std::sync::Arc;

use rhubarb_wire::{DecodeError, Envelope, Exception};

use super::answer::Claimed;
use crate::{attempts, delivery::RawMessage, outcome::Outcome};

/// A message that cannot be read, and what ends it.
pub(super) struct Unread {
    pub(super) raw: Arc<RawMessage>,
    pub(super) outcome: Outcome,
}

/// Reads a message as far as its headers; what cannot be read is ended with the reason.
pub(super) fn read(claimed: &Claimed, max: usize) -> Result<Envelope, Box<Unread>> {
    if claimed.size > max {
        let reason = format!(
            "the message has {} bytes, more than worker.max_message_bytes = {max}",
            claimed.size
        );
        let (task_id, task) = head_of(&claimed.message);
        let raw = RawMessage {
            bytes: claimed.message.clone(),
            size: claimed.size,
            task_id,
            task,
            deaths: attempts::deaths(&claimed.deaths),
        };
        return Err(Box::new(Unread { raw: Arc::new(raw), outcome: dead(reason) }));
    }
    Envelope::decode(&claimed.message).map_err(|error: DecodeError| {
        // Headers that are too much to be held may still be seen.
        let head = if error.task_id().is_none() { head_of(&claimed.message) } else { (None, None) };
        let raw = RawMessage {
            bytes: claimed.message.clone(),
            size: claimed.size,
            task_id: error.task_id().map(str::to_owned).or(head.0),
            task: error.task_name().map(str::to_owned).or(head.1),
            deaths: attempts::deaths(&claimed.deaths),
        };
        let outcome = Outcome::Dead { reason: error.to_string(), exception: error.exception() };
        Box::new(Unread { raw: Arc::new(raw), outcome })
    })
}

fn dead(reason: String) -> Outcome {
    let exception = Exception::decode_error(&reason);
    Outcome::Dead { reason, exception }
}

/// Finds id and task name in the ends of a message that is too large to be read whole.
///
/// Celery writes the body first, so that the headers stand in the last bytes.
fn head_of(ends: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(ends);
    let Some(at) = text.rfind("\"headers\"") else { return (None, None) };
    let Some(open) = text[at..].find('{') else { return (None, None) };
    let mut values = serde_json::Deserializer::from_str(&text[at + open..]).into_iter::<Head>();
    let Some(Ok(head)) = values.next() else { return (None, None) };
    let short = |text: Option<String>| text.filter(|text| text.len() <= 512);
    (short(head.id), short(head.task))
}

/// Whose a message is; what else stands there is passed over without being kept.
#[derive(serde::Deserialize)]
struct Head {
    id: Option<String>,
    task: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_a_message_too_large_to_read_are_found_at_its_end() {
        let ends = br#"AAAA", "content-type": "application/json", "headers": {"task": "t.x", "id": "42"}, "properties": {}}"#;
        assert_eq!(head_of(ends), (Some("42".into()), Some("t.x".into())));
        assert_eq!(head_of(b"nothing"), (None, None));
        assert_eq!(head_of(br#""headers": {"id": "#), (None, None));
    }
}
