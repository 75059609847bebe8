//! `Content-Encoding`: what is offered, and undoing what comes.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::{
    bufread::GzDecoder,
    read::{DeflateDecoder, ZlibDecoder},
};

/// What is offered, as browsers do.
pub(super) const OFFERED: &str = "gzip, deflate, br, zstd";

/// As many compressions one over the other are undone; none has more than two.
const MAX_NESTED: usize = 3;
/// What zstd may need for one body; browsers allow 8 MiB too (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
const BROTLI_BUFFER: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// A body without its compressions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Bytes,
    /// Whether there is more than the limit let through.
    pub(super) more: bool,
}

/// Undoes what `Content-Encoding` says, up to `limit` bytes after each compression.
///
/// A body that is text, though the header says otherwise, is taken as it is: something on its way
/// undid the compression and kept the header.
///
/// # Errors
/// The compression is unknown, broken or cut off.
pub(super) fn decode(header: &str, body: Bytes, limit: usize) -> Result<Decoded, String> {
    let codings = codings(header)?;
    let mut decoded = Decoded { bytes: body, more: false };
    for coding in codings.into_iter().rev() {
        if decoded.bytes.is_empty() || decoded.more {
            break;
        }
        decoded = match coding.undo(&decoded.bytes, limit) {
            // A brace is a whole empty body to brotli.
            Ok(undone) if !undone.bytes.is_empty() || !is_text(&decoded.bytes) => undone,
            Err(error) if !is_text(&decoded.bytes) => return Err(error.to_string()),
            _ => decoded,
        };
    }
    Ok(decoded)
}

/// Returns the compressions in the order in which they were applied.
fn codings(header: &str) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for token in header.split(',') {
        let token = token.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        codings.push(match token.as_str() {
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" | "x-deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            "" | "identity" | "none" | "utf-8" | "utf8" | "binary" | "8bit" => continue,
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(format!("its compression `{shown}` is not known"));
            }
        });
    }
    if codings.len() > MAX_NESTED {
        return Err(format!("it is compressed {} times over", codings.len()));
    }
    Ok(codings)
}

impl Coding {
    /// Undoes it, up to `limit` bytes.
    fn undo(self, body: &[u8], limit: usize) -> io::Result<Decoded> {
        match self {
            Self::Gzip => gunzip(body, limit),
            // RFC 9110, 8.4.1.2 means zlib; many send what is inside of it, as browsers know.
            Self::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), limit)
                .or_else(|_| read(DeflateDecoder::new(body), limit)),
            Self::Deflate => read(DeflateDecoder::new(body), limit),
            Self::Brotli => {
                let decoder = brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER);
                read(decoder, limit)
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                read(decoder, limit)
            }
        }
    }
}

/// Undoes gzip: one file or several, one behind the other; what is none behind the first is passed
/// over, as browsers do.
fn gunzip(mut body: &[u8], limit: usize) -> io::Result<Decoded> {
    let mut bytes = Vec::new();
    loop {
        let mut decoder = GzDecoder::new(&mut body);
        let room = (limit - bytes.len()) as u64;
        decoder.by_ref().take(room + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit || !body.starts_with(&[0x1f, 0x8b]) {
            return Ok(Decoded::up_to(limit, bytes));
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> io::Result<Decoded> {
    let mut bytes = Vec::new();
    // One byte more tells whether there is more.
    decoder.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Decoded::up_to(limit, bytes))
}

impl Decoded {
    fn up_to(limit: usize, mut bytes: Vec<u8>) -> Self {
        let more = bytes.len() > limit;
        bytes.truncate(limit);
        Self { bytes: bytes.into(), more }
    }
}

fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flags, ..]
        if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flags)).is_multiple_of(31))
}

/// Tells whether a good piece of it has no control characters but those of text.
fn is_text(body: &[u8]) -> bool {
    let piece = &body[..body.len().min(512)];
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x0c\x1b".contains(byte);
    !piece.iter().any(|byte| is_control(byte) || *byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn the_limit_holds_after_each_compression_and_is_itself_allowed() {
        let check = |len: usize, expect: bool| {
            let decoded = decode("gzip", gzip(&vec![b'x'; len]), 1_000).unwrap();
            assert_eq!((decoded.bytes.len(), decoded.more), (len.min(1_000), expect), "{len}");
        };
        check(1_000, false);
        check(1_001, true);
        check(10_000_000, true);
        let bomb = gzip(&gzip(&vec![0; 100_000_000]));
        assert!(decode("gzip, gzip", bomb, 1_000).unwrap().more);
    }

    #[test]
    fn no_body_is_nothing_whatever_the_header_says() {
        for header in ["gzip", "br", "deflate", "zstd", "gzip, br"] {
            assert_eq!(decode(header, Bytes::new(), 10).unwrap().bytes, "", "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_exceed_the_limit(
            header in "(gzip|deflate|br|zstd|x-gzip|, |;){0,4}", body: Vec<u8>
        ) {
            if let Ok(decoded) = decode(&header, body.clone().into(), 100) {
                prop_assert!(decoded.bytes.len() <= 100.max(body.len()));
            }
        }
    }
}
