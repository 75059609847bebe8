//! Whatever bytes are in Redis: an error or a value, soon and in bounded memory, and nothing
//! executed.
//!
//! The formats themselves are tried in `rhubarb-pyvalue`; here it is what is compressed, or is of
//! another serializer.

use proptest::prelude::*;
use rhubarb_cache::{Compressor, FormatError, PyValue, Serializer, codec};

fn values() -> impl Strategy<Value = PyValue> {
    let leaf = prop_oneof![
        any::<String>().prop_map(PyValue::Str),
        any::<f64>().prop_map(PyValue::Float),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(PyValue::Bytes),
    ];
    leaf.prop_recursive(4, 32, 8, |inner| {
        let pairs = (any::<String>().prop_map(PyValue::Str), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..8).prop_map(PyValue::List),
            proptest::collection::vec(pairs, 0..8).prop_map(PyValue::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for serializer in SERIALIZERS {
            let _ = codec::decode(&bytes, serializer);
        }
    }

    #[test]
    fn mutated_values_of_every_configuration_never_panic(
        value in values(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        for (serializer, compressor) in configurations() {
            let Ok(mut bytes) = codec::encode_compressed(&value, serializer, compressor) else { continue };
            let _ = codec::decode(&bytes[..cut.index(bytes.len())], serializer);
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = codec::decode(&bytes, serializer);
        }
    }
}

const SERIALIZERS: [Serializer; 3] = [Serializer::Pickle, Serializer::Json, Serializer::MsgPack];

fn configurations() -> impl Iterator<Item = (Serializer, Compressor)> {
    let compressors = [
        Compressor::None,
        Compressor::Zlib,
        Compressor::Gzip,
        Compressor::Lzma,
        Compressor::Lz4,
        Compressor::Zstd,
    ];
    SERIALIZERS.into_iter().flat_map(move |serializer| compressors.map(|c| (serializer, c)))
}

#[test]
fn a_value_of_another_serializer_is_a_typed_error_whatever_compresses_it() {
    let pairs = (0..50).map(|n| (PyValue::Str(format!("key {n}")), PyValue::Float(0.5)));
    let value = PyValue::Dict(pairs.collect());
    for (written, compressor) in configurations() {
        let bytes = codec::encode_compressed(&value, written, compressor).unwrap();
        for serializer in SERIALIZERS {
            match codec::decode(&bytes, serializer) {
                Ok(read) => assert!(serializer == written && read == value),
                Err(error) => {
                    assert!(serializer != written, "{written:?} {compressor:?}: {error}");
                    let is_typed = matches!(
                        error,
                        FormatError::Malformed { .. } | FormatError::Unsupported { .. }
                    );
                    assert!(is_typed, "{error}");
                }
            }
        }
    }
}

#[test]
fn a_compressed_call_of_a_function_is_named_and_not_called() {
    let call = format!("cos\nsystem\n(S'{}'\ntR.", "true #".repeat(20));
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, call.as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    let error = codec::decode(&bytes, Serializer::Pickle).unwrap_err();
    assert!(
        matches!(&error, FormatError::Unsupported { class } if class == "os.system"),
        "{error}"
    );
}
