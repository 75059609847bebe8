//! The same calls on both sides, one after the other: every answer and everything left in Redis is
//! the same.

use std::time::Duration;

use jiff::Timestamp;
use redis::cmd;
use rhubarb_cache::{
    AliasConfig, Cache, Condition, Error, PyValue, Serializer, Timeout, Ttl, codec,
};
use rhubarb_connection::Role;
use rhubarb_e2e::{python::Python, redis_server::RedisServer};
use serde_json::{Value, json};

use super::cache;

/// Calls by django-redis's names: name, arguments, keyword arguments.
const CALLS: &str = r#"[
    ["get", ["none"], {}],
    ["set", ["a", "text"], {}],
    ["get", ["a"], {}],
    ["set", ["a", [1, 2.5, null, {"k": true}]], {"timeout": 60}],
    ["get", ["a"], {}],
    ["set", ["a", 1], {"nx": true}],
    ["set", ["a", 1], {"xx": true}],
    ["set", ["b", 1], {"xx": true}],
    ["set", ["b", 1], {"nx": true}],
    ["add", ["b", 2], {}],
    ["add", ["c", 2], {"timeout": 0}],
    ["add", ["b", 2], {"timeout": 0}],
    ["set", ["d", 1], {"timeout": 0}],
    ["set", ["b", 1], {"timeout": -5}],
    ["has_key", ["b"], {}],
    ["has_key", ["a"], {}],
    ["ttl", ["a"], {}],
    ["pttl", ["none"], {}],
    ["set", ["e", "for ever"], {"timeout": null}],
    ["ttl", ["e"], {}],
    ["persist", ["e"], {}],
    ["expire", ["e", 100], {}],
    ["ttl", ["e"], {}],
    ["persist", ["e"], {}],
    ["persist", ["none"], {}],
    ["expire", ["none", 1], {}],
    ["touch", ["a"], {"timeout": null}],
    ["ttl", ["a"], {}],
    ["touch", ["a"], {"timeout": 50}],
    ["touch", ["none"], {}],
    ["touch", ["a"], {}],
    ["ttl", ["a"], {}],
    ["expire_at", ["a", 1], {}],
    ["get", ["a"], {}],
    ["set", ["n", 41], {}],
    ["incr", ["n"], {}],
    ["incr", ["n", 10], {}],
    ["decr", ["n", 2], {}],
    ["incr", ["none"], {}],
    ["decr", ["none"], {}],
    ["set", ["f", 1.5], {}],
    ["incr", ["f", 2], {}],
    ["ttl", ["f"], {}],
    ["set", ["t", true], {}],
    ["incr", ["t"], {}],
    ["set", ["s", "text"], {}],
    ["incr", ["s"], {}],
    ["get", ["s"], {}],
    ["incr", ["new", 5], {"ignore_key_check": true}],
    ["ttl", ["new"], {}],
    ["set_many", [{"m1": 1, "m2": "two", "m3": [3]}], {"timeout": 70}],
    ["get_many", [["m1", "m2", "m3", "m4"]], {}],
    ["ttl", ["m3"], {}],
    ["set_many", [{"m1": 1}], {"timeout": 0}],
    ["keys", ["m*"], {}],
    ["iter_keys", ["m?"], {}],
    ["delete", ["m2"], {}],
    ["delete", ["m2"], {}],
    ["set_many", [{"p:1": 1, "p:2": 2, "p*": 3, "q[1]": 4}], {}],
    ["delete_many", [["p:1", "none"]], {}],
    ["delete_many", [[]], {}],
    ["keys", ["p*"], {}],
    ["delete_pattern", ["p:*"], {}],
    ["delete_pattern", ["q[[]1]"], {}],
    ["set", ["v", "one"], {"timeout": 80}],
    ["set", ["v", "two"], {"version": 2}],
    ["get", ["v"], {"version": 2}],
    ["delete", ["v"], {"version": 2}],
    ["incr_version", ["v"], {}],
    ["get", ["v"], {}],
    ["get", ["v"], {"version": 2}],
    ["ttl", ["v"], {"version": 2}],
    ["incr_version", ["none"], {}],
    ["decr_version", ["v"], {"version": 2}],
    ["get", ["v"], {}],
    ["get", ["v"], {"version": 2}],
    ["get_or_set", ["g", "made"], {"timeout": 90}],
    ["get_or_set", ["g", "again"], {"timeout": 90}],
    ["ttl", ["g"], {}],
    ["keys", ["*"], {}]
]"#;

#[tokio::test]
async fn every_call_answers_as_django_redis_does() {
    let server = RedisServer::start().await;
    let Some(python) = Python::for_redis(&server.url(0)) else { return };
    let calls: Value = serde_json::from_str(CALLS).unwrap();
    let theirs = python.run(&["cache_calls.py", "theirs", &calls.to_string()]).await;
    let ours = cache(&server, AliasConfig::new(Role::Cache, "ours"));
    for (call, theirs) in calls.as_array().unwrap().iter().zip(theirs.as_array().unwrap()) {
        let answer = answer(&ours, call).await;
        assert_eq!(&answer, theirs, "{call}");
    }
    ours.close().await.unwrap();
    let (ours, theirs) = (left(&ours, "ours").await, left(&ours, "theirs").await);
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 10, "{ours:?}");
}

/// What stands in Redis under a prefix, without what is our own: key, value, and tens of seconds
/// until its end.
///
/// An int is shown by its digits, as it is stored; of pickles there is more than one way to write
/// each.
async fn left(cache: &Cache, prefix: &str) -> Vec<(String, String, i64)> {
    let redis = cache.redis();
    let mut keys: Vec<String> =
        redis.query(cmd("KEYS").arg(format!("{prefix}:[12]:*"))).await.unwrap();
    keys.sort();
    let mut left = Vec::new();
    for key in keys {
        let bytes: Vec<u8> = redis.query(cmd("GET").arg(&key)).await.unwrap();
        let value = codec::decode(&bytes, Serializer::Pickle).unwrap();
        let is_digits = bytes.iter().all(u8::is_ascii_digit);
        let value = format!("{value:?}{}", if is_digits { " in digits" } else { "" });
        let ttl: i64 = redis.query(cmd("TTL").arg(&key)).await.unwrap();
        // Both were given the same time; the calls were made some seconds apart.
        let ttl = if ttl < 0 { ttl } else { (ttl + 9) / 10 };
        left.push((key[prefix.len()..].to_owned(), value, ttl));
    }
    left
}

async fn answer(cache: &Cache, call: &Value) -> Value {
    let (name, kwargs) = (call[0].as_str().unwrap(), &call[2]);
    let cache = match kwargs["version"].as_u64() {
        Some(version) => cache.version(version.try_into().unwrap()),
        None => cache.clone(),
    };
    let arg = |idx: usize| call[1][idx].clone();
    let key = arg(0).as_str().unwrap_or_default().to_owned();
    let timeout = timeout(kwargs);
    let delta = arg(1).as_i64().unwrap_or(1);
    match name {
        "get" => told(cache.get(&key).await.map(|found| found.unwrap_or(PyValue::None))),
        "set" => {
            let flag = |name: &str| kwargs[name].as_bool().unwrap_or(false);
            let condition = match (flag("nx"), flag("xx")) {
                (true, _) => Condition::Missing,
                (_, true) => Condition::Present,
                _ => Condition::Always,
            };
            json!(cache.set_if(&key, &arg(1).into(), timeout, condition).await.unwrap())
        }
        "add" => json!(cache.add(&key, &arg(1).into(), timeout).await.unwrap()),
        "has_key" => json!(cache.has_key(&key).await.unwrap()),
        "ttl" | "pttl" => match cache.ttl(&key).await.unwrap() {
            Ttl::Missing => json!(0),
            Ttl::Never => Value::Null,
            // Redis rounds the seconds of its `TTL`.
            Ttl::Left(left) => json!((left.as_millis() + 500) / 1000),
        },
        "persist" => json!(cache.persist(&key).await.unwrap()),
        "expire" => {
            let after = Duration::from_secs(arg(1).as_u64().unwrap());
            json!(cache.expire(&key, after).await.unwrap())
        }
        "expire_at" => {
            let at = Timestamp::from_second(arg(1).as_i64().unwrap()).unwrap();
            json!(cache.expire_at(&key, at).await.unwrap())
        }
        "touch" => json!(cache.touch(&key, timeout).await.unwrap()),
        "incr" if kwargs["ignore_key_check"] == true => {
            json!(cache.incr_ignoring_missing(&key, delta).await.unwrap())
        }
        "incr" => told(cache.incr(&key, delta).await),
        "decr" => told(cache.decr(&key, delta).await),
        "incr_version" => told(cache.incr_version(&key, 1).await.map(|v| PyValue::Int(v.into()))),
        "decr_version" => told(cache.decr_version(&key, 1).await.map(|v| PyValue::Int(v.into()))),
        "get_or_set" => {
            let value = PyValue::from(arg(1));
            told(cache.get_or_set(&key, async move || Ok::<_, Error>(value), timeout).await)
        }
        _ => answer_many(&cache, name, &arg(0), timeout).await,
    }
}

async fn answer_many(cache: &Cache, name: &str, arg: &Value, timeout: Timeout) -> Value {
    let texts = || arg.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    let pattern = arg.as_str().unwrap_or_default();
    match name {
        "set_many" => {
            let pairs = arg.as_object().unwrap().iter();
            let pairs: Vec<(&str, PyValue)> =
                pairs.map(|(key, value)| (key.as_str(), value.clone().into())).collect();
            cache.set_many(&pairs, timeout).await.unwrap();
            Value::Null
        }
        "get_many" => {
            let found = cache.get_many(&texts().collect::<Vec<_>>()).await.unwrap();
            found.into_iter().map(|(key, value)| (key, value.to_json().unwrap())).collect()
        }
        "delete" => json!(cache.delete(pattern).await.unwrap()),
        "delete_many" => json!(cache.delete_many(&texts().collect::<Vec<_>>()).await.unwrap()),
        "delete_pattern" => json!(cache.delete_pattern(pattern).await.unwrap()),
        "keys" => json!(cache.keys(pattern).await.unwrap()),
        "iter_keys" => {
            let mut keys = cache.iter_keys(pattern);
            let mut found = Vec::new();
            while let Some(key) = keys.next().await.unwrap() {
                found.push(key);
            }
            found.sort();
            json!(found)
        }
        other => panic!("no call {other}"),
    }
}

fn timeout(kwargs: &Value) -> Timeout {
    match kwargs.get("timeout") {
        None => Timeout::Default,
        Some(Value::Null) => Timeout::Never,
        Some(seconds) => {
            Timeout::After(Duration::from_secs(seconds.as_i64().unwrap().max(0).unsigned_abs()))
        }
    }
}

/// What Python answers, or the name of what it raises.
fn told(answer: Result<PyValue, Error>) -> Value {
    match answer {
        Ok(value) => value.to_json().unwrap(),
        Err(Error::NoSuchKey { .. }) => json!("ValueError"),
        Err(Error::NotANumber { .. }) => json!("TypeError"),
        Err(error) => panic!("{error:?}"),
    }
}
