//! The entries that Python's RedBeat keeps (celery-redbeat 2.4), read and never written.
//!
//! A zset `<prefix>:schedule` names the entries' hashes, each with `definition` and `meta` as JSON
//! whose objects carry their Python type in `__type__`. Where `<prefix>:lock` exists a beat of
//! Python's leads and publishes them itself.

use jiff::{Timestamp, civil::DateTime, tz::Offset, tz::TimeZone};
use rhubarb_connection::Redis;
use rhubarb_schedule::{BeatConfig, ScheduleConfig, check_name};
use rhubarb_wire::{common, exact};
use serde_json::{Map, Value, json};

use crate::{Error, config::CeleryConfig, error::redis, script, slot::hash_tag};

/// The most entries that are read; one step reads them all, so that a digest tells whether they
/// changed.
const MOST: usize = 500;
/// Options of `apply_async` that have a place with us.
const OPTIONS: [&str; 5] = ["ignore_result", "time_limit", "soft_time_limit", "shadow", "headers"];

/// What RedBeat keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedBeat {
    /// Whether a beat of Python's leads: then none of the entries is ours to publish.
    pub locked: bool,
    /// The entries.
    pub entries: Vec<RedBeatEntry>,
    pub(super) digest: String,
}

/// One entry of RedBeat's.
#[derive(Clone, Debug, PartialEq)]
pub struct RedBeatEntry {
    /// Its name.
    pub name: String,
    /// The entry in our terms, or what is wrong with it.
    pub entry: Result<ScheduleConfig, String>,
    /// When Python published it last.
    pub last_run: Option<Timestamp>,
}

impl RedBeat {
    /// Returns RedBeat's prefix where its entries are obeyed: by the setting, and because one
    /// script may read them. Where the queue's prefix puts all keys into one slot, those of RedBeat
    /// have to be there too.
    pub fn obeyed<'a>(beat: &'a BeatConfig, celery: &CeleryConfig) -> Option<&'a str> {
        let prefix = beat.redbeat_key_prefix.as_str();
        let tag = hash_tag(&celery.global_keyprefix);
        let is_in_reach = tag.is_none() || hash_tag(prefix) == tag;
        (beat.redbeat && is_in_reach).then_some(prefix)
    }

    /// Reads the entries under RedBeat's `redbeat_key_prefix`; absent when they are as they were
    /// `before`.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn read(
        redis_: &Redis,
        prefix: &str,
        before: Option<&Self>,
    ) -> Result<Option<Self>, Error> {
        let keys = [format!("{prefix}:schedule"), format!("{prefix}:lock")];
        let digest = before.map_or("", |before| &before.digest);
        let args = [digest.to_owned(), "0".to_owned(), MOST.to_string()].map(String::into_bytes);
        let mut answer: std::collections::VecDeque<::redis::Value> = redis_
            .eval::<Vec<_>>(&script::REDBEAT, &keys, &args, &[])
            .await
            .map_err(redis("read RedBeat's entries"))?
            .into();
        let mut next = || answer.pop_front();
        let locked = next().is_some_and(|value| integer(&value) == 1);
        let digest = next().map(text).unwrap_or_default();
        let n = next().map_or(0, |value| integer(&value));
        if before.is_some_and(|before| before.digest == digest) {
            return Ok(None);
        }
        let mut entries = Vec::new();
        while let (Some(key), Some(refusal), Some(definition), Some(meta)) =
            (next(), next(), next(), next())
        {
            let (key, refusal) = (text(key), text(refusal));
            entries.push(match refusal.as_str() {
                "" => RedBeatEntry::read(prefix, &key, &text(definition), &text(meta)),
                refusal => RedBeatEntry::refused(prefix, &key, refusal),
            });
        }
        if n > i64::try_from(MOST).unwrap_or(i64::MAX) {
            let problem = format!("only {MOST} of RedBeat's {n} entries are read");
            entries.push(RedBeatEntry {
                name: format!("{prefix}:schedule"),
                entry: Err(problem),
                last_run: None,
            });
        }
        Ok(Some(Self { locked, entries, digest }))
    }

    /// Returns the entries that are ours to publish: none while a beat of Python's leads.
    pub fn ours(&self) -> &[RedBeatEntry] {
        if self.locked { &[] } else { &self.entries }
    }
}

fn integer(value: &::redis::Value) -> i64 {
    match value {
        ::redis::Value::Int(n) => *n,
        _ => 0,
    }
}

fn text(value: ::redis::Value) -> String {
    match value {
        ::redis::Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        ::redis::Value::SimpleString(text) => text,
        _ => String::new(),
    }
}

impl RedBeatEntry {
    fn read(prefix: &str, key: &str, definition: &str, meta: &str) -> Self {
        let (named, name) = named(prefix, key);
        let entry = check_name(named)
            .and_then(|()| entry(&name, definition))
            .map_err(|problem| format!("RedBeat's entry: {problem}"));
        let meta: Value = serde_json::from_str(meta).unwrap_or_default();
        Self { name, entry, last_run: datetime(&meta["last_run_at"]) }
    }

    /// One whose key Redis does not read.
    fn refused(prefix: &str, key: &str, refusal: &str) -> Self {
        let key: String = key.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let problem = format!(
            "RedBeat's key `{key}` is not what RedBeat keeps there ({refusal}); delete it with \
             `redis-cli DEL {key}`, and let Python save it again"
        );
        Self { name: named(prefix, &key).1, entry: Err(problem), last_run: None }
    }
}

/// Returns an entry's name as RedBeat has it, and as it can be shown.
fn named<'a>(prefix: &str, key: &'a str) -> (&'a str, String) {
    let named = key.strip_prefix(prefix).unwrap_or(key);
    (named, named.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// Turns a definition into an entry of ours.
fn entry(name: &str, definition: &str) -> Result<ScheduleConfig, String> {
    if !matches!(exact(definition), Ok(Value::Object(_))) {
        return Err("its definition is no JSON object".to_owned());
    }
    let found = common(definition).map_err(|problem| format!("its definition: {problem}"))?;
    let Value::Object(mut found) = found else { return Err("it is no object".to_owned()) };
    let mut ours = Map::new();
    for key in ["task", "args", "kwargs", "enabled"] {
        ours.extend(found.remove(key).map(|value| (key.to_owned(), value)));
    }
    // RedBeat's own default, and what Python's `tuple` becomes.
    when(found.remove("schedule").unwrap_or_default(), &mut ours)?;
    options(found.remove("options").unwrap_or_default(), &mut ours)?;
    ScheduleConfig::from_json(name, &Value::Object(ours).to_string())
        .map_err(|problems| problems.join("; "))
}

fn when(schedule: Value, ours: &mut Map<String, Value>) -> Result<(), String> {
    let Value::Object(mut schedule) = schedule else {
        return Err("it has no schedule".to_owned());
    };
    match schedule.remove("__type__").as_ref().and_then(Value::as_str) {
        Some("interval") => {
            ours.insert("every".to_owned(), schedule.remove("every").unwrap_or_default());
            ours.extend(schedule.remove("relative").map(|value| ("relative".to_owned(), value)));
        }
        Some("crontab") => {
            ours.insert("crontab".to_owned(), schedule.into());
        }
        other => {
            let other = other.unwrap_or("without a type");
            return Err(format!("its schedule is {other}; interval and crontab are understood"));
        }
    }
    Ok(())
}

fn options(options: Value, ours: &mut Map<String, Value>) -> Result<(), String> {
    let Value::Object(mut options) = options else { return Ok(()) };
    for key in ["queue", "priority"] {
        ours.extend(options.remove(key).map(|value| (key.to_owned(), value)));
    }
    match options.remove("expires") {
        None | Some(Value::Null) => {}
        // Every task is expired from then on, which for a schedule is its end.
        Some(Value::Object(at)) => {
            let at = datetime(&Value::Object(at)).ok_or("its expires is no date and time")?;
            ours.insert("end_at".to_owned(), json!(at.to_string()));
        }
        Some(expires) => {
            ours.insert("expires".to_owned(), expires);
        }
    }
    let mut kept = Map::new();
    for key in OPTIONS {
        kept.extend(options.remove(key).map(|value| (key.to_owned(), value)));
    }
    if !kept.is_empty() {
        ours.insert("options".to_owned(), kept.into());
    }
    Ok(())
}

/// Reads `{"__type__": "datetime", "year": …, "timezone": "UTC"}`; the zone is a name, or seconds
/// east of UTC.
fn datetime(value: &Value) -> Option<Timestamp> {
    let part = |name: &str| value.get(name).and_then(Value::as_i64);
    let small = |name: &str| part(name).and_then(|n| i8::try_from(n).ok());
    let local = DateTime::new(
        i16::try_from(part("year")?).ok()?,
        small("month")?,
        small("day")?,
        small("hour")?,
        small("minute")?,
        small("second")?,
        i32::try_from(part("microsecond")?).ok()?.checked_mul(1_000)?,
    )
    .ok()?;
    let zone = match value.get("timezone") {
        Some(Value::String(name)) => TimeZone::get(name).ok()?,
        Some(zone) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked by the offset's own range"
            )]
            let seconds = zone.as_f64()? as i32;
            TimeZone::fixed(Offset::from_seconds(seconds).ok()?)
        }
        None => TimeZone::UTC,
    };
    zone.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rhubarb_schedule::Schedule;
    use serde_json::json;

    use super::*;

    fn read(key: &str, definition: &str, meta: &str) -> RedBeatEntry {
        RedBeatEntry::read("redbeat:", key, definition, meta)
    }

    /// As celery-redbeat wrote them.
    #[test]
    fn recorded_entries_are_understood() {
        let meta = r#"{"last_run_at": {"__type__": "datetime", "year": 2026, "month": 11, "day": 23, "hour": 22, "minute": 14, "second": 42, "microsecond": 9419, "timezone": "UTC"}, "total_run_count": 1}"#;
        let interval = r#"{"name": "relative-5s", "task": "job_scraper.tasks.add", "args": [1, 2], "kwargs": {}, "options": {}, "schedule": {"__type__": "interval", "every": 5.0, "relative": true}, "enabled": true}"#;
        let found = read("redbeat:relative-5s", interval, meta);
        assert_eq!(found.name, "relative-5s");
        assert_eq!(found.last_run.unwrap().to_string(), "2026-11-23T22:14:42.009419Z");
        let entry = found.entry.unwrap();
        assert_eq!((entry.task.as_str(), entry.args.len()), ("job_scraper.tasks.add", 2));
        assert_eq!(
            Schedule::compile("s", entry.clone(), "UTC").unwrap().words(),
            "every 5 seconds"
        );

        let crontab = r#"{"name": "weekday-mornings", "task": "job_scraper.tasks.scrape_jobs", "args": ["rust"], "kwargs": {"location": "Berlin"}, "options": {"queue": "scrapers", "expires": 600, "priority": 3}, "schedule": {"__type__": "crontab", "minute": "*/15", "hour": "8-18", "day_of_week": "mon-fri", "day_of_month": "*", "month_of_year": "*"}, "enabled": true}"#;
        let entry = read("redbeat:weekday-mornings", crontab, "").entry.unwrap();
        assert_eq!((entry.queue.as_deref(), entry.priority), (Some("scrapers"), Some(3)));
        assert_eq!(entry.expires.unwrap().as_secs(), 600);
        assert_eq!(
            Schedule::compile("s", entry.clone(), "UTC").unwrap().words(),
            "every 15 minutes in hours 8 to 18 on Monday to Friday (UTC)"
        );
    }

    /// Numbers and texts where another kind is expected, in a definition that is well formed
    /// otherwise.
    fn odd() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
            r"[-*/0-9, a-z]{0,12}".prop_map(Into::into),
            Just(serde_json::Value::Null),
            Just(json!({"__type__": "datetime", "year": 1_000_000, "month": 13, "day": 0})),
            Just(json!([[[]]])),
        ]
    }

    proptest! {
        #[test]
        fn any_definition_is_an_entry_or_a_problem(
            kind in prop_oneof!["interval", "crontab", "rrule", "solar", "datetime", ".{0,8}"],
            values in proptest::collection::vec(odd(), 8),
            cut in 0..400_usize,
        ) {
            let [a, b, c, d, e, f, g, h] = &values[..] else { unreachable!() };
            let definition = json!({
                "name": "n", "task": a, "args": b, "kwargs": c, "enabled": true,
                "options": {"queue": d, "expires": e, "priority": f},
                "schedule": {"__type__": kind, "every": g, "relative": h, "minute": a, "hour": b,
                    "freq": c, "dtstart": d, "interval": e, "until": f},
            });
            let meta = json!({"last_run_at": {"__type__": "datetime", "year": g, "month": h,
                "day": a, "hour": b, "minute": c, "second": d, "microsecond": e, "timezone": f}});
            let definition = definition.to_string();
            let cut = definition.floor_char_boundary(cut);
            for text in [definition.as_str(), &definition[..cut]] {
                let _ = read("redbeat:n", text, &meta.to_string());
            }
        }
    }

    #[test]
    fn what_is_not_understood_says_so() {
        let with = |schedule: &str| format!(r#"{{"task": "t", "schedule": {schedule}}}"#);
        for (definition, expect) in [
            (String::new(), "no JSON object"),
            ("{\"task\": \"t\"}".to_owned(), "it has no schedule"),
            (r#"{"args": [NaN]}"#.to_owned(), "`NaN` cannot be kept as it is: pass it as text"),
            (
                with(r#"{"__type__": "rrule", "freq": 5}"#),
                "its schedule is rrule; interval and crontab",
            ),
            (with(r#"{"__type__": "interval", "every": 0.5}"#), "schedules.n.every: 1 s or more"),
            (with(r#"{"__type__": "crontab", "minute": "5/20"}"#), "minute `5/20`"),
        ] {
            let problem = read("redbeat:n", &definition, "").entry.unwrap_err();
            assert!(problem.contains(expect), "{definition}: {problem}");
        }
        assert!(read("redbeat:", "{}", "").entry.is_err());
    }

    #[test]
    fn an_absolute_expiry_is_the_schedules_end_and_zones_are_read() {
        let at = |zone: &str| {
            format!(
                r#"{{"__type__": "datetime", "year": 2026, "month": 11, "day": 23, "hour": 12, "minute": 0, "second": 0, "microsecond": 0, "timezone": {zone}}}"#
            )
        };
        for (zone, expect) in
            [("\"UTC\"", "12:00"), ("\"Europe/Berlin\"", "11:00"), ("7200.0", "10:00")]
        {
            let definition = format!(
                r#"{{"task": "t", "schedule": {{"__type__": "interval", "every": 5}}, "options": {{"expires": {}, "routing_key": "x"}}}}"#,
                at(zone)
            );
            let entry = read("redbeat:n", &definition, "").entry.unwrap();
            assert_eq!(entry.end_at.unwrap().to_string(), format!("2026-11-23T{expect}:00Z"));
        }
    }
}
