//! Random values, written by real django-redis and read by us, and the other way round.

use std::{fs, time::Duration};

use jiff::{civil, tz::Offset};
use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};
use rhubarb_cache::{
    AliasConfig, Cache, Compressor, DateTime, Decimal, PyValue, Serializer, TimeDelta, TimeOfDay,
    Timeout,
};
use rhubarb_connection::Role;
use rhubarb_e2e::{python::Python, redis_server::RedisServer};
use serde_json::{Value, json};

use super::{cache, told::tell};

/// How many values each configuration gets in each direction; there are eighteen.
const EACH: usize = 120;

const SERIALIZERS: [(&str, Serializer); 3] =
    [("pickle", Serializer::Pickle), ("json", Serializer::Json), ("msgpack", Serializer::MsgPack)];
const COMPRESSORS: [(&str, Compressor); 6] = [
    ("none", Compressor::None),
    ("zlib", Compressor::Zlib),
    ("gzip", Compressor::Gzip),
    ("lzma", Compressor::Lzma),
    ("lz4", Compressor::Lz4),
    ("zstd", Compressor::Zstd),
];

/// Our side of each configuration of `interop/cache_values.py`.
fn caches(server: &RedisServer) -> Vec<(Serializer, String, Cache)> {
    let both = SERIALIZERS.iter().flat_map(|s| COMPRESSORS.iter().map(move |c| (s, c)));
    both.map(|((serializer_name, serializer), (compressor_name, compressor))| {
        let name = format!("{serializer_name}-{compressor_name}");
        let alias = AliasConfig {
            serializer: *serializer,
            compressor: *compressor,
            ..AliasConfig::new(Role::Cache, &name)
        };
        (*serializer, name, cache(server, alias))
    })
    .collect()
}

#[tokio::test]
async fn what_django_wrote_is_read_as_it_was() {
    let server = RedisServer::start().await;
    let Some(python) = Python::for_redis(&server.url(0)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let seed = fastrand::u32(..).to_string();
    let (path, each) = (file.to_str().unwrap(), EACH.to_string());
    python.run(&["cache_values.py", "write", path, &seed, &each]).await;

    let caches = caches(&server);
    let mut read = 0;
    for line in fs::read_to_string(&file).unwrap().lines() {
        let told: Value = serde_json::from_str(line).unwrap();
        let (alias, key) = (told["alias"].as_str().unwrap(), told["key"].as_str().unwrap());
        let (_, _, cache) = caches.iter().find(|(_, name, _)| name == alias).unwrap();
        let value = cache.get(key).await.unwrap_or_else(|e| panic!("{seed} {alias} {key}: {e:?}"));
        assert_eq!(tell(&value.unwrap()), told["value"], "seed {seed}, {alias}, {key}");
        read += 1;
    }
    assert_eq!(read, EACH * caches.len());
}

#[tokio::test]
async fn what_we_write_is_read_by_django_as_it_was() {
    let server = RedisServer::start().await;
    let Some(python) = Python::for_redis(&server.url(0)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let seed = fastrand::u64(..);
    let mut runner = runner(seed);
    let hour = Timeout::After(Duration::from_secs(3600));
    let mut lines = String::new();
    for (serializer, alias, cache) in caches(&server) {
        let strategy = values(serializer);
        for n in 0..EACH {
            let value = strategy.new_tree(&mut runner).unwrap().current();
            let key = format!("rs:{n}");
            cache.set(&key, &value, hour).await.unwrap();
            // JSON and MessagePack forget some types, ours as Django's; pickle forgets nothing.
            let back = match serializer {
                Serializer::Pickle => value,
                _ => cache.get(&key).await.unwrap().unwrap(),
            };
            lines += &json!({"alias": alias, "key": key, "value": tell(&back)}).to_string();
            lines.push('\n');
        }
    }
    fs::write(&file, lines).unwrap();
    let said = python.run(&["cache_values.py", "check", file.to_str().unwrap()]).await;
    assert_eq!(said["different"], json!([]), "seed {seed}");
    assert_eq!(said["checked"], EACH * 18);
}

fn runner(seed: u64) -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config.clone(), TestRng::from_seed(config.rng_algorithm, &bytes))
}

fn values(serializer: Serializer) -> BoxedStrategy<PyValue> {
    leaves(serializer)
        .prop_recursive(5, 60, 8, move |inner| {
            let pairs = vec((keys(serializer), inner.clone()), 0..8).prop_map(without_equal_keys);
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(PyValue::List),
                vec(inner.clone(), 0..8).prop_map(PyValue::Tuple),
                // Listings: the same keys again and again.
                vec(inner, 1..4).prop_map(|values| rows(&values)),
                pairs.clone().prop_map(PyValue::Dict),
                pairs.prop_map(PyValue::OrderedDict),
            ]
        })
        .boxed()
}

fn rows(values: &[PyValue]) -> PyValue {
    let row = |n: i64| {
        let cells = values.iter().enumerate();
        let cells =
            cells.map(|(idx, value)| (PyValue::Str(format!("column {idx}")), value.clone()));
        PyValue::Dict(cells.chain([(PyValue::from("n"), PyValue::Int(n))]).collect())
    };
    PyValue::List((0..20).map(row).collect())
}

fn leaves(serializer: Serializer) -> BoxedStrategy<PyValue> {
    let edges = [0, 1, -1, 127, 128, 255, 256, 65_535, 65_536, i64::MAX, i64::MIN, 1 << 31];
    let common = prop_oneof![
        Just(PyValue::None),
        any::<bool>().prop_map(PyValue::Bool),
        any::<i64>().prop_map(PyValue::Int),
        proptest::sample::select(edges.to_vec()).prop_map(PyValue::Int),
        any::<u64>().prop_map(|n| PyValue::from(json!(n))),
        any::<f64>().prop_map(PyValue::Float),
        proptest::sample::select(vec![1e16, 0.0, -0.0, f64::NAN, f64::INFINITY, 1e-5])
            .prop_map(PyValue::Float),
        any::<String>().prop_map(PyValue::Str),
        "[a-z ]{200,2000}".prop_map(PyValue::Str),
    ];
    let bytes = vec(any::<u8>(), 0..400).prop_map(PyValue::Bytes);
    let pickled = prop_oneof![
        vec(any::<u8>(), 0..400).prop_map(PyValue::ByteArray),
        vec(keys(serializer), 0..6).prop_map(|items| PyValue::Set(distinct(items))),
        vec(keys(serializer), 0..6).prop_map(|items| PyValue::FrozenSet(distinct(items))),
    ];
    match serializer {
        Serializer::MsgPack => prop_oneof![9 => common, 1 => bytes].boxed(),
        Serializer::Json => prop_oneof![5 => common, 4 => times()].boxed(),
        Serializer::Pickle => {
            prop_oneof![5 => common, 4 => times(), 1 => bytes, 3 => pickled].boxed()
        }
    }
}

fn times() -> impl Strategy<Value = PyValue> {
    prop_oneof![
        datetimes().prop_map(PyValue::DateTime),
        datetimes().prop_map(|at| time_of_day(&at)),
        (1_i16..=9999, 1_i8..=12, 1_i8..=28)
            .prop_map(|(y, m, d)| PyValue::Date(civil::date(y, m, d))),
        (-99_999_999_i64..99_999_999, any::<i32>(), any::<i32>())
            .prop_filter_map("in range", |(d, s, us)| TimeDelta::new(d, s.into(), us.into()))
            .prop_map(PyValue::TimeDelta),
        "-?[1-9][0-9]{0,20}(\\.[0-9]{1,9})?|NaN|-Infinity|0E-9|1E\\+30"
            .prop_filter_map("a decimal", |text| Decimal::new(&text))
            .prop_map(PyValue::Decimal),
        any::<u128>().prop_map(|n| PyValue::Uuid(uuid::Uuid::from_u128(n))),
        "-?[1-9][0-9]{19,3000}".prop_map(|digits| {
            // The only way to a larger int from outside: as Django stores it.
            rhubarb_cache::codec::decode(digits.as_bytes(), Serializer::Pickle).unwrap()
        }),
    ]
}

fn time_of_day(at: &DateTime) -> PyValue {
    // Django's JSON has no times with a zone.
    PyValue::Time(TimeOfDay { civil: at.civil.time(), fold: at.fold, offset: None, zone: None })
}

fn datetimes() -> impl Strategy<Value = DateTime> {
    let date = (1_i16..=9999, 1_i8..=12, 1_i8..=28);
    let micros = prop_oneof![Just(0), Just(999), Just(1000), 0_i32..1_000_000];
    let time = (0_i8..24, 0_i8..60, 0_i8..60, micros);
    let offset = prop_oneof![Just(None), Just(Some(0)), (-86_399_i32..86_400).prop_map(Some)];
    (date, time, offset, any::<bool>()).prop_map(|((y, m, d), (h, min, s, us), offset, fold)| {
        DateTime {
            civil: civil::datetime(y, m, d, h, min, s, us * 1000),
            offset: offset.map(|seconds| Offset::from_seconds(seconds).unwrap()),
            fold,
            zone: None,
        }
    })
}

/// Keys of which none is equal to one of another type, in Python or as JSON's text.
fn keys(serializer: Serializer) -> BoxedStrategy<PyValue> {
    let text = "k.{0,10}".prop_map(PyValue::Str);
    let scalars = prop_oneof![
        (2_i64..1_000_000).prop_map(PyValue::Int),
        (0_i32..1000).prop_map(|n| PyValue::Float(f64::from(n) + 0.5)),
        proptest::sample::select(vec![1.5e300, 2.5e-9]).prop_map(PyValue::Float),
        Just(PyValue::None),
    ];
    let bytes = vec(any::<u8>(), 0..9).prop_map(PyValue::Bytes);
    let tuple = (0_i64..9, "[a-z]{0,3}")
        .prop_map(|(n, text)| PyValue::Tuple(vec![PyValue::Int(n), PyValue::Str(text)]));
    match serializer {
        Serializer::MsgPack => prop_oneof![text, bytes].boxed(),
        Serializer::Json => prop_oneof![2 => text, 1 => scalars].boxed(),
        Serializer::Pickle => prop_oneof![4 => text, 2 => scalars, 1 => bytes, 1 => tuple].boxed(),
    }
}

fn distinct(items: Vec<PyValue>) -> Vec<PyValue> {
    let mut kept: Vec<PyValue> = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

fn without_equal_keys(pairs: Vec<(PyValue, PyValue)>) -> Vec<(PyValue, PyValue)> {
    let mut kept: Vec<(PyValue, PyValue)> = Vec::new();
    for (key, value) in pairs {
        if !kept.iter().any(|(other, _)| *other == key) {
            kept.push((key, value));
        }
    }
    kept
}
