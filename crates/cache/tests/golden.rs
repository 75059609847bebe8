//! Bytes that django-redis 7.0.0 and Django 5.2.19 stored, read as the values that went in.
//!
//! What Python printed for each value stands beside them; `repr` below is Python's, so that the two
//! can be compared without a table of ours.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

use std::{fs, path::PathBuf};

use jiff::{civil, tz::Offset};
use rhubarb_cache::{FormatError, PyValue, Serializer, codec};
use serde_json::Value;

fn golden(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&golden(path)).unwrap()
}

/// Names of the stored values with this beginning, without it and `.bin`.
fn names(prefix: &str) -> Vec<String> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/django_redis_7_0_0");
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_suffix(".bin")?.to_owned()))
        .collect();
    names.sort();
    names
}

fn decode(name: &str, serializer: Serializer) -> Result<PyValue, FormatError> {
    codec::decode(&golden(&format!("django_redis_7_0_0/{name}.bin")), serializer)
}

fn repr(value: &PyValue) -> String {
    let join = |items: &[PyValue]| items.iter().map(repr).collect::<Vec<_>>().join(", ");
    match value {
        PyValue::None => "None".to_owned(),
        PyValue::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
        PyValue::Int(i) => i.to_string(),
        PyValue::BigInt(i) => i.to_string(),
        PyValue::Float(f) => format!("{f:?}").to_lowercase(),
        PyValue::Str(s) => format!("'{s}'"),
        PyValue::Bytes(b) => bytes(b),
        PyValue::ByteArray(b) => format!("bytearray({})", bytes(b)),
        PyValue::List(items) => format!("[{}]", join(items)),
        PyValue::Tuple(items) if items.len() == 1 => format!("({},)", repr(&items[0])),
        PyValue::Tuple(items) => format!("({})", join(items)),
        PyValue::Set(items) => format!("{{{}}}", join(items)),
        PyValue::FrozenSet(items) => format!("frozenset({{{}}})", join(items)),
        PyValue::Dict(pairs) => {
            let pairs: Vec<_> =
                pairs.iter().map(|(k, v)| format!("{}: {}", repr(k), repr(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        PyValue::OrderedDict(pairs) => {
            let pairs: Vec<_> =
                pairs.iter().map(|(k, v)| format!("({}, {})", repr(k), repr(v))).collect();
            format!("OrderedDict([{}])", pairs.join(", "))
        }
        PyValue::DateTime(at) => datetime(at),
        PyValue::Date(date) => {
            format!("datetime.date({}, {}, {})", date.year(), date.month(), date.day())
        }
        PyValue::Time(at) => called("time", &clock(at.civil), at.offset),
        PyValue::TimeDelta(delta) => {
            let (days, seconds, micros) = delta.parts();
            format!("datetime.timedelta(days={days}, seconds={seconds}, microseconds={micros})")
        }
        PyValue::Decimal(decimal) => format!("Decimal('{}')", decimal.as_str()),
        PyValue::Uuid(uuid) => format!("UUID('{uuid}')"),
        other => panic!("{other:?}"),
    }
}

fn bytes(bytes: &[u8]) -> String {
    let printable = |b: &u8| match b {
        b' '..=b'~' => char::from(*b).to_string(),
        b => format!("\\x{b:02x}"),
    };
    format!("b'{}'", bytes.iter().map(printable).collect::<String>())
}

fn datetime(at: &rhubarb_cache::DateTime) -> String {
    let date = at.civil.date();
    let mut parts = vec![i32::from(date.year()), date.month().into(), date.day().into()];
    parts.extend(clock(at.civil.time()));
    called("datetime", &parts, at.offset)
}

fn clock(time: civil::Time) -> Vec<i32> {
    let mut parts = vec![i32::from(time.hour()), time.minute().into()];
    let micros = time.subsec_nanosecond() / 1000;
    if time.second() > 0 || micros > 0 {
        parts.push(time.second().into());
    }
    if micros > 0 {
        parts.push(micros);
    }
    parts
}

fn called(class: &str, parts: &[i32], offset: Option<Offset>) -> String {
    let parts: Vec<_> = parts.iter().map(i32::to_string).collect();
    let zone = offset.map_or(String::new(), |offset| match offset.seconds() {
        0 => ", tzinfo=datetime.timezone.utc".to_owned(),
        seconds => format!(
            ", tzinfo=datetime.timezone(datetime.timedelta(days={}, seconds={}))",
            seconds.div_euclid(86_400),
            seconds.rem_euclid(86_400)
        ),
    });
    format!("datetime.{class}({}{zone})", parts.join(", "))
}

/// Python's text was cut after so many characters; ours has to begin with it, or be it.
fn assert_reads_as(name: &str, value: &PyValue, python: &str, cut: usize) {
    let whole = python.chars().count() < cut;
    let ours: String = repr(value).chars().take(if whole { usize::MAX } else { cut }).collect();
    assert_eq!(ours, python, "{name}");
}

fn unsupported(name: &str) -> String {
    match decode(name, Serializer::Pickle) {
        Err(FormatError::Unsupported { class }) => class,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_value_that_django_pickled_is_read_as_it_was() {
    let index = json("django_redis_7_0_0/index.json");
    let index = index.as_object().unwrap();
    assert!(index.len() > 40);
    for (name, facts) in index {
        match name.as_str() {
            "defaultdict" => {
                assert_eq!(unsupported("pickle_defaultdict"), "collections.defaultdict")
            }
            name => {
                let value = decode(&format!("pickle_{name}"), Serializer::Pickle).unwrap();
                assert_reads_as(name, &value, facts["repr"].as_str().unwrap(), 300);
            }
        }
    }
}

#[test]
fn every_protocol_is_read() {
    let index = json("django_redis_7_0_0/index.json");
    for protocol in 0..=5 {
        let names = names(&format!("proto{protocol}_"));
        assert_eq!(names.len(), 6, "protocol {protocol}");
        for name in names {
            let file = format!("proto{protocol}_{name}");
            let value = decode(&file, Serializer::Pickle).unwrap();
            assert_reads_as(&file, &value, index[&name]["repr"].as_str().unwrap(), 300);
        }
    }
}

#[test]
fn every_serializer_and_compressor_is_read() {
    let configurations = json("django_redis_7_0_0/serializers_compressors.json");
    let mut read = 0;
    let mut compressed = std::collections::BTreeSet::new();
    for (configuration, values) in configurations.as_object().unwrap() {
        let serializer = match configuration.split('_').next().unwrap() {
            "json" => Serializer::Json,
            "msgpack" => Serializer::MsgPack,
            _ => Serializer::Pickle,
        };
        for (name, facts) in values.as_object().unwrap() {
            let Some(python) = facts["read_back"].as_str() else { continue };
            let file = format!("{configuration}_{name}");
            let magic = golden(&format!("django_redis_7_0_0/{file}.bin"));
            compressed.insert(match magic.get(..3) {
                Some([0x78, 0x9c, _]) => "zlib",
                Some([0x1f, 0x8b, _]) => "gzip",
                Some([0xfd, b'7', b'z']) => "lzma",
                Some([0x04, 0x22, 0x4d]) => "lz4",
                Some([0x28, 0xb5, 0x2f]) => "zstd",
                _ => "none",
            });
            let value = decode(&file, serializer).unwrap();
            assert_reads_as(&file, &value, python, 120);
            read += 1;
        }
    }
    assert!(read > 80, "{read} read");
    assert_eq!(compressed, ["gzip", "lz4", "lzma", "none", "zlib", "zstd"].into());
}

#[test]
fn json_and_msgpack_are_written_as_python_writes_them() {
    let mut written = 0;
    for (prefix, serializer) in [("json_", Serializer::Json), ("msgpack_", Serializer::MsgPack)] {
        for name in names(prefix).iter().filter(|name| !name.starts_with("zstd_")) {
            let file = format!("{prefix}{name}");
            let bytes = codec::encode(&decode(&file, serializer).unwrap(), serializer).unwrap();
            assert_eq!(bytes, golden(&format!("django_redis_7_0_0/{file}.bin")), "{file}");
            written += 1;
        }
    }
    assert!(written > 15, "{written}");
    let ints = PyValue::List([200, 300, 70_000, -200, 1].map(PyValue::Int).into());
    let bytes = codec::encode(&ints, Serializer::MsgPack).unwrap();
    // msgpack 1.2.4: packb([200, 300, 70000, -200, 1])
    assert_eq!(bytes, b"\x95\xcc\xc8\xcd\x01,\xce\x00\x01\x11p\xd1\xff8\x01");
}

#[test]
fn five_hundred_listings_are_read_to_the_last_key() {
    let value = decode("pickle_jobs_500", Serializer::Pickle).unwrap();
    assert_eq!(value.to_json().unwrap(), json("django_redis_7_0_0/pickle_jobs_500.expected.json"));
}

#[test]
fn pickles_without_memo_or_frame_are_read() {
    let check = |name: &str, python: &str| {
        let value = decode(name, Serializer::Pickle).unwrap();
        assert_reads_as(name, &value, python, usize::MAX);
    };
    check(
        "hand_proto2_dict",
        "{'a': 1, 'b': [1, 256, 65536, 4294967296], 'c': None, 'd': True, 'e': 1.5}",
    );
    check("hand_proto3_bytes", "b'abc'");
    check("hand_proto4_framed", "'ok'");
    check("hand_proto4_short", "{'a': 'é', 'l': [1, 2]}");
    check("hand_proto5", "[True, False, None]");
}

#[test]
fn sessions_are_read_as_django_made_them() {
    let sessions = json("django_sessions_5_2_19/sessions.json");
    for backend in ["cache", "cached_db"] {
        let stored = sessions[backend]["redis"].as_object().unwrap();
        let bytes = golden(&format!("django_sessions_5_2_19/session_{backend}.bin"));
        let value = codec::decode(&bytes, Serializer::Pickle).unwrap();
        let decoded = &stored.values().next().unwrap()["decoded"];
        assert_eq!(&value.to_json().unwrap(), decoded, "{backend}");
    }
}

#[test]
fn what_python_refuses_is_refused() {
    let cases = json("django_redis_7_0_0/wrong_format_reads.json");
    let mut checked = 0;
    for (name, case) in cases.as_object().unwrap() {
        let Some(bytes) = case["bytes"].as_str() else { continue };
        for (python, serializer) in
            [("PickleSerializer", Serializer::Pickle), ("JSONSerializer", Serializer::Json)]
        {
            let python = case[python].as_str().unwrap();
            match codec::decode(bytes.as_bytes(), serializer) {
                Ok(value) => assert_reads_as(name, &value, python, usize::MAX),
                Err(_) => assert!(python.contains("Error"), "{name}: {python}"),
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked}");
}
