//! Random values: what Django saves is read here as it was, and what is written here Django reads,
//! saves and keeps.

use std::{collections::BTreeMap, fs};

use fastrand::Rng;
use jiff::{civil, tz::Offset};
use rhubarb_cache::{
    DateTime, Decimal, PyValue, TimeDelta, TimeOfDay,
    sessions::{Backend, SessionData, SessionKey},
};
use rhubarb_e2e::{python::Python, redis_server::RedisServer};
use serde_json::{Value, json};

use super::sessions;

/// How many sessions each side writes.
const SESSIONS: usize = 1_500;

#[tokio::test]
async fn thousands_of_random_sessions_of_djangos_are_read_and_changed_and_nothing_is_lost() {
    let redis = RedisServer::start().await;
    let Some(python) = Python::for_redis(&redis.url(0)) else { return };
    let seed = fastrand::u32(..).to_string();
    let saved = python.run(&["session_values.py", "write", &seed, &SESSIONS.to_string()]).await;
    let store = sessions(&redis, Backend::Cache);
    assert_eq!(saved.as_object().unwrap().len(), SESSIONS);
    for (key, expected) in saved.as_object().unwrap() {
        let mut session = store.read(&SessionKey::parse(key).unwrap()).await.unwrap().unwrap();
        assert_eq!(&told(&session.data().to_value()), expected, "seed {seed}");
        session.insert("seen", PyValue::Bool(true));
        store.update(&mut session).await.unwrap();
    }
    let keys: Vec<&str> = saved.as_object().unwrap().keys().map(String::as_str).collect();
    let loaded = read_by_django(&python, &keys).await;
    for (key, expected) in saved.as_object().unwrap() {
        let mut pairs = expected[1].as_array().unwrap().clone();
        pairs.push(json!([["str", "seen"], ["bool", "True"]]));
        assert_eq!(loaded[key], json!(["dict", pairs]), "seed {seed}");
    }
}

async fn read_by_django(python: &Python, keys: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    fs::write(&file, keys.join("\n")).unwrap();
    python.run(&["session_values.py", "read", file.to_str().unwrap()]).await
}

#[tokio::test]
async fn thousands_of_random_sessions_of_ours_are_read_saved_and_kept_by_django() {
    let redis = RedisServer::start().await;
    let Some(python) = Python::for_redis(&redis.url(0)) else { return };
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let store = sessions(&redis, Backend::Cache);
    let mut written = BTreeMap::new();
    for _ in 0..SESSIONS {
        let data: SessionData = pairs(&mut rng, 4).into_iter().collect();
        let session = store.create(data.clone()).await.unwrap();
        written.insert(session.key().expose().to_owned(), data);
    }
    let keys: Vec<&str> = written.keys().map(String::as_str).collect();
    let loaded = read_by_django(&python, &keys).await;
    for (key, data) in &written {
        assert_eq!(loaded[key], told(&data.to_value()), "seed {seed}");
        let again = store.read(&SessionKey::parse(key).unwrap()).await.unwrap().unwrap();
        assert_eq!(told(&again.data().to_value()), told(&data.to_value()), "seed {seed}");
    }
}

/// Pairs whose keys are different ones to Python, too.
fn pairs(rng: &mut Rng, depth: usize) -> Vec<(PyValue, PyValue)> {
    let n = rng.usize(0..6);
    let key = |n: usize, rng: &mut Rng| match rng.u8(0..6) {
        0 => PyValue::Int(i64::try_from(n).unwrap() + rng.i64(0..1000) * 10),
        1 => PyValue::Uuid(uuid::Uuid::from_u128(rng.u128(..))),
        2 => PyValue::Tuple(vec![n.to_string().as_str().into(), PyValue::None]),
        _ => PyValue::Str(format!("{n}{}", text(rng))),
    };
    (0..n).map(|n| (key(n, rng), value(rng, depth - 1))).collect()
}

fn value(rng: &mut Rng, depth: usize) -> PyValue {
    let n = rng.usize(0..5);
    let kind = if depth == 0 { rng.u8(3..5) } else { rng.u8(0..9) };
    match kind {
        0 => PyValue::List((0..n).map(|_| value(rng, depth - 1)).collect()),
        1 => PyValue::Tuple((0..n).map(|_| value(rng, depth - 1)).collect()),
        2 => PyValue::Dict(pairs(rng, depth)),
        3 => PyValue::Set((0..n).map(|n| PyValue::Int(n.try_into().unwrap())).collect()),
        4 => PyValue::FrozenSet((0..n).map(|n| n.to_string().as_str().into()).collect()),
        5 => PyValue::OrderedDict(pairs(rng, depth)),
        _ => scalar(rng),
    }
}

fn text(rng: &mut Rng) -> String {
    let n = [0, 1, 5, 40, 300][rng.usize(0..5)];
    (0..n).map(|_| if rng.bool() { rng.char('a'..='z') } else { rng.char(..) }).collect()
}

fn scalar(rng: &mut Rng) -> PyValue {
    match rng.u8(0..14) {
        0 => PyValue::None,
        1 => PyValue::Bool(rng.bool()),
        2 => PyValue::Int(rng.i64(-300..300)),
        3 => PyValue::Int(rng.i64(..)),
        4 => PyValue::from(json!(rng.u64(..))),
        5 => PyValue::Float(f64::from_bits(rng.u64(..))),
        6 => PyValue::Bytes((0..rng.usize(0..300)).map(|_| rng.u8(..)).collect()),
        7 => PyValue::ByteArray((0..rng.usize(0..9)).map(|_| rng.u8(..)).collect()),
        8 => PyValue::Date(date(rng)),
        9 => PyValue::DateTime(moment(rng)),
        12 => PyValue::Time(time_of_day(rng)),
        10 => PyValue::TimeDelta(
            TimeDelta::new(rng.i64(-9999..9999), rng.i64(0..86_400), rng.i64(0..1_000_000))
                .unwrap(),
        ),
        11 => PyValue::Decimal(
            Decimal::new(&format!("{}.{:03}", rng.i64(..), rng.u32(0..1000))).unwrap(),
        ),
        _ => PyValue::Str(text(rng)),
    }
}

fn date(rng: &mut Rng) -> civil::Date {
    civil::date(rng.i16(1..=9999), rng.i8(1..=12), rng.i8(1..=28))
}

fn time_of_day(rng: &mut Rng) -> TimeOfDay {
    let DateTime { civil, offset, fold, zone } = moment(rng);
    TimeOfDay { civil: civil.time(), fold, offset, zone }
}

fn moment(rng: &mut Rng) -> DateTime {
    let micros = rng.i32(0..1_000_000);
    let time = civil::time(rng.i8(0..24), rng.i8(0..60), rng.i8(0..60), micros * 1000);
    let offset = rng.bool().then(|| Offset::from_seconds(rng.i32(-1439..1440) * 60).unwrap());
    DateTime { civil: date(rng).to_datetime(time), offset, fold: rng.bool(), zone: None }
}

/// A value as `interop/session_values.py` tells it: its type, and its text or its parts.
fn told(value: &PyValue) -> Value {
    let all = |items: &[PyValue]| items.iter().map(told).collect::<Vec<_>>();
    let sorted = |items: &[PyValue]| {
        let mut all = all(items);
        all.sort_by_key(Value::to_string);
        all
    };
    let pairs = |pairs: &[(PyValue, PyValue)]| {
        pairs.iter().map(|(key, value)| json!([told(key), told(value)])).collect::<Vec<_>>()
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        PyValue::None => json!(["NoneType", "None"]),
        PyValue::Bool(b) => json!(["bool", if *b { "True" } else { "False" }]),
        PyValue::Int(i) => json!(["int", i.to_string()]),
        PyValue::BigInt(i) => json!(["int", i.to_string()]),
        PyValue::Float(f) => json!(["float", hex(&f.to_be_bytes())]),
        PyValue::Str(s) => json!(["str", s]),
        PyValue::Bytes(b) => json!(["bytes", hex(b)]),
        PyValue::ByteArray(b) => json!(["bytearray", hex(b)]),
        PyValue::List(items) => json!(["list", all(items)]),
        PyValue::Tuple(items) => json!(["tuple", all(items)]),
        PyValue::Set(items) => json!(["set", sorted(items)]),
        PyValue::FrozenSet(items) => json!(["frozenset", sorted(items)]),
        PyValue::Dict(p) => json!(["dict", pairs(p)]),
        PyValue::OrderedDict(p) => json!(["OrderedDict", pairs(p)]),
        PyValue::DateTime(at) => json!(["datetime", moment_text(at)]),
        PyValue::Time(at) => {
            let offset = offset_text(at.offset);
            let text = at.civil.strftime("%H:%M:%S.%6f");
            json!(["time", format!("{text}{offset} {}", u8::from(at.fold))])
        }
        PyValue::Date(date) => json!(["date", date.to_string()]),
        PyValue::TimeDelta(delta) => {
            let (days, seconds, micros) = delta.parts();
            json!(["timedelta", format!("{days} {seconds} {micros}")])
        }
        PyValue::Decimal(decimal) => json!(["Decimal", decimal.as_str()]),
        PyValue::Uuid(uuid) => json!(["UUID", uuid.to_string()]),
        other => panic!("{other:?}"),
    }
}

fn offset_text(offset: Option<Offset>) -> String {
    offset.map_or_else(String::new, |offset| {
        let seconds = offset.seconds();
        let (sign, total) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
        format!("{sign}{:02}:{:02}", total / 3600, total / 60 % 60)
    })
}

fn moment_text(at: &DateTime) -> String {
    let offset = offset_text(at.offset);
    let fold = u8::from(at.fold);
    format!("{}{offset} {fold}", at.civil.strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}
