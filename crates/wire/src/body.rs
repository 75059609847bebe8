//! The body of a message: the arguments, and what follows the task.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::compression::{self, Failure};
use crate::dump::{Json, dumps, object};
use crate::error::{DecodeError, Identity};
use crate::json::kind;
use crate::properties::{BASE64, JSON, Properties};
use crate::reader;
use crate::signature::{Signature, list, mapping};

/// A body that has been read.
///
/// Arguments are as JSON has them, those of MessagePack as kombu would have written them in JSON:
/// see [`plain`](crate::plain()) for Python's own types. What cannot be held exactly (`NaN`, an
/// integer beyond 64 bits, half of a surrogate pair) is sealed, so that it is written again as it
/// was: [`open`](crate::open) it before you look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The positional arguments.
    pub args: Vec<Value>,
    /// The keyword arguments.
    pub kwargs: Map<String, Value>,
    /// What follows the task.
    pub embed: Embed,
}

/// What a worker publishes when the task has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embed {
    /// To be called with the result of a success.
    pub callbacks: Vec<Signature>,
    /// To be called after a failure.
    pub errbacks: Vec<Signature>,
    /// The rest of the chain, reversed: the next step is the last element.
    pub chain: Vec<Signature>,
    /// The body of the chord that the task is a part of.
    pub chord: Option<Signature>,
    /// Unknown fields, in order.
    pub other: Map<String, Value>,
}

impl Body {
    fn from_value(value: Value) -> Result<Self, String> {
        let Value::Array(parts) = value else {
            return Err(format!("{}, must be [args, kwargs, embed]", kind(&value)));
        };
        let count = parts.len();
        let Ok([args, kwargs, embed]) = <[Value; 3]>::try_from(parts) else {
            return Err(format!("{count} elements, must be the three of [args, kwargs, embed]"));
        };
        Ok(Self {
            args: list(Some(args), "args")?,
            kwargs: mapping(Some(kwargs), "kwargs")?,
            embed: Embed::from_value(embed)?,
        })
    }

    /// The body as a message carries it: JSON in base64.
    pub fn encode(&self) -> String {
        encode(self)
    }
}

impl Json for Body {
    fn dump(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.args.as_slice().dump(out);
        out.extend_from_slice(b", ");
        self.kwargs.dump(out);
        out.extend_from_slice(b", ");
        self.embed.dump(out);
        out.push(b']');
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// How the body of a task ends that nothing follows, as Celery's clients and ours write it.
const USUAL_END: &[u8] =
    br#", {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]"#;

/// Reads a body, of the usual end no more than that it is there: null stands for it.
///
/// An end in which a text begins or ends is none: what is before it is no JSON then, and refused.
fn without_the_usual_end(mut bytes: Vec<u8>) -> Result<Value, String> {
    let Some(end) = bytes.len().checked_sub(USUAL_END.len()) else { return reader::read(&bytes) };
    if !bytes.ends_with(USUAL_END) {
        return reader::read(&bytes);
    }
    bytes.truncate(end);
    bytes.push(b']');
    let mut value = reader::read(&bytes)?;
    if let Value::Array(parts) = &mut value {
        parts.push(Value::Null);
    }
    Ok(value)
}

/// A value as the body of a message: JSON in base64.
pub(crate) fn encode(value: &impl Json) -> String {
    STANDARD.encode(dumps(value))
}

impl Embed {
    pub(crate) fn from_value(value: Value) -> Result<Self, String> {
        let mut map = match value {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            value => return Err(format!("embed is {}, must be an object", kind(&value))),
        };
        Ok(Self {
            callbacks: signatures(&mut map, "callbacks")?,
            errbacks: signatures(&mut map, "errbacks")?,
            chain: signatures(&mut map, "chain")?,
            chord: match map.shift_remove("chord") {
                None | Some(Value::Null) => None,
                Some(value) => Some(
                    Signature::from_value(value).map_err(|reason| format!("chord: {reason}"))?,
                ),
            },
            other: map,
        })
    }
}

impl Json for Embed {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put("callbacks", &some(&self.callbacks));
            fields.put("errbacks", &some(&self.errbacks));
            fields.put("chain", &some(&self.chain));
            fields.put("chord", &self.chord);
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// No signatures are null.
fn some(signatures: &[Signature]) -> Option<&[Signature]> {
    Some(signatures).filter(|signatures| !signatures.is_empty())
}

/// Takes a list of signatures; a single one stands for a list of itself, as in Celery.
fn signatures(map: &mut Map<String, Value>, key: &str) -> Result<Vec<Signature>, String> {
    let items = match map.shift_remove(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(single @ Value::Object(_)) => vec![single],
        Some(value) => return Err(format!("{key} is {}, must be a list", kind(&value))),
    };
    let read = |item| Signature::from_value(item).map_err(|reason| format!("{key}: {reason}"));
    items.into_iter().map(read).collect()
}

/// Python pads, other producers may not.
pub(crate) const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const MSGPACK: &str = "application/x-msgpack";

/// How a body is written.
#[derive(Clone, Copy)]
enum Format {
    Json,
    MessagePack,
}

impl Format {
    fn value(self, bytes: &[u8]) -> Result<Value, String> {
        match self {
            Self::Json => reader::read(bytes),
            Self::MessagePack => reader::read_msgpack(bytes),
        }
    }
}

/// A body on its way from text to a value.
pub(crate) struct Source<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) compression: Option<&'a str>,
    pub(crate) properties: &'a Properties,
    pub(crate) body: &'a str,
    pub(crate) identity: Identity,
}

impl Source<'_> {
    /// The value of the body.
    pub(crate) fn value(&self, max_bytes: usize) -> Result<Value, DecodeError> {
        let (format, bytes) = self.read(max_bytes)?;
        format.value(&bytes).map_err(|reason| self.malformed(reason))
    }

    /// The body of a task.
    pub(crate) fn body(&self, max_bytes: usize) -> Result<Body, DecodeError> {
        let (format, bytes) = self.read(max_bytes)?;
        let value = match format {
            Format::Json => without_the_usual_end(bytes),
            Format::MessagePack => reader::read_msgpack(&bytes),
        };
        value.and_then(Body::from_value).map_err(|reason| self.malformed(reason))
    }

    /// The bytes of the body, decompressed, and what they are.
    fn read(&self, max_bytes: usize) -> Result<(Format, Vec<u8>), DecodeError> {
        let content_type = self.content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| content_type.eq_ignore_ascii_case(name);
        let format = if content_type.is_empty() || is(JSON) {
            Format::Json
        } else if is(MSGPACK) {
            Format::MessagePack
        } else {
            let content_type = self.content_type.chars().take(80).collect();
            return Err(DecodeError::Refused { content_type, identity: self.identity.clone() });
        };
        let bytes = self.bytes(max_bytes)?;
        Ok((format, self.decompress(bytes, max_bytes)?))
    }

    pub(crate) fn malformed(&self, reason: String) -> DecodeError {
        DecodeError::Body { reason, identity: self.identity.clone() }
    }

    fn too_large(&self, limit: usize) -> DecodeError {
        DecodeError::TooLarge { limit, identity: self.identity.clone() }
    }

    fn bytes(&self, max_bytes: usize) -> Result<Vec<u8>, DecodeError> {
        let bytes = match self.properties.body_encoding.as_deref() {
            Some(BASE64) => {
                // Broken lines are rare: they are joined once it is known that there are some.
                STANDARD.decode(self.body).or_else(|_| {
                    let text: Vec<u8> =
                        self.body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                    STANDARD
                        .decode(text)
                        .map_err(|error| self.malformed(format!("not base64: {error}")))
                })?
            }
            Some(encoding) if !encoding.is_empty() => {
                let encoding: String = encoding.chars().take(80).collect();
                return Err(self.malformed(format!("unknown body encoding `{encoding}`")));
            }
            _ => self.body.as_bytes().to_vec(),
        };
        if bytes.len() > max_bytes { Err(self.too_large(max_bytes)) } else { Ok(bytes) }
    }

    fn decompress(&self, bytes: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, DecodeError> {
        let Some(name) = self.compression.filter(|name| !name.is_empty()) else {
            return Ok(bytes);
        };
        compression::decompress(name, &bytes, max_bytes).map_err(|failure| match failure {
            Failure::Unknown => {
                let compression = name.chars().take(80).collect();
                DecodeError::Compression { compression, identity: self.identity.clone() }
            }
            Failure::TooLarge => self.too_large(max_bytes),
            Failure::Damaged(error) => self.malformed(format!("damaged compression: {error}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use serde_json::json;

    use super::*;
    use crate::envelope::Envelope;
    use crate::headers::Headers;

    const MAX: usize = 10_000;

    fn envelope(body: &str) -> Envelope {
        Envelope {
            headers: Headers::new("t", "1"),
            properties: Properties::default(),
            content_type: JSON.to_owned(),
            content_encoding: "utf-8".to_owned(),
            body: body.to_owned(),
            other: Map::new(),
        }
    }

    fn compressed(bytes: &[u8], name: &str) -> Envelope {
        let mut envelope = envelope(&STANDARD.encode(bytes));
        envelope.properties.body_encoding = Some(BASE64.to_owned());
        envelope.headers.compression = Some(name.to_owned());
        envelope
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn empty_parts_are_tolerated() {
        for body in ["[[], {}, {}]", "[[], {}, null]", "[null, null, null]"] {
            assert_eq!(envelope(body).body(MAX), Ok(Body::default()), "{body}");
        }
    }

    /// The short way gives what the long one does, and takes nothing that the long one refuses.
    #[test]
    fn a_body_that_nothing_follows_is_read_as_any_other() {
        let usual = std::str::from_utf8(USUAL_END).unwrap();
        for head in [
            "[[]",
            "[[], {}",
            "[[1, NaN, \"x\"], {\"a\": {\"chord\": null}}",
            "[[\"]\"], {}",
            "[[], {}, []",
            "[null, null",
            "[",
            "[[], {},",
            "[[], {\"a\":",
            "[[], {}, \"x",
            "[[\"x",
            "{\"a\": [1",
            "",
        ] {
            let body = [head, usual].concat();
            let long = reader::read(body.as_bytes()).and_then(Body::from_value);
            let short = envelope(&body).body(MAX);
            assert_eq!(short.ok(), long.ok(), "{body}");
        }
    }

    #[test]
    fn wrong_shapes_are_named() {
        let check = |body: &str, expected: &str| {
            let error = envelope(body).body(MAX).unwrap_err();
            assert_eq!(error.to_string(), format!("body is malformed: {expected}"));
            assert_eq!((error.task_id(), error.task_name()), (Some("1"), Some("t")));
        };
        check("{}", "an object, must be [args, kwargs, embed]");
        check("[[], {}]", "2 elements, must be the three of [args, kwargs, embed]");
        check("[[], [], {}]", "kwargs is a list, must be an object");
        check("[{}, {}, {}]", "args is an object, must be a list");
        check("[[], {}, []]", "embed is a list, must be an object");
        check("[[], {}, {\"chain\": \"x\"}]", "chain is a text, must be a list");
        check("[[], {}, {\"callbacks\": [1]}]", "callbacks: signature is a number");
        check("[[], {}, {\"chord\": {}}]", "chord: signature names no task: {}");
        check("{broken", "not JSON: expected a key at byte 1");
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        for name in ["application/x-python-serialize", "application/x-yaml", "application/data"] {
            let mut envelope = envelope("");
            envelope.content_type = name.to_owned();
            let error = envelope.body(MAX).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(error.exception().exc_type, "ContentDisallowed");
        }
        let mut charset = envelope("[[], {}, {}]");
        charset.content_type = "Application/JSON; charset=utf-8".to_owned();
        assert!(charset.body(MAX).is_ok());
    }

    #[test]
    fn failures_of_decompression_are_told_apart() {
        let text = b"[[1], {}, {}]";
        assert_eq!(compressed(&zlib(text), "zlib").body(MAX).unwrap().args, [json!(1)]);
        let error = compressed(text, "application/x-lzma").body(MAX).unwrap_err();
        assert!(matches!(error, DecodeError::Compression { .. }), "{error}");
        let error = compressed(text, "zlib").body(MAX).unwrap_err();
        assert!(matches!(error, DecodeError::Body { .. }), "{error}");
    }

    #[test]
    fn messagepack_has_the_same_shape() {
        let mut envelope = envelope(&STANDARD.encode(b"\x93\x91\x01\x81\xa1k\xc4\x01b\xc0"));
        envelope.properties.body_encoding = Some(BASE64.to_owned());
        envelope.content_type = MSGPACK.to_owned();
        let body = envelope.body(MAX).unwrap();
        let marker = json!({"k": {"__type__": "bytes", "__value__": "b"}});
        assert_eq!((json!(body.args), json!(body.kwargs)), (json!([1]), marker));
        envelope.body = STANDARD.encode(b"\x92\x90\x80");
        assert!(envelope.body(MAX).unwrap_err().to_string().contains("2 elements"));
    }

    #[test]
    fn size_is_bounded_before_and_after_decompression() {
        let too_large = |envelope: &Envelope| {
            matches!(envelope.body(MAX), Err(DecodeError::TooLarge { limit: MAX, .. }))
        };
        let text = |size: usize| format!("[[\"{}\"], {{}}, {{}}]", "a".repeat(size - 14));
        assert!(envelope(&text(MAX)).body(MAX).is_ok());
        assert!(too_large(&envelope(&text(MAX + 1))));
        assert!(compressed(&zlib(text(MAX).as_bytes()), "zlib").body(MAX).is_ok());
        assert!(too_large(&compressed(&zlib(text(MAX + 1).as_bytes()), "zlib")));
        assert!(too_large(&compressed(&zlib(&vec![b' '; 5_000_000]), "zlib")));
    }

    #[test]
    fn unpadded_and_broken_lines_of_base64_are_read() {
        let mut envelope = envelope(STANDARD.encode("[[], {}, {}]x").trim_end_matches('='));
        envelope.properties.body_encoding = Some(BASE64.to_owned());
        assert!(envelope.body(MAX).unwrap_err().to_string().contains("trailing characters"));
        envelope.body = "W1tdLCB7f\nSwge31d".to_owned();
        assert_eq!(envelope.body(MAX), Ok(Body::default()));
        envelope.body = "%%".to_owned();
        assert!(envelope.body(MAX).unwrap_err().to_string().contains("not base64"));
        envelope.properties.body_encoding = Some("rot13".to_owned());
        assert!(envelope.body(MAX).unwrap_err().to_string().contains("`rot13`"));
    }
}
