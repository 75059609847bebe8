//! Messages made to be slow, to nest or to grow: every reader ends soon, with a value or an error.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use rhubarb_wire::{
    ChordPart, Envelope, ResultTree, TaskResult,
    control::{Command, Reply},
    plain, repr,
};
use serde_json::{Value, json};

const SIZE: usize = 1 << 17;
/// Generous: an unoptimised build on a busy machine. What grows with the square of the size takes
/// minutes.
const SOON: Duration = Duration::from_secs(10);

const PIECES: [&str; 14] = [
    "[",
    "{\"a\":",
    "[[],",
    "\"",
    "\\",
    "\\ud800",
    "0",
    "1e9",
    "-",
    "null,",
    "{\"headers\":",
    "é",
    "\u{0}",
    "}",
];

fn read_all(bytes: &[u8]) {
    if let Ok(body) = Envelope::decode(bytes).and_then(|envelope| envelope.body(8 << 20)) {
        let value = json!([body.args, body.kwargs]);
        assert!(!repr(&value).is_empty());
        plain(value);
    }
    let _ = TaskResult::decode(bytes).map(|result| result.exception());
    let _ = ChordPart::decode(bytes).map(|part| part.failure());
    let _ = ResultTree::decode(bytes);
    let _ = Command::decode(bytes, 8 << 20);
    let _ = Reply::decode(bytes, 8 << 20);
}

fn soon(what: &str, read: impl FnOnce()) {
    let begun = Instant::now();
    read();
    assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
}

fn message(content_type: &str, body: &[u8]) -> Vec<u8> {
    let message = json!({
        "body": STANDARD.encode(body),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": { "id": "1", "task": "t" },
        "properties": { "body_encoding": "base64" },
    });
    message.to_string().into_bytes()
}

#[test]
fn no_bytes_hold_a_reader_up() {
    for piece in PIECES {
        let bytes = piece.repeat(SIZE / piece.len()).into_bytes();
        soon(piece, || read_all(&bytes));
        for content_type in ["application/json", "application/x-msgpack", "application/x-yaml"] {
            soon(piece, || read_all(&message(content_type, &bytes)));
        }
        let quoted = Value::from(String::from_utf8(bytes).unwrap()).to_string();
        let head = format!(
            r#"{{"body": "", "headers": {{"id": {quoted}, "task": {quoted}}}, "properties": {{}}}}"#
        );
        soon(piece, || read_all(head.as_bytes()));
    }
}

/// Arrays in arrays, maps in maps, and lengths that nothing follows.
#[test]
fn no_msgpack_holds_a_reader_up() {
    for byte in [0x91_u8, 0x81, 0xdc, 0xdd, 0xde, 0xdf, 0xc6, 0xdb, 0xc9, 0xff] {
        let body = vec![byte; SIZE];
        soon("msgpack", || read_all(&message("application/x-msgpack", &body)));
    }
}

/// A value that is wide and one that is as deep as JSON may be are printed within bounds.
#[test]
fn what_is_printed_for_logs_and_events_is_bounded_in_time() {
    let wide = Value::from(vec![Value::from("'\"\\\u{1}é".repeat(8)); SIZE / 64]);
    let deep = (0..120).fold(Value::Null, |inner, _| json!([inner]));
    for value in [wide, deep] {
        soon("repr", || drop(repr(&value)));
        soon("plain", || drop(plain(value.clone())));
    }
}
